//! The verbs that join, recover, validate and list nodes. What they share with `create` and `status` is also in
//! `client.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "whatever fails here fails a test"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bootstrapd_tests::body::{self, PASSWORD, USER};
use bootstrapd_tests::exit::*;
use bootstrapd_tests::fake::{Asked, document, fake, fake_in, http};
use bootstrapd_tests::{Directory, Node, Outcome, basic, eventually, run, run_with};
use serde_json::{Value, json};

/// Each verb that starts an attempt, its action, and a body for it.
fn attempts() -> [(&'static str, &'static str, Value); 3] {
    [
        ("create", "create_cluster", body::create()),
        ("join", "join_cluster", join()),
        ("recover", "recover_cluster", recover()),
    ]
}

fn join() -> Value {
    json!({
        "cluster": {"nodes": ["127.0.0.1:1"]},
        "credentials": {"username": USER, "password": PASSWORD},
        "max_retries": 0,
    })
}

/// Without credentials, which are optional here.
fn recover() -> Value {
    json!({"recovery_filename": "/no/such/file"})
}

/// Runs a verb against `url`, with the body on standard input.
fn verb(url: &str, arguments: &[&str], body: &Value) -> Outcome {
    run_with(&[arguments, &["--url", url]].concat(), &[], &body.to_string())
}

/// The value of `Authorization` that a request carries.
fn authorization(request: &str) -> Option<String> {
    let lines = request.lines().take_while(|line| !line.is_empty());
    let found =
        lines.filter_map(|line| line.split_once(": ")).find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    found.map(|(_, value)| value.to_owned())
}

/// A server that accepts every attempt; then its node is closed, and says so at `/readyz` with this status.
fn fake_closed(ready: &'static str) -> (String, Asked) {
    fake(move |request| match request.split(' ').collect::<Vec<_>>()[..2] {
        ["POST", _] => http("200 OK", ""),
        ["GET", "/readyz"] => http(ready, "word"),
        _ => http("401 Unauthorized", ""),
    })
}

/// A failed attempt with these details.
fn failed(code: &str, details: &Value) -> Value {
    json!({"state": "error", "error_code": code, "error_details": details})
}

/// Failures with details, and the lines that people must see.
fn failures() -> [(Value, &'static [&'static str]); 5] {
    [
        (
            failed(
                "connect_error",
                &json!({"message": "no node could be reached", "nodes_tried": [
                    {"node": "10.0.0.1", "reason": "connection refused"},
                    {"node": "a.example:8080", "reason": "name not found"},
                ]}),
            ),
            &[
                "connect_error: no node could be reached",
                "10.0.0.1: connection refused",
                "a.example:8080: name not found",
            ],
        ),
        (
            failed(
                "repair_required",
                &json!({"message": "a node is down", "replace_candidate": 3, "failed_nodes": [
                    {"uid": 2}, {"uid": 3, "rack_id": "r1"},
                ]}),
            ),
            &["repair_required: a node is down", "failed: node 2", "failed: node 3, rack r1", "to replace: node 3"],
        ),
        (
            failed(
                "node_config_mismatch",
                &json!({"message": "m", "mismatches": [{"setting": "config_dir", "cluster": "/a", "node": "/b"}]}),
            ),
            &["node_config_mismatch: m", "config_dir: /a in the cluster, /b here"],
        ),
        (failed("access_denied", &json!({"message": "wrong password"})), &["access_denied: wrong password"]),
        (
            failed("connect_error", &json!({"message": "no node was given", "nodes_tried": []})),
            &["connect_error: no node was given"],
        ),
    ]
}

fn assert_lines(outcome: &Outcome, lines: &[&str]) {
    assert_eq!(outcome.errors.lines().collect::<Vec<_>>(), lines, "{outcome:?}");
}

// Join and recover.

