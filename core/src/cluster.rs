//! The cluster's record: what its nodes share, and how it begins.

use core::iter;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::{String, Vec};

use crate::config::{BigstoreDriver, Config, DnsSuffix, Limits, Policy, Ports};
use crate::license::Terms;
use crate::limits::*;
use crate::node::{self, NodeInfo, SOFTWARE_VERSION};
use crate::record::{Id, Membership};
use crate::time::Timestamp;
use crate::write::Writer;

mod codec;

/// A cluster: its settings, its administrator's password hash and its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Names the cluster for its whole life.
    pub cluster_id: Id,
    /// Grows when a cluster is founded again from its record.
    pub epoch: u32,
    /// Tells two founders of one epoch apart.
    pub epoch_tag: Id,
    /// Grows with every change; of two copies the higher one counts.
    pub revision: u64,
    /// The number of the next node; never goes back.
    pub next_uid: u32,
    /// The node that founded this epoch.
    pub founder_uid: u32,
    /// As given; compared without case.
    pub name: String<CLUSTER_NAME_BYTES_MAX>,
    /// When the cluster was created.
    pub created_time: Timestamp,
    /// Whether requests wait for their commands to end.
    pub wait_command: bool,
    /// Whether the nodes talk by IPv6.
    pub use_internal_ipv6: bool,
    /// Defaults for what the cluster runs.
    pub policy: Policy,
    /// Its DNS suffixes.
    pub dns_suffixes: Vec<DnsSuffix, SUFFIXES_MAX>,
    /// Its ports.
    pub ports: Ports,
    /// The licence as given; empty for the trial.
    pub license: String<LICENSE_BYTES_MAX>,
    /// What the licence grants.
    pub terms: Terms,
    /// The administrator.
    pub username: String<USERNAME_BYTES_MAX>,
    /// The administrator's password, hashed.
    pub password: PasswordHash,
    /// The nodes, in the order of their admission.
    pub members: Vec<Member, MEMBERS_MAX>,
}

/// An Argon2id hash of a password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PasswordHash {
    /// Which of the two parameter sets was used.
    pub cost: HashCost,
    /// Random.
    pub salt: [u8; 16],
    /// The hash.
    pub hash: [u8; 32],
}

/// Argon2id parameters. There are two sets and no others, whatever a record or a peer says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashCost {
    /// 19 MiB, 2 passes, 1 lane.
    #[default]
    Standard,
    /// 7 MiB, 5 passes, 1 lane: for machines under 64 MiB.
    Small,
}

impl HashCost {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Standard, Self::Small];

    /// The record's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Small => "small",
        }
    }
}

/// A node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub uid: u32,
    /// The node that has the number.
    pub node_id: Id,
    /// Where the other nodes reach it.
    pub addr: IpAddr,
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
    /// Its memory in bytes, when it was admitted.
    pub total_memory: Option<u64>,
    /// Its processors, when it was admitted.
    pub cores: Option<u32>,
    /// Its version, when it was admitted.
    pub software_version: String<VERSION_BYTES_MAX>,
}

/// Randomness and secrets for a new cluster, which only the shell can make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// The new cluster's id.
    pub cluster_id: Id,
    /// The new epoch's tag.
    pub epoch_tag: Id,
    /// The administrator's password, hashed.
    pub password: PasswordHash,
}

impl Cluster {
    /// A new cluster with this node as its founder, number 1.
    #[must_use]
    pub fn found(seed: Seed, node_id: Id, config: &Config, terms: Terms, facts: &NodeInfo, now: Timestamp) -> Self {
        let addr = own_address(config, facts);
        Self {
            cluster_id: seed.cluster_id,
            epoch: 1,
            epoch_tag: seed.epoch_tag,
            revision: 1,
            next_uid: FOUNDER_UID.saturating_add(1),
            founder_uid: FOUNDER_UID,
            name: config.cluster.name.clone(),
            created_time: now,
            wait_command: config.cluster.wait_command,
            use_internal_ipv6: addr.is_ipv6(),
            policy: config.policy.clone(),
            dns_suffixes: config.dns_suffixes.clone(),
            ports: config.ports,
            license: config.license.clone(),
            terms,
            username: config.credentials.username.clone(),
            password: seed.password,
            members: iter::once(Member::new(FOUNDER_UID, node_id, addr, config, facts)).collect(),
        }
    }

    /// The place of `node_id` in this cluster.
    #[must_use]
    pub fn membership(&self, node_id: Id) -> Option<Membership> {
        let member = self.member_of(node_id)?;
        Some(Membership { cluster_id: self.cluster_id, epoch: self.epoch, uid: member.uid })
    }

    /// Whether `name` is the administrator's.
    #[must_use]
    pub fn is_administrator(&self, name: &str) -> bool {
        self.username == name
    }

