//! The table of the bootstrap object's members: for each object the names, what a value may be, where it goes.

use heapless::{String, Vec};

use super::form::{ADDRESS_BYTES_MAX, Form, Like};
use super::{Action, BigstoreDriver, Config, DnsSuffix, Placement, ProxyPolicy, Secret, rules};
use crate::json::Text;
use crate::limits::*;

/// The objects of a bootstrap object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// The body itself.
    Root,
    /// `cluster`
    Cluster,
    /// `node`
    Node,
    /// `node.identity`
    Identity,
    /// `node.paths`
    Paths,
    /// `node.limits`
    Limits,
    /// `credentials`
    Credentials,
    /// `policy`
    Policy,
    /// An element of `dns_suffixes`
    DnsSuffix,
}

impl Object {
    /// How many there are.
    pub const COUNT: usize = 9;

    /// The member that each element of an array of such objects must have.
    #[must_use]
    pub const fn demanded(self) -> Option<&'static str> {
        match self {
            Self::DnsSuffix => Some("name"),
            Self::Root
            | Self::Cluster
            | Self::Node
            | Self::Identity
            | Self::Paths
            | Self::Limits
            | Self::Credentials
            | Self::Policy => None,
        }
    }

    /// The names on the way to it.
    #[must_use]
    pub const fn path(self) -> &'static [&'static str] {
        match self {
            Self::Root => &[],
            Self::Cluster => &["cluster"],
            Self::Node => &["node"],
            Self::Identity => &["node", "identity"],
            Self::Paths => &["node", "paths"],
            Self::Limits => &["node", "limits"],
            Self::Credentials => &["credentials"],
            Self::Policy => &["policy"],
            Self::DnsSuffix => &["dns_suffixes"],
        }
    }

    /// Its members.
    #[must_use]
    pub const fn members(self) -> &'static [Member] {
        match self {
            Self::Root => ROOT,
            Self::Cluster => CLUSTER,
            Self::Node => NODE,
            Self::Identity => IDENTITY,
            Self::Paths => PATHS,
            Self::Limits => LIMITS,
            Self::Credentials => CREDENTIALS,
            Self::Policy => POLICY,
            Self::DnsSuffix => DNS_SUFFIX,
        }
    }
}

/// One member.
#[derive(Clone, Copy)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
}

