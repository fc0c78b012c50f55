//! What an operator can put before the open door of a node that is in no cluster: a setup token, a window of time. And
//! what a member may say to whoever has no credentials.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "whatever fails here fails a test"
)]

use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::thread;
use std::time::{Duration, Instant};

use bootstrapd_tests::body::{self, PASSWORD, USER};
use bootstrapd_tests::exit::*;
use bootstrapd_tests::{Answer, Connection, Directory, Node, Outcome, Request, eventually, run, run_with};
use serde_json::json;

const TOKEN: &str = "s3cret-t\u{f6}ken:with a colon";
const ACTIONS: [&str; 3] = ["create_cluster", "join_cluster", "recover_cluster"];
const COMPLETED: &str = r#"{"bootstrap_status":{"state":"completed"}}"#;

/// A file with this token that is its owner's only.
fn token_file(directory: &Directory, token: impl AsRef<[u8]>) -> String {
    let file = directory.write("token", token);
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    file
}

/// One of many addresses to come from: who fails often from one has to wait.
fn stranger(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(127, 1, high, low)
}

/// A node behind [`TOKEN`], with more options.
fn with_token(options: &[&str]) -> Node {
    let mut node = Node::prepare(options);
    let file = token_file(node.directory(), format!("{TOKEN}\n"));
    node.add_options(&["--setup-token-file", &file]);
    node.run();
    node
}

/// Every path that takes a bootstrap object.
fn paths() -> Vec<String> {
    let prefixes = ["/v1/bootstrap/", "/bootstrap/", "/v1/bootstrap/validate/", "/bootstrap/validate/"];
    prefixes.iter().flat_map(|prefix| ACTIONS.map(|action| format!("{prefix}{action}"))).collect()
}

fn assert_denied(answer: &Answer, what: &str) {
    assert_eq!((answer.status, answer.text()), (401, ""), "{what}");
    assert_eq!(answer.header("WWW-Authenticate"), Some("Basic realm=\"bootstrapd\", charset=\"UTF-8\""), "{what}");
}

fn assert_shut(answer: &Answer, what: &str) {
    assert_eq!((answer.status, answer.error_code()), (403, "bootstrap_window_closed".to_owned()), "{what}");
    assert!(answer.description().contains("restart"), "{what}: {answer:?}");
}

fn revision(node: &Node) -> u64 {
    node.get("/v1/bootstrap/progress").json()["revision"].as_u64().unwrap()
}

// The token.

#[test]
fn without_the_token_no_post_gets_through_and_nothing_changes() {
    let node = with_token(&[]);
    let (revision_before, files) = (revision(&node), node.snapshot());
    let mut source = 0_u16;
    for path in paths() {
        for content in [body::create().to_string(), "[".to_owned(), String::new()] {
            let request = Request::post(&path, content);
            assert_denied(&node.call(&request), &path);
            for (user, password) in [("setup", "wrong"), ("setup", ""), ("Setup", TOKEN), (USER, TOKEN), ("", TOKEN)] {
                source += 1;
                let mut connection = Connection::open_from(stranger(source), node.address());
                assert_denied(&connection.call(&request.clone().login(user, password)), &format!("{path} {user}"));
            }
        }
    }
    // A token that is nearly the right one is not, and nor is one in another scheme.
    for wrong in [&TOKEN[1..], &TOKEN[..TOKEN.len() - 1], &format!("{TOKEN}\n"), &TOKEN.to_uppercase()] {
        source += 1;
        let mut connection = Connection::open_from(stranger(source), node.address());
        assert_denied(&connection.call(&Request::create(&body::create()).login("setup", wrong)), wrong);
    }
    let bearer = Request::create(&body::create()).header("Authorization", &format!("Bearer {TOKEN}"));
    assert_denied(&node.call(&bearer), "Bearer");
    assert_eq!(node.bootstrap_status(), json!({"state": "idle"}));
    assert_eq!((revision(&node), node.snapshot()), (revision_before, files));
}

#[test]
fn with_the_token_everything_is_as_without_a_gate() {
    for action in ACTIONS {
        let node = with_token(&[]);
        let post = |path: &str, content: &str| node.call(&Request::post(path, content).login("setup", TOKEN));
        assert_eq!(post(&format!("/v1/bootstrap/{action}"), "[").status, 400);
        assert_eq!(node.state_name(), "error");
        assert_eq!(post(&format!("/v1/bootstrap/validate/{action}"), "[").status, 406);
        let validated = node.call(&Request::validate(&body::create()).login("setup", TOKEN));
        assert_eq!((validated.status, validated.text()), (200, "{}"));
    }
    let node = with_token(&[]);
    let answer = node.call(&Request::create(&body::create()).login("setup", TOKEN));
    assert_eq!((answer.status, answer.text()), (200, ""));
    assert_eq!(node.ended()["state"], "completed");
}

