use std::collections::BTreeSet;
use std::string::{String, ToString as _};
use std::vec::Vec;

use serde_json::Value;

use super::*;
use crate::api::{Described, Managed, Peer};
use crate::config::Action;
use crate::limits::CLUSTER_RECORD_BYTES_MAX;

fn document() -> Value {
    let mut buffer = std::vec![0; CLUSTER_RECORD_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    let length = writer.finish().unwrap();
    crate::json::check(&buffer[..length]).unwrap();
    serde_json::from_slice(&buffer[..length]).unwrap()
}

/// Whether a resource is one that the document must show. A new one has to be put somewhere here.
fn is_public(resource: Resource) -> bool {
    match resource {
        Resource::Status
        | Resource::Progress
        | Resource::Bootstrap(Action::CreateCluster | Action::JoinCluster | Action::RecoverCluster)
        | Resource::Validate(Action::CreateCluster | Action::JoinCluster | Action::RecoverCluster)
        | Resource::Cluster
        | Resource::Nodes
        | Resource::Node(_)
        | Resource::License
        | Resource::Managed(
            Managed::ClusterCheck
            | Managed::NodeCheck(_)
            | Managed::Policy
            | Managed::Databases
            | Managed::Modules
            | Managed::Users,
        )
        | Resource::Schema(_)
        | Resource::OpenApi
        | Resource::Health
        | Resource::Ready
        | Resource::Root
        | Resource::Page => true,
        Resource::Peer(Peer::Start | Peer::Finish | Peer::Certificate | Peer::Challenge | Peer::Ask)
        | Resource::Server
        | Resource::UnknownV1
        | Resource::Unknown => false,
    }
}

/// Every public resource.
fn public() -> Vec<Resource> {
    let mut all = std::vec![
        Resource::Status,
        Resource::Progress,
        Resource::Cluster,
        Resource::Nodes,
        Resource::Node(1),
        Resource::License,
        Resource::Schema(Described::Missing),
        Resource::OpenApi,
        Resource::Health,
        Resource::Ready,
        Resource::Root,
        Resource::Page,
        Resource::Managed(Managed::ClusterCheck),
        Resource::Managed(Managed::NodeCheck(1)),
        Resource::Managed(Managed::Policy),
        Resource::Managed(Managed::Databases),
        Resource::Managed(Managed::Modules),
        Resource::Managed(Managed::Users),
    ];
    for action in Action::ALL {
        all.extend([Resource::Bootstrap(action), Resource::Validate(action)]);
    }
    all
}

#[test]
#[cfg_attr(miri, ignore = "the document takes minutes there to be read again, and is not untrusted")]
fn every_route_is_in_the_document_and_no_other() {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), PATHS.len());
    let shown: Vec<Resource> = PATHS.iter().map(Path::resource).collect();
    for resource in public() {
        assert_eq!(shown.iter().filter(|other| **other == resource).count(), 1, "{resource:?}");
    }
    for (path, resource) in PATHS.iter().zip(&shown) {
        assert!(is_public(*resource) && public().contains(resource), "{}", path.template);
        for method in [Method::Get, Method::Head, Method::Post, Method::Put, Method::Options] {
            let is_shown = paths[path.template].get(method_name(method)).is_some();
            assert_eq!(is_shown, resource.takes(method, true), "{} {method:?}", path.template);
        }
        let in_braces = path.template.matches('{').count();
        assert_eq!(path.parameters.matches("\"in\":\"path\"").count(), in_braces, "{}", path.template);
        assert_eq!(in_braces == 0, path.sample == path.template, "{}", path.template);
    }
}

#[test]
#[cfg_attr(miri, ignore = "the document takes minutes there to be read again, and is not untrusted")]
fn names_are_unique_and_references_lead_somewhere() {
    let document = document();
    let mut names = BTreeSet::new();
    for operation in PATHS.iter().flat_map(|path| path.operations) {
        assert!(names.insert(operation.id) && !operation.summary.is_empty(), "{}", operation.id);
    }
    let mut values = std::vec![&document];
    let mut referred = BTreeSet::<String>::new();
    while let Some(value) = values.pop() {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(reference)) = object.get("$ref") {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                    referred.insert(pointer.to_string());
                }
                values.extend(object.values());
            }
            Value::Array(array) => values.extend(array),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    for kind in ["schemas", "responses"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(referred.contains(&std::format!("/components/{kind}/{name}")), "nobody refers to {name}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "the document takes minutes there to be read again, and is not untrusted")]
fn who_may_call_is_said() {
    let document = document();
    let security = |path: &str, method: &str| document["paths"][path][method]["security"].to_string();
    assert_eq!(security("/healthz", "get"), "null");
    assert_eq!(security("/openapi.json", "get"), "null");
    assert_eq!(security("/v1/nodes/{uid}", "get"), r#"[{"basic":[]}]"#);
    assert_eq!(security("/v1/nodes/{uid}", "put"), r#"[{"basic":[]}]"#);
    assert_eq!(security("/v1/bootstrap", "get"), r#"[{"basic":[]},{}]"#);
    assert_eq!(security("/v1/bootstrap/create_cluster", "post"), r#"[{"basic":[]},{}]"#);
}
