//! The verbs that call a node, and the exit codes that scripts rely on, each reached by what it stands for.

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
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use bootstrapd_tests::body::{self, PASSWORD, USER};
use bootstrapd_tests::exit::*;
use bootstrapd_tests::fake::{document, fake, fake_in, http, serve};
use bootstrapd_tests::{Directory, Node, Outcome, Request, basic, eventually, run, run_with};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, socket};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// The most that a verb with `--timeout 1` may take.
const SOON: Duration = Duration::from_secs(6);

/// A server that takes connections and says nothing.
fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    url
}

/// A socket that is bound, so that nobody else gets its port, and does not listen yet.
fn nobody() -> (OwnedFd, SocketAddr) {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    let address: SockaddrIn = getsockname(socket.as_raw_fd()).unwrap();
    (socket, SocketAddr::from((address.ip(), address.port())))
}

/// Creates with a body on standard input.
fn create(node: &Node, body: &Value, options: &[&str]) -> Outcome {
    let url = node.url();
    let arguments = [&["create", "--url", &url], options].concat();
    run_with(&arguments, &[], &body.to_string())
}

// Help, version, usage.

#[test]
fn help_and_version_are_output_and_no_error() {
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["serve", "--help"],
        &["status", "--help"],
        &["create", "--help"],
        &["join", "--help"],
        &["recover", "--help"],
        &["validate", "--help"],
        &["validate", "create", "--help"],
        &["validate", "join", "-h"],
        &["validate", "recover", "--help"],
        &["wait", "--help"],
        &["nodes", "--help"],
        &["license", "--help"],
        &["license", "keygen", "--help"],
        &["license", "issue", "--help"],
        &["license", "show", "--help"],
    ] {
        let outcome = run(arguments);
        assert_exit(&outcome, DONE);
        assert!(outcome.output.ends_with('\n'), "{outcome:?}");
    }
    let help = run(&["--help"]).output;
    for verb in ["serve", "status", "create", "join", "recover", "validate join", "wait", "nodes", "license issue"] {
        assert!(help.contains(verb), "{help}");
    }
    assert!(run(&["--version"]).output.contains("0.1.0"));
}

#[test]
fn a_wrong_command_line_is_64_and_calls_nobody() {
    let (url, asked) = fake_in("completed");
    for arguments in [
        &["status", "--no-such-flag"][..],
        &["status", "stray"],
        &["status", "--url"],
        &["status", "--url", ""],
        &["status", "--url", "ftp://127.0.0.1"],
        &["status", "--url", "http://"],
        &["status", "--timeout"],
        &["wait", "--timeout", "soon"],
        &["wait", "--timeout", "-1"],
        &["wait", "--timeout", ""],
        &["wait", "stray"],
        &["create", "one", "two"],
        &["create", "--timeout", "x"],
        &["create", "--user"],
        // Basic credentials end a name at its colon.
        &["status", "--user", "a:b"],
        &["join", "one", "two"],
        &["join", "--timeout", "x"],
        &["recover", "one", "two"],
        &["recover", "--no-such-flag"],
        &["validate"],
        &["validate", "delete"],
        &["validate", "--json", "create"],
        &["validate", "create", "one", "two"],
        &["validate", "create", "--no-wait"],
        &["nodes", "stray"],
        &["nodes", "--timeout", "1"],
        &["license"],
        &["license", "revoke"],
        &["license", "keygen"],
        &["license", "keygen", "one", "two"],
        &["license", "issue"],
        &["license", "issue", "--owner"],
        &["license", "show", "one", "two"],
        &["license", "show", "--url", "http://127.0.0.1"],
        // Where others read it: nothing takes a password there.
        &["status", "--password", "secret"],
        &["create", "--password", "secret"],
        &["join", "--password", "secret"],
        &["nodes", "--password", "secret"],
        &["frobnicate"],
        &["--frobnicate"],
        &[],
    ] {
        let outcome = run_with(arguments, &[("BOOTSTRAPD_URL", &url)], "");
        assert_exit(&outcome, USAGE);
        assert_eq!(outcome.output, "", "{arguments:?}");
    }
    assert!(asked.lock().unwrap().is_empty());
}

