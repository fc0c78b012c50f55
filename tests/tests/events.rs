//! The progress as Server-Sent Events: what a client gets, and that one which does not read costs nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "whatever fails here fails a test"
)]

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use bootstrapd_tests::body::{self, PASSWORD, USER};
use bootstrapd_tests::cluster::{founder, join_body, node};
use bootstrapd_tests::{AT_ONCE, Node, Request, eventually};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket, sockopt};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// Events that do not fit into the buffers of a [`narrow`] connection.
const TOO_MANY: usize = 3_000;
const PATH: &str = "/v1/bootstrap/progress";

/// A stream of events, read strictly.
struct Events {
    stream: TcpStream,
    received: String,
    head: String,
}

impl Events {
    fn open(node: &Node, target: &str) -> Self {
        Self::ask(node, &request(target))
    }

    fn ask(node: &Node, request: &Request) -> Self {
        Self::send(node.connect().stream().try_clone().unwrap(), &request.bytes("localhost"))
    }

    fn send(mut stream: TcpStream, bytes: &[u8]) -> Self {
        stream.set_read_timeout(Some(AT_ONCE)).unwrap();
        stream.write_all(bytes).unwrap();
        let mut events = Self { stream, received: String::new(), head: String::new() };
        events.head = events.piece().unwrap();
        events
    }

    fn is_stream(&self) -> bool {
        let is = self.head.contains("\r\nContent-Type: text/event-stream\r\n");
        assert!(!is || self.head.starts_with("HTTP/1.1 200 OK\r\n"), "{}", self.head);
        assert!(!is || self.head.contains("\r\nCache-Control: no-store\r\n"), "{}", self.head);
        assert!(!self.head.contains("Access-Control"), "{}", self.head);
        is
    }

    /// What stands before the next empty line; nothing at the end.
    fn piece(&mut self) -> Option<String> {
        loop {
            let head = self.received.find("\r\n\r\n").map(|end| (end, 4));
            if let Some((end, length)) = head.or_else(|| self.received.find("\n\n").map(|end| (end, 2))) {
                let piece = self.received[..end + if length == 4 { 2 } else { 0 }].to_owned();
                self.received.drain(..end + length);
                return Some(piece);
            }
            let mut buffer = [0; 16 * 1024];
            match self.stream.read(&mut buffer).unwrap() {
                0 => {
                    assert_eq!(self.received, "", "a piece that is cut");
                    return None;
                }
                count => self.received += std::str::from_utf8(&buffer[..count]).unwrap(),
            }
        }
    }

