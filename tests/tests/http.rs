//! HTTP/1.1 framing in raw bytes, after RFC 9110 and RFC 9112: what is served, and what is refused because two
//! parsers could read it differently. Every message that is refused would create a cluster, were it believed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "whatever fails here fails a test"
)]

use std::io::Write as _;
use std::net::Shutdown;
use std::time::Duration;

use bootstrapd_tests::body::{PASSWORD, USER};
use bootstrapd_tests::{Answer, Connection, Node, Request, basic, body};
use serde_json::json;

const HEAD_BYTES_MAX: usize = 8192;
const FIELDS_MAX: usize = 32;
const BODY_BYTES_MAX: usize = 65_536;

const GET: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST /v1/bootstrap/create_cluster HTTP/1.1\r\nHost: a\r\n";

fn create() -> String {
    body::create().to_string()
}

/// `content` in chunks of at most `size` bytes.
fn chunked(content: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in content.chunks(size) {
        write!(bytes, "{:x}\r\n", chunk.len()).unwrap();
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn shown(bytes: &[u8]) -> String {
    let mut text = bytes[..bytes.len().min(600)].escape_ascii().to_string();
    if bytes.len() > 600 {
        text += "…";
    }
    text
}

const fn code(status: u16) -> &'static str {
    match status {
        400 => "bad_request",
        403 => "forbidden_origin",
        404 => "not_found",
        405 => "method_not_allowed",
        408 => "request_timeout",
        409 => "already_bootstrapped",
        411 => "length_required",
        413 => "body_too_large",
        414 => "uri_too_long",
        415 => "unsupported_media_type",
        417 => "expectation_failed",
        431 => "head_too_large",
        501 => "not_implemented",
        505 => "http_version",
        _ => "",
    }
}

/// The message is refused with this status and nothing else is answered, whatever comes `behind` it. The connection
/// ends in order: a reset could cost the client the answer.
fn refused_with(node: &Node, message: &[u8], behind: &[u8], status: u16) {
    let mut connection = node.connect();
    connection.send(join(&[message, behind]));
    let message = shown(message);
    let answer = connection.try_answer().unwrap_or_else(|error| panic!("no answer, {error}: {message}"));
    assert_eq!(answer.status, status, "{message}: {answer:?}");
    assert_eq!(answer.error_code(), code(status), "{message}");
    assert_eq!(answer.header("Connection"), Some("close"), "{message}");
    assert!(connection.is_closed(), "it stays, is reset or says more: {message}");
}

fn refused(node: &Node, message: &[u8], status: u16) {
    refused_with(node, message, GET.as_bytes(), status);
}

/// The message is answered with this status, and the request behind it too.
fn served(node: &Node, message: &[u8], status: u16) -> Answer {
    let mut connection = node.connect();
    connection.send(join(&[message, GET.as_bytes()]));
    let message = shown(message);
    let mut answer = connection.try_answer().unwrap_or_else(|error| panic!("no answer, {error}: {message}"));
    if answer.status == 100 {
        answer = connection.answer();
    }
    assert_eq!(answer.status, status, "{message}: {answer:?}");
    let next = connection.try_answer().unwrap_or_else(|error| panic!("nothing behind, {error}: {message}"));
    assert_eq!((next.status, next.text().trim()), (200, "ok"), "{message}");
    answer
}

/// Runs `cases` against a node that they must leave as it is.
fn untouched(cases: impl FnOnce(&Node)) {
    let node = Node::start();
    let before = node.snapshot();
    cases(&node);
    assert_eq!(node.bootstrap_status(), json!({"state": "idle"}));
    assert_eq!(node.snapshot(), before);
}

// What is served.

/// Fields that a GET may carry, with its status.
const GOOD_FIELDS: &[(u16, &[u8])] = &[
    (200, b""),
    (200, b"X:\r\n"),
    (200, b"X:y\r\n"),
    (200, b"X: \t y \t \r\n"),
    (200, b"!#$%&'*+-.^_`|~09azAZ: token\r\n"),
    (200, b"X: \xc3\xa9\r\n"),
    (200, b"X: \xe9\xff\r\n"),
    (200, b"X: a: b: c\r\n"),
    (200, b"X: \"\\\"\"\r\n"),
    (200, b"X: 1\r\nX: 2\r\nx: 3\r\n"),
    (200, b"TE: trailers, deflate;q=0.5\r\n"),
    (200, b"Connection: keep-alive\r\n"),
    (200, b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
    (200, b"Content-Length: 0\r\n"),
    (200, b"content-length:0\r\n"),
    (200, b"Expect: 100-continue\r\nContent-Length: 0\r\n"),
];

#[test]
fn well_formed_fields_are_served() {
    let node = Node::start();
    for (status, fields) in GOOD_FIELDS {
        served(&node, &join(&[b"GET /healthz HTTP/1.1\r\nHost: a\r\n", fields, b"\r\n"]), *status);
    }
}

#[test]
fn well_formed_hosts_are_served() {
    let node = Node::start();
    for host in
        ["a", "A.example", "a.", "a-b_c~d", "127.0.0.1", "127.0.0.1:8080", "a:0", "a:65535", "a:", "[::1]", "[::1]:80"]
    {
        for line in [format!("Host: {host}"), format!("host:{host}"), format!("HOST:\t {host}\t ")] {
            served(&node, format!("GET /healthz HTTP/1.1\r\n{line}\r\n\r\n").as_bytes(), 200);
        }
    }
}

/// Request lines with their status.
const GOOD_LINES: &[(u16, &str)] = &[
    (200, "GET /healthz HTTP/1.1"),
    (200, "\r\nGET /healthz HTTP/1.1"),
    (200, "GET /healthz?a=b&c=%20%c3%A9;/?:@!$'()*+,~-._ HTTP/1.1"),
    (200, "GET http://a/healthz HTTP/1.1"),
    (200, "GET HTTP://elsewhere.example:80/healthz?x HTTP/1.1"),
    (200, "GET https://a/healthz HTTP/1.1"),
    (503, "GET http://a HTTP/1.1"),
    (503, "GET http://a?x HTTP/1.1"),
    (200, "OPTIONS /healthz HTTP/1.1"),
    (404, "GET /%00 HTTP/1.1"),
    (404, "GET /healthz;a=b HTTP/1.1"),
    (405, "BREW /healthz HTTP/1.1"),
    (405, "get /healthz HTTP/1.1"),
    (405, "!#$%&'*+-.^_`|~09azAZ /healthz HTTP/1.1"),
];

#[test]
fn well_formed_request_lines_are_served() {
    let node = Node::start();
    for (status, line) in GOOD_LINES {
        served(&node, format!("{line}\r\nHost: a\r\n\r\n").as_bytes(), *status);
    }
}

#[test]
fn a_hundred_pipelined_requests_are_answered_in_order() {
    let node = Node::start();
    let paths = [("/healthz", 200), ("/readyz", 503), ("/nowhere", 404), ("/v1/bootstrap", 200), ("/v1/nodes", 503)];
    let asked = || paths.iter().cycle().take(100);
    let text: Vec<_> = asked().map(|(path, _)| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    let mut connection = node.connect();
    connection.send(text.concat());
    for (path, status) in asked() {
        let answer = connection.answer();
        assert_eq!(answer.status, *status, "{path}");
        assert_eq!(answer.text().contains("\"state\":\"idle\""), *path == "/v1/bootstrap", "{path}");
    }
    assert!(connection.is_quiet());
}

#[test]
fn what_is_pipelined_behind_a_post_sees_what_it_did() {
    let node = Node::start();
    let status = Request::get("/v1/bootstrap").login(USER, PASSWORD).bytes("a");
    let wrong = Request::create(&body::refused()).bytes("a");
    let right = Request::create(&body::create()).bytes("a");
    let mut connection = node.connect();
    connection.send(join(&[&status, &wrong, &status, &right, &status, &status]));
    assert_eq!(connection.answer().json()["bootstrap_status"]["state"], "idle");
    assert_eq!(connection.answer().error_code(), "config_error");
    assert_eq!(connection.answer().json()["bootstrap_status"]["state"], "error");
    let accepted = connection.answer();
    assert_eq!((accepted.status, accepted.text()), (200, ""));
    for _ in 0..2 {
        let state = connection.answer().json()["bootstrap_status"]["state"].take();
        assert!(["initiated", "creating_cluster", "completed"].contains(&state.as_str().unwrap()), "{state}");
    }
    assert_eq!(node.ended()["state"], "completed");
}

#[test]
fn head_and_get_pipelined_keep_their_places() {
    let node = Node::start();
    let mut connection = node.connect();
    connection.send(GET.replace("GET", "HEAD").repeat(2) + GET + &GET.replace("GET", "HEAD"));
    for head in [true, true, false, true] {
        let answer = if head { connection.answer_to_head() } else { connection.answer() };
        assert_eq!((answer.status, answer.body.is_empty()), (200, head));
    }
    assert!(connection.is_quiet());
}

#[test]
fn a_body_that_nobody_asked_for_is_passed_over() {
    let node = Node::start();
    for (method, path, status) in [
        ("GET", "/healthz", 200),
        ("OPTIONS", "/healthz", 200),
        ("PUT", "/healthz", 405),
        ("POST", "/v1/bootstrap", 405),
        ("POST", "/nowhere", 404),
    ] {
        // The body looks like a request: it must not be taken for one.
        let head = format!("{method} {path} HTTP/1.1\r\nHost: a\r\n");
        let length = format!("Content-Length: {}\r\n\r\n", GET.len());
        let by_length = join(&[head.as_bytes(), length.as_bytes(), GET.as_bytes()]);
        let chunks = chunked(GET.as_bytes(), 7);
        let by_chunks = join(&[head.as_bytes(), b"Transfer-Encoding: chunked\r\n\r\n", &chunks]);
        for message in [by_length, by_chunks] {
            answered_once(&node, &message, status);
        }
    }
}

/// The message is answered with this status; then the connection ends, or the request behind is answered too.
fn answered_once(node: &Node, message: &[u8], status: u16) {
    let mut connection = node.connect();
    connection.send(join(&[message, b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"]));
    let answer = connection.answer();
    assert_eq!(answer.status, status, "{}", shown(message));
    if answer.header("Connection") != Some("close") {
        assert_eq!(connection.answer().status, 404, "{}", shown(message));
        connection.stream().shutdown(Shutdown::Write).unwrap();
    }
    assert!(connection.is_closed(), "{}", shown(message));
}

#[test]
fn close_ends_the_connection_behind_the_answer() {
    let node = Node::start();
    for fields in [
        "Connection: close",
        "connection:Close",
        "Connection: keep-alive, close",
        "Connection: x\r\nConnection: CLOSE",
        "Connection: close, x,,",
    ] {
        let mut connection = node.connect();
        connection.send(format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{GET}"));
        let answer = connection.answer();
        assert_eq!((answer.status, answer.header("Connection")), (200, Some("close")), "{fields}");
        assert!(connection.is_closed(), "{fields}");
    }
}

#[test]
fn http_1_0_closes_unless_asked_to_stay() {
    let node = Node::start();
    for host in ["", "Host: a\r\n"] {
        let mut connection = node.connect();
        connection.send(format!("GET /healthz HTTP/1.0\r\n{host}\r\n{GET}"));
        assert_eq!(connection.answer().status, 200);
        assert!(connection.is_closed());

        let mut connection = node.connect();
        connection.send(format!("GET /healthz HTTP/1.0\r\nConnection: Keep-Alive\r\n{host}\r\n{GET}"));
        let answer = connection.answer();
        assert_eq!(answer.status, 200);
        assert!(answer.header("Connection").unwrap().eq_ignore_ascii_case("keep-alive"));
        assert_eq!(connection.answer().status, 200);
        assert!(connection.is_quiet());

        let mut connection = node.connect();
        connection.send(format!("GET /healthz HTTP/1.0\r\nConnection: keep-alive, close\r\n{host}\r\n{GET}"));
        assert_eq!(connection.answer().status, 200);
        assert!(connection.is_closed());
    }
}

#[test]
fn http_1_0_posts_with_a_length_and_is_never_told_to_continue() {
    let node = Node::start();
    let create = create();
    let mut connection = node.connect();
    let head = POST.replace("1.1", "1.0").replace("Host: a\r\n", "");
    connection.send(format!("{head}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n", create.len()));
    assert!(connection.is_quiet());
    connection.send(&create);
    assert_eq!(connection.answer().status, 200);
    assert!(connection.is_closed());
    assert_eq!(node.ended()["state"], "completed");
}

#[test]
fn a_client_that_shuts_its_sending_side_still_gets_its_answers() {
    let node = Node::start();
    let mut connection = node.connect();
    connection.send(GET.repeat(3));
    connection.stream().shutdown(Shutdown::Write).unwrap();
    for _ in 0..3 {
        assert_eq!(connection.answer().status, 200);
    }
    assert!(connection.is_closed());
}

fn send_byte_by_byte(connection: &mut Connection, bytes: &[u8]) {
    for byte in bytes {
        connection.send([*byte]);
        std::thread::yield_now();
    }
}

#[test]
fn a_message_may_come_byte_by_byte() {
    let node = Node::start();
    let refused = body::refused().to_string();
    let by_length = Request::create(&body::refused()).bytes("a");
    let by_chunks = join(&[POST.as_bytes(), b"Transfer-Encoding: chunked\r\n\r\n", &chunked(refused.as_bytes(), 5)]);
    let mut connection = node.connect();
    send_byte_by_byte(&mut connection, &join(&[GET.as_bytes(), &by_length, &by_chunks, GET.as_bytes()]));
    assert_eq!(connection.answer().status, 200);
    assert_eq!(connection.answer().error_code(), "config_error");
    assert_eq!(connection.answer().error_code(), "config_error");
    assert_eq!(connection.answer().status, 200);
}

#[test]
fn a_message_may_be_cut_anywhere() {
    let node = Node::start();
    let refused = body::refused().to_string();
    let post = join(&[POST.as_bytes(), b"Transfer-Encoding: chunked\r\n\r\n", &chunked(refused.as_bytes(), 30)]);
    let message = join(&[&post, GET.as_bytes()]);
    let mut connection = node.connect();
    for cut in 1..message.len() {
        connection.send(&message[..cut]);
        std::thread::yield_now();
        connection.send(&message[cut..]);
        assert_eq!(connection.answer().error_code(), "config_error", "{cut}");
        assert_eq!(connection.answer().status, 200, "{cut}");
    }
}

/// Chunked bodies that say `{"action":1}`, which is understood and refused.
const GOOD_CHUNKS: &[&str] = &[
    "c\r\n{\"action\":1}\r\n0\r\n\r\n",
    "C\r\n{\"action\":1}\r\n0\r\n\r\n",
    "0C\r\n{\"action\":1}\r\n000\r\n\r\n",
    "1\r\n{\r\nb\r\n\"action\":1}\r\n0\r\n\r\n",
    "c;a\r\n{\"action\":1}\r\n0;b\r\n\r\n",
    "c;a=b;c;d=\"e\"\r\n{\"action\":1}\r\n0\r\n\r\n",
    "c;a=\"; \\\" \\\\ \t,\"\r\n{\"action\":1}\r\n0\r\n\r\n",
    "c ; a\t= \"b\"\r\n{\"action\":1}\r\n0\r\n\r\n",
    "c\r\n{\"action\":1}\r\n0\r\nX: y\r\nZ:\r\n\r\n",
    "c\r\n{\"action\":1}\r\n0;x=y\r\nX-Checksum: \"\u{e9}\"\r\n\r\n",
    "e\r\n\r\n{\"action\":1}\r\n0\r\n\r\n",
];

#[test]
fn chunks_may_have_any_size_extensions_and_trailers() {
    let node = Node::start();
    for chunks in GOOD_CHUNKS {
        for coding in ["chunked", "Chunked", "CHUNKED", "\tchunked "] {
            let answer = served(&node, format!("{POST}Transfer-Encoding: {coding}\r\n\r\n{chunks}").as_bytes(), 400);
            assert_eq!(answer.error_code(), "config_error", "{chunks}");
            assert!(answer.text().contains("/action"), "{chunks}: {}", answer.text());
        }
    }
    assert_eq!(node.state_name(), "error");
}

// What is refused.

/// Request lines.
const BAD_LINES: &[(u16, &[u8])] = &[
    // The line's shape.
    (400, b"GET"),
    (400, b"GET "),
    (400, b"GET /healthz"),
    (400, b"GET /healthz "),
    (400, b" GET /healthz HTTP/1.1"),
    (400, b"\tGET /healthz HTTP/1.1"),
    (400, b"GET  /healthz HTTP/1.1"),
    (400, b"GET /healthz  HTTP/1.1"),
    (400, b"GET\t/healthz HTTP/1.1"),
    (400, b"GET /healthz\tHTTP/1.1"),
    (400, b"GET\x0b/healthz HTTP/1.1"),
    (400, b"GET /healthz HTTP/1.1 "),
    (400, b"GET /healthz HTTP/1.1\t"),
    (400, b"GET /healthz HTTP/1.1 x"),
    (400, b"GET /healthz x HTTP/1.1"),
    (400, b"GET /healthz\0 HTTP/1.1"),
    (400, b"\0GET /healthz HTTP/1.1"),
    (400, b"GET /healthz HTTP/1.1\0"),
    (400, b"GET /healthz\rHTTP/1.1"),
    (400, b"GET /healthz HTTP/1.1\r"),
    (400, b"GET /healthz HTTP/1.1\nX: y"),
    (400, b"\nGET /healthz HTTP/1.1"),
    (400, b"\rGET /healthz HTTP/1.1"),
    (400, b"\xef\xbb\xbfGET /healthz HTTP/1.1"),
    // Methods.
    (400, b"/healthz HTTP/1.1"),
    (400, b"G(T /healthz HTTP/1.1"),
    (400, b"GET: /healthz HTTP/1.1"),
    (400, b"\"GET\" /healthz HTTP/1.1"),
    (400, b"GE\xcc\x81T /healthz HTTP/1.1"),
    (400, b"G\xc9T /healthz HTTP/1.1"),
    (400, b"GET\x7f /healthz HTTP/1.1"),
    // Versions.
    (505, b"GET /healthz HTTP/0.9"),
    (505, b"GET /healthz HTTP/1.2"),
    (505, b"GET /healthz HTTP/1.9"),
    (505, b"GET /healthz HTTP/2.0"),
    (505, b"GET /healthz HTTP/3.0"),
    (505, b"GET /healthz HTTP/9.9"),
    (505, b"PRI * HTTP/2.0"),
    (400, b"GET /healthz HTTP/2"),
    (400, b"GET /healthz HTTP/1"),
    (400, b"GET /healthz HTTP/1."),
    (400, b"GET /healthz HTTP/.1"),
    (400, b"GET /healthz HTTP/11"),
    (400, b"GET /healthz HTTP/1.10"),
    (400, b"GET /healthz HTTP/1.1.1"),
    (400, b"GET /healthz HTTP/01.1"),
    (400, b"GET /healthz HTTP/1.01"),
    (400, b"GET /healthz HTTP/10.1"),
    (400, b"GET /healthz HTTP/+1.1"),
    (400, b"GET /healthz HTTP/1,1"),
    (400, b"GET /healthz HTTP/1.x"),
    (400, b"GET /healthz HTTP/1.1x"),
    (400, b"GET /healthz HTTP/ 1.1"),
    (400, b"GET /healthz HTTP /1.1"),
    (400, b"GET /healthz http/1.1"),
    (400, b"GET /healthz Http/1.1"),
    (400, b"GET /healthz HTTPS/1.1"),
    (400, b"GET /healthz HTP/1.1"),
    (400, b"GET /healthz ICY/1.1"),
    (400, b"GET /healthz 1.1"),
    (400, b"GET /healthz HTTP/\xd9\xa1.1"),
    // Targets.
    (400, b"GET healthz HTTP/1.1"),
    (400, b"GET * HTTP/1.1"),
    (400, b"GET ? HTTP/1.1"),
    (400, b"GET *healthz HTTP/1.1"),
    (400, b"GET /healthz#x HTTP/1.1"),
    (400, b"GET /% HTTP/1.1"),
    (400, b"GET /%4 HTTP/1.1"),
    (400, b"GET /%zz HTTP/1.1"),
    (400, b"GET /?% HTTP/1.1"),
    (400, b"GET /< HTTP/1.1"),
    (400, b"GET /> HTTP/1.1"),
    (400, b"GET /\" HTTP/1.1"),
    (400, b"GET /\\ HTTP/1.1"),
    (400, b"GET /^ HTTP/1.1"),
    (400, b"GET /` HTTP/1.1"),
    (400, b"GET /{} HTTP/1.1"),
    (400, b"GET /| HTTP/1.1"),
    (400, b"GET /\x01 HTTP/1.1"),
    (400, b"GET /\x7f HTTP/1.1"),
    (400, b"GET /\xc3\xa9 HTTP/1.1"),
    (400, b"GET /\xe9 HTTP/1.1"),
    (400, b"GET /?\xc3\xa9 HTTP/1.1"),
    (400, b"GET /\xc0\xaf HTTP/1.1"),
    (400, b"GET http:// HTTP/1.1"),
    (400, b"GET http:///healthz HTTP/1.1"),
    (400, b"GET http:/healthz HTTP/1.1"),
    (400, b"GET http:healthz HTTP/1.1"),
    (400, b"GET http://?x HTTP/1.1"),
    (400, b"GET http://:80/healthz HTTP/1.1"),
    (400, b"GET http://user@a/healthz HTTP/1.1"),
    (400, b"GET http://user:x@a/healthz HTTP/1.1"),
    (400, b"GET http://a:b/healthz HTTP/1.1"),
    (400, b"GET http://a:99999/healthz HTTP/1.1"),
    (400, b"GET http://a,b/healthz HTTP/1.1"),
    (400, b"GET http://[::1/healthz HTTP/1.1"),
    (400, b"GET http://a/healthz#x HTTP/1.1"),
    (400, b"GET http://\xc3\xa9/healthz HTTP/1.1"),
    (400, b"GET ftp://a/healthz HTTP/1.1"),
    (400, b"GET ://a/healthz HTTP/1.1"),
    (400, b"GET a:80 HTTP/1.1"),
    (400, b"CONNECT a:80 HTTP/1.1"),
    (400, b"CONNECT a HTTP/1.1"),
];

#[test]
fn broken_request_lines_are_refused() {
    untouched(|node| {
        for (status, line) in BAD_LINES {
            refused(node, &join(&[line, b"\r\nHost: a\r\n\r\n"]), *status);
            // The same line, as far as it may, before a body that would create.
            let create = create();
            let post = String::from_utf8_lossy(line).replace("GET", "POST");
            if line.is_ascii() && post.contains("POST") {
                let post = post.replace("/healthz", "/v1/bootstrap/create_cluster");
                let message = format!("{post}\r\nHost: a\r\nContent-Length: {}\r\n\r\n{create}", create.len());
                refused(node, message.as_bytes(), *status);
            }
        }
    });
}

/// Header fields, as they stand between a good one and the end of the head.
const BAD_FIELDS: &[(u16, &[u8])] = &[
    // Folding and white space.
    (400, b"X: a\r\n b\r\n"),
    (400, b"X: a\r\n\tb\r\n"),
    (400, b"X:\r\n b\r\n"),
    (400, b"X: a\r\n \r\n"),
    (400, b" X: a\r\n"),
    (400, b"\tX: a\r\n"),
    (400, b"X : a\r\n"),
    (400, b"X\t: a\r\n"),
    (400, b"X\x0b: a\r\n"),
    // Line ends.
    (400, b"X: a\nY: b\r\n"),
    (400, b"X: a\n"),
    (400, b"X: a\n\r\n"),
    (400, b"X: a\rY: b\r\n"),
    (400, b"X: a\r\r\n"),
    (400, b"X: \ra\r\n"),
    (400, b"X\r: a\r\n"),
    (400, b"X: a\r\n\rY: b\r\n"),
    (400, b"X: a\r\n\nY: b\r\n"),
    // Control characters.
    (400, b"X: a\0b\r\n"),
    (400, b"X: \0\r\n"),
    (400, b"X\0: a\r\n"),
    (400, b"\0X: a\r\n"),
    (400, b"X: a\x01b\r\n"),
    (400, b"X: a\x0bb\r\n"),
    (400, b"X: a\x0cb\r\n"),
    (400, b"X: a\x1bb\r\n"),
    (400, b"X: a\x7fb\r\n"),
    // Names.
    (400, b": a\r\n"),
    (400, b"X\r\n"),
    (400, b"X a\r\n"),
    (400, b"X Y: a\r\n"),
    (400, b"X(: a\r\n"),
    (400, b"X,: a\r\n"),
    (400, b"X/Y: a\r\n"),
    (400, b"X;: a\r\n"),
    (400, b"X=: a\r\n"),
    (400, b"<X>: a\r\n"),
    (400, b"X@: a\r\n"),
    (400, b"[X]: a\r\n"),
    (400, b"X\\: a\r\n"),
    (400, b"\"X\": a\r\n"),
    (400, b"{X}: a\r\n"),
    (400, b"X\xc3\xa9: a\r\n"),
    (400, b"X\xe9: a\r\n"),
    (400, b"X\x7f: a\r\n"),
    // Fields that mean one thing only.
    (400, b"Content-Type: application/json\r\nContent-Type: application/json\r\n"),
    (400, b"Authorization: Basic YTpi\r\nAuthorization: Basic YTpi\r\n"),
    (400, b"Origin: http://a\r\nOrigin: http://a\r\n"),
    (400, b"Sec-Fetch-Site: none\r\nSec-Fetch-Site: none\r\n"),
    (400, b"Content-Type: \xff\r\n"),
    (417, b"Expect: \r\n"),
    (417, b"Expect: 100-continue, x\r\n"),
    (417, b"Expect: 100-continued\r\n"),
    (417, b"Expect: 200-ok\r\n"),
    (417, b"Expect: 100-continue\r\nExpect: x\r\n"),
];

#[test]
fn broken_fields_are_refused() {
    untouched(|node| {
        let create = create();
        let length = format!("Content-Length: {}\r\n", create.len());
        for (status, fields) in BAD_FIELDS {
            refused(node, &join(&[b"GET /healthz HTTP/1.1\r\nHost: a\r\n", fields, b"\r\n"]), *status);
            let before = join(&[POST.as_bytes(), fields, length.as_bytes(), b"\r\n", create.as_bytes()]);
            let behind = join(&[POST.as_bytes(), length.as_bytes(), fields, b"\r\n", create.as_bytes()]);
            refused(node, &before, *status);
            refused(node, &behind, *status);
        }
    });
}

/// The lines in the place of `Host`.
const BAD_HOSTS: &[&[u8]] = &[
    b"",
    b"Host\r\n",
    b"Host:\r\n",
    b"Host: \t\r\n",
    b"Host : a\r\n",
    b" Host: a\r\n",
    b"X-Host: a\r\n",
    b"Host: a\r\nHost: a\r\n",
    b"Host: a\r\nHost: b\r\n",
    b"Host: a\r\nX: y\r\nhOST: a\r\n",
    b"Host: a\r\nHost:\r\n",
    b"Host: a, b\r\n",
    b"Host: a,b\r\n",
    b"Host: a b\r\n",
    b"Host: a\tb\r\n",
    b"Host: a/\r\n",
    b"Host: a/b\r\n",
    b"Host: a?b\r\n",
    b"Host: a#b\r\n",
    b"Host: a\\b\r\n",
    b"Host: a@b\r\n",
    b"Host: http://a\r\n",
    b"Host: \"a\"\r\n",
    b"Host: a|b\r\n",
    b"Host: {a}\r\n",
    b"Host: :80\r\n",
    b"Host: a:b\r\n",
    b"Host: a:-1\r\n",
    b"Host: a:+1\r\n",
    b"Host: a:80:80\r\n",
    b"Host: a: 80\r\n",
    b"Host: a:65536\r\n",
    b"Host: a:99999999999999999999\r\n",
    b"Host: ::1\r\n",
    b"Host: [::1\r\n",
    b"Host: ::1]\r\n",
    b"Host: []\r\n",
    b"Host: [::g]\r\n",
    b"Host: [127.0.0.1]\r\n",
    b"Host: [::1]x\r\n",
    b"Host: [::1]:x\r\n",
    b"Host: [fe80::1%25lo]\r\n",
    b"Host: \xc3\xa9\r\n",
    b"Host: \xe9\r\n",
    b"Host: a\0\r\n",
    b"Host: a\r\n b\r\n",
];

#[test]
fn a_missing_repeated_or_malformed_host_is_refused() {
    untouched(|node| {
        let create = create();
        let length = format!("Content-Length: {}\r\n\r\n", create.len());
        for host in BAD_HOSTS {
            refused(node, &join(&[b"GET /healthz HTTP/1.1\r\n", host, b"\r\n"]), 400);
            let post = POST.replace("Host: a\r\n", "");
            refused(node, &join(&[post.as_bytes(), host, length.as_bytes(), create.as_bytes()]), 400);
            // The target's own authority does not stand in for it.
            refused(node, &join(&[b"GET http://a/healthz HTTP/1.1\r\n", host, b"\r\n"]), 400);
        }
        for host in BAD_HOSTS.iter().filter(|host| host.starts_with(b"Host: ") && !host.ends_with(b": \t\r\n")) {
            refused(node, &join(&[b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n", host, b"\r\n"]), 400);
        }
    });
}

/// Ways to frame a body that are refused. `{n}` stands for its length, `{x}` for its length in hexadecimal.
const BAD_FRAMES: &[(u16, &str)] = &[
    // Both.
    (400, "Content-Length: {n}\r\nTransfer-Encoding: chunked"),
    (400, "Transfer-Encoding: chunked\r\nContent-Length: {n}"),
    (400, "Content-Length: 0\r\nTransfer-Encoding: chunked"),
    (400, "Content-Length: 4\r\nX: y\r\ntransfer-encoding:CHUNKED"),
    (400, "Content-Length: {n}\r\nTransfer-Encoding: identity"),
    (400, "Content-Length: {n}\r\nTransfer-Encoding: x"),
    (400, "Content-Length: {n}\r\nTransfer-Encoding:"),
    (400, "Content-Length: x\r\nTransfer-Encoding: chunked"),
    (400, "Content-Length:\r\nTransfer-Encoding: chunked"),
    // Two lengths.
    (400, "Content-Length: {n}\r\nContent-Length: {n}"),
    (400, "Content-Length: {n}\r\nContent-Length: 0"),
    (400, "Content-Length: 0\r\nContent-Length: {n}"),
    (400, "Content-Length: {n}\r\nX: y\r\ncontent-length: 7"),
    (400, "Content-Length: {n}, {n}"),
    (400, "Content-Length: {n},{n}"),
    (400, "Content-Length: 0, {n}"),
    (400, "Content-Length: {n},"),
    (400, "Content-Length: ,{n}"),
    // What is no length.
    (400, "Content-Length:"),
    (400, "Content-Length: \t"),
    (400, "Content-Length: +{n}"),
    (400, "Content-Length: -{n}"),
    (400, "Content-Length: -0"),
    (400, "Content-Length: -1"),
    (400, "Content-Length: 0{n}"),
    (400, "Content-Length: 00{n}"),
    (400, "Content-Length: 00"),
    (400, "Content-Length: 0x{x}"),
    (400, "Content-Length: {n}h"),
    (400, "Content-Length: {x}h"),
    (400, "Content-Length: 0b1"),
    (400, "Content-Length: 0o7"),
    (400, "Content-Length: {n}.0"),
    (400, "Content-Length: {n}e0"),
    (400, "Content-Length: 1_0"),
    (400, "Content-Length: {n} {n}"),
    (400, "Content-Length: 1 0"),
    (400, "Content-Length: {n}; x=y"),
    (400, "Content-Length: \"{n}\""),
    (400, "Content-Length: '{n}'"),
    (400, "Content-Length: {n}x"),
    (400, "Content-Length: x{n}"),
    (400, "Content-Length: {n}\u{b}"),
    (400, "Content-Length: \u{b}{n}"),
    (400, "Content-Length: {n}\0"),
    (400, "Content-Length: {n}\u{a0}"),
    (400, "Content-Length: \u{661}\u{662}"),
    (400, "Content-Length: \u{ff11}"),
    (400, "Content-Length: NaN"),
    // Names that nearly are one.
    (400, "Content-Length : {n}"),
    (400, "Content-Length\t: {n}"),
    (400, "Content Length: {n}"),
    (400, " Content-Length: {n}"),
    (400, "X: y\r\n Content-Length: {n}"),
    (400, "Content-Length:\r\n {n}"),
    (400, "Content-Length: {n}\r\n 0"),
    (400, "X: y\nContent-Length: {n}"),
    (400, "X: y\rContent-Length: {n}"),
    (400, "Content-Length\0: {n}"),
    (411, "Content_Length: {n}"),
    (411, "X-Content-Length: {n}"),
    // Too long.
    (413, "Content-Length: 65537"),
    (413, "Content-Length: 4294967296"),
    (413, "Content-Length: 4294967297"),
    (413, "Content-Length: 9223372036854775808"),
    (413, "Content-Length: 18446744073709551615"),
    (413, "Content-Length: 18446744073709551616"),
    (413, "Content-Length: 18446744073709551617"),
    (413, "Content-Length: 999999999999999999999999999999999999999999"),
    // Codings.
    (501, "Transfer-Encoding: identity"),
    (501, "Transfer-Encoding: gzip"),
    (501, "Transfer-Encoding: gzip, chunked"),
    (501, "Transfer-Encoding: chunked, gzip"),
    (501, "Transfer-Encoding: chunked, identity"),
    (501, "Transfer-Encoding: identity, chunked"),
    (501, "Transfer-Encoding: x"),
    (501, "Transfer-Encoding: xchunked"),
    (501, "Transfer-Encoding: chunkedx"),
    (501, "Transfer-Encoding: chunk"),
    (501, "Transfer-Encoding: chunked;q=1"),
    (501, "Transfer-Encoding: chunked; x"),
    (501, "Transfer-Encoding: chunked x"),
    (501, "Transfer-Encoding: \"chunked\""),
    (501, "Transfer-Encoding: 'chunked'"),
    (501, "Transfer-Encoding: chun\u{212a}ed"),
    (400, "Transfer-Encoding:"),
    (400, "Transfer-Encoding: \t"),
    (400, "Transfer-Encoding: ,"),
    (400, "Transfer-Encoding: chunked,"),
    (400, "Transfer-Encoding: ,chunked"),
    (400, "Transfer-Encoding: chunked, chunked"),
    (400, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    (400, "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
    (400, "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"),
    (400, "Transfer-Encoding: chunked\r\nX: y\r\ntransfer-encoding: x"),
    (400, "Transfer-Encoding: \u{b}chunked"),
    (400, "Transfer-Encoding: chunked\u{b}"),
    (400, "Transfer-Encoding: chunked\u{c}"),
    (400, "Transfer-Encoding: chunked\0"),
    (400, "Transfer-Encoding: chunked\r"),
    (400, "Transfer-Encoding : chunked"),
    (400, "Transfer-Encoding\t: chunked"),
    (400, "Transfer Encoding: chunked"),
    (400, " Transfer-Encoding: chunked"),
    (400, "X: y\r\n Transfer-Encoding: chunked"),
    (400, "Transfer-Encoding:\r\n chunked"),
    (400, "Transfer-Encoding: chunked\r\n x"),
    (400, "X: y\nTransfer-Encoding: chunked"),
    (400, "X: y\rTransfer-Encoding: chunked"),
    (400, "\rTransfer-Encoding: chunked"),
    (400, "\nTransfer-Encoding: chunked"),
    (411, "Transfer_Encoding: chunked"),
    (411, "X-Transfer-Encoding: chunked"),
    // Neither.
    (411, "X: y"),
];

#[test]
fn a_body_that_could_be_framed_two_ways_is_refused() {
    untouched(|node| {
        let create = create();
        let chunks = chunked(create.as_bytes(), 1000);
        for (status, fields) in BAD_FRAMES {
            for body in [create.as_bytes(), &chunks] {
                let fields =
                    fields.replace("{n}", &body.len().to_string()).replace("{x}", &format!("{:x}", body.len()));
                refused(node, &join(&[POST.as_bytes(), fields.as_bytes(), b"\r\n\r\n", body]), *status);
            }
        }
    });
}

#[test]
fn http_1_0_has_no_transfer_coding() {
    untouched(|node| {
        let chunks = chunked(create().as_bytes(), 1000);
        for fields in ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5"] {
            for keep_alive in ["", "Connection: keep-alive\r\n"] {
                let head = POST.replace("1.1", "1.0") + keep_alive + fields + "\r\n\r\n";
                refused(node, &join(&[head.as_bytes(), &chunks]), 400);
            }
        }
    });
}

/// Chunked bodies, behind a chunk that holds a body that would create.
const BAD_CHUNKS: &[&[u8]] = &[
    // Sizes.
    b"\r\n",
    b"x\r\n",
    b"g\r\n",
    b" 5\r\nhello\r\n0\r\n\r\n",
    b"\t5\r\nhello\r\n0\r\n\r\n",
    b"5 \r\nhello\r\n0\r\n\r\n",
    b"5\t\r\nhello\r\n0\r\n\r\n",
    b"5\x0b\r\nhello\r\n0\r\n\r\n",
    b"+5\r\nhello\r\n0\r\n\r\n",
    b"-5\r\nhello\r\n0\r\n\r\n",
    b"-0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"0x0\r\n\r\n",
    b"x5\r\nhello\r\n0\r\n\r\n",
    b"5h\r\nhello\r\n0\r\n\r\n",
    b"5.0\r\nhello\r\n0\r\n\r\n",
    b"5,5\r\nhello\r\n0\r\n\r\n",
    b"5_0\r\nhello\r\n0\r\n\r\n",
    b"5 5\r\nhello\r\n0\r\n\r\n",
    b"5\0\r\nhello\r\n0\r\n\r\n",
    b"\xd9\xa5\r\nhello\r\n0\r\n\r\n",
    b"\xef\xbc\x95\r\nhello\r\n0\r\n\r\n",
    b"100000000\r\nhello\r\n0\r\n\r\n",
    b"100000005\r\nhello\r\n0\r\n\r\n",
    b"10000000000000000\r\n\r\n",
    b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    b"FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
    b"FFFFFFFFFFFFFFFFF5\r\nhello\r\n0\r\n\r\n",
    b"7FFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
    b"8000000000000000\r\nhello\r\n0\r\n\r\n",
    // Line ends.
    b"5\nhello\r\n0\r\n\r\n",
    b"5\rhello\r\n0\r\n\r\n",
    b"5\r\r\nhello\r\n0\r\n\r\n",
    b"5\n\rhello\r\n0\r\n\r\n",
    b"5\r\nhello\n0\r\n\r\n",
    b"5\r\nhello\r0\r\n\r\n",
    b"5\r\nhello0\r\n\r\n",
    b"5\r\nhello\r\r\n0\r\n\r\n",
    b"5\r\nhello\r\n\r\n0\r\n\r\n",
    b"5\r\nhellox\r\n0\r\n\r\n",
    b"5\r\nhell\r\n0\r\n\r\n",
    b"5\r\nhello \r\n0\r\n\r\n",
    b"5\r\nhello\n\n0\r\n\r\n",
    b"0\n\r\n",
    b"0\r\n\n",
    b"0\n\n",
    b"0\r\r\n\r\n",
    b"0\r\n\r\r\n",
    // Extensions.
    b"5;\r\nhello\r\n0\r\n\r\n",
    b"5;;a\r\nhello\r\n0\r\n\r\n",
    b"5;=b\r\nhello\r\n0\r\n\r\n",
    b"5;a=\r\nhello\r\n0\r\n\r\n",
    b"5;a=b=c\r\nhello\r\n0\r\n\r\n",
    b"5;a b\r\nhello\r\n0\r\n\r\n",
    b"5;a=\"b\r\nhello\r\n0\r\n\r\n",
    b"5;a=\"b\"c\r\nhello\r\n0\r\n\r\n",
    b"5;a=\"b\\\r\nhello\r\n0\r\n\r\n",
    b"5;a=\"\x01\"\r\nhello\r\n0\r\n\r\n",
    b"5;a\0\r\nhello\r\n0\r\n\r\n",
    b"5;a\nhello\r\n0\r\n\r\n",
    b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    b"5;a=\"\n\"\r\nhello\r\n0\r\n\r\n",
    b"5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
    b"5;\xc3\xa9\r\nhello\r\n0\r\n\r\n",
    b"5 a\r\nhello\r\n0\r\n\r\n",
    b"5:a\r\nhello\r\n0\r\n\r\n",
    // Trailers.
    b"0\r\nX\r\n\r\n",
    b"0\r\n: y\r\n\r\n",
    b"0\r\nX : y\r\n\r\n",
    b"0\r\n X: y\r\n\r\n",
    b"0\r\nX: y\r\n z\r\n\r\n",
    b"0\r\nX: y\nZ: a\r\n\r\n",
    b"0\r\nX: y\rZ: a\r\n\r\n",
    b"0\r\nX: y\r\r\n\r\n",
    b"0\r\nX: \0\r\n\r\n",
    b"0\r\nX: \x7f\r\n\r\n",
    b"0\r\n(X): y\r\n\r\n",
    b"0\r\nX\xc3\xa9: y\r\n\r\n",
    b"0\r\nContent-Length: 5\r\n\r\n",
    b"0\r\ntransfer-encoding: chunked\r\n\r\n",
    b"0\r\nHost: b\r\n\r\n",
    b"0\r\nAuthorization: Basic YTpi\r\n\r\n",
    b"0\r\nContent-Type: application/json\r\n\r\n",
];

#[test]
fn broken_chunks_are_refused() {
    untouched(|node| {
        let head = join(&[POST.as_bytes(), b"Transfer-Encoding: chunked\r\n\r\n"]);
        let first = chunked(create().as_bytes(), 1000);
        let first = first.strip_suffix(b"0\r\n\r\n").unwrap();
        for chunks in BAD_CHUNKS {
            refused(node, &join(&[&head, chunks]), 400);
            refused(node, &join(&[&head, first, chunks]), 400);
        }
        let many = "X: y\r\n".repeat(FIELDS_MAX + 1);
        refused(node, &join(&[&head, first, b"0\r\n", many.as_bytes(), b"\r\n"]), 400);
        let endless = format!("5;a={}", "b".repeat(100_000));
        refused(node, &join(&[&head, first, endless.as_bytes()]), 400);
        let endless = format!("0\r\nX: {}", "y".repeat(100_000));
        refused(node, &join(&[&head, first, endless.as_bytes()]), 400);
    });
}

#[test]
fn a_broken_chunk_is_refused_byte_by_byte_too() {
    untouched(|node| {
        for chunks in [&b"5\nhello"[..], b"5\r\nhellox\r\n", b"FFFFFFFFFFFFFFFF\r\n", b"0\r\nX : y\r\n", b"5;\r\n"] {
            let mut connection = node.connect();
            send_byte_by_byte(
                &mut connection,
                &join(&[POST.as_bytes(), b"Transfer-Encoding: chunked\r\n\r\n", chunks]),
            );
            assert_eq!(connection.answer().status, 400, "{}", shown(chunks));
            assert!(connection.is_closed(), "{}", shown(chunks));
        }
    });
}

#[test]
fn nothing_behind_a_refused_message_is_answered() {
    untouched(|node| {
        let mut connection = node.connect();
        let create = Request::create(&body::create()).bytes("a");
        let broken = GET.replace("Host", "Host ");
        connection.send(join(&[GET.as_bytes(), GET.as_bytes(), broken.as_bytes(), &create, GET.as_bytes()]));
        for status in [200, 200, 400] {
            assert_eq!(connection.answer().status, status);
        }
        assert!(connection.is_closed());
    });
}

#[test]
fn a_refusal_comes_whole_although_much_is_left_unread() {
    untouched(|node| {
        let line = |line: &str| format!("{line}\r\nHost: a\r\n\r\n");
        let field = |field: &str| format!("{POST}{field}\r\n\r\n");
        let long = "y".repeat(HEAD_BYTES_MAX);
        for (status, message) in [
            (400, line("GET /healthz")),
            (400, field("Content-Length: 5\r\nContent-Length: 5")),
            (400, field("Transfer-Encoding: chunked") + "x\r\n"),
            (411, field("X: y")),
            (413, field("Content-Length: 1000000")),
            (413, field("Transfer-Encoding: chunked") + "10001\r\n" + &"z".repeat(BODY_BYTES_MAX + 1)),
            (414, line(&format!("GET /{long} HTTP/1.1"))),
            (417, field("Expect: x")),
            (431, field(&format!("X: {long}"))),
            (501, field("Transfer-Encoding: gzip")),
            (505, line("GET /healthz HTTP/2.0")),
        ] {
            refused_with(node, message.as_bytes(), &vec![b'z'; 256 * 1024], status);
        }
    });
}

#[test]
fn a_refusal_comes_whole_to_a_client_that_is_still_sending() {
    untouched(|node| {
        let field = |field: &str| format!("{POST}{field}\r\n\r\n");
        for (status, message) in [
            (400, field("Content-Length: 5\r\nContent-Length: 5")),
            (400, field("Transfer-Encoding: chunked") + "x\r\n"),
            (411, field("X: y")),
            (413, field("Content-Length: 1000000")),
            (415, field("Content-Type: text/plain\r\nExpect: 100-continue\r\nContent-Length: 60000")),
            (501, field("Transfer-Encoding: gzip")),
        ] {
            let mut connection = node.connect();
            connection.send(&message);
            for _ in 0..10 {
                std::thread::sleep(Duration::from_millis(5));
                // A reset would make the kernel of some clients forget the answer.
                let sent = connection.stream().write_all(&[b'z'; 6000]);
                assert!(sent.is_ok(), "{sent:?}: {message}");
            }
            assert_eq!(connection.answer().status, status, "{message}");
            assert!(connection.is_closed(), "it stays, is reset or says more: {message}");
        }
    });
}

#[test]
fn a_message_that_ends_too_early_changes_nothing() {
    untouched(|node| {
        let by_length = Request::create(&body::create()).bytes("a");
        let chunks = chunked(create().as_bytes(), 40);
        let by_chunks = join(&[POST.as_bytes(), b"Transfer-Encoding: chunked\r\n\r\n", &chunks]);
        for message in [by_length, by_chunks] {
            for length in (0..message.len()).step_by(7).chain([message.len() - 2, message.len() - 1]) {
                let mut connection = node.connect();
                connection.send(&message[..length]);
                connection.stream().shutdown(Shutdown::Write).unwrap();
                // Whether it is told so or not is all one.
                if let Ok(answer) = connection.try_answer() {
                    assert_eq!(answer.status, 400, "{length}");
                }
            }
        }
    });
}

// Sizes.

/// A GET of exactly `length` bytes.
fn head_of(length: usize) -> String {
    let head = "GET /healthz HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
    head.replace("X: ", &format!("X: {}", "y".repeat(length - head.len())))
}

#[test]
fn a_head_has_at_most_8_kib() {
    untouched(|node| {
        served(node, head_of(HEAD_BYTES_MAX - 1).as_bytes(), 200);
        served(node, head_of(HEAD_BYTES_MAX).as_bytes(), 200);
        refused(node, head_of(HEAD_BYTES_MAX + 1).as_bytes(), 431);
        refused(node, head_of(HEAD_BYTES_MAX + 2).as_bytes(), 431);
        refused(node, head_of(10 * HEAD_BYTES_MAX).as_bytes(), 431);
        // It need not end to be too long.
        refused_with(node, &head_of(HEAD_BYTES_MAX + 1).as_bytes()[..HEAD_BYTES_MAX], b"", 431);

        // One after the other, whatever of the next came with the first.
        let mut connection = node.connect();
        connection.send(head_of(HEAD_BYTES_MAX).repeat(5));
        for _ in 0..5 {
            assert_eq!(connection.answer().status, 200);
        }
    });
}

#[test]
fn a_request_line_has_as_much() {
    untouched(|node| {
        let line = |length: usize| format!("GET /healthz?{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length));
        let rest = line(0).len();
        served(node, line(HEAD_BYTES_MAX - rest).as_bytes(), 200);
        refused(node, line(HEAD_BYTES_MAX - rest + 1).as_bytes(), 431);
        refused(node, line(HEAD_BYTES_MAX).as_bytes(), 414);
        refused_with(node, &[b'x'; HEAD_BYTES_MAX], b"", 414);
        refused_with(node, &line(HEAD_BYTES_MAX).as_bytes()[..HEAD_BYTES_MAX], b"", 414);
    });
}

#[test]
fn a_head_has_at_most_32_fields() {
    untouched(|node| {
        let head = |fields: usize| format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(fields - 1));
        served(node, head(FIELDS_MAX).as_bytes(), 200);
        refused(node, head(FIELDS_MAX + 1).as_bytes(), 431);
        refused(node, head(10 * FIELDS_MAX).as_bytes(), 431);
    });
}

fn padded(length: usize) -> Vec<u8> {
    let mut body = create().into_bytes();
    body.resize(length, b' ');
    body
}

#[test]
fn a_body_has_at_most_64_kib() {
    let node = Node::start();
    let long = padded(BODY_BYTES_MAX + 1);
    let head = format!("{POST}Content-Length: {}\r\n\r\n", long.len());
    refused(&node, &join(&[head.as_bytes(), &long]), 413);
    assert_eq!(node.bootstrap_status(), json!({"state": "idle"}));

    let answer = served(&node, &Request::post("/v1/bootstrap/create_cluster", padded(BODY_BYTES_MAX)).bytes("a"), 200);
    assert_eq!(answer.text(), "");
    assert_eq!(node.ended()["state"], "completed");
}

#[test]
fn chunks_have_together_at_most_64_kib() {
    for size in [BODY_BYTES_MAX + 1, BODY_BYTES_MAX, 4096, 100] {
        let node = Node::start();
        let head = join(&[POST.as_bytes(), b"Transfer-Encoding: chunked\r\n\r\n"]);
        refused(&node, &join(&[&head, &chunked(&padded(BODY_BYTES_MAX + 1), size)]), 413);
        assert_eq!(node.bootstrap_status(), json!({"state": "idle"}), "{size}");

        served(&node, &join(&[&head, &chunked(&padded(BODY_BYTES_MAX), size)]), 200);
        assert_eq!(node.ended()["state"], "completed", "{size}");
    }
}

#[test]
fn a_body_of_nothing_is_a_bad_configuration() {
    let node = Node::start();
    for fields in ["Content-Length: 0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"] {
        let answer = served(&node, format!("{POST}{fields}").as_bytes(), 400);
        assert_eq!(answer.error_code(), "config_error");
    }
}

// Expect.

fn expecting(request: Request, length: usize) -> Request {
    request.header("Expect", "100-continue").header("Content-Length", &length.to_string())
}

#[test]
fn a_client_that_waits_is_told_to_continue() {
    let node = Node::start();
    let body = body::refused().to_string();
    let post = Request::new("POST", "/v1/bootstrap/create_cluster");
    for expectation in ["100-continue", "100-Continue"] {
        let by_length = post.clone().header("Content-Length", &body.len().to_string());
        let by_chunks = post.clone().header("Transfer-Encoding", "chunked");
        let chunks = chunked(body.as_bytes(), 11);
        for (request, body) in [(by_length, body.as_bytes()), (by_chunks, &chunks)] {
            let mut connection = node.connect();
            connection.send(request.header("Expect", expectation).bytes("a"));
            let answer = connection.answer();
            assert_eq!((answer.status, answer.text()), (100, ""));
            assert!(connection.is_quiet());
            connection.send(join(&[body, GET.as_bytes()]));
            assert_eq!(connection.answer().error_code(), "config_error");
            assert_eq!(connection.answer().status, 200);
        }
    }
}

#[test]
fn a_body_that_is_there_already_needs_no_permission() {
    let node = Node::start();
    let request = Request::create(&body::refused()).header("Expect", "100-continue");
    let answer = served(&node, &request.bytes("a"), 400);
    assert_eq!(answer.error_code(), "config_error");
}

/// What is known before the body comes instead of `100 Continue`. Then the connection ends, or the body may come and
/// is passed over.
fn refused_at_once(node: &Node, request: &Request, status: u16) {
    for sends_anyway in [false, true] {
        let mut connection = node.connect();
        connection.send(request.bytes(&node.address().to_string()));
        let answer = connection.answer();
        assert_eq!(answer.status, status, "{request:?}");
        if status != 401 {
            assert_eq!(answer.error_code(), code(status), "{request:?}");
        }
        if answer.header("Connection") == Some("close") {
            assert!(connection.is_closed(), "{request:?}");
        } else if sends_anyway {
            connection.send(join(&[create().as_bytes(), GET.as_bytes()]));
            assert_eq!(connection.answer().status, 200, "{request:?}");
        } else {
            assert!(connection.is_quiet(), "{request:?}");
        }
    }
}

#[test]
fn what_is_known_before_the_body_comes_instead_of_continue() {
    untouched(|node| {
        let post = |path: &str| expecting(Request::new("POST", path), create().len());
        let create = "/v1/bootstrap/create_cluster";
        refused_at_once(node, &expecting(Request::new("POST", create), BODY_BYTES_MAX + 1), 413);
        refused_at_once(node, &post(create).header("Content-Type", "text/plain"), 415);
        refused_at_once(node, &post(create).header("Origin", "http://evil.example"), 403);
        refused_at_once(node, &post(create).header("Sec-Fetch-Site", "cross-site"), 403);
        refused_at_once(node, &post("/v1/bootstrap"), 405);
        refused_at_once(node, &post("/nowhere"), 404);
        refused_at_once(node, &post(create).header("Expect", "x"), 417);
        refused_at_once(node, &post(create).header("Content-Length", "5"), 400);
    });
}

#[test]
fn a_node_in_a_cluster_says_so_instead_of_continue() {
    let node = Node::created();
    let post = expecting(Request::new("POST", "/v1/bootstrap/create_cluster"), create().len());
    refused_at_once(&node, &post, 409);
    refused_at_once(&node, &post.clone().login(USER, PASSWORD), 409);
    refused_at_once(&node, &post.clone().login(USER, "wrong"), 401);
}

#[test]
fn a_409_and_a_401_come_after_the_body_is_read_and_dropped() {
    let node = Node::created();
    let create = Request::create(&body::create());
    answered_once(&node, &create.bytes("a"), 409);
    answered_once(&node, &create.clone().login(USER, "wrong").bytes("a"), 401);
    let fields = format!("Authorization: {}\r\nTransfer-Encoding: chunked\r\n\r\n", basic(USER, "wrong"));
    answered_once(&node, &join(&[POST.as_bytes(), fields.as_bytes(), &chunked(&padded(5000), 100)]), 401);
    // Long ones too: the client is still sending when the answer is known.
    let long = Request::post("/v1/bootstrap/create_cluster", padded(BODY_BYTES_MAX));
    answered_once(&node, &long.bytes("a"), 409);
}

#[test]
fn a_wrong_type_is_415_and_leaves_no_doubt_where_the_body_ends() {
    untouched(|node| {
        for media in ["text/plain", "application/xml", "application/jsonx", "multipart/form-data; boundary=x", "json"] {
            let request =
                Request::typeless_post("/v1/bootstrap/create_cluster", create()).header("Content-Type", media);
            answered_once(node, &request.bytes("a"), 415);
        }
    });
}

#[test]
fn a_refused_head_request_is_answered_without_a_body() {
    let node = Node::start();
    for message in [
        "HEAD /v1/bootstrap HTTP/1.1\r\n\r\n",
        "HEAD /v1/bootstrap HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n",
        "HEAD /v1/bootstrap HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    ] {
        let mut connection = node.connect();
        connection.send(message);
        let answer = connection.answer_to_head();
        assert!(answer.status >= 400, "{message}: {answer:?}");
        assert!(connection.is_closed(), "{message}: something follows the head");
    }
}

#[test]
fn the_agent_as_a_whole_has_options() {
    let node = Node::start();
    let answer = served(&node, b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200);
    assert_eq!(answer.header("Allow"), Some("GET, HEAD, POST, OPTIONS"));
    refused(&node, b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400);
}

#[test]
fn accept_may_stand_on_any_number_of_lines() {
    let node = Node::start();
    for lines in 1..8 {
        let message = |last: &str| {
            let others = "Accept: text/a\r\n".repeat(lines - 1);
            format!("GET /v1/bootstrap HTTP/1.1\r\nHost: a\r\n{others}Accept: {last}\r\n\r\n")
        };
        served(&node, message("application/json").as_bytes(), 200);
        // Many lines may be set aside as a whole.
        served(&node, message("text/b").as_bytes(), if lines > 4 { 200 } else { 406 });
    }
}
