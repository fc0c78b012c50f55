//! The progress document, and waiting for it to change.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "whatever fails here fails a test"
)]

use std::thread;
use std::time::{Duration, Instant};

use bootstrapd_tests::body::{self, PASSWORD, USER};
use bootstrapd_tests::cluster::{founder, free_address, join_body, join_body_with, node};
use bootstrapd_tests::{Node, Request};
use serde_json::{Value, json};

const PATH: &str = "/v1/bootstrap/progress";

fn progress(node: &Node, query: &str) -> Value {
    let answer = node.call(&Request::get(&format!("{PATH}{query}")).login(USER, PASSWORD));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Everything that changes from now on, until an attempt has ended, without credentials; nothing where it completed
/// between two waits.
fn watch(node: &Node) -> Option<Vec<Value>> {
    let mut connection = node.connect();
    let mut seen = vec![connection.call(&Request::get(PATH)).json()];
    loop {
        let last = seen.last().unwrap();
        if seen.len() > 1 && matches!(last["state"].as_str(), Some("completed" | "error")) {
            return Some(seen);
        }
        let query = format!("{PATH}?after={}&wait=20", last["revision"]);
        let next = connection.call(&Request::get(&query));
        if next.status == 401 {
            return None;
        }
        let next = next.json();
        assert_ne!(next["revision"], last["revision"]);
        seen.push(next);
    }
}

/// What is seen of a join from its begin on.
fn watch_join(joiner: &Node, body: &Value) -> Option<Vec<Value>> {
    thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(joiner));
        thread::sleep(Duration::from_millis(100));
        joiner.accept("join_cluster", body);
        watcher.join().unwrap()
    })
}

fn steps(seen: &[Value]) -> Vec<(u64, &str)> {
    let steps = seen.iter().filter_map(|seen| Some((seen["step"].as_u64()?, seen["step_name"].as_str()?)));
    steps.collect()
}

#[test]
fn a_join_is_followed_step_by_step_to_its_end_over_one_connection() {
    let founder = founder();
    let nobody = free_address();
    let mut body = join_body_with(&[nobody, founder.address()], "/what_nobody_knows", json!(1));
    body["max_retries"] = json!(0);
    let follow = || {
        let joiner = node();
        let seen = watch_join(&joiner, &body)?;
        Some((joiner, seen))
    };
    let (joiner, seen) = (0..50).find_map(|_| follow()).expect("no wait is under way when an attempt completes");
    let steps = steps(&seen);
    assert!(steps.is_sorted_by_key(|(number, _)| *number), "{steps:?}");
    assert!(steps.contains(&(3, "contact")) && steps.contains(&(5, "confirm")), "{steps:?}");
    let tries = seen.iter().find(|seen| seen["node"] == json!(founder.address().to_string())).unwrap();
    assert_eq!((&tries["attempt"], &tries["steps"]), (&json!(1), &json!(6)));
    assert_eq!(tries["nodes_tried"], json!([{"node": nobody.to_string(), "reason": "connection refused"}]));
    assert_eq!(tries["warnings"][0]["pointer"], "/what_nobody_knows");
    // The last one came without credentials, to somebody who had begun to wait when none were needed.
    let last = seen.last().unwrap();
    assert_eq!((&last["state"], &last["step"]), (&json!("completed"), &Value::Null));
    assert_eq!(joiner.get(PATH).status, 401);
    assert_eq!(progress(&joiner, "")["state"], "completed");
}

#[test]
fn the_wait_between_two_tries_is_shown_and_what_was_tried_stays_in_the_end() {
    let joiner = node();
    let nobody = free_address();
    let mut body = join_body(&[nobody]);
    body["max_retries"] = json!(1);
    let seen = watch_join(&joiner, &body).unwrap();
    let waits = seen.iter().find(|seen| seen["wait_seconds"] == json!(1)).unwrap();
    assert_eq!((&waits["attempt"], &waits["step_name"]), (&json!(1), &json!("contact")));
    assert!(seen.iter().any(|seen| seen["attempt"] == json!(2)));
    let last = seen.last().unwrap();
    assert_eq!((&last["state"], &last["nodes_tried"][0]["reason"]), (&json!("error"), &json!("connection refused")));
}

#[test]
fn a_create_and_a_refusal_wake_whoever_waits() {
    let node = node();
    let first = progress(&node, "");
    assert_eq!(first["state"], "idle");
    let revision = &first["revision"];
    thread::scope(|scope| {
        let waiting = scope.spawn(|| progress(&node, &format!("?after={revision}&wait=20")));
        thread::sleep(Duration::from_millis(100));
        assert_eq!(node.call(&Request::create(&body::refused())).status, 400);
        assert_eq!(waiting.join().unwrap()["state"], "error");
    });
    node.create();
}

#[test]
fn a_wait_in_vain_ends_in_time_and_another_revision_is_answered_at_once() {
    let node = node();
    let revision = progress(&node, "")["revision"].as_u64().unwrap();
    let start = Instant::now();
    assert_eq!(progress(&node, &format!("?wait=1&after={revision}"))["revision"], revision);
    assert!((1_000..2_500).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    for query in [format!("?after={}&wait=30", revision + 1), "?wait=30".to_owned(), format!("?after={revision}")] {
        let start = Instant::now();
        progress(&node, &query);
        assert!(start.elapsed() < Duration::from_millis(500), "{query}");
    }
    for query in ["?after=x", "?wait=-1", "?wait=1e3", "?after=99999999999999999999"] {
        let answer = node.get(&format!("{PATH}{query}"));
        assert_eq!((answer.status, &answer.json()["error_code"]), (400, &json!("bad_request")), "{query}");
    }
    assert_eq!(node.call(&Request::post(PATH, "{}")).status, 405);
}

#[test]
fn of_more_than_32_waits_the_rest_is_answered_at_once() {
    let node = node();
    let revision = progress(&node, "")["revision"].as_u64().unwrap();
    let query = format!("{PATH}?after={revision}&wait=3");
    let mut waiting: Vec<_> = (0..32).map(|_| node.connect()).collect();
    for connection in &mut waiting {
        connection.send(Request::get(&query).bytes("localhost"));
    }
    thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    assert_eq!(node.get(&query).status, 200);
    assert!(start.elapsed() < Duration::from_secs(1));
    for connection in &mut waiting {
        assert_eq!(connection.answer().status, 200);
    }
}
