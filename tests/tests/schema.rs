//! The schema of the bootstrap object against what reads one: whatever the schema refuses, the parser and the node refuse,
//! and what the schema takes they take, but for what no schema can say.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "whatever fails here fails a test"
)]

use bootstrapd_core::config::{Action, Config};
use bootstrapd_core::problems::Problems;
use bootstrapd_tests::body::{self, PASSWORD, USER};
use bootstrapd_tests::schema::Schemas;
use bootstrapd_tests::{Node, Random, Request};
use serde_json::{Value, json};

const SCHEMA: &str = "/v1/jsonschema?object=bootstrap";
const OPENAPI: &str = "/openapi.json";

fn documents(node: &Node) -> [Schemas; 2] {
    [SCHEMA, OPENAPI].map(|path| Schemas::new(node.get(path).json()))
}

/// A body for `action` with every member.
fn every_member(action: Action) -> Value {
    let mut body = json!({
        "action": action.name(),
        "cluster": {"name": "my.cluster", "wait_command": true},
        "node": {
            "identity": {
                "addr": "127.0.0.1", "external_addr": ["10.0.0.1", "2001:db8::1"], "name": "näme", "uid": 7,
                "accept_servers": true, "use_internal_ipv6": false, "rack_id": "r1", "second_rack_id": "r2",
                "override_rack_id": false,
            },
            "paths": {
                "persistent_path": "/a/..b", "ephemeral_path": "/b", "bigstore_path": "/c/d..",
                "ccs_persistent_path": "/ä",
            },
            "bigstore_driver": "speedb", "bigstore_enabled": true, "witness_disk": {"x": [1]},
            "limits": {"max_listeners": 1, "max_redis_servers": 4_294_967_295_u32},
        },
        "credentials": {"username": USER, "password": PASSWORD},
        "license": "",
        "policy": {
            "default_fork_evict_ram": true, "default_non_sharded_proxy_policy": "all-nodes",
            "default_sharded_proxy_policy": "single", "default_shards_placement": "sparse", "rack_aware": true,
            "shards_overbooking": false,
        },
        "dns_suffixes": [
            {"name": "a.b", "cluster_default": true, "use_aaaa_ns": true, "slaves": ["10.0.0.1", "::1"]},
            {"name": "c", "use_internal_addr": true, "slaves": "10.0.0.1"},
        ],
        "cnm_https_port": 1, "crdb_coordinator_port": 1024, "envoy_admin_port": 65_535,
        "envoy_mgmt_server_port": 2000, "gossip_envoy_admin_port": 2001,
        "max_retries": 0, "retry_time": 3600, "required_version": "7.4.2-54",
        "user_defined_modules": [{"name": "x"}], "witness_disk": "any",
    });
    match action {
        Action::CreateCluster => body["cluster"]["nodes"] = json!([]),
        Action::JoinCluster => {
            body["cluster"]["nodes"] = json!(["1.2.3.4:80", "::1", "[::1]:9443", "node.example"]);
            body["credentials"] = json!({
                "client_cert": "-----BEGIN X-----\nAA\n-----END X-----\n", "trusted_ca": "-----BEGIN X-----",
                "client_key": "\n-----BEGIN X-----\nAA\n-----END X-----",
            });
        }
        Action::RecoverCluster => body["recovery_filename"] = json!("cluster.a"),
    }
    body
}

/// The least that an action takes.
fn least(action: Action) -> Value {
    match action {
        Action::CreateCluster => body::create(),
        Action::JoinCluster => json!({"credentials": {"username": USER, "password": PASSWORD}}),
        Action::RecoverCluster => json!({"recovery_filename": "cluster.a"}),
    }
}

