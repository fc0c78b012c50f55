//! What a configuration says of this node.

use core::net::{IpAddr, Ipv4Addr};
use core::num::NonZeroU32;

use heapless::{String, Vec};

use crate::limits::*;

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
    /// Room for one, which means nothing yet: every byte is zero.
    pub(super) const BLANK: Self = Self {
        identity: Identity::BLANK,
        paths: Paths::BLANK,
        bigstore_driver: Some(BigstoreDriver::Speedb),
        bigstore_enabled: Some(false),
        limits: Limits { max_listeners: 0, max_redis_servers: 0 },
    };

    /// Whether this node offers flash storage: a driver turns it on unless `bigstore_enabled` says otherwise.
    #[must_use]
    pub fn flash(&self) -> bool {
        self.bigstore_enabled.unwrap_or(self.bigstore_driver.is_some())
    }

    /// Nothing given.
    pub(super) fn clear(&mut self) {
        self.identity.clear();
        self.paths.clear();
        self.bigstore_driver = None;
        self.bigstore_enabled = None;
        self.limits = Limits::default();
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
    /// Room for one, which means nothing yet: every byte is zero.
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

    /// Nothing given.
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

impl Paths {
    /// None given; every byte is zero.
    pub(crate) const BLANK: Self =
        Self { persistent: String::new(), ephemeral: String::new(), bigstore: String::new(), ccs: String::new() };

    fn clear(&mut self) {
        for path in [&mut self.persistent, &mut self.ephemeral, &mut self.bigstore, &mut self.ccs] {
            path.clear();
        }
    }
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
