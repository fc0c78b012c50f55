//! A cluster comes back from a record, and everybody learns which epoch counts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "whatever fails here fails a test"
)]

use std::fs;
use std::path::PathBuf;

use bootstrapd_tests::cluster::{
    all_list, join, join_body, join_body_with, join_fails, listed, lists, node, of, prepared, recorded, sent_away, uid,
};
use bootstrapd_tests::{Node, Request, eventually, run};
use serde_json::{Value, json};

/// The cluster's record of a node, copied away.
fn backup(node: &Node, name: &str) -> PathBuf {
    let copy = node.directory().path().join(name);
    fs::copy(node.state_file("persistent/ccs/cluster.b"), &copy).unwrap();
    copy
}

fn recover_with(node: &Node, body: &Value) -> Value {
    node.accept("recover_cluster", body);
    node.ended()
}

fn recover(node: &Node, file: &std::path::Path) {
    let status = recover_with(node, &json!({"recovery_filename": file}));
    assert_eq!(status["state"], "completed", "{status}");
}

#[test]
fn a_fresh_machine_recovers_a_cluster_and_the_living_follow_it() {
    let mut nodes = of(3);
    all_list(&nodes, 3);
    let file = backup(&nodes[1], "backup");
    nodes[0].kill9();
    let fresh = node();
    recover(&fresh, &file);
    assert_eq!(uid(&fresh), 1);
    lists(&fresh, &[(1, "active"), (2, "active"), (3, "active")]);
    for node in &nodes[1..] {
        eventually("the new founder's address", || (recorded(node, 1) == recorded(&fresh, 1)).then_some(()));
    }
    // Joins go on, with numbers that nobody can have had.
    let joiner = node();
    join(&joiner, &nodes[2]);
    assert_eq!(uid(&joiner), 1_004);

    // The old founder wakes up, hears that its epoch is over, and stops.
    nodes[0].run();
    let message = sent_away(&nodes[0]);
    assert!(message.contains("epoch") && message.contains("over"), "{message}");
    nodes[0].restart();
    sent_away(&nodes[0]);
    lists(&fresh, &[(1, "active"), (2, "active"), (3, "active"), (1_004, "active")]);
}

#[test]
fn a_founder_that_was_never_dead_stops_when_its_cluster_is_recovered_elsewhere() {
    let nodes = of(2);
    all_list(&nodes, 2);
    let fresh = node();
    recover(&fresh, &backup(&nodes[0], "backup"));
    lists(&fresh, &[(1, "active"), (2, "active")]);
    eventually("the member follows", || (recorded(&nodes[1], 1) == recorded(&fresh, 1)).then_some(()));
    let message = sent_away(&nodes[0]);
    assert!(message.contains("epoch"), "{message}");
}

#[test]
fn a_node_that_the_new_epoch_does_not_know_is_told_so() {
    let nodes = of(2);
    all_list(&nodes, 2);
    let file = backup(&nodes[0], "before");
    let mut late = node();
    join(&late, &nodes[0]);
    let [mut first, mut second]: [Node; 2] = nodes.try_into().unwrap();
    first.kill9();
    second.kill9();
    late.kill9();
    // In the place of the old founder, where the others look for it.
    let mut fresh = prepared(&[]);
    fresh.listen_on(first.address());
    fresh.run();
    recover(&fresh, &file);
    late.run();
    let message = sent_away(&late);
    assert!(message.contains("recovered without it"), "{message}");
    second.run();
    lists(&fresh, &[(1, "active"), (2, "active")]);
}

#[test]
fn a_survivor_recovers_in_place_offline() {
    let mut nodes = of(3);
    all_list(&nodes, 3);
    nodes[0].kill9();
    let state = nodes[1].state();
    let in_place = |yes: bool| {
        let mut words = vec!["recover", "--in-place", "--state-dir", state.to_str().unwrap()];
        words.extend(yes.then_some("--yes"));
        run(&words)
    };
    let outcome = in_place(true);
    assert_eq!(outcome.code, Some(73), "the node runs: {outcome:?}");
    nodes[1].kill9();
    let outcome = in_place(false);
    assert_eq!(outcome.code, Some(73), "it asks first: {outcome:?}");
    let outcome = in_place(true);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    nodes[1].run();
    assert_eq!((nodes[1].state_name().as_str(), uid(&nodes[1])), ("completed", 2));
    lists(&nodes[1], &[(1, "down"), (2, "active"), (3, "active")]);
    lists(&nodes[2], &[(1, "down"), (2, "active"), (3, "active")]);
    let joiner = node();
    let body = join_body_with(&[nodes[2].address()], "/node/identity/uid", json!(1));
    joiner.accept("join_cluster", &body);
    let status = joiner.ended();
    assert_eq!(status["state"], "completed", "{status}");
    nodes[0].run();
    assert!(sent_away(&nodes[0]).contains("epoch"));
}

