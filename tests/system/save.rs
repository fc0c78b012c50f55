//! Every system call with which the agent keeps something, failed once with each error that it may meet, and the
//! agent killed at each. Afterwards the node has the old record or the new one, never neither and never a mix; what
//! was answered is true, and nothing is left lying.

use std::fs;
use std::path::PathBuf;

use bootstrapd_tests::record::{CLUSTER, OWN};
use bootstrapd_tests::{Answer, Connection, Node, Request, body, eventually};
use serde_json::Value;

use crate::trace::{Attached, Fault, Place, Seen, faults, happened, seen, trace_starts};

/// The paths of one node in another's state directory.
fn moved(paths: &[PathBuf], from: &Node, to: &Node) -> Vec<PathBuf> {
    let below = |path: &PathBuf| path.strip_prefix(from.state()).unwrap().to_owned();
    // Joining nothing would leave a slash behind, which strace takes for another path.
    paths.iter().map(|path| to.state().components().chain(below(path).components()).collect()).collect()
}

/// A trace of a save that shows none of these has not seen the save.
fn assert_is_a_save(seen: &Seen) {
    let count = |names: &[&str]| names.iter().filter_map(|name| seen.counts.get(name)).sum::<usize>();
    assert!(count(&["open", "openat", "openat2", "creat"]) > 0, "{:?}", seen.counts);
    assert!(count(&["write", "writev", "pwrite64", "pwritev", "pwritev2"]) >= 2, "{:?}", seen.counts);
    assert!(count(&["fsync", "fdatasync"]) >= 2, "{:?}", seen.counts);
}

fn content(node: &Node, name: &str) -> Option<Vec<u8>> {
    fs::read(node.state_file(name)).ok()
}

/// Both copies of everything are there and say the same; of a cluster only where the node is in one.
fn assert_whole(node: &Node, in_cluster: bool, what: &str) {
    node.assert_tidy();
    let [node_a, node_b] = OWN.map(|name| content(node, name));
    assert!(node_a.is_some() && node_a == node_b, "{what}: the node's own copies differ");
    let [cluster_a, cluster_b] = CLUSTER.map(|name| content(node, name));
    assert_eq!(cluster_a.is_some(), in_cluster, "{what}");
    assert!(cluster_a == cluster_b, "{what}: the cluster's copies differ");
}

fn assert_completed(node: &Node, what: &str) {
    assert_eq!(node.get("/v1/bootstrap").status, 401, "{what}: it is open");
    assert_eq!(node.state_name(), "completed", "{what}");
    assert_eq!(node.get_as_admin("/v1/nodes").json().as_array().unwrap().len(), 1, "{what}");
    assert_whole(node, true, what);
}

/// The node is in no cluster, keeps nothing of one, and can still become one.
fn assert_usable(node: &Node, what: &str) {
    assert_whole(node, false, what);
    node.create();
    assert_completed(node, what);
}

// The first start.

#[test]
fn a_fault_anywhere_in_the_first_start_costs_that_start_at_most() {
    let mut reference = Node::prepare(&[]);
    let seen = traced_start(&mut reference);

    for (place, fault) in faults(&seen.counts) {
        let mut node = Node::prepare(&[]);
        let what = format!("{place:?} {fault:?}");
        let paths = moved(&seen.paths, &reference, &node);
        start_with_fault(&mut node, &paths, place, fault, |node| {
            let answer = node.get("/v1/bootstrap");
            assert!(answer.status == 200 || is_broken(&answer), "{what}: {answer:?}");
        });
        node.run();
        assert_eq!(node.bootstrap_status(), serde_json::json!({"state": "idle"}), "{what}");
        assert_usable(&node, &what);
    }
}

/// What a start does, which must be to save something. The node is stopped again.
fn traced_start(node: &mut Node) -> Seen {
    let output = node.directory().join("trace");
    trace_starts(node, &output, None);
    node.run();
    node.kill9();
    let seen = seen(&output, node);
    assert_is_a_save(&seen);
    seen
}

