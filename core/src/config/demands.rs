//! What only the whole configuration can tell: required members, and members that must agree.

use super::table::Object;
use super::walk::Seen;
use super::{Action, Config, Warning, WarningReason};
use crate::limits::SET_ASIDE_MAX;
use crate::problems::{Place, Problems};

/// Checks a walked configuration against what `action` needs.
pub(super) fn check(config: &mut Config, action: Action, seen: &Seen, problems: &mut Problems) {
    let mut demands = Demands { seen, problems };
    match action {
        Action::CreateCluster => demands.create(config),
        Action::JoinCluster => demands.join(config),
        Action::RecoverCluster => demands.recover(config),
    }
    demands.family(config);
    demands.suffixes(config);
    demands.ports(config);
}

/// The same demands as members of a JSON Schema, for a bootstrap object of `action`: never stricter, and laxer in one
/// point, that no two ports may be equal.
#[must_use]
pub const fn schema(action: Action) -> &'static str {
    /// Neither of a pair of members, or both.
    macro_rules! pair {
        ($one:literal, $two:literal, "absent") => {
            concat!(r#"""#, $one, r#"":{"type":"null"},""#, $two, r#"":{"type":"null"}"#)
        };
        ($one:literal, $two:literal, "given") => {
            concat!(r#"""#, $one, r#"":{"type":"string"},""#, $two, r#"":{"type":"string"}"#)
        };
    }
    macro_rules! only_to_join {
        () => {
            r#""client_cert":{"type":"null"},"client_key":{"type":"null"},"trusted_ca":{"type":"null"}"#
        };
    }
    match action {
        Action::CreateCluster => concat!(
            r#""required":["cluster","credentials"],"properties":{"action":{"enum":["create_cluster",null]},"#,
            r#""cluster":{"type":"object","required":["name"],"properties":{"name":{"type":"string"},"#,
            r#""nodes":{"type":["array","null"],"maxItems":0}}},"#,
            r#""credentials":{"type":"object","required":["username","password"],"properties":{"#,
            pair!("username", "password", "given"),
            ",",
            only_to_join!(),
            r#"}}},"if":{"required":["policy"],"properties":{"policy":{"type":"object","required":["rack_aware"],"#,
            r#""properties":{"rack_aware":{"const":true}}}}},"then":{"required":["node"],"properties":{"node":{"#,
            r#""type":"object","required":["identity"],"properties":{"identity":{"type":"object","#,
            r#""required":["rack_id"],"properties":{"rack_id":{"type":"string"}}}}}}}"#,
        ),
        Action::JoinCluster => concat!(
            r#""required":["credentials"],"properties":{"action":{"enum":["join_cluster",null]},"#,
            r#""credentials":{"type":"object","oneOf":[{"required":["username","password"],"properties":{"#,
            pair!("username", "password", "given"),
            ",",
            pair!("client_cert", "client_key", "absent"),
            r#"}},{"required":["client_cert","client_key"],"properties":{"#,
            pair!("client_cert", "client_key", "given"),
            ",",
            pair!("username", "password", "absent"),
            r"}}]}}",
        ),
        Action::RecoverCluster => concat!(
            r#""required":["recovery_filename"],"properties":{"action":{"enum":["recover_cluster",null]},"#,
            r#""recovery_filename":{"type":"string"},"credentials":{"oneOf":[{"type":"null"},{"type":"object","#,
            r#""required":["username","password"],"properties":{"#,
            pair!("username", "password", "given"),
            ",",
            only_to_join!(),
            r#"}},{"type":"object","properties":{"#,
            pair!("username", "password", "absent"),
            ",",
            only_to_join!(),
            r"}}]}}",
        ),
    }
}

/// What an object demands by itself, whatever the action, as members of a JSON Schema; empty where it is nothing. Of the
/// suffixes it is their array that demands it.
#[must_use]
pub const fn schema_of(object: Object) -> &'static str {
    match object {
        Object::Identity => concat!(
            r#""allOf":[{"if":{"required":["use_internal_ipv6"],"properties":{"use_internal_ipv6":{"const":true}}},"#,
            r#""then":{"properties":{"addr":{"pattern":":"}}}},"#,
            r#"{"if":{"required":["use_internal_ipv6"],"properties":{"use_internal_ipv6":{"const":false}}},"#,
            r#""then":{"properties":{"addr":{"not":{"type":"string","pattern":":"}}}}}]"#,
        ),
        Object::DnsSuffix => concat!(
            r#""contains":{"type":"object","required":["cluster_default"],"properties":{"cluster_default":{"const":true}}},"#,
            r#""minContains":0,"maxContains":1"#,
        ),
        Object::Root
        | Object::Cluster
        | Object::Node
        | Object::Paths
        | Object::Limits
        | Object::Credentials
        | Object::Policy => "",
    }
}

