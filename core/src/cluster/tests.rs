use core::net::IpAddr;
use std::boxed::Box;
use std::string::{String as StdString, ToString as _};
use std::{format, vec};

use serde_json::{Value, json};

use super::*;
use crate::config::Action;
use crate::failure::{Cause, Failure};
use crate::json;
use crate::node::{Address, NodeInfo, SOFTWARE_VERSION, Storage};
use crate::problems::Problems;

mod admission;
mod change;
mod epoch;
mod liveness;
mod standing;

const NODE: Id = Id([7; 16]);
pub(crate) const BEAT: u64 = 5_000;
/// Milliseconds of uptime by which all who were not heard are down.
pub(crate) const LATER: u64 = 100_000;

/// The node that has this number in [`cluster`].
pub(crate) fn id(uid: u32) -> Id {
    Id([u8::try_from(uid).unwrap(); 16])
}

pub(crate) fn member(uid: u32) -> Member {
    let addr = format!("10.0.0.{uid}").parse().unwrap();
    Member {
        uid,
        node_id: id(uid),
        key: Key(*[id(uid).0; 2].as_flattened().as_array().unwrap()),
        addr,
        endpoint: std::net::SocketAddr::new(addr, 9443),
        total_memory: Some(1_000),
        flash: Some(1_000),
        bigstore_enabled: true,
        software_version: SOFTWARE_VERSION.try_into().unwrap(),
        ..Member::unknown()
    }
}

fn settings() -> Settings {
    Settings {
        socket_dir: "/run/b".try_into().unwrap(),
        config_dir: "/etc/b".try_into().unwrap(),
        install_dir: "/opt/b".try_into().unwrap(),
        user: "b".try_into().unwrap(),
    }
}

/// A cluster founded by number 1, with these active members.
pub(crate) fn cluster(uids: impl IntoIterator<Item = u32>) -> Box<Cluster> {
    let mut cluster = Box::<Cluster>::default();
    cluster.cluster_id = Id([0xC1; 16]);
    cluster.epoch = 3;
    cluster.epoch_tag = Id([0xE1; 16]);
    cluster.revision = 10;
    cluster.founder_uid = FOUNDER_UID;
    cluster.name = "My.Cluster".try_into().unwrap();
    cluster.terms = Terms::trial(at(0));
    cluster.settings = settings();
    for uid in uids {
        cluster.members.push(member(uid)).unwrap();
        cluster.next_uid = uid + 1;
    }
    cluster
}

/// What a founder has heard at [`LATER`]: all but the `dead` ones.
pub(crate) fn heard(cluster: &Cluster, dead: &[u32]) -> Liveness {
    if dead.is_empty() {
        // One that has just started counts everybody as alive.
        return Liveness::new(BEAT, LATER);
    }
    let mut liveness = Liveness::new(BEAT, 0);
    for member in cluster.members.iter().filter(|member| !member.is_active() || !dead.contains(&member.uid)) {
        liveness.hear(member.node_id, LATER);
    }
    liveness
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn facts(addresses: &[&str]) -> NodeInfo {
    let address = |text: &&str| Address { address: text.parse().unwrap(), interface: String::new() };
    NodeInfo {
        addresses: addresses.iter().map(address).collect(),
        total_memory: Some(1 << 30),
        cores: Some(4),
        ..NodeInfo::default()
    }
}

/// What the node of this number knows of itself.
fn local(facts: &NodeInfo, uid: u32) -> Local<'_> {
    Local { node_id: id(uid), facts, now: at(0), uptime: 0 }
}

fn config(body: &Value) -> Box<Config> {
    let mut config = Box::<Config>::default();
    let mut problems = Problems::new();
    config.read(body.to_string().as_bytes(), Action::CreateCluster, &mut problems);
    assert!(problems.is_empty(), "{}", problems.json());
    config
}

fn least() -> Value {
    json!({"cluster": {"name": "My.Cluster"}, "credentials": {"username": "admin", "password": "c4n4ry"}})
}

fn full() -> Value {
    let mut body = least();
    body["cluster"]["wait_command"] = json!(false);
    body["node"] = json!({
        "identity": {
            "addr": "10.0.0.2", "external_addr": ["1.2.3.4", "::2"], "name": "n \"1\"", "rack_id": "R-1",
            "second_rack_id": "r2", "accept_servers": false
        },
        "bigstore_driver": "rocksdb",
        "limits": {"max_listeners": 5, "max_redis_servers": 6}
    });
    body["license"] = json!("the licence");
    body["policy"] = json!({"rack_aware": true, "default_shards_placement": "sparse", "shards_overbooking": false});
    body["dns_suffixes"] = json!([{"name": "a.b", "cluster_default": true, "slaves": ["9.9.9.9", "::9"]}]);
    body["cnm_https_port"] = json!(4433);
    body
}

