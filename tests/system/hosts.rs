//! Hosts of their own: each node in a network namespace with an address, on one switch. The test is at the switch, in a
//! namespace that only its thread is in.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::process::{self, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bootstrapd_tests::body::{self, PASSWORD, USER};
use bootstrapd_tests::cluster::{join_body, join_body_with, join_fails, listed, lists, uid};
use bootstrapd_tests::etcd::{Etcd, store};
use bootstrapd_tests::{Answer, Connection, Directory, Node, Random, Request, program, run, tls, within};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};

use super::codes::Small;
use super::required;

const PORT: u16 = 9443;
/// A join or a beat may have to wait for a connection that a cut has broken.
const PATIENCE: Duration = Duration::from_secs(90);

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A network, and how many hosts are on it.
struct Lan {
    name: String,
    is_ipv6: bool,
    hosts: usize,
}

impl Lan {
    fn new(is_ipv6: bool) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        unshare(CloneFlags::CLONE_NEWNET).expect("this test makes network namespaces, for which it must be root");
        ip("link set lo up");
        // With an address of its own: else it takes that of a port, another one as ports come and go, and hosts go on
        // sending to the old one for a while.
        ip("link add switch address 02:00:00:00:00:fe type bridge");
        ip("link set switch up");
        let lan =
            Self { name: format!("b{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed)), is_ipv6, hosts: 0 };
        ip(&format!("addr add {} dev switch{}", lan.with_length(254), lan.no_detection()));
        lan
    }

    fn address(&self, host: usize) -> IpAddr {
        if self.is_ipv6 { format!("fd77::{host}").parse().unwrap() } else { format!("10.77.0.{host}").parse().unwrap() }
    }

    fn with_length(&self, host: usize) -> String {
        format!("{}/{}", self.address(host), if self.is_ipv6 { 64 } else { 24 })
    }

    /// Nobody else can have these addresses: they are good at once.
    const fn no_detection(&self) -> &'static str {
        if self.is_ipv6 { " nodad" } else { "" }
    }

    fn host_name(&self, host: usize) -> String {
        format!("{}-{host}", self.name)
    }

    /// Another host: its number.
    fn add(&mut self) -> usize {
        self.hosts += 1;
        let (host, name) = (self.hosts, self.host_name(self.hosts));
        ip(&format!("netns add {name}"));
        ip(&format!("link add port{host} type veth peer name eth0 netns {name}"));
        ip(&format!("link set port{host} master switch up"));
        ip(&format!("-n {name} link set lo up"));
        ip(&format!("-n {name} link set eth0 up"));
        ip(&format!("-n {name} addr add {} dev eth0{}", self.with_length(host), self.no_detection()));
        host
    }

    /// Pulls a host's cable, or plugs it in.
    fn plug(host: usize, is_in: bool) {
        ip(&format!("link set port{host} {}", if is_in { "up" } else { "down" }));
    }

    /// A node on another host, started.
    fn node(&mut self, options: &[&str]) -> (usize, Node) {
        let (host, mut node) = self.prepared(options);
        node.run();
        (host, node)
    }

    fn prepared(&mut self, options: &[&str]) -> (usize, Node) {
        let host = self.add();
        let mut node = Node::prepare(&["--beat", "1", "--allow-plaintext"]);
        node.add_options(options);
        node.listen_on(SocketAddr::new(self.address(host), PORT));
        node.wrap(&["ip", "netns", "exec", &self.host_name(host)]);
        (host, node)
    }

    /// So many hosts with a cluster, in the order of their numbers there.
    fn cluster(&mut self, count: usize, options: &[&str]) -> Vec<Node> {
        let (_, founder) = self.node(options);
        founder.create();
        let mut nodes = vec![founder];
        while nodes.len() < count {
            let (_, joiner) = self.node(options);
            join_by_address(&joiner, &nodes[0]);
            nodes.push(joiner);
        }
        nodes
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for host in 1..=self.hosts {
            let _ = Command::new("ip").args(["netns", "del", &self.host_name(host)]).status();
        }
    }
}

