//! Measures what the README claims and holds it against what was reached before: instructions by valgrind, system
//! calls by strace, sizes and memory from the system. Ends with 1 where a figure is worse than its limit.
//!
//! `figures FULL SMALL` takes the two static builds, `figures beside-nginx FULL` one; `figures loop parse|write COUNT` is
//! what is run in valgrind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "whatever fails here fails the measurement"
)]

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use bootstrapd_core::config::{Action, Config};
use bootstrapd_core::limits::STATUS_BYTES_MAX;
use bootstrapd_core::machine::Machine;
use bootstrapd_core::node::{Address, NodeInfo, Storage};
use bootstrapd_core::problems::Problems;
use bootstrapd_core::status;
use bootstrapd_core::time::Timestamp;
use bootstrapd_core::write::Writer;
use bootstrapd_tests::body::{self, TEXT_CREATE};
use bootstrapd_tests::{Connection, Node, Request, eventually, median};

mod beside;

/// Requests, or turns of a loop, that are taken off a longer run: what a start costs cancels out.
const FEW: u64 = 100;
const MANY: u64 = 1_100;
const CONNECTIONS: usize = 1_000;

/// A figure: what it is, the most that it should be, the most that this check lets pass.
struct Figure {
    name: &'static str,
    must: u64,
    limit: u64,
}

/// One that is the same on every machine: a tenth of room from what was reached, but never beyond what must be.
const fn figure(name: &'static str, must: u64, reached: u64) -> Figure {
    let limit = reached + reached / 10;
    Figure { name, must, limit: if limit < must { limit } else { must } }
}

/// One that is the machine's as much as ours (its page cache, its disk): all that it may be.
const fn roughly(name: &'static str, must: u64) -> Figure {
    Figure { name, must, limit: must }
}

const GET: Figure = figure("instructions, one GET, keep-alive", 8_000, 3_600);
const CLOSE: Figure = figure("instructions, one GET, close", 10_000, 4_900);
const POST: Figure = figure("instructions, one refused POST", 20_000, 19_900);
const CALLS: Figure = figure("system calls, one GET, keep-alive", 7, 3);
const CALLS_CLOSE: Figure = figure("system calls, one GET, close", 10, 8);
const PARSE: Figure = figure("instructions, the create body parsed", 16_000, 13_000);
const WRITE: Figure = figure("instructions, a status document written", 6_000, 1_700);
const SIZE_SMALL: Figure = figure("bytes, static, smallest", 800_000, 751_000);
const SIZE_FULL: Figure = figure("bytes, static, everything", 2_400_000, 2_010_000);
const IDLE: Figure = roughly("KiB resident, idle, smallest", 900);
const IDLE_FULL: Figure = roughly("KiB resident, idle, everything", 900);
const IDLE_AGAIN: Figure = roughly("KiB resident, idle, everything, restarted", 900);
const IDLE_THOUSAND: Figure = roughly("KiB resident, 1,000 idle connections", 6_000);
const THREADS: Figure = figure("threads, 1,000 connections", 4, 4);
const TLS_GET: Figure = figure("instructions, one GET in TLS, keep-alive", 20_000, 14_500);
const TLS_HANDSHAKE: Figure = figure("instructions, a handshake and one GET", 2_000_000, 1_500_000);
const TLS_THOUSAND: Figure = roughly("KiB more resident, 1,000 idle connections in TLS", 12_000);
const CREATE: Figure = roughly("milliseconds, POST to completed", 500);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["loop", "parse", count] => parse(count.parse().unwrap()),
        ["loop", "write", count] => write(count.parse().unwrap()),
        ["beside-nginx", full] => return beside::measure(full),
        [full, small] => return measure(full, small),
        _ => {
            eprintln!("usage: figures FULL SMALL, or figures beside-nginx FULL");
            return ExitCode::from(64);
        }
    }
    ExitCode::SUCCESS
}

/// What valgrind counts for reading the API text's own create body.
fn parse(count: u64) {
    let mut config = Box::<Config>::default();
    let mut problems = Box::<Problems>::default();
    for _ in 0..count {
        config.read(black_box(TEXT_CREATE), Action::CreateCluster, &mut problems);
        assert!(problems.is_empty());
    }
}

