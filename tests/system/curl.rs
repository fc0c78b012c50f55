//! The agent as people call it: curl, with the options that scripts use.

use std::process::{Command, Output};

use bootstrapd_tests::body::{PASSWORD, USER};
use bootstrapd_tests::{Node, body};
use serde_json::Value;

use crate::required;

fn curl(node: &Node, arguments: &[&str], path: &str) -> Output {
    let mut command = required("curl");
    // Nothing of the user's own settings.
    command.arg("-q").args(arguments).arg(format!("{}{path}", node.url())).env_remove("http_proxy").output().unwrap()
}

fn text(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

/// The status and body of one call with these arguments.
fn call(node: &Node, arguments: &[&str], path: &str) -> (u16, String) {
    let output = curl(node, &[&["-sS", "-w", "\n%{http_code}"], arguments].concat(), path);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    let (body, status) = text(&output).rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

fn create() -> String {
    body::create().to_string()
}

const CREATE: &str = "/v1/bootstrap/create_cluster";

#[test]
fn what_the_ready_line_says_works() {
    let node = Node::start();
    let said = node.output();
    let command = said.trim_end().rsplit("next: ").next().unwrap();
    let words: Vec<_> = command.split(' ').collect();
    assert_eq!(words[0], "curl");
    let output = required("curl").arg("-q").args(&words[1..]).output().unwrap();
    assert!(text(&output).contains("\"state\":\"idle\""), "{output:?}");
}

#[test]
fn a_loop_that_waits_for_the_agent_ends() {
    // A TLS flag does no harm to a plain URL.
    let node = Node::start();
    for arguments in [
        &["-s", "-k", "--fail", "-I"][..],
        &["-sk", "-f", "-o", "/dev/null"],
        &["--silent", "--insecure", "--fail", "--head", "--max-time", "5"],
        &["-s", "--retry", "3", "--retry-connrefused", "-f"],
        &["-s", "-f", "--http1.1", "-H", "Accept: application/json"],
        &["-s", "-f", "--http2", "-L", "--compressed"],
    ] {
        let output = curl(&node, arguments, "/v1/bootstrap");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
    // A node that is not ready yet is what such a loop goes on for.
    for path in ["/readyz", "/v1/nodes", "/"] {
        assert_eq!(curl(&node, &["-s", "--fail", "-I"], path).status.code(), Some(22), "{path}");
    }
    node.create();
    assert!(curl(&node, &["-s", "--fail", "-I"], "/readyz").status.success());
    assert_eq!(curl(&node, &["-s", "--fail", "-I"], "/v1/bootstrap").status.code(), Some(22));
}

/// Each of these ways to send the body creates a cluster.
#[test]
fn every_way_to_post_creates() {
    let long = format!("{}{}", create(), " ".repeat(65_536 - create().len()));
    let ways: &[&[&str]] = &[
        &["-d", "BODY"],
        &["-X", "POST", "--data", "BODY", "-k"],
        &["--data-raw", "BODY"],
        &["--data-binary", "@FILE"],
        &["-d", "@FILE"],
        &["--json", "BODY"],
        &["-H", "Content-Type: application/json", "-d", "BODY"],
        &["-H", "Content-Type: application/json; charset=utf-8", "-H", "Accept: application/json", "-d", "BODY"],
        &["-H", "Content-Type:", "-d", "BODY"],
        &["-X", "POST", "-T", "FILE"],
        &["-X", "POST", "-T", "FILE", "-H", "Transfer-Encoding: chunked"],
        &["-H", "Transfer-Encoding: chunked", "-d", "BODY"],
        &["-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue", "--data-binary", "@FILE"],
        &["-H", "Expect: 100-continue", "-d", "BODY"],
        &["-H", "Expect: 100-continue", "--data-binary", "@LONG"],
        &["--data-binary", "@LONG"],
        &["--http1.0", "-d", "BODY"],
        &["--http2", "-d", "BODY"],
        &["-u", "nobody:nothing", "-d", "BODY"],
        &["-L", "--post301", "--compressed", "-d", "BODY"],
    ];
    for way in ways {
        let node = Node::start();
        let (file, body) = (node.directory().write("body", create()), create());
        let long = node.directory().write("long", &long);
        let arguments: Vec<_> =
            way.iter().map(|word| word.replace("BODY", &body).replace("FILE", &file).replace("LONG", &long)).collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        assert_eq!(call(&node, &arguments, CREATE), (200, String::new()), "{way:?}");
        assert_eq!(node.ended()["state"], "completed", "{way:?}");
    }
}

#[test]
fn a_body_read_from_a_pipe_is_chunked() {
    let node = Node::start();
    let file = node.directory().write("body", create());
    let command = format!("cat {file} | \"$0\" -qsS -f -X POST -T - \"$1\"");
    drop(required("curl"));
    let url = format!("{}{CREATE}", node.url());
    let output = Command::new("sh").args(["-c", &command, "curl", &url]).output();
    assert!(output.unwrap().status.success());
    assert_eq!(node.ended()["state"], "completed");
}

#[test]
fn a_wait_for_permission_is_not_run_into_its_timeout() {
    let node = Node::start();
    let (status, _) = call(
        &node,
        &["-H", "Expect: 100-continue", "--expect100-timeout", "60", "--max-time", "20", "-d", "{}"],
        CREATE,
    );
    assert_eq!(status, 400);
    node.create();
    for user in [&format!("{USER}:wrong")[..], ":"] {
        let arguments = ["-H", "Expect: 100-continue", "--expect100-timeout", "60", "--max-time", "20", "-u", user];
        let (status, _) = call(&node, &[&arguments[..], &["-d", "{}"]].concat(), CREATE);
        assert_eq!(status, 401, "{user}");
    }
}

#[test]
fn a_body_that_is_too_long_is_told_so() {
    let node = Node::start();
    for length in [65_537, 200_000, 3_000_000] {
        let file = node.directory().write("long", " ".repeat(length));
        let file = format!("@{file}");
        for how in [&["--data-binary", &*file][..], &["-H", "Transfer-Encoding: chunked", "--data-binary", &file]] {
            let (status, body) = call(&node, how, CREATE);
            assert_eq!(status, 413, "{length} {how:?}");
            assert!(body.contains("\"body_too_large\""), "{body}");
        }
    }
    assert_eq!(node.state_name(), "idle");
}

#[test]
fn credentials_with_anything_in_them_work() {
    for (user, password) in [
        (USER, PASSWORD),
        ("a", "p:a:s:s"),
        ("b@example.com", " leading and trailing "),
        ("c", "quote\"back\\slash'tick`$HOME%41"),
        ("j\u{f6}rg", "p\u{e4}ssw\u{f6}rt \u{1f511}"),
        ("d", &"x".repeat(256)),
    ] {
        let node = Node::start();
        let mut body = body::create_with("/credentials/username", user.into());
        body::set(&mut body, "/credentials/password", password.into());
        let status = node.call(&bootstrapd_tests::Request::create(&body)).status;
        assert_eq!(status, 200, "{user}");
        let login = format!("{user}:{password}");
        bootstrapd_tests::eventually("the end", || {
            let (status, body) = call(&node, &["-u", &login], "/v1/bootstrap");
            assert_eq!(status, 200, "{user}");
            body.contains("\"state\":\"completed\"").then_some(())
        });
        for path in ["/v1/bootstrap", "/v1/nodes", "/v1/cluster"] {
            assert_eq!(call(&node, &["-u", &login], path).0, 200, "{user} {path}");
            assert_eq!(call(&node, &["--basic", "-u", &login, "--http1.0"], path).0, 200, "{user} {path}");
            // Asked first without, as curl does when it may choose.
            assert_eq!(call(&node, &["--anyauth", "-u", &login], path).0, 200, "{user} {path}");
            assert_eq!(call(&node, &["-u", &format!("{login}x")], path).0, 401, "{user} {path}");
        }
    }
}

#[test]
fn one_connection_serves_a_whole_script() {
    let node = Node::start();
    let (create, url) = (create(), node.url());
    let status = format!("{url}/v1/bootstrap");
    let post = format!("{url}{CREATE}");
    let write = "%{num_connects} %{http_code}\\n";
    let output = required("curl")
        .args(["-q", "-s", "-o", "/dev/null", "-w", write, &status, "--next"])
        .args(["-s", "-o", "/dev/null", "-w", write, "-d", "{}", &post, "--next"])
        .args(["-s", "-o", "/dev/null", "-w", write, "-d", &create, &post, "--next"])
        .args(["-s", "-o", "/dev/null", "-w", write, "-d", &create, &post])
        .output()
        .unwrap();
    assert_eq!(text(&output), "1 200\n0 400\n0 200\n0 409\n", "{output:?}");
}

#[test]
fn a_script_that_greps_finds_the_state() {
    let node = Node::start();
    assert_eq!(call(&node, &["-d", &create()], CREATE).0, 200);
    let login = format!("{USER}:{PASSWORD}");
    let script = format!(
        "until curl -qsk -u '{login}' {}/v1/bootstrap | grep -q '\"state\":\"completed\"'; do sleep 0.05; done",
        node.url()
    );
    drop(required("curl"));
    assert!(required("timeout").args(["15", "sh", "-c", &script]).status().unwrap().success());
    let (_, body) = call(&node, &["-u", &login], "/v1/nodes");
    let nodes: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(nodes[0]["status"], "active");
}
