use std::boxed::Box;
use std::num::NonZeroU32;
use std::string::{String, ToString as _};
use std::vec::Vec;
use std::{format, vec};

use serde_json::{Value, json};

use super::Action::{CreateCluster, JoinCluster, RecoverCluster};
use super::*;
use crate::few;

const CREATE: &str = include_str!("../../../tests/documents/bootstrap/create.json");
const JOIN: &str = include_str!("../../../tests/documents/bootstrap/join.json");
const PEM: &str = "-----BEGIN X-----\nAA\n-----END X-----\n";

/// Reads a body, and checks what must hold of every list of problems.
fn read_bytes(action: Action, body: &[u8]) -> (Box<Config>, Vec<(String, String)>) {
    let mut config = Box::<Config>::default();
    let mut problems = Box::<Problems>::default();
    config.read(body, action, &mut problems);
    let list: Value = serde_json::from_str(&format!("[{}]", problems.json())).unwrap();
    let first: String = serde_json::from_str(&format!("\"{}\"", problems.first_message())).unwrap();
    let text = |problem: &Value, name: &str| problem[name].as_str().unwrap().to_string();
    let list: Vec<_> = list.as_array().unwrap().iter().map(|it| (text(it, "pointer"), text(it, "message"))).collect();
    assert_eq!(problems.is_empty(), list.is_empty());
    assert_eq!(list.first().map_or("", |(_, message)| message), first);
    (config, list)
}

fn read(action: Action, body: &str) -> (Box<Config>, Vec<(String, String)>) {
    read_bytes(action, body.as_bytes())
}

#[track_caller]
fn good(action: Action, body: &str) -> Box<Config> {
    let (config, problems) = read(action, body);
    assert_eq!(problems, [], "{body}");
    config
}

/// The pointers of all problems, in their order.
fn wrong(action: Action, body: &str) -> Vec<String> {
    read(action, body).1.into_iter().map(|(pointer, _)| pointer).collect()
}

/// The least that each action needs.
fn least(action: Action) -> Value {
    let credentials = json!({"username": "u", "password": "p"});
    match action {
        CreateCluster => json!({"cluster": {"name": "c"}, "credentials": credentials}),
        JoinCluster => json!({"credentials": credentials}),
        RecoverCluster => json!({"recovery_filename": "f"}),
    }
}

/// `body` with the member at `pointer` set; objects on the way are made.
fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    let mut place = &mut body;
    for name in pointer.split('/').skip(1) {
        place = &mut place[name];
    }
    *place = value;
    body
}

fn without(mut body: Value, pointer: &str) -> Value {
    let (object, name) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(object).unwrap().as_object_mut().unwrap().remove(name).unwrap();
    body
}

fn least_with(action: Action, pointer: &str, value: Value) -> String {
    with(least(action), pointer, value).to_string()
}

fn text(length: usize) -> Value {
    "x".repeat(length).into()
}

fn list_of(count: usize, element: impl Fn(usize) -> Value) -> Value {
    (0..count).map(element).collect()
}

#[test]
fn the_documented_create_body_is_read() {
    let config = good(CreateCluster, CREATE);
    assert_eq!(config.cluster.name, "my.cluster");
    assert!(config.cluster.nodes.is_empty());
    paths_are(&config, "/path/to/bigredis/storage");
    assert_eq!(config.node.bigstore_driver, Some(BigstoreDriver::Rocksdb));
    assert_eq!(config.license, "----- LICENSE START -----\ndi+iK...KniI9\n----- LICENSE END -----\n");
}

#[test]
fn the_documented_join_body_is_read() {
    let config = good(JoinCluster, JOIN);
    assert_eq!(config.cluster.nodes, ["1.1.1.1", "2.2.2.2"]);
    assert_eq!(config.cluster.name, "");
    paths_are(&config, "/path/to/bigstore/storage");
    assert_eq!(config.node.bigstore_driver, Some(BigstoreDriver::Speedb));
    assert_eq!(config.license, "");
}

fn paths_are(config: &Config, bigstore: &str) {
    let Paths { persistent, ephemeral, bigstore: found, ccs } = &config.node.paths;
    assert_eq!(persistent, "/path/to/persistent/storage");
    assert_eq!(ephemeral, "/path/to/ephemeral/storage");
    assert_eq!(found, bigstore);
    assert_eq!(ccs, "");
    assert!(config.node.flash());
    let identity = &config.node.identity;
    assert_eq!(identity.addr, Some("1.2.3.4".parse().unwrap()));
    let external = ["2001:db8:85a3::8a2e:370:7334", "3.4.5.6"].map(|address| address.parse::<IpAddr>().unwrap());
    assert_eq!(identity.external_addr, external);
    assert_eq!(config.credentials.username, "my_username");
    assert_eq!(config.credentials.password.expose(), b"my_password");
    assert!(config.warnings.is_empty());
}

/// Every default, as the API documents it.
fn defaults_hold(config: &Config) {
    assert!(config.cluster.wait_command);
    let identity = &config.node.identity;
    assert_eq!((identity.addr, identity.uid, identity.use_internal_ipv6), (None, None, None));
    assert!(identity.accept_servers && !identity.override_rack_id && identity.external_addr.is_empty());
    assert!(identity.name.is_empty() && identity.rack_id.is_empty() && identity.second_rack_id.is_empty());
    assert_eq!(config.node.paths, Paths::default());
    assert_eq!((config.node.bigstore_driver, config.node.bigstore_enabled, config.node.flash()), (None, None, false));
    assert_eq!(config.node.limits, Limits { max_listeners: 100, max_redis_servers: 100 });
    assert_eq!(config.ports.named().map(|(_, port)| port), [9443, 9081, 8002, 8004, 8006]);
    assert_eq!(config.retry, Retry { max: 3, seconds: 10 });
    assert_eq!(config.policy, Policy::default());
    assert!(config.dns_suffixes.is_empty() && config.license.is_empty() && config.required_version.is_empty());
    assert!(config.credentials.client_cert.is_empty() && config.credentials.client_key.is_empty());
    assert!(config.credentials.trusted_ca.is_empty() && config.warnings.is_empty());
}