    /// Writes the document of `GET /v1/cluster`.
    pub fn write(&self, writer: &mut Writer<'_>) {
        let Policy {
            default_fork_evict_ram,
            default_non_sharded_proxy_policy,
            default_sharded_proxy_policy,
            default_shards_placement,
            rack_aware,
            shards_overbooking,
        } = &self.policy;
        writer.open('{').name("name").text(&self.name).name("created_time").time(self.created_time);
        writer.name("rack_aware").bool(*rack_aware).name("wait_command").bool(self.wait_command);
        writer.name("use_internal_ipv6").bool(self.use_internal_ipv6);
        writer.name("default_fork_evict_ram").bool(*default_fork_evict_ram);
        writer.name("default_non_sharded_proxy_policy").text(default_non_sharded_proxy_policy.name());
        writer.name("default_sharded_proxy_policy").text(default_sharded_proxy_policy.name());
        writer.name("default_shards_placement").text(default_shards_placement.name());
        writer.name("shards_overbooking").bool(*shards_overbooking);
        for (name, port) in self.ports.named() {
            writer.name(name).number(u64::from(port));
        }
        writer.name("dns_suffixes").open('[');
        for suffix in &self.dns_suffixes {
            write_suffix(suffix, writer);
        }
        writer.close(']').close('}');
    }

    /// Writes the document of `GET /v1/license`.
    pub fn write_license(&self, now: Timestamp, writer: &mut Writer<'_>) {
        let terms = &self.terms;
        let name = if terms.cluster_name.is_empty() { &self.name } else { &terms.cluster_name };
        writer.open('{').name("license").text(&self.license).name("cluster_name").text(name);
        writer.name("expired").bool(now >= terms.expiration_date);
        writer.name("activation_date").time(terms.activation_date).name("expiration_date").time(terms.expiration_date);
        writer.name("owner").text(&terms.owner).name("shards_limit").number(u64::from(terms.shards_limit));
        if let Some(limit) = terms.node_limit {
            writer.name("node_limit").number(u64::from(limit));
        }
        writer.name("features").open('[');
        for feature in &terms.features {
            writer.text(feature);
        }
        writer.close(']').close('}');
    }

    /// Writes the document of `GET /v1/nodes`.
    pub fn write_nodes(&self, writer: &mut Writer<'_>) {
        writer.open('[');
        for member in &self.members {
            member.write(writer);
        }
        writer.close(']');
    }

    /// The member that a node is.
    #[must_use]
    pub fn member_of(&self, node_id: Id) -> Option<&Member> {
        self.members.iter().find(|member| member.node_id == node_id)
    }

    /// The member with this number.
    #[must_use]
    pub fn member(&self, uid: u32) -> Option<&Member> {
        self.members.iter().find(|member| member.uid == uid)
    }
}

/// The number of the node that creates a cluster.
pub const FOUNDER_UID: u32 = 1;

/// Also for the record: where this changes, its version must.
fn write_suffix(suffix: &DnsSuffix, writer: &mut Writer<'_>) {
    writer.open('{').name("name").text(&suffix.name).name("cluster_default").bool(suffix.cluster_default);
    writer.name("use_aaaa_ns").bool(suffix.use_aaaa_ns).name("use_internal_addr").bool(suffix.use_internal_addr);
    writer.name("slaves").open('[');
    for slave in &suffix.slaves {
        writer.display(slave);
    }
    writer.close(']').close('}');
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
    /// A member as its configuration and its machine describe it.
    #[must_use]
    pub fn new(uid: u32, node_id: Id, addr: IpAddr, config: &Config, facts: &NodeInfo) -> Self {
        let identity = &config.node.identity;
        Self {
            uid,
            node_id,
            addr,
            external_addr: identity.external_addr.clone(),
            name: identity.name.clone(),
            rack_id: identity.rack_id.clone(),
            second_rack_id: identity.second_rack_id.clone(),
            accept_servers: identity.accept_servers,
            limits: config.node.limits,
            bigstore_driver: config.node.bigstore_driver,
            bigstore_enabled: config.node.flash(),
            total_memory: facts.total_memory,
            cores: facts.cores,
            software_version: String::try_from(SOFTWARE_VERSION).unwrap_or_default(),
        }
    }

    /// Writes the node object.
    pub fn write(&self, writer: &mut Writer<'_>) {
        writer.open('{').name("uid").number(u64::from(self.uid)).name("status").text("active");
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
        if let Some(memory) = self.total_memory {
            writer.name("total_memory").number(memory);
        }
        if let Some(cores) = self.cores {
            writer.name("cores").number(u64::from(cores));
        }
        writer.name("software_version").text(&self.software_version).close('}');
    }
}

#[cfg(test)]
mod tests;
