//! What each member of the bootstrap object means, in a few words.

use crate::config::table::Object;

/// What the member `name` of `object` means.
pub(super) fn of(object: Object, name: &str) -> &'static str {
    match object {
        Object::Root => root(name),
        Object::Cluster => match name {
            "name" => "Required to create. To join: a DNS name to find nodes by where nodes is empty",
            "nodes" => "To join: the nodes to contact, each HOST or HOST:PORT. To create: empty",
            "wait_command" => "Whether requests wait for their commands to end; true",
            _ => "",
        },
        Object::Node => match name {
            "identity" => "Who this node is",
            "paths" => "Directories that must exist; by default the agent's own",
            "bigstore_driver" => "Turns flash storage on unless bigstore_enabled is false",
            "bigstore_enabled" => "Whether this node offers flash storage",
            "limits" => "What this node carries at most",
            "witness_disk" => "Read and never acted on",
            _ => "",
        },
        Object::Identity => identity(name),
        Object::Paths => match name {
            "persistent_path" => "Where data is kept",
            "ephemeral_path" => "Where data is kept that may be lost",
            "bigstore_path" => "Flash storage",
            "ccs_persistent_path" => "Where the cluster's record is kept; by default the persistent path",
            _ => "",
        },
        Object::Limits => match name {
            "max_listeners" => "Listeners; 100",
            "max_redis_servers" => "Servers; 100",
            _ => "",
        },
        Object::Credentials => match name {
            "username" => "The administrator. Required to create, and to join without a client certificate",
            "password" => "The administrator's password; goes with username",
            "client_cert" => "To join instead of username and password; goes with client_key",
            "client_key" => "The key of client_cert",
            "trusted_ca" => "To join: checks the cluster's certificate",
            _ => "",
        },
        Object::Policy => match name {
            "default_fork_evict_ram" => "Whether a fork may evict; false",
            "default_non_sharded_proxy_policy" => "Which nodes answer for a database of one shard; single",
            "default_sharded_proxy_policy" => "Which nodes answer for a database of several shards; all-master-shards",
            "default_shards_placement" => "How shards are spread; dense",
            "rack_aware" => "Whether every node must say its rack; false",
            "shards_overbooking" => "Whether nodes may have more shards than memory; true",
            _ => "",
        },
        Object::DnsSuffix => match name {
            "name" => "The suffix",
            "cluster_default" => "Whether it is the cluster's default, which one suffix can be",
            "use_aaaa_ns" => "Whether it has AAAA records",
            "use_internal_addr" => "Whether names lead to internal addresses",
            "slaves" => "Replica servers",
            _ => "",
        },
    }
}

fn root(name: &str) -> &'static str {
    match name {
        "action" => "The path's own action",
        "cluster" => "The cluster to create or to join",
        "node" => "This node",
        "credentials" => "Who administers the cluster",
        "license" => "Absent or empty: a trial",
        "policy" => "Defaults for what the cluster runs. To join: set aside, the cluster's own count",
        "dns_suffixes" => "Further DNS suffixes",
        "cnm_https_port" => "9443; no two ports may be equal. To join: where nodes without a port are contacted",
        "crdb_coordinator_port" => "9081",
        "envoy_admin_port" => "8002",
        "envoy_mgmt_server_port" => "8004",
        "gossip_envoy_admin_port" => "8006",
        "max_retries" => "How often connect_error is tried again; 3",
        "retry_time" => "Seconds between two tries; 10",
        "recovery_filename" => "Required to recover: the record's file",
        "required_version" => "To join: the oldest version that members may have",
        "user_defined_modules" | "witness_disk" => "Read and never acted on",
        _ => "",
    }
}

fn identity(name: &str) -> &'static str {
    match name {
        "addr" => "One of this machine's own addresses; by default the first that is not loopback",
        "external_addr" => "Where clients reach this node",
        "name" => "The node's name",
        "uid" => "To join: the dead node to replace. To recover: which node this becomes",
        "accept_servers" => "Whether it takes shards; true",
        "use_internal_ipv6" => "Whether nodes talk by IPv6; must agree with addr",
        "rack_id" => "Its rack, required where the cluster is rack-aware",
        "second_rack_id" => "Its second rack",
        "override_rack_id" => "To join: whether a replacement may be in another rack; false",
        _ => "",
    }
}