/// Every pointer into a value.
fn pointers(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), value)];
    while let Some((pointer, value)) = open.pop() {
        match value {
            Value::Object(object) => {
                open.extend(object.iter().map(|(name, value)| (format!("{pointer}/{name}"), value)));
            }
            Value::Array(array) => {
                open.extend(array.iter().enumerate().map(|(index, value)| (format!("{pointer}/{index}"), value)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        found.push(pointer);
    }
    found
}

/// Values that are right somewhere, or nearly.
fn values() -> Vec<Value> {
    let mut values: Vec<Value> =
        serde_json::from_str(include_str!("../documents/bootstrap/values.json")).expect("an array of values");
    for length in [63, 64, 65, 255, 256, 257, 263, 264, 1024, 1025, 4096, 4097, 8192, 8193] {
        values.push("a".repeat(length).into());
        values.push(format!("/{}", "b".repeat(length - 1)).into());
        values.push(format!("{}.{}", "c".repeat(length / 2), "d".repeat(length - 1 - length / 2)).into());
        values.push("ä".repeat(length / 2).into());
        values.push(vec!["e.f"; length / 4 + 1].join(".").into());
    }
    for count in [8, 9, 16, 17, 32, 33] {
        values.push((0..count).map(|index| json!(format!("10.0.0.{index}"))).collect());
        values.push((0..count).map(|index| json!({"name": format!("s{index}")})).collect());
    }
    values
}

/// Reads a body as the node does; what is wrong with it.
fn problems(config: &mut Config, action: Action, body: &Value) -> Option<String> {
    let mut problems = Problems::new();
    config.read(body.to_string().as_bytes(), action, &mut problems);
    (!problems.is_empty()).then(|| problems.json().to_owned())
}

/// Changes, adds or removes a member somewhere.
fn mutate(body: &mut Value, pointers: &[String], values: &[Value], random: &mut Random) {
    let pointer = &pointers[random.below(pointers.len())];
    let Some((parent, name)) = pointer.rsplit_once('/') else { return };
    let value = values[random.below(values.len())].clone();
    let Some(place) = body.pointer_mut(parent) else { return };
    if let Some(array) = place.as_array_mut() {
        array.push(value);
    } else if let Some(object) = place.as_object_mut() {
        if random.below(4) == 0 {
            object.remove(name);
        } else {
            object.insert(name.to_owned(), value);
        }
    }
}

/// What only the parser can say, each in its own words; the first is for lengths where bytes are not characters.
const ONLY_THE_PARSER: [&str; 4] = ["bytes long", ", the same as ", "is given twice", "IP address or a host name"];

#[test]
fn what_the_schema_refuses_the_parser_refuses() {
    let node = Node::start();
    let [schema, api] = documents(&node);
    let (mut random, values, mut config) = (Random::new(), values(), Box::<Config>::default());
    let (mut accepted, mut refused, mut laxer) = (0, 0, 0);
    for round in 0..6_000 {
        let action = Action::ALL[round % 3];
        let whole = every_member(action);
        let pointers = pointers(&whole);
        let mut body = if random.below(2) == 0 { whole } else { least(action) };
        // The first rounds are for the bodies as they are.
        for _ in 0..if round < 30 { 0 } else { 1 + random.below(3) } {
            mutate(&mut body, &pointers, &values, &mut random);
        }
        let wrong = problems(&mut config, action, &body);
        let by_action = api.check(&format!("/components/schemas/{}", action.name()), &body);
        let mut named = body.clone();
        if body["action"].is_null() {
            named["action"] = action.name().into();
        }
        let by_schema = schema.check("", &named);
        // By itself the schema does not know the path's action, only the body's.
        let is_same = named["action"] != action.name() || by_schema.is_ok() == by_action.is_ok();
        assert!(is_same, "{action:?} {body}: {by_schema:?} {by_action:?}");
        match (&wrong, by_action) {
            (None, Ok(())) => accepted += 1,
            (Some(_), Err(_)) => refused += 1,
            (Some(wrong), Ok(())) => {
                assert!(ONLY_THE_PARSER.iter().any(|words| wrong.contains(words)), "{action:?} {body}: {wrong}");
                laxer += 1;
            }
            (None, Err(why)) => panic!("the schema refuses what the parser takes: {action:?} {body}: {why}"),
        }
    }
    println!("{accepted} accepted, {refused} refused, {laxer} refused by the parser alone");
    assert!(accepted > 1_000 && refused > 2_000 && laxer < 100, "{accepted} {refused} {laxer}");
}

#[test]
fn what_the_schema_refuses_the_node_refuses() {
    let node = Node::start();
    let [_, api] = documents(&node);
    for text in [body::TEXT_CREATE, body::TEXT_JOIN] {
        let body: Value = serde_json::from_slice(text).unwrap();
        let action = body["action"].as_str().unwrap();
        api.check(&format!("/components/schemas/{action}"), &body).unwrap();
    }
    let (mut random, values) = (Random::new(), values());
    let whole = every_member(Action::CreateCluster);
    let pointers = pointers(&whole);
    let mut connection = node.connect();
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..600 {
        let mut body = if round % 2 == 0 { whole.clone() } else { body::create() };
        for _ in 0..=random.below(2) {
            mutate(&mut body, &pointers, &values, &mut random);
        }
        let answer = connection.call(&Request::validate(&body));
        // The machine's objections come behind the body's, and have other codes but for the address, which is its own.
        let takes = answer.status == 200 || answer.json()["error_code"] != "config_error";
        let described = api.check("/components/schemas/create_cluster", &body);
        assert!(!takes || described.is_ok(), "{body}: {described:?}");
        if described.is_err() {
            let answer = connection.call(&Request::create(&body));
            assert_eq!((answer.status, answer.error_code()), (400, "config_error".to_owned()), "{body}");
            refused += 1;
        }
        accepted += u32::from(takes);
    }
    assert!(accepted > 60 && refused > 60, "{accepted} {refused}");
    assert_eq!(node.state_name(), "error");
}