#[test]
fn absent_members_have_their_defaults() {
    for action in Action::ALL {
        defaults_hold(&good(action, &least(action).to_string()));
    }
}

/// One right value, not the default, for every member that all three actions take.
fn every_member() -> Value {
    json!({
        "cluster": {"wait_command": false},
        "node": {
            "identity": {
                "addr": "fd00::1", "external_addr": ["1.1.1.1", "::2"], "name": "n", "uid": 7, "accept_servers": false,
                "use_internal_ipv6": true, "rack_id": "r1", "second_rack_id": "r2", "override_rack_id": true
            },
            "paths": {
                "persistent_path": "/p", "ephemeral_path": "/e", "bigstore_path": "/b", "ccs_persistent_path": "/c"
            },
            "bigstore_driver": "speedb", "bigstore_enabled": false,
            "limits": {"max_listeners": 1, "max_redis_servers": 2}
        },
        "license": "l",
        "policy": {
            "default_fork_evict_ram": true, "default_non_sharded_proxy_policy": "all-nodes",
            "default_sharded_proxy_policy": "single", "default_shards_placement": "sparse", "rack_aware": true,
            "shards_overbooking": false
        },
        "dns_suffixes": [
            {"name": "a.b", "cluster_default": true, "use_aaaa_ns": true, "use_internal_addr": true, "slaves": ["::3"]},
            {"name": "c"}
        ],
        "cnm_https_port": 1, "crdb_coordinator_port": 1024, "envoy_admin_port": 1025, "envoy_mgmt_server_port": 1026,
        "gossip_envoy_admin_port": 65535, "max_retries": 0, "retry_time": 3600, "required_version": "7.4.2-54"
    })
}

fn merged(mut body: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        match body.get_mut(name) {
            Some(inner) if inner.is_object() => *inner = merged(inner.clone(), value),
            _ => body[name] = value.clone(),
        }
    }
    body
}

#[test]
fn every_member_is_kept() {
    for action in few(Action::ALL, 3) {
        let config = good(action, &merged(least(action), &every_member()).to_string());
        assert!(!config.cluster.wait_command);
        let identity = &config.node.identity;
        assert_eq!(identity.addr, Some("fd00::1".parse().unwrap()));
        assert_eq!(identity.external_addr, ["1.1.1.1".parse::<IpAddr>().unwrap(), "::2".parse().unwrap()]);
        assert_eq!((identity.name.as_str(), identity.uid), ("n", NonZeroU32::new(7)));
        assert_eq!((identity.accept_servers, identity.use_internal_ipv6), (false, Some(true)));
        assert_eq!((identity.rack_id.as_str(), identity.second_rack_id.as_str()), ("r1", "r2"));
        assert!(identity.override_rack_id);
        let Paths { persistent, ephemeral, bigstore, ccs } = &config.node.paths;
        assert_eq!([persistent, ephemeral, bigstore, ccs].map(String::from_heapless), ["/p", "/e", "/b", "/c"]);
        assert_eq!(config.node.bigstore_driver, Some(BigstoreDriver::Speedb));
        assert!(!config.node.flash());
        assert_eq!(config.node.limits, Limits { max_listeners: 1, max_redis_servers: 2 });
        assert_eq!(config.license, "l");
        let policy = Policy {
            default_fork_evict_ram: true,
            default_non_sharded_proxy_policy: ProxyPolicy::AllNodes,
            default_sharded_proxy_policy: ProxyPolicy::Single,
            default_shards_placement: Placement::Sparse,
            rack_aware: true,
            shards_overbooking: false,
        };
        assert_eq!(config.policy, policy);
        let [first, second] = config.dns_suffixes.as_slice() else { panic!() };
        assert_eq!((first.name.as_str(), second.name.as_str()), ("a.b", "c"));
        assert!(first.cluster_default && first.use_aaaa_ns && first.use_internal_addr);
        assert!(!second.cluster_default && !second.use_aaaa_ns && !second.use_internal_addr);
        assert_eq!(first.slaves, ["::3".parse::<IpAddr>().unwrap()]);
        assert!(second.slaves.is_empty());
        assert_eq!(config.ports.named().map(|(_, port)| port), [1, 1024, 1025, 1026, 65535]);
        assert_eq!(config.retry, Retry { max: 0, seconds: 3600 });
        assert_eq!(config.required_version, "7.4.2-54");
        // What the cluster has of its own counts there, and who is to be heard of it is told.
        let own: &[&str] = &[
            "/policy",
            "/dns_suffixes",
            "/license",
            "/crdb_coordinator_port",
            "/envoy_admin_port",
            "/envoy_mgmt_server_port",
            "/gossip_envoy_admin_port",
            "/cluster/wait_command",
            "/cnm_https_port",
        ];
        let aside = match action {
            CreateCluster => &[],
            JoinCluster => &own[..8],
            RecoverCluster => own,
        };
        let pointers: Vec<&str> = config.warnings.iter().map(|warning| &*warning.pointer).collect();
        assert_eq!(pointers, aside, "{action:?}");
        assert!(config.warnings.iter().all(|warning| warning.reason == WarningReason::SetByCluster));
    }
    // An empty licence is none.
    assert!(good(JoinCluster, &least_with(JoinCluster, "/license", json!(""))).warnings.is_empty());
}

