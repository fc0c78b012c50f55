//! The bootstrap object: from the bytes of a body to a [`Config`] that cannot be wrong, or to every problem.
//!
//! One walk over the body: the reader yields names and values, the table in [`table`] says what each may be and
//! where it goes, [`rules`] what it must look like. Then [`demands`] checks what only the whole can tell.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use core::num::NonZeroU32;

use heapless::{String, Vec};
use zeroize::Zeroize;

use crate::json::{Text, TooLong};
use crate::limits::*;
use crate::problems::Problems;

mod demands;
mod rules;
pub mod table;
mod walk;

/// What a bootstrap is asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Found a cluster with this node as its first.
    #[default]
    CreateCluster,
    /// Become a node of a cluster that exists.
    JoinCluster,
    /// Found a cluster again from its record.
    RecoverCluster,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 3] = [Self::CreateCluster, Self::JoinCluster, Self::RecoverCluster];

    /// The wire's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreateCluster => "create_cluster",
            Self::JoinCluster => "join_cluster",
            Self::RecoverCluster => "recover_cluster",
        }
    }

    /// The action that `name` names.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

/// A text that no log, status or record may show: not printable, wiped when it is dropped or replaced.
#[derive(Clone, Default)]
pub struct Secret<const N: usize>(Vec<u8, N>);

impl<const N: usize> Secret<N> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The bytes, UTF-8.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Overwrites and empties it.
    pub fn wipe(&mut self) {
        self.0.as_mut_slice().zeroize();
        self.0.clear();
    }

    /// Replaces the content.
    ///
    /// # Errors
    /// [`TooLong`] when `text` has more than `N` bytes; nothing is kept of it.
    pub fn set(&mut self, text: Text<'_>) -> Result<(), TooLong> {
        self.wipe();
        let copied = text.pieces(|piece| self.0.extend_from_slice(piece.as_bytes()).map_err(|_| TooLong));
        copied.inspect_err(|_| self.wipe())
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// A bootstrap configuration: every member of the object, checked, defaults filled in.
pub struct Config {
    /// `cluster`
    pub cluster: ClusterConfig,
    /// `node`
    pub node: NodeConfig,
    /// `credentials`
    pub credentials: Credentials,
    /// `license`, as given; empty asks for the trial.
    pub license: String<LICENSE_BYTES_MAX>,
    /// `policy`
    pub policy: Policy,
    /// `dns_suffixes`
    pub dns_suffixes: Vec<DnsSuffix, SUFFIXES_MAX>,
    /// The five ports.
    pub ports: Ports,
    /// `max_retries` and `retry_time`
    pub retry: Retry,
    /// `recovery_filename`
    pub recovery_filename: String<PATH_BYTES_MAX>,
    /// `required_version`
    pub required_version: String<VERSION_BYTES_MAX>,
    /// Members that were read and will not be acted on.
    pub warnings: Vec<Warning, WARNINGS_MAX>,
}

/// `cluster`
pub struct ClusterConfig {
    /// `name`, as given; compared without case.
    pub name: String<CLUSTER_NAME_BYTES_MAX>,
    /// `nodes`: whom a joiner contacts, in this order.
    pub nodes: Vec<String<NODE_ADDRESS_BYTES_MAX>, CONTACTS_MAX>,
    /// `wait_command`
    pub wait_command: bool,
}

/// `node`
pub struct NodeConfig {
    /// `identity`
    pub identity: Identity,
    /// `paths`
    pub paths: Paths,
    /// `bigstore_driver`
    pub bigstore_driver: Option<BigstoreDriver>,
    /// `bigstore_enabled`, where given.
    pub bigstore_enabled: Option<bool>,
    /// `limits`
    pub limits: Limits,
}

impl NodeConfig {
    /// Whether this node offers flash storage: a driver turns it on unless `bigstore_enabled` says otherwise.
    #[must_use]
    pub fn flash(&self) -> bool {
        self.bigstore_enabled.unwrap_or(self.bigstore_driver.is_some())
    }
}

/// `node.identity`
pub struct Identity {
    /// `addr`: where the other nodes reach this one.
    pub addr: Option<IpAddr>,
    /// `external_addr`
    pub external_addr: Vec<IpAddr, EXTERNAL_ADDRESSES_MAX>,
    /// `name`
    pub name: String<HOST_BYTES_MAX>,
    /// `uid`: the dead node to replace.
    pub uid: Option<NonZeroU32>,
    /// `accept_servers`
    pub accept_servers: bool,
    /// `use_internal_ipv6`, where given.
    pub use_internal_ipv6: Option<bool>,
    /// `rack_id`; empty where none.
    pub rack_id: String<RACK_BYTES_MAX>,
    /// `second_rack_id`; empty where none.
    pub second_rack_id: String<RACK_BYTES_MAX>,
    /// `override_rack_id`
    pub override_rack_id: bool,
}

impl Identity {
    /// Every byte is zero.
    const BLANK: Self = Self {
        addr: Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        external_addr: Vec::new(),
        name: String::new(),
        uid: None,
        accept_servers: false,
        use_internal_ipv6: Some(false),
        rack_id: String::new(),
        second_rack_id: String::new(),
        override_rack_id: false,
    };

    fn clear(&mut self) {
        self.addr = None;
        self.external_addr.clear();
        self.name.clear();
        self.uid = None;
        self.accept_servers = true;
        self.use_internal_ipv6 = None;
        self.rack_id.clear();
        self.second_rack_id.clear();
        self.override_rack_id = false;
    }
}

/// `node.paths`; empty where the agent's own apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// `persistent_path`
    pub persistent: String<PATH_BYTES_MAX>,
    /// `ephemeral_path`
    pub ephemeral: String<PATH_BYTES_MAX>,
    /// `bigstore_path`
    pub bigstore: String<PATH_BYTES_MAX>,
    /// `ccs_persistent_path`: where the cluster's record is kept; by default the persistent path.
    pub ccs: String<PATH_BYTES_MAX>,
}

