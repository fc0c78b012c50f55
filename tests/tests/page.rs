//! The page for people: one file that a browser may only use as it is meant.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "whatever fails here fails a test"
)]

use std::fs;
use std::path::Path;

use base64ct::{Base64, Encoding as _};
use bootstrapd_tests::{Node, Request};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const SOURCE: &str = include_str!("../../shell/src/ui.html");

/// The directive of the policy with this name.
fn directive(policy: &str, name: &str) -> String {
    let found = policy.split(';').filter_map(|directive| directive.trim().strip_prefix(name)?.strip_prefix(' '));
    let found: Vec<_> = found.collect();
    assert_eq!(found.len(), 1, "{name} in {policy}");
    found[0].to_owned()
}

/// What stands between the only two tags with this name.
fn inside<'a>(page: &'a str, tag: &str) -> &'a str {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    assert_eq!((page.matches(&format!("<{tag}")).count(), page.matches(&close).count()), (1, 1), "{tag}");
    page.split_once(&open).unwrap().1.split_once(&close).unwrap().0
}

#[test]
fn it_is_open_and_the_same_whatever_the_node_is() {
    let mut node = Node::start();
    let before = node.get("/ui");
    assert_eq!((before.status, before.text()), (200, SOURCE));
    node.create();
    for target in ["/ui", "/ui/", "/ui?x=1"] {
        assert_eq!(node.get(target).body, before.body, "{target}");
    }
    assert_eq!(node.get_as_admin("/ui").body, before.body);
    // A node whose records cannot be read has people to tell, too.
    node.terminate();
    for copy in ["node.a", "node.b"] {
        fs::write(node.state_file(copy), "nothing").unwrap();
    }
    node.run();
    assert_eq!(node.get("/v1/bootstrap").status, 503);
    assert_eq!(node.get("/ui").body, before.body);
}

#[test]
fn its_head_lets_a_browser_do_nothing_else() {
    let page = Node::start().get("/ui");
    assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("Cache-Control"), Some("no-store"));
    assert_eq!(page.header("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(page.header("Referrer-Policy"), Some("no-referrer"));
    let policy = page.header("Content-Security-Policy").unwrap();
    for name in ["default-src", "base-uri", "form-action", "frame-ancestors"] {
        assert_eq!(directive(policy, name), "'none'", "{name}");
    }
    assert_eq!((directive(policy, "connect-src"), directive(policy, "img-src")), ("'self'".into(), "data:".into()));
    assert_eq!(directive(policy, "require-trusted-types-for"), "'script'");
    for (name, tag) in [("script-src", "script"), ("style-src", "style")] {
        let hash = Base64::encode_string(&Sha256::digest(inside(page.text(), tag)));
        assert_eq!(directive(policy, name), format!("'sha256-{hash}'"), "{name}: the page has changed");
    }
}

#[test]
fn it_is_one_small_file_that_loads_nothing_and_makes_no_code_of_text() {
    assert!(SOURCE.len() < 20_000, "{} bytes", SOURCE.len());
    for never in [
        "://",
        "src=",
        "@import",
        "url(",
        "eval",
        "Function(",
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "setTimeout('",
        "localStorage",
        "sessionStorage",
        "cookie",
        "style=",
        "onclick=",
        "onload=",
        "location",
        "integrity",
    ] {
        assert!(!SOURCE.contains(never), "{never}");
    }
    assert_eq!(SOURCE.matches("href=").count(), 1);
    assert!(SOURCE.contains(r#"href="data:,""#));
    // A form that the script is late for must not put a password into a URL.
    assert_eq!(SOURCE.matches("<form").count(), SOURCE.matches("method=post").count());
}

#[test]
fn it_knows_every_error_code_and_every_field_of_it_is_a_member_of_the_configuration() {
    let codes = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../ERRORS.md")).unwrap();
    let codes: Vec<_> = codes.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(codes.len(), 13);
    for code in codes {
        assert!(SOURCE.contains(&format!("\t{code}: [")), "{code}");
    }
    // A value of the wrong kind for each is a problem with just that pointer.
    let node = Node::start();
    let pointers: Vec<_> = SOURCE.split(" name=/").skip(1).map(|rest| rest.split([' ', '>']).next().unwrap()).collect();
    assert!(pointers.len() > 10);
    for pointer in pointers {
        let body = bootstrapd_tests::body::create_with(&format!("/{pointer}"), json!({"x": 1}));
        let refused = node.call(&Request::create(&body)).json();
        let problems = refused["error_details"]["problems"].as_array().cloned().unwrap_or_default();
        let named = |problem: &Value| problem["pointer"].as_str() == Some(&format!("/{pointer}"));
        assert!(problems.iter().any(named), "{pointer}: {refused}");
    }
}

#[test]
fn methods_types_and_origins() {
    let node = Node::start();
    let mut connection = node.connect();
    let head = connection.call(&Request::new("HEAD", "/ui"));
    let page = connection.call(&Request::get("/ui"));
    assert_eq!((head.status, head.header("Content-Length")), (200, page.header("Content-Length")));
    assert_eq!(head.header("Content-Security-Policy"), page.header("Content-Security-Policy"));
    let options = connection.call(&Request::new("OPTIONS", "/ui"));
    assert_eq!((options.status, options.header("Allow")), (200, Some("GET, HEAD, OPTIONS")));
    let post = connection.call(&Request::post("/ui", "{}"));
    assert_eq!((post.status, post.header("Allow")), (405, Some("GET, HEAD, OPTIONS")));
    for accept in ["text/html", "text/*", "*/*", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"] {
        assert_eq!(connection.call(&Request::get("/ui").header("Accept", accept)).status, 200, "{accept}");
    }
    assert_eq!(connection.call(&Request::get("/ui").header("Accept", "application/json")).status, 406);
    for site in ["cross-site", "same-site"] {
        assert_eq!(connection.call(&Request::get("/ui").header("Sec-Fetch-Site", site)).status, 403);
    }
    assert_eq!(connection.call(&Request::get("/ui").header("Sec-Fetch-Site", "none")).status, 200);
    for path in ["/ui.html", "/UI", "/ui/x", "/ui//", "/v1/ui"] {
        assert_eq!(connection.call(&Request::get(path)).status, 404, "{path}");
    }
    let pages = connection.pipeline(&[Request::get("/ui"), Request::new("HEAD", "/ui"), Request::get("/ui")]);
    assert!(pages.iter().all(|answer| answer.status == 200) && pages[2].body == SOURCE.as_bytes());
}