    /// The next event's id and document; nothing at the end.
    fn next(&mut self) -> Option<(u64, Value)> {
        loop {
            let piece = self.piece()?;
            if piece == ":" || piece == "retry: 3000" {
                continue;
            }
            let lines: Vec<_> = piece.split('\n').collect();
            assert!(lines.len() == 3 && lines[1] == "event: progress", "{piece}");
            let id = lines[0].strip_prefix("id: ").unwrap().parse().unwrap();
            let document: Value = serde_json::from_str(lines[2].strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(document["revision"], json!(id));
            return Some((id, document));
        }
    }

    fn is_quiet(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let quiet = matches!(self.stream.read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        self.stream.set_read_timeout(Some(AT_ONCE)).unwrap();
        quiet && self.received.is_empty()
    }
}

fn request(target: &str) -> Request {
    Request::get(target).header("Accept", "text/event-stream")
}

fn refuse(node: &Node) {
    assert_eq!(node.call(&Request::create(&body::refused())).status, 400);
}

/// A connection whose client has room for little.
fn narrow(address: SocketAddr) -> TcpStream {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    setsockopt(&socket, sockopt::RcvBuf, &2048).unwrap();
    // The kernel of the other side then keeps little, too.
    setsockopt(&socket, sockopt::TcpMaxSeg, &536).unwrap();
    connect(socket.as_raw_fd(), &SockaddrStorage::from(address)).unwrap();
    TcpStream::from(socket)
}

#[test]
fn a_create_is_told_from_idle_to_completed_and_then_the_stream_ends() {
    let node = node();
    let mut events = Events::open(&node, PATH);
    assert!(events.is_stream() && events.head.contains("\r\nConnection: close\r\n"), "{}", events.head);
    let mut seen = vec![events.next().unwrap()];
    node.create();
    seen.extend(std::iter::from_fn(|| events.next()));
    assert!(seen.windows(2).all(|two| two[0].0 < two[1].0), "{seen:?}");
    let states: Vec<_> = seen.iter().map(|(_, seen)| seen["state"].as_str().unwrap()).collect();
    assert_eq!((states[0], states[states.len() - 1]), ("idle", "completed"));
    assert!(states.contains(&"creating_cluster"), "{states:?}");
    let steps: Vec<_> = seen.iter().filter_map(|(_, seen)| seen["step"].as_u64()).collect();
    assert!(steps.is_sorted() && steps.len() > 2, "{steps:?}");

    // The end came without credentials, to one who began when none were needed. Nobody else gets it.
    let refused = Events::open(&node, PATH);
    assert!(refused.head.starts_with("HTTP/1.1 401 ") && !refused.is_stream());
    // With them it is one event and the end, and whoever has that is told to stay away.
    let last = seen.last().unwrap();
    let mut again = Events::ask(&node, &request(PATH).login(USER, PASSWORD));
    assert!(again.is_stream());
    assert_eq!(again.next().as_ref(), Some(last));
    assert_eq!(again.next(), None);
    let has = request(PATH).login(USER, PASSWORD).header("Last-Event-ID", &last.0.to_string());
    let mut told = Events::ask(&node, &has);
    assert!(told.head.starts_with("HTTP/1.1 204 No Content\r\n") && !told.head.contains("Content-"), "{}", told.head);
    assert_eq!(told.piece(), None);
}

#[test]
fn a_join_and_a_failure_are_told_and_the_stream_outlives_a_failure() {
    let founder = founder();
    let joiner = node();
    let mut events = Events::open(&joiner, PATH);
    refuse(&joiner);
    let mut state = |wanted: &str| {
        let found = std::iter::from_fn(|| events.next()).find(|(_, seen)| seen["state"] == wanted);
        found.unwrap_or_else(|| panic!("{wanted} does not come")).1
    };
    state("error");
    joiner.accept("join_cluster", &join_body(&[founder.address()]));
    assert_eq!(state("joining_cluster")["steps"], json!(6));
    state("completed");
    assert_eq!(events.next(), None);
}

#[test]
fn what_a_client_has_is_not_told_again() {
    let node = node();
    let (first, _) = Events::open(&node, PATH).next().unwrap();
    let with = |target: &str, last: &str| Events::ask(&node, &request(target).header("Last-Event-ID", last));
    let other = format!("{PATH}?after={}", first + 1);
    let streams = [
        with(PATH, &first.to_string()),
        Events::open(&node, &format!("{PATH}?after={first}")),
        // What was seen last counts, not what was asked for at first.
        with(&other, &first.to_string()),
    ];
    let mut streams = streams.map(|mut events| {
        assert_eq!(events.piece().as_deref(), Some("retry: 3000"));
        assert!(events.is_quiet(Duration::from_millis(100)));
        events
    });
    for mut events in [Events::open(&node, &other), with(PATH, "x"), with(PATH, ""), with(PATH, "18446744073709551616")]
    {
        assert_eq!(events.next().unwrap().0, first);
    }
    refuse(&node);
    for events in &mut streams {
        assert!(events.next().unwrap().0 > first);
    }
    let malformed = Events::open(&node, &format!("{PATH}?after=x"));
    assert!(malformed.head.starts_with("HTTP/1.1 400 "), "{}", malformed.head);
    let twice = request(PATH).header("Last-Event-ID", "1").header("Last-Event-ID", "1");
    assert!(Events::ask(&node, &twice).head.starts_with("HTTP/1.1 400 "));
}

#[test]
fn only_who_asks_for_events_gets_them() {
    let node = node();
    for accept in ["*/*", "application/json", "application/json, text/event-stream", "application/*", ""] {
        let answer = node.call(&Request::get(PATH).header("Accept", accept));
        assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("idle")), "{accept}");
    }
    for accept in ["text/event-stream", "text/event-stream, */*;q=0.1", "text/*", "Text/Event-Stream"] {
        assert!(Events::ask(&node, &Request::get(PATH).header("Accept", accept)).is_stream(), "{accept}");
    }
    let lines = Request::get(PATH).header("Accept", "text/html").header("Accept", "text/event-stream");
    assert!(Events::ask(&node, &lines).is_stream());
    // No other resource has any.
    for path in ["/v1/bootstrap", "/healthz"] {
        assert_eq!(node.call(&request(path)).status, 406, "{path}");
    }
    for origin in ["http://evil.example", "null"] {
        let events = Events::ask(&node, &request(PATH).header("Origin", origin));
        assert!(events.head.starts_with("HTTP/1.1 403 "), "{}", events.head);
    }
    // HEAD is the head, and says no more.
    let mut head = Events::ask(&node, &Request::new("HEAD", PATH).header("Accept", "text/event-stream"));
    assert!(head.is_stream());
    assert_eq!(head.piece(), None);
}