/// Keeps a text that has the right type, or says what is wrong with it.
pub type KeepText = fn(&mut Config, Text<'_>) -> Result<(), Reason>;

/// What a value may be, and where it goes.
#[derive(Clone, Copy)]
pub enum Kind {
    /// `true` or `false`.
    Bool(fn(&mut Config, bool)),
    /// A whole number between two, both included.
    Integer(u64, u64, fn(&mut Config, u64)),
    /// A string.
    Text(Like, KeepText),
    /// A string whose value the message may name.
    Quoted(Like, KeepText),
    /// One of these strings; its position is kept.
    Choice(&'static [&'static str], fn(&mut Config, usize)),
    /// An array of at most so many strings, or one string alone; each is quoted in messages.
    Texts(usize, Like, KeepText),
    /// An object.
    Object(Object),
    /// An array of at most so many objects; a new one is begun by the function.
    Objects(usize, Object, fn(&mut Config)),
    /// Anything; read and never acted on.
    Unused,
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Longer than so many bytes.
    TooLong(usize),
    /// Another rule, in words.
    Rule(&'static str),
}

const fn member(name: &'static str, kind: Kind) -> Member {
    Member { name, kind }
}

/// A port's kind: a whole number, kept in the field that `$field` names.
macro_rules! port {
    ($min:literal, $field:ident) => {
        Kind::Integer($min, 65_535, |config, port| config.ports.$field = u16::try_from(port).unwrap_or(u16::MAX))
    };
}

/// The kind of a string for the field `$field`: its capacity is the limit.
macro_rules! text {
    ($kind:ident, $form:ident, $($field:ident).+) => {
        Kind::$kind(
            Like::new(Form::$form, room(|config| &mut config.$($field).+)),
            |config, value| text(&mut config.$($field).+, value, const { Form::$form.rule() }),
        )
    };
}

/// The same, where the field is a secret.
macro_rules! secret {
    ($form:ident, $($field:ident).+) => {
        Kind::Text(
            Like::new(Form::$form, secret_room(|config| &mut config.$($field).+)),
            |config, value| secret(&mut config.$($field).+, value, const { Form::$form.rule() }),
        )
    };
}

const fn room<const N: usize>(_: fn(&mut Config) -> &mut String<N>) -> usize {
    N
}

const fn secret_room<const N: usize>(_: fn(&mut Config) -> &mut Secret<N>) -> usize {
    N
}

const ACTIONS: &[&str] = &[Action::ALL[0].name(), Action::ALL[1].name(), Action::ALL[2].name()];

const ROOT: &[Member] = &[
    // Compared with the path's action by the walk.
    member("action", Kind::Choice(ACTIONS, |_, _| {})),
    member("cluster", Kind::Object(Object::Cluster)),
    member("node", Kind::Object(Object::Node)),
    member("credentials", Kind::Object(Object::Credentials)),
    member("license", text!(Text, Anything, license)),
    member("policy", Kind::Object(Object::Policy)),
    member(
        "dns_suffixes",
        Kind::Objects(SUFFIXES_MAX, Object::DnsSuffix, |config| {
            // The walk has checked the number of elements.
            let _ = config.dns_suffixes.push(DnsSuffix::default());
        }),
    ),
    member("cnm_https_port", port!(1, cnm_https)),
    member("crdb_coordinator_port", port!(1024, crdb_coordinator)),
    member("envoy_admin_port", port!(1024, envoy_admin)),
    member("envoy_mgmt_server_port", port!(1024, envoy_mgmt_server)),
    member("gossip_envoy_admin_port", port!(1024, gossip_envoy_admin)),
    member("max_retries", Kind::Integer(0, 255, |config, max| config.retry.max = u8::try_from(max).unwrap_or(u8::MAX))),
    member(
        "retry_time",
        Kind::Integer(1, 3600, |config, seconds| {
            config.retry.seconds = u16::try_from(seconds).unwrap_or(u16::MAX);
        }),
    ),
    member("recovery_filename", text!(Quoted, FileName, recovery_filename)),
    member("required_version", text!(Text, Version, required_version)),
    member("user_defined_modules", Kind::Unused),
    member("witness_disk", Kind::Unused),
];

const CLUSTER: &[Member] = &[
    member("name", text!(Text, DnsName, cluster.name)),
    member(
        "nodes",
        Kind::Texts(CONTACTS_MAX, Like::new(Form::Contact, NODE_ADDRESS_BYTES_MAX), |config, value| {
            let mut contact = String::new();
            text(&mut contact, value, const { Form::Contact.rule() })?;
            keep(&mut config.cluster.nodes, contact)
        }),
    ),
    member("wait_command", Kind::Bool(|config, value| config.cluster.wait_command = value)),
];

const DRIVERS: &[&str] = &[BigstoreDriver::ALL[0].name(), BigstoreDriver::ALL[1].name()];

const NODE: &[Member] = &[
    member("identity", Kind::Object(Object::Identity)),
    member("paths", Kind::Object(Object::Paths)),
    member(
        "bigstore_driver",
        Kind::Choice(DRIVERS, |config, choice| config.node.bigstore_driver = BigstoreDriver::ALL.get(choice).copied()),
    ),
    member("bigstore_enabled", Kind::Bool(|config, value| config.node.bigstore_enabled = Some(value))),
    member("limits", Kind::Object(Object::Limits)),
    member("witness_disk", Kind::Unused),
];

const IDENTITY: &[Member] = &[
    member(
        "addr",
        Kind::Quoted(ADDRESS, |config, value| {
            config.node.identity.addr = Some(address(value)?);
            Ok(())
        }),
    ),
    member(
        "external_addr",
        Kind::Texts(EXTERNAL_ADDRESSES_MAX, ADDRESS.once(), |config, value| {
            let address = address(value)?;
            let addresses = &mut config.node.identity.external_addr;
            if addresses.contains(&address) { Err(Reason::Rule("is given twice")) } else { keep(addresses, address) }
        }),
    ),
    member("name", text!(Text, Anything, node.identity.name)),
    member(
        "uid",
        Kind::Integer(1, u32::MAX as u64, |config, uid| {
            config.node.identity.uid = u32::try_from(uid).ok().and_then(|uid| uid.try_into().ok());
        }),
    ),
    member("accept_servers", Kind::Bool(|config, value| config.node.identity.accept_servers = value)),
    member("use_internal_ipv6", Kind::Bool(|config, value| config.node.identity.use_internal_ipv6 = Some(value))),
    member("rack_id", text!(Text, Rack, node.identity.rack_id)),
    member("second_rack_id", text!(Text, Rack, node.identity.second_rack_id)),
    member("override_rack_id", Kind::Bool(|config, value| config.node.identity.override_rack_id = value)),
];

const PATHS: &[Member] = &[
    member("persistent_path", text!(Quoted, Path, node.paths.persistent)),
    member("ephemeral_path", text!(Quoted, Path, node.paths.ephemeral)),
    member("bigstore_path", text!(Quoted, Path, node.paths.bigstore)),
    member("ccs_persistent_path", text!(Quoted, Path, node.paths.ccs)),
];

const LIMITS: &[Member] = &[
    member(
        "max_listeners",
        Kind::Integer(1, u32::MAX as u64, |config, limit| {
            config.node.limits.max_listeners = u32::try_from(limit).unwrap_or(u32::MAX);
        }),
    ),
    member(
        "max_redis_servers",
        Kind::Integer(1, u32::MAX as u64, |config, limit| {
            config.node.limits.max_redis_servers = u32::try_from(limit).unwrap_or(u32::MAX);
        }),
    ),
];

const CREDENTIALS: &[Member] = &[
    member("username", text!(Text, Username, credentials.username)),
    member("password", secret!(Password, credentials.password)),
    member("client_cert", text!(Text, Pem, credentials.client_cert)),
    member("client_key", secret!(Pem, credentials.client_key)),
    member("trusted_ca", text!(Text, Pem, credentials.trusted_ca)),
];

const PROXY_POLICIES: &[&str] = &[ProxyPolicy::ALL[0].name(), ProxyPolicy::ALL[1].name(), ProxyPolicy::ALL[2].name()];

const PLACEMENTS: &[&str] = &[Placement::ALL[0].name(), Placement::ALL[1].name()];

const POLICY: &[Member] = &[
    member("default_fork_evict_ram", Kind::Bool(|config, value| config.policy.default_fork_evict_ram = value)),
    member(
        "default_non_sharded_proxy_policy",
        Kind::Choice(PROXY_POLICIES, |config, choice| {
            config.policy.default_non_sharded_proxy_policy = proxy_policy(choice);
        }),
    ),
    member(
        "default_sharded_proxy_policy",
        Kind::Choice(PROXY_POLICIES, |config, choice| {
            config.policy.default_sharded_proxy_policy = proxy_policy(choice);
        }),
    ),
    member(
        "default_shards_placement",
        Kind::Choice(PLACEMENTS, |config, choice| {
            config.policy.default_shards_placement = Placement::ALL.get(choice).copied().unwrap_or(Placement::Dense);
        }),
    ),
    member("rack_aware", Kind::Bool(|config, value| config.policy.rack_aware = value)),
    member("shards_overbooking", Kind::Bool(|config, value| config.policy.shards_overbooking = value)),
];

const DNS_SUFFIX: &[Member] = &[
    member(
        "name",
        Kind::Text(Like::new(Form::DnsName, HOST_BYTES_MAX), |config, value| match config.dns_suffixes.last_mut() {
            Some(suffix) => text(&mut suffix.name, value, const { Form::DnsName.rule() }),
            None => Ok(()),
        }),
    ),
    member("cluster_default", Kind::Bool(|config, value| suffix(config, |suffix| suffix.cluster_default = value))),
    member("use_aaaa_ns", Kind::Bool(|config, value| suffix(config, |suffix| suffix.use_aaaa_ns = value))),
    member("use_internal_addr", Kind::Bool(|config, value| suffix(config, |suffix| suffix.use_internal_addr = value))),
    member(
        "slaves",
        Kind::Texts(SUFFIX_SLAVES_MAX, ADDRESS, |config, value| {
            let address = address(value)?;
            config.dns_suffixes.last_mut().map_or(Ok(()), |suffix| keep(&mut suffix.slaves, address))
        }),
    ),
];

fn suffix(config: &mut Config, set: impl FnOnce(&mut DnsSuffix)) {
    if let Some(suffix) = config.dns_suffixes.last_mut() {
        set(suffix);
    }
}

fn proxy_policy(choice: usize) -> ProxyPolicy {
    ProxyPolicy::ALL.get(choice).copied().unwrap_or(ProxyPolicy::Single)
}

fn text<const N: usize>(
    target: &mut String<N>,
    value: Text<'_>,
    rule: fn(&str) -> rules::Verdict,
) -> Result<(), Reason> {
    value.copy_to(target).map_err(|_| Reason::TooLong(N))?;
    rule(target).map_err(|rule| {
        target.clear();
        Reason::Rule(rule)
    })
}

fn secret<const N: usize>(
    target: &mut Secret<N>,
    value: Text<'_>,
    rule: fn(&str) -> rules::Verdict,
) -> Result<(), Reason> {
    target.set(value).map_err(|_| Reason::TooLong(N))?;
    rule(core::str::from_utf8(target.expose()).unwrap_or_default()).map_err(|rule| {
        target.wipe();
        Reason::Rule(rule)
    })
}

const ADDRESS: Like = Like::new(Form::Address, ADDRESS_BYTES_MAX);

fn address(value: Text<'_>) -> Result<core::net::IpAddr, Reason> {
    if let Some(plain) = value.plain() {
        return rules::address(plain).map_err(Reason::Rule);
    }
    let mut text = String::<ADDRESS_BYTES_MAX>::new();
    // What does not fit leaves the text empty, which is no address either.
    let _ = value.copy_to(&mut text);
    rules::address(&text).map_err(Reason::Rule)
}

fn keep<T, const N: usize>(list: &mut Vec<T, N>, item: T) -> Result<(), Reason> {
    // The walk has counted; this only keeps the type honest.
    list.push(item).map_err(|_| Reason::Rule("has too many elements"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_fit_the_sets_of_seen_members() {
        const OBJECTS: [Object; Object::COUNT] = [
            Object::Root,
            Object::Cluster,
            Object::Node,
            Object::Identity,
            Object::Paths,
            Object::Limits,
            Object::Credentials,
            Object::Policy,
            Object::DnsSuffix,
        ];
        for object in OBJECTS {
            let members = object.members();
            assert!(members.len() <= u32::BITS as usize);
            for (index, member) in members.iter().enumerate() {
                assert!(members.iter().skip(index + 1).all(|other| other.name != member.name), "{}", member.name);
            }
        }
    }
}