// Serve.

#[test]
fn more_listeners_than_there_may_be_are_a_wrong_command_line() {
    let listeners = |count: usize| vec!["127.0.0.1:0"; count].join(",");
    let outcome = run_with(&["serve"], &[("BOOTSTRAPD_LISTEN", &listeners(17))], "");
    assert_exit(&outcome, USAGE);
    let mut node = Node::prepare(&[]);
    for _ in 1..16 {
        node.add_options(&["--listen", "127.0.0.1:0"]);
    }
    node.run();
    assert_eq!(node.addresses().len(), 16);
}

#[test]
fn a_variable_switches_on_or_off_and_nobody_guesses() {
    let node = Node::start();
    let url = node.url();
    let status = |name: &str, value: &str| run_with(&["status", "--url", &url], &[(name, value)], "");
    for (value, is_on) in [
        ("1", true),
        ("True", true),
        ("YES", true),
        ("on", true),
        ("0", false),
        ("False", false),
        ("no", false),
        ("OFF", false),
        ("", false),
    ] {
        let outcome = status("BOOTSTRAPD_JSON", value);
        assert_exit(&outcome, DONE);
        assert_eq!(outcome.output.starts_with('{'), is_on, "{value}: {outcome:?}");
    }
    for name in ["BOOTSTRAPD_JSON", "BOOTSTRAPD_INSECURE", "REDIS_ENTERPRISE_INSECURE"] {
        for value in ["maybe", "2", " 1"] {
            let outcome = status(name, value);
            assert_exit(&outcome, USAGE);
            assert!(outcome.errors.contains(name), "{outcome:?}");
        }
    }
}

#[test]
fn serve_ends_with_zero_after_either_signal() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut node = Node::start();
        kill(Pid::from_raw(node.pid().try_into().unwrap()), signal).unwrap();
        assert_eq!(node.wait_exit(), DONE, "{signal}");
    }
}

#[test]
fn serve_without_its_directory_is_78() {
    let directory = Directory::new();
    let file = directory.write("file", "");
    for state in [file.clone(), format!("{file}/below")] {
        let outcome = run(&["serve", "--listen", "127.0.0.1:0", "--state-dir", &state]);
        assert_exit(&outcome, CONFIG);
        assert!(outcome.errors.contains(&file), "{outcome:?}");
        assert_eq!(outcome.output, "");
    }
}

#[test]
fn serve_without_its_listener_is_78() {
    let directory = Directory::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for listen in [&address, "192.0.2.1:0"] {
        let outcome = run(&["serve", "--listen", listen, "--state-dir", &directory.join("state")]);
        assert_exit(&outcome, CONFIG);
        assert!(outcome.errors.contains(listen), "{outcome:?}");
        assert_eq!(outcome.output, "");
    }
}

// Status.

#[test]
fn status_is_for_people_or_as_the_server_sent_it() {
    let node = Node::start();
    let people = run(&["status", "--url", &node.url()]);
    assert_exit(&people, DONE);
    assert!(people.output.contains("idle") && !people.output.starts_with('{'), "{people:?}");

    let machines = run(&["status", "--url", &node.url(), "--json"]);
    assert_exit(&machines, DONE);
    assert_eq!(one_line_of_json(&machines)["bootstrap_status"], json!({"state": "idle"}));

    // Members that nobody has heard of, and in whatever order.
    let sent = r#"{"x":[1.0,null],"local_node_info":{},"bootstrap_status":{"z":"\u00e9","state":"idle"}}"#;
    let (url, _) = fake(|_| http("200 OK", sent));
    let outcome = run(&["status", "--json", "--url", &url]);
    assert_exit(&outcome, DONE);
    assert_eq!(outcome.output, format!("{sent}\n"));
}

