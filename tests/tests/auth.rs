//! Who may see and do what once a cluster exists, and what a login costs.

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
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use bootstrapd_tests::body::{self, PASSWORD, USER};
use bootstrapd_tests::{Answer, Connection, Node, Request, basic, eventually, median};

const CREATE: &str = "/v1/bootstrap/create_cluster";
const CHALLENGE: &str = "Basic realm=\"bootstrapd\", charset=\"UTF-8\"";

/// With what asks for credentials and what it answers to the right ones.
const GETS: [(&str, u16); 14] = [
    ("/v1/bootstrap", 200),
    ("/v1/bootstrap/?x", 200),
    ("/bootstrap", 200),
    ("/v1/boostrap", 200),
    ("/v1/nodes", 200),
    ("/v1/nodes/1", 200),
    ("/v1/nodes/2", 404),
    ("/v1/nodes/one", 404),
    ("/v1/cluster", 200),
    ("/v1/license", 200),
    ("/v1/bootstrap/destroy_cluster", 404),
    ("/v1/what/nobody/knows", 404),
    ("/v1/", 404),
    ("/v1", 404),
];

const POSTS: [&str; 5] = [
    CREATE,
    "/bootstrap/join_cluster/",
    "/v1/bootstrap/recover_cluster",
    "/v1/bootstrap/validate/create_cluster",
    "/bootstrap/validate/join_cluster",
];

fn assert_denied(answer: &Answer, what: &str) {
    assert_eq!((answer.status, answer.text()), (401, ""), "{what}");
    assert_eq!(answer.header("WWW-Authenticate"), Some(CHALLENGE), "{what}");
    assert_eq!(answer.header("Content-Length"), Some("0"), "{what}");
}

/// What no one logs in with.
fn malformed() -> Vec<String> {
    let good = basic(USER, PASSWORD);
    let token = good.strip_prefix("Basic ").unwrap();
    vec![
        "Basic".into(),
        "Basic =".into(),
        "Basic %%%%".into(),
        // Without a colon.
        "Basic YWRtaW4=".into(),
        token.into(),
        format!("Bearer {token}"),
        format!("Basic{token}"),
        format!("{good},{good}"),
        format!("{good}A"),
        format!("Basic {}", &token[..token.len() - 3]),
        // A password with a NUL behind it, or a line end, is another password.
        basic(USER, &format!("{PASSWORD}\0")),
        basic(USER, &format!("{PASSWORD}\n")),
        basic(USER, ""),
        basic("", PASSWORD),
        basic(&USER.to_uppercase(), PASSWORD),
        format!("Digest username=\"{USER}\""),
    ]
}

#[test]
fn in_a_cluster_everything_asks_for_credentials() {
    let node = Node::created();
    for (path, status) in GETS.into_iter().chain([("/", 404)]) {
        assert_denied(&node.get(path), path);
        assert_denied(&node.call(&Request::get(path).login(USER, "wrong")), path);
        for method in ["HEAD", "OPTIONS", "PUT", "DELETE", "GE"] {
            let mut connection = node.connect();
            let request = Request::new(method, path);
            assert_denied(&connection.call(&request), &format!("{method} {path}"));
            // Had the 401 had a body, this would not be an answer.
            assert_eq!(connection.call(&Request::get("/healthz")).status, 200, "{method} {path}");
        }
        if path != "/" {
            let answer = node.get_as_admin(path);
            assert_eq!(answer.status, status, "{path}");
            let _ = answer.json();
            assert_eq!(node.call(&Request::new("HEAD", path).login(USER, PASSWORD)).status, status, "{path}");
        }
    }
}

#[test]
fn methods_are_judged_after_the_credentials() {
    let node = Node::created();
    for path in ["/v1/bootstrap", "/v1/nodes", "/v1/nodes/1", "/v1/cluster", "/v1/license"] {
        // A body of no bytes is none that anything could be changed by.
        let put = if matches!(path, "/v1/nodes/1" | "/v1/license") { 400 } else { 405 };
        for (method, status) in [("OPTIONS", 200), ("PUT", put), ("POST", 405), ("DELETE", 405)] {
            let request = Request::new(method, path).header("Content-Length", "0");
            assert_denied(&node.call(&request), &format!("{method} {path}"));
            let answer = node.call(&request.login(USER, PASSWORD));
            assert_eq!(answer.status, status, "{method} {path}");
            assert_eq!(
                answer.header("Allow").is_some_and(|allow| allow.contains("GET")),
                status != 400,
                "{method} {path}"
            );
        }
    }
    for path in POSTS {
        for (method, status) in [("OPTIONS", 200), ("GET", 405)] {
            let answer = node.call(&Request::new(method, path));
            assert_eq!(answer.status, status, "{method} {path}");
            assert!(answer.header("Allow").unwrap().contains("POST"), "{method} {path}");
        }
    }
}

