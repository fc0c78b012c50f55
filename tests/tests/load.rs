//! Many clients, slow clients and clients that go away: nobody keeps anybody else waiting, and nothing is left of
//! them. What must time out takes its ten seconds, so such tests do much at once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "whatever fails here fails a test"
)]

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use bootstrapd_tests::{AT_ONCE, Connection, Node, Request, body, eventually, median};
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{setsockopt, sockopt};

const GET: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
const STATUS: &str = "GET /v1/bootstrap HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST /v1/bootstrap/create_cluster HTTP/1.1\r\nHost: a\r\n";

/// When a slow client must be gone.
const GONE: Duration = Duration::from_secs(15);
/// What a new client may have to wait, whatever others do.
const PROMPT: Duration = Duration::from_millis(100);

fn descriptors(node: &Node) -> usize {
    fs::read_dir(format!("/proc/{}/fd", node.pid())).unwrap().count()
}

fn status_field(node: &Node, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    value.split_whitespace().next().unwrap().parse().unwrap()
}

/// As many descriptors for this process as it may have.
fn allow_descriptors(wanted: u64) {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    assert!(hard >= wanted, "this test needs {wanted} file descriptors, ulimit -Hn says {hard}");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
}

/// Waits until the node holds no more descriptors than before.
fn assert_back_to(node: &Node, before: usize) {
    eventually("the descriptors of before", || (descriptors(node) <= before).then_some(()));
}

/// How long a new client waits for its answer.
fn fresh_request(address: SocketAddr) -> Duration {
    let start = Instant::now();
    assert_eq!(Connection::open(address).call(&Request::get("/v1/bootstrap")).status, 200);
    start.elapsed()
}

/// Fresh requests until `end`, and how long each waited.
fn fresh_requests_until(node: &Node, end: Instant) -> Vec<Duration> {
    let mut times = Vec::new();
    while Instant::now() < end {
        times.push(fresh_request(node.address()));
        thread::sleep(Duration::from_millis(15));
    }
    times
}

/// Nearly none waited long.
fn assert_prompt(mut times: Vec<Duration>) {
    times.sort_unstable();
    let p99 = times[times.len() * 99 / 100];
    let count = times.len();
    let median = median(times);
    assert!(median < PROMPT && p99 < PROMPT, "{count} requests: median {median:?}, p99 {p99:?}");
}

/// A client that sends a byte a second and takes whatever comes.
struct Slow {
    stream: TcpStream,
    bytes: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
    closed: Option<Duration>,
}