#[test]
fn status_is_zero_whatever_the_state() {
    for state in ["idle", "initiated", "creating_cluster", "error", "completed"] {
        let mut status = json!({"state": state});
        if state == "error" {
            status["error_code"] = "path_error".into();
            status["error_details"] = json!({"message": "/no/such/path does not exist"});
        }
        let document = document(&status);
        let (url, _) = fake(move |_| http("200 OK", &document));
        let outcome = run(&["status", "--url", &url]);
        assert_exit(&outcome, DONE);
        assert!(outcome.output.contains(state), "{outcome:?}");
        if state == "error" {
            assert!(outcome.output.contains("path_error") && outcome.output.contains("/no/such/path"), "{outcome:?}");
        }
    }
}

#[test]
fn the_url_comes_from_the_flag_or_from_either_variable() {
    let (right, _) = fake_in("completed");
    let (_socket, address) = nobody();
    let wrong = format!("http://{address}");
    for (arguments, environment) in [
        (&["status", "--url", &right][..], &[("BOOTSTRAPD_URL", &*wrong), ("REDIS_ENTERPRISE_URL", &wrong)][..]),
        (&["status"], &[("BOOTSTRAPD_URL", &right), ("REDIS_ENTERPRISE_URL", &wrong)]),
        (&["status"], &[("REDIS_ENTERPRISE_URL", &right)]),
        (&["wait", "--timeout", "5"], &[("BOOTSTRAPD_URL", &right)]),
    ] {
        assert_exit(&run_with(arguments, environment, ""), DONE);
    }
}

#[test]
fn credentials_come_from_a_file_or_from_variables() {
    let node = Node::created();
    let url = node.url();
    let plain = node.directory().write("plain", PASSWORD);
    let line = node.directory().write("line", format!("{PASSWORD}\n"));
    let wrong = node.directory().write("wrong", "wrong\n");
    let (user, password) = ("BOOTSTRAPD_USER", "BOOTSTRAPD_PASSWORD");
    let (old_user, old_password) = ("REDIS_ENTERPRISE_USER", "REDIS_ENTERPRISE_PASSWORD");
    let own = [(user, USER), (password, PASSWORD)];
    let bad = [(user, "nobody"), (password, "wrong")];
    let old = [(old_user, USER), (old_password, PASSWORD)];
    let old_bad = [(old_user, "nobody"), (old_password, "wrong")];
    for (arguments, environment, code) in [
        (&[][..], vec![], DENIED),
        (&["--user", USER, "--password-file", &plain], vec![], DONE),
        (&["--user", USER, "--password-file", &line], vec![], DONE),
        (&["--user", USER, "--password-file", &wrong], vec![], DENIED),
        (&["--user", "nobody", "--password-file", &plain], vec![], DENIED),
        (&["--user", USER, "--password-file", &plain], [bad, old_bad].concat(), DONE),
        (&["--user", USER], vec![(password, PASSWORD)], DONE),
        (&["--password-file", &line], vec![(user, USER)], DONE),
        (&[], own.to_vec(), DONE),
        (&[], old.to_vec(), DONE),
        (&[], [own, old_bad].concat(), DONE),
        (&[], [bad, old].concat(), DENIED),
        (&[], old_bad.to_vec(), DENIED),
    ] {
        for verb in ["status", "wait"] {
            let outcome = run_with(&[&[verb, "--url", &url], arguments].concat(), &environment, "");
            assert_eq!(outcome.code, code, "{verb} {arguments:?} {environment:?}: {outcome:?}");
            assert_exit(&outcome, code);
        }
    }
}