#[test]
fn an_old_founder_that_is_recovered_in_place_wins_over_nobody_newer() {
    let mut nodes = of(2);
    nodes[0].kill9();
    nodes[1].kill9();
    // Both are made founders of an epoch with the same number: neither admits anybody until one is recovered again.
    for node in &nodes {
        let state = node.state();
        assert_eq!(run(&["recover", "--in-place", "--yes", "--state-dir", state.to_str().unwrap()]).code, Some(0));
    }
    nodes.iter_mut().for_each(Node::run);
    let joiner = node();
    let mut body = join_body(&[nodes[0].address()]);
    body["max_retries"] = json!(0);
    eventually("the split is noticed", || {
        joiner.accept("join_cluster", &body);
        let status = joiner.ended();
        let tried = status["error_details"]["nodes_tried"][0]["reason"].as_str().unwrap_or_default().to_owned();
        (tried == "its cluster must be recovered before anybody can join").then_some(())
    });
    nodes[1].kill9();
    let state = nodes[1].state();
    assert_eq!(run(&["recover", "--in-place", "--yes", "--state-dir", state.to_str().unwrap()]).code, Some(0));
    nodes[1].run();
    assert!(sent_away(&nodes[0]).contains("epoch"));
}

#[test]
fn a_founder_from_an_old_disk_admits_nobody_until_it_is_recovered() {
    let mut nodes = of(2);
    all_list(&nodes, 2);
    nodes[0].kill9();
    let old: Vec<(PathBuf, Vec<u8>)> = ["node.a", "node.b", "persistent/ccs/cluster.a", "persistent/ccs/cluster.b"]
        .map(|name| (nodes[0].state_file(name), fs::read(nodes[0].state_file(name)).unwrap()))
        .into();
    nodes[0].run();
    let third = node();
    join(&third, &nodes[0]);
    lists(&nodes[1], &[(1, "active"), (2, "active"), (3, "active")]);
    nodes[0].kill9();
    for (file, bytes) in &old {
        fs::write(file, bytes).unwrap();
    }
    nodes[0].run();
    let joiner = node();
    let mut body = join_body(&[nodes[1].address()]);
    body["max_retries"] = json!(0);
    for _ in 0..3 {
        let status = join_fails(&joiner, &body, "connect_error");
        let reason = status["error_details"]["nodes_tried"][0]["reason"].as_str().unwrap();
        let expected =
            ["not ready to admit anybody, try again", "its cluster must be recovered before anybody can join"];
        assert!(expected.contains(&reason), "{status}");
    }
    // The newest copy recovers it: nobody is lost.
    nodes[1].kill9();
    let state = nodes[1].state();
    assert_eq!(run(&["recover", "--in-place", "--yes", "--state-dir", state.to_str().unwrap()]).code, Some(0));
    nodes[1].run();
    assert!(sent_away(&nodes[0]).contains("epoch"));
    lists(&nodes[1], &[(1, "down"), (2, "active"), (3, "active")]);
    assert_eq!(uid(&third), 3);
}

#[test]
fn a_recovery_that_cannot_be_says_why_and_touches_no_file() {
    let nodes = of(1);
    let file = backup(&nodes[0], "backup");
    let fresh = node();
    let text = file.to_str().unwrap();
    let recover_as = |body: Value| recover_with(&fresh, &body);
    let code = |status: &Value| status["error_code"].as_str().unwrap().to_owned();
    assert_eq!(code(&recover_as(json!({"recovery_filename": "/no/such/file"}))), "path_error");
    assert_eq!(code(&recover_as(json!({"recovery_filename": "/dev/zero"}))), "path_error");
    let credentials = json!({"username": "admin@example.com", "password": "wrong"});
    let status = recover_as(json!({"recovery_filename": text, "credentials": credentials}));
    assert_eq!(code(&status), "access_denied");
    let status = recover_as(json!({"recovery_filename": text, "node": {"identity": {"uid": 7}}}));
    assert_eq!(code(&status), "config_error");
    let bytes = fs::read(&file).unwrap();
    let mut torn = bytes.clone();
    torn.truncate(bytes.len() - 1);
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    for broken in [torn, flipped, b"something else".to_vec(), Vec::new()] {
        fs::write(&file, &broken).unwrap();
        assert_eq!(code(&recover_as(json!({"recovery_filename": text}))), "config_error");
        assert_eq!(fs::read(&file).unwrap(), broken);
    }
    assert_eq!(fresh.get("/v1/nodes").status, 503);
    fs::write(&file, &bytes).unwrap();
    let answer = fresh
        .call(&Request::post("/v1/bootstrap/validate/recover_cluster", json!({"recovery_filename": text}).to_string()));
    assert_eq!((answer.status, answer.text()), (200, "{}"));
    recover(&fresh, &file);
    assert_eq!(fs::read(&file).unwrap(), bytes);
    assert_eq!(listed(&fresh).len(), 1);
}