trait FromHeapless {
    fn from_heapless<const N: usize>(text: &heapless::String<N>) -> Self;
}

impl FromHeapless for String {
    fn from_heapless<const N: usize>(text: &heapless::String<N>) -> Self {
        text.as_str().to_string()
    }
}

#[test]
fn nothing_is_left_of_the_configuration_before() {
    let mut config = Box::<Config>::default();
    let mut problems = Problems::new();
    config.read(merged(least(CreateCluster), &every_member()).to_string().as_bytes(), CreateCluster, &mut problems);
    assert!(problems.is_empty());
    config.read(least(RecoverCluster).to_string().as_bytes(), RecoverCluster, &mut problems);
    assert!(problems.is_empty());
    defaults_hold(&config);
    assert!(config.cluster.name.is_empty() && config.credentials.username.is_empty());
    assert!(config.credentials.password.is_empty());
    config.clear();
    assert!(config.recovery_filename.is_empty());
}

#[test]
fn null_is_the_same_as_absent() {
    fn nulled(value: &mut Value) {
        for (name, member) in value.as_object_mut().unwrap() {
            if member.is_object() && name != "credentials" {
                nulled(member);
            } else if !matches!(name.as_str(), "credentials" | "dns_suffixes") {
                *member = Value::Null;
            }
        }
    }
    let mut body = every_member();
    body["action"] = Value::Null;
    body["user_defined_modules"] = Value::Null;
    nulled(&mut body);
    body["dns_suffixes"] = Value::Null;
    for action in few(Action::ALL, 2) {
        let mut body = merged(least(action), &body);
        body = merged(body, &least(action));
        let config = good(action, &body.to_string());
        let warnings: Vec<_> = config.warnings.iter().map(|warning| warning.reason).collect();
        // The policy is an object, if one of nothing.
        let expected: &[WarningReason] = if action == CreateCluster { &[] } else { &[WarningReason::SetByCluster] };
        assert_eq!(warnings, expected);
    }
    for (action, pointer) in [(CreateCluster, "/cluster/name"), (JoinCluster, "/credentials/password")] {
        assert_eq!(wrong(action, &least_with(action, pointer, Value::Null)), [pointer]);
    }
    let whole = with(least(CreateCluster), "/credentials", Value::Null).to_string();
    assert_eq!(wrong(CreateCluster, &whole), ["/credentials/username", "/credentials/password"]);
}

#[test]
fn strings_are_taken_up_to_their_limit() {
    let label = |length: usize| format!("{}.{}", "a".repeat(32), "b".repeat(length - 33));
    let cases: Vec<(Action, &str, Value, Value)> = vec![
        (CreateCluster, "/cluster/name", label(64).into(), label(65).into()),
        (CreateCluster, "/node/identity/name", text(255), text(256)),
        (CreateCluster, "/node/identity/rack_id", text(63), text(64)),
        (CreateCluster, "/node/identity/second_rack_id", text(63), text(64)),
        (CreateCluster, "/credentials/username", text(256), text(257)),
        // Bytes are counted, not characters.
        (CreateCluster, "/credentials/username", "é".repeat(128).into(), format!("{}x", "é".repeat(128)).into()),
        (CreateCluster, "/credentials/password", text(256), text(257)),
        (JoinCluster, "/credentials/password", "🔑".repeat(64).into(), "🔑".repeat(65).into()),
        (CreateCluster, "/license", text(4096), text(4097)),
        (CreateCluster, "/required_version", "1".repeat(32).into(), "1".repeat(33).into()),
        (RecoverCluster, "/recovery_filename", text(1024), text(1025)),
    ];
    for (action, pointer, longest, too_long) in few(cases, 4) {
        good(action, &least_with(action, pointer, longest));
        assert_eq!(wrong(action, &least_with(action, pointer, too_long)), [pointer]);
    }
    for name in few(["persistent_path", "ephemeral_path", "bigstore_path", "ccs_persistent_path"], 4) {
        let pointer = format!("/node/paths/{name}");
        let path = |length: usize| format!("/{}", "x".repeat(length - 1)).into();
        good(CreateCluster, &least_with(CreateCluster, &pointer, path(1024)));
        assert_eq!(wrong(CreateCluster, &least_with(CreateCluster, &pointer, path(1025))), [pointer]);
    }
    for name in few(["client_cert", "client_key", "trusted_ca"], 3) {
        let pointer = format!("/credentials/{name}");
        let base = json!({"credentials": {"client_cert": PEM, "client_key": PEM}});
        let base = with(base, &pointer, "-----BEGIN ?-----".into()).to_string();
        let pem = |length: usize| base.replace('?', &"x".repeat(length - 16));
        good(JoinCluster, &pem(8192));
        assert_eq!(wrong(JoinCluster, &pem(8193)), [pointer]);
    }
}

