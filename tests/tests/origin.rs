//! A browser must not be able to bootstrap a node, or to read from it, because somebody visits a page.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "whatever fails here fails a test"
)]

use bootstrapd_tests::body::{PASSWORD, USER};
use bootstrapd_tests::{Answer, Node, Request, body, machine};
use serde_json::json;

const CREATE: &str = "/v1/bootstrap/create_cluster";
const GETS: [&str; 6] = ["/v1/bootstrap", "/bootstrap", "/v1/nodes", "/healthz", "/readyz", "/"];
const OWN_SITES: [Option<&str>; 3] = [None, Some("same-origin"), Some("none")];
const FOREIGN_SITES: [&str; 6] = ["cross-site", "same-site", "", "None", "SAME-ORIGIN", "anything"];

/// The hosts that a page of the node's own may come from.
fn own_hosts() -> Vec<String> {
    let name = machine::host_name();
    let mut hosts = vec![name.clone(), format!("{name}:8080")];
    let literals = ["127.0.0.1", "127.0.0.1:8080", "10.1.2.3", "192.0.2.1:1", "[::1]", "[::1]:8080", "[2001:db8::1]"];
    let names = ["localhost", "localhost:8080", "LocalHost:8080"];
    hosts.extend(literals.into_iter().chain(names).map(str::to_owned));
    hosts
}

/// Origin and Host that do not go together, or that are no node's.
fn foreign_pairs() -> Vec<(String, String)> {
    let name = machine::host_name();
    let pairs = [
        ("http://evil.example", "127.0.0.1:8080"),
        ("http://evil.example", "localhost"),
        // A name that an attacker points at the node: equal, and yet foreign.
        ("http://evil.example", "evil.example"),
        ("http://evil.example:8080", "evil.example:8080"),
        ("http://localhost.evil.example", "localhost.evil.example"),
        ("http://127.0.0.1.evil.example", "127.0.0.1.evil.example"),
        ("http://localhostx", "localhostx"),
        ("http://127.1", "127.1"),
        ("http://2130706433", "2130706433"),
        ("http://0x7f.0.0.1", "0x7f.0.0.1"),
        ("http://127.0.0.256", "127.0.0.256"),
        // Nearly equal.
        ("http://127.0.0.1", "127.0.0.1:8080"),
        ("http://127.0.0.1:8080", "127.0.0.1"),
        ("http://127.0.0.1:8081", "127.0.0.1:8080"),
        ("http://127.0.0.1:80801", "127.0.0.1:8080"),
        ("http://127.0.0.1:8080/", "127.0.0.1:8080"),
        ("http://127.0.0.1:8080/x", "127.0.0.1:8080"),
        ("http://127.0.0.1:8080@evil.example", "127.0.0.1:8080"),
        ("http://evil.example/127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://localhost", "127.0.0.1"),
        ("http://127.0.0.2", "127.0.0.1"),
        ("http://[::1]", "127.0.0.1"),
        ("http://::1", "[::1]"),
        // Other schemes.
        ("https://127.0.0.1:8080", "127.0.0.1:8080"),
        ("ws://127.0.0.1:8080", "127.0.0.1:8080"),
        ("file://", "127.0.0.1"),
        ("//127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("http:127.0.0.1", "127.0.0.1"),
        // What is no origin.
        ("null", "127.0.0.1"),
        ("null", "localhost"),
        ("null", "null"),
        ("http://null", "null"),
        ("", "127.0.0.1"),
        ("*", "127.0.0.1"),
        ("http://", "127.0.0.1"),
        ("http://127.0.0.1 http://127.0.0.1", "127.0.0.1"),
        ("http://127.0.0.1, http://127.0.0.1", "127.0.0.1"),
    ];
    let mut pairs: Vec<_> = pairs.map(|(origin, host)| (origin.to_owned(), host.to_owned())).into();
    pairs.push((format!("http://{name}.evil.example"), format!("{name}.evil.example")));
    pairs.push((format!("http://x{name}"), format!("x{name}")));
    pairs.push((format!("http://{name}"), "127.0.0.1".to_owned()));
    pairs
}

fn post() -> Request {
    Request::create(&body::create())
}

fn from(request: &Request, origin: &str, host: &str) -> Request {
    request.clone().header("Host", host).header("Origin", origin)
}

fn assert_forbidden(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 403, "{what}: {answer:?}");
    assert_eq!(answer.error_code(), "forbidden_origin", "{what}");
}