/// What valgrind counts for a status document, of which only the tail moves.
fn write(count: u64) {
    let machine = Box::<Machine>::default();
    let mut facts = Box::<NodeInfo>::default();
    facts.cores = Some(2);
    facts.total_memory = Some(1 << 34);
    let storage = |path: &str| Storage { path: path.try_into().unwrap(), size: Some(1 << 40) };
    facts.persistent = storage("/var/lib/bootstrapd/persistent");
    facts.ephemeral = storage("/var/lib/bootstrapd/ephemeral");
    for (address, interface) in [("192.0.2.2", "eth0"), ("fd00::2", "eth0"), ("fe80::fc:ff:fe00:1", "eth0")] {
        let interface = interface.try_into().unwrap();
        facts.addresses.push(Address { address: address.parse().unwrap(), interface }).unwrap();
    }
    let mut head = vec![0; STATUS_BYTES_MAX];
    let mut writer = Writer::new(&mut head);
    status::write_head(&machine, &facts, &mut writer);
    let length = writer.finish().unwrap();
    let mut document = Vec::with_capacity(STATUS_BYTES_MAX);
    for turn in 0..count {
        document.clear();
        document.extend_from_slice(black_box(&head[..length]));
        let mut tail = [0; 96];
        let mut writer = Writer::new(&mut tail);
        status::write_tail(black_box(Timestamp::from_seconds(1_700_000_000 + turn)), Some(turn), &mut writer);
        let length = writer.finish().unwrap();
        document.extend_from_slice(&tail[..length]);
        black_box(&document);
    }
}

fn measure(full: &str, small: &str) -> ExitCode {
    bootstrapd_tests::use_program(full);
    let size = |path: &str| fs::metadata(path).unwrap_or_else(|error| panic!("{path}: {error}")).len();
    let get = || Request::get("/v1/bootstrap");
    let close = || get().header("Connection", "close");
    let [idle_full, idle_again, idle_thousand, threads] = memory();
    let found = [
        (&GET, instructions(Node::connect, &get(), 200)),
        (&CLOSE, instructions(Node::connect, &close(), 200)),
        (&POST, instructions(Node::connect, &Request::post("/v1/bootstrap/create_cluster", wrong_body()), 400)),
        (&CALLS, calls(&get())),
        (&CALLS_CLOSE, calls(&close())),
        (&PARSE, loop_instructions("parse")),
        (&WRITE, loop_instructions("write")),
        (&SIZE_SMALL, size(small)),
        (&SIZE_FULL, size(full)),
        (&IDLE, idle(small)),
        (&IDLE_FULL, idle_full),
        (&IDLE_AGAIN, idle_again),
        (&IDLE_THOUSAND, idle_thousand),
        (&THREADS, threads),
        (&TLS_GET, instructions(Node::connect_tls, &get(), 200)),
        (&TLS_HANDSHAKE, instructions(Node::connect_tls, &close(), 200)),
        (&TLS_THOUSAND, tls_memory()),
        (&CREATE, create_milliseconds()),
    ];
    println!("{:<42} {:>10} {:>10} {:>10}", "figure", "found", "limit", "must");
    let mut good = true;
    for (Figure { name, must, limit }, found) in found {
        good &= found <= *limit;
        let mark = match (found <= *limit, found <= *must) {
            (false, _) => "  too much",
            (true, false) => "  over the must",
            (true, true) => "",
        };
        println!("{name:<42} {found:>10} {limit:>10} {must:>10}{mark}");
    }
    ExitCode::from(u8::from(!good))
}

/// The API text's create body with one member that is wrong.
fn wrong_body() -> Vec<u8> {
    let text = std::str::from_utf8(TEXT_CREATE).unwrap();
    let wrong = text.replace("\"1.2.3.4\"", "\"1.2.3.x\"");
    assert_ne!(text, wrong);
    wrong.into_bytes()
}

/// Sends `count` requests, on one connection where it stays.
fn send(node: &Node, connect: fn(&Node) -> Connection, request: &Request, count: u64, status: u16) {
    let mut connection = connect(node);
    for _ in 0..count {
        let answer = connection.call(request);
        assert_eq!(answer.status, status);
        if answer.header("Connection") == Some("close") {
            connection = connect(node);
        }
    }
}