#[test]
fn each_verb_posts_to_its_own_path_and_polls_with_what_it_posted() {
    for (name, action, body) in attempts() {
        let (url, asked) = fake_in("completed");
        let directory = Directory::new();
        let password = directory.write("password", "other");
        let flags = ["--user", "other", "--password-file", &password];
        let outcome = verb(&url, &[&[name][..], &flags].concat(), &body);
        assert_exit(&outcome, DONE);
        assert!(outcome.output.contains("completed"), "{outcome:?}");
        let asked = asked.lock().unwrap();
        let (head, sent) = asked[0].split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("POST /v1/bootstrap/{action} HTTP/1.1\r\n")), "{head}");
        assert_eq!(sent, body.to_string());
        // The flags' login where the body has none.
        let login = if name == "recover" { basic("other", "other") } else { basic(USER, PASSWORD) };
        assert_eq!(asked[1..].iter().map(|poll| authorization(poll)).collect::<Vec<_>>(), [Some(login)]);
    }
}

#[test]
fn join_and_recover_read_a_file() {
    let directory = Directory::new();
    for (name, _, body) in attempts() {
        let file = directory.write("body.json", body.to_string());
        let (url, asked) = fake_in("completed");
        assert_exit(&run(&[name, "--url", &url, &file]), DONE);
        assert!(asked.lock().unwrap()[0].ends_with(&body.to_string()));
        let outcome = run(&[name, "--url", &url, "/no/such/file"]);
        assert_exit(&outcome, CONFIG);
        assert!(outcome.errors.contains("/no/such/file"), "{outcome:?}");
    }
}

#[test]
fn an_attempt_to_join_or_to_recover_ends_as_the_node_says() {
    let node = Node::start();
    for (name, _, body) in &attempts()[1..] {
        let outcome = verb(&node.url(), &[name], body);
        assert_exit(&outcome, FAILED);
        let status = node.bootstrap_status();
        let [code, message] =
            [&status["error_code"], &status["error_details"]["message"]].map(|text| text.as_str().unwrap());
        assert_eq!(outcome.errors.lines().next(), Some(&*format!("{code}: {message}")));

        let outcome = verb(&node.url(), &[name, "--json"], body);
        assert_exit(&outcome, FAILED);
        assert_eq!(one_line_of_json(&outcome)["bootstrap_status"]["error_code"], code);
    }
}

#[test]
fn an_attempt_that_ends_in_error_says_every_detail() {
    for (status, lines) in failures() {
        for (name, _, body) in attempts() {
            let document = document(&status);
            let (url, _) =
                fake(move |request| http("200 OK", if request.starts_with("POST") { "" } else { &document }));
            let outcome = verb(&url, &[name], &body);
            assert_exit(&outcome, FAILED);
            assert_lines(&outcome, lines);
            assert_eq!(outcome.output, "");

            // They are part of the status, too.
            let outcome = run(&["status", "--url", &url]);
            assert_exit(&outcome, DONE);
            assert!(lines.iter().all(|line| outcome.output.contains(line)), "{outcome:?}");
        }
    }
}

#[test]
fn without_a_login_the_closed_door_is_the_end() {
    let mut certified = join();
    certified["credentials"] = json!({"client_cert": "c", "client_key": "k"});
    for (name, body) in [("recover", recover()), ("join", certified)] {
        let (url, _) = fake_closed("200 OK");
        let outcome = verb(&url, &[name], &body);
        assert_exit(&outcome, DONE);
        assert!(outcome.output.contains("completed"), "{outcome:?}");
        let outcome = verb(&url, &[name, "--json"], &body);
        assert_exit(&outcome, DONE);
        assert_eq!(one_line_of_json(&outcome)["bootstrap_status"]["state"], "completed");

        let (url, _) = fake_closed("503 Service Unavailable");
        assert_exit(&verb(&url, &[name], &body), DENIED);
    }
}