#[test]
fn an_escape_counts_as_what_it_stands_for() {
    let escaped =
        |count: usize| format!(r#"{{"credentials":{{"username":"u","password":"{}"}}}}"#, r"\u0078".repeat(count));
    assert_eq!(good(JoinCluster, &escaped(256)).credentials.password.expose(), [b'x'; 256]);
    let (config, problems) = read(JoinCluster, &escaped(257));
    assert_eq!(
        problems,
        [("/credentials/password".into(), "credentials.password must be at most 256 bytes long".into())]
    );
    assert!(config.credentials.password.is_empty());
}

#[test]
fn arrays_are_taken_up_to_their_limit() {
    let node = |index: usize| format!("node-{index}").into();
    let address = |index: usize| format!("10.0.0.{index}").into();
    let suffix = |index: usize| json!({"name": format!("s{index}"), "slaves": list_of(8, address)});
    let cases = [
        ("/cluster/nodes", list_of(32, node), list_of(33, node), list_of(40, node)),
        ("/node/identity/external_addr", list_of(16, address), list_of(17, address), list_of(40, address)),
        ("/dns_suffixes", list_of(8, suffix), list_of(9, suffix), list_of(12, suffix)),
    ];
    for (pointer, longest, too_long, much_too_long) in few(cases, 3) {
        good(JoinCluster, &least_with(JoinCluster, pointer, longest));
        for long in [too_long, much_too_long] {
            assert_eq!(wrong(JoinCluster, &least_with(JoinCluster, pointer, long)), [pointer]);
        }
    }
    let slaves = json!([{"name": "a"}, {"name": "b", "slaves": list_of(9, address)}]);
    assert_eq!(wrong(JoinCluster, &least_with(JoinCluster, "/dns_suffixes", slaves)), ["/dns_suffixes/1/slaves"]);
}

#[test]
fn a_contact_holds_the_longest_host_and_a_port() {
    let host = ["a", "b", "c", "d"].map(|letter| letter.repeat(63)).join(".");
    assert_eq!(host.len(), 255);
    let longest = format!("{host}:65535");
    let config = good(JoinCluster, &least_with(JoinCluster, "/cluster/nodes", json!([longest])));
    assert_eq!(config.cluster.nodes, [longest.as_str()]);
    for bad in [format!("{host}x"), format!("{host}:655350"), format!("e.{}:1", &host[1..])] {
        assert_eq!(wrong(JoinCluster, &least_with(JoinCluster, "/cluster/nodes", json!([bad]))), ["/cluster/nodes/0"]);
    }
}

#[test]
fn numbers_are_taken_within_their_range() {
    let u32_max = u64::from(u32::MAX);
    let cases = [
        ("/node/identity/uid", 1, u32_max),
        ("/node/limits/max_listeners", 1, u32_max),
        ("/node/limits/max_redis_servers", 1, u32_max),
        ("/cnm_https_port", 1, 65_535),
        ("/crdb_coordinator_port", 1024, 65_535),
        ("/envoy_admin_port", 1024, 65_535),
        ("/envoy_mgmt_server_port", 1024, 65_535),
        ("/gossip_envoy_admin_port", 1024, 65_535),
        ("/max_retries", 0, 255),
        ("/retry_time", 1, 3600),
    ];
    for (pointer, min, max) in few(cases, 5) {
        for value in [min, max] {
            good(JoinCluster, &least_with(JoinCluster, pointer, value.into()));
        }
        let below = if min == 0 { json!(-1) } else { json!(min - 1) };
        let bad = [below, json!(max + 1), json!(1.5), json!(u64::MAX), json!("1"), json!(true), json!([1])];
        for value in few(bad, 2) {
            assert_eq!(wrong(JoinCluster, &least_with(JoinCluster, pointer, value)), [pointer]);
        }
        let huge = least_with(JoinCluster, pointer, json!("?")).replace("\"?\"", "99999999999999999999999");
        assert_eq!(wrong(JoinCluster, &huge), [pointer]);
    }
}

#[test]
fn every_member_has_its_type() {
    // An object for what is no object, a number for the rest.
    let body = merged(least(CreateCluster), &every_member());
    let mut pointers = vec![String::new()];
    let mut members = Vec::new();
    while let Some(pointer) = pointers.pop() {
        for (name, value) in body.pointer(&pointer).unwrap().as_object().unwrap() {
            let pointer = format!("{pointer}/{name}");
            members.push(pointer.clone());
            if value.is_object() {
                pointers.push(pointer);
            }
        }
    }
    assert!(members.len() > 40);
    for pointer in few(members, 25) {
        let wrong_type = if body.pointer(&pointer).unwrap().is_object() { json!(1) } else { json!({"a": [{}]}) };
        let found = wrong(CreateCluster, &with(body.clone(), &pointer, wrong_type).to_string());
        assert!(found.contains(&pointer), "{pointer} {found:?}");
        let others_follow = ["/cluster", "/credentials", "/node", "/node/identity"].contains(&pointer.as_str());
        assert!(found.len() == 1 || others_follow, "{pointer} {found:?}");
    }
    for (value, pointer) in [(json!([1]), "/0"), (json!([null]), "/0"), (json!(["::1", {}]), "/1"), (json!(true), "")] {
        let body = least_with(JoinCluster, "/node/identity/external_addr", value);
        assert_eq!(wrong(JoinCluster, &body), [format!("/node/identity/external_addr{pointer}")]);
    }
    let suffixes = least_with(JoinCluster, "/dns_suffixes", json!([1, {"name": "a"}, null, {"name": 2}]));
    assert_eq!(wrong(JoinCluster, &suffixes), ["/dns_suffixes/0", "/dns_suffixes/2", "/dns_suffixes/3/name"]);
    for body in ["[]", "1", "\"x\"", "null", "true", "[{}]"] {
        assert_eq!(read(CreateCluster, body).1.first().unwrap().0, "");
    }
}

#[test]
fn every_rule_is_asked() {
    let cases = [
        ("/node/identity/addr", "fe80::1%eth0"),
        ("/node/identity/addr", "1.2.3.4/24"),
        ("/node/identity/addr", "host"),
        ("/node/identity/external_addr", "x"),
        ("/node/identity/rack_id", "1r"),
        ("/node/identity/second_rack_id", "r-"),
        ("/node/paths/persistent_path", "relative"),
        ("/node/paths/ephemeral_path", "/a/../b"),
        ("/node/paths/bigstore_path", "/a\0b"),
        ("/node/paths/ccs_persistent_path", ".."),
        ("/node/bigstore_driver", "SpeeDB"),
        ("/cluster/name", "-c"),
        ("/cluster/nodes", "http://x"),
        ("/credentials/username", "a:b"),
        ("/credentials/username", ""),
        ("/credentials/password", "a\tb"),
        ("/credentials/password", ""),
        ("/policy/default_non_sharded_proxy_policy", "none"),
        ("/policy/default_sharded_proxy_policy", "Single"),
        ("/policy/default_shards_placement", ""),
        ("/required_version", "v1"),
        ("/recovery_filename", ""),
        ("/action", "create_cluster"),
        ("/action", "nothing"),
    ];
    for (pointer, value) in few(cases, 4) {
        assert_eq!(wrong(JoinCluster, &least_with(JoinCluster, pointer, value.into())), [pointer], "{value:?}");
    }
    let twice = json!(["::1", "1.1.1.1", "0:0::1"]);
    let body = least_with(JoinCluster, "/node/identity/external_addr", twice);
    assert_eq!(wrong(JoinCluster, &body), ["/node/identity/external_addr/2"]);
    let bad_pem = json!({"credentials": {"client_cert": "x", "client_key": "y", "trusted_ca": "z"}});
    let members = ["client_cert", "client_key", "trusted_ca"].map(|name| format!("/credentials/{name}"));
    let mut found = wrong(JoinCluster, &bad_pem.to_string());
    found.sort();
    assert_eq!(found, members);
}

#[test]
fn lists_of_strings_may_be_one_string() {
    let body = with(least(JoinCluster), "/cluster/nodes", "node-1:9443".into());
    let body = with(body, "/node/identity/external_addr", "::1".into());
    let config = good(JoinCluster, &body.to_string());
    assert_eq!(config.cluster.nodes, ["node-1:9443"]);
    assert_eq!(config.node.identity.external_addr, ["::1".parse::<IpAddr>().unwrap()]);
}

#[test]
fn every_escape_is_resolved_in_values_and_in_names() {
    let body = r#"{"\u0063redentials":{"username":"\u00fc","pass\u0077ord":"\"\\\/\ud83d\udd11\uFFFDx"},
        "node":{"identity":{"name":"\b\f\n\r\t\u0041\u00e9\u20AC\ud800\udc00"}}}"#;
    let config = good(JoinCluster, body);
    assert_eq!(config.credentials.username, "ü");
    assert_eq!(config.credentials.password.expose(), "\"\\/🔑\u{fffd}x".as_bytes());
    assert_eq!(config.node.identity.name, "\u{8}\u{c}\n\r\tAé€\u{10000}");
}