#[test]
fn a_password_file_that_cannot_be_read_is_named() {
    let (url, asked) = fake_in("completed");
    let outcome = run(&["status", "--url", &url, "--user", USER, "--password-file", "/no/such/file"]);
    assert!([USAGE, CONFIG].contains(&outcome.code), "{outcome:?}");
    assert!(outcome.errors.contains("/no/such/file"), "{outcome:?}");
    assert!(asked.lock().unwrap().is_empty());
}

/// What a server can say that is no answer.
const GARBAGE: &[&[u8]] = &[
    b"",
    b"garbage",
    b"\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2p1\r\n",
    b"\x15\x03\x03\x00\x02\x02\x28",
    b"\0\0\0\0",
    b"{\"bootstrap_status\":{\"state\":\"completed\"}}",
    b"HTTP/1.1",
    b"HTTP/1.1 200",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 abc OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"bootstrap_status\":{\"state\":\"completed\"}}",
];

#[test]
fn who_does_not_speak_http_is_not_reached() {
    for garbage in GARBAGE {
        let (url, _) = fake(|_| garbage.to_vec());
        let shown = garbage.escape_ascii();
        for arguments in [&["status", "--url", &url][..], &["create", "--url", &url]] {
            let outcome = run_with(arguments, &[], &body::create().to_string());
            assert_eq!(outcome.code, UNREACHABLE, "{shown}: {outcome:?}");
            assert_exit(&outcome, UNREACHABLE);
            assert_eq!(outcome.output, "", "{shown}");
        }
    }
}

#[test]
fn an_answer_without_a_status_is_no_success() {
    let endless = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'y'; 20_000_000]].concat();
    let huge = [b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n".to_vec(), vec![b'y'; 20_000_000]].concat();
    thread::scope(|scope| {
        for answer in [
            http("200 OK", "hello"),
            http("200 OK", ""),
            http("200 OK", "{}"),
            http("200 OK", "[]"),
            http("200 OK", "{\"bootstrap_status\":{\"state\":\"completed\"}"),
            http("200 OK", "{\"bootstrap_status\":{\"state\":7}}"),
            http("404 Not Found", "{\"bootstrap_status\":{\"state\":\"completed\"}}"),
            http("500 Internal Server Error", "{\"bootstrap_status\":{\"state\":\"completed\"}}"),
            http("503 Service Unavailable", "{\"error_code\":\"internal_error\",\"description\":\"x\"}"),
            endless,
            huge,
        ] {
            // All at once: each waits for a second.
            let shown = answer[..answer.len().min(150)].escape_ascii().to_string();
            let (url, _) = fake(move |_| answer.clone());
            scope.spawn(move || {
                for arguments in [&["status", "--url", &url][..], &["wait", "--timeout", "1", "--url", &url]] {
                    let start = Instant::now();
                    let outcome = run(arguments);
                    assert!(!matches!(outcome.code, None | Some(0 | 101 | 134)), "{arguments:?} {shown}: {outcome:?}");
                    assert!(start.elapsed() < SOON, "{arguments:?} {shown}");
                }
            });
        }
    });
}

#[test]
fn redirects_are_not_followed() {
    let (target, asked) = fake_in("completed");
    thread::scope(|scope| {
        for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
            let location = target.clone();
            let (url, _) = fake(move |_| {
                let head = format!("HTTP/1.1 {status}\r\nLocation: {location}/v1/bootstrap\r\n");
                format!("{head}Connection: close\r\nContent-Length: 0\r\n\r\n").into_bytes()
            });
            scope.spawn(move || {
                let environment = [("BOOTSTRAPD_USER", USER), ("BOOTSTRAPD_PASSWORD", PASSWORD)];
                for arguments in [&["status"][..], &["wait", "--timeout", "1"], &["create", "--timeout", "1"]] {
                    let arguments = [arguments, &["--url", &url]].concat();
                    let outcome = run_with(&arguments, &environment, &body::create().to_string());
                    assert!(!matches!(outcome.code, None | Some(0)), "{arguments:?}: {outcome:?}");
                }
            });
        }
    });
    assert!(asked.lock().unwrap().is_empty(), "credentials were carried elsewhere");
}