#[test]
fn http_1_0_has_them_too() {
    let node = node();
    let bytes = format!("GET {PATH} HTTP/1.0\r\nAccept: text/event-stream\r\nConnection: keep-alive\r\n\r\n");
    let mut events = Events::send(node.connect().stream().try_clone().unwrap(), bytes.as_bytes());
    assert!(events.is_stream() && events.head.contains("\r\nConnection: close\r\n"), "{}", events.head);
    events.next().unwrap();
    node.create();
    assert_eq!(std::iter::from_fn(|| events.next()).last().unwrap().1["state"], "completed");
}

#[test]
fn what_is_sent_behind_the_request_is_never_acted_on() {
    let node = node();
    let both = [request(PATH).bytes("localhost"), Request::create(&body::create()).bytes("localhost")].concat();
    let mut events = Events::send(node.connect().stream().try_clone().unwrap(), &both);
    events.next().unwrap();
    assert!(events.is_quiet(Duration::from_millis(300)));
    assert_eq!(node.state_name(), "idle");
    node.create();
    assert_eq!(std::iter::from_fn(|| events.next()).last().unwrap().1["state"], "completed");
}

#[test]
fn of_more_than_32_streams_and_waits_the_rest_gets_one_event_and_the_end() {
    let node = node();
    let (revision, _) = Events::open(&node, PATH).next().unwrap();
    // That one's end is noticed once something is written to it.
    refuse(&node);
    refuse(&node);
    let wait = format!("{PATH}?after={}&wait=20", revision + 2);
    let mut waiting: Vec<_> = (0..16).map(|_| node.connect()).collect();
    for connection in &mut waiting {
        connection.send(Request::get(&wait).bytes("localhost"));
    }
    let open = || {
        let mut events = Events::open(&node, PATH);
        events.next().unwrap();
        events
    };
    let mut streams: Vec<_> = (0..16).map(|_| open()).collect();
    let mut further = open();
    assert_eq!(further.next(), None);
    let has = format!("{PATH}?after={}", revision + 2);
    let mut further = Events::open(&node, &has);
    assert_eq!((further.is_stream(), further.next()), (true, None));
    let start = Instant::now();
    assert_eq!(node.get(&wait).status, 200);
    assert!(start.elapsed() < Duration::from_secs(1));
    // Streams of clients that have gone make room as soon as they would be told something.
    streams.truncate(8);
    eventually("room", || {
        refuse(&node);
        let mut events = open();
        events.is_quiet(Duration::from_millis(50)).then_some(())
    });
    assert!(waiting.iter_mut().all(|connection| connection.answer().status == 200));
    for events in &mut streams {
        assert!(events.next().unwrap().0 > revision + 2);
    }
}

