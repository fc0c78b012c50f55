//! Where a machine has no memory for a password's hash, that is what it says, and never that the password is wrong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "whatever fails here fails a test"
)]

use std::fs;

use bootstrapd_tests::body::{self, PASSWORD, USER};
use bootstrapd_tests::cluster::{founder, join_body, join_fails, prepared};
use bootstrapd_tests::{Node, eventually};
use serde_json::{Value, json};

/// What an idle node takes of its address space, in KiB, with one heap for all threads.
fn idle(node: &mut Node) -> u64 {
    node.wrap(&["sh", "-c", "MALLOC_ARENA_MAX=1 exec \"$0\" \"$@\""]);
    node.restart();
    let status = fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    size.split_whitespace().next().unwrap().parse().unwrap()
}

/// Leaves a node enough from its next start on for everything but a hash of 19 MiB.
fn limit(node: &mut Node, idle: u64) {
    let limit = idle + 12 * 1024;
    node.wrap(&["sh", "-c", &format!("ulimit -v {limit} && MALLOC_ARENA_MAX=1 exec \"$0\" \"$@\"")]);
}

fn no_memory(status: &Value) {
    assert_eq!(status["error_code"], "internal_error", "{status}");
    assert!(status["error_details"]["message"].as_str().unwrap().contains("not enough memory"), "{status}");
}

#[test]
fn without_memory_for_a_hash_nobody_is_told_that_the_password_is_wrong() {
    let mut member = founder();
    let idle = idle(&mut member);

    let mut joiner = prepared(&[]);
    limit(&mut joiner, idle);
    joiner.run();
    no_memory(&join_fails(&joiner, &join_body(&[member.address()]), "internal_error"));
    joiner.accept("create_cluster", &body::create());
    no_memory(&joiner.ended());
    let record = member.state_file("persistent/ccs/cluster.a");
    let credentials = json!({"username": USER, "password": PASSWORD});
    joiner.accept("recover_cluster", &json!({"recovery_filename": record, "credentials": credentials}));
    no_memory(&joiner.ended());

    limit(&mut member, idle);
    member.restart();
    let answer = member.get_as_admin("/v1/nodes");
    assert_eq!((answer.status, answer.header("Retry-After")), (503, Some("1")), "{answer:?}");
    assert!(answer.text().contains("not enough memory"), "{answer:?}");
    // It was no verdict: as soon as there is memory, the same login is good.
    member.wrap(&[]);
    member.restart();
    eventually("a login", || (member.get_as_admin("/v1/nodes").status == 200).then_some(()));
}