#[test]
fn nobody_there_is_69() {
    let (_socket, address) = nobody();
    let url = format!("http://{address}");
    assert_exit(&run(&["status", "--url", &url]), UNREACHABLE);
    assert_exit(&run_with(&["create", "--url", &url], &[], &body::create().to_string()), UNREACHABLE);
    let start = Instant::now();
    assert_exit(&run(&["wait", "--timeout", "1", "--url", &url]), UNREACHABLE);
    assert!((Duration::from_millis(900)..SOON).contains(&start.elapsed()), "{:?}", start.elapsed());
}

// Create.

#[test]
fn create_waits_for_the_end_and_reports_it() {
    let node = Node::start();
    let outcome = create(&node, &body::create(), &["--json"]);
    assert_exit(&outcome, DONE);
    assert_eq!(one_line_of_json(&outcome)["bootstrap_status"]["state"], "completed");
    assert_eq!(one_line_of_json(&outcome)["local_node_info"]["uid"], 1);
    assert_eq!(node.state_name(), "completed");
}

#[test]
fn create_reads_a_file_or_standard_input() {
    for name in ["file", "-", ""] {
        let node = Node::start();
        let file = node.directory().write("body.json", body::create().to_string());
        let (url, input) = (node.url(), body::create().to_string());
        let (argument, input) = match name {
            "file" => (&[&*file][..], ""),
            "-" => (&["-"][..], &*input),
            _ => (&[][..], &*input),
        };
        let outcome = run_with(&[&["create", "--url", &url], argument].concat(), &[], input);
        assert_exit(&outcome, DONE);
        assert_eq!(node.state_name(), "completed");
    }
}

#[test]
fn create_sends_what_it_was_given_and_polls_with_its_credentials() {
    let (url, asked) = fake_in("completed");
    let body = format!(" {}\n\n", body::create_with("/credentials/password", "p\u{e4}ss \"\\ \u{1f511}:".into()));
    assert_exit(&run_with(&["create", "--url", &url], &[], &body), DONE);
    let asked = asked.lock().unwrap();
    let (head, sent) = asked[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /v1/bootstrap/create_cluster HTTP/1.1\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains("\r\ncontent-type: application/json"), "{head}");
    assert_eq!(sent, body);
    assert!(asked.len() > 1);
    let login = basic(USER, "p\u{e4}ss \"\\ \u{1f511}:");
    for poll in &asked[1..] {
        assert!(poll.starts_with("GET /v1/bootstrap HTTP/1.1\r\n"), "{poll}");
        assert!(poll.lines().any(|line| line.eq_ignore_ascii_case(&format!("authorization: {login}"))), "{poll}");
    }
}

#[test]
fn create_knows_the_credentials_however_they_are_written() {
    let node = Node::start();
    let escaped = r#"{"cluster":{"name":"test.cluster"},"credentials":
        {"p\u0061ssword":"p\u00e4ss \"\\ \ud83d\udd11\/:","username":"j\u00f6rg"}}"#;
    let outcome = run_with(&["create", "--url", &node.url()], &[], escaped);
    assert_exit(&outcome, DONE);
    let login = Request::get("/v1/bootstrap").login("j\u{f6}rg", "p\u{e4}ss \"\\ \u{1f511}/:");
    assert_eq!(node.call(&login).json()["bootstrap_status"]["state"], "completed");
}

#[test]
fn an_attempt_that_ends_in_error_is_1() {
    let node = Node::start();
    let body = body::create_with("/node/paths/persistent_path", "/no/such/path".into());
    let outcome = create(&node, &body, &[]);
    assert_exit(&outcome, FAILED);
    assert!(outcome.errors.contains("path_error") && outcome.errors.contains("/no/such/path"), "{outcome:?}");

    let outcome = create(&node, &body, &["--json"]);
    assert_exit(&outcome, FAILED);
    assert_eq!(one_line_of_json(&outcome)["bootstrap_status"]["error_code"], "path_error");
}

