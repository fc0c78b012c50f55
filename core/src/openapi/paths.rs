//! The public paths of the API. To add one, add a row: which methods it takes and who may call it comes from
//! [`crate::api`], and a test compares both.

use crate::api::{Method, Resource};

/// A path.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// As the document shows it.
    pub template: &'static str,
    /// The same with a value for each parameter.
    pub sample: &'static str,
    /// Its own parameters, as a JSON array; empty where it has none.
    pub parameters: &'static str,
    /// All but HEAD and OPTIONS, which follow from the rest.
    pub operations: &'static [Operation],
}

impl Path {
    /// What it names.
    #[must_use]
    pub fn resource(&self) -> Resource {
        Resource::from_managed_path(self.sample)
    }
}

/// What a method does there.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The method.
    pub method: Method,
    /// Its name, which no other has.
    pub id: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Parameters in the query, as a JSON array; empty where there are none.
    pub parameters: &'static str,
    /// The schema of the body, where it takes one.
    pub body: Option<&'static str>,
    /// What it is there for.
    pub answers: &'static [Answer],
    /// Status codes of refusals that are not every operation's.
    pub refusals: &'static [u16],
}

/// An answer that is no refusal of the message.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// What it means.
    pub means: &'static str,
    /// Its body.
    pub shows: Shows,
}

