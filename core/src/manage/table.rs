//! The members that a PUT of each kind may have: those that it changes, and those that the API documents and that nothing
//! here changes, so that nobody takes silence for consent.

use super::Target;

/// One member.
#[derive(Clone, Copy)]
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// What it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    AcceptServers,
    ExternalAddr,
    RackId,
    License,
    RackAware,
    /// Nothing: it is documented, and stays as it is.
    Fixed,
}

impl Kind {
    /// What its value must be.
    pub(super) const fn expected(self) -> &'static str {
        match self {
            Self::AcceptServers | Self::RackAware => "must be true or false",
            Self::ExternalAddr => "must be an array of strings, or one string",
            Self::RackId | Self::License => "must be a string",
            Self::Fixed => "cannot be changed here",
        }
    }
}

/// The members of a PUT's body; what it must have comes first.
pub(super) fn members(target: Target) -> impl Iterator<Item = Member> {
    let (changed, fixed): (&[Member], &[&str]) = match target {
        Target::Node(_) => (&NODE, &NODE_FIXED),
        Target::License => (&LICENSE, &[]),
        Target::Policy => (&POLICY, &POLICY_FIXED),
    };
    changed.iter().copied().chain(fixed.iter().map(|name| member(name, Kind::Fixed)))
}

const fn member(name: &'static str, kind: Kind) -> Member {
    Member { name, kind }
}

const LICENSE: [Member; 1] = [member("license", Kind::License)];

const POLICY: [Member; 1] = [member("rack_aware", Kind::RackAware)];

const NODE: [Member; 3] = [
    member("accept_servers", Kind::AcceptServers),
    member("external_addr", Kind::ExternalAddr),
    member("rack_id", Kind::RackId),
];

/// The node object's other members.
const NODE_FIXED: [&str; 33] = [
    "addr",
    "architecture",
    "bigredis_storage_path",
    "bigstore_driver",
    "bigstore_enabled",
    "bigstore_size",
    "cores",
    "ephemeral_storage_path",
    "ephemeral_storage_size",
    "max_listeners",
    "max_redis_forks",
    "max_redis_servers",
    "max_slave_full_syncs",
    "name",
    "os_family",
    "os_name",
    "os_semantic_version",
    "os_version",
    "persistent_storage_path",
    "persistent_storage_size",
    "public_addr",
    "recovery_path",
    "second_rack_id",
    "shard_count",
    "shard_list",
    "software_version",
    "status",
    "supported_database_versions",
    "system_time",
    "total_memory",
    "uid",
    "uptime",
    "use_internal_ipv6",
];

/// The other members of the cluster's settings.
const POLICY_FIXED: [&str; 37] = [
    "acl_pubsub_default",
    "auto_recovery",
    "automatic_node_offload",
    "bigstore_migrate_node_threshold",
    "bigstore_migrate_node_threshold_p",
    "bigstore_provision_node_threshold",
    "bigstore_provision_node_threshold_p",
    "data_internode_encryption",
    "db_conns_auditing",
    "default_concurrent_restore_actions",
    "default_fork_evict_ram",
    "default_non_sharded_proxy_policy",
    "default_provisioned_redis_version",
    "default_sharded_proxy_policy",
    "default_shards_placement",
    "endpoint_rebind_propagation_grace_time",
    "failure_detection_sensitivity",
    "login_lockout_counter_reset_after",
    "login_lockout_duration",
    "login_lockout_threshold",
    "max_saved_events_per_type",
    "max_simultaneous_backups",
    "parallel_shards_upgrade",
    "persistence_cleanup_scan_interval",
    "redis_migrate_node_threshold",
    "redis_migrate_node_threshold_p",
    "redis_provision_node_threshold",
    "redis_provision_node_threshold_p",
    "redis_upgrade_policy",
    "resp3_default",
    "shards_overbooking",
    "show_internals",
    "slave_ha",
    "slave_ha_bdb_cooldown_period",
    "slave_ha_cooldown_period",
    "slave_ha_grace_period",
    "watchdog_profile",
];

// Which were given is one bit each.
const _: () = assert!(NODE.len() + NODE_FIXED.len() <= 64 && POLICY.len() + POLICY_FIXED.len() <= 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for target in [Target::Node(1), Target::License, Target::Policy] {
            for (index, member) in members(target).enumerate() {
                assert!(members(target).skip(index + 1).all(|other| other.name != member.name), "{}", member.name);
            }
        }
    }
}