#[test]
fn create_can_leave_once_it_is_accepted() {
    let (url, asked) = fake_in("creating_cluster");
    assert_exit(&run_with(&["create", "--no-wait", "--url", &url], &[], &body::create().to_string()), DONE);
    assert_eq!(asked.lock().unwrap().len(), 1);

    let node = Node::start();
    assert_exit(&create(&node, &body::create(), &["--no-wait"]), DONE);
    assert_eq!(node.ended()["state"], "completed");
}

#[test]
fn what_is_refused_because_of_the_state_is_73() {
    let node = Node::created();
    let outcome = create(&node, &body::create(), &[]);
    assert_exit(&outcome, REFUSED);
    assert!(outcome.errors.contains("already part of a cluster"), "{outcome:?}");

    let refusal = r#"{"error_code":"bootstrap_in_progress","description":"a bootstrap is already in progress"}"#;
    let (url, _) = fake(|_| http("409 Conflict", refusal));
    let outcome = run_with(&["create", "--url", &url], &[], &body::create().to_string());
    assert_exit(&outcome, REFUSED);
    assert!(outcome.errors.contains("already in progress"), "{outcome:?}");
}

#[test]
fn an_attempt_that_does_not_end_in_time_is_75() {
    for state in ["initiated", "creating_cluster"] {
        let (url, _) = fake_in(state);
        let start = Instant::now();
        let body = body::create().to_string();
        assert_exit(&run_with(&["create", "--timeout", "1", "--url", &url], &[], &body), TIMED_OUT);
        assert!((Duration::from_millis(900)..SOON).contains(&start.elapsed()), "{:?}", start.elapsed());
    }
}

#[test]
fn a_server_that_never_answers_is_75() {
    let url = silent();
    for verb in ["create", "wait"] {
        let start = Instant::now();
        let body = body::create().to_string();
        assert_exit(&run_with(&[verb, "--timeout", "1", "--url", &url], &[], &body), TIMED_OUT);
        assert!(start.elapsed() < SOON, "{verb}: {:?}", start.elapsed());
    }
}

#[test]
fn denied_is_77() {
    let node = Node::created();
    let wrong = node.directory().write("wrong", "wrong");
    assert_exit(&create(&node, &body::create(), &["--user", USER, "--password-file", &wrong]), DENIED);
    assert_exit(&run(&["status", "--url", &node.url()]), DENIED);
    assert_exit(&run(&["wait", "--url", &node.url()]), DENIED);
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let (url, _) = fake(move |_| http(status, "{\"error_code\":\"x\",\"description\":\"y\"}"));
        assert_exit(&run_with(&["create", "--url", &url], &[], &body::create().to_string()), DENIED);
    }
}

#[test]
fn a_refused_configuration_is_78_with_a_line_for_each_problem() {
    let node = Node::start();
    let mut wrong = body::create();
    body::set(&mut wrong, "/cluster/name", "-".into());
    body::set(&mut wrong, "/node/limits/max_listeners", 0.into());
    body::set(&mut wrong, "/credentials/username", json!(null));
    let expected = node.call(&Request::create(&wrong)).json()["error_details"]["problems"].take();
    let expected = expected.as_array().unwrap();
    assert!(expected.len() >= 3, "{expected:?}");

    let outcome = create(&node, &wrong, &[]);
    assert_exit(&outcome, CONFIG);
    for problem in expected {
        let line = format!("{}: {}", problem["pointer"].as_str().unwrap(), problem["message"].as_str().unwrap());
        assert_eq!(outcome.errors.lines().filter(|found| **found == line).count(), 1, "{line}: {outcome:?}");
    }
    assert_exit(&create(&node, &json!([]), &[]), CONFIG);
    let outcome = run_with(&["create", "--url", &node.url()], &[], "not JSON");
    assert_exit(&outcome, CONFIG);
}