#[test]
fn probes_and_unknown_paths_outside_the_api_stay_open() {
    let node = Node::created();
    for path in ["/healthz", "/readyz", "/healthz/"] {
        assert_eq!(node.get(path).status, 200, "{path}");
        assert_eq!(node.call(&Request::get(path).login("who", "wrong")).status, 200, "{path}");
        assert_eq!(node.call(&Request::new("OPTIONS", path)).status, 200, "{path}");
    }
    for path in ["/favicon.ico", "/v2/bootstrap", "/internal/v1/join", "/v1x"] {
        let answer = node.get(path);
        assert_eq!((answer.status, answer.error_code()), (404, "not_found".to_owned()), "{path}");
    }
}

#[test]
fn a_post_in_a_cluster_is_a_conflict_and_with_wrong_credentials_denied() {
    let node = Node::created();
    for path in POSTS {
        for content in [body::create().to_string(), "[".to_owned(), String::new()] {
            let request = Request::post(path, content);
            for request in [request.clone(), request.clone().login(USER, PASSWORD)] {
                let answer = node.call(&request);
                assert_eq!((answer.status, answer.error_code()), (409, "already_bootstrapped".to_owned()), "{path}");
                assert!(answer.description().contains("already part of a cluster"), "{answer:?}");
            }
            assert_denied(&node.call(&request.clone().login(USER, "wrong")), path);
            assert_denied(&node.call(&request.header("Authorization", "Basic %")), path);
        }
    }
    assert_eq!(node.state_name(), "completed");
}

#[test]
fn malformed_credentials_are_denied() {
    let node = Node::created();
    for value in malformed() {
        for request in [Request::get("/v1/bootstrap"), Request::create(&body::create())] {
            assert_denied(&node.call(&request.header("Authorization", &value)), &value);
        }
    }
    assert_denied(&node.call(&Request::get("/v1/bootstrap").header("Authorization", "")), "nothing");
    assert_eq!(node.state_name(), "completed");
}

#[test]
fn the_scheme_is_read_in_any_case() {
    let node = Node::created();
    let token = basic(USER, PASSWORD)["Basic ".len()..].to_owned();
    for scheme in ["Basic", "basic", "BASIC", "bAsIc", "Basic "] {
        let request = Request::get("/v1/bootstrap").header("authorization", &format!("{scheme} {token}"));
        assert_eq!(node.call(&request).status, 200, "{scheme:?}");
    }
}

#[test]
fn an_authorization_of_more_than_1_kib_is_denied() {
    let node = Node::created();
    let good = basic(USER, PASSWORD);
    let padded = |length: usize| {
        let spaces = " ".repeat(length - good.len());
        good.replacen(' ', &format!("{spaces} "), 1)
    };
    let call = |value: &str| node.call(&Request::get("/v1/bootstrap").header("Authorization", value));
    assert_eq!(call(&padded(1024)).status, 200);
    assert_denied(&call(&padded(1025)), "1025 bytes");
    assert_denied(&call(&basic(USER, &"x".repeat(4096))), "4 KiB");
    let long = basic(USER, &"x".repeat(900));
    assert_denied(&node.call(&Request::create(&body::create()).header("Authorization", &long)), "a POST");
}

#[test]
fn before_a_cluster_credentials_are_ignored() {
    let node = Node::start();
    let long = format!("Basic {}", "A".repeat(2000));
    for value in malformed().iter().chain([&long, &basic("who", "ever")]) {
        let with = |request: Request| node.call(&request.header("Authorization", value));
        assert_eq!(with(Request::get("/v1/bootstrap")).status, 200, "{value}");
        assert_eq!(with(Request::get("/v1/cluster")).status, 503, "{value}");
        assert_eq!(with(Request::validate(&body::create())).status, 200, "{value}");
        assert_eq!(with(Request::create(&body::refused())).status, 400, "{value}");
    }
    let answer = node.call(&Request::create(&body::create()).login("who", "ever"));
    assert_eq!(answer.status, 200);
    assert_eq!(node.ended()["state"], "completed");
    assert_denied(&node.call(&Request::get("/v1/bootstrap").login("who", "ever")), "ignored, so not kept");
}