#[test]
fn a_page_of_another_site_reads_nothing_and_changes_nothing() {
    let node = Node::start();
    let before = node.snapshot();
    for (origin, host) in foreign_pairs() {
        for path in GETS {
            let get = from(&Request::get(path), &origin, &host);
            assert_forbidden(&node.call(&get), &format!("{path} {origin} {host}"));
        }
        for path in [CREATE, "/bootstrap/create_cluster", "/v1/bootstrap/validate/create_cluster"] {
            let request = Request::post(path, body::create().to_string());
            assert_forbidden(&node.call(&from(&request, &origin, &host)), &format!("{path} {origin} {host}"));
            // What a page can send without asking first.
            let request = Request::typeless_post(path, body::create().to_string());
            assert_forbidden(&node.call(&from(&request, &origin, &host)), &format!("{path} {origin} {host}"));
        }
    }
    assert_eq!(node.bootstrap_status(), json!({"state": "idle"}));
    assert_eq!(node.snapshot(), before);
}

#[test]
fn what_the_browser_marks_as_foreign_is_refused_whatever_its_origin() {
    let node = Node::start();
    for site in FOREIGN_SITES {
        for host in own_hosts() {
            let mark = |request: &Request| request.clone().header("Host", &host).header("Sec-Fetch-Site", site);
            let with_origin = |request: &Request| mark(request).header("Origin", &format!("http://{host}"));
            for request in [Request::get("/v1/bootstrap"), post()] {
                assert_forbidden(&node.call(&mark(&request)), &format!("{site} {host}"));
                assert_forbidden(&node.call(&with_origin(&request)), &format!("{site} {host}"));
            }
        }
    }
    assert_eq!(node.bootstrap_status(), json!({"state": "idle"}));
}

#[test]
fn a_page_of_the_nodes_own_is_served() {
    let node = Node::start();
    for host in own_hosts() {
        for site in OWN_SITES {
            let own = |request: &Request| {
                let request = from(request, &format!("http://{host}"), &host);
                site.map_or(request.clone(), |site| request.header("Sec-Fetch-Site", site))
            };
            assert_eq!(node.call(&own(&Request::get("/v1/bootstrap"))).status, 200, "{host} {site:?}");
            let wrong = node.call(&own(&Request::create(&body::refused())));
            assert_eq!((wrong.status, wrong.error_code().as_str()), (400, "config_error"), "{host} {site:?}");
        }
    }
    let host = node.address().to_string();
    assert_eq!(node.call(&from(&post(), &format!("http://{host}"), &host)).status, 200);
    assert_eq!(node.ended()["state"], "completed");
}

#[test]
fn what_is_no_browser_may_call_the_node_by_any_name() {
    let node = Node::start();
    for host in ["evil.example", "cnm.cluster.fqdn", "a:1", "127.0.0.1"] {
        for site in OWN_SITES {
            let mark = |request: &Request| {
                let request = request.clone().header("Host", host);
                site.map_or(request.clone(), |site| request.header("Sec-Fetch-Site", site))
            };
            assert_eq!(node.call(&mark(&Request::get("/v1/bootstrap"))).status, 200, "{host} {site:?}");
            let wrong = node.call(&mark(&Request::create(&body::refused())));
            assert_eq!(wrong.status, 400, "{host} {site:?}");
        }
    }
}

