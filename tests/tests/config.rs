//! Configurations that are refused, and how: at once, with every problem, and in memory only.

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
use std::path::Path;

use bootstrapd_tests::body::{self, PASSWORD, USER};
use bootstrapd_tests::details::pointers;
use bootstrapd_tests::{Answer, Node, Request};
use serde_json::{Value, json};

const CREATE: &str = "/v1/bootstrap/create_cluster";

/// Asserts that `answer` refuses a configuration, and that the status says the same; the `error_details`.
fn refused(node: &Node, answer: &Answer) -> Value {
    assert_eq!((answer.status, answer.error_code()), (400, "config_error".to_owned()), "{answer:?}");
    assert!(answer.description().starts_with("invalid_schema:"), "{answer:?}");
    let details = answer.json()["error_details"].take();
    let status = node.bootstrap_status();
    assert_eq!(status, json!({"state": "error", "error_code": "config_error", "error_details": details}));
    details
}

fn post(node: &Node, body: impl AsRef<[u8]>) -> Answer {
    node.call(&Request::post(CREATE, body))
}

fn long(length: usize) -> Value {
    "a".repeat(length).into()
}

#[test]
fn every_problem_is_named_with_its_place() {
    let node = Node::start();
    let nodes: Vec<String> = (0..33).map(|index| format!("10.0.0.{index}")).collect();
    let two_defaults = json!([{"name": "a.b", "cluster_default": true}, {"name": "c.d", "cluster_default": true}]);
    let required = ["/cluster/name", "/credentials/username", "/credentials/password"];
    let cases: Vec<(Value, Vec<&str>)> = vec![
        (json!([]), [&[""][..], &required].concat()),
        (json!("create"), [&[""][..], &required].concat()),
        (json!({}), required.to_vec()),
        (body::refused(), vec!["/cluster/name"]),
        (body::create_with("/action", "join_cluster".into()), vec!["/action"]),
        (body::create_with("/action", "destroy_cluster".into()), vec!["/action"]),
        (body::create_with("/action", 7.into()), vec!["/action"]),
        (body::create_with("/cluster", "x".into()), vec!["/cluster", "/cluster/name"]),
        (body::create_with("/cluster/name", "-a".into()), vec!["/cluster/name"]),
        (body::create_with("/cluster/name", "1.2.3.4".into()), vec!["/cluster/name"]),
        (body::create_with("/cluster/name", long(65)), vec!["/cluster/name"]),
        (body::create_with("/cluster/nodes", "1.1.1.1".into()), vec!["/cluster/nodes"]),
        (body::create_with("/cluster/nodes", json!(["1.1.1.1"])), vec!["/cluster/nodes"]),
        (
            body::create_with("/cluster/nodes", json!(["1.1.1.1:0", 5, "a b"])),
            vec!["/cluster/nodes/0", "/cluster/nodes/1", "/cluster/nodes/2"],
        ),
        (body::create_with("/cluster/nodes", json!(nodes)), vec!["/cluster/nodes", "/cluster/nodes"]),
        (body::create_with("/cluster/wait_command", "yes".into()), vec!["/cluster/wait_command"]),
        (body::create_with("/node/identity/addr", "127.0.0.1/8".into()), vec!["/node/identity/addr"]),
        (body::create_with("/node/identity/addr", "fe80::1%lo".into()), vec!["/node/identity/addr"]),
        (
            body::create_with("/node/identity/external_addr", json!(["1.1.1.1", "1.1.1.1"])),
            vec!["/node/identity/external_addr/1"],
        ),
        (body::create_with("/node/identity/uid", 0.into()), vec!["/node/identity/uid"]),
        (body::create_with("/node/identity/rack_id", "1".into()), vec!["/node/identity/rack_id"]),
        (body::create_with("/node/identity/name", long(256)), vec!["/node/identity/name"]),
        (body::create_with("/node/paths/persistent_path", "relative".into()), vec!["/node/paths/persistent_path"]),
        (body::create_with("/node/paths/ephemeral_path", "/a/../b".into()), vec!["/node/paths/ephemeral_path"]),
        (body::create_with("/node/paths/bigstore_path", "/a\0".into()), vec!["/node/paths/bigstore_path"]),
        (body::create_with("/node/paths/ccs_persistent_path", "".into()), vec!["/node/paths/ccs_persistent_path"]),
        (body::create_with("/node/bigstore_driver", "floppy".into()), vec!["/node/bigstore_driver"]),
        (body::create_with("/node/limits/max_listeners", json!(1.5)), vec!["/node/limits/max_listeners"]),
        (body::create_with("/node/limits/max_redis_servers", (-1).into()), vec!["/node/limits/max_redis_servers"]),
        (body::create_with("/credentials/username", "a:b".into()), vec!["/credentials/username"]),
        (body::create_with("/credentials/username", "".into()), vec!["/credentials/username"]),
        (body::create_with("/credentials/username", long(257)), vec!["/credentials/username"]),
        (body::create_with("/credentials/password", "a\u{7f}".into()), vec!["/credentials/password"]),
        (body::create_with("/credentials/password", "\u{fc}".repeat(129).into()), vec!["/credentials/password"]),
        (
            body::create_with("/credentials/client_cert", "-----BEGIN A-----\n-----END A-----".into()),
            vec!["/credentials/client_cert"],
        ),
        (body::create_with("/license", long(4097)), vec!["/license"]),
        (body::create_with("/policy/rack_aware", true.into()), vec!["/node/identity/rack_id"]),
        (body::create_with("/policy/default_shards_placement", "".into()), vec!["/policy/default_shards_placement"]),
        (body::create_with("/dns_suffixes", two_defaults), vec!["/dns_suffixes/1/cluster_default"]),
        (body::create_with("/dns_suffixes", json!([{}, 1])), vec!["/dns_suffixes/0/name", "/dns_suffixes/1"]),
        (body::create_with("/cnm_https_port", 65_536.into()), vec!["/cnm_https_port"]),
        (body::create_with("/envoy_admin_port", 1023.into()), vec!["/envoy_admin_port"]),
        (body::create_with("/envoy_admin_port", 9443.into()), vec!["/envoy_admin_port"]),
        (body::create_with("/max_retries", 256.into()), vec!["/max_retries"]),
        (body::create_with("/retry_time", 0.into()), vec!["/retry_time"]),
    ];
    for (body, expected) in cases {
        let answer = post(&node, body.to_string());
        assert_eq!(pointers(&refused(&node, &answer)), expected, "{body}");
    }
    assert_eq!(node.get("/healthz").status, 200);
}