/// KiB that idle connections in TLS take, each with its session.
fn tls_memory() -> u64 {
    let node = Node::start();
    let request = Request::get("/v1/bootstrap");
    assert_eq!(node.connect_tls().call(&request).status, 200);
    let before = resident(node.pid());
    let connections: Vec<Connection> = (0..CONNECTIONS)
        .map(|_| {
            let mut connection = node.connect_tls();
            assert_eq!(connection.call(&request).status, 200);
            connection
        })
        .collect();
    let taken = resident(node.pid()) - before;
    drop(connections);
    taken
}

/// User-mode instructions of one request.
fn instructions(connect: fn(&Node) -> Connection, request: &Request, status: u16) -> u64 {
    let run = |count| {
        let mut node = Node::prepare(&[]);
        node.wrap(&["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        node.run();
        send(&node, connect, request, count, status);
        assert_eq!(node.terminate(), Some(0), "{}", node.log());
        collected(&node.log())
    };
    (run(MANY) - run(FEW)) / (MANY - FEW)
}

fn collected(log: &str) -> u64 {
    let (_, count) = log.split_once("Collected : ").unwrap_or_else(|| panic!("valgrind counted nothing: {log}"));
    count.split_whitespace().next().unwrap().parse().unwrap()
}

fn loop_instructions(what: &str) -> u64 {
    let run = |count: u64| {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().unwrap())
            .args(["loop", what, &count.to_string()])
            .output()
            .unwrap_or_else(|error| panic!("valgrind: {error}"));
        assert!(output.status.success());
        collected(&String::from_utf8(output.stderr).unwrap())
    };
    (run(MANY) - run(FEW)) / (MANY - FEW)
}

/// System calls of one request, rounded up: what happens every few seconds counts too.
fn calls(request: &Request) -> u64 {
    let run = |count| {
        let mut node = Node::prepare(&[]);
        let trace = node.directory().join("trace");
        node.wrap(&["strace", "-D", "-f", "-qq", "-o", &trace]);
        node.run();
        send(&node, Node::connect, request, count, 200);
        assert_eq!(node.terminate(), Some(0), "{}", node.log());
        let trace = eventually("the end of the trace", || {
            let text = fs::read_to_string(&trace).unwrap();
            text.contains("exit_group(").then_some(text)
        });
        trace.lines().filter(|line| !line.contains("resumed>")).count() as u64
    };
    (run(MANY) - run(FEW) + (MANY - FEW) / 2) / (MANY - FEW)
}

/// KiB resident of another build, idle.
fn idle(program: &str) -> u64 {
    let mut node = Node::prepare(&[]);
    node.wrap(&["sh", "-c", &format!("exec '{program}' \"$@\"")]);
    node.run();
    send(&node, Node::connect, &Request::get("/v1/bootstrap"), 1, 200);
    resident(node.pid())
}

/// KiB resident, idle and with many idle connections, and the threads then.
fn memory() -> [u64; 4] {
    let mut node = Node::start();
    send(&node, Node::connect, &Request::get("/v1/bootstrap"), 1, 200);
    let idle = resident(node.pid());
    node.restart();
    send(&node, Node::connect, &Request::get("/v1/bootstrap"), 1, 200);
    let again = resident(node.pid());
    let connections: Vec<Connection> = (0..CONNECTIONS)
        .map(|_| {
            let mut connection = node.connect();
            assert_eq!(connection.call(&Request::get("/v1/bootstrap")).status, 200);
            connection
        })
        .collect();
    let busy = resident(node.pid());
    let status = fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let threads = status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap().trim().parse().unwrap();
    drop(connections);
    [idle, again, busy, threads]
}

fn resident(pid: u32) -> u64 {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(Path::new(&path)).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// From the POST to `completed`, the middle one of several.
fn create_milliseconds() -> u64 {
    let times = (0..7).map(|_| {
        let node = Node::start();
        let start = Instant::now();
        assert_eq!(node.call(&Request::create(&body::create())).status, 200);
        // A login costs a hash of its own, so it is the open probe that is asked.
        while node.get("/readyz").status != 200 {
            std::thread::sleep(Duration::from_millis(1));
        }
        start.elapsed()
    });
    median(times.collect()).as_millis() as u64
}