/// Joins by the address alone: the port is the usual one.
fn join_by_address(joiner: &Node, through: &Node) {
    joiner.accept("join_cluster", &join_body(&[through.address().ip()]));
    let status = joiner.ended();
    assert_eq!(status["state"], "completed", "{status}\n{}", joiner.log());
}

fn within_lists(node: &Node, expected: &[(u64, &str)]) {
    within(PATIENCE, &format!("{expected:?} listed"), || {
        thread::sleep(Duration::from_millis(20));
        listed(node).iter().map(|(uid, status)| (*uid, &**status)).eq(expected.iter().copied()).then_some(())
    });
}

#[test]
fn four_hosts_are_one_cluster_over_ipv4_and_over_ipv6() {
    for is_ipv6 in [false, true] {
        let mut lan = Lan::new(is_ipv6);
        let nodes = lan.cluster(4, &[]);
        let all = [(1, "active"), (2, "active"), (3, "active"), (4, "active")];
        for node in &nodes {
            lists(node, &all);
        }
        let listed: Value = nodes[3].get_as_admin("/v1/nodes").json();
        for (host, node) in (1..).zip(listed.as_array().unwrap()) {
            assert_eq!(node["addr"], lan.address(host).to_string());
        }
        let info = nodes[1].get_as_admin("/v1/bootstrap").json()["local_node_info"].take();
        assert_eq!(info["available_addrs"][0]["address"], lan.address(2).to_string());
    }
}

/// Over TLS, as one has to from another host.
fn secure(node: &Node, request: &Request) -> Answer {
    Connection::secure(node.address(), &tls::client()).call(request)
}

fn completed(node: &Node) {
    let status = within(PATIENCE, "the end", || {
        let status =
            secure(node, &Request::get("/v1/bootstrap").login(USER, PASSWORD)).json()["bootstrap_status"].take();
        matches!(status["state"].as_str(), Some("completed" | "error")).then_some(status)
    });
    assert_eq!(status["state"], "completed", "{status}\n{}", node.log());
}

#[test]
fn without_plain_http_hosts_are_one_cluster_over_tls_and_clients_must_speak_it() {
    let mut lan = Lan::new(false);
    let mut start = |options: &[&str]| {
        let host = lan.add();
        let mut node = Node::prepare(&["--beat", "1"]);
        node.add_options(options);
        node.listen_on(SocketAddr::new(lan.address(host), PORT));
        node.wrap(&["ip", "netns", "exec", &lan.host_name(host)]);
        node.run();
        node
    };
    let [founder, joiner, third] = [start(&[]), start(&[]), start(&[])];
    // In plain HTTP nothing is done: neither what was asked, nor anything to the state.
    let answer = founder.call(&Request::create(&body::create()));
    assert_eq!((answer.status, answer.error_code()), (400, "bad_request".to_owned()));
    assert!(answer.description().contains("use https"), "{answer:?}");
    assert_eq!(secure(&founder, &Request::get("/v1/bootstrap")).json()["bootstrap_status"]["state"], "idle");
    assert_eq!(secure(&founder, &Request::create(&body::create())).status, 200);
    completed(&founder);
    for (joiner, through) in [(&joiner, &founder), (&third, &joiner)] {
        let body = join_body(&[through.address().ip()]).to_string();
        assert_eq!(secure(joiner, &Request::post("/v1/bootstrap/join_cluster", body)).status, 200);
        completed(joiner);
    }
    // Whoever waits in plain HTTP is told so at once: it would not be answered next time, either.
    let start_of_wait = Instant::now();
    let outcome = run(&["wait", "--url", &format!("http://{}", founder.address())]);
    assert!(outcome.code == Some(69) && outcome.errors.contains("use https"), "{outcome:?}");
    assert!(start_of_wait.elapsed() < Duration::from_secs(10));
    // They beat, over TLS as well.
    thread::sleep(Duration::from_secs(4));
    let nodes = secure(&founder, &Request::get("/v1/nodes").login(USER, PASSWORD)).json();
    let listed: Vec<_> = nodes.as_array().unwrap().iter().map(|node| node["status"].as_str().unwrap()).collect();
    assert_eq!(listed, ["active", "active", "active"]);
    // A host that has nothing but plain HTTP is talked to where that is allowed.
    let listener = TcpListener::bind(SocketAddr::new("10.77.0.254".parse().unwrap(), 0)).unwrap();
    let plain = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.read(&mut [0; 4096]);
            let _ = client.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let reasons = [
        (&[][..], "plain HTTP to another machine is not allowed"),
        (&["--allow-plaintext"], "not a member of a cluster"),
    ];
    for (options, reason) in reasons {
        let node = start(options);
        let mut body = join_body(&[plain]);
        body["max_retries"] = json!(0);
        assert_eq!(secure(&node, &Request::post("/v1/bootstrap/join_cluster", body.to_string())).status, 200);
        let status = within(PATIENCE, "the end", || {
            let status = secure(&node, &Request::get("/v1/bootstrap")).json()["bootstrap_status"].take();
            (status["state"] == "error").then_some(status)
        });
        assert_eq!(status["error_details"]["nodes_tried"][0]["reason"], reason, "{status}");
    }
}