#[test]
fn all_problems_come_at_once() {
    let node = Node::start();
    let body = json!({
        "action": "recover_cluster",
        "cluster": {"name": "no_name", "nodes": [1], "wait_command": 0},
        "node": {
            "identity": {"addr": "here", "external_addr": "there", "rack_id": "-"},
            "paths": {"persistent_path": "a", "ephemeral_path": ["/a"]},
            "limits": {"max_listeners": 0},
        },
        "credentials": {"username": "<", "password": ""},
        "license": false,
        "cnm_https_port": "443",
    });
    let answer = post(&node, body.to_string());
    let details = refused(&node, &answer);
    let mut found = pointers(&details);
    found.sort_unstable();
    let expected = [
        "/action",
        "/cluster/name",
        "/cluster/nodes/0",
        "/cluster/wait_command",
        "/cnm_https_port",
        "/credentials/password",
        "/credentials/username",
        "/license",
        "/node/identity/addr",
        "/node/identity/external_addr",
        "/node/identity/rack_id",
        "/node/limits/max_listeners",
        "/node/paths/ephemeral_path",
        "/node/paths/persistent_path",
    ];
    assert_eq!(found, expected);
    let text = details.to_string();
    assert!(text.contains("\\\"here\\\"") && text.contains("\\\"a\\\""), "values of addresses and paths: {text}");
    assert!(answer.description().contains(details["message"].as_str().unwrap()), "{answer:?}");
}

#[test]
fn more_problems_than_fit_are_still_an_answer() {
    let node = Node::start();
    let mut body = body::create();
    for index in 0..2000 {
        body[format!("unknown {index:04}")] = 1.into();
    }
    let answer = post(&node, body.to_string());
    let details = refused(&node, &answer);
    let problems = details["problems"].as_array().unwrap();
    assert!(problems.last().unwrap()["message"].as_str().unwrap().contains("more problems"), "{details}");
    assert_eq!(post(&node, "[").status, 400);
    node.create();
}

