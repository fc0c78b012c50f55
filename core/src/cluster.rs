//! The cluster's record: what its nodes share, and how it begins.

use core::fmt;

use heapless::{String, Vec};

use crate::config::{Config, DnsSuffix, Policy, Ports};
use crate::license::Terms;
use crate::limits::*;
use crate::node::Settings;
use crate::record::{Id, Membership};
use crate::time::Timestamp;
use crate::write::Writer;

mod admission;
mod change;
mod codec;
mod epoch;
mod liveness;
mod member;
mod provisioning;
mod request;

pub use admission::{Admitted, Rules};
pub use epoch::{Recovery, Stamp, Verdict};
pub use liveness::Liveness;
pub use member::{Key, Local, Member, MemberStatus, own_address};
pub use request::JoinRequest;

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
    /// Whether the record is in a store that all members share: its founder must not take itself for its only writer then.
    pub is_shared: bool,
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
    /// What joiners prove the password to.
    pub registration: Registration,
    /// What every node must have alike.
    pub settings: Settings,
    /// The nodes, in the order of their admission: at most [`MEMBERS_MAX`] of them, and who is about to replace one.
    pub members: Vec<Member, MEMBER_SLOTS_MAX>,
    /// Nodes that are no more, the latest last: so that one which comes back can be told so.
    pub retired: Vec<Retired, RETIRED_MAX>,
}

/// A node that was replaced, or that never confirmed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retired {
    /// The number that it had.
    pub uid: u32,
    /// The node.
    pub node_id: Id,
    /// Its key, which is good for nothing else any more.
    pub key: Key,
}

/// OPAQUE (RFC 9807), the cluster's side: what is kept of the password to let a joiner prove it without sending it.
#[derive(Clone, PartialEq, Eq)]
pub struct Registration {
    /// The cluster's own keys.
    pub setup: [u8; OPAQUE_SETUP_BYTES],
    /// Of the administrator.
    pub file: [u8; OPAQUE_FILE_BYTES],
}

impl Default for Registration {
    fn default() -> Self {
        Self { setup: [0; OPAQUE_SETUP_BYTES], file: [0; OPAQUE_FILE_BYTES] }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registration")
    }
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

/// Randomness and secrets for a new cluster, which only the shell can make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// The new cluster's id.
    pub cluster_id: Id,
    /// The new epoch's tag.
    pub epoch_tag: Id,
    /// The founder's key.
    pub key: Key,
    /// The administrator's password, hashed.
    pub password: PasswordHash,
    /// The same password, for joiners.
    pub registration: Registration,
}

impl Cluster {
    /// A new cluster with `founder` as number 1.
    #[must_use]
    pub fn found(
        seed: Seed,
        founder: Member,
        config: &Config,
        terms: Terms,
        settings: Settings,
        now: Timestamp,
    ) -> Self {
        let founder = Member { uid: FOUNDER_UID, key: seed.key, ..founder };
        Self {
            cluster_id: seed.cluster_id,
            epoch: 1,
            epoch_tag: seed.epoch_tag,
            revision: 1,
            next_uid: FOUNDER_UID.saturating_add(1),
            founder_uid: FOUNDER_UID,
            is_shared: false,
            name: config.cluster.name.clone(),
            created_time: now,
            wait_command: config.cluster.wait_command,
            use_internal_ipv6: founder.addr.is_ipv6(),
            policy: config.policy.clone(),
            dns_suffixes: config.dns_suffixes.clone(),
            ports: config.ports,
            license: config.license.clone(),
            terms,
            username: config.credentials.username.clone(),
            password: seed.password,
            registration: seed.registration,
            settings,
            members: [founder].into_iter().collect(),
            retired: Vec::new(),
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
        writer.close(']');
        if let Some(driver) = self.founder().and_then(|founder| founder.bigstore_driver) {
            writer.name("bigstore_driver").text(driver.name());
        }
        // What the agent never does, and what nobody can turn on.
        for name in ["email_alerts", "handle_redirects", "options_method_forbidden", "password_complexity"] {
            writer.name(name).bool(false);
        }
        writer.name("slave_ha").bool(false).name("upgrade_mode").bool(false).close('}');
    }

    /// Writes the document of `GET /v1/cluster/policy`.
    pub fn write_policy(&self, writer: &mut Writer<'_>) {
        codec::write_policy(&self.policy, writer);
    }

    /// Writes the document of `GET /v1/users`: there is the administrator and nobody else, since the cluster was created.
    pub fn write_users(&self, writer: &mut Writer<'_>) {
        writer.open('[').open('{').name("uid").number(1).name("email").text(&self.username);
        writer.name("name").text(&self.username).name("role").text("admin").name("auth_method").text("regular");
        writer.name("status").text("active").name("email_alerts").bool(false);
        writer.name("password_issue_date").time(self.created_time).close('}').close(']');
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

    /// Writes the document of `GET /v1/nodes`; `is_down` knows who is, `local` what only a node knows of itself.
    pub fn write_nodes(&self, is_down: impl Fn(&Member) -> bool, local: &Local<'_>, writer: &mut Writer<'_>) {
        writer.open('[');
        // Until it has confirmed, a replacement is not what has the number.
        for member in self.members.iter().filter(|member| member.status != MemberStatus::Replacing) {
            member.write(is_down(member), local, writer);
        }
        writer.close(']');
    }

    /// Writes the document of `GET /v1/nodes/{uid}`, if there is such a node.
    pub fn write_node(&self, uid: u32, is_down: impl Fn(&Member) -> bool, local: &Local<'_>, writer: &mut Writer<'_>) {
        if let Some(member) = self.member(uid) {
            member.write(is_down(member), local, writer);
        }
    }

    /// The only writer of this epoch.
    #[must_use]
    pub fn founder(&self) -> Option<&Member> {
        self.member(self.founder_uid)
    }

    /// Whether this node is the only writer.
    #[must_use]
    pub fn is_founder(&self, node_id: Id) -> bool {
        self.founder().is_some_and(|founder| founder.node_id == node_id)
    }

    /// The member that a node is.
    #[must_use]
    pub fn member_of(&self, node_id: Id) -> Option<&Member> {
        self.members.iter().find(|member| member.node_id == node_id)
    }

    /// The keys that a node has and had.
    pub fn keys_of(&self, node_id: Id) -> impl Iterator<Item = Key> {
        let before = self.retired.iter().filter(move |node| node.node_id == node_id).map(|node| node.key);
        self.member_of(node_id).map(|member| member.key).into_iter().chain(before)
    }

    /// The member with this number; not one that is still about to replace it.
    #[must_use]
    pub fn member(&self, uid: u32) -> Option<&Member> {
        self.members.iter().find(|member| member.uid == uid && member.status != MemberStatus::Replacing)
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

#[cfg(test)]
pub(crate) mod tests;
