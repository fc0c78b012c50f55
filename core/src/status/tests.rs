use std::boxed::Box;
use std::string::String;
use std::{format, vec};

use serde_json::{Value, json};

use super::*;
use crate::config::{Action, Paths};
use crate::failure::Failure;
use crate::json;
use crate::limits::*;
use crate::node::Address;
use crate::problems::{Place, Problems};
use crate::record::{Id, Membership, NodeRecord, Standing};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// The document as the shell puts it together, from its two parts.
fn document(machine: &Machine, facts: &NodeInfo, uptime: Option<u64>) -> String {
    let mut head = vec![0; STATUS_BYTES_MAX];
    let mut writer = Writer::new(&mut head);
    write_head(machine, facts, &mut writer);
    let length = writer.finish().unwrap();
    head.truncate(length);
    let mut tail = [0; 128];
    let mut writer = Writer::new(&mut tail);
    write_tail(at(1_409_311_189), uptime, &mut writer);
    let length = writer.finish().unwrap();
    head.extend_from_slice(&tail[..length]);
    assert_eq!(json::check(&head), Ok(()));
    String::from_utf8(head).unwrap()
}

fn value(machine: &Machine, facts: &NodeInfo, uptime: Option<u64>) -> Value {
    serde_json::from_str(&document(machine, facts, uptime)).unwrap()
}

fn text<const N: usize>(text: &str) -> heapless::String<N> {
    text.try_into().unwrap()
}

fn storage(path: &str, size: Option<u64>) -> Storage {
    Storage { path: text(path), size }
}

fn address(text_of_it: &str, interface: &str) -> Address {
    Address { address: text_of_it.parse().unwrap(), interface: text(interface) }
}

fn facts() -> NodeInfo {
    NodeInfo {
        architecture: text("x86_64"),
        cores: Some(2),
        os_version: text("Debian GNU/Linux 13 \"trixie\""),
        os_name: text("debian"),
        os_family: text("linux"),
        total_memory: Some(u64::MAX),
        persistent: storage("/p", Some(1)),
        ephemeral: storage("/e", Some(0)),
        bigstore: Some(storage("/b", Some(3))),
        addresses: heapless::Vec::from_slice(&[address("10.0.3.1", "eth0"), address("2001:db8:0:f101::1", "eth0")])
            .unwrap(),
        ..NodeInfo::default()
    }
}

fn record(standing: Standing) -> NodeRecord {
    NodeRecord {
        node_id: Id([7; 16]),
        revision: 1,
        standing,
        action: Action::CreateCluster,
        start_time: Some(at(0)),
        end_time: Some(at(60)),
        failure: None,
        problems: heapless::String::new(),
        first_problem: (0, 0),
        membership: None,
        paths: Paths::default(),
    }
}

fn machine(record: &NodeRecord) -> Box<Machine> {
    let mut machine = Box::<Machine>::default();
    machine.restore(record, &Paths::default(), at(0));
    machine
}

fn new() -> Box<Machine> {
    Box::default()
}