#[test]
fn a_refusal_is_kept_in_memory_only() {
    let mut node = Node::start();
    let before = node.snapshot();
    let body = body::refused();
    let answer = node.call(&Request::create(&body));
    let _ = refused(&node, &answer);
    assert_eq!(node.snapshot(), before);
    node.restart();
    assert_eq!(node.bootstrap_status(), json!({"state": "idle"}));

    let failed = node.attempt(&body::create_with("/node/paths/persistent_path", "/nowhere".into()));
    let before = node.snapshot();
    let answer = node.call(&Request::create(&body));
    let _ = refused(&node, &answer);
    assert_eq!(node.snapshot(), before);
    node.restart();
    assert_eq!(node.bootstrap_status(), failed);
}

#[test]
fn a_refusal_stands_in_the_way_of_nothing() {
    let mut node = Node::start();
    for _ in 0..3 {
        let answer = node.call(&Request::create(&body::refused()));
        let _ = refused(&node, &answer);
    }
    node.create();
    node.restart();
    assert_eq!(node.state_name(), "completed");
}

#[test]
fn join_and_recover_have_demands_of_their_own() {
    let node = Node::start();
    let pem = "-----BEGIN X-----\nAA\n-----END X-----\n";
    let cases = [
        ("join_cluster", json!({}), vec!["/credentials/username", "/credentials/password"]),
        ("join_cluster", json!({"credentials": {"client_key": pem}}), vec!["/credentials/client_cert"]),
        (
            "join_cluster",
            json!({"credentials": {"client_cert": pem, "client_key": pem, "password": "x"}}),
            vec!["/credentials/password"],
        ),
        ("recover_cluster", json!({}), vec!["/recovery_filename"]),
        (
            "recover_cluster",
            json!({"recovery_filename": "x", "credentials": {"username": "x"}}),
            vec!["/credentials/password"],
        ),
        ("recover_cluster", json!({"recovery_filename": "\0"}), vec!["/recovery_filename"]),
    ];
    for (action, body, expected) in cases {
        let answer = node.call(&Request::post(&format!("/bootstrap/{action}"), body.to_string()));
        assert_eq!(pointers(&refused(&node, &answer)), expected, "{body}");
    }
}

#[test]
fn one_string_may_stand_for_an_array_of_one() {
    let node = Node::start();
    let mut join = body::create();
    join["cluster"]["nodes"] = "127.0.0.1:1".into();
    join["max_retries"] = 0.into();
    let answer = node.call(&Request::post("/v1/bootstrap/join_cluster", join.to_string()));
    assert_eq!(answer.status, 200);
    let tried = &node.ended()["error_details"]["nodes_tried"];
    assert_eq!(tried, &json!([{"node": "127.0.0.1:1", "reason": "connection refused"}]));

    let status = node.attempt(&body::create_with("/node/identity/external_addr", "192.0.2.1".into()));
    assert_eq!(status["state"], "completed", "{status}");
    assert_eq!(node.get_as_admin("/v1/nodes/1").json()["external_addr"], json!(["192.0.2.1"]));
}

#[test]
fn null_is_the_same_as_absent() {
    let node = Node::start();
    let required = json!({"cluster": null, "credentials": {"username": null, "password": null}, "node": null});
    let answer = post(&node, required.to_string());
    let expected = ["/cluster/name", "/credentials/username", "/credentials/password"];
    assert_eq!(pointers(&refused(&node, &answer)), expected);

    let mut body = body::create();
    let members = ["action", "license", "policy", "dns_suffixes", "cnm_https_port", "max_retries", "recovery_filename"];
    for name in members.into_iter().chain(["required_version", "witness_disk", "what_nobody_knows"]) {
        body[name] = Value::Null;
    }
    for (object, names) in [
        ("cluster", &["nodes", "wait_command"][..]),
        ("credentials", &["client_cert", "client_key", "trusted_ca"]),
        ("node", &["identity", "paths", "bigstore_driver", "bigstore_enabled", "limits"]),
    ] {
        for name in names {
            body[object][*name] = Value::Null;
        }
    }
    let status = node.attempt(&body);
    assert_eq!(status["state"], "completed", "{status}");
}

