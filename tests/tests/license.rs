//! Licences: what each violation is called, what a good one grants, and where the key comes from.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "whatever fails here fails a test"
)]

use bootstrapd_tests::body::{self, TEXT_CREATE};
use bootstrapd_tests::details::message;
use bootstrapd_tests::{Node, Request, licence};
use serde_json::{Value, json};

fn with_key() -> Node {
    Node::start_with(&["--license-key", &licence::public_key()])
}

fn with_licence(licence: impl Into<String>) -> Value {
    body::create_with("/license", licence.into().into())
}

/// [`licence::statement`] with one member changed, or removed where the value is null.
fn statement_with(name: &str, value: Value) -> Value {
    let mut statement = licence::statement();
    if value.is_null() {
        statement.as_object_mut().unwrap().remove(name);
    } else {
        statement[name] = value;
    }
    statement
}

fn signed_with(name: &str, value: Value) -> String {
    licence::signed(&statement_with(name, value))
}

/// Asserts that the attempt ends with this violation, and that validation says the same.
fn assert_violation(node: &Node, body: &Value, violation: &str) {
    let validated = node.call(&Request::validate(body));
    assert_eq!(validated.status, 406, "{violation}");
    assert_eq!(validated.json()["error_details"]["violation"], violation);
    let status = node.attempt(body);
    assert!(message(&status, "invalid_license").contains("license"), "{status}");
    assert_eq!(status["error_details"]["violation"], violation);
    assert_eq!(status["error_details"].as_object().unwrap().len(), 2, "{status}");
}

/// Asserts that the attempt completes; its status.
fn assert_completes(node: &Node, body: &Value) -> Value {
    let status = node.attempt(body);
    assert_eq!(status["state"], "completed", "{status}: {body}");
    status
}

#[test]
fn each_violation_has_its_name() {
    let node = with_key();
    let cases = [
        ("expired", signed_with("expiration_date", "2021-01-01T00:00:00Z".into())),
        ("not_yet_active", signed_with("activation_date", "2098-12-31T23:59:59Z".into())),
        ("cluster_name_mismatch", signed_with("cluster_name", "other.cluster".into())),
        ("node_limit_exceeded", signed_with("node_limit", 0.into())),
        ("bad_signature", licence::forged(&licence::statement())),
        ("malformed", signed_with("expiration_date", "tomorrow".into())),
        ("malformed", signed_with("shards_limit", Value::Null)),
        ("malformed", licence::signed(&json!([]))),
        ("malformed", "no licence at all".to_owned()),
        ("malformed", "----- LICENSE START -----\nAAAA\n----- LICENSE END -----\n".to_owned()),
    ];
    for (violation, licence) in cases {
        assert_violation(&node, &with_licence(licence), violation);
    }
    assert_completes(&node, &with_licence(licence::signed(&licence::statement())));
}

#[test]
fn flash_needs_its_feature() {
    let node = with_key();
    let mut body = with_licence(signed_with("features", json!([])));
    body["node"]["bigstore_driver"] = "rocksdb".into();
    assert_violation(&node, &body, "feature_missing");
    body["node"]["bigstore_driver"] = Value::Null;
    body["node"]["bigstore_enabled"] = true.into();
    assert_violation(&node, &body, "feature_missing");
    body["node"]["bigstore_driver"] = "rocksdb".into();
    body["node"]["bigstore_enabled"] = false.into();
    assert_completes(&node, &body);
}

#[test]
fn the_first_violation_counts() {
    let node = with_key();
    let mut statement = statement_with("expiration_date", "2021-01-01T00:00:00Z".into());
    for (name, value, violation) in [
        ("node_limit", json!(0), "expired"),
        ("expiration_date", json!("2099-01-01T00:00:00Z"), "node_limit_exceeded"),
        ("cluster_name", json!("other"), "cluster_name_mismatch"),
        ("activation_date", json!("2098-01-01T00:00:00Z"), "not_yet_active"),
    ] {
        statement[name] = value;
        assert_violation(&node, &with_licence(licence::signed(&statement)), violation);
    }
    assert_violation(&node, &with_licence(licence::forged(&statement)), "bad_signature");
}

#[test]
fn the_texts_own_licence_is_malformed() {
    let text: Value = serde_json::from_slice(TEXT_CREATE).unwrap();
    for node in [with_key(), Node::start()] {
        assert_violation(&node, &with_licence(text["license"].as_str().unwrap()), "malformed");
    }
}