/// An answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// None.
    Nothing,
    /// One word, or a page.
    Word,
    /// One word, or an error.
    WordOrError,
    /// A document of this schema.
    Document(&'static str),
    /// The same, or a stream of them.
    DocumentOrEvents(&'static str),
}

const fn get(
    id: &'static str,
    summary: &'static str,
    parameters: &'static str,
    answers: &'static [Answer],
    refusals: &'static [u16],
) -> Operation {
    Operation { method: Method::Get, id, summary, parameters, body: None, answers, refusals }
}

const fn post(id: &'static str, summary: &'static str, body: &'static str, answers: &'static [Answer]) -> Operation {
    Operation { method: Method::Post, id, summary, parameters: "", body: Some(body), answers, refusals: &[] }
}

const fn put(id: &'static str, summary: &'static str, body: &'static str, refusals: &'static [u16]) -> Operation {
    Operation { method: Method::Put, id, summary, parameters: "", body: Some(body), answers: CHANGED, refusals }
}

const fn shown(schema: &'static str) -> Answer {
    Answer { status: 200, means: "The document", shows: Shows::Document(schema) }
}

const fn path(template: &'static str, operations: &'static [Operation]) -> Path {
    Path { template, sample: template, parameters: "", operations }
}

const ACCEPTED: &[Answer] =
    &[Answer { status: 200, means: "The attempt is durable and under way", shows: Shows::Nothing }];

const CHANGED: &[Answer] = &[Answer { status: 200, means: "It is so, durably", shows: Shows::Nothing }];

const VALIDATED: &[Answer] = &[
    Answer { status: 200, means: "It would not fail before its first change", shows: Shows::Document("nothing") },
    Answer { status: 406, means: "How it would end", shows: Shows::Document("bootstrap_status") },
];

const FOLLOWED: &[Answer] = &[
    Answer { status: 200, means: "The document, or a stream of events", shows: Shows::DocumentOrEvents("progress") },
    Answer { status: 204, means: "There is no event behind the last one, nor will there be", shows: Shows::Nothing },
];

/// A number of the query; an empty value is as good as none.
macro_rules! number {
    () => {
        r#"{"anyOf":[{"type":"integer","minimum":0,"maximum":18446744073709551615},{"const":""}]}"#
    };
}

const WATCH: &str = concat!(
    r#"[{"name":"after","in":"query","description":"The revision that the caller has","schema":"#,
    number!(),
    r#"},{"name":"wait","in":"query","description":"How many seconds to wait for another one, at most 30","schema":"#,
    number!(),
    r#"},{"name":"Last-Event-ID","in":"header","#,
    r#""description":"The last event that the caller has, where it asks for a stream","schema":{"type":"string"}}]"#,
);

const OBJECT: &str = concat!(
    r#"[{"name":"object","in":"query","required":true,"description":"Whose schema","#,
    r#""schema":{"enum":["bootstrap"]}}]"#,
);

const UID: &str =
    r#"[{"name":"uid","in":"path","required":true,"schema":{"type":"integer","minimum":0,"maximum":4294967295}}]"#;

/// Every public path.
pub const PATHS: &[Path] = &[
    path("/v1/bootstrap", &[get("status", "How far this node is, and what it is", "", &[shown("status")], &[])]),
    path(
        "/v1/bootstrap/progress",
        &[get(
            "progress",
            "How far an attempt has come; waits for a change, or is a stream of events",
            WATCH,
            FOLLOWED,
            &[],
        )],
    ),
    path(
        "/v1/bootstrap/create_cluster",
        &[post("create_cluster", "Founds a cluster with this node", "create_cluster", ACCEPTED)],
    ),
    path(
        "/v1/bootstrap/join_cluster",
        &[post("join_cluster", "Makes this node one of a cluster", "join_cluster", ACCEPTED)],
    ),
    path(
        "/v1/bootstrap/recover_cluster",
        &[post("recover_cluster", "Founds a cluster again from its record", "recover_cluster", ACCEPTED)],
    ),
    path(
        "/v1/bootstrap/validate/create_cluster",
        &[post("validate_create_cluster", "Says how it would end, changes nothing", "create_cluster", VALIDATED)],
    ),
    path(
        "/v1/bootstrap/validate/join_cluster",
        &[post("validate_join_cluster", "Says how it would end, changes nothing", "join_cluster", VALIDATED)],
    ),
    path(
        "/v1/bootstrap/validate/recover_cluster",
        &[post("validate_recover_cluster", "Says how it would end, changes nothing", "recover_cluster", VALIDATED)],
    ),
    path("/v1/cluster", &[get("cluster", "The cluster's settings", "", &[shown("cluster")], &[])]),
    path("/v1/nodes", &[get("nodes", "The cluster's nodes", "", &[shown("nodes")], &[])]),
    Path {
        template: "/v1/nodes/{uid}",
        sample: "/v1/nodes/1",
        parameters: UID,
        operations: &[
            get("node", "One of the cluster's nodes", "", &[shown("node")], &[404]),
            put("change_node", "Changes a node; its rack once", "node_change", &[404, 406]),
        ],
    },
    Path {
        template: "/v1/nodes/check/{uid}",
        sample: "/v1/nodes/check/1",
        parameters: UID,
        operations: &[get("check_node", "Whether a node is well", "", &[shown("node_check")], &[404])],
    },
    path(
        "/v1/cluster/check",
        &[get("check_cluster", "Whether all nodes are well", "", &[shown("cluster_check")], &[])],
    ),
    path(
        "/v1/cluster/policy",
        &[
            get("policy", "Defaults for what the cluster runs", "", &[shown("policy")], &[]),
            put("change_policy", "Makes the cluster rack-aware", "policy_change", &[406]),
        ],
    ),
    path(
        "/v1/license",
        &[
            get("license", "The cluster's licence", "", &[shown("license")], &[]),
            put("change_license", "Gives the cluster another licence", "license_change", &[406]),
        ],
    ),
    path("/v1/bdbs", &[get("databases", "The cluster's databases: there is none", "", &[shown("none")], &[])]),
    path("/v1/modules", &[get("modules", "The cluster's modules: there is none", "", &[shown("none")], &[])]),
    path("/v1/users", &[get("users", "Who administers the cluster", "", &[shown("users")], &[])]),
    path(
        "/v1/jsonschema",
        &[get("jsonschema", "The JSON Schema of an object", OBJECT, &[shown("any_object")], &[404])],
    ),
    path("/openapi.json", &[get("openapi", "This document", "", &[shown("any_object")], &[])]),
    path(
        "/healthz",
        &[get(
            "healthz",
            "Whether the agent answers",
            "",
            &[Answer { status: 200, means: "ok", shows: Shows::Word }],
            &[],
        )],
    ),
    path(
        "/readyz",
        &[get(
            "readyz",
            "Whether the node is in a cluster",
            "",
            &[
                Answer { status: 200, means: "ready", shows: Shows::Word },
                Answer { status: 503, means: "Not in a cluster", shows: Shows::WordOrError },
            ],
            &[],
        )],
    ),
    path("/", &[get("root", "The cluster's name", "", &[shown("root")], &[])]),
    path(
        "/ui",
        &[get("ui", "The page for people", "", &[Answer { status: 200, means: "HTML", shows: Shows::Word }], &[404])],
    ),
];
