//! Several processes become one cluster: joining, and what stands in its way.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "whatever fails here fails a test"
)]

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use bootstrapd_tests::body::{self, PASSWORD, USER};
use bootstrapd_tests::cluster::{
    all_list, founder, free_address, join, join_body, join_body_with, join_fails, listed, lists, node, node_with, of,
    prepared, uid,
};
use bootstrapd_tests::{Node, Random, Request};
use serde_json::{Value, json};

/// The nodes that were tried and why each failed.
fn tried(status: &Value) -> Vec<(&str, &str)> {
    let tried = status["error_details"]["nodes_tried"].as_array().unwrap();
    tried.iter().map(|tried| (tried["node"].as_str().unwrap(), tried["reason"].as_str().unwrap())).collect()
}

#[test]
fn three_nodes_create_join_join_and_list_the_same_three() {
    let nodes = of(3);
    all_list(&nodes, 3);
    assert_eq!(nodes.iter().map(uid).collect::<Vec<_>>(), [1, 2, 3]);
    let seen: BTreeSet<String> = nodes.iter().map(|node| node.get_as_admin("/v1/cluster").text().to_owned()).collect();
    assert_eq!(seen.len(), 1, "{seen:?}");
    nodes.iter().for_each(Node::assert_tidy);
}

#[test]
fn the_three_stay_the_same_three_whoever_is_killed_when() {
    let mut nodes = of(3);
    all_list(&nodes, 3);
    let mut random = Random::new();
    let seconds = std::env::var("BOOTSTRAPD_TEST_SECONDS").map_or(8, |text| text.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let node = &mut nodes[random.below(3)];
        node.kill9();
        thread::sleep(Duration::from_millis(random.below(300) as u64));
        node.run();
        thread::sleep(Duration::from_millis(random.below(300) as u64));
    }
    all_list(&nodes, 3);
    assert_eq!(nodes.iter().map(uid).collect::<Vec<_>>(), [1, 2, 3]);
    nodes.iter().for_each(Node::assert_tidy);
}

#[test]
fn thirty_nodes_join_at_once_through_different_members_and_each_gets_a_number_of_its_own() {
    let founder = founder();
    let joiners: Vec<Node> = (0..30).map(|_| node()).collect();
    for (index, joiner) in joiners.iter().enumerate() {
        // Two that may be members by then or not, and one that is.
        let other = |distance: usize| joiners[(index + distance) % joiners.len()].address();
        joiner.accept("join_cluster", &join_body(&[other(1), other(7), founder.address()]));
    }
    let mut uids = Vec::new();
    for joiner in &joiners {
        let status = joiner.ended();
        assert_eq!(status["state"], "completed", "{status}\n{}", joiner.log());
        uids.push(uid(joiner));
    }
    // Nobody is taken for dead meanwhile.
    assert!(listed(&founder).iter().all(|(_, status)| status != "down"), "{:?}", listed(&founder));
    uids.sort_unstable();
    assert_eq!(uids, (2..=31).collect::<Vec<_>>());
    all_list(&joiners, 31);
    all_list(&[founder], 31);
}

#[test]
fn access_denied_a_wrong_password_ends_the_attempt_at_once_and_is_never_tried_again() {
    let founder = founder();
    let joiner = node();
    let start = Instant::now();
    let body = join_body_with(&[founder.address()], "/credentials/password", json!("wrong"));
    let status = join_fails(&joiner, &body, "access_denied");
    assert!(start.elapsed() < Duration::from_secs(10));
    let message = status["error_details"]["message"].as_str().unwrap();
    assert!(message.contains("credentials") && message.contains("no member"), "{message}");
    join_fails(
        &joiner,
        &join_body_with(&[founder.address()], "/credentials/username", json!("nobody")),
        "access_denied",
    );
    lists(&founder, &[(1, "active")]);
    join(&joiner, &founder);
    assert_eq!(uid(&joiner), 2);
}

#[test]
fn whoever_guesses_often_has_to_wait_and_the_cluster_stays_open_to_others() {
    let founder = founder();
    let guesser = node();
    let mut wrong = join_body_with(&[founder.address()], "/credentials/password", json!("wrong"));
    wrong["max_retries"] = json!(0);
    for _ in 0..5 {
        join_fails(&guesser, &wrong, "access_denied");
    }
    let status = join_fails(&guesser, &wrong, "connect_error");
    assert_eq!(tried(&status)[0].1, "not ready to admit anybody, try again");
    thread::sleep(Duration::from_millis(1_100));
    join(&guesser, &founder);
}

