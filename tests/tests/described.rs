//! What the node says of itself to machines: the schema of the bootstrap object and the document of all paths. Both are
//! held against what the node does.

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
use bootstrapd_tests::{Answer, Node, Random, Request};
use serde_json::{Value, json};

const SCHEMA: &str = "/v1/jsonschema?object=bootstrap";
const OPENAPI: &str = "/openapi.json";

fn documents(node: &Node) -> [Schemas; 2] {
    [SCHEMA, OPENAPI].map(|path| {
        let answer = node.get(path);
        assert_eq!(answer.status, 200, "{path}");
        Schemas::new(answer.json())
    })
}

#[test]
fn both_documents_are_served_to_everybody_before_and_after() {
    let node = Node::start();
    let before = [SCHEMA, OPENAPI].map(|path| node.get(path).text().to_owned());
    node.create();
    for (path, before) in [SCHEMA, OPENAPI].into_iter().zip(before) {
        let mut connection = node.connect();
        let get = connection.call(&Request::get(path));
        assert_eq!((get.status, get.text()), (200, &*before), "{path}");
        let head = connection.call(&Request::new("HEAD", path));
        assert_eq!((head.status, &*head.body), (200, &b""[..]));
        assert_eq!(head.header("Content-Length"), Some(&*before.len().to_string()));
        assert_eq!(head.header("Content-Type"), Some("application/json"));
        // Had the HEAD had a body, this would not be an answer.
        let options = connection.call(&Request::new("OPTIONS", path));
        assert_eq!((options.status, options.header("Allow")), (200, Some("GET, HEAD, OPTIONS")));
        let post = connection.call(&Request::post(path, "{}"));
        assert_eq!((post.status, post.header("Allow")), (405, Some("GET, HEAD, OPTIONS")));
        let refused = connection.call(&Request::get(path).header("Accept", "text/html"));
        assert_eq!((refused.status, refused.error_code()), (406, "not_acceptable".to_owned()));
        assert_eq!(connection.call(&Request::get(path).header("Accept", "application/*")).status, 200);
        // Two at once need more than the socket takes in one piece, or not: both arrive.
        let both = connection.pipeline(&[Request::get(path), Request::get(path)]);
        assert!(both.iter().all(|answer| answer.text() == before));
    }
    assert_eq!(node.get("/openapi.json/").status, 200);
    assert_eq!(node.get("/v1/jsonschema/?x=y&object=bootstrap").status, 200);
}

#[test]
fn there_is_a_schema_of_the_bootstrap_object_only() {
    let node = Node::start();
    for (path, status) in [
        ("/v1/jsonschema", 400),
        ("/v1/jsonschema?object=", 400),
        ("/v1/jsonschema?subject=bootstrap", 400),
        ("/v1/jsonschema?object=bdb", 404),
        ("/v1/jsonschema?object=Bootstrap", 404),
        ("/v1/jsonschema/bootstrap", 404),
        ("/v1/openapi.json", 404),
        ("/openapi", 404),
    ] {
        let answer = node.get(path);
        assert_eq!(answer.status, status, "{path}");
        let _ = answer.error_code();
        assert!(!answer.description().is_empty());
    }
}