/// What a cluster has of its own, whoever joins or recovers it.
const SET_BY_CLUSTER: [(Object, &str); 8] = [
    (Object::Root, "policy"),
    (Object::Root, "dns_suffixes"),
    (Object::Root, "license"),
    (Object::Root, "crdb_coordinator_port"),
    (Object::Root, "envoy_admin_port"),
    (Object::Root, "envoy_mgmt_server_port"),
    (Object::Root, "gossip_envoy_admin_port"),
    (Object::Cluster, "wait_command"),
];
/// The same of one who recovers it only.
const SET_BY_RECORD: [(Object, &str); 3] =
    [(Object::Root, "cnm_https_port"), (Object::Cluster, "name"), (Object::Cluster, "nodes")];
const _: () = assert!(SET_BY_CLUSTER.len() + SET_BY_RECORD.len() == SET_ASIDE_MAX);

struct Demands<'a> {
    seen: &'a Seen,
    problems: &'a mut Problems,
}

impl Demands<'_> {
    fn given(&self, object: Object, name: &str) -> bool {
        self.seen.value(object, name)
    }

    fn require(&mut self, object: Object, name: &'static str) {
        if !self.given(object, name) {
            self.problems.add(Place::member(object.path(), name), "is required");
        }
    }

    fn create(&mut self, config: &Config) {
        self.require(Object::Cluster, "name");
        if !config.cluster.nodes.is_empty() {
            self.problems.add(Place::member(Object::Cluster.path(), "nodes"), "must be empty to create a cluster");
        }
        self.require(Object::Credentials, "username");
        self.require(Object::Credentials, "password");
        if config.policy.rack_aware && !self.given(Object::Identity, "rack_id") {
            let place = Place::member(Object::Identity.path(), "rack_id");
            self.problems.add(place, "is required where policy.rack_aware is true");
        }
        self.only_to_join();
    }

    fn join(&mut self, config: &mut Config) {
        let [cert, key] = ["client_cert", "client_key"].map(|name| self.given(Object::Credentials, name));
        if !cert && !key {
            self.require(Object::Credentials, "username");
            self.require(Object::Credentials, "password");
        } else {
            self.require(Object::Credentials, "client_cert");
            self.require(Object::Credentials, "client_key");
            for name in ["username", "password"] {
                if self.given(Object::Credentials, name) {
                    let place = Place::member(Object::Credentials.path(), name);
                    self.problems.add(place, "must not be given together with a client certificate");
                }
            }
        }
        self.set_aside(&[], config);
    }

    /// What the cluster's record says already is warned of: nothing that is accepted is dropped in silence.
    fn set_aside(&self, more: &[(Object, &str)], config: &mut Config) {
        let Config { license, warnings, .. } = config;
        for (object, name) in SET_BY_CLUSTER.iter().chain(more) {
            // Public clients send an empty licence with everything.
            let is_nothing = *name == "license" && license.is_empty();
            if self.given(*object, name) && !is_nothing {
                let place = Place::member(object.path(), name);
                let _ = warnings.push(Warning::new(place, WarningReason::SetByCluster));
            }
        }
    }

    fn recover(&mut self, config: &mut Config) {
        self.require(Object::Root, "recovery_filename");
        let [name, password] = ["username", "password"].map(|name| self.given(Object::Credentials, name));
        if name != password {
            self.require(Object::Credentials, "username");
            self.require(Object::Credentials, "password");
        }
        self.only_to_join();
        self.set_aside(&SET_BY_RECORD, config);
    }

    fn only_to_join(&mut self) {
        for name in ["client_cert", "client_key", "trusted_ca"] {
            if self.given(Object::Credentials, name) {
                self.problems.add(Place::member(Object::Credentials.path(), name), "is only for join_cluster");
            }
        }
    }

    fn family(&mut self, config: &Config) {
        let identity = &config.node.identity;
        if let (Some(addr), Some(ipv6)) = (identity.addr, identity.use_internal_ipv6)
            && addr.is_ipv6() != ipv6
        {
            let place = Place::member(Object::Identity.path(), "use_internal_ipv6");
            self.problems.add(place, format_args!("does not agree with the address \"{addr}\""));
        }
    }

    fn suffixes(&mut self, config: &Config) {
        let defaults = config.dns_suffixes.iter().enumerate().filter(|(_, suffix)| suffix.cluster_default);
        for (index, _) in defaults.skip(1) {
            let place = Place { element: Some(index), ..Place::member(Object::DnsSuffix.path(), "cluster_default") };
            self.problems.add(place, "is true for another suffix already");
        }
    }

    /// No two ports may be equal, defaults included; the complaint goes to one that was given.
    fn ports(&mut self, config: &Config) {
        let ports = config.ports.named();
        for (index, (name, port)) in ports.iter().enumerate() {
            let clash = ports.iter().enumerate().find(|(other, (other_name, other_port))| {
                other_port == port && *other != index && (*other < index || !self.given(Object::Root, other_name))
            });
            if let Some((_, (other, _))) = clash
                && self.given(Object::Root, name)
            {
                self.problems.add(Place::member(&[], name), format_args!("is {port}, the same as {other}"));
            }
        }
    }
}