#[test]
fn a_status_has_every_member_that_is_promised() {
    let membership = Some(Membership { cluster_id: Id([9; 16]), epoch: 1, uid: 3 });
    let machine = machine(&NodeRecord { membership, ..record(Standing::Member) });
    let addresses = json!([
        {"address": "10.0.3.1", "format": "ipv4", "if_name": "eth0", "private": true},
        {"address": "2001:db8:0:f101::1", "format": "ipv6", "if_name": "eth0", "private": false}
    ]);
    let expected = json!({
        "bootstrap_status": {
            "state": "completed", "start_time": "1970-01-01T00:00:00Z", "end_time": "1970-01-01T00:01:00Z"
        },
        "local_node_info": {
            "uid": 3, "software_version": SOFTWARE_VERSION, "architecture": "x86_64", "cores": 2,
            "os_version": "Debian GNU/Linux 13 \"trixie\"", "os_name": "debian", "os_family": "linux",
            "total_memory": u64::MAX, "ephemeral_storage_path": "/e", "ephemeral_storage_size": 0,
            "persistent_storage_path": "/p", "persistent_storage_size": 1, "bigredis_storage_path": "/b",
            "bigstore_size": 3, "available_addrs": addresses, "available_addresses": addresses,
            "system_time": "2014-08-29T11:19:49Z", "uptime": 50278
        }
    });
    assert_eq!(value(&machine, &facts(), Some(50_278)), expected);
    // Public clients look for exactly these bytes.
    assert!(document(&machine, &facts(), None).contains(r#""state":"completed""#));
}

#[test]
fn what_the_machine_will_not_tell_is_left_out() {
    let expected = json!({
        "bootstrap_status": {"state": "idle"},
        "local_node_info": {
            "software_version": SOFTWARE_VERSION, "available_addrs": [], "available_addresses": [],
            "system_time": "2014-08-29T11:19:49Z"
        }
    });
    assert_eq!(value(&new(), &NodeInfo::default(), None), expected);
    let unmeasured = NodeInfo { persistent: storage("/p", None), ..NodeInfo::default() };
    let info = &value(&new(), &unmeasured, None)["local_node_info"];
    assert_eq!((&info["persistent_storage_path"], info.get("persistent_storage_size")), (&json!("/p"), None));
}

#[test]
fn an_error_is_told_with_its_details() {
    let mut refused = new();
    assert!(refused.start(Action::CreateCluster, b"{}", at(5)).is_err());
    let status = &value(&refused, &facts(), None)["bootstrap_status"];
    assert_eq!(status["state"], "error");
    assert_eq!(status["error_code"], "config_error");
    assert_eq!(status["error_details"]["message"], "cluster.name is required");
    assert_eq!(
        status["error_details"]["problems"][0],
        json!({"pointer": "/cluster/name", "message": "cluster.name is required"})
    );
    assert_eq!((status.get("start_time"), status.get("end_time")), (None, None));
    let cut = &value(&machine(&record(Standing::Attempt)), &facts(), None)["bootstrap_status"];
    assert_eq!((&cut["state"], &cut["error_code"]), (&json!("error"), &json!("internal_error")));
    assert!(cut["error_details"].get("problems").is_none());
}

#[test]
fn the_biggest_status_fits() {
    let mut problems = Problems::new();
    let path = "\u{1}".repeat(if cfg!(miri) { 9 } else { PATH_BYTES_MAX });
    for _ in 0..20 {
        problems.add(Place::member(&["node"], "x"), &path);
    }
    let (json, first_problem) = problems.kept();
    let record = NodeRecord {
        failure: Some(Failure::internal("")),
        problems: text(json),
        first_problem,
        ..record(Standing::Failed)
    };
    let mut facts = facts();
    let longest = address("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", &"\u{1}".repeat(INTERFACE_BYTES_MAX));
    facts.addresses.clear();
    while facts.addresses.push(longest.clone()).is_ok() && !cfg!(miri) {}
    for fact in [&mut facts.architecture, &mut facts.os_version, &mut facts.os_name, &mut facts.os_family] {
        *fact = text(&"\u{1}".repeat(FACT_BYTES_MAX));
    }
    facts.persistent = storage(&path, Some(u64::MAX));
    facts.ephemeral = facts.persistent.clone();
    facts.bigstore = Some(facts.persistent.clone());
    let length = document(&machine(&record), &facts, Some(u64::MAX)).len();
    assert!(length >= 80_000 || cfg!(miri), "{length}");
    assert!(length <= STATUS_BYTES_MAX, "{length}");
}

#[test]
fn each_state_has_its_word() {
    for (standing, word) in [
        (Standing::Idle, "idle"),
        (Standing::Failed, "error"),
        (Standing::Expelled, "error"),
        (Standing::Member, "completed"),
    ] {
        let machine = machine(&NodeRecord { failure: Some(Failure::internal("why")), ..record(standing) });
        assert!(document(&machine, &facts(), None).starts_with(&format!(r#"{{"bootstrap_status":{{"state":"{word}""#)));
        assert!(!machine.state().is_running());
    }
}
