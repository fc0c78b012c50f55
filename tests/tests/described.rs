//! What the node says of itself to machines: the schema of the bootstrap object, and the document of all paths, which is
//! held against what the node answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "whatever fails here fails a test"
)]

use bootstrapd_tests::body::{self, PASSWORD, USER};
use bootstrapd_tests::cluster::{all_list, of};
use bootstrapd_tests::schema::Schemas;
use bootstrapd_tests::{Answer, Node, Request, licence};
use serde_json::{Value, json};

const SCHEMA: &str = "/v1/jsonschema?object=bootstrap";
const OPENAPI: &str = "/openapi.json";

/// The document of all paths.
fn api(node: &Node) -> Schemas {
    let answer = node.get(OPENAPI);
    assert_eq!(answer.status, 200);
    Schemas::new(answer.json())
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
    let media_type = answer.header("Content-Type").unwrap().split(';').next().unwrap();
    let schema = &content[media_type]["schema"];
    match schema["$ref"].as_str() {
        Some("#/components/schemas/any_object") => {}
        Some(reference) => is_described(api, reference.rsplit('/').next().unwrap(), &answer.json()),
        None => assert_eq!(schema, &json!({"type": "string"})),
    }
}

const GETS: [(&str, &str); 22] = [
    ("/v1/bootstrap", "/v1/bootstrap"),
    ("/v1/bootstrap/progress", "/v1/bootstrap/progress"),
    ("/v1/bootstrap/progress", "/v1/bootstrap/progress?after=x"),
    ("/v1/cluster", "/v1/cluster"),
    ("/v1/nodes", "/v1/nodes"),
    ("/v1/nodes/{uid}", "/v1/nodes/1"),
    ("/v1/nodes/{uid}", "/v1/nodes/2"),
    ("/v1/nodes/check/{uid}", "/v1/nodes/check/1"),
    ("/v1/nodes/check/{uid}", "/v1/nodes/check/3"),
    ("/v1/cluster/check", "/v1/cluster/check"),
    ("/v1/cluster/policy", "/v1/cluster/policy"),
    ("/v1/license", "/v1/license"),
    ("/v1/bdbs", "/v1/bdbs"),
    ("/v1/modules", "/v1/modules"),
    ("/v1/users", "/v1/users"),
    ("/v1/jsonschema", SCHEMA),
    ("/v1/jsonschema", "/v1/jsonschema"),
    ("/openapi.json", OPENAPI),
    ("/healthz", "/healthz"),
    ("/readyz", "/readyz"),
    ("/", "/"),
    ("/ui", "/ui"),
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
    let api = api(&node);
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
    let followed = Request::get("/v1/bootstrap/progress").login(USER, PASSWORD).header("Accept", "text/event-stream");
    let last = node.get_as_admin("/v1/bootstrap/progress").json()["revision"].to_string();
    let ended = node.call(&followed.header("Last-Event-ID", &last));
    assert_eq!(ended.status, 204);
    answer_is_described(&api, "/v1/bootstrap/progress", "get", &ended);
    let progress = &api.document()["paths"]["/v1/bootstrap/progress"]["get"]["responses"]["200"]["content"];
    assert_eq!(progress["text/event-stream"]["schema"], json!({"type": "string"}));
    let wrong = node.call(&Request::post(create, "{}").login(USER, "wrong"));
    assert_eq!(wrong.status, 401);
    answer_is_described(&api, create, "post", &wrong);
}

#[test]
fn what_strangers_are_told_of_a_member_is_described() {
    let node = Node::start_with(&["--open-status"]);
    let api = api(&node);
    node.create();
    let answer = node.get("/v1/bootstrap");
    assert_eq!(answer.status, 200);
    answer_is_described(&api, "/v1/bootstrap", "get", &answer);
}

/// Puts a body, whose answer must be as described; the status.
fn puts(api: &Schemas, node: &Node, (path, target): (&str, &str), body: &str) -> u16 {
    let answer = node.call(&Request::put(target, body).login(USER, PASSWORD));
    answer_is_described(api, path, "put", &answer);
    answer.status
}

const NODE: (&str, &str) = ("/v1/nodes/{uid}", "/v1/nodes/1");
const LICENSE: (&str, &str) = ("/v1/license", "/v1/license");
const POLICY: (&str, &str) = ("/v1/cluster/policy", "/v1/cluster/policy");

