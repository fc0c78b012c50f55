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
use bootstrapd_tests::schema::Schemas;
use bootstrapd_tests::{Answer, Node, Request};
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

const GETS: [(&str, &str); 15] = [
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
    let wrong = node.call(&Request::post(create, "{}").login(USER, "wrong"));
    assert_eq!(wrong.status, 401);
    answer_is_described(&api, create, "post", &wrong);
}
