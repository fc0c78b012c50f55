//! What the client's verbs draw on a terminal while they wait, and that they draw nothing anywhere else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "whatever fails here fails a test"
)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bootstrapd_tests::cluster::{founder, free_address, join_body_with, node};
use bootstrapd_tests::exit::*;
use bootstrapd_tests::fake::{document, fake, http};
use bootstrapd_tests::{Outcome, run_with, start};
use nix::pty::openpty;
use serde_json::{Value, json};

const PROGRESS: &str = "GET /v1/bootstrap/progress";

/// Runs the program with its standard error on a terminal.
fn on_a_terminal(arguments: &[&str], input: &str) -> Outcome {
    let pty = openpty(None, None).unwrap();
    let mut command = start(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(pty.slave);
    let mut child = command.spawn().unwrap();
    // It holds the terminal's end.
    drop(command);
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let mut terminal = File::from(pty.master);
    let reader = thread::spawn(move || {
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        // A terminal whose other end is closed reads as an error.
        while let Ok(count @ 1..) = terminal.read(&mut buffer) {
            seen.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8(seen).unwrap()
    });
    let output = child.wait_with_output().unwrap();
    let errors = reader.join().unwrap();
    Outcome { code: output.status.code(), output: String::from_utf8(output.stdout).unwrap(), errors }
}

/// A node's progress for ever, and its status.
fn stuck(progress: Value) -> (String, bootstrapd_tests::fake::Asked) {
    fake(move |request| {
        let status = document(&json!({"state": "joining_cluster"}));
        http("200 OK", &if request.starts_with(PROGRESS) { progress.to_string() } else { status })
    })
}

fn questions(asked: &bootstrapd_tests::fake::Asked) -> usize {
    asked.lock().unwrap().iter().filter(|request| request.starts_with(PROGRESS)).count()
}

#[test]
fn a_join_is_drawn_with_each_node_that_was_tried_and_each_warning_once() {
    let (founder, joiner, nobody) = (founder(), node(), free_address());
    let mut body = join_body_with(&[nobody], "/what_nobody_knows", json!(1));
    body["max_retries"] = json!(2);
    let url = joiner.url();
    let outcome = on_a_terminal(&["join", "--url", &url, "--json"], &body.to_string());
    assert_eq!(outcome.code, FAILED, "{outcome:?}");
    let drawn = &outcome.errors;
    assert_eq!(drawn.matches(&format!("{nobody}: connection refused\r\n")).count(), 2, "also as the reason: {drawn}");
    assert_eq!(drawn.matches("warning: /what_nobody_knows ").count(), 1, "{drawn}");
    for part in ["joining_cluster, step 3 of 6: contact, attempt 1", "attempt 2", "waiting 1 s (", " s)"] {
        assert!(drawn.contains(part), "{part}: {drawn}");
    }
    let document: Value = serde_json::from_str(&outcome.output).unwrap();
    assert_eq!(document["bootstrap_status"]["error_code"], "connect_error");
    // Where the way is short there is nothing to see but its end; and no login is needed to see that.
    body["cluster"]["nodes"] = json!([founder.address().to_string()]);
    let outcome = on_a_terminal(&["join", "--url", &url], &body.to_string());
    assert_eq!(outcome.code, DONE, "{outcome:?}");
    assert!(outcome.errors.ends_with("\r\x1b[K"), "the terminal is left clean: {outcome:?}");
    assert!(outcome.output.starts_with("state      completed\n"), "{outcome:?}");
}

#[test]
fn without_a_terminal_nothing_is_drawn_and_the_progress_is_not_asked_for() {
    let (url, asked) = stuck(json!({"revision": 1, "state": "joining_cluster"}));
    let outcome = run_with(&["wait", "--url", &url, "--timeout", "1"], &[], "");
    assert_eq!((outcome.code, &*outcome.errors), (TIMED_OUT, "timed out, the state is joining_cluster\n"));
    assert_eq!(questions(&asked), 0);
}

#[test]
fn a_server_does_nothing_to_the_terminal() {
    let evil = "a\u{1b}]0;title\u{7}\u{9b}2J\u{202e}\r\n".repeat(4);
    let nodes: Vec<Value> = (0..300)
        .map(|count| json!({"node": format!("{count}{evil}"), "pointer": format!("{count}{evil}"), "reason": evil}))
        .collect();
    let progress = json!({"revision": 1, "state": evil, "nodes_tried": nodes, "warnings": nodes,
        "step": evil, "steps": evil, "step_name": evil});
    let (url, _) = stuck(progress);
    let outcome = on_a_terminal(&["wait", "--url", &url, "--timeout", "2"], "");
    assert_eq!(outcome.code, TIMED_OUT, "{outcome:?}");
    let drawn = outcome.errors.replace("\r\n", "\n").replace("\r\x1b[K", "\n");
    let odd =
        drawn.chars().find(|character| (character.is_control() && *character != '\n') || *character == '\u{202e}');
    assert_eq!(odd, None, "{drawn:?}");
    assert!(drawn.contains("a?]0;title??2J?"), "{drawn}");
    assert!(drawn.lines().filter(|line| line.ends_with(" s)")).all(|line| line.chars().count() <= 79), "{drawn}");
    assert_eq!(drawn.lines().filter(|line| line.starts_with("warning: ")).count(), 100);
    assert_eq!(outcome.errors.matches("\r\n").count(), 101, "that is all that stays, but for the last word: {drawn}");
    // What an attempt ends with is a server's text, too.
    let failed = document(&json!({"state": "error", "error_code": "x", "error_details": {"message": evil}}));
    let (url, _) = fake(move |_| http("200 OK", &failed));
    for outcome in [on_a_terminal(&["wait", "--url", &url], ""), on_a_terminal(&["status", "--url", &url], "")] {
        let said = format!("{}{}", outcome.output, outcome.errors).replace("\x1b[K", "");
        assert!(said.contains("?]0;title") && !said.contains(['\x1b', '\u{9b}', '\u{202e}', '\u{7}']), "{said:?}");
    }
}

#[test]
fn a_server_that_answers_at_once_is_not_asked_all_the_time() {
    let (url, asked) = stuck(json!({"revision": 7, "state": "joining_cluster"}));
    let outcome = on_a_terminal(&["wait", "--url", &url, "--timeout", "3"], "");
    assert_eq!(outcome.code, TIMED_OUT);
    // 50 ms, doubling to a second: 50, 100, 200, 400, 800, 1000.
    let count = questions(&asked);
    assert!((3..=9).contains(&count), "{count}");
    let last = asked.lock().unwrap().iter().rfind(|request| request.starts_with(PROGRESS)).cloned().unwrap();
    assert!(last.starts_with("GET /v1/bootstrap/progress?after=7&wait="), "{last}");
}

#[test]
fn a_server_without_a_progress_is_followed_by_its_status() {
    for answer in
        [http("404 Not Found", "{}"), http("405 Method Not Allowed", "{}"), http("200 OK", "[1]"), b"x".to_vec()]
    {
        let start = Instant::now();
        let (url, _) = fake(move |request| {
            let ended = start.elapsed() > Duration::from_secs(1);
            let status = document(&json!({"state": if ended { "completed" } else { "creating_cluster" }}));
            if request.starts_with(PROGRESS) { answer.clone() } else { http("200 OK", &status) }
        });
        let outcome = on_a_terminal(&["wait", "--url", &url, "--timeout", "20"], "");
        assert_eq!(outcome.code, DONE, "{outcome:?}");
        assert!(outcome.errors.contains("creating_cluster (0 s)"), "{outcome:?}");
    }
}

#[test]
fn the_timeout_counts_where_the_progress_never_comes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).unwrap();
            if buffer[..count].starts_with(PROGRESS.as_bytes()) {
                held.push(stream);
            } else {
                let status = document(&json!({"state": "creating_cluster"}));
                stream.write_all(&http("200 OK", &status)).unwrap();
            }
        }
    });
    let start = Instant::now();
    let outcome = on_a_terminal(&["wait", "--url", &url, "--timeout", "2"], "");
    assert_eq!(outcome.code, TIMED_OUT, "{outcome:?}");
    assert!((2..4).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[test]
fn a_node_that_is_gone_is_not_drawn_as_it_was() {
    let asked_so_far = AtomicUsize::new(0);
    let (url, _) = fake(move |request| {
        // Gone after its first progress: what is written to nobody is no answer.
        if request.starts_with(PROGRESS) && asked_so_far.fetch_add(1, Ordering::Relaxed) == 0 {
            return http(
                "200 OK",
                &json!({"revision": 1, "state": "joining_cluster", "step": 3, "steps": 6,
                "step_name": "contact"})
                .to_string(),
            );
        }
        let is_first = asked_so_far.load(Ordering::Relaxed) == 0;
        if is_first { http("200 OK", &document(&json!({"state": "joining_cluster"}))) } else { Vec::new() }
    });
    let outcome = on_a_terminal(&["wait", "--url", &url, "--timeout", "3"], "");
    assert_eq!(outcome.code, UNREACHABLE, "{outcome:?}");
    let drawn: Vec<_> = outcome.errors.split("\r\x1b[K").collect();
    assert!(drawn.contains(&"joining_cluster, step 3 of 6: contact (0 s)"), "{drawn:?}");
    assert!(drawn.contains(&"no answer (1 s)") || drawn.contains(&"no answer (2 s)"), "{drawn:?}");
}

#[test]
fn the_timeout_counts_where_a_progress_is_as_long_as_it_may_be() {
    let long = "x".repeat(300);
    let rows: Vec<Value> =
        (0..100).map(|count| json!({"node": count.to_string() + &long, "pointer": long, "reason": "r"})).collect();
    let much = vec![json!([[1]]); 20_000];
    let (url, _) =
        stuck(json!({"a": much, "revision": 1, "state": "joining_cluster", "nodes_tried": rows, "warnings": rows}));
    let start = Instant::now();
    let outcome = on_a_terminal(&["wait", "--url", &url, "--timeout", "2"], "");
    assert_eq!(outcome.code, TIMED_OUT, "{outcome:?}");
    assert!(outcome.errors.contains("\n98xxx"), "the warning once, so that there is room for 99: {outcome:?}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