#[test]
fn what_only_reads_needs_no_token() {
    let node = with_token(&[]);
    for path in ["/v1/bootstrap", "/bootstrap", "/v1/bootstrap/progress", "/healthz"] {
        for request in [Request::get(path), Request::new("HEAD", path), Request::get(path).login("setup", "wrong")] {
            assert_eq!(node.call(&request).status, 200, "{path}");
        }
    }
    assert_eq!(node.get("/v1/nodes").error_code(), "no_cluster");
    for path in paths() {
        assert_eq!(node.call(&Request::new("OPTIONS", &path)).status, 200, "{path}");
        assert_eq!(node.get(&path).status, 405, "{path}");
    }
    assert_eq!(node.call(&Request::post("/v1/bootstrap/destroy_cluster", "{}")).status, 404);
}

#[test]
fn the_token_counts_before_a_cluster_and_the_clusters_credentials_in_it() {
    let mut node = with_token(&[]);
    // An attempt that has failed leaves the node open, so the gate stays.
    let bad = body::create_with("/node/paths/persistent_path", "/nowhere".into());
    assert_eq!(node.call(&Request::create(&bad).login("setup", TOKEN)).status, 200);
    assert_eq!(node.ended()["state"], "error");
    assert_denied(&node.call(&Request::create(&body::create())), "after an error");
    assert_denied(&node.call(&Request::create(&body::create()).login(USER, PASSWORD)), "nobody's");
    assert_eq!(node.call(&Request::create(&body::create()).login("setup", TOKEN)).status, 200);
    assert_eq!(node.ended()["state"], "completed");
    for _ in 0..2 {
        for request in [Request::create(&body::create()), Request::validate(&body::create())] {
            assert_denied(&node.call(&request.clone().login("setup", TOKEN)), "in a cluster");
            assert_eq!(node.call(&request).status, 409);
            assert_eq!(node.call(&request.login(USER, PASSWORD)).status, 409);
        }
        for path in ["/v1/bootstrap", "/v1/nodes"] {
            assert_denied(&node.call(&Request::get(path).login("setup", TOKEN)), path);
        }
        node.restart();
    }
}

#[test]
fn who_asks_before_sending_is_refused_before_the_body() {
    let node = with_token(&[]);
    let ask = |login: Option<&str>| {
        let mut request = Request::new("POST", "/v1/bootstrap/create_cluster").header("Content-Length", "100");
        request = request.header("Content-Type", "application/json").header("Expect", "100-continue");
        if let Some(token) = login {
            request = request.login("setup", token);
        }
        node.connect().call(&request)
    };
    assert_denied(&ask(None), "no token");
    assert_denied(&ask(Some("wrong")), "a wrong token");
    assert_eq!(ask(Some(TOKEN)).status, 100);
}

#[test]
fn another_sites_page_is_refused_whatever_it_shows() {
    let node = with_token(&[]);
    let request = Request::create(&body::create()).login("setup", TOKEN).header("Origin", "http://evil.example");
    let answer = node.call(&request);
    assert_eq!((answer.status, answer.error_code()), (403, "forbidden_origin".to_owned()));
}

#[test]
fn who_shows_wrong_tokens_has_to_wait() {
    let node = with_token(&[]);
    let post = |from: u8, token: &str| {
        let mut connection = Connection::open_from(Ipv4Addr::new(127, 0, 2, from), node.address());
        connection.call(&Request::validate(&body::create()).login("setup", token))
    };
    for number in 0..5 {
        assert_denied(&post(1, &format!("guess {number}")), "a guess");
    }
    let start = Instant::now();
    for token in ["guess 5", TOKEN] {
        let answer = post(1, token);
        // On a machine that stood still the wait may be over.
        if start.elapsed() < Duration::from_millis(900) {
            assert_eq!((answer.status, answer.error_code()), (503, "busy".to_owned()));
            assert_eq!(answer.header("Retry-After"), Some("1"));
        }
    }
    assert_eq!(post(2, TOKEN).status, 200, "others need not wait");
    // Who shows none has guessed nothing.
    let mut connection = Connection::open_from(Ipv4Addr::new(127, 0, 2, 1), node.address());
    assert_denied(&connection.call(&Request::validate(&body::create())), "none");
    eventually("the end of the wait", || (post(1, TOKEN).status == 200).then_some(()));
}