/// Tries every fault in a start that finds what `damage` left of a stopped node. Where that start gets ready, its status
/// is good or the node says that it is broken; the next start finds everything, which `check` looks at.
fn faults_in_a_start(
    mut reference: Node,
    mut node: Node,
    damage: impl Fn(&Node),
    is_good: impl Fn(&Answer) -> bool,
    check: impl Fn(&Node, &str),
) {
    reference.kill9();
    damage(&reference);
    let seen = traced_start(&mut reference);
    for (place, fault) in faults(&seen.counts) {
        node.kill9();
        damage(&node);
        let what = format!("{place:?} {fault:?}");
        let paths = moved(&seen.paths, &reference, &node);
        start_with_fault(&mut node, &paths, place, fault, |node| {
            let answer = node.get("/v1/bootstrap");
            assert!(is_good(&answer) || is_broken(&answer), "{what}: {answer:?}");
        });
        node.run();
        check(&node, &what);
    }
}

/// Starts the node with a fault, which must happen. It is ready, and `check`ed, or it ends and says why.
fn start_with_fault(node: &mut Node, paths: &[PathBuf], place: Place, fault: Fault, check: impl FnOnce(&Node)) {
    let output = node.directory().join("trace");
    trace_starts(node, &output, Some((place, fault, paths)));
    node.spawn();
    match (node.ready_or_ended(), fault) {
        (Ok(()), _) => check(node),
        (Err(code), Fault::Error(_)) => {
            assert_eq!(code, Some(78), "{place:?} {fault:?}: {}", node.log());
            let state = node.state().into_os_string().into_string().unwrap();
            assert!(node.log().contains(&state), "{place:?} {fault:?}: {}", node.log());
        }
        (Err(code), Fault::Kill) => assert_eq!(code, None, "{place:?} {fault:?}: {}", node.log()),
    }
    node.kill9();
    eventually(&format!("{place:?} {fault:?} to happen"), || happened(&output, fault).then_some(()));
    node.wrap(&[]);
}

fn is_broken(answer: &Answer) -> bool {
    answer.status == 503 && answer.error_code() == "internal_error"
}

// A start that has something to repair.

#[test]
fn a_fault_while_a_start_repairs_its_records_loses_nothing() {
    let damage = |node: &Node| {
        fs::write(node.state_file("node.b"), "bootstrapd node").unwrap();
        fs::remove_file(node.state_file(CLUSTER[0])).unwrap();
    };
    let is_closed = |answer: &Answer| answer.status == 401;
    faults_in_a_start(Node::created(), Node::created(), damage, is_closed, assert_completed);
}

// A start that has an attempt to clear away.

/// Kills the node in an attempt, where the cluster's record is kept and the node's own does not say so yet.
fn cut_short() -> Node {
    let mut node = Node::start();
    let output = node.directory().join("trace");
    // Both copies of the record that says "in an attempt", then both of the cluster's.
    let place = Place { call: "rename", number: 5 };
    let paths = [OWN, CLUSTER].concat().iter().map(|name| node.state_file(&format!("{name}.new"))).collect::<Vec<_>>();
    let strace = Attached::new(&node, &output, Some((place, Fault::Kill, &paths)));
    let mut connection = node.connect();
    connection.send(Request::create(&body::create()).bytes("a"));
    strace.wait();
    node.kill9();
    assert!([CLUSTER, OWN].as_flattened().iter().all(|name| content(&node, name).is_some()), "{place:?}");
    node
}

#[test]
fn a_fault_while_a_start_clears_an_attempt_away_leaves_that_to_the_next() {
    let reference = cut_short();
    let names = [OWN, CLUSTER].concat();
    let remains: Vec<_> = names.iter().map(|name| content(&reference, name).unwrap()).collect();
    let damage = |node: &Node| {
        fs::create_dir_all(node.state_file("persistent/ccs")).unwrap();
        for (name, bytes) in names.iter().zip(&remains) {
            fs::write(node.state_file(name), bytes).unwrap();
        }
    };
    let has_failed = |answer: &Answer| answer.json()["bootstrap_status"]["state"] == "error";
    faults_in_a_start(reference, Node::start(), damage, has_failed, |node, what| {
        assert_eq!(node.bootstrap_status()["state"], "error", "{what}: {}", node.log());
        assert_usable(node, what);
    });
}