#[test]
fn a_client_that_reads_late_gets_the_newest_and_nothing_is_kept_for_it() {
    let node = node();
    let mut late = Events::send(narrow(node.address()), &request(PATH).bytes("localhost"));
    assert_eq!(late.next().unwrap().1["state"], "idle");
    let memory = resident_kib(&node);
    let mut connection = node.connect();
    let refused = Request::create(&body::refused());
    let start = Instant::now();
    // More than the kernels keep for a connection.
    for _ in 0..TOO_MANY {
        assert_eq!(connection.call(&refused).status, 400);
    }
    eprintln!("{:?}, {} KiB more", start.elapsed(), resident_kib(&node) - memory);
    assert!(resident_kib(&node) < memory + 1_000);
    let newest = connection.call(&Request::get(PATH)).json()["revision"].as_u64().unwrap();
    let mut seen: Vec<u64> = Vec::new();
    while seen.last() != Some(&newest) {
        seen.push(late.next().expect("the newest").0);
    }
    eprintln!("{} events", seen.len());
    assert!(seen.is_sorted() && seen.len() < TOO_MANY, "{} events", seen.len());
}

#[test]
fn a_client_that_never_reads_is_ended_and_others_notice_nothing() {
    let node = node();
    let mut deaf = Events::send(narrow(node.address()), &request(PATH).bytes("localhost"));
    let mut reader = Events::open(&node, PATH);
    let mut connection = node.connect();
    let refused = Request::create(&body::refused());
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    while start.elapsed() < Duration::from_secs(14) {
        let before = Instant::now();
        assert_eq!(connection.call(&refused).status, 400);
        slowest = slowest.max(before.elapsed());
        reader.next().unwrap();
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    // What the kernel held for it still comes, but not the newest; and then the end, in one way or the other.
    let newest = connection.call(&Request::get(PATH)).json()["revision"].as_u64().unwrap();
    let mut bytes = Vec::new();
    let _ = deaf.stream.read_to_end(&mut bytes);
    assert!(!String::from_utf8_lossy(&bytes).contains(&format!("id: {newest}\n")));
}

#[test]
fn a_stream_without_news_shows_that_it_lives() {
    let node = node();
    let mut events = Events::open(&node, PATH);
    events.next().unwrap();
    let start = Instant::now();
    assert_eq!(events.piece().as_deref(), Some(":"));
    assert!((14..18).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    refuse(&node);
    assert_eq!(events.next().unwrap().1["state"], "error");
}

#[test]
fn who_begins_to_wait_in_the_moment_of_a_change_takes_nobody_elses_news() {
    let node = node();
    let revision = node.get(PATH).json()["revision"].as_u64().unwrap();
    let [mut before, mut changes, mut after] = [(); 3].map(|()| node.connect());
    let wait = |revision: u64| Request::get(&format!("{PATH}?after={revision}&wait=20")).bytes("localhost");
    before.send(wait(revision));
    std::thread::sleep(Duration::from_millis(100));
    // All that happens while it is stopped is one turn of its loop.
    let pid = Pid::from_raw(node.pid().try_into().unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();
    changes.send(Request::create(&body::refused()).bytes("localhost"));
    std::thread::sleep(Duration::from_millis(50));
    after.send(wait(revision + 1));
    std::thread::sleep(Duration::from_millis(50));
    kill(pid, Signal::SIGCONT).unwrap();
    let start = Instant::now();
    assert_eq!(before.answer().json()["revision"], json!(revision + 1));
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(after.is_quiet());
    refuse(&node);
    assert_eq!(after.answer().json()["revision"], json!(revision + 2));
}

#[test]
fn streams_do_not_keep_the_agent_from_ending() {
    let mut node = node();
    let mut events = Events::open(&node, PATH);
    events.next().unwrap();
    assert_eq!(node.terminate(), Some(0));
    assert_eq!(events.next(), None);
}

fn resident_kib(node: &Node) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