#[test]
fn a_name_server_that_says_nothing_takes_no_more_time_than_there_is() {
    // One that takes questions and answers none, in a namespace that only this thread is in.
    unshare(CloneFlags::CLONE_NEWNET).expect("this test makes a network namespace, for which it must be root");
    ip("link set lo up");
    let silent = UdpSocket::bind("127.0.0.1:53").unwrap();
    let directory = Directory::new();
    let servers = directory.write("resolv.conf", "nameserver 127.0.0.1\n");
    let script = format!("mount --bind {servers} /etc/resolv.conf && exec \"$@\"");
    // Built before time counts.
    let program = program().to_str().unwrap();
    let start = Instant::now();
    let output = required("unshare")
        .args(["--mount", "sh", "-c", &script, "sh", program])
        .args(["wait", "--timeout", "2", "--url", "http://node.example:9443"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(75), "{output:?}");
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(6), "{took:?}");
    drop(silent);
}

#[test]
fn a_host_behind_a_cut_is_down_and_comes_back_as_what_it_was() {
    required("etcd");
    let mut lan = Lan::new(false);
    let mut nodes = lan.cluster(3, &[]);
    Lan::plug(3, false);
    within_lists(&nodes[0], &[(1, "active"), (2, "active"), (3, "down")]);
    let (_, joiner) = lan.node(&[]);
    join_fails(&joiner, &join_body(&[nodes[0].address().ip()]), "repair_required");
    Lan::plug(3, true);
    within_lists(&nodes[0], &[(1, "active"), (2, "active"), (3, "active")]);
    join_by_address(&joiner, &nodes[1]);
    // The founder, too: nobody joins meanwhile, and nobody is lost.
    Lan::plug(1, false);
    let (_, late) = lan.node(&[]);
    let mut body = join_body(&[nodes[1].address().ip()]);
    body["max_retries"] = json!(0);
    let status = join_fails(&late, &body, "connect_error");
    let reason = &status["error_details"]["nodes_tried"][0]["reason"];
    assert_eq!(reason, "the founder of its cluster does not answer, nobody can join");
    Lan::plug(1, true);
    let all = [(1, "active"), (2, "active"), (3, "active"), (4, "active")];
    nodes.push(joiner);
    for node in &nodes {
        within_lists(node, &all);
    }
}

#[test]
fn with_etcd_the_founders_cable_may_be_pulled_and_joins_go_on() {
    required("etcd");
    let mut lan = Lan::new(false);
    // At the switch, where every host reaches it.
    let etcd = Etcd::start_at(lan.address(254));
    let store = store(&etcd.addresses());
    let options = ["--store", &*store];
    let nodes = lan.cluster(3, &options);
    Lan::plug(1, false);
    let (_, joiner) = lan.node(&options);
    join_by_address(&joiner, &nodes[1]);
    within_lists(&nodes[1], &[(1, "down"), (2, "active"), (3, "active"), (4, "active")]);
    Lan::plug(1, true);
    within_lists(&nodes[0], &[(1, "active"), (2, "active"), (3, "active"), (4, "active")]);
}