// One attempt.

#[test]
fn a_fault_anywhere_in_an_attempt_leaves_the_state_before_or_the_one_after() {
    let reference = Node::start();
    let output = reference.directory().join("trace");
    let strace = Attached::new(&reference, &output, None);
    reference.create();
    strace.detach();
    let seen = seen(&output, &reference);
    assert_is_a_save(&seen);

    for (place, fault) in faults(&seen.counts) {
        attempt_with_fault(&reference, &seen.paths, place, fault);
    }
}

fn attempt_with_fault(reference: &Node, paths: &[PathBuf], place: Place, fault: Fault) {
    let mut node = Node::start();
    let paths = moved(paths, reference, &node);
    let what = format!("{place:?} {fault:?}");
    let output = node.directory().join("trace");
    let strace = Attached::new(&node, &output, Some((place, fault, &paths)));
    let mut connection = node.connect();
    connection.send(Request::create(&body::create()).bytes("a"));
    let answer = connection.try_answer().ok();
    let accepted = answer.as_ref().is_some_and(|answer| answer.status == 200);
    let end = if accepted { end_of_attempt(&node) } else { None };
    match (&answer, fault) {
        (Some(answer), _) if !accepted => {
            assert!(is_broken(answer), "{what}: {answer:?}");
            assert_eq!(node.state_name(), "idle", "{what}");
        }
        (None, Fault::Error(_)) => panic!("{what}: no answer\n{}", node.log()),
        (Some(_), Fault::Error(_)) => assert!(end.is_some(), "{what}: the agent died\n{}", node.log()),
        (_, Fault::Kill) => {}
    }
    let state = end.as_ref().map(|end| end["state"].as_str().unwrap());
    if state == Some("error") {
        // A record that could not even be read is the path's fault; what could not be kept is nobody's.
        let code = if failed_to_read_a_record(&output) { "path_error" } else { "internal_error" };
        assert_eq!(end.as_ref().unwrap()["error_code"], code, "{what}: {end:?}");
    }
    if state == Some("completed") {
        assert_whole(&node, true, &what);
    }
    match fault {
        Fault::Error(_) => strace.detach(),
        Fault::Kill => strace.wait(),
    }
    node.kill9();
    assert!(happened(&output, fault), "{what} did not happen");

    node.run();
    let found = node.bootstrap_status();
    let possible: &[&str] = match (answer.is_some(), accepted, state) {
        (_, true, Some("completed")) => &["completed"],
        // What was reported as failed does not succeed behind the reporter's back.
        (_, true, Some(_)) => &["error"],
        (_, true, None) => &["error", "completed"],
        (true, false, _) => &["idle"],
        (false, false, _) => &["idle", "error", "completed"],
    };
    assert!(possible.contains(&found["state"].as_str().unwrap()), "{what}: {answer:?}, {end:?}, but {found}");
    match found["state"].as_str().unwrap() {
        "completed" => assert_completed(&node, &what),
        _ => assert_usable(&node, &what),
    }
}

/// Whether the call that failed was to open a cluster's record for reading.
fn failed_to_read_a_record(trace: &str) -> bool {
    let text = fs::read_to_string(trace).unwrap();
    text.lines().any(|line| line.contains("INJECTED") && line.contains("O_RDONLY") && line.contains("/cluster."))
}

/// How the attempt ended, unless the agent did.
fn end_of_attempt(node: &Node) -> Option<Value> {
    let ask = Request::get("/v1/bootstrap").login(body::USER, body::PASSWORD).bytes("a");
    let mut connection = Connection::try_open(node.address()).ok()?;
    eventually("the attempt's end", || {
        connection.send(&ask);
        let Ok(answer) = connection.try_answer() else { return Some(None) };
        let status = answer.json()["bootstrap_status"].take();
        ["completed", "error"].contains(&status["state"].as_str().unwrap()).then_some(Some(status))
    })
}
