use std::string::{String, ToString as _};
use std::vec::Vec;

use serde_json::Value;

use super::*;
use crate::config::form::Form;
use crate::config::{Config, Ports};
use crate::limits::*;

fn document(write: fn(&mut Writer<'_>)) -> Value {
    let mut buffer = std::vec![0; CLUSTER_RECORD_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    let length = writer.finish().unwrap();
    crate::json::check(&buffer[..length]).unwrap();
    serde_json::from_slice(&buffer[..length]).unwrap()
}

/// Every member of the table, with the pointer of its schema.
fn members() -> Vec<(Object, &'static Member, String)> {
    let mut members = Vec::new();
    let mut open = std::vec![(Object::Root, String::new())];
    while let Some((object, pointer)) = open.pop() {
        for member in object.members() {
            let pointer = std::format!("{pointer}/properties/{}", member.name);
            match member.kind {
                Kind::Object(inner) => open.push((inner, pointer.clone())),
                Kind::Objects(_, inner, _) => open.push((inner, std::format!("{pointer}/items"))),
                Kind::Bool(_)
                | Kind::Integer(..)
                | Kind::Text(..)
                | Kind::Quoted(..)
                | Kind::Choice(..)
                | Kind::Texts(..)
                | Kind::Unused => {}
            }
            members.push((object, member, pointer));
        }
    }
    members
}

#[test]
fn every_member_of_the_table_is_in_the_schema_and_no_other() {
    let schema = document(write);
    let members = members();
    assert_eq!(members.iter().map(|(object, ..)| *object as usize).max(), Some(Object::COUNT - 1));
    for (object, member, pointer) in &members {
        let own = schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer}"));
        assert!(!words::of(*object, member.name).is_empty(), "{pointer} has no words");
        assert_eq!(own["description"], words::of(*object, member.name), "{pointer}");
    }
    // Whatever is called a property, in what an action demands as well, is one of the table.
    let names: Vec<&str> = members.iter().map(|(_, member, _)| member.name).collect();
    let mut values = std::vec![&schema];
    let mut count = 0;
    while let Some(value) = values.pop() {
        match value {
            Value::Object(object) => {
                for (name, inner) in object {
                    if name == "properties" {
                        for name in inner.as_object().unwrap().keys() {
                            assert!(names.contains(&name.as_str()), "{name}");
                            count += 1;
                        }
                    }
                    if name == "required" {
                        assert!(inner.as_array().unwrap().iter().all(|name| names.contains(&name.as_str().unwrap())));
                    }
                    values.push(inner);
                }
            }
            Value::Array(array) => values.extend(array),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    assert!(count > members.len());
}

#[test]
fn the_limits_are_the_parsers() {
    let schema = document(write);
    let number =
        |pointer: &str| schema.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer}")) as usize;
    for (pointer, limit) in [
        ("/properties/cluster/properties/name/maxLength", CLUSTER_NAME_BYTES_MAX),
        ("/properties/cluster/properties/nodes/anyOf/0/maxItems", CONTACTS_MAX),
        ("/properties/cluster/properties/nodes/anyOf/1/maxLength", NODE_ADDRESS_BYTES_MAX),
        ("/properties/node/properties/identity/properties/name/x-max-bytes", HOST_BYTES_MAX),
        ("/properties/node/properties/identity/properties/external_addr/anyOf/0/maxItems", EXTERNAL_ADDRESSES_MAX),
        ("/properties/node/properties/identity/properties/rack_id/maxLength", RACK_BYTES_MAX),
        ("/properties/node/properties/paths/properties/ccs_persistent_path/x-max-bytes", PATH_BYTES_MAX),
        ("/properties/credentials/properties/username/x-max-bytes", USERNAME_BYTES_MAX),
        ("/properties/credentials/properties/password/x-max-bytes", PASSWORD_BYTES_MAX),
        ("/properties/credentials/properties/client_key/x-max-bytes", PEM_BYTES_MAX),
        ("/properties/license/x-max-bytes", LICENSE_BYTES_MAX),
        ("/properties/required_version/maxLength", VERSION_BYTES_MAX),
        ("/properties/dns_suffixes/maxItems", SUFFIXES_MAX),
        ("/properties/dns_suffixes/items/properties/name/maxLength", HOST_BYTES_MAX),
        ("/properties/dns_suffixes/items/properties/slaves/anyOf/0/maxItems", SUFFIX_SLAVES_MAX),
        ("/properties/gossip_envoy_admin_port/minimum", 1024),
        ("/properties/gossip_envoy_admin_port/maximum", 65_535),
        ("/properties/retry_time/maximum", 3600),
    ] {
        assert_eq!(number(pointer), limit, "{pointer}");
    }
}

#[test]
fn the_words_name_the_defaults() {
    for (name, port) in Ports::default().named() {
        assert!(words::of(Object::Root, name).starts_with(&port.to_string()), "{name}");
    }
    let config = Config::default();
    for (object, name, default) in [
        (Object::Root, "max_retries", config.retry.max.to_string()),
        (Object::Root, "retry_time", config.retry.seconds.to_string()),
        (Object::Cluster, "wait_command", config.cluster.wait_command.to_string()),
        (Object::Identity, "accept_servers", config.node.identity.accept_servers.to_string()),
        (Object::Limits, "max_listeners", config.node.limits.max_listeners.to_string()),
        (Object::Limits, "max_redis_servers", config.node.limits.max_redis_servers.to_string()),
        (Object::Policy, "rack_aware", config.policy.rack_aware.to_string()),
        (Object::Policy, "shards_overbooking", config.policy.shards_overbooking.to_string()),
        (Object::Policy, "default_shards_placement", config.policy.default_shards_placement.name().into()),
    ] {
        assert!(words::of(object, name).ends_with(&std::format!("; {default}")), "{name}");
    }
}

#[test]
fn every_piece_is_json() {
    document(write_object);
    for form in Form::ALL {
        serde_json::from_str::<Value>(&std::format!("{{{}}}", form.schema())).unwrap();
    }
    for action in Action::ALL {
        let demands: Value = serde_json::from_str(&std::format!("{{{}}}", demands::schema(action))).unwrap();
        assert_eq!(demands["properties"]["action"]["enum"][0], action.name());
    }
}

#[test]
fn what_does_not_fit_is_noticed() {
    let length = Writer::measure(write);
    let mut buffer = std::vec![0; length];
    for (room, fits) in [(length, true), (length - 1, false)] {
        let mut writer = Writer::new(&mut buffer[..room]);
        write(&mut writer);
        assert_eq!(writer.finish().is_ok(), fits);
    }
}