/// `text` as a JSON string of nothing but `\uXXXX`.
fn escaped(text: &str, upper: bool) -> String {
    let mut json = String::from("\"");
    for unit in text.encode_utf16() {
        let digits = if upper { format!("{unit:04X}") } else { format!("{unit:04x}") };
        write!(json, "\\u{digits}").unwrap();
    }
    json + "\""
}

/// `text` as a JSON string with each short escape that it can have.
fn short_escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('/', "\\/");
    format!("\"{text}\"")
}

#[test]
fn a_password_logs_in_however_it_was_escaped() {
    let user = "jos\u{e9}.m\u{fc}ller@\u{4e2d}\u{6587}/\\'";
    let password = "\u{1f511}\"quo'ted\"\\back\\\\slash/\u{10ffff}\u{1f469}\u{200d}\u{1f4bb} :\u{e9}e\u{301}";
    let raw = |text: &str| serde_json::to_string(text).unwrap();
    let ways: [&dyn Fn(&str) -> String; 4] =
        [&raw, &short_escaped, &|text| escaped(text, false), &|text| escaped(text, true)];
    for way in ways {
        let node = Node::start();
        let credentials = format!("{{\"username\":{},\"password\":{}}}", way(user), way(password));
        let body = format!("{{\"cluster\":{{\"name\":\"c\"}},\"credentials\":{credentials}}}");
        let answer = node.call(&Request::post(CREATE, &body));
        assert_eq!(answer.status, 200, "{body}: {answer:?}");
        eventually("completed", || (node.get("/readyz").status == 200).then_some(()));
        let login = |user: &str, password: &str| node.call(&Request::get("/v1/bootstrap").login(user, password));
        assert_eq!(login(user, password).status, 200, "{body}");
        assert_denied(&login(user, &password.replace("e\u{301}", "\u{e9}")), "another form of the same letters");
        assert_denied(&login(user, &password.replace('\\', "\\\\")), "escaped");
        assert_denied(&login(user, &password[..password.len() - 2]), "cut");
    }
}

#[test]
fn the_longest_name_and_password_log_in() {
    let mut node = Node::start();
    let user = "\u{fc}".repeat(128);
    let password = "\u{1f511}".repeat(64);
    assert_eq!((user.len(), password.len()), (256, 256));
    let mut body = body::create_with("/credentials/username", user.clone().into());
    body["credentials"]["password"] = password.clone().into();
    assert_eq!(node.call(&Request::create(&body)).status, 200);
    eventually("completed", || (node.get("/readyz").status == 200).then_some(()));
    for _ in 0..2 {
        assert_eq!(node.call(&Request::get("/v1/cluster").login(&user, &password)).status, 200);
        node.restart();
    }
    assert_denied(&node.call(&Request::get("/v1/cluster").login(&user, &password[..252])), "too short");
    assert_denied(&node.call(&Request::get("/v1/cluster").login(&user[..254], &password)), "too short");
}

fn timed(connection: &mut Connection, request: &Request, status: u16) -> Duration {
    let start = Instant::now();
    assert_eq!(connection.call(request).status, status);
    start.elapsed()
}

#[test]
fn polling_costs_no_hash() {
    let node = Node::created();
    let mut connection = node.connect();
    let good = Request::get("/v1/bootstrap").login(USER, PASSWORD);
    let wrong = Request::get("/v1/bootstrap").login(USER, "wrong");
    assert_eq!(connection.call(&good).status, 200);
    let hash = median((0..5).map(|_| timed(&mut connection, &wrong, 401)).collect());
    // A stranger's guesses do not make the good login forgotten.
    let polls: Duration = (0..200).map(|_| timed(&mut connection, &good, 200)).sum();
    assert!(polls < hash * 200 / 4, "200 polls took {polls:?}, a hash {hash:?}");
    let elsewhere = median((0..20).map(|_| timed(&mut node.connect(), &good, 200)).collect());
    assert!(elsewhere < hash, "{elsewhere:?}, a hash {hash:?}");
}

