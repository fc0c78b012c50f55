//! What documents look like. Members that are not named may come with a later version.

use crate::config::{Action, BigstoreDriver, Placement, ProxyPolicy};
use crate::failure::{Cause, TriedReason, Violation};
use crate::manage::{self, Target};
use crate::schema;
use crate::status::State;
use crate::write::Writer;

/// An object's member.
struct Field {
    name: &'static str,
    is: Is,
    is_always_there: bool,
}

/// What a member is.
#[derive(Clone, Copy)]
enum Is {
    Text,
    Time,
    /// A whole number that is not negative.
    Count,
    /// A whole number.
    Number,
    Bool,
    /// One of some words.
    Word(fn(&mut Writer<'_>)),
    /// An object of this schema.
    Object(&'static str),
    Texts,
    /// An array of whole numbers that are not negative.
    Counts,
    /// An array of objects of this schema.
    Objects(&'static str),
}

const fn must(name: &'static str, is: Is) -> Field {
    Field { name, is, is_always_there: true }
}

const fn may(name: &'static str, is: Is) -> Field {
    Field { name, is, is_always_there: false }
}

/// The kind of a member that is one of the names of an enumeration.
macro_rules! word {
    ($kind:ty) => {
        Is::Word(|writer| {
            for value in <$kind>::ALL {
                writer.text(value.name());
            }
        })
    };
}

const OBJECTS: &[(&str, &[Field])] = &[
    (
        "error",
        &[
            must("error_code", Is::Text),
            must("description", Is::Text),
            may("error_details", Is::Object("error_details")),
        ],
    ),
    (
        "error_details",
        &[
            must("message", Is::Text),
            may("problems", Is::Objects("problem")),
            may("required_rack_id", Is::Text),
            may("nodes_tried", Is::Objects("node_tried")),
            may("violation", word!(Violation)),
            may("failed_nodes", Is::Objects("failed_node")),
            may("replace_candidate", Is::Count),
            may("required_memory", Is::Count),
            may("required_flash", Is::Count),
            may("skew_seconds", Is::Number),
            may("current_rack_ids", Is::Texts),
            may("expected", Is::Text),
            may("actual", Is::Text),
            may("mismatches", Is::Objects("mismatch")),
            may("uids", Is::Counts),
        ],
    ),
    ("problem", &[must("pointer", Is::Text), must("message", Is::Text)]),
    ("node_tried", &[must("node", Is::Text), must("reason", word!(TriedReason))]),
    ("failed_node", &[must("uid", Is::Count), may("rack_id", Is::Text)]),
    ("mismatch", &[must("setting", Is::Text), must("cluster", Is::Text), must("node", Is::Text)]),
    (
        "status",
        &[
            must("bootstrap_status", Is::Object("bootstrap_status")),
            // Strangers may be told the state only.
            may("local_node_info", Is::Object("local_node_info")),
        ],
    ),
    (
        "bootstrap_status",
        &[
            must("state", word!(State)),
            may("start_time", Is::Time),
            may("end_time", Is::Time),
            may("error_code", Is::Word(|writer| Cause::CODES.iter().for_each(|code| _ = writer.text(code)))),
            may("error_details", Is::Object("error_details")),
        ],
    ),
    (
        "local_node_info",
        &[
            may("uid", Is::Count),
            must("software_version", Is::Text),
            may("architecture", Is::Text),
            may("os_version", Is::Text),
            may("os_name", Is::Text),
            may("os_family", Is::Text),
            may("cores", Is::Count),
            may("total_memory", Is::Count),
            may("ephemeral_storage_path", Is::Text),
            may("ephemeral_storage_size", Is::Count),
            may("persistent_storage_path", Is::Text),
            may("persistent_storage_size", Is::Count),
            may("bigredis_storage_path", Is::Text),
            may("bigstore_size", Is::Count),
            must("available_addrs", Is::Objects("address")),
            must("available_addresses", Is::Objects("address")),
            must("system_time", Is::Time),
            may("uptime", Is::Count),
        ],
    ),
    (
        "address",
        &[
            must("address", Is::Text),
            must("format", Is::Word(|writer| _ = writer.text("ipv4").text("ipv6"))),
            must("if_name", Is::Text),
            must("private", Is::Bool),
        ],
    ),
    (
        "progress",
        &[
            must("revision", Is::Count),
            must("state", word!(State)),
            may("step", Is::Count),
            may("steps", Is::Count),
            may("step_name", Is::Text),
            may("attempt", Is::Count),
            may("node", Is::Text),
            may("wait_seconds", Is::Count),
            must("nodes_tried", Is::Objects("node_tried")),
            must("warnings", Is::Objects("warning")),
        ],
    ),
    ("warning", &[must("pointer", Is::Text), must("reason", Is::Text)]),
    (
        "node",
        &[
            must("uid", Is::Count),
            must("status", Is::Word(|writer| _ = writer.text("active").text("down").text("provisioning"))),
            must("addr", Is::Text),
            must("external_addr", Is::Texts),
            must("accept_servers", Is::Bool),
            may("name", Is::Text),
            may("rack_id", Is::Text),
            may("second_rack_id", Is::Text),
            must("max_listeners", Is::Count),
            must("max_redis_servers", Is::Count),
            must("bigstore_enabled", Is::Bool),
            may("bigstore_driver", word!(BigstoreDriver)),
            may("bigstore_size", Is::Count),
            may("total_memory", Is::Count),
            may("cores", Is::Count),
            must("software_version", Is::Text),
            must("use_internal_ipv6", Is::Bool),
            must("shard_count", Is::Count),
            must("shard_list", Is::Counts),
            may("architecture", Is::Text),
            may("os_version", Is::Text),
            may("os_name", Is::Text),
            may("os_family", Is::Text),
            may("ephemeral_storage_path", Is::Text),
            may("ephemeral_storage_size", Is::Count),
            may("persistent_storage_path", Is::Text),
            may("persistent_storage_size", Is::Count),
            may("bigredis_storage_path", Is::Text),
            may("system_time", Is::Time),
            may("uptime", Is::Count),
        ],
    ),
    (
        "cluster",
        &[
            must("name", Is::Text),
            must("created_time", Is::Time),
            must("rack_aware", Is::Bool),
            must("wait_command", Is::Bool),
            must("use_internal_ipv6", Is::Bool),
            must("default_fork_evict_ram", Is::Bool),
            must("default_non_sharded_proxy_policy", word!(ProxyPolicy)),
            must("default_sharded_proxy_policy", word!(ProxyPolicy)),
            must("default_shards_placement", word!(Placement)),
            must("shards_overbooking", Is::Bool),
            must("cnm_https_port", Is::Count),
            must("crdb_coordinator_port", Is::Count),
            must("envoy_admin_port", Is::Count),
            must("envoy_mgmt_server_port", Is::Count),
            must("gossip_envoy_admin_port", Is::Count),
            must("dns_suffixes", Is::Objects("dns_suffix")),
            may("bigstore_driver", word!(BigstoreDriver)),
            must("email_alerts", Is::Bool),
            must("handle_redirects", Is::Bool),
            must("options_method_forbidden", Is::Bool),
            must("password_complexity", Is::Bool),
            must("slave_ha", Is::Bool),
            must("upgrade_mode", Is::Bool),
        ],
    ),
    (
        "policy",
        &[
            must("default_fork_evict_ram", Is::Bool),
            must("default_non_sharded_proxy_policy", word!(ProxyPolicy)),
            must("default_sharded_proxy_policy", word!(ProxyPolicy)),
            must("default_shards_placement", word!(Placement)),
            must("rack_aware", Is::Bool),
            must("shards_overbooking", Is::Bool),
        ],
    ),
    ("node_check", &[must("node_uid", Is::Count), must("result", Is::Bool), may("error", Is::Text)]),
    ("cluster_check", &[must("cluster_test_result", Is::Bool), must("nodes", Is::Objects("node_check"))]),
    (
        "user",
        &[
            must("uid", Is::Count),
            must("email", Is::Text),
            must("name", Is::Text),
            must("role", Is::Text),
            must("auth_method", Is::Text),
            must("status", Is::Text),
            must("email_alerts", Is::Bool),
            must("password_issue_date", Is::Time),
        ],
    ),
    (
        "dns_suffix",
        &[
            must("name", Is::Text),
            must("cluster_default", Is::Bool),
            must("use_aaaa_ns", Is::Bool),
            must("use_internal_addr", Is::Bool),
            must("slaves", Is::Texts),
        ],
    ),
    (
        "license",
        &[
            must("license", Is::Text),
            must("cluster_name", Is::Text),
            must("expired", Is::Bool),
            must("activation_date", Is::Time),
            must("expiration_date", Is::Time),
            must("owner", Is::Text),
            must("shards_limit", Is::Count),
            may("node_limit", Is::Count),
            must("features", Is::Texts),
        ],
    ),
    ("root", &[must("cluster_name", Is::Text), must("software_version", Is::Text)]),
    ("any_object", &[]),
];

/// The bodies of PUTs.
const CHANGES: [(&str, Target); 3] =
    [("node_change", Target::Node(0)), ("license_change", Target::License), ("policy_change", Target::Policy)];

/// Schemas of another kind.
const OTHERS: &str = concat!(
    r##""nodes":{"type":"array","items":{"$ref":"#/components/schemas/node"}},"##,
    r##""users":{"type":"array","items":{"$ref":"#/components/schemas/user"}},"##,
    r#""none":{"type":"array","maxItems":0},"#,
    r#""nothing":{"type":"object","maxProperties":0}"#,
);

/// Writes every schema that others refer to.
pub(super) fn write(writer: &mut Writer<'_>) {
    for (name, fields) in OBJECTS {
        writer.name(name).open('{').name("type").text("object").name("required").open('[');
        for field in fields.iter().filter(|field| field.is_always_there) {
            writer.text(field.name);
        }
        writer.close(']').name("properties").open('{');
        for field in *fields {
            writer.name(field.name);
            write_kind(field.is, writer);
        }
        writer.close('}').close('}');
    }
    for (name, target) in CHANGES {
        writer.name(name);
        manage::schema::write(target, writer);
    }
    writer.value(OTHERS).name("bootstrap");
    schema::write_object(writer);
    for action in Action::ALL {
        writer.name(action.name()).open('{').name("allOf").open('[');
        write_reference("bootstrap", writer);
        schema::write_demands(action, writer);
        writer.close(']').close('}');
    }
}

fn write_kind(is: Is, writer: &mut Writer<'_>) {
    match is {
        Is::Text => _ = writer.value(r#"{"type":"string"}"#),
        Is::Time => _ = writer.value(r#"{"type":"string","format":"date-time"}"#),
        Is::Count => _ = writer.value(r#"{"type":"integer","minimum":0}"#),
        Is::Number => _ = writer.value(r#"{"type":"integer"}"#),
        Is::Bool => _ = writer.value(r#"{"type":"boolean"}"#),
        Is::Counts => _ = writer.value(r#"{"type":"array","items":{"type":"integer","minimum":0}}"#),
        Is::Texts => _ = writer.value(r#"{"type":"array","items":{"type":"string"}}"#),
        Is::Word(words) => {
            writer.open('{').name("enum").open('[');
            words(writer);
            writer.close(']').close('}');
        }
        Is::Object(name) => write_reference(name, writer),
        Is::Objects(name) => {
            writer.open('{').name("type").text("array").name("items");
            write_reference(name, writer);
            writer.close('}');
        }
    }
}

fn write_reference(name: &str, writer: &mut Writer<'_>) {
    writer.open('{');
    super::write_reference("schemas", name, writer);
    writer.close('}');
}