/// `node.bigstore_driver`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BigstoreDriver {
    /// `speedb`
    Speedb,
    /// `rocksdb`
    Rocksdb,
}

impl BigstoreDriver {
    /// All drivers.
    pub const ALL: [Self; 2] = [Self::Speedb, Self::Rocksdb];

    /// The wire's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Speedb => "speedb",
            Self::Rocksdb => "rocksdb",
        }
    }
}

/// `node.limits`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `max_listeners`
    pub max_listeners: u32,
    /// `max_redis_servers`
    pub max_redis_servers: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_listeners: 100, max_redis_servers: 100 }
    }
}

/// `credentials`
pub struct Credentials {
    /// `username`
    pub username: String<USERNAME_BYTES_MAX>,
    /// `password`
    pub password: Secret<PASSWORD_BYTES_MAX>,
    /// `client_cert`, to join
    pub client_cert: String<PEM_BYTES_MAX>,
    /// `client_key`, to join
    pub client_key: Secret<PEM_BYTES_MAX>,
    /// `trusted_ca`, to join
    pub trusted_ca: String<PEM_BYTES_MAX>,
}

/// `policy`: defaults for what the cluster will run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `default_fork_evict_ram`
    pub default_fork_evict_ram: bool,
    /// `default_non_sharded_proxy_policy`
    pub default_non_sharded_proxy_policy: ProxyPolicy,
    /// `default_sharded_proxy_policy`
    pub default_sharded_proxy_policy: ProxyPolicy,
    /// `default_shards_placement`
    pub default_shards_placement: Placement,
    /// `rack_aware`: every node must say its rack.
    pub rack_aware: bool,
    /// `shards_overbooking`
    pub shards_overbooking: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            default_fork_evict_ram: false,
            default_non_sharded_proxy_policy: ProxyPolicy::Single,
            default_sharded_proxy_policy: ProxyPolicy::AllMasterShards,
            default_shards_placement: Placement::Dense,
            rack_aware: false,
            shards_overbooking: true,
        }
    }
}

/// Which nodes answer for a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyPolicy {
    /// `single`
    Single,
    /// `all-master-shards`
    AllMasterShards,
    /// `all-nodes`
    AllNodes,
}

impl ProxyPolicy {
    /// All policies.
    pub const ALL: [Self; 3] = [Self::Single, Self::AllMasterShards, Self::AllNodes];

    /// The wire's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::AllMasterShards => "all-master-shards",
            Self::AllNodes => "all-nodes",
        }
    }
}

/// How shards are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// `dense`
    Dense,
    /// `sparse`
    Sparse,
}

impl Placement {
    /// All placements.
    pub const ALL: [Self; 2] = [Self::Dense, Self::Sparse];

    /// The wire's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Sparse => "sparse",
        }
    }
}

/// One of `dns_suffixes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsSuffix {
    /// `name`
    pub name: String<HOST_BYTES_MAX>,
    /// `cluster_default`
    pub cluster_default: bool,
    /// `use_aaaa_ns`
    pub use_aaaa_ns: bool,
    /// `use_internal_addr`
    pub use_internal_addr: bool,
    /// `slaves`
    pub slaves: Vec<IpAddr, SUFFIX_SLAVES_MAX>,
}

/// The five ports, with the vendor's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// `cnm_https_port`: also where a joiner looks by default.
    pub cnm_https: u16,
    /// `crdb_coordinator_port`
    pub crdb_coordinator: u16,
    /// `envoy_admin_port`
    pub envoy_admin: u16,
    /// `envoy_mgmt_server_port`
    pub envoy_mgmt_server: u16,
    /// `gossip_envoy_admin_port`
    pub gossip_envoy_admin: u16,
}