#[test]
fn a_login_that_is_not_good_is_77_whatever_the_door_says() {
    for (name, body) in [("create", body::create()), ("join", join())] {
        let (url, asked) = fake_closed("200 OK");
        assert_exit(&verb(&url, &[name], &body), DENIED);
        assert_eq!(asked.lock().unwrap().len(), 2);
    }
    // Nor does it tell whose attempt it was.
    let (url, asked) = fake_closed("200 OK");
    assert_exit(&run(&["wait", "--url", &url]), DENIED);
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[test]
fn a_wait_that_began_at_an_open_door_needs_no_login_for_its_end() {
    let node = Node::start();
    let url = node.url();
    let outcome = thread::scope(|scope| {
        let waits = scope.spawn(|| run(&["wait", "--url", &url, "--json"]));
        thread::sleep(Duration::from_millis(500));
        node.create();
        waits.join().unwrap()
    });
    assert_exit(&outcome, DONE);
    assert_eq!(one_line_of_json(&outcome)["bootstrap_status"]["state"], "completed");
    // A door that closes for another reason is no end, nor is one that was closed from the start or to a login.
    for (ready, open, flags, code) in [
        ("200 OK", 1, &[][..], DONE),
        ("503 Service Unavailable", 1, &[], DENIED),
        ("200 OK", 0, &[], DENIED),
        ("200 OK", 1, &["--user", "admin"], DENIED),
    ] {
        let asked = AtomicUsize::new(0);
        let (url, _) = fake(move |request| match request.split(' ').nth(1) {
            Some("/readyz") => http(ready, "word"),
            _ if asked.fetch_add(1, Ordering::Relaxed) < open => http("200 OK", &document(&json!({"state": "idle"}))),
            _ => http("401 Unauthorized", ""),
        });
        assert_exit(&run(&[&["wait", "--url", &url, "--timeout", "5"], flags].concat()), code);
    }
}

#[test]
fn join_and_recover_can_leave_once_they_are_accepted() {
    for (name, _, body) in attempts() {
        let (url, asked) = fake_in("joining_cluster");
        assert_exit(&verb(&url, &[name, "--no-wait"], &body), DONE);
        assert_eq!(asked.lock().unwrap().len(), 1);
    }
}

#[test]
fn join_and_recover_have_the_exit_codes_of_create() {
    let problem = json!({"error_code": "config_error", "description": "d", "error_details": {"message": "m",
        "problems": [{"pointer": "/cluster/nodes", "message": "is required"}]}})
    .to_string();
    for (status, answer, code, line) in [
        ("400 Bad Request", &*problem, CONFIG, "/cluster/nodes: is required"),
        ("400 Bad Request", r#"{"description":"odd"}"#, CONFIG, "odd"),
        ("413 Content Too Large", "", CONFIG, "413"),
        ("401 Unauthorized", "", DENIED, "access denied"),
        ("403 Forbidden", "", DENIED, "access denied"),
        ("409 Conflict", r#"{"description":"a bootstrap is already in progress"}"#, REFUSED, "already in progress"),
        ("404 Not Found", "", UNREACHABLE, "404"),
        ("406 Not Acceptable", r#"{"description":"no"}"#, UNREACHABLE, "no"),
        ("503 Service Unavailable", r#"{"description":"busy"}"#, UNREACHABLE, "busy"),
    ] {
        let answer = answer.to_owned();
        let (url, asked) = fake(move |_| http(status, &answer));
        for (name, _, body) in attempts() {
            for arguments in [&[name][..], &["validate", name]] {
                let outcome = verb(&url, arguments, &body);
                assert_exit(&outcome, code);
                assert!(outcome.errors.contains(line), "{outcome:?}");
                assert_eq!(outcome.output, "");
            }
        }
        assert_eq!(asked.lock().unwrap().len(), 6, "nothing is polled after {status}");
    }
    let node = Node::created();
    for (name, _, body) in attempts() {
        for arguments in [&[name][..], &["validate", name]] {
            let outcome = verb(&node.url(), arguments, &body);
            assert_exit(&outcome, REFUSED);
            assert!(outcome.errors.contains("already part of a cluster"), "{outcome:?}");
        }
    }
}

#[test]
fn an_attempt_that_does_not_end_in_time_is_75_and_names_its_state() {
    for (name, state) in [("join", "joining_cluster"), ("recover", "recovering_cluster")] {
        let (url, _) = fake_in(state);
        let start = Instant::now();
        let outcome = verb(&url, &[name, "--timeout", "1"], &join());
        assert_exit(&outcome, TIMED_OUT);
        assert!(outcome.errors.contains(state), "{outcome:?}");
        assert!(
            (Duration::from_millis(900)..Duration::from_secs(6)).contains(&start.elapsed()),
            "{:?}",
            start.elapsed()
        );
    }
}

#[test]
fn a_configuration_that_cannot_be_is_78() {
    let node = Node::start();
    for (name, _, _) in attempts() {
        for arguments in [&[name][..], &["validate", name]] {
            let outcome = verb(&node.url(), arguments, &json!({"cluster": {"name": "-"}}));
            assert_exit(&outcome, CONFIG);
            assert!(outcome.errors.lines().any(|line| line.starts_with("/cluster/name: ")), "{outcome:?}");
            assert_exit(&run_with(&[arguments, &["--url", &node.url()]].concat(), &[], "not JSON"), CONFIG);
            assert_exit(&run(&[arguments, &["--url", &node.url(), "/no/such/file"]].concat()), CONFIG);
        }
    }
}

// Validate.

#[test]
fn validate_says_how_it_would_end_and_changes_nothing() {
    let node = Node::start();
    let before = node.snapshot();
    let outcome = verb(&node.url(), &["validate", "create"], &body::create());
    assert_exit(&outcome, DONE);
    assert!(outcome.output.contains("good"), "{outcome:?}");
    let outcome = verb(&node.url(), &["validate", "create", "--json"], &body::create());
    assert_exit(&outcome, DONE);
    assert_eq!(one_line_of_json(&outcome), json!({}));

    let bad = body::create_with("/node/paths/persistent_path", "/no/such/path".into());
    let outcome = verb(&node.url(), &["validate", "create"], &bad);
    assert_exit(&outcome, FAILED);
    assert!(outcome.errors.starts_with("path_error: ") && outcome.errors.contains("/no/such/path"), "{outcome:?}");
    assert_eq!(outcome.output, "");
    let outcome = verb(&node.url(), &["validate", "create", "--json"], &bad);
    assert_exit(&outcome, FAILED);
    assert_eq!(one_line_of_json(&outcome)["error_code"], "path_error");

    assert_eq!(node.state_name(), "idle");
    assert_eq!(node.snapshot(), before);
}

#[test]
fn each_action_is_validated_at_its_own_path() {
    let directory = Directory::new();
    for (name, action, body) in attempts() {
        let (url, asked) = fake(|_| http("200 OK", "{}"));
        let file = directory.write("body.json", body.to_string());
        assert_exit(&verb(&url, &["validate", name], &body), DONE);
        assert_exit(&verb(&url, &["validate", name, "-"], &body), DONE);
        assert_exit(&run(&["validate", name, &file, "--url", &url]), DONE);
        let asked = asked.lock().unwrap();
        assert_eq!(asked.len(), 3);
        for request in &*asked {
            assert!(request.starts_with(&format!("POST /v1/bootstrap/validate/{action} HTTP/1.1\r\n")), "{request}");
            assert!(request.ends_with(&format!("\r\n\r\n{body}")), "{request}");
        }
    }
}

#[test]
fn what_validation_finds_is_told_like_an_attempt_that_failed() {
    for (status, lines) in failures() {
        let (url, _) = fake(move |_| http("406 Not Acceptable", &status.to_string()));
        let outcome = verb(&url, &["validate", "join"], &join());
        assert_exit(&outcome, FAILED);
        assert_lines(&outcome, lines);
    }
    let wrong = failed("config_error", &json!({"message": "m", "problems": [{"pointer": "/a", "message": "b"}]}));
    let (url, _) = fake(move |_| http("406 Not Acceptable", &wrong.to_string()));
    let outcome = verb(&url, &["validate", "join"], &join());
    assert_exit(&outcome, CONFIG);
    assert_lines(&outcome, &["config_error: m", "/a: b"]);
}

// Nodes.

#[test]
fn nodes_are_a_table_or_as_the_server_sent_them() {
    let node = Node::created();
    let environment = [("BOOTSTRAPD_USER", USER), ("BOOTSTRAPD_PASSWORD", PASSWORD)];
    let outcome = run_with(&["nodes", "--url", &node.url()], &environment, "");
    assert_exit(&outcome, DONE);
    let found = node.get_as_admin("/v1/nodes").json();
    let member = |name: &str| found[0][name].as_str().unwrap().to_owned();
    let lines: Vec<Vec<&str>> = outcome.output.lines().map(|line| line.split_whitespace().collect()).collect();
    let [titles, row] = &lines[..] else { panic!("{outcome:?}") };
    assert_eq!(titles, &["UID", "STATUS", "ADDR", "RACK_ID", "VERSION"]);
    assert_eq!(row, &["1", &*member("status"), &member("addr"), "-", &member("software_version")]);

    // In one second: the clock is in it.
    eventually("as the server sent them", || {
        let outcome = run_with(&["nodes", "--json", "--url", &node.url()], &environment, "");
        assert_exit(&outcome, DONE);
        (outcome.output == format!("{}\n", node.get_as_admin("/v1/nodes").text())).then_some(())
    });
}

#[test]
fn the_columns_of_nodes_are_aligned() {
    let list = r#" [{"software_version":"0.1.0","external_addr":["1.1.1.1"],"uid":1,"status":"active","addr":"10.0.0.1"},
        {"uid":12,"addr":"2001:db8::1","status":"down","rack_id":"rack-\u00e9","later":{"uid":[7]}},{}] "#;
    let (url, _) = fake(move |_| http("200 OK", list));
    let outcome = run(&["nodes", "--url", &url]);
    assert_exit(&outcome, DONE);
    let expected = "\
UID  STATUS  ADDR         RACK_ID  VERSION
1    active  10.0.0.1     -        0.1.0
12   down    2001:db8::1  rack-\u{e9}   -
-    -       -            -        -
";
    assert_eq!(outcome.output, expected);

    let (url, _) = fake(|_| http("200 OK", "[]"));
    let outcome = run(&["nodes", "--url", &url]);
    assert_exit(&outcome, DONE);
    assert_eq!(outcome.output, "UID  STATUS  ADDR  RACK_ID  VERSION\n");
}

#[test]
fn a_node_in_no_cluster_says_so() {
    let node = Node::start();
    let outcome = run(&["nodes", "--url", &node.url()]);
    assert_exit(&outcome, UNREACHABLE);
    assert!(outcome.errors.contains("in no cluster"), "{outcome:?}");
}

#[test]
fn nodes_are_only_for_the_administrator() {
    let node = Node::created();
    let wrong = node.directory().write("wrong", "wrong");
    for flags in [&[][..], &["--user", USER, "--password-file", &wrong]] {
        let outcome = run(&[&["nodes", "--url", &node.url()], flags].concat());
        assert_exit(&outcome, DENIED);
        assert_eq!(outcome.output, "");
    }
}

#[test]
fn what_is_no_list_of_nodes_is_69() {
    let many = format!("[{}]", "{},".repeat(60_000));
    for (status, body) in [
        ("200 OK", ""),
        ("200 OK", "hello"),
        ("200 OK", "{}"),
        ("200 OK", "[1]"),
        ("200 OK", "[{\"uid\":1}"),
        ("200 OK", "[{\"uid\":}]"),
        ("200 OK", "[{}] x"),
        ("200 OK", &many),
        ("404 Not Found", "[]"),
        ("503 Service Unavailable", "{\"error_code\":\"internal_error\",\"description\":\"x\"}"),
    ] {
        let answer = http(status, body);
        let (url, _) = fake(move |_| answer.clone());
        for flags in [&[][..], &["--json"]] {
            let outcome = run(&[&["nodes", "--url", &url], flags].concat());
            assert_exit(&outcome, UNREACHABLE);
            assert_eq!(outcome.output, "", "{status} {}", &body[..body.len().min(20)]);
        }
    }
}