#[test]
fn a_wrong_user_takes_as_long_as_a_wrong_password() {
    let node = Node::created();
    let mut connection = node.connect();
    let [user, password] =
        [("who", PASSWORD), (USER, "wrong")].map(|(user, password)| Request::get("/v1/cluster").login(user, password));
    assert_eq!(connection.call(&Request::get("/v1/cluster").login(USER, PASSWORD)).status, 200);
    // Other tests run meanwhile, so a round may be off; a difference that is there shows in all of them.
    let mut rounds = Vec::new();
    let alike = eventually("two logins that take the same time", || {
        let pairs = (0..15).map(|_| (timed(&mut connection, &user, 401), timed(&mut connection, &password, 401)));
        let (users, passwords): (Vec<_>, Vec<_>) = pairs.unzip();
        let (user, password) = (median(users), median(passwords));
        rounds.push((user, password));
        let alike = user < password * 13 / 10 && password < user * 13 / 10;
        (alike || rounds.len() == 10).then_some(alike)
    });
    assert!(alike, "wrong user, wrong password: {rounds:?}");
}

/// A wrong login unlike any other: equal ones may share a hash.
fn wrong_login(number: usize) -> Request {
    Request::get("/v1/bootstrap").login(USER, &format!("wrong {number}"))
}

/// Sends a wrong login from each source at once; the answers in the same order.
fn at_once(node: &Node, sources: &[Ipv4Addr]) -> Vec<Answer> {
    let host = node.address().to_string();
    let mut connections: Vec<_> = sources.iter().map(|source| Connection::open_from(*source, node.address())).collect();
    for (number, connection) in connections.iter_mut().enumerate() {
        connection.send(wrong_login(number).bytes(&host));
    }
    connections.iter_mut().map(Connection::answer).collect()
}

fn is_busy(answer: &Answer) -> bool {
    if answer.status == 401 {
        assert_denied(answer, "a wrong login");
        return false;
    }
    assert_eq!((answer.status, answer.error_code()), (503, "busy".to_owned()));
    assert_eq!(answer.header("Retry-After"), Some("1"));
    true
}

#[test]
fn beyond_four_waiting_logins_the_next_is_told_to_come_again() {
    let node = Node::created();
    let sources: Vec<_> = (1..=32).map(|last| Ipv4Addr::new(127, 0, 1, last)).collect();
    // A round in which the machine had other things to do than to send proves nothing.
    eventually("a full queue", || {
        let answers = at_once(&node, &sources);
        let busy = answers.iter().filter(|answer| is_busy(answer)).count();
        assert!(busy <= sources.len() - 4, "four find a place: {busy} did not");
        (busy >= sources.len() / 2).then_some(())
    });
    assert_eq!(node.get_as_admin("/v1/cluster").status, 200, "and soon there is room again");
}

#[test]
fn one_source_has_one_place_and_leaves_the_others_to_others() {
    let node = Node::created();
    let greedy = Ipv4Addr::new(127, 0, 2, 1);
    let others: Vec<_> = (2..=4).map(|last| Ipv4Addr::new(127, 0, 2, last)).collect();
    let sources = [vec![greedy; 24], others].concat();
    eventually("a source that asks for too much", || {
        let answers = at_once(&node, &sources);
        let (greedy, others) = answers.split_at(24);
        assert!(others.iter().all(|answer| !is_busy(answer)), "{answers:?}");
        (greedy.iter().filter(|answer| is_busy(answer)).count() >= 12).then_some(())
    });
}

#[test]
fn nobody_waits_for_the_hashes_of_others() {
    let node = Node::created();
    let host = node.address().to_string();
    let wrong = Request::get("/v1/bootstrap").login(USER, "wrong");
    let good = Request::get("/v1/bootstrap").login(USER, PASSWORD);
    let [probe, stranger] = ["/healthz", "/v1/nodes"].map(Request::get);
    let mut connection = node.connect();
    assert_eq!(connection.call(&good).status, 200);
    let hash = median((0..5).map(|_| timed(&mut connection, &wrong, 401)).collect());
    let mut waiting: Vec<_> =
        (1..=5).map(|last| Connection::open_from(Ipv4Addr::new(127, 0, 3, last), node.address())).collect();
    let mut times = Vec::new();
    for _ in 0..8 {
        for (number, connection) in waiting.iter_mut().enumerate() {
            connection.send(wrong_login(number).bytes(&host));
        }
        for (request, status) in [(&good, 200), (&probe, 200), (&stranger, 401)] {
            times.push(timed(&mut connection, request, status));
        }
        for connection in &mut waiting {
            let _ = is_busy(&connection.answer());
        }
    }
    let answered = median(times);
    assert!(answered < hash / 2, "an answer took {answered:?}, a hash {hash:?}");
}