impl Slow {
    fn open(node: &Node, at_once: &str, slowly: &str) -> Self {
        let mut stream = TcpStream::connect(node.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(at_once.as_bytes()).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self { stream, bytes: slowly.into(), sent: 0, received: Vec::new(), closed: None }
    }

    fn tick(&mut self, start: Instant) {
        if self.closed.is_none() {
            match self.stream.read_to_end(&mut self.received) {
                Ok(_) => self.closed = Some(start.elapsed()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The byte of a moment ago crossed the answer.
                Err(_) if !self.received.is_empty() => self.closed = Some(start.elapsed()),
                Err(error) => panic!("{error}, after {:?}", String::from_utf8_lossy(&self.received)),
            }
        }
        // Once it is answered there is nothing more to say.
        if self.received.is_empty() && self.closed.is_none() {
            let _ = self.stream.write(&self.bytes[self.sent..=self.sent]);
            self.sent += 1;
        }
    }

    fn assert_timed_out(&self) {
        let text = String::from_utf8_lossy(&self.received);
        assert!(text.starts_with("HTTP/1.1 408 ") && text.contains("\"request_timeout\""), "{text:?}");
        assert!(text.contains("\r\nConnection: close\r\n"), "{text:?}");
        assert_eq!(text.matches("HTTP/1.1").count(), 1, "{text:?}");
        let closed = self.closed.unwrap_or_else(|| panic!("still there after {GONE:?}"));
        assert!(closed < GONE, "{closed:?}");
    }
}

/// Drives slow clients until all must be gone, a byte a second each.
fn drive(slow: &mut [Slow], start: Instant) {
    for tick in 1..GONE.as_secs() {
        for slow in slow.iter_mut() {
            slow.tick(start);
        }
        thread::sleep((start + Duration::from_secs(tick)).saturating_duration_since(Instant::now()));
    }
    for slow in slow {
        slow.tick(start);
    }
}

#[test]
fn clients_that_send_a_byte_a_second_keep_nobody_waiting_and_are_gone_in_time() {
    let node = Node::start();
    let before = descriptors(&node);
    let start = Instant::now();
    let mut slow: Vec<_> = (0..300).map(|_| Slow::open(&node, "", GET)).collect();
    thread::scope(|scope| {
        scope.spawn(|| drive(&mut slow, start));
        assert_prompt(fresh_requests_until(&node, start + Duration::from_secs(13)));
    });
    slow.iter().for_each(Slow::assert_timed_out);
    drop(slow);
    assert_back_to(&node, before);
}

#[test]
fn slow_bodies_keep_no_newcomer_waiting_and_are_gone_in_time() {
    let node = Node::start();
    let before = descriptors(&node);
    let start = Instant::now();
    // More than any server would keep buffers for.
    let mut slow: Vec<_> = (0..200)
        .map(|index| match index % 3 {
            0 => Slow::open(&node, &format!("{POST}Content-Length: 1000\r\n\r\n"), "{\"cluster\":{\"name\":"),
            1 => Slow::open(&node, &format!("{POST}Transfer-Encoding: chunked\r\n\r\n5"), ";a=\"bcdefghijklmnop\""),
            _ => Slow::open(
                &node,
                &format!("{POST}Transfer-Encoding: chunked\r\n\r\n1000\r\n"),
                "{\"cluster\":{\"name\":",
            ),
        })
        .collect();
    thread::scope(|scope| {
        scope.spawn(|| drive(&mut slow, start));
        let mut times = Vec::new();
        while start.elapsed() < Duration::from_secs(11) {
            let asked = Instant::now();
            let answer = node.call(&Request::create(&body::refused()));
            assert_eq!((answer.status, answer.error_code().as_str()), (400, "config_error"));
            assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
            times.extend(fresh_requests_until(&node, Instant::now() + Duration::from_millis(700)));
        }
        assert_prompt(times);
    });
    slow.iter().for_each(Slow::assert_timed_out);
    drop(slow);
    assert_back_to(&node, before);
    node.create();
}

/// A connection and what was done on it, to be read when its time is over.
fn opened(node: &Node, bytes: &str) -> Connection {
    let mut connection = node.connect();
    connection.send(bytes);
    connection
}

fn assert_408(connection: &mut Connection, what: &str) {
    let answer = connection.try_answer().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!((answer.status, answer.error_code().as_str()), (408, "request_timeout"), "{what}");
    assert_eq!(answer.header("Connection"), Some("close"), "{what}");
    assert!(connection.is_closed(), "{what}");
}

#[test]
fn a_request_has_ten_seconds_and_an_idle_connection_more() {
    let node = Node::start();
    let before = descriptors(&node);
    let start = Instant::now();
    let mut silent = node.connect();
    let parts = [
        "G",
        "GET /healthz HTTP/1.1\r\nHost: a\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\n\r",
        &format!("{POST}Content-Length: 5\r\n\r\n"),
        &format!("{POST}Content-Length: 5\r\n\r\n1234"),
        &format!("{POST}Transfer-Encoding: chunked\r\n\r\n5\r\n123"),
        &format!("{POST}Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n"),
    ];
    let mut stuck: Vec<_> = parts.iter().map(|part| (*part, opened(&node, part))).collect();
    let mut waiting = opened(&node, &format!("{POST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
    assert_eq!(waiting.answer().status, 100);
    let mut idle = opened(&node, GET);
    let mut second = opened(&node, GET);
    assert_eq!((idle.answer().status, second.answer().status), (200, 200));
    thread::sleep(Duration::from_secs(3));
    assert!(silent.is_quiet());
    let second_start = Instant::now();
    second.send("GET /healthz HTTP/1.1\r\n");

    // Nothing was asked, so nothing is answered.
    assert!(silent.is_closed());
    let in_time = Duration::from_secs(8)..GONE;
    assert!(in_time.contains(&start.elapsed()), "{:?}", start.elapsed());
    for (part, connection) in &mut stuck {
        assert_408(connection, part);
    }
    assert_408(&mut waiting, "after 100 Continue");
    assert!(start.elapsed() < GONE, "{:?}", start.elapsed());
    assert_408(&mut second, "a second request");
    assert!(in_time.contains(&second_start.elapsed()), "{:?}", second_start.elapsed());

    // Connections are cheap: one that was good for something may stay.
    idle.send(GET);
    assert_eq!(idle.answer().status, 200);
    assert_eq!(node.state_name(), "idle");
    drop((silent, stuck, waiting, idle, second));
    assert_back_to(&node, before);
}

#[test]
fn a_login_that_was_checked_leaves_the_rest_of_a_request_no_more_time() {
    let node = Node::created();
    let start = Instant::now();
    let wrong = bootstrapd_tests::basic("x", "y");
    let head = format!("GET /v1/nodes HTTP/1.1\r\nHost: a\r\nAuthorization: {wrong}\r\nContent-Length: 1\r\n\r\n");
    let mut stuck: Vec<_> = (0..20).map(|_| opened(&node, &head)).collect();
    for connection in &mut stuck {
        assert_408(connection, "a body that never comes");
    }
    assert!(start.elapsed() < GONE, "{:?}", start.elapsed());
}

/// A client with a small window.
fn narrow(node: &Node) -> TcpStream {
    let stream = TcpStream::connect(node.address()).unwrap();
    setsockopt(&stream, sockopt::RcvBuf, &4096).unwrap();
    setsockopt(&stream, sockopt::SndBuf, &16_384).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
    stream
}

/// A client that asks until nothing more goes out, and never reads.
fn never_reads(node: &Node) -> TcpStream {
    let mut stream = narrow(node);
    let asked = STATUS.repeat(1000);
    let start = Instant::now();
    while stream.write_all(asked.as_bytes()).is_ok() {
        assert!(start.elapsed() < AT_ONCE, "the node reads on although nobody takes its answers");
    }
    stream
}

/// A client that asks for so little that the kernel may keep all the answers, and never reads.
fn never_reads_a_few(node: &Node) -> TcpStream {
    let mut stream = narrow(node);
    stream.write_all(STATUS.repeat(100).as_bytes()).unwrap();
    stream
}

#[test]
fn clients_that_never_read_cost_little_and_are_gone_in_time() {
    let node = Node::start();
    let before = descriptors(&node);
    let memory = status_field(&node, "VmRSS");
    let mute: Vec<_> = (0..15).flat_map(|_| [never_reads(&node), never_reads_a_few(&node)]).collect();
    let grown = status_field(&node, "VmRSS") - memory;
    assert!(grown < 16 * 1024, "30 clients that do not read cost {grown} KiB");
    let start = Instant::now();
    let mut times = Vec::new();
    while descriptors(&node) > before {
        assert!(start.elapsed() < GONE, "{} of 30 are still there", descriptors(&node) - before);
        times.extend(fresh_requests_until(&node, Instant::now() + Duration::from_secs(1)));
    }
    assert_prompt(times);
    drop(mute);
}

/// What a flood of connections may consist of.
const FLOODS: [&str; 5] = [
    "",
    "GET /v1/bootstrap HTTP/1.1\r\nHost: a\r\n",
    "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /v1/bootstrap/create_cluster HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{",
    "POST /v1/bootstrap/create_cluster HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
];

#[test]
fn a_new_client_is_served_however_many_others_hold_connections() {
    for limit in [48, 100] {
        let mut node = Node::prepare(&[]);
        node.limit_descriptors(limit);
        node.run();
        let before = descriptors(&node);
        for flood in FLOODS {
            let mut held = Vec::new();
            for _ in 0..300 {
                held.push(opened(&node, flood));
                if held.len() % 10 == 0 {
                    let time = fresh_request(node.address());
                    assert!(time < Duration::from_secs(2), "{limit} {flood:?}: {time:?} at {}", held.len());
                }
            }
            assert_eq!(node.call(&Request::create(&body::refused())).status, 400, "{limit} {flood:?}");
            drop(held);
            assert_back_to(&node, before);
        }
        let mute: Vec<_> = (0..20).map(|_| never_reads(&node)).collect();
        for _ in 0..100 {
            assert!(fresh_request(node.address()) < Duration::from_secs(2));
        }
        drop(mute);
        assert_back_to(&node, before);
        assert!(node.log().lines().count() < 100, "a flood floods the log: {}", node.log());
    }
}

#[test]
fn a_thousand_connections_are_kept_and_served_by_the_same_threads() {
    allow_descriptors(1200);
    let node = Node::start();
    let (before, threads) = (descriptors(&node), status_field(&node, "Threads"));
    assert!(threads <= 4, "{threads} threads");
    let mut connections: Vec<_> = (0..1000).map(|_| node.connect()).collect();
    for _ in 0..3 {
        for connection in &mut connections {
            connection.send(GET);
        }
        for connection in &mut connections {
            assert_eq!(connection.answer().status, 200);
        }
        assert_eq!(status_field(&node, "Threads"), threads);
    }
    assert!(fresh_request(node.address()) < Duration::from_secs(2));
    drop(connections);
    assert_back_to(&node, before);
    assert_eq!(status_field(&node, "Threads"), threads);
}

#[test]
fn the_threads_of_a_node_that_creates_are_as_many() {
    let node = Node::start();
    let threads = status_field(&node, "Threads");
    node.create();
    for _ in 0..20 {
        let _ = node.get_as_admin("/v1/nodes");
        let _ = node.call(&Request::get("/v1/nodes").login("nobody", "wrong"));
        assert_eq!(status_field(&node, "Threads"), threads);
    }
}

/// Ends a connection by a reset instead of an orderly close.
fn reset(connection: Connection) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(connection.stream(), sockopt::Linger, &linger).unwrap();
    drop(connection);
}

#[test]
fn clients_that_go_away_in_the_middle_leave_nothing() {
    let node = Node::start();
    let before = descriptors(&node);
    let refused = body::refused().to_string();
    let mut messages = vec![
        format!("{GET}{GET}{GET}"),
        GET.repeat(500),
        STATUS.repeat(500),
        format!("{POST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"),
        format!("{POST}Content-Length: 5\r\nContent-Length: 5\r\n\r\n"),
        format!("{POST}Content-Length: 1000000\r\n\r\n{}", "z".repeat(100_000)),
        format!("{POST}Content-Length: {}\r\n\r\n{refused}", refused.len()),
        format!("{POST}Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n3\r\n1"),
    ];
    let post = messages[6].clone();
    messages.extend((0..post.len()).step_by(9).map(|length| post[..length].to_owned()));
    for message in &messages {
        drop(opened(&node, message));
        reset(opened(&node, message));
        // Once the node has had the time to do something about it.
        let late = [opened(&node, message), opened(&node, message)];
        thread::sleep(Duration::from_millis(2));
        let [dropped, resetted] = late;
        drop(dropped);
        reset(resetted);
        assert_eq!(node.get("/healthz").status, 200);
    }
    assert_back_to(&node, before);
}

#[test]
fn a_client_that_hangs_up_behind_its_post_changes_nothing() {
    for orderly in [true, false] {
        let node = Node::start();
        let before = descriptors(&node);
        let post = Request::create(&body::create()).bytes("a");
        let mut connection = Connection::open_from(Ipv4Addr::LOCALHOST, node.address());
        connection.send(&post);
        if orderly {
            drop(connection);
        } else {
            // A reset may overtake a request that was not read yet.
            eventually("the start", || (node.state_name() != "idle").then_some(()));
            reset(connection);
        }
        eventually("the start", || (node.state_name() != "idle").then_some(()));
        assert_eq!(node.ended()["state"], "completed");
        assert_back_to(&node, before);
    }
}

#[test]
fn a_process_without_a_free_descriptor_does_not_spin() {
    let mut node = Node::prepare(&[]);
    node.run();
    let open = descriptors(&node);
    node.kill9();
    node.limit_descriptors(open.try_into().unwrap());
    node.run();
    let waiting = node.connect();
    let before = cpu_ticks(&node);
    thread::sleep(Duration::from_secs(1));
    let spent = cpu_ticks(&node) - before;
    assert!(spent < 20, "{spent} hundredths of a second in one second of waiting");
    drop(waiting);
}

/// Processor time of a node's process, in hundredths of a second.
fn cpu_ticks(node: &Node) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", node.pid())).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