/// Asserts that `document` is one of the component `name`, and has no member that the component does not name.
fn is_described(api: &Schemas, name: &str, document: &Value) {
    let pointer = format!("/components/schemas/{name}");
    api.check(&pointer, document).unwrap_or_else(|why| panic!("{name}: {why}"));
    let mut open = vec![(pointer, document)];
    while let Some((pointer, value)) = open.pop() {
        let schema = api.document().pointer(&pointer).unwrap();
        if let Some(reference) = schema.get("$ref") {
            open.push((reference.as_str().unwrap()[1..].to_owned(), value));
            continue;
        }
        match value {
            Value::Object(object) => {
                for (member, value) in object {
                    let inner = format!("{pointer}/properties/{member}");
                    assert!(api.document().pointer(&inner).is_some(), "{name}: {member} is not described");
                    open.push((inner, value));
                }
            }
            Value::Array(array) => open.extend(array.iter().map(|value| (format!("{pointer}/items"), value))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// Asserts that an answer of `path` is as described.
fn answer_is_described(api: &Schemas, path: &str, method: &str, answer: &Answer) {
    let operation = &api.document()["paths"][path][method];
    let mut described = &operation["responses"][answer.status.to_string()];
    if let Some(reference) = described.get("$ref") {
        described = api.document().pointer(&reference.as_str().unwrap()[1..]).unwrap();
    }
    assert!(described.is_object(), "{method} {path}: {} is not described", answer.status);
    for (name, header) in described["headers"].as_object().into_iter().flatten() {
        assert!(answer.header(name).is_some() || header["required"] != json!(true), "{path}: no {name}");
    }
    let Some(content) = described["content"].as_object() else {
        assert!(answer.body.is_empty(), "{path}: a body that is not described");
        return;
    };
    let media_type = answer.header("Content-Type").unwrap();
    let schema = &content[media_type]["schema"];
    match schema["$ref"].as_str() {
        Some("#/components/schemas/any_object") => {}
        Some(reference) => is_described(api, reference.rsplit('/').next().unwrap(), &answer.json()),
        None => assert_eq!(schema, &json!({"type": "string"})),
    }
}

const GETS: [(&str, &str); 14] = [
    ("/v1/bootstrap", "/v1/bootstrap"),
    ("/v1/bootstrap/progress", "/v1/bootstrap/progress"),
    ("/v1/bootstrap/progress", "/v1/bootstrap/progress?after=x"),
    ("/v1/cluster", "/v1/cluster"),
    ("/v1/nodes", "/v1/nodes"),
    ("/v1/nodes/{uid}", "/v1/nodes/1"),
    ("/v1/nodes/{uid}", "/v1/nodes/2"),
    ("/v1/license", "/v1/license"),
    ("/v1/jsonschema", SCHEMA),
    ("/v1/jsonschema", "/v1/jsonschema"),
    ("/openapi.json", OPENAPI),
    ("/healthz", "/healthz"),
    ("/readyz", "/readyz"),
    ("/", "/"),
];

fn gets_are_described(api: &Schemas, node: &Node) {
    for (path, target) in GETS {
        for request in [Request::get(target), Request::get(target).login(USER, PASSWORD)] {
            answer_is_described(api, path, "get", &node.call(&request));
            answer_is_described(api, path, "get", &node.call(&request.clone().header("Accept", "image/png")));
            answer_is_described(api, path, "get", &node.call(&request.header("Origin", "null")));
        }
    }
}

#[test]
fn what_the_node_answers_is_described() {
    let node = Node::start();
    let [_, api] = documents(&node);
    gets_are_described(&api, &node);
    let post = |path: &str, body: &Value| {
        let answer = node.call(&Request::post(path, body.to_string()));
        answer_is_described(&api, path, "post", &answer);
        answer.status
    };
    let create = "/v1/bootstrap/create_cluster";
    let validate = "/v1/bootstrap/validate/create_cluster";
    let bad_path = body::create_with("/node/paths/persistent_path", "/nowhere".into());
    assert_eq!(post(validate, &body::create()), 200);
    assert_eq!(post(validate, &bad_path), 406);
    assert_eq!(post(validate, &body::refused()), 406);
    assert_eq!(post(create, &body::refused()), 400);
    gets_are_described(&api, &node);
    assert_eq!(post(create, &bad_path), 200);
    node.ended();
    gets_are_described(&api, &node);
    let member = body::create_with(
        "/dns_suffixes",
        json!([{"name": "a.b", "cluster_default": true, "slaves": ["10.0.0.1"]}, {"name": "c.d"}]),
    );
    assert_eq!(post(create, &member), 200);
    assert_eq!(node.ended()["state"], "completed");
    gets_are_described(&api, &node);
    assert_eq!(post(create, &body::create()), 409);
    assert_eq!(post(validate, &body::create()), 409);
    let wrong = node.call(&Request::post(create, "{}").login(USER, "wrong"));
    assert_eq!(wrong.status, 401);
    answer_is_described(&api, create, "post", &wrong);
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
    let mut values = vec![
        json!(null),
        json!([]),
        json!({}),
        json!([{}]),
        json!([null]),
        json!(true),
        json!(false),
        json!([[]]),
        json!([{"name": null}]),
        json!([{"name": "a", "cluster_default": true}, {"name": "b", "cluster_default": true}]),
        json!(["a", "b"]),
        json!(["10.0.0.1", "10.0.0.1"]),
        json!(["10.0.0.1", "::ffff:10.0.0.1"]),
        json!("2001:DB8::"),
        json!({"rack_aware": true}),
        json!({"name": "x"}),
        json!({"uid": null}),
        json!([null, "1.1.1.1"]),
        json!(1.5),
        json!(-1),
        json!(18_446_744_073_709_551_615_u64),
        json!({"username": "a", "password": null}),
    ];
    values.extend(
        [0_u64, 1, 255, 256, 1023, 1024, 3600, 3601, 9081, 65_535, 65_536, 4_294_967_295, 4_294_967_296]
            .map(Value::from),
    );
    for length in [63, 64, 65, 255, 256, 257, 263, 264, 1024, 1025, 4096, 4097, 8192, 8193] {
        values.push("a".repeat(length).into());
        values.push(format!("/{}", "b".repeat(length - 1)).into());
        values.push(format!("{}.{}", "c".repeat(length / 2), "d".repeat(length - 1 - length / 2)).into());
        values.push("ä".repeat(length / 2).into());
        values.push(vec!["e.f"; length / 32 + 1].join(".").into());
    }
    for count in [8, 9, 16, 17, 32, 33] {
        values.push((0..count).map(|index| json!(format!("10.0.0.{index}"))).collect());
        values.push((0..count).map(|index| json!({"name": format!("s{index}")})).collect());
    }
    values.extend(
        [
            "",
            "a",
            "A-1",
            "-a",
            "a-",
            "a_b",
            "a.",
            ".a",
            "a..b",
            "1",
            "1.2.3",
            "1.2.3.4",
            "01.2.3.4",
            "256.2.3.4",
            "1.2.3.4.5",
            "1.2.3.4:1",
            "1.2.3.4:0",
            "1.2.3.4:65535",
            "1.2.3.4:65536",
            "a:00080",
            "a:",
            "::",
            "::1",
            ":",
            ":::",
            "1::",
            "::ffff:1.2.3.4",
            "1:2:3:4:5:6:7::",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:1.2.3.4",
            "1::2::3",
            "[::1]",
            "[::1]:80",
            "[::1]80",
            "[::1",
            "[1:2:3:4:5:6:7:8]:9",
            "[1::1.2.3.4]",
            "[a]",
            "fe80::1%lo",
            "/",
            "/a/../b",
            "/..",
            "/a/..",
            "/..a",
            "/a..",
            "/a/./b",
            "/a\0",
            "/a\n..",
            "/a/..\n",
            "a/b",
            "..",
            "a\nb",
            "a\0b",
            "a:b",
            "a&b",
            "a<b",
            "a>b",
            "a\"b",
            "a\\b",
            "a b",
            "ü",
            "a\u{7f}",
            "a\u{85}",
            "a\u{9f}",
            "\u{a0}",
            "\u{2028}",
            "🔑",
            "7",
            "7.4",
            "7.4-5",
            "7.4-",
            "-7",
            "7-5-3",
            "v7",
            "single",
            "all-nodes",
            "all-master-shards",
            "dense",
            "sparse",
            "speedb",
            "rocksdb",
            "create_cluster",
            "join_cluster",
            "recover_cluster",
            "true",
            "-----BEGIN ",
            "-----BEGIN -----",
            " \t\r\n\u{c}-----BEGIN A-----END-----\u{c}\n",
            "\u{b}-----BEGIN A-----",
            "-----BEGIN A\n-----",
            "x-----BEGIN A-----",
            "-----BEGINA-----",
            "a1_",
            "a_1",
            "_a",
            "r-1",
            "r.1",
        ]
        .map(Value::from),
    );
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
    let place = body.pointer_mut(parent);
    match place {
        Some(Value::Object(object)) if random.below(4) == 0 => _ = object.remove(name),
        Some(Value::Object(object)) => _ = object.insert(name.to_owned(), values[random.below(values.len())].clone()),
        Some(Value::Array(array)) => array.push(values[random.below(values.len())].clone()),
        _ => {}
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
        for _ in 0..1 + random.below(2) {
            mutate(&mut body, &pointers, &values, &mut random);
        }
        let answer = connection.call(&Request::validate(&body));
        // What is wrong with the body alone has a list of problems; the machine's objections have none.
        let takes = answer.status == 200 || answer.json()["error_details"].get("problems").is_none();
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