fn founded(body: &Value, facts: &NodeInfo, terms: Terms) -> Box<Cluster> {
    let password = PasswordHash { cost: HashCost::Standard, salt: [0xA1; 16], hash: [0xB2; 32] };
    let registration = Registration { setup: [0xA1; OPAQUE_SETUP_BYTES], file: [0xB2; OPAQUE_FILE_BYTES] };
    let key = Key([0xA1; 32]);
    let seed = Seed { cluster_id: Id([3; 16]), epoch_tag: Id([4; 16]), key, password, registration };
    let config = config(body);
    let founder = Member::new(NODE, &config, facts, Some(1 << 40));
    Box::new(Cluster::found(seed, founder, &config, terms, facts.settings.clone(), at(60)))
}

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Value {
    let mut buffer = vec![0; CLUSTER_RECORD_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    let length = writer.finish().unwrap();
    assert_eq!(json::check(&buffer[..length]), Ok(()));
    let document = StdString::from_utf8(buffer[..length].to_vec()).unwrap();
    for secret in ["a1".repeat(4), "b2".repeat(4), "c4n4ry".into()] {
        assert!(!document.contains(&secret), "{document}");
    }
    serde_json::from_str(&document).unwrap()
}

#[test]
fn what_was_configured_is_served() {
    let cluster = founded(&full(), &facts(&["10.0.0.2"]), Terms::trial(at(60)));
    let expected = json!({
        "name": "My.Cluster", "created_time": "1970-01-01T00:01:00Z", "rack_aware": true, "wait_command": false,
        "use_internal_ipv6": false, "default_fork_evict_ram": false, "default_non_sharded_proxy_policy": "single",
        "default_sharded_proxy_policy": "all-master-shards", "default_shards_placement": "sparse",
        "shards_overbooking": false, "cnm_https_port": 4433, "crdb_coordinator_port": 9081, "envoy_admin_port": 8002,
        "envoy_mgmt_server_port": 8004, "gossip_envoy_admin_port": 8006,
        "dns_suffixes": [{
            "name": "a.b", "cluster_default": true, "use_aaaa_ns": false, "use_internal_addr": false,
            "slaves": ["9.9.9.9", "::9"]
        }],
        "bigstore_driver": "rocksdb", "email_alerts": false, "handle_redirects": false,
        "options_method_forbidden": false, "password_complexity": false, "slave_ha": false, "upgrade_mode": false
    });
    assert_eq!(written(|writer| cluster.write(writer)), expected);
    let member = json!({
        "uid": 1, "status": "active", "addr": "10.0.0.2", "external_addr": ["1.2.3.4", "::2"],
        "accept_servers": false, "name": "n \"1\"", "rack_id": "R-1", "second_rack_id": "r2", "max_listeners": 5,
        "max_redis_servers": 6, "bigstore_enabled": true, "bigstore_driver": "rocksdb",
        "bigstore_size": 1_u64 << 40, "total_memory": 1 << 30,
        "cores": 4, "software_version": SOFTWARE_VERSION, "use_internal_ipv6": false, "shard_count": 0,
        "shard_list": []
    });
    let nowhere = NodeInfo::default();
    let other = local(&nowhere, 9);
    assert_eq!(written(|writer| cluster.write_nodes(|_| false, &other, writer)), json!([member]));
    assert_eq!(written(|writer| cluster.write_node(1, |_| false, &other, writer)), member);
    assert!(cluster.member(0).is_none() && cluster.member(2).is_none());
}

#[test]
fn what_was_not_configured_is_left_out() {
    let facts = NodeInfo::default();
    let cluster = founded(&least(), &facts, Terms::trial(at(60)));
    let member = json!({
        "uid": 1, "status": "active", "addr": "127.0.0.1", "external_addr": [], "accept_servers": true,
        "max_listeners": 100, "max_redis_servers": 100, "bigstore_enabled": false,
        "software_version": SOFTWARE_VERSION, "use_internal_ipv6": false, "shard_count": 0, "shard_list": []
    });
    assert_eq!(written(|writer| cluster.write_nodes(|_| false, &local(&facts, 9), writer)), json!([member]));
}

#[test]
fn of_itself_a_node_tells_more_and_each_member_once() {
    let storage = |path: &str, size| Storage { path: path.try_into().unwrap(), size };
    let facts = NodeInfo {
        architecture: "x86_64".try_into().unwrap(),
        os_version: "Debian 13".try_into().unwrap(),
        os_name: "debian".try_into().unwrap(),
        persistent: storage("/p", Some(1)),
        ephemeral: storage("/e", None),
        bigstore: Some(storage("/b", Some(3))),
        ..facts(&["10.0.0.2"])
    };
    let cluster = founded(&full(), &facts, Terms::trial(at(60)));
    let own = Local { node_id: NODE, now: at(90), uptime: 5, ..local(&facts, 9) };
    let node = written(|writer| cluster.write_node(1, |_| false, &own, writer));
    for (name, value) in [
        ("architecture", json!("x86_64")),
        ("os_version", json!("Debian 13")),
        ("os_name", json!("debian")),
        ("os_family", Value::Null),
        ("persistent_storage_path", json!("/p")),
        ("persistent_storage_size", json!(1)),
        ("ephemeral_storage_path", json!("/e")),
        ("ephemeral_storage_size", Value::Null),
        ("bigredis_storage_path", json!("/b")),
        ("bigstore_size", json!(3)),
        ("system_time", json!("1970-01-01T00:01:30Z")),
        ("uptime", json!(5)),
    ] {
        assert_eq!(node[name], value, "{name}");
    }
    let mut text = vec![0; CLUSTER_RECORD_BYTES_MAX];
    let mut writer = Writer::new(&mut text);
    cluster.write_node(1, |_| false, &own, &mut writer);
    let length = writer.finish().unwrap();
    let text = StdString::from_utf8(text[..length].to_vec()).unwrap();
    for name in node.as_object().unwrap().keys() {
        assert_eq!(text.matches(&format!("\"{name}\":")).count(), 1, "{name}: {text}");
    }
}

#[test]
fn there_is_one_user_and_a_policy() {
    let cluster = founded(&full(), &facts(&["10.0.0.2"]), Terms::trial(at(60)));
    let user = json!({
        "uid": 1, "email": "admin", "name": "admin", "role": "admin", "auth_method": "regular", "status": "active",
        "email_alerts": false, "password_issue_date": "1970-01-01T00:01:00Z"
    });
    assert_eq!(written(|writer| cluster.write_users(writer)), json!([user]));
    let policy = json!({
        "default_fork_evict_ram": false, "default_non_sharded_proxy_policy": "single",
        "default_sharded_proxy_policy": "all-master-shards", "default_shards_placement": "sparse", "rack_aware": true,
        "shards_overbooking": false
    });
    assert_eq!(written(|writer| cluster.write_policy(writer)), policy);
}

#[test]
fn the_licence_is_served_with_its_terms() {
    let trial = founded(&least(), &facts(&[]), Terms::trial(at(60)));
    let license = |cluster: &Cluster, now: u64| written(|writer| cluster.write_license(at(now), writer));
    let expected = json!({
        "license": "", "cluster_name": "My.Cluster", "expired": false, "activation_date": "1970-01-01T00:01:00Z",
        "expiration_date": "1970-01-31T00:01:00Z", "owner": "", "shards_limit": 4, "features": ["trial", "bigstore"]
    });
    let end = 60 + 30 * 86_400;
    assert_eq!(license(&trial, end - 1), expected);
    assert_eq!(license(&trial, end)["expired"], true);
    let terms = Terms {
        owner: "O \"1\"".try_into().unwrap(),
        cluster_name: "my.cluster".try_into().unwrap(),
        node_limit: Some(3),
        ..Terms::trial(at(0))
    };
    let paid = license(&founded(&full(), &facts(&[]), terms), 0);
    assert_eq!(
        (&paid["node_limit"], &paid["owner"], &paid["license"]),
        (&json!(3), &json!("O \"1\""), &json!("the licence"))
    );
    assert_eq!(paid["cluster_name"], "my.cluster");
}

#[test]
fn the_founder_is_member_number_one() {
    let cluster = founded(&full(), &facts(&[]), Terms::trial(at(60)));
    assert_eq!((cluster.epoch, cluster.revision, cluster.next_uid, cluster.founder_uid), (1, 1, 2, 1));
    let membership = Membership { cluster_id: Id([3; 16]), epoch: 1, uid: 1 };
    assert_eq!(cluster.membership(NODE), Some(membership));
    assert_eq!(cluster.membership(Id([8; 16])), None);
    assert!(cluster.is_founder(NODE) && !cluster.is_founder(Id([8; 16])));
    let founder = cluster.founder().unwrap();
    assert_eq!((founder.key, founder.status), (Key([0xA1; 32]), MemberStatus::Active));
    assert_eq!(cluster.registration.file, [0xB2; OPAQUE_FILE_BYTES]);
    assert!(cluster.is_administrator("admin") && !cluster.is_administrator("Admin"));
}

#[test]
fn the_own_address_is_the_first_of_the_family_that_others_reach() {
    for (identity, addresses, expected) in [
        (json!({"addr": "9.9.9.9"}), &["10.0.0.1"][..], "9.9.9.9"),
        (json!({}), &["10.0.0.1", "10.0.0.2"], "10.0.0.1"),
        (json!({}), &["fd00::1", "10.0.0.2"], "fd00::1"),
        (json!({}), &["fe80::1", "169.254.0.1", "10.0.0.2"], "10.0.0.2"),
        (json!({}), &[], "127.0.0.1"),
        (json!({}), &["fe80::1"], "127.0.0.1"),
        (json!({"use_internal_ipv6": true}), &["10.0.0.1", "fe80::1", "fd00::1"], "fd00::1"),
        (json!({"use_internal_ipv6": true}), &["10.0.0.1"], "::1"),
        (json!({"use_internal_ipv6": false}), &["fd00::1", "10.0.0.1"], "10.0.0.1"),
        (json!({"use_internal_ipv6": false}), &["fd00::1"], "127.0.0.1"),
    ] {
        let mut body = least();
        body["node"] = json!({"identity": identity});
        let found = own_address(&config(&body), &facts(addresses));
        assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{identity} {addresses:?}");
    }
}
