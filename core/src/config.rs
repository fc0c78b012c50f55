//! The bootstrap object: from the bytes of a body to a [`Config`] that cannot be wrong, or to every problem.
//!
//! One walk over the body: the reader yields names and values, the table in [`table`] says what each may be and
//! where it goes, `rules` what it must look like. Then `demands` checks what only the whole can tell.

use core::fmt::{self, Write as _};
use core::net::IpAddr;

use heapless::{String, Vec};

use crate::limits::*;
use crate::problems::{Place, Problems};

mod credentials;
pub mod demands;
pub mod form;
mod node;
mod policy;
mod ports;
mod rules;
pub mod table;
mod walk;

pub use credentials::{Credentials, Secret};
pub use node::{BigstoreDriver, Identity, Limits, NodeConfig, Paths};
pub use policy::{Placement, Policy, ProxyPolicy};
pub use ports::Ports;
pub(crate) use rules::{address, rack};

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
            node: NodeConfig::BLANK,
            credentials: Credentials::BLANK,
            license: String::new(),
            policy: Policy::BLANK,
            dns_suffixes: Vec::new(),
            ports: Ports::BLANK,
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
        self.cluster.name.clear();
        self.cluster.nodes.clear();
        self.cluster.wait_command = true;
        self.node.clear();
        self.credentials.wipe();
        self.license.clear();
        self.policy = Policy::default();
        self.dns_suffixes.clear();
        self.ports = Ports::default();
        self.retry = Retry::default();
        self.recovery_filename.clear();
        self.required_version.clear();
        self.warnings.clear();
    }
}

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

/// `cluster`
pub struct ClusterConfig {
    /// `name`, as given; compared without case.
    pub name: String<CLUSTER_NAME_BYTES_MAX>,
    /// `nodes`: whom a joiner contacts, in this order.
    pub nodes: Vec<String<NODE_ADDRESS_BYTES_MAX>, CONTACTS_MAX>,
    /// `wait_command`
    pub wait_command: bool,
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

impl Warning {
    /// One about the member at `place`.
    pub(crate) fn new(place: Place<'_>, reason: WarningReason) -> Self {
        let mut pointer = Cut(String::new());
        // A pointer that is too long stays cut.
        let _ = write!(pointer, "{}", place.pointer());
        Self { pointer: pointer.0, reason }
    }
}

/// Takes what fits, character by character.
struct Cut<const N: usize>(String<N>);

impl<const N: usize> fmt::Write for Cut<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| self.0.push(character)).map_err(|_| fmt::Error)
    }
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

#[cfg(test)]
mod tests;