#[test]
fn a_repeated_member_is_refused() {
    for (more, pointer) in [
        (r#""max_retries":1,"max_retries":1"#, "/max_retries"),
        (r#""max_retries":null,"max_retries":1"#, "/max_retries"),
        (r#""max_retries":1,"max\u005fretries":1"#, "/max_retries"),
        (r#""node":{},"node":{}"#, "/node"),
        (r#""node":{"identity":{"uid":1,"uid":2}}"#, "/node/identity/uid"),
        (r#""unknown":1,"unknown":2"#, "/unknown"),
        (r#""unknown":1,"unkn\u006fwn":2"#, "/unknown"),
        (r#""node":{"paths":{"x":1,"x":1}}"#, "/node/paths/x"),
        (r#""a/b~":1,"a/b~":2"#, "/a~1b~0"),
        (r#""dns_suffixes":[{"name":"a"},{"name":"b","name":"c"}]"#, "/dns_suffixes/1/name"),
        (r#""dns_suffixes":[{"name":"a"},{"name":"b","x":1,"x":2}]"#, "/dns_suffixes/1/x"),
    ] {
        let body = format!(r#"{{"credentials":{{"username":"u","password":"p"}},{more}}}"#);
        assert_eq!(wrong(JoinCluster, &body), [pointer], "{more}");
    }
}

#[test]
fn the_same_name_in_different_objects_is_no_repetition() {
    for more in [
        // Inside a value that nobody reads, names may do as they please.
        r#""x":{"a":1,"a":2,"b":{"a":1,"a":1}},"y":[{"z":1,"z":1}]"#,
        r#""witness_disk":{"a":1,"a":2}"#,
        r#""x":1,"node":{"x":2,"identity":{"x":3}}"#,
        r#""node":{"identity":{"x":3},"x":2},"x":1"#,
        r#""dns_suffixes":[{"name":"a","x":1},{"name":"b","x":1}],"x":1"#,
        r#""cluster":{"x":1},"node":{"x":1},"policy":{"x":1},"x":1"#,
    ] {
        good(JoinCluster, &format!(r#"{{"credentials":{{"username":"u","password":"p"}},{more}}}"#));
    }
}

#[test]
fn unknown_and_unused_members_become_warnings() {
    let mut body = least(JoinCluster);
    for (pointer, value) in [
        ("/flash_enabled", json!(true)),
        ("/node/clobber", json!({"deep": [[[{}]]]})),
        ("/node/identity/a~b", Value::Null),
        ("/node/witness_disk", json!("x")),
        ("/witness_disk", json!({"x": 1})),
        ("/user_defined_modules", json!([{}])),
        ("/policy", json!({"rack_aware": true})),
    ] {
        body = with(body, pointer, value);
    }
    let config = good(JoinCluster, &body.to_string());
    let mut found: Vec<_> = config.warnings.iter().map(|it| (it.pointer.as_str(), it.reason)).collect();
    found.sort_by_key(|(pointer, _)| *pointer);
    let expected = [
        ("/flash_enabled", WarningReason::Unknown),
        ("/node/clobber", WarningReason::Unknown),
        ("/node/identity/a~0b", WarningReason::Unknown),
        ("/node/witness_disk", WarningReason::Unused),
        ("/policy", WarningReason::SetByCluster),
        ("/user_defined_modules", WarningReason::Unused),
        ("/witness_disk", WarningReason::Unused),
    ];
    assert_eq!(found, expected);
    let long = "é".repeat(200);
    let config = good(JoinCluster, &least_with(JoinCluster, &format!("/{long}"), json!(1)));
    assert_eq!(config.warnings[0].pointer, format!("/{}", "é".repeat(47)).as_str());
}

#[test]
fn unknown_members_are_taken_up_to_their_limit() {
    let body = |count: usize| {
        // Half of them nested: the limit is for the whole body.
        let member = |index: usize| format!("{}/u{index}", if index.is_multiple_of(2) { "" } else { "/node" });
        let unused = ["/witness_disk", "/node/witness_disk", "/user_defined_modules"];
        let all = merged(least(RecoverCluster), &every_member());
        let body = with(with(all, "/cluster/nodes", json!("10.0.0.1")), "/cluster/name", json!("a.b"));
        let body = unused.iter().fold(body, |body, pointer| with(body, pointer, json!(true)));
        (0..count).fold(body, |body, index| with(body, &member(index), json!(1))).to_string()
    };
    assert_eq!(good(RecoverCluster, &body(64)).warnings.len(), WARNINGS_MAX);
    assert_eq!(wrong(RecoverCluster, &body(65)).len(), 1);
}

#[test]
fn nesting_is_taken_up_to_its_limit() {
    // The body itself is the first level.
    let body = |levels: usize| {
        let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
        format!(r#"{{"credentials":{{"username":"u","password":"p"}},"x":{open}{close}}}"#)
    };
    good(JoinCluster, &body(16));
    let (_, problems) = read(JoinCluster, &body(17));
    assert_eq!(problems.len(), 1);
    assert!(problems[0].1.contains("nested too deep"));
}

#[test]
fn a_body_of_64_kib_is_read() {
    let body = least(CreateCluster).to_string();
    let space = |length: usize| " ".repeat(if cfg!(miri) { length / 64 } else { length });
    let padded = |value: &str| format!("{}{value}", space(BODY_BYTES_MAX - value.len()));
    good(CreateCluster, &padded(&body));
    let unknown = least_with(CreateCluster, "/x", json!("?"));
    good(CreateCluster, &unknown.replace('?', &"y".repeat(BODY_BYTES_MAX - unknown.len() + 1)));
    assert_eq!(wrong(CreateCluster, &"[".repeat(BODY_BYTES_MAX)), [""]);
}

#[test]
fn what_is_no_json_has_one_problem() {
    let bodies: [&[u8]; 9] =
        [b"", b"{", b"{}x", b"{} {}", b"{\"uid\":", b"\xef\xbb\xbf{}", b"{\"a\":\"\xff\"}", b"{'a':1}", b"\0"];
    for body in bodies {
        let (_, problems) = read_bytes(CreateCluster, body);
        assert_eq!(problems.len(), 1, "{body:?}");
        assert!(problems[0].0.is_empty() && problems[0].1.starts_with("the body is not JSON: "), "{problems:?}");
    }
    // What was found before the fault is not told: it may be the fault's own doing.
    assert_eq!(wrong(CreateCluster, r#"{"max_retries":-1,"#), [""]);
}

#[test]
fn each_action_has_its_required_members() {
    assert_eq!(wrong(CreateCluster, "{}"), ["/cluster/name", "/credentials/username", "/credentials/password"]);
    assert_eq!(wrong(JoinCluster, "{}"), ["/credentials/username", "/credentials/password"]);
    assert_eq!(wrong(RecoverCluster, "{}"), ["/recovery_filename"]);
    for (action, pointer) in [
        (CreateCluster, "/cluster/name"),
        (CreateCluster, "/credentials/username"),
        (CreateCluster, "/credentials/password"),
        (JoinCluster, "/credentials/username"),
        (JoinCluster, "/credentials/password"),
        (RecoverCluster, "/recovery_filename"),
    ] {
        assert_eq!(wrong(action, &without(least(action), pointer).to_string()), [pointer]);
    }
    let nodes = least_with(CreateCluster, "/cluster/nodes", json!(["1.1.1.1"]));
    assert_eq!(wrong(CreateCluster, &nodes), ["/cluster/nodes"]);
    good(CreateCluster, &least_with(CreateCluster, "/cluster/nodes", json!([])));
    let suffixes = json!([{"name": "a"}, {"cluster_default": true}, {"name": null}]);
    let body = least_with(CreateCluster, "/dns_suffixes", suffixes);
    assert_eq!(wrong(CreateCluster, &body), ["/dns_suffixes/1/name", "/dns_suffixes/2/name"]);
}

#[test]
fn a_certificate_stands_instead_of_a_password_and_only_to_join() {
    let credentials = |names: &[&str]| {
        let member = |name: &&str| {
            (name.to_string(), if name.contains("name") || name.contains("word") { json!("x") } else { json!(PEM) })
        };
        json!({"credentials": names.iter().map(member).collect::<serde_json::Map<_, _>>()}).to_string()
    };
    let [user, word, cert, key, ca] = ["username", "password", "client_cert", "client_key", "trusted_ca"];
    let config = good(JoinCluster, &credentials(&[cert, key, ca]));
    assert_eq!((config.credentials.client_cert.as_str(), config.credentials.trusted_ca.as_str()), (PEM, PEM));
    assert_eq!(config.credentials.client_key.expose(), PEM.as_bytes());
    good(JoinCluster, &credentials(&[user, word, ca]));
    let at = |names: &[&str]| names.iter().map(|name| format!("/credentials/{name}")).collect::<Vec<_>>();
    assert_eq!(wrong(JoinCluster, &credentials(&[cert])), at(&[key]));
    assert_eq!(wrong(JoinCluster, &credentials(&[key])), at(&[cert]));
    assert_eq!(wrong(JoinCluster, &credentials(&[ca])), at(&[user, word]));
    assert_eq!(wrong(JoinCluster, &credentials(&[user, word, cert, key])), at(&[user, word]));
    assert_eq!(wrong(JoinCluster, &credentials(&[user, cert, key])), at(&[user]));
    for action in [CreateCluster, RecoverCluster] {
        for name in [cert, key, ca] {
            let body = least_with(action, &format!("/credentials/{name}"), PEM.into());
            assert_eq!(wrong(action, &body), at(&[name]));
        }
    }
    // To recover, both or neither.
    let recover =
        |name: &str| wrong(RecoverCluster, &least_with(RecoverCluster, &format!("/credentials/{name}"), "x".into()));
    assert_eq!(recover(user), at(&[word]));
    assert_eq!(recover(word), at(&[user]));
    let both = with(least(RecoverCluster), "/credentials", json!({"username": "u", "password": "p"}));
    good(RecoverCluster, &both.to_string());
}

#[test]
fn the_action_must_be_the_paths_own() {
    for path in Action::ALL {
        for body in Action::ALL {
            let found = wrong(path, &least_with(path, "/action", body.name().into()));
            assert_eq!(found.is_empty(), path == body);
            assert!(found.iter().all(|pointer| pointer == "/action"));
        }
    }
}

#[test]
fn no_two_ports_may_be_equal() {
    let ports = [
        "cnm_https_port",
        "crdb_coordinator_port",
        "envoy_admin_port",
        "envoy_mgmt_server_port",
        "gossip_envoy_admin_port",
    ];
    let defaults = [9443, 9081, 8002, 8004, 8006];
    for (one, name) in few(ports.iter().enumerate(), 3) {
        good(CreateCluster, &least_with(CreateCluster, &format!("/{name}"), defaults[one].into()));
        for (two, other) in few(ports.iter().enumerate().filter(|(two, _)| *two != one), 2) {
            let body = with(least(CreateCluster), &format!("/{name}"), 5000.into());
            let body = with(body, &format!("/{other}"), 5000.into());
            assert_eq!(wrong(CreateCluster, &body.to_string()), [format!("/{}", ports[one.max(two)])]);
            // A default counts as much as a given one.
            let body = least_with(CreateCluster, &format!("/{name}"), defaults[two].into());
            assert_eq!(wrong(CreateCluster, &body), [format!("/{name}")]);
            // Two that change places do not clash.
            let body = with(least(CreateCluster), &format!("/{name}"), defaults[two].into());
            good(CreateCluster, &with(body, &format!("/{other}"), defaults[one].into()).to_string());
        }
    }
    let all = ports.iter().fold(least(CreateCluster), |body, name| with(body, &format!("/{name}"), 5000.into()));
    assert_eq!(wrong(CreateCluster, &all.to_string()).len(), 4);
}

#[test]
fn what_must_agree_is_compared() {
    let aware = with(least(CreateCluster), "/policy/rack_aware", true.into());
    assert_eq!(wrong(CreateCluster, &aware.to_string()), ["/node/identity/rack_id"]);
    good(CreateCluster, &with(aware, "/node/identity/rack_id", "r".into()).to_string());
    good(JoinCluster, &least_with(JoinCluster, "/policy/rack_aware", true.into()));
    for (address, ipv6, fits) in
        [("1.1.1.1", false, true), ("1.1.1.1", true, false), ("::2", true, true), ("::2", false, false)]
    {
        let identity = json!({"addr": address, "use_internal_ipv6": ipv6});
        let found = wrong(CreateCluster, &least_with(CreateCluster, "/node/identity", identity));
        assert_eq!(found.is_empty(), fits);
        assert!(found.iter().all(|pointer| pointer == "/node/identity/use_internal_ipv6"));
    }
    let suffixes =
        json!([{"name": "a"}, {"name": "b", "cluster_default": true}, {"name": "c", "cluster_default": true}]);
    let body = least_with(CreateCluster, "/dns_suffixes", suffixes);
    assert_eq!(wrong(CreateCluster, &body), ["/dns_suffixes/2/cluster_default"]);
    // Also behind one that is no object.
    let suffixes = json!([{"name": "a", "cluster_default": true}, 5, {"name": "c", "cluster_default": true}]);
    let body = least_with(CreateCluster, "/dns_suffixes", suffixes);
    assert_eq!(wrong(CreateCluster, &body), ["/dns_suffixes/1", "/dns_suffixes/2/cluster_default"]);
}

#[test]
fn a_driver_turns_flash_on_unless_told_otherwise() {
    for (driver, enabled, flash) in [
        (json!(null), json!(null), false),
        (json!("speedb"), json!(null), true),
        (json!("rocksdb"), json!(false), false),
        (json!(null), json!(true), true),
    ] {
        let node = json!({"bigstore_driver": driver, "bigstore_enabled": enabled});
        assert_eq!(good(CreateCluster, &least_with(CreateCluster, "/node", node)).node.flash(), flash);
    }
}

#[test]
fn every_problem_is_listed() {
    let body = r#"{"action":"join_cluster","cluster":{"name":1,"nodes":["a b",2]},"node":{"identity":{"addr":"x",
        "uid":0},"paths":{"persistent_path":"p"}},"credentials":{"username":""},"max_retries":256,"max_retries":1}"#;
    let expected = [
        "/action",
        "/cluster/name",
        "/cluster/nodes/0",
        "/cluster/nodes/1",
        "/node/identity/addr",
        "/node/identity/uid",
        "/node/paths/persistent_path",
        "/credentials/username",
        "/max_retries",
        "/max_retries",
        "/credentials/password",
    ];
    assert_eq!(wrong(CreateCluster, body), expected);
    let (_, problems) = read(CreateCluster, body);
    assert_eq!(problems[4].1, "node.identity.addr \"x\" is not an IP address (without zone, prefix or port)");
    assert_eq!(problems[6].1, "node.paths.persistent_path \"p\" must be an absolute path");
}

#[test]
fn problems_that_do_not_fit_are_summed_up() {
    let more = "there are more problems than fit into this list";
    // Under miri fewer, and longer for it.
    let (length, times, least) = if cfg!(miri) { (1_000, 20, 10) } else { (0, 1_000, 400) };
    let member = format!(r#""a\"{}":0"#, "n".repeat(length));
    let many = format!("{{{member}{}}}", format!(",{member}").repeat(times));
    let (_, problems) = read(CreateCluster, &many);
    assert!(problems.len() > least);
    assert_eq!(problems.iter().filter(|(_, message)| message.contains(more)).count(), 1);
    assert!(problems.last().unwrap().1.contains(more));
    // Even the first may be too long.
    let name = "n".repeat(25_000);
    let (_, problems) = read(JoinCluster, &format!(r#"{{"{name}":0,"{name}":0}}"#));
    assert_eq!(problems, [(String::new(), more.into())]);
    // The longest one that fits, and one byte more.
    let count = |length: usize| {
        let name = "n".repeat(length);
        read(JoinCluster, &format!(r#"{{"{name}":0,"{name}":0,"credentials":0}}"#)).1
    };
    let fits = |length: usize| !count(length)[0].0.is_empty();
    // Under miri one read takes half a minute, so there it is known.
    let lengths: Vec<usize> = (10_000..25_000).collect();
    let longest = if cfg!(miri) { 16_318 } else { lengths.partition_point(|length| fits(*length)) + 9_999 };
    assert!(!fits(longest + 1));
    let problems = count(longest);
    assert!(!problems[0].0.is_empty());
    assert_eq!(problems.last().unwrap().1, more, "what comes behind it has no room left");
}

#[test]
fn a_quoted_value_is_cut_and_escaped() {
    let path = "\u{1}".repeat(if cfg!(miri) { 24 } else { 1024 });
    let body = least_with(CreateCluster, "/node/paths/persistent_path", path.as_str().into());
    let (_, problems) = read(CreateCluster, &body);
    assert!(problems[0].1.contains(&path));
    let body = least_with(CreateCluster, "/node/identity/addr", "é".repeat(600).into());
    let (_, problems) = read(CreateCluster, &body);
    assert!(problems[0].1.contains(&format!("\"{}...\"", "é".repeat(512))));
}

#[test]
fn a_secret_is_never_in_a_problem() {
    let canary = "c4n4ry";
    let cases = [
        json!({"username": "u", "password": format!("{canary}\n")}),
        json!({"username": "u", "password": canary.repeat(50)}),
        json!({"username": "u", "password": [canary]}),
        json!({"username": "u", "password": {canary: canary}}),
        json!({"client_cert": PEM, "client_key": canary}),
        json!({"client_cert": PEM, "client_key": canary.repeat(2_000)}),
        json!(canary),
    ];
    for credentials in few(cases, 2) {
        for action in few(Action::ALL, 2) {
            let (config, problems) = read(action, &json!({"credentials": credentials}).to_string());
            assert!(!problems.is_empty() && !format!("{problems:?}").contains(canary), "{problems:?}");
            let kept = [config.credentials.password.expose(), config.credentials.client_key.expose()];
            assert!(kept.iter().all(|secret| secret.is_empty()), "what is refused is not kept");
        }
    }
    let (_, problems) = read(JoinCluster, &format!(r#"{{"credentials":{{"password":"{canary}\x"}}}}"#));
    assert!(!format!("{problems:?}").contains(canary));
}

#[test]
fn a_wiped_secret_is_empty() {
    let mut config = good(CreateCluster, &least(CreateCluster).to_string());
    assert!(!config.credentials.password.is_empty());
    config.credentials.wipe();
    assert!(config.credentials.password.is_empty() && config.credentials.username.is_empty());
}