impl Ports {
    /// Each port with its member's name.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, u16); 5] {
        [
            ("cnm_https_port", self.cnm_https),
            ("crdb_coordinator_port", self.crdb_coordinator),
            ("envoy_admin_port", self.envoy_admin),
            ("envoy_mgmt_server_port", self.envoy_mgmt_server),
            ("gossip_envoy_admin_port", self.gossip_envoy_admin),
        ]
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            cnm_https: 9443,
            crdb_coordinator: 9081,
            envoy_admin: 8002,
            envoy_mgmt_server: 8004,
            gossip_envoy_admin: 8006,
        }
    }
}

/// How often and how fast `connect_error` is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// `max_retries`
    pub max: u8,
    /// `retry_time`, in seconds
    pub seconds: u16,
}

impl Default for Retry {
    fn default() -> Self {
        Self { max: 3, seconds: 10 }
    }
}

/// A member that was read and will not be acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Its pointer, cut to [`WARNING_BYTES_MAX`].
    pub pointer: String<WARNING_BYTES_MAX>,
    /// Why.
    pub reason: WarningReason,
}

/// Why a member will not be acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarningReason {
    /// This version does not know it.
    Unknown,
    /// It is documented, but nothing here uses it.
    Unused,
    /// The cluster's own setting counts.
    SetByCluster,
}

impl fmt::Display for WarningReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown member, ignored",
            Self::Unused => "read, but never acted on",
            Self::SetByCluster => "set aside: the cluster's own setting counts",
        })
    }
}

impl Paths {
    /// None given; every byte is zero.
    pub(crate) const BLANK: Self =
        Self { persistent: String::new(), ephemeral: String::new(), bigstore: String::new(), ccs: String::new() };
}

impl Default for Config {
    fn default() -> Self {
        let mut config = Self::blank();
        config.clear();
        config
    }
}

impl Config {
    /// Room for one: every byte is zero, and [`Config::clear`] or [`Config::read`] makes it a configuration.
    pub(crate) const fn blank() -> Self {
        Self {
            cluster: ClusterConfig { name: String::new(), nodes: Vec::new(), wait_command: false },
            node: NodeConfig {
                identity: Identity::BLANK,
                paths: Paths::BLANK,
                bigstore_driver: Some(BigstoreDriver::Speedb),
                bigstore_enabled: Some(false),
                limits: Limits { max_listeners: 0, max_redis_servers: 0 },
            },
            credentials: Credentials {
                username: String::new(),
                password: Secret::new(),
                client_cert: String::new(),
                client_key: Secret::new(),
                trusted_ca: String::new(),
            },
            license: String::new(),
            policy: Policy {
                default_fork_evict_ram: false,
                default_non_sharded_proxy_policy: ProxyPolicy::Single,
                default_sharded_proxy_policy: ProxyPolicy::Single,
                default_shards_placement: Placement::Dense,
                rack_aware: false,
                shards_overbooking: false,
            },
            dns_suffixes: Vec::new(),
            ports: Ports {
                cnm_https: 0,
                crdb_coordinator: 0,
                envoy_admin: 0,
                envoy_mgmt_server: 0,
                gossip_envoy_admin: 0,
            },
            retry: Retry { max: 0, seconds: 0 },
            recovery_filename: String::new(),
            required_version: String::new(),
            warnings: Vec::new(),
        }
    }

    /// Reads `body` as the configuration of `action` into `self`, whatever `self` held before. Every problem goes
    /// to `problems`, which must be empty; only if it stays empty is `self` a configuration.
    pub fn read(&mut self, body: &[u8], action: Action, problems: &mut Problems) {
        self.clear();
        walk::read(self, body, action, problems);
    }

    /// Forgets everything; secrets are overwritten.
    pub fn clear(&mut self) {
        // Member by member: assigning a whole new value would copy fifty kilobytes.
        let Self { cluster, node, credentials, license, dns_suffixes, recovery_filename, required_version, .. } = self;
        cluster.name.clear();
        cluster.nodes.clear();
        cluster.wait_command = true;
        node.identity.clear();
        for path in
            [&mut node.paths.persistent, &mut node.paths.ephemeral, &mut node.paths.bigstore, &mut node.paths.ccs]
        {
            path.clear();
        }
        node.bigstore_driver = None;
        node.bigstore_enabled = None;
        node.limits = Limits::default();
        credentials.wipe();
        license.clear();
        dns_suffixes.clear();
        recovery_filename.clear();
        required_version.clear();
        self.policy = Policy::default();
        self.ports = Ports::default();
        self.retry = Retry::default();
        self.warnings.clear();
    }
}

impl Credentials {
    /// Overwrites the secrets and empties the rest.
    pub fn wipe(&mut self) {
        self.username.clear();
        self.password.wipe();
        self.client_cert.clear();
        self.client_key.wipe();
        self.trusted_ca.clear();
    }
}

#[cfg(test)]
mod tests;