#[test]
fn connect_error_every_node_is_tried_and_each_has_its_own_reason() {
    let stranger = Node::start();
    let nobody = free_address();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let joiner = node();
    let places = [
        "224.0.0.1".to_owned(),
        "[::ffff:169.254.1.1]:9443".to_owned(),
        nobody.to_string(),
        stranger.address().to_string(),
        joiner.address().to_string(),
        "no.such.name.invalid".to_owned(),
    ];
    let mut body = join_body(&places);
    body["max_retries"] = json!(0);
    let status = join_fails(&joiner, &body, "connect_error");
    let expected = [
        "not an address of a node",
        "not an address of a node",
        "connection refused",
        "not a member of a cluster",
        "this node itself",
        "name not found",
    ];
    let expected: Vec<(&str, &str)> = places.iter().map(String::as_str).zip(expected).collect();
    assert_eq!(tried(&status), expected);
    drop(silent);
}

#[test]
fn a_node_that_accepts_and_says_nothing_costs_ten_seconds_and_no_more() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let joiner = node();
    let mut body = join_body(&[silent.local_addr().unwrap()]);
    body["max_retries"] = json!(0);
    let start = Instant::now();
    let status = join_fails(&joiner, &body, "connect_error");
    assert_eq!(tried(&status)[0].1, "no answer in time");
    assert!((9..13).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[test]
fn only_connect_errors_are_tried_again_and_as_often_as_asked() {
    let founder = founder();
    let place = founder.address();
    let mut founder = founder;
    founder.kill9();
    let joiner = node();
    let mut body = join_body(&[place]);
    body["max_retries"] = json!(255);
    joiner.accept("join_cluster", &body);
    thread::sleep(Duration::from_millis(1_500));
    assert_eq!(joiner.state_name(), "joining_cluster");
    founder.run();
    let status = joiner.ended();
    assert_eq!(status["state"], "completed", "{status}");

    let lonely = node();
    body = join_body(&[free_address()]);
    body["max_retries"] = json!(2);
    let start = Instant::now();
    join_fails(&lonely, &body, "connect_error");
    assert!((2..5).contains(&start.elapsed().as_secs()), "two waits of a second: {:?}", start.elapsed());

    // Alone with itself there is nothing to wait for.
    let start = Instant::now();
    join_fails(&lonely, &join_body(&[lonely.address()]), "connect_error");
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn nodes_are_found_by_name_and_the_name_of_the_cluster_must_be_right() {
    let founder = founder();
    let port = founder.address().port();
    let joiner = node();
    let by_name = |name: &str| join_body_with(&[format!("localhost:{port}")], "/cluster/name", json!(name));
    let status = join_fails(&joiner, &by_name("other.cluster"), "node_config_mismatch");
    let expected = json!([{"setting": "cluster_name", "cluster": "test.cluster", "node": "other.cluster"}]);
    assert_eq!(status["error_details"]["mismatches"], expected);
    joiner.accept("join_cluster", &by_name("TEST.cluster"));
    assert_eq!(joiner.ended()["state"], "completed");

    let other = node();
    let body = json!({
        "cluster": {"name": "localhost"},
        "cnm_https_port": port,
        "credentials": {"username": USER, "password": PASSWORD},
        "max_retries": 0,
    });
    other.accept("join_cluster", &body);
    let status = other.ended();
    assert_eq!(status["state"], "completed", "{status}");
}

#[test]
fn members_serve_the_record_and_learn_what_changes() {
    let nodes = of(2);
    let third = node();
    join(&third, &nodes[1]);
    for node in &nodes {
        lists(node, &[(1, "active"), (2, "active"), (3, "active")]);
        assert_eq!(node.get_as_admin("/v1/nodes/3").json()["uid"], 3);
        assert_eq!(node.get("/v1/nodes").status, 401);
    }
    assert_eq!(third.get_as_admin("/v1/license").json(), nodes[0].get_as_admin("/v1/license").json());
}

#[test]
fn while_the_founder_is_down_nobody_joins_and_the_joiner_hears_why() {
    let mut nodes = of(2);
    nodes[0].kill9();
    let joiner = node();
    let mut body = join_body(&[nodes[1].address()]);
    body["max_retries"] = json!(0);
    let status = join_fails(&joiner, &body, "connect_error");
    assert_eq!(tried(&status)[0].1, "the founder of its cluster does not answer, nobody can join");
    nodes[0].run();
    join(&joiner, &nodes[1]);
}

#[test]
fn validating_a_join_says_how_it_would_end_and_changes_nothing() {
    let founder = founder();
    let joiner = node();
    let before = (joiner.snapshot(), founder.snapshot());
    let validate = |body: &Value| joiner.call(&Request::post("/v1/bootstrap/validate/join_cluster", body.to_string()));
    let answer = validate(&join_body(&[founder.address()]));
    assert_eq!((answer.status, answer.text()), (200, "{}"));
    for (pointer, value, code) in [
        ("/credentials/password", json!("wrong"), "access_denied"),
        ("/cluster/name", json!("other.cluster"), "node_config_mismatch"),
        ("/node/identity/uid", json!(7), "config_error"),
        ("/cluster/nodes", json!([free_address().to_string()]), "connect_error"),
    ] {
        let answer = validate(&join_body_with(&[founder.address()], pointer, value));
        assert_eq!((answer.status, &answer.json()["error_code"]), (406, &json!(code)));
    }
    assert_eq!((joiner.snapshot(), founder.snapshot()), before);
    assert_eq!(joiner.state_name(), "idle");
    join(&joiner, &founder);
}

#[test]
fn a_validation_that_has_no_more_time_says_who_has_not_answered() {
    let silent: Vec<_> = (0..4).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<_> = silent.iter().map(|listener| listener.local_addr().unwrap()).collect();
    let node = node();
    let mut connection = node.connect();
    connection.stream().set_read_timeout(Some(Duration::from_secs(50))).unwrap();
    let answer =
        connection.call(&Request::post("/v1/bootstrap/validate/join_cluster", join_body(&addresses).to_string()));
    let status = answer.json();
    assert_eq!((answer.status, status["error_code"].as_str()), (406, Some("connect_error")), "{status}");
    let tried = status["error_details"]["nodes_tried"].as_array().unwrap();
    assert!(tried.len() >= 3 && tried.iter().all(|node| node["reason"] == "no answer in time"), "{status}");
    assert_eq!(node.state_name(), "idle");
    drop(silent);
}

#[test]
fn config_error_two_agents_at_one_address_and_port() {
    let nodes = of(2);
    let taken = nodes[1].address().to_string();
    let joiner = node_with(&["--advertise", &taken]);
    let status = join_fails(&joiner, &join_body(&[nodes[0].address()]), "config_error");
    let message = status["error_details"]["message"].as_str().unwrap();
    assert!(message.contains(&taken) && message.contains("uid 2"), "{message}");
}

#[test]
fn a_clone_of_a_member_is_no_second_one() {
    let nodes = of(2);
    let mut copy = prepared(&[]);
    std::fs::create_dir_all(copy.state()).unwrap();
    let status =
        std::process::Command::new("cp").args(["-a"]).arg(nodes[1].state().join(".")).arg(copy.state()).status();
    assert!(status.unwrap().success());
    copy.run();
    // It is the member, for all that it knows; but it can join nothing, and the cluster has no third node.
    assert_eq!(copy.call(&Request::post("/v1/bootstrap/join_cluster", "{}")).status, 409);
    lists(&nodes[0], &[(1, "active"), (2, "active")]);
}

#[test]
fn leaving_a_join_by_a_restart_ends_it_and_the_same_body_joins_after() {
    let mut joiner = node();
    let body = {
        let nobody = free_address();
        let mut body = join_body(&[nobody]);
        body["max_retries"] = json!(255);
        body
    };
    joiner.accept("join_cluster", &body);
    joiner.kill9();
    joiner.run();
    let status = joiner.bootstrap_status();
    assert_eq!(status["error_code"], "internal_error");
    assert!(status["error_details"]["message"].as_str().unwrap().contains("restarted"), "{status}");
    join(&joiner, &founder());
}

#[test]
fn invalid_license_a_node_too_many_or_flash_that_is_not_granted() {
    let key = bootstrapd_tests::licence::public_key();
    let options = ["--license-key", key.as_str()];
    let founder = node_with(&options);
    let mut statement = bootstrapd_tests::licence::statement();
    statement["node_limit"] = json!(2);
    statement["features"] = json!([]);
    let license = bootstrapd_tests::licence::signed(&statement);
    assert_eq!(founder.attempt(&body::create_with("/license", json!(license)))["state"], "completed");
    let joiner = node();
    let flash = join_body_with(&[founder.address()], "/node/bigstore_driver", json!("speedb"));
    let status = join_fails(&joiner, &flash, "invalid_license");
    assert_eq!(status["error_details"]["violation"], "feature_missing");
    join(&joiner, &founder);
    let status = join_fails(&node(), &join_body(&[founder.address()]), "invalid_license");
    assert_eq!(status["error_details"]["violation"], "node_limit_exceeded");
}