#[test]
fn a_page_must_say_that_it_posts_json() {
    let node = Node::start();
    let host = node.address().to_string();
    let origin = format!("http://{host}");
    let typeless = Request::typeless_post(CREATE, body::create().to_string());
    assert_forbidden(&node.call(&from(&typeless, &origin, &host)), "no type");
    for media in [
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
        "application/jsonx",
        "",
    ] {
        let request = from(&typeless, &origin, &host).header("Content-Type", media);
        assert_forbidden(&node.call(&request), media);
        let request = from(&typeless, "http://evil.example", &host).header("Content-Type", media);
        assert_forbidden(&node.call(&request), media);
    }
    assert_eq!(node.bootstrap_status(), json!({"state": "idle"}));

    let refused = Request::typeless_post(CREATE, body::refused().to_string());
    for media in ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;x"] {
        let answer = node.call(&from(&refused, &origin, &host).header("Content-Type", media));
        assert_eq!((answer.status, answer.error_code().as_str()), (400, "config_error"), "{media}");
    }
}

#[test]
fn without_an_origin_a_wrong_type_is_415() {
    let node = Node::start();
    let typeless = Request::typeless_post(CREATE, body::create().to_string());
    for media in ["text/plain", "multipart/form-data; boundary=x", "text/json", ""] {
        let answer = node.call(&typeless.clone().header("Content-Type", media));
        assert_eq!((answer.status, answer.error_code().as_str()), (415, "unsupported_media_type"), "{media}");
    }
    assert_eq!(node.bootstrap_status(), json!({"state": "idle"}));
    let refused = Request::typeless_post(CREATE, body::refused().to_string());
    for media in ["application/json", "application/x-www-form-urlencoded", "APPLICATION/json ; a=\"b\""] {
        assert_eq!(node.call(&refused.clone().header("Content-Type", media)).status, 400, "{media}");
    }
    assert_eq!(node.call(&refused).status, 400);
}

#[test]
fn a_preflight_is_given_nothing() {
    let node = Node::start();
    let ask = |path: &str| {
        let options = Request::new("OPTIONS", path).header("Access-Control-Request-Method", "POST");
        options.header("Access-Control-Request-Headers", "content-type").header("Sec-Fetch-Mode", "cors")
    };
    let host = node.address().to_string();
    for path in [CREATE, "/v1/bootstrap"] {
        // That no answer has a CORS header, the client of these tests checks in each of them.
        assert_forbidden(&node.call(&from(&ask(path), "http://evil.example", &host)), path);
        assert_forbidden(&node.call(&from(&ask(path), "null", &host)), path);
        let own = node.call(&from(&ask(path), &format!("http://{host}"), &host));
        assert_eq!(own.status, 200, "{path}");
        assert!(own.header("Allow").is_some(), "{path}");
    }
}

#[test]
fn the_targets_authority_is_the_host() {
    let node = Node::start();
    let raw = |target: &str, host: &str, origin: &str| {
        let mut connection = node.connect();
        connection.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n\r\n"));
        connection.answer()
    };
    let own = "http://127.0.0.1:8080";
    assert_forbidden(&raw("http://evil.example/v1/bootstrap", "127.0.0.1:8080", own), "evil target");
    assert_forbidden(&raw("http://evil.example/v1/bootstrap", "evil.example", "http://evil.example"), "all evil");
    assert_forbidden(&raw(&format!("{own}/v1/bootstrap"), "127.0.0.1:8080", "http://evil.example"), "evil origin");
    assert_eq!(raw(&format!("{own}/v1/bootstrap"), "evil.example", own).status, 200);
}

#[test]
fn no_host_has_no_origin() {
    let node = Node::start();
    for origin in ["http://", "null", "http://127.0.0.1", ""] {
        let mut connection = node.connect();
        connection.send(format!("GET /v1/bootstrap HTTP/1.0\r\nOrigin: {origin}\r\n\r\n"));
        assert_forbidden(&connection.answer(), origin);
    }
}

#[test]
fn credentials_do_not_help_a_foreign_page() {
    let node = Node::created();
    let host = node.address().to_string();
    for request in [Request::get("/v1/bootstrap"), Request::get("/v1/nodes"), post()] {
        let request = request.login(USER, PASSWORD);
        assert_forbidden(&node.call(&from(&request, "http://evil.example", &host)), "origin");
        assert_forbidden(&node.call(&request.clone().header("Sec-Fetch-Site", "cross-site")), "site");
    }
    let own = from(&Request::get("/v1/nodes").login(USER, PASSWORD), &format!("http://{host}"), &host);
    assert_eq!(node.call(&own).status, 200);
}
