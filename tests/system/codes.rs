//! Refusals of a cluster whose causes take a machine to arrange: a clock that is off, too little memory, too little flash.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use bootstrapd_tests::Node;
use bootstrapd_tests::cluster::{BEAT, founder, join, join_body, join_body_with, join_fails, lists, node, prepared};
use serde_json::{Value, json};

use crate::required;

#[test]
fn time_not_sync_says_how_far_the_clock_is_off() {
    required("faketime");
    let founder = founder();
    for (offset, skew) in [("+60s", 60), ("-90s", -90)] {
        let mut joiner = prepared(&[]);
        joiner.wrap_with_clock(&[], offset);
        joiner.run();
        let status = join_fails(&joiner, &join_body(&[founder.address()]), "time_not_sync");
        let said = status["error_details"]["skew_seconds"].as_i64().unwrap();
        assert!((said - skew).abs() <= 1, "{said}");
    }
    let mut near = prepared(&[]);
    near.wrap_with_clock(&[], "+3s");
    near.run();
    join(&near, &founder);
}

/// A control group of a test's own that limits memory, of version 1 or 2, whichever there is.
struct Limited(PathBuf);

impl Limited {
    fn to(bytes: u64) -> Self {
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let (root, file) =
            if v1.is_dir() { (v1, "memory.limit_in_bytes") } else { (Path::new("/sys/fs/cgroup"), "memory.max") };
        let group = root.join(format!("bootstrapd-test-{}", process::id()));
        fs::create_dir_all(&group).expect("this test makes a control group, for which it must be root");
        fs::write(group.join(file), bytes.to_string()).expect("this test needs the memory controller");
        Self(group)
    }

    /// Has a node run in it from its next start on.
    fn hold(&self, node: &mut Node) {
        let tasks = self.0.join("cgroup.procs").display().to_string();
        node.wrap(&["sh", "-c", &format!("echo $$ >{tasks} && exec \"$0\" \"$@\"")]);
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// A cluster whose second node is dead; it had flash storage if `body` says so.
fn with_a_dead_node(changes: &[(&str, Value)]) -> (Node, Node) {
    let founder = founder();
    let mut dead = node();
    let mut body = join_body(&[founder.address()]);
    for (pointer, value) in changes {
        bootstrapd_tests::body::set(&mut body, pointer, value.clone());
    }
    dead.accept("join_cluster", &body);
    let status = dead.ended();
    assert_eq!(status["state"], "completed", "{status}");
    dead.kill9();
    std::thread::sleep(BEAT * 3);
    lists(&founder, &[(1, "active"), (2, "down")]);
    (founder, dead)
}

#[test]
fn insufficient_node_memory_says_how_much_is_needed() {
    let (founder, _dead) = with_a_dead_node(&[]);
    let had = founder.get_as_admin("/v1/nodes/2").json()["total_memory"].as_u64().unwrap();
    let limited = Limited::to(128 << 20);
    let mut joiner = prepared(&[]);
    limited.hold(&mut joiner);
    joiner.run();
    let body = join_body_with(&[founder.address()], "/node/identity/uid", json!(2));
    let status = join_fails(&joiner, &body, "insufficient_node_memory");
    assert_eq!(status["error_details"]["required_memory"], json!((had * 98).div_ceil(100)));
    joiner.kill9();
}

/// A small file system of a test's own.
pub(super) struct Small(String);

impl Small {
    pub(super) fn at(path: String) -> Self {
        fs::create_dir_all(&path).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs", &path]).status().unwrap();
        assert!(mounted.success(), "this test mounts a file system, for which it must be root");
        Self(path)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn insufficient_node_flash_says_how_much_is_needed() {
    let flash = [("/node/bigstore_driver", json!("speedb"))];
    let (founder, _dead) = with_a_dead_node(&flash);
    let had = founder.get_as_admin("/v1/nodes/2").json()["bigstore_size"].as_u64().unwrap();
    let joiner = node();
    let small = Small::at(joiner.directory().join("small"));
    let mut body = join_body_with(&[founder.address()], "/node/identity/uid", json!(2));
    bootstrapd_tests::body::set(&mut body, "/node/bigstore_driver", json!("speedb"));
    bootstrapd_tests::body::set(&mut body, "/node/paths/bigstore_path", json!(small.0));
    let status = join_fails(&joiner, &body, "insufficient_node_flash");
    assert_eq!(status["error_details"]["required_flash"], json!((had * 98).div_ceil(100)));
    // Without flash at all it is not enough either.
    let body = join_body_with(&[founder.address()], "/node/identity/uid", json!(2));
    join_fails(&joiner, &body, "insufficient_node_flash");
}
