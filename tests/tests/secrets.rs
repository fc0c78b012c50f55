//! What must never be seen: the password anywhere, the licence in a log or a status.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "whatever fails here fails a test"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};

use base64ct::{Base64, Encoding as _};
use bootstrapd_tests::body::USER;
use bootstrapd_tests::{Answer, Node, Request, eventually, licence};
use serde_json::{Value, json};

const CREATE: &str = "/v1/bootstrap/create_cluster";
/// Nothing else in this world looks like it.
const PASSWORD: &str = "canary-Gr\u{fc}n-7Qz\"\\4f1c9";
const WRONG: &str = "canary-wrong-9Xw5e2";

fn body() -> Value {
    json!({"cluster": {"name": "test.cluster"}, "credentials": {"username": USER, "password": PASSWORD}})
}

/// Every form in which a password might be found, with its name.
fn forms(password: &str) -> Vec<Vec<u8>> {
    let base64 = |text: &str| Base64::encode_string(text.as_bytes()).trim_end_matches('=').to_owned();
    let json = serde_json::to_string(password).unwrap();
    let mut hex = String::new();
    for byte in password.bytes() {
        write!(hex, "{byte:02x}").unwrap();
    }
    let debug = format!("{password:?}");
    [
        password.to_owned(),
        json.trim_matches('"').to_owned(),
        debug.trim_matches('"').to_owned(),
        base64(password),
        base64(&format!("{USER}:{password}")),
        hex.clone(),
        hex.to_uppercase(),
        // A part tells enough.
        password[..9].to_owned(),
        password[password.len() - 6..].to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec()
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn assert_absent(haystack: &[u8], needles: &[Vec<u8>], place: &str) {
    for needle in needles {
        let needle_text = String::from_utf8_lossy(needle);
        assert!(!holds(haystack, needle), "{needle_text} in {place}: {}", String::from_utf8_lossy(haystack));
    }
}

/// A file of `/proc/PID`; empty where the process does not show it, which is even better.
fn of_process(node: &Node, name: &str) -> Vec<u8> {
    match fs::read(format!("/proc/{}/{name}", node.pid())) {
        Ok(content) => content,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Vec::new(),
        Err(error) => panic!("{name}: {error}"),
    }
}

/// Everything that the node says and leaves, with its place.
fn traces(node: &Node) -> Vec<(String, Vec<u8>)> {
    let mut traces = vec![("the log".into(), node.log().into()), ("standard output".into(), node.output().into())];
    for name in ["cmdline", "environ", "comm", "maps"] {
        traces.push((name.to_owned(), of_process(node, name)));
    }
    for (name, content) in node.snapshot() {
        traces.push((name.display().to_string(), content.unwrap_or_default()));
        traces.push(("a file's name".into(), name.into_os_string().into_string().unwrap().into()));
    }
    for path in [
        "/v1/bootstrap",
        "/v1/cluster",
        "/v1/nodes",
        "/v1/nodes/1",
        "/v1/license",
        "/v1/users",
        "/v1/cluster/policy",
        "/v1/cluster/check",
        "/",
        "/healthz",
        "/readyz",
        "/v1/x",
    ] {
        for request in [Request::get(path), Request::get(path).login(USER, PASSWORD)] {
            let answer = node.call(&request);
            traces.push((path.to_owned(), format!("{:?}", answer.headers).into()));
            traces.push((path.to_owned(), answer.body));
        }
    }
    traces
}

fn assert_no_trace(node: &Node, needles: &[Vec<u8>]) {
    for (place, content) in traces(node) {
        assert_absent(&content, needles, &place);
    }
}

fn assert_answer_tells_nothing(answer: &Answer) {
    assert_absent(&answer.body, &forms(PASSWORD), "an answer");
}

/// Waits for the end of an attempt with whatever credentials.
fn ended(node: &Node) -> Value {
    eventually("the end", || {
        let answer = node.call(&Request::get("/v1/bootstrap").login(USER, PASSWORD));
        let status = answer.json()["bootstrap_status"].take();
        matches!(status["state"].as_str(), Some("completed" | "error")).then_some(status)
    })
}

#[test]
fn the_search_finds_what_is_there() {
    let node = Node::start();
    let salt = b"available_addr".to_vec();
    assert!(traces(&node).iter().any(|(place, content)| place == "/v1/bootstrap" && holds(content, &salt)));
    assert!(
        traces(&node).iter().any(|(place, content)| place == "node.a" && holds(content, b"bootstrapd node record"))
    );
    assert!(traces(&node).iter().any(|(place, content)| place == "standard output" && holds(content, b"answers on")));
}

#[test]
fn after_success_the_password_is_nowhere() {
    let mut node = Node::start();
    assert_eq!(node.call(&Request::create(&body())).status, 200);
    assert_eq!(ended(&node)["state"], "completed");
    for _ in 0..2 {
        assert_no_trace(&node, &forms(PASSWORD));
        node.restart();
        assert_eq!(node.call(&Request::get("/v1/nodes").login(USER, PASSWORD)).status, 200);
    }
}

#[test]
fn while_an_attempt_runs_the_password_is_nowhere() {
    let mut node = Node::start();
    let get = Request::get("/v1/bootstrap");
    let answers = node.connect().pipeline(&[Request::create(&body()), get.clone(), get]);
    let files = node.snapshot();
    for answer in &answers {
        assert_answer_tells_nothing(answer);
    }
    for (name, content) in files {
        assert_absent(&content.unwrap_or_default(), &forms(PASSWORD), &name.display().to_string());
    }
    node.kill9();
    for (name, content) in node.snapshot() {
        assert_absent(&content.unwrap_or_default(), &forms(PASSWORD), &name.display().to_string());
    }
    node.run();
    assert_no_trace(&node, &forms(PASSWORD));
}

#[test]
fn after_each_failure_the_password_is_nowhere() {
    let mut node = Node::start();
    let failures = [
        ("/node/paths/persistent_path", "/nowhere".into()),
        ("/node/identity/addr", "192.0.2.1".into()),
        ("/license", "no licence".into()),
        ("/license", licence::signed(&licence::statement()).into()),
    ];
    for (pointer, value) in failures {
        let mut body = body();
        bootstrapd_tests::body::set(&mut body, pointer, value);
        assert_answer_tells_nothing(&node.call(&Request::validate(&body)));
        assert_answer_tells_nothing(&node.call(&Request::create(&body)));
        assert_eq!(ended(&node)["state"], "error", "{pointer}");
        assert_no_trace(&node, &forms(PASSWORD));
    }
    let mut join = body();
    join["cluster"]["nodes"] = json!(["127.0.0.1:1"]);
    join["max_retries"] = json!(0);
    let join = Request::post("/v1/bootstrap/join_cluster", join.to_string());
    assert_eq!(node.call(&join).status, 200);
    assert_eq!(ended(&node)["state"], "error");
    node.restart();
    assert_no_trace(&node, &forms(PASSWORD));
}

#[test]
fn a_refused_body_tells_nothing_of_its_password() {
    let node = Node::start();
    let text = body().to_string();
    let with_password = |password: Value| {
        let mut body = body();
        body["credentials"]["password"] = password;
        body.to_string()
    };
    let bodies = [
        // Not JSON before, within and behind it.
        text[1..].to_owned(),
        text.replace("4f1c9", "4f1c9\u{1}"),
        format!("{text}x"),
        text[..text.len() - 4].to_owned(),
        // Wrong in itself.
        with_password(format!("{PASSWORD}\u{7f}").into()),
        with_password(PASSWORD.repeat(20).into()),
        with_password(json!([PASSWORD])),
        with_password(json!({PASSWORD: PASSWORD})),
        // In the wrong place, as a value.
        json!({"password": PASSWORD, "cluster": {"wait_command": PASSWORD}, "action": PASSWORD}).to_string(),
        json!({"node": {"limits": {"max_listeners": PASSWORD}, "bigstore_driver": PASSWORD}}).to_string(),
    ];
    for body in bodies {
        for target in [CREATE, "/v1/bootstrap/join_cluster"] {
            let answer = node.call(&Request::post(target, &body));
            assert_eq!(answer.status, 400, "{body}");
            assert_answer_tells_nothing(&answer);
        }
        assert_answer_tells_nothing(&node.call(&Request::post("/v1/bootstrap/validate/create_cluster", &body)));
        assert_no_trace(&node, &forms(PASSWORD));
    }
}

#[test]
fn a_refused_message_tells_nothing_of_its_password() {
    let node = Node::start();
    let text = body().to_string();
    let requests = [
        Request::post("/v1/bootstrap/destroy_cluster", &text),
        Request::post("/v1/bootstrap", &text),
        Request::typeless_post(CREATE, &text).header("Content-Type", "text/plain"),
        Request::post(CREATE, &text).header("Origin", "http://evil.example"),
        Request::post(CREATE, text.repeat(1000)),
    ];
    for request in requests {
        let answer = node.call(&request);
        assert!((400..500).contains(&answer.status), "{answer:?}");
        assert_answer_tells_nothing(&answer);
    }
    // A body where a head should be.
    let mut connection = node.connect();
    connection.send(&text);
    connection.send("\r\n\r\n");
    assert_eq!(connection.answer().status, 400);
    assert_no_trace(&node, &forms(PASSWORD));
}

#[test]
fn logins_good_and_bad_leave_no_trace() {
    let node = Node::start();
    assert_eq!(node.call(&Request::create(&body())).status, 200);
    assert_eq!(ended(&node)["state"], "completed");
    for (user, password) in [(USER, WRONG), (WRONG, PASSWORD), (USER, PASSWORD)] {
        let _ = node.call(&Request::get("/v1/bootstrap").login(user, password));
        let _ = node.call(&Request::create(&body()).login(user, password));
    }
    let _ = node.call(&Request::get("/v1/bootstrap").header("Authorization", &format!("Bearer {WRONG}")));
    let _ = node.call(&Request::get("/v1/bootstrap").header("Authorization", WRONG));
    assert_no_trace(&node, &[forms(PASSWORD), forms(WRONG)].concat());
}

#[test]
fn a_licence_is_in_no_log_and_no_status() {
    let good = licence::signed(&licence::statement());
    let forged = licence::forged(&licence::statement());
    let inner = |licence: &str| licence.lines().nth(1).unwrap().to_owned();
    let mut node = Node::start_with(&["--license-key", &licence::public_key()]);
    let mut needles = vec![b"canary-licence".to_vec(), b"LICENSE START".to_vec()];
    for licence in [&forged, &good] {
        // The whole of it, its signature, its statement.
        let inner = inner(licence);
        needles.extend([&inner, &inner[..40], &inner[120..160]].map(|text| text.as_bytes().to_vec()));
    }
    for licence in ["canary-licence", &*forged, &*good] {
        let mut body = body();
        body["license"] = licence.into();
        let validated = node.call(&Request::validate(&body));
        assert_absent(&validated.body, &needles, "a validation");
        let answer = node.call(&Request::create(&body));
        assert_eq!(answer.status, 200);
        assert_absent(ended(&node).to_string().as_bytes(), &needles, "the status");
        assert_absent(node.log().as_bytes(), &needles, "the log");
        assert_absent(node.output().as_bytes(), &needles, "standard output");
        for name in ["node.a", "node.b"] {
            assert_absent(&fs::read(node.state_file(name)).unwrap(), &needles, name);
        }
    }
    assert_eq!(ended(&node)["state"], "completed");
    node.restart();
    assert_absent(node.log().as_bytes(), &needles, "the log");
    for path in ["/v1/bootstrap", "/v1/cluster", "/v1/nodes"] {
        let answer = node.call(&Request::get(path).login(USER, PASSWORD));
        assert_eq!(answer.status, 200);
        assert_absent(&answer.body, &needles, path);
    }
}

#[test]
fn a_password_of_the_agents_own_variables_is_not_kept_in_what_it_shows() {
    let mut node = Node::prepare(&[]);
    node.wrap(&["env", &format!("BOOTSTRAPD_PASSWORD={WRONG}")]);
    node.run();
    // The environment is the caller's own; nothing else may repeat it.
    for (place, content) in traces(&node).into_iter().filter(|(place, _)| place != "environ") {
        assert_absent(&content, &forms(WRONG), &place);
    }
}

#[test]
fn the_setup_token_is_nowhere() {
    let token = "canary-setup-5Rt8v3";
    let mut node = Node::prepare(&["--listen", "0.0.0.0:0"]);
    let file = node.directory().write("token", format!("{token}\n"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    node.wrap(&["env", &format!("BOOTSTRAPD_SETUP_TOKEN_FILE={file}")]);
    node.run();
    let needles =
        [forms(token), vec![base64ct::Base64::encode_string(format!("setup:{token}").as_bytes()).into()]].concat();
    for (user, given) in [("setup", token), (USER, token), ("setup", "wrong"), (token, token)] {
        let answer = node.call(&Request::post(CREATE, "[").login(user, given));
        assert_absent(&answer.body, &needles, "an answer");
        let _ = node.call(&Request::get("/v1/bootstrap").login(user, given));
    }
    assert_no_trace(&node, &needles);
    assert_eq!(node.call(&Request::create(&body()).login("setup", token)).status, 200);
    assert_eq!(ended(&node)["state"], "completed");
    let _ = node.call(&Request::create(&body()).login("setup", token));
    assert_no_trace(&node, &needles);
    // It is not even in the memory of a node that has started with it: nothing but a MAC of it is kept.
    node.restart();
    let maps = String::from_utf8(of_process(&node, "maps")).unwrap();
    let Ok(memory) = fs::File::open(format!("/proc/{}/mem", node.pid())) else { return };
    for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        // What is set aside and was never touched, the kernel may not give.
        if memory.read_exact_at(&mut bytes, start).is_ok() {
            assert!(!holds(&bytes, token.as_bytes()), "in memory: {line}");
        }
    }
}

#[test]
fn there_are_no_core_dumps() {
    let mut node = Node::prepare(&[]);
    // As much as is allowed: what is off already would prove nothing.
    node.wrap(&["sh", "-c", "ulimit -S -c \"$(ulimit -H -c)\" && exec \"$0\" \"$@\""]);
    node.run();
    let limits = String::from_utf8(of_process(&node, "limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let soft = line.split_whitespace().nth(4).unwrap();
    let own = fs::metadata("/proc/self").unwrap().uid();
    let process = fs::metadata(format!("/proc/{}", node.pid())).unwrap().uid();
    // One byte is what the kernel takes for none even where it pipes dumps to a program; with 0 it still would. A
    // process that may not be dumped belongs to root in /proc, whoever runs it.
    assert!(soft == "1" || own != process, "{line}");
}
