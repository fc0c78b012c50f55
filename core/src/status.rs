//! The status document of `GET /v1/bootstrap`.
//!
//! It is written in two parts: the head only changes with the machine and its facts, so the shell keeps it ready;
//! the tail holds what moves with every answer.

use crate::machine::Machine;
use crate::node::{NodeInfo, SOFTWARE_VERSION, Storage};
use crate::time::Timestamp;
use crate::write::Writer;

/// The public state of a bootstrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing was started.
    Idle,
    /// An attempt was accepted.
    Initiated,
    /// A cluster is being created.
    CreatingCluster,
    /// A cluster is being recovered.
    RecoveringCluster,
    /// A cluster is being joined.
    JoiningCluster,
    /// The last attempt failed.
    Error,
    /// The last attempt succeeded.
    Completed,
}

impl State {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Idle,
        Self::Initiated,
        Self::CreatingCluster,
        Self::RecoveringCluster,
        Self::JoiningCluster,
        Self::Error,
        Self::Completed,
    ];

    /// The state that `name` names.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether this state may become `next`; a member leaves its cluster only where that has sent it away. Beside these, a
    /// refused configuration leads from idle to error at once.
    #[must_use]
    pub const fn leads_to(self, next: Self, is_sent_away: bool) -> bool {
        match (self, next) {
            (Self::Idle, Self::Idle | Self::Initiated)
            | (Self::Error, Self::Error | Self::Initiated)
            | (
                Self::Initiated,
                Self::Initiated | Self::CreatingCluster | Self::JoiningCluster | Self::RecoveringCluster | Self::Error,
            )
            | (Self::CreatingCluster, Self::CreatingCluster | Self::Completed | Self::Error)
            | (Self::JoiningCluster, Self::JoiningCluster | Self::Completed | Self::Error)
            | (Self::RecoveringCluster, Self::RecoveringCluster | Self::Completed | Self::Error)
            | (Self::Completed, Self::Completed) => true,
            (Self::Completed, Self::Error) => is_sent_away,
            (
                Self::Idle
                | Self::Initiated
                | Self::CreatingCluster
                | Self::JoiningCluster
                | Self::RecoveringCluster
                | Self::Error
                | Self::Completed,
                _,
            ) => false,
        }
    }

    /// The wire's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Initiated => "initiated",
            Self::CreatingCluster => "creating_cluster",
            Self::RecoveringCluster => "recovering_cluster",
            Self::JoiningCluster => "joining_cluster",
            Self::Error => "error",
            Self::Completed => "completed",
        }
    }

    /// Whether an attempt is under way.
    #[must_use]
    pub const fn is_running(self) -> bool {
        match self {
            Self::Idle | Self::Error | Self::Completed => false,
            Self::Initiated | Self::CreatingCluster | Self::RecoveringCluster | Self::JoiningCluster => true,
        }
    }
}

/// Writes the object `bootstrap_status`, which is also what a failed validation answers with.
pub fn write_bootstrap_status(machine: &Machine, writer: &mut Writer<'_>) {
    writer.open('{').name("state").text(machine.state().name());
    if let Some(start) = machine.start_time() {
        writer.name("start_time").time(start);
    }
    if let Some(end) = machine.end_time() {
        writer.name("end_time").time(end);
    }
    if let Some(failure) = machine.failure() {
        failure.write(machine.problems(), writer);
    }
    writer.close('}');
}

/// Writes the part of the document that stays until the machine or its facts change. [`write_tail`] goes behind.
pub fn write_head(machine: &Machine, facts: &NodeInfo, writer: &mut Writer<'_>) {
    writer.open('{').name("bootstrap_status");
    write_bootstrap_status(machine, writer);
    writer.name("local_node_info").open('{');
    if let Some(membership) = machine.membership() {
        writer.name("uid").number(u64::from(membership.uid));
    }
    writer.name("software_version").text(SOFTWARE_VERSION);
    if let Some(cores) = facts.cores {
        writer.name("cores").number(u64::from(cores));
    }
    if let Some(memory) = facts.total_memory {
        writer.name("total_memory").number(memory);
    }
    write_machine(facts, writer);
    for name in ["available_addrs", "available_addresses"] {
        write_addresses(name, facts, writer);
    }
}

/// Writes the members that say what the machine is, and where data lives.
pub(crate) fn write_machine(facts: &NodeInfo, writer: &mut Writer<'_>) {
    for (name, value) in [
        ("architecture", &facts.architecture),
        ("os_version", &facts.os_version),
        ("os_name", &facts.os_name),
        ("os_family", &facts.os_family),
    ] {
        if !value.is_empty() {
            writer.name(name).text(value);
        }
    }
    write_storage(["ephemeral_storage_path", "ephemeral_storage_size"], &facts.ephemeral, writer);
    write_storage(["persistent_storage_path", "persistent_storage_size"], &facts.persistent, writer);
    if let Some(bigstore) = &facts.bigstore {
        write_storage(["bigredis_storage_path", "bigstore_size"], bigstore, writer);
    }
}

/// What [`write_tail`] writes at most.
pub const TAIL_BYTES_MAX: usize = 96;

/// Writes what moves: the clock, and the seconds since the machine started where they are known.
pub fn write_tail(now: Timestamp, uptime: Option<u64>, writer: &mut Writer<'_>) {
    writer.raw(",\"system_time\":").time(now);
    if let Some(uptime) = uptime {
        writer.name("uptime").number(uptime);
    }
    writer.raw("}}");
}

fn write_storage([path, size]: [&str; 2], storage: &Storage, writer: &mut Writer<'_>) {
    if storage.path.is_empty() {
        return;
    }
    writer.name(path).text(&storage.path);
    if let Some(bytes) = storage.size {
        writer.name(size).number(bytes);
    }
}

fn write_addresses(name: &str, facts: &NodeInfo, writer: &mut Writer<'_>) {
    writer.name(name).open('[');
    for address in &facts.addresses {
        let format = if address.address.is_ipv4() { "ipv4" } else { "ipv6" };
        writer.open('{').name("address").display(address.address).name("format").text(format);
        writer.name("if_name").text(&address.interface).name("private").bool(address.is_private()).close('}');
    }
    writer.close(']');
}

#[cfg(test)]
mod tests;
