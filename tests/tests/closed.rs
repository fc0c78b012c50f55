//! A door that was closed stays closed: after older records were put back, for a node that a cluster sent away, and
//! until `reset` has really forgotten.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "whatever fails here fails a test"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use std::time::Duration;

use bootstrapd_tests::record::{CLUSTER, OWN, resealed};
use bootstrapd_tests::{Directory, Node, Request, body, run};
use serde_json::Value;

fn read(node: &Node, pair: [&str; 2]) -> [Vec<u8>; 2] {
    pair.map(|name| fs::read(node.state_file(name)).unwrap())
}

fn write(node: &Node, pair: [&str; 2], copies: &[Vec<u8>; 2]) {
    for (name, copy) in pair.iter().zip(copies) {
        fs::write(node.state_file(name), copy).unwrap();
    }
}

fn bad_path() -> Value {
    body::create_with("/node/paths/persistent_path", "/nowhere".into())
}

/// A node in a cluster whose own record is of the time before, which `prepare` made.
fn with_older_record(prepare: impl FnOnce(&Node)) -> Node {
    let mut node = Node::start();
    prepare(&node);
    node.kill9();
    let older = read(&node, OWN);
    node.run();
    node.create();
    node.kill9();
    write(&node, OWN, &older);
    node
}

#[test]
fn an_older_own_record_does_not_open_a_node_nor_cost_it_its_cluster() {
    let idle = |_: &Node| {};
    let failed = |node: &Node| _ = node.attempt(&body::create_with("/node/paths/ephemeral_path", "/nowhere".into()));
    let elsewhere = |node: &Node| _ = node.attempt(&bad_path());
    for prepare in [&idle as &dyn Fn(&Node), &failed, &elsewhere] {
        let mut node = with_older_record(prepare);
        let cluster = read(&node, CLUSTER);
        node.run();
        for path in ["/v1/bootstrap", "/v1/cluster"] {
            assert_eq!(node.get(path).status, 503, "{}", node.log());
        }
        assert_eq!(node.call(&Request::create(&body::create())).status, 503);
        node.kill9();
        assert!(read(&node, CLUSTER) == cluster, "the cluster's record was touched");
        // Damaged on top of that, it still does not read as none.
        write(&node, CLUSTER, &cluster.map(|copy| copy[1..].to_vec()));
        node.run();
        assert_eq!(node.get("/v1/bootstrap").status, 503, "{}", node.log());
    }
}

#[test]
fn what_a_strangers_attempt_pointed_to_does_not_close_a_node() {
    let directory = Directory::new();
    directory.make("p");
    directory.make("p/ccs");
    directory.write("p/ccs/cluster.a", "anything");
    let mut node = Node::start();
    let status = node.attempt(&body::create_with("/node/paths/persistent_path", directory.join("p").into()));
    assert_eq!(status["error_code"], "path_error");
    node.restart();
    assert_eq!(node.state_name(), "error");
}

/// A node that its cluster has sent away.
fn expelled() -> Node {
    expelled_from(Node::created())
}

fn expelled_from(mut node: Node) -> Node {
    node.kill9();
    let away =
        |copy: Vec<u8>| resealed(&copy, |text| text.replace(r#""standing":"member""#, r#""standing":"expelled""#));
    let records = read(&node, OWN).map(away);
    write(&node, OWN, &records);
    node.run();
    node
}

fn assert_closed(node: &Node) {
    assert_eq!(node.get("/v1/bootstrap").status, 401);
    assert_eq!(node.call(&Request::create(&body::create())).status, 401, "a stranger's");
    assert_eq!(node.state_name(), "error");
}

#[test]
fn a_node_that_was_sent_away_stays_closed_while_its_attempts_fail() {
    let mut node = expelled();
    assert_closed(&node);
    let as_admin = |body: &Value| Request::create(body).login(body::USER, body::PASSWORD);
    assert_eq!(node.call(&as_admin(&body::refused())).status, 400);
    assert_closed(&node);
    // Head and body in one piece, of which the body has to wait for the login.
    assert_eq!(node.call(&as_admin(&bad_path())).status, 200);
    node.ended();
    assert_closed(&node);
    node.restart();
    assert_closed(&node);
    assert_eq!(node.call(&as_admin(&body::create())).status, 200);
    assert_eq!(node.ended()["state"], "completed");
}

#[test]
fn a_node_that_was_sent_away_has_no_window_and_no_token() {
    let mut node = Node::prepare(&["--bootstrap-window", "1"]);
    let file = node.directory().write("token", "token");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    node.add_options(&["--setup-token-file", &file]);
    node.run();
    assert_eq!(node.call(&Request::create(&body::create()).login("setup", "token")).status, 200);
    node.ended();
    let node = expelled_from(node);
    thread::sleep(Duration::from_millis(1200));
    assert_closed(&node);
    assert_eq!(node.call(&Request::create(&body::create()).login("setup", "token")).status, 401);
    let again = Request::create(&body::create()).login(body::USER, body::PASSWORD);
    assert_eq!(node.call(&again).status, 200, "its cluster's credentials count");
    assert_eq!(node.ended()["state"], "completed");
}

#[test]
fn reset_forgets_and_says_what_it_could_not() {
    let mut node = Node::created();
    let state = node.state().into_os_string().into_string().unwrap();
    assert_eq!(run(&["reset", "--state-dir", &state, "--yes"]).code, Some(73), "an agent runs");
    node.kill9();
    let unsure = run(&["reset", "--state-dir", &state]);
    assert_eq!(unsure.code, Some(73), "{unsure:?}");
    assert!(node.state_file(CLUSTER[0]).exists());
    // A directory in a copy's place cannot be removed as a file.
    fs::remove_file(node.state_file(OWN[0])).unwrap();
    fs::create_dir(node.state_file(OWN[0])).unwrap();
    let failed = run(&["reset", "--state-dir", &state, "--yes"]);
    assert_eq!(failed.code, Some(78), "{failed:?}");
    assert!(failed.errors.contains("node.a"), "{failed:?}");
    fs::remove_dir(node.state_file(OWN[0])).unwrap();
    let done = run(&["reset", "--state-dir", &state, "--yes"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    node.run();
    assert_eq!(node.get("/v1/bootstrap").status, 200);
    assert_eq!(node.state_name(), "idle");
}

#[test]
fn reset_of_what_is_not_there_makes_nothing() {
    let directory = Directory::new();
    let typo = directory.join("typo");
    assert_eq!(run(&["reset", "--state-dir", &typo, "--yes"]).code, Some(78));
    assert!(!std::path::Path::new(&typo).exists());
}