#[test]
fn unknown_members_are_accepted_and_told_in_the_log() {
    let node = Node::start();
    let mut body = body::create();
    body["clobber"] = json!({"deep": [[{"er": null}]]});
    body["node"]["flash_enabled"] = true.into();
    body["cluster"]["na\"me\n"] = "x".into();
    body["user_defined_modules"] = json!([1, {}]);
    let status = node.attempt(&body);
    assert_eq!(status["state"], "completed", "{status}");
    let log = node.log();
    for pointer in ["/clobber", "/node/flash_enabled", "/user_defined_modules"] {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(pointer)).collect();
        assert_eq!(lines.len(), 1, "{pointer}: {log}");
        assert!(lines[0].starts_with("level=warn "), "{log}");
    }
    assert!(log.lines().all(|line| line.starts_with("level=")), "a name has broken a line: {log}");
}

#[test]
fn a_repeated_member_is_refused_however_it_is_written() {
    let node = Node::start();
    let password = format!("\"username\":\"{USER}\",\"password\":\"{PASSWORD}\"");
    let cases = [
        (format!("{{\"cluster\":{{\"name\":\"a\",\"name\":\"a\"}},\"credentials\":{{{password}}}}}"), "/cluster/name"),
        (
            format!("{{\"cluster\":{{\"name\":\"a\",\"n\\u0061me\":null}},\"credentials\":{{{password}}}}}"),
            "/cluster/name",
        ),
        (format!("{{\"cluster\":{{\"name\":\"a\"}},\"credentials\":{{{password}}},\"cluster\":{{}}}}"), "/cluster"),
        (format!("{{\"x/~\":1,\"cluster\":{{\"name\":\"a\"}},\"credentials\":{{{password}}},\"x/~\":1}}"), "/x~1~0"),
    ];
    for (body, expected) in cases {
        let answer = post(&node, &body);
        assert_eq!(pointers(&refused(&node, &answer)), [expected], "{body}");
    }
}

#[test]
fn an_empty_body_is_a_wrong_configuration_and_no_length_a_wrong_message() {
    let node = Node::start();
    let answer = node.call(&Request::new("POST", CREATE));
    assert_eq!((answer.status, answer.error_code()), (411, "length_required".to_owned()));
    assert_eq!(node.bootstrap_status(), json!({"state": "idle"}));
    let answer = post(&node, "");
    assert_eq!(pointers(&refused(&node, &answer)), [""]);
}

#[test]
fn a_body_of_64_kib_is_read_and_one_more_byte_is_not() {
    let node = Node::start();
    let mut body = body::create().to_string().into_bytes();
    body.resize(65_537, b' ');
    let answer = post(&node, &body);
    assert_eq!((answer.status, answer.error_code()), (413, "body_too_large".to_owned()));
    assert_eq!(node.bootstrap_status(), json!({"state": "idle"}), "a refused message changes nothing");
    let answer = post(&node, vec![b'['; 65_536]);
    let details = refused(&node, &answer);
    assert!(details["message"].as_str().unwrap().contains("nested too deep"), "{details}");
    body.truncate(65_536);
    assert_eq!(post(&node, &body).status, 200);
    assert_eq!(node.ended()["state"], "completed");
}

fn documents(name: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("documents/json").join(name);
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<_> = files.map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect();
    assert!(found.len() > 50, "{found:?}");
    found
}

#[test]
fn what_is_not_json_is_refused_as_that_and_what_is_json_for_another_reason() {
    let node = Node::start();
    let mut connection = node.connect();
    for (directory, is_json) in [("refuse", false), ("accept", true)] {
        for (name, content) in documents(directory) {
            let answer = connection.call(&Request::post(CREATE, content));
            let details = refused(&node, &answer);
            let message = details["message"].as_str().unwrap();
            assert_eq!(!message.contains("not JSON"), is_json, "{name}: {message}");
            assert!(is_json || pointers(&details) == [""], "{name}: {details}");
        }
    }
    node.create();
}

#[test]
fn an_empty_licence_asks_for_the_trial() {
    let node = Node::start();
    let status = node.attempt(&body::create_with("/license", "".into()));
    assert_eq!(status["state"], "completed", "{status}");
    assert_eq!(node.get_as_admin("/v1/license").json()["features"], json!(["trial", "bigstore"]));
}
