//! Several nodes on one machine. Each keeps its port over restarts, for the others find it there.

use std::net::{SocketAddr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::body::{self, PASSWORD, USER};
use crate::{Node, eventually, within};

/// How long it may take until everybody has noticed who is there: a lease in a store is 20 seconds.
const LISTED: Duration = Duration::from_secs(40);

/// How often members of these clusters say that they are there.
pub const BEAT: Duration = Duration::from_secs(1);

/// Where nodes keep their cluster's record, where a variable of this name says so: tests of clusters then hold for
/// that store.
const STORE: &str = "BOOTSTRAPD_TEST_STORE";

/// An address that nobody listens on, below the ports that the kernel gives to connections.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let number = u32::from(NEXT.fetch_add(1, Ordering::Relaxed)) + process::id() * 37;
        let address = SocketAddr::from(([127, 0, 0, 1], 10_000 + (number % 22_000) as u16));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// A node that is in no cluster yet.
pub fn node() -> Node {
    node_with(&[])
}

/// [`node`], with more options.
pub fn node_with(options: &[&str]) -> Node {
    let mut node = prepared(options);
    node.run();
    node
}

/// [`node_with`], not started.
pub fn prepared(options: &[&str]) -> Node {
    let mut node = Node::prepare(&["--beat", "1"]);
    if let Ok(store) = std::env::var(STORE) {
        // What one test's nodes share is named by its thread, which has the test's name.
        let prefix = format!("/{}/{}/", process::id(), thread::current().name().unwrap());
        node.add_options(&["--store", &store, "--store-prefix", &prefix]);
    }
    node.add_options(options);
    node.listen_on(free_address());
    node
}

/// A cluster of one.
pub fn founder() -> Node {
    let node = node();
    node.create();
    node
}

/// A cluster of so many nodes, each joined through the one before.
pub fn of(count: usize) -> Vec<Node> {
    let mut nodes = vec![founder()];
    while nodes.len() < count {
        let joiner = node();
        join(&joiner, nodes.last().unwrap());
        nodes.push(joiner);
    }
    nodes
}

/// A node that its cluster has replaced while it was dead, and has told so; `prepare` is given it before it runs again.
pub fn outcast(prepare: impl FnOnce(&mut Node)) -> Node {
    let mut nodes = of(2);
    let mut dead = nodes.pop().unwrap();
    dead.kill9();
    lists(&nodes[0], &[(1, "active"), (2, "down")]);
    assert_eq!(replace(&node(), &nodes[0], 2)["state"], "completed");
    prepare(&mut dead);
    dead.run();
    sent_away(&dead);
    dead
}

/// Has a node join in the place of the one with this number; how that ended.
pub fn replace(joiner: &Node, through: &Node, uid: u64) -> Value {
    joiner.accept("join_cluster", &join_body_with(&[through.address()], "/node/identity/uid", json!(uid)));
    joiner.ended()
}

/// The least that joins through nodes at these places.
pub fn join_body<T: ToString>(through: &[T]) -> Value {
    let nodes: Vec<String> = through.iter().map(ToString::to_string).collect();
    json!({
        "cluster": {"nodes": nodes},
        "credentials": {"username": USER, "password": PASSWORD},
        "max_retries": 3,
        "retry_time": 1,
    })
}

/// [`join_body`], with the member at `pointer` set.
pub fn join_body_with<T: ToString>(through: &[T], pointer: &str, value: Value) -> Value {
    let mut body = join_body(through);
    body::set(&mut body, pointer, value);
    body
}

/// Joins through a node, which must succeed.
pub fn join(joiner: &Node, through: &Node) {
    joiner.accept("join_cluster", &join_body(&[through.address()]));
    let status = joiner.ended();
    assert_eq!(status["state"], "completed", "{status}\n{}\n{}", joiner.log(), through.log());
}

/// A join that must fail: its `bootstrap_status`.
pub fn join_fails(joiner: &Node, body: &Value, error_code: &str) -> Value {
    joiner.accept("join_cluster", body);
    let status = joiner.ended();
    assert_eq!(status["error_code"], error_code, "{status}\n{}", joiner.log());
    status
}

/// The nodes that `node` lists: their uids and what it says of each.
pub fn listed(node: &Node) -> Vec<(u64, String)> {
    let answer = node.get_as_admin("/v1/nodes");
    assert_eq!(answer.status, 200, "{answer:?}\n{}", node.log());
    let nodes = answer.json();
    let entry = |node: &Value| (node["uid"].as_u64().unwrap(), node["status"].as_str().unwrap().to_owned());
    nodes.as_array().unwrap().iter().map(entry).collect()
}

/// What a node object has only where a node tells of itself.
pub const LOCAL: [&str; 11] = [
    "architecture",
    "os_version",
    "os_name",
    "os_family",
    "ephemeral_storage_path",
    "ephemeral_storage_size",
    "persistent_storage_path",
    "persistent_storage_size",
    "bigredis_storage_path",
    "system_time",
    "uptime",
];

/// What `node` says of the node with this number, as far as the cluster's record has it.
pub fn recorded(node: &Node, uid: u64) -> Value {
    let mut found = node.get_as_admin(&format!("/v1/nodes/{uid}")).json();
    found.as_object_mut().unwrap().retain(|name, _| !LOCAL.contains(&name.as_str()));
    found
}

/// Waits until `node` lists exactly these.
pub fn lists(node: &Node, expected: &[(u64, &str)]) {
    let mut last = Vec::new();
    within(LISTED, &format!("{expected:?} listed"), || {
        let now = listed(node);
        if now != last {
            last.clone_from(&now);
            eprintln!("{} lists {last:?}", node.address());
        }
        now.iter().map(|(uid, status)| (*uid, status.as_str())).eq(expected.iter().copied()).then_some(())
    });
}

/// Waits until every one of `nodes` lists exactly the uids `1..=count`, all active.
pub fn all_list(nodes: &[Node], count: u64) {
    let expected: Vec<(u64, &str)> = (1..=count).map(|uid| (uid, "active")).collect();
    for node in nodes {
        lists(node, &expected);
    }
}

/// The number that a node has in its cluster.
pub fn uid(node: &Node) -> u64 {
    node.get_as_admin("/v1/bootstrap").json()["local_node_info"]["uid"].as_u64().unwrap()
}

/// Waits until a node was sent away by its cluster, and says with which words.
pub fn sent_away(node: &Node) -> String {
    let status = eventually("sent away", || {
        let status = node.bootstrap_status();
        (status["state"] == "error").then_some(status)
    });
    assert_eq!(status["error_code"], "internal_error");
    status["error_details"]["message"].as_str().unwrap().to_owned()
}
