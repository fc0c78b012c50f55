//! A node of a cluster, as the record knows it.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use heapless::{String, Vec};

use crate::config::{BigstoreDriver, Config, Limits};
use crate::limits::*;
use crate::node::{self, NodeInfo, SOFTWARE_VERSION};
use crate::record::Id;
use crate::status;
use crate::time::Timestamp;
use crate::write::Writer;

/// A node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub uid: u32,
    /// The node that has the number.
    pub node_id: Id,
    /// Proves that it is this node; a new one with each admission.
    pub key: Key,
    /// How far it has come.
    pub status: MemberStatus,
    /// Its address.
    pub addr: IpAddr,
    /// Where the other nodes reach its agent.
    pub endpoint: SocketAddr,
    /// Where clients reach it.
    pub external_addr: Vec<IpAddr, EXTERNAL_ADDRESSES_MAX>,
    /// Its name; may be empty.
    pub name: String<HOST_BYTES_MAX>,
    /// Its rack; may be empty.
    pub rack_id: String<RACK_BYTES_MAX>,
    /// Its second rack; may be empty.
    pub second_rack_id: String<RACK_BYTES_MAX>,
    /// Whether it takes shards.
    pub accept_servers: bool,
    /// Its limits.
    pub limits: Limits,
    /// Its flash storage's driver.
    pub bigstore_driver: Option<BigstoreDriver>,
    /// Whether it offers flash storage.
    pub bigstore_enabled: bool,
    /// Its flash storage in bytes, when it was admitted.
    pub flash: Option<u64>,
    /// Its memory in bytes, when it was admitted.
    pub total_memory: Option<u64>,
    /// Its processors, when it was admitted.
    pub cores: Option<u32>,
    /// Its version, when it was admitted.
    pub software_version: String<VERSION_BYTES_MAX>,
}

/// Thirty-two random bytes that two nodes share; not printable.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Key(pub [u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// How far a node has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberStatus {
    /// It is a member.
    #[default]
    Active,
    /// It was admitted and has not confirmed yet.
    Provisioning,
    /// The same, in the place of a dead member that still has the number.
    Replacing,
}

impl MemberStatus {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Active, Self::Provisioning, Self::Replacing];

    /// The word of the record and of the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Provisioning => "provisioning",
            Self::Replacing => "replacing",
        }
    }
}

/// What a node knows of itself and of no other.
#[derive(Clone, Copy, Debug)]
pub struct Local<'a> {
    /// Itself.
    pub node_id: Id,
    /// Its machine.
    pub facts: &'a NodeInfo,
    /// Its clock.
    pub now: Timestamp,
    /// Seconds since the machine started.
    pub uptime: u64,
}

/// The address that a node uses in its cluster: the configured one; else the first of the family that is not
/// bound to one link; else loopback.
#[must_use]
pub fn own_address(config: &Config, facts: &NodeInfo) -> IpAddr {
    let identity = &config.node.identity;
    if let Some(addr) = identity.addr {
        return addr;
    }
    let family = |address: &IpAddr| identity.use_internal_ipv6.is_none_or(|ipv6| address.is_ipv6() == ipv6);
    let mut addresses = facts.addresses.iter().map(|address| address.address);
    let loopback = if identity.use_internal_ipv6 == Some(true) {
        IpAddr::V6(Ipv6Addr::LOCALHOST)
    } else {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    };
    addresses.find(|address| family(address) && !node::is_link_local(*address)).unwrap_or(loopback)
}

impl Member {
    /// Whether it has confirmed.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status == MemberStatus::Active
    }

    /// A member as its configuration and its machine describe it.
    #[must_use]
    pub fn new(node_id: Id, config: &Config, facts: &NodeInfo, flash: Option<u64>) -> Self {
        let identity = &config.node.identity;
        let addr = own_address(config, facts);
        Self {
            uid: 0,
            node_id,
            key: Key::default(),
            status: MemberStatus::Active,
            addr,
            endpoint: facts.endpoint(addr),
            external_addr: identity.external_addr.clone(),
            name: identity.name.clone(),
            rack_id: identity.rack_id.clone(),
            second_rack_id: identity.second_rack_id.clone(),
            accept_servers: identity.accept_servers,
            limits: config.node.limits,
            bigstore_driver: config.node.bigstore_driver,
            bigstore_enabled: config.node.flash(),
            flash: flash.filter(|_| config.node.flash()),
            total_memory: facts.total_memory,
            cores: facts.cores,
            software_version: String::try_from(SOFTWARE_VERSION).unwrap_or_default(),
        }
    }

    /// Writes the node object.
    #[inline(never)]
    pub(super) fn write(&self, is_down: bool, local: &Local<'_>, writer: &mut Writer<'_>) {
        let status = if is_down { "down" } else { self.status.name() };
        writer.open('{').name("uid").number(u64::from(self.uid)).name("status").text(status);
        writer.name("addr").display(self.addr).name("external_addr").open('[');
        for address in &self.external_addr {
            writer.display(address);
        }
        writer.close(']').name("accept_servers").bool(self.accept_servers);
        for (name, value) in
            [("name", &*self.name), ("rack_id", &*self.rack_id), ("second_rack_id", &*self.second_rack_id)]
        {
            if !value.is_empty() {
                writer.name(name).text(value);
            }
        }
        writer.name("max_listeners").number(u64::from(self.limits.max_listeners));
        writer.name("max_redis_servers").number(u64::from(self.limits.max_redis_servers));
        writer.name("bigstore_enabled").bool(self.bigstore_enabled);
        if let Some(driver) = self.bigstore_driver {
            writer.name("bigstore_driver").text(driver.name());
        }
        // Of itself a node knows it better: see below.
        let size = local.facts.bigstore.as_ref().and_then(|storage| storage.size);
        if let Some(flash) = self.flash.filter(|_| local.node_id != self.node_id || size.is_none()) {
            writer.name("bigstore_size").number(flash);
        }
        if let Some(memory) = self.total_memory {
            writer.name("total_memory").number(memory);
        }
        if let Some(cores) = self.cores {
            writer.name("cores").number(u64::from(cores));
        }
        writer.name("software_version").text(&self.software_version);
        writer.name("use_internal_ipv6").bool(self.addr.is_ipv6());
        // No shard is ever here.
        writer.name("shard_count").number(0).name("shard_list").value("[]");
        if local.node_id == self.node_id {
            status::write_machine(local.facts, writer);
            writer.name("system_time").time(local.now).name("uptime").number(local.uptime);
        }
        writer.close('}');
    }
}