// The token's file.

/// What a start with this file as its token comes to.
fn start_with(file: &str) -> Outcome {
    let directory = Directory::new();
    run(&["serve", "--listen", "127.0.0.1:0", "--state-dir", &directory.join("state"), "--setup-token-file", file])
}

#[test]
fn a_token_that_cannot_be_used_is_no_start() {
    let directory = Directory::new();
    let long = token_file(&directory, "x".repeat(257));
    let cases = [
        ("/no/such/file".to_owned(), "No such file"),
        (directory.make("directory"), "regular file"),
        ("/dev/null".to_owned(), "regular file"),
        (long, "256 bytes"),
    ];
    for (file, why) in cases {
        let outcome = start_with(&file);
        assert_exit(&outcome, CONFIG);
        assert!(outcome.errors.contains(&file) && outcome.errors.contains(why), "{outcome:?}");
        assert_eq!(outcome.output, "");
    }
    for empty in ["", "\n", "\r\n"] {
        let outcome = start_with(&token_file(&directory, empty));
        assert_exit(&outcome, CONFIG);
        assert!(outcome.errors.contains("empty"), "{outcome:?}");
    }
    // A pipe that nobody writes to holds up no start.
    let pipe = directory.join("pipe");
    nix::unistd::mkfifo(&*pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_exit(&start_with(&pipe), CONFIG);
}

#[test]
fn a_token_that_others_can_read_or_change_is_no_start() {
    let directory = Directory::new();
    for mode in [0o640, 0o604, 0o620, 0o602, 0o644, 0o610, 0o601, 0o666] {
        let file = token_file(&directory, "canary-token");
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let outcome = start_with(&file);
        assert_exit(&outcome, CONFIG);
        assert!(outcome.errors.contains("mode 600") && outcome.errors.contains(&file), "{mode:o}: {outcome:?}");
        assert!(!outcome.errors.contains("canary-token"), "{outcome:?}");
    }
}

#[test]
fn tokens_of_every_length_and_form_count_as_they_are() {
    let long = "\u{1f511}".repeat(64);
    assert_eq!(long.len(), 256);
    for (content, token) in [
        ("t".to_owned(), "t"),
        ("t\n".to_owned(), "t"),
        ("t\r\n".to_owned(), "t"),
        (" t \n\n".to_owned(), " t \n"),
        (long.clone(), &*long),
        (format!("{long}\r\n"), &*long),
    ] {
        for mode in [0o600, 0o400] {
            let mut node = Node::prepare(&[]);
            let file = token_file(node.directory(), &content);
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            // A link to it is as good: that is how they are mounted.
            let link = node.directory().join("link");
            symlink(&file, &link).unwrap();
            node.wrap(&["env", &format!("BOOTSTRAPD_SETUP_TOKEN_FILE={link}")]);
            node.run();
            // It was read at the start, once.
            fs::remove_file(&file).unwrap();
            let validated = node.call(&Request::validate(&body::create()).login("setup", token));
            assert_eq!(validated.status, 200, "{content:?}");
            assert_denied(&node.call(&Request::validate(&body::create()).login("setup", &format!("{token}x"))), token);
        }
    }
}

// The window.

/// A node whose window of a second is over.
fn after_its_window(options: &[&str]) -> Node {
    let node = Node::start_with(&[&["--bootstrap-window", "1"], options].concat());
    eventually("the end of the window", || {
        (node.call(&Request::validate(&body::create())).status == 403).then_some(())
    });
    node
}

#[test]
fn after_the_window_nothing_begins_until_a_restart() {
    let mut node = after_its_window(&[]);
    let (revision_before, files) = (revision(&node), node.snapshot());
    for path in paths() {
        for content in [body::create().to_string(), "[".to_owned(), String::new()] {
            assert_shut(&node.call(&Request::post(&path, &content)), &path);
            assert_shut(&node.call(&Request::post(&path, &content).login(USER, PASSWORD)), &path);
        }
        assert_eq!(node.call(&Request::new("OPTIONS", &path)).status, 200, "{path}");
    }
    assert_eq!(node.bootstrap_status(), json!({"state": "idle"}));
    assert_eq!((revision(&node), node.snapshot()), (revision_before, files));
    assert_eq!(node.get("/v1/bootstrap").status, 200);
    let expecting = Request::new("POST", "/v1/bootstrap/create_cluster").header("Content-Length", "100");
    assert_shut(&node.connect().call(&expecting.header("Expect", "100-continue")), "before the body");

    node.restart();
    node.create();
}

#[test]
fn the_window_is_as_long_as_it_says() {
    let start = Instant::now();
    let node = Node::start_with(&["--bootstrap-window", "2"]);
    let ready = Instant::now();
    let validate = || node.call(&Request::validate(&body::create())).status;
    let mut last = start;
    while last.elapsed() < Duration::from_secs(5) {
        let before = Instant::now();
        match validate() {
            200 => assert!(start.elapsed() < Duration::from_secs(4), "still open: {:?}", start.elapsed()),
            403 => {
                assert!(start.elapsed() >= Duration::from_secs(2), "shut already: {:?}", start.elapsed());
                return;
            }
            other => panic!("{other}"),
        }
        last = before;
        thread::sleep(Duration::from_millis(20));
    }
    panic!("open for {:?}", ready.elapsed());
}

#[test]
fn an_attempt_that_runs_goes_on_when_the_window_ends() {
    let node = Node::start_with(&["--bootstrap-window", "1"]);
    let join = json!({"cluster": {"nodes": ["127.0.0.1:1"]}, "credentials": {"username": USER, "password": PASSWORD},
        "max_retries": 1, "retry_time": 3});
    node.accept("join_cluster", &join);
    eventually("the end of the window", || {
        let answer = node.call(&Request::create(&body::create()));
        if answer.status == 409 {
            return None;
        }
        assert_shut(&answer, "while an attempt runs");
        Some(())
    });
    assert_eq!(node.state_name(), "joining_cluster");
    let status = node.ended();
    assert_eq!(status["error_code"], "connect_error", "{status}");
    assert_shut(&node.call(&Request::create(&body::create())), "after the attempt");
}

#[test]
fn in_a_cluster_there_is_no_window() {
    let node = Node::start_with(&["--bootstrap-window", "1"]);
    node.create();
    thread::sleep(Duration::from_millis(1200));
    for request in [Request::create(&body::create()), Request::validate(&body::create())] {
        let answer = node.call(&request);
        assert_eq!((answer.status, answer.error_code()), (409, "already_bootstrapped".to_owned()));
        assert_denied(&node.call(&request.login(USER, "wrong")), "wrong");
    }
    assert_eq!(node.get_as_admin("/v1/bootstrap").status, 200);
}

#[test]
fn whose_time_is_over_no_token_helps() {
    let node = with_token(&["--bootstrap-window", "1"]);
    let with = || node.call(&Request::validate(&body::create()).login("setup", TOKEN));
    let first = node.call(&Request::validate(&body::create()));
    assert!([401, 403].contains(&first.status));
    eventually("the end of the window", || (with().status == 403).then_some(()));
    assert_shut(&with(), "with the token");
    assert_shut(&node.call(&Request::create(&body::create())), "without it");
}

#[test]
fn a_window_is_from_a_second_to_a_day() {
    let directory = Directory::new();
    let state = directory.join("state");
    for window in ["0", "86401", "-1", "1.5", "soon", "1s", "99999999999999999999"] {
        let outcome = run(&["serve", "--listen", "127.0.0.1:0", "--state-dir", &state, "--bootstrap-window", window]);
        assert_exit(&outcome, USAGE);
        assert!(outcome.errors.contains("--bootstrap-window") && outcome.errors.contains("86400"), "{outcome:?}");
    }
    let node = Node::start_with(&["--bootstrap-window", "86400"]);
    node.create();
}

#[test]
fn the_log_says_what_is_before_the_door() {
    let open = Node::start_with(&["--listen", "0.0.0.0:0"]);
    let warned = |node: &Node| node.log().lines().find(|line| line.contains("can bootstrap")).unwrap().to_owned();
    assert!(!warned(&open).contains("token"), "{}", open.log());
    let behind = with_token(&["--listen", "0.0.0.0:0"]);
    assert!(warned(&behind).contains("setup token"), "{}", behind.log());
}

// The client.

#[test]
fn the_verbs_take_the_token_from_a_file() {
    let node = with_token(&[]);
    let (url, file) = (node.url(), node.directory().join("token"));
    let wrong = node.directory().write("wrong", "wrong");
    fs::set_permissions(&wrong, Permissions::from_mode(0o600)).unwrap();
    let verb = |words: &[&str], environment: &[(&str, &str)], body: &serde_json::Value| {
        run_with(&[words, &["--url", &url]].concat(), environment, &body.to_string())
    };
    for words in [&["create"][..], &["join"], &["recover"], &["validate", "create"], &["validate", "join"]] {
        let outcome = verb(words, &[], &body::create());
        assert_exit(&outcome, DENIED);
        assert!(outcome.errors.contains("--setup-token-file"), "{outcome:?}");
        // From the flag and from the variable.
        let outcome = verb(&[words, &["--setup-token-file", &file]].concat(), &[], &json!([]));
        assert_exit(&outcome, CONFIG);
        assert_exit(&verb(words, &[("BOOTSTRAPD_SETUP_TOKEN_FILE", &file)], &json!([])), CONFIG);
    }
    assert_exit(&verb(&["validate", "create", "--setup-token-file", &wrong], &[], &body::create()), DENIED);
    assert_exit(&verb(&["validate", "create", "--setup-token-file", "/no/such"], &[], &body::create()), CONFIG);
    assert_exit(&verb(&["validate", "create", "--setup-token-file", &file], &[], &body::create()), DONE);
    // The token is for the POST; what follows is asked with what was posted.
    let outcome = verb(&["create", "--setup-token-file", &file, "--json"], &[], &body::create());
    assert_exit(&outcome, DONE);
    assert_eq!(one_line_of_json(&outcome)["bootstrap_status"]["state"], "completed");
    // Again: it is not the token that is wrong.
    let again = verb(&["create", "--setup-token-file", &file], &[], &body::create());
    assert_exit(&again, REFUSED);
    assert!(again.errors.contains("already part of a cluster"), "{again:?}");
    // What posts nothing has no use for it.
    assert_exit(&run(&["status", "--url", &url, "--setup-token-file", &file]), USAGE);
    let environment =
        [("BOOTSTRAPD_SETUP_TOKEN_FILE", "/no/such"), ("BOOTSTRAPD_USER", USER), ("BOOTSTRAPD_PASSWORD", PASSWORD)];
    assert_exit(&run_with(&["status", "--url", &url], &environment, ""), DONE);
}

#[test]
fn a_window_that_is_over_is_77_and_says_so() {
    let node = after_its_window(&[]);
    let outcome = run_with(&["create", "--url", &node.url()], &[], &body::create().to_string());
    assert_exit(&outcome, DENIED);
    assert!(outcome.errors.contains("restart"), "{outcome:?}");
}

// What a member says to everybody.

#[test]
fn a_member_may_say_to_everybody_that_it_is_completed_and_no_more() {
    let mut node = Node::start_with(&["--open-status"]);
    let idle = node.get("/v1/bootstrap").json();
    assert!(idle["local_node_info"].is_object(), "{idle}");
    node.create();
    for _ in 0..2 {
        for path in ["/v1/bootstrap", "/bootstrap", "/v1/boostrap", "/v1/bootstrap/?x"] {
            let answer = node.get(path);
            assert_eq!((answer.status, answer.text()), (200, COMPLETED), "{path}");
            assert_eq!(answer.header("Content-Type"), Some("application/json"));
            let head = node.call(&Request::new("HEAD", path));
            assert_eq!((head.status, head.header("Content-Length")), (200, Some(&*COMPLETED.len().to_string())));
            assert_eq!(node.call(&Request::get(path).header("Accept", "text/html")).status, 406);
            // Credentials that are given must be right, and then show everything.
            assert_denied(&node.call(&Request::get(path).login(USER, "wrong")), path);
            assert_denied(&node.call(&Request::new("OPTIONS", path)), path);
            assert_denied(&node.call(&Request::post(path, "{}")), path);
            assert!(node.get_as_admin(path).json()["local_node_info"].is_object(), "{path}");
        }
        for path in ["/v1/bootstrap/progress", "/v1/nodes", "/v1/cluster", "/v1/license", "/"] {
            assert_denied(&node.get(path), path);
        }
        node.restart();
    }
    let outcome = run(&["wait", "--url", &node.url(), "--json"]);
    assert_exit(&outcome, DONE);
    assert_eq!(one_line_of_json(&outcome)["bootstrap_status"]["state"], "completed");
}