#[test]
fn a_file_that_cannot_be_read_is_78() {
    let (url, asked) = fake_in("completed");
    let directory = Directory::new();
    let there = directory.make("directory");
    for file in [&there, "/no/such/file"] {
        let outcome = run(&["create", "--url", &url, file]);
        assert_exit(&outcome, CONFIG);
        assert!(outcome.errors.contains(file), "{outcome:?}");
    }
    assert!(asked.lock().unwrap().is_empty());
}

// Wait.

#[test]
fn wait_ends_with_the_attempt() {
    let node = Node::start();
    let environment = [("BOOTSTRAPD_USER", USER), ("BOOTSTRAPD_PASSWORD", PASSWORD)];
    let url = node.url();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| run_with(&["wait", "--url", &url, "--timeout", "15"], &environment, ""));
        thread::sleep(Duration::from_millis(300));
        assert!(!waiting.is_finished(), "idle is waited for");
        node.create();
        assert_exit(&waiting.join().unwrap(), DONE);
    });
    assert_exit(&run_with(&["wait", "--url", &url], &environment, ""), DONE);
}

#[test]
fn wait_is_1_where_the_attempt_failed() {
    let node = Node::start();
    node.attempt(&body::create_with("/node/paths/persistent_path", "/no/such/path".into()));
    let outcome = run(&["wait", "--url", &node.url()]);
    assert_exit(&outcome, FAILED);
    assert!(outcome.errors.contains("path_error") && outcome.errors.contains("/no/such/path"), "{outcome:?}");
}

#[test]
fn wait_waits_for_a_server_that_is_not_there_yet() {
    let (socket, address) = nobody();
    thread::scope(|scope| {
        let url = format!("http://{address}");
        let waiting = scope.spawn(move || run(&["wait", "--url", &url, "--timeout", "15"]));
        thread::sleep(Duration::from_millis(400));
        listen(&socket, Backlog::new(16).unwrap()).unwrap();
        let document = document(&json!({"state": "completed"}));
        let _ = serve(TcpListener::from(socket), move |_| http("200 OK", &document));
        assert_exit(&waiting.join().unwrap(), DONE);
    });
}

#[test]
fn wait_for_nothing_is_75() {
    let node = Node::start();
    let start = Instant::now();
    assert_exit(&run(&["wait", "--url", &node.url(), "--timeout", "1"]), TIMED_OUT);
    assert!((Duration::from_millis(900)..SOON).contains(&start.elapsed()), "{:?}", start.elapsed());
    for state in ["initiated", "creating_cluster"] {
        let (url, _) = fake_in(state);
        assert_exit(&run(&["wait", "--url", &url, "--timeout", "1"]), TIMED_OUT);
    }
}

#[test]
fn a_secret_is_in_no_argument_list() {
    let node = Node::start();
    let url = node.url();
    let environment = [("BOOTSTRAPD_USER", USER), ("BOOTSTRAPD_PASSWORD", PASSWORD)];
    thread::scope(|scope| {
        let waiting = scope.spawn(|| run_with(&["wait", "--url", &url, "--timeout", "2"], &environment, ""));
        let lists = eventually("the client", || {
            let lists = argument_lists_with(&url);
            (!lists.is_empty()).then_some(lists)
        });
        assert!(lists.iter().all(|list| !list.contains(PASSWORD)), "{lists:?}");
        assert_exit(&waiting.join().unwrap(), TIMED_OUT);
    });
}

/// The argument lists of all processes that mention `text`.
fn argument_lists_with(text: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path().join("cmdline"));
    let lists = processes.filter_map(|path| fs::read(path).ok());
    lists.map(|list| String::from_utf8_lossy(&list).replace('\0', " ")).filter(|list| list.contains(text)).collect()
}