#[test]
fn what_the_node_answers_to_changes_and_checks_is_described() {
    let alone = Node::start_with(&["--license-key", &licence::public_key()]);
    let api = api(&alone);
    for put in [NODE, LICENSE, POLICY] {
        assert_eq!(puts(&api, &alone, put, "{}"), 503);
    }
    let flash = alone.state_file("flash");
    std::fs::create_dir(&flash).unwrap();
    let mut founding = body::create_with("/node/bigstore_driver", "speedb".into());
    body::set(&mut founding, "/node/paths/bigstore_path", flash.to_str().unwrap().into());
    body::set(&mut founding, "/node/identity/name", "one".into());
    body::set(&mut founding, "/node/identity/second_rack_id", "s".into());
    assert_eq!(alone.attempt(&founding)["state"], "completed", "{}", alone.log());
    let limited = |name: &str, value: Value| {
        let mut statement = licence::statement();
        statement[name] = value;
        json!({"license": licence::signed(&statement)}).to_string()
    };
    let name = alone.get_as_admin("/v1/cluster").json()["name"].clone();
    let good = limited("cluster_name", name);
    let forged = json!({"license": licence::forged(&licence::statement())}).to_string();
    for (put, body, status) in [
        (NODE, "{", 400),
        (NODE, r#"{"addr":"10.0.0.1"}"#, 400),
        (("/v1/nodes/{uid}", "/v1/nodes/9"), "{}", 404),
        (POLICY, r#"{"rack_aware":true}"#, 400),
        (NODE, r#"{"rack_id":"r"}"#, 200),
        (NODE, r#"{"rack_id":"s"}"#, 406),
        (POLICY, r#"{"rack_aware":true}"#, 200),
        (LICENSE, r#"{"license":"x"}"#, 400),
        (LICENSE, &forged, 400),
        (LICENSE, &limited("expiration_date", json!("2020-01-02T00:00:00Z")), 406),
        (LICENSE, &good, 200),
    ] {
        assert_eq!(puts(&api, &alone, put, body), status, "{put:?} {body}");
    }
    gets_are_described(&api, &alone);
    for put in [NODE, LICENSE, POLICY] {
        let (path, target) = put;
        let wrong = [
            (401, Request::put(target, "{}")),
            (411, Request::new("PUT", target).login(USER, PASSWORD)),
            (413, Request::put(target, " ".repeat(64 * 1024 + 1)).login(USER, PASSWORD)),
            (403, Request::put(target, "{}").login(USER, PASSWORD).header("Origin", "null")),
            (415, Request::typeless("PUT", target, "{}").login(USER, PASSWORD).header("Content-Type", "text/plain")),
        ];
        for (status, request) in wrong {
            let answer = alone.call(&request);
            assert_eq!(answer.status, status, "{path}");
            answer_is_described(&api, path, "put", &answer);
        }
    }
    let mut nodes = of(3);
    all_list(&nodes, 3);
    for put in [NODE, LICENSE, POLICY] {
        assert_eq!(puts(&api, &nodes[1], put, "{}"), 409);
    }
    nodes[0].kill9();
    bootstrapd_tests::eventually("the founder is missed", || {
        (nodes[1].get_as_admin("/v1/nodes/check/2").json()["result"] == false).then_some(())
    });
    gets_are_described(&api, &nodes[1]);
}

/// Values for members of PUTs that are right somewhere, or nearly.
fn values() -> Vec<Value> {
    let texts = [
        "",
        " ",
        "\t\n\u{c}\r ",
        "\u{a0}",
        "x",
        "r-1",
        "1r",
        "r-",
        "r_R9",
        "ä",
        "::1",
        "127.0.0.1",
        "127.0.0.01",
        "a.b",
    ];
    let mut values: Vec<Value> = texts.iter().map(|text| json!(text)).collect();
    values.extend([63, 64, 65, 4096, 4097].map(|length| json!("r".repeat(length))));
    values.extend([16, 17].map(|count| (0..count).map(|index| json!(format!("10.0.0.{index}"))).collect()));
    values.extend([
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(1.5),
        json!({}),
        json!({"x": [null]}),
        json!([]),
        json!([[]]),
        json!([null]),
        json!(["::1", "10.0.0.1"]),
        json!(["::1", "::1"]),
        json!(["::1", "x"]),
    ]);
    values
}

#[test]
fn what_the_schema_of_a_put_refuses_the_node_refuses_and_nothing_else() {
    let node = Node::created();
    let api = api(&node);
    let mut connection = node.connect();
    let (mut taken, mut refused) = (0, 0);
    for (path, target) in [NODE, LICENSE, POLICY] {
        let pointer = &api.document()["paths"][path]["put"]["requestBody"]["content"]["application/json"]["schema"];
        let pointer = pointer["$ref"].as_str().unwrap()[1..].to_owned();
        let schema = api.document().pointer(&pointer).unwrap();
        let names = schema["properties"].as_object().unwrap().keys().cloned();
        let mut bodies: Vec<Value> = values();
        for name in names.chain(["nobody_knows".to_owned()]) {
            // What nothing changes is told by its name: a few values do.
            let is_fixed = schema["properties"][&name]["type"] == "null";
            for value in values().into_iter().rev().take(if is_fixed { 14 } else { usize::MAX }) {
                let mut body = json!({});
                body[&name] = value;
                bodies.push(body.clone());
                if target == LICENSE.1 && name != "license" {
                    body["license"] = "x".into();
                    bodies.push(body);
                }
            }
        }
        for body in bodies {
            let answer = connection.call(&Request::put(target, body.to_string()).login(USER, PASSWORD));
            let is_refused = answer.status == 400 && answer.error_code() == "config_error";
            let described = api.check(&pointer, &body);
            assert_eq!(is_refused, described.is_err(), "{target} {body}: {answer:?} {described:?}");
            answer_is_described(&api, path, "put", &answer);
            refused += u32::from(is_refused);
            taken += u32::from(!is_refused);
        }
    }
    assert!(taken > 50 && refused > 500, "{taken} {refused}");
}