#[test]
fn one_changed_byte_is_no_signature() {
    let node = with_key();
    let good = licence::signed(&licence::statement());
    // Behind the armour's first line: the signature first, then the statement.
    for place in [30, 60, 130, 200] {
        let mut bad = good.clone();
        let other = if &bad[place..=place] == "A" { "B" } else { "A" };
        bad.replace_range(place..=place, other);
        assert_violation(&node, &with_licence(bad), "bad_signature");
    }
}

/// The days of the civil calendar since 1970, after H. Hinnant.
fn days(time: &str) -> i64 {
    let number = |from: usize, to: usize| time[from..to].parse::<i64>().unwrap();
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[test]
fn without_a_licence_a_cluster_is_on_trial() {
    for licence in [None, Some(""), Some(" \r\n\t ")] {
        let node = Node::start();
        let status = assert_completes(&node, &licence.map_or_else(body::create, with_licence));
        let terms = node.get_as_admin("/v1/license").json();
        let [since, until] = ["activation_date", "expiration_date"].map(|name| terms[name].as_str().unwrap());
        assert!(status["start_time"].as_str().unwrap() <= since && since <= status["end_time"].as_str().unwrap());
        assert!(days(until) - days(since) == 30 && since[10..] == until[10..], "{terms}");
        assert_eq!(terms["expired"], false);
        assert_eq!(terms["cluster_name"], "test.cluster");
        assert_eq!(terms["shards_limit"], 4);
        assert_eq!(terms["features"], json!(["trial", "bigstore"]));
        assert!(terms.get("node_limit").is_none(), "{terms}");
    }
}

#[test]
fn flash_is_part_of_the_trial() {
    let node = Node::start();
    assert_completes(&node, &body::create_with("/node/bigstore_driver", "speedb".into()));
}

#[test]
fn a_good_licence_is_served_with_its_terms_also_after_a_restart() {
    let mut node = with_key();
    let given = licence::signed(&licence::statement());
    assert_completes(&node, &with_licence(&*given));
    for _ in 0..2 {
        let terms = node.get_as_admin("/v1/license").json();
        assert_eq!(terms["license"], given);
        assert_eq!(terms["expired"], false);
        for (name, value) in licence::statement().as_object().unwrap() {
            assert_eq!(&terms[name], value, "{name}");
        }
        node.restart();
    }
}

#[test]
fn what_a_licence_does_not_limit_is_not_limited() {
    for (name, value) in [
        ("node_limit", Value::Null),
        ("cluster_name", Value::Null),
        ("cluster_name", "".into()),
        ("cluster_name", "TEST.Cluster".into()),
        ("owner", "A \"B\" \u{fc}".into()),
        ("what_nobody_knows", json!([{}])),
    ] {
        let node = with_key();
        assert_completes(&node, &with_licence(signed_with(name, value.clone())));
        if name == "owner" {
            assert_eq!(node.get_as_admin("/v1/license").json()["owner"], value);
        }
    }
}

#[test]
fn the_key_comes_as_hex_as_base64_or_from_a_file() {
    let [hex, base64] = [licence::public_key(), licence::public_key_base64()];
    let files = bootstrapd_tests::Directory::new();
    let hex_file = files.write("hex", format!("{hex}\n"));
    let base64_file = files.write("base64", &base64);
    for key in [hex.to_uppercase(), hex, base64, hex_file, base64_file] {
        let node = Node::start_with(&["--license-key", &key]);
        assert_completes(&node, &with_licence(licence::signed(&licence::statement())));
    }
}

#[test]
fn the_key_may_stand_in_the_environment_and_a_flag_wins() {
    let licence = with_licence(licence::signed(&licence::statement()));
    let variable = format!("BOOTSTRAPD_LICENSE_KEY={}", licence::public_key());
    let mut node = Node::prepare(&[]);
    node.wrap(&["env", &variable]);
    node.run();
    assert_completes(&node, &licence);

    // The point of the curve that is its base: a key, but nobody's here.
    let other = format!("58{}", "66".repeat(31));
    let mut node = Node::prepare(&["--license-key", &other]);
    node.wrap(&["env", &variable]);
    node.run();
    assert_violation(&node, &licence, "bad_signature");
}

#[test]
fn without_a_key_no_licence_is_good() {
    let node = Node::start();
    for licence in [licence::signed(&licence::statement()), licence::forged(&licence::statement())] {
        assert_violation(&node, &with_licence(licence), "bad_signature");
    }
    node.create();
}