/// The step that an attempt is at, as long as it can be asked.
fn step(node: &Node) -> String {
    let progress = node.get("/v1/bootstrap/progress");
    if progress.status != 200 {
        return String::new();
    }
    progress.json()["step_name"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_cable_that_is_pulled_at_any_step_of_a_join_loses_nobody() {
    let mut lan = Lan::new(false);
    let mut nodes = lan.cluster(2, &[]);
    let mut random = Random::new();
    for at in ["accept", "contact", "adopt", "confirm", "complete"] {
        let (_, joiner) = lan.node(&[]);
        let mut body = join_body(&[nodes[0].address().ip()]);
        body["max_retries"] = json!(9);
        joiner.accept("join_cluster", &body);
        // A step may be over before it is seen: then the cable is pulled a moment later.
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(500) && step(&joiner) != at {}
        // The founder's, so that the joiner can still be asked.
        Lan::plug(1, false);
        thread::sleep(Duration::from_millis(500 + random.below(2_000) as u64));
        Lan::plug(1, true);
        let status = within(PATIENCE, "the end of the join", || {
            thread::sleep(Duration::from_millis(50));
            let status = joiner.bootstrap_status();
            matches!(status["state"].as_str(), Some("completed" | "error")).then_some(status)
        });
        if status["state"] == "error" {
            // A founder that was cut off takes everyone for dead until their next beat.
            within(PATIENCE, "nobody down", || {
                thread::sleep(Duration::from_millis(20));
                listed(&nodes[0]).iter().all(|(_, status)| status != "down").then_some(())
            });
            join_by_address(&joiner, &nodes[0]);
        }
        nodes.push(joiner);
        let all: Vec<(u64, &str)> = (1..=nodes.len() as u64).map(|uid| (uid, "active")).collect();
        within_lists(&nodes[0], &all);
        assert_eq!(uid(nodes.last().unwrap()), nodes.len() as u64);
    }
    for node in &nodes {
        node.assert_tidy();
    }
}

#[test]
fn a_disk_that_is_full_when_the_record_comes_fails_the_join_and_leaves_nothing() {
    let mut lan = Lan::new(false);
    let nodes = lan.cluster(1, &[]);
    let (_, mut joiner) = lan.prepared(&[]);
    let path = joiner.directory().path().join("small");
    // A host sees what was mounted before it was started.
    let _small = Small::at(path.display().to_string());
    joiner.run();
    let filler = path.join("fill");
    let mut body = join_body_with(&[nodes[0].address().ip()], "/node/paths/persistent_path", json!(path));
    body["max_retries"] = json!(0);
    // All but a few pages.
    let mut pages = fs::File::create(&filler).unwrap();
    while pages.write_all(&[7; 4096]).is_ok() {}
    let status = join_fails(&joiner, &body, "internal_error");
    assert!(status["error_details"]["message"].as_str().unwrap().contains("could not be saved"), "{status}");
    assert!(!path.join("ccs").exists());
    drop(pages);
    fs::remove_file(filler).unwrap();
    // The founder still knows it by the number that it has given; the same node gets the same one.
    joiner.accept("join_cluster", &body);
    assert_eq!(joiner.ended()["state"], "completed", "{}", joiner.log());
    lists(&nodes[0], &[(1, "active"), (2, "active")]);
}

#[test]
fn clocks_that_are_apart_are_told_between_hosts_too() {
    required("faketime");
    let mut lan = Lan::new(true);
    let nodes = lan.cluster(1, &[]);
    let (host, mut joiner) = lan.prepared(&[]);
    let name = lan.host_name(host);
    joiner.wrap_with_clock(&["ip", "netns", "exec", &name], "+30s");
    joiner.run();
    let status = join_fails(&joiner, &join_body(&[nodes[0].address()]), "time_not_sync");
    assert!((29..=31).contains(&status["error_details"]["skew_seconds"].as_i64().unwrap()), "{status}");
    assert_eq!(nodes[0].call(&Request::validate(&body::create())).status, 409);
}
