use std::boxed::Box;
use std::string::{String as StdString, ToString as _};
use std::{format, vec};

use serde_json::{Value, json};

use super::check::{Findings, Trouble, has_room, judge_other, write_cluster, write_node};
use super::*;
use crate::cluster::tests::{cluster, id};
use crate::cluster::{Cluster, MemberStatus};
use crate::machine::PathTrouble;
use crate::peer::{Bar, Peers};
use crate::time::Timestamp;
use crate::write::Writer;

const NODE: Target = Target::Node(1);

fn read(target: Target, body: &str) -> (Change, Value) {
    let (mut change, mut problems) = (Change::new(target), Box::new(Problems::new()));
    change.read(body.as_bytes(), &mut problems);
    (change, serde_json::from_str(&format!("[{}]", problems.json())).unwrap())
}

fn good(target: Target, body: &str) -> Change {
    let (change, problems) = read(target, body);
    assert_eq!(problems, json!([]), "{body}");
    change
}

/// Asserts where the problems of a body are, and what the first one says.
fn bad(target: Target, body: &str, pointers: &[&str], message: &str) {
    let (_, problems) = read(target, body);
    let found: std::vec::Vec<&str> =
        problems.as_array().unwrap().iter().map(|problem| problem["pointer"].as_str().unwrap()).collect();
    assert_eq!(found, pointers, "{body}: {problems}");
    assert!(problems[0]["message"].as_str().unwrap().contains(message), "{body}: {problems}");
}

#[test]
fn what_is_given_is_read_and_the_rest_stays_open() {
    let change = good(NODE, r#" {"external_addr":["1.2.3.4","::\u0035"],"rack_id":"R-1","accept_servers":false} "#);
    assert_eq!(change.external_addr.unwrap(), ["1.2.3.4", "::5"].map(|text| text.parse::<IpAddr>().unwrap()));
    assert_eq!((change.rack_id.as_deref(), change.accept_servers), (Some("R-1"), Some(false)));
    let change = good(NODE, r#"{"external_addr":null,"rack_id":null,"accept_servers":null,"addr":null}"#);
    assert!(change.external_addr.is_none() && change.rack_id.is_none() && change.accept_servers.is_none());
    assert_eq!(good(NODE, r#"{"external_addr":[]}"#).external_addr, Some(Vec::new()));
    assert_eq!(good(NODE, r#"{"external_addr":"::5"}"#).external_addr.unwrap().len(), 1);
    assert_eq!(good(Target::Policy, r#"{"rack_aware":true}"#).rack_aware, Some(true));
    assert_eq!(good(Target::Policy, "{}").rack_aware, None);
    assert_eq!(good(Target::License, r#"{"license":"a\nb"}"#).license, "a\nb");
}

#[test]
fn every_problem_has_its_place() {
    let document = [
        ("", "too early"),
        ("{", "too early"),
        ("[]", "must be an object"),
        ("7", "must be an object"),
        ("{} {}", "follows the value"),
        (r#"{"rack_id":"r"},"#, "follows the value"),
        (r#"{"rack_id":+1}"#, "unexpected character"),
    ];
    for (body, message) in document {
        for target in [NODE, Target::License, Target::Policy] {
            bad(target, body, &[""], message);
        }
    }
    bad(NODE, r#"{"rack_id":"1r"}"#, &["/rack_id"], "start with a letter");
    bad(NODE, r#"{"rack_id":""}"#, &["/rack_id"], "start with a letter");
    bad(NODE, r#"{"rack_id":[{"a":1}],"accept_servers":"yes"}"#, &["/rack_id", "/accept_servers"], "must be a string");
    bad(
        NODE,
        r#"{"external_addr":["1.2.3.4",7,"x","1.2.3.4"]}"#,
        &["/external_addr/1", "/external_addr/2", "/external_addr/3"],
        "must be a string",
    );
    bad(NODE, r#"{"external_addr":"fe80::1%eth0"}"#, &["/external_addr"], "\"fe80::1%eth0\" is not an IP address");
    bad(NODE, r#"{"external_addr":{}}"#, &["/external_addr"], "must be an array of strings, or one string");
    bad(NODE, r#"{"rack_id":"r","rack_id":"r"}"#, &["/rack_id"], "is given twice");
    bad(NODE, r#"{"a/b":1,"a\/b":2}"#, &["/a~1b"], "is given twice");
    // What the API knows, and nothing here changes.
    bad(
        NODE,
        r#"{"addr":"10.0.0.1","max_listeners":[[]],"uid":1}"#,
        &["/addr", "/max_listeners", "/uid"],
        "addr cannot be changed here",
    );
    bad(
        Target::Policy,
        r#"{"default_shards_placement":"sparse"}"#,
        &["/default_shards_placement"],
        "cannot be changed here",
    );
    bad(Target::Policy, r#"{"rack_aware":false}"#, &["/rack_aware"], "cannot be turned off");
    bad(Target::Policy, r#"{"rack_aware":1}"#, &["/rack_aware"], "must be true or false");
    for body in ["{}", r#"{"license":null}"#] {
        bad(Target::License, body, &["/license"], "is required");
    }
    for body in [r#"{"license":""}"#, r#"{"license":" \n"}"#] {
        bad(Target::License, body, &["/license"], "must not be empty");
    }
    bad(Target::License, r#"{"license":["x"]}"#, &["/license"], "must be a string");
}

#[test]
fn limits_at_their_edges() {
    let addresses = |count: usize| {
        let all: std::vec::Vec<StdString> = (0..count).map(|number| format!("10.0.0.{number}")).collect();
        json!({"external_addr": all}).to_string()
    };
    assert_eq!(good(NODE, &addresses(16)).external_addr.unwrap().len(), 16);
    for count in [17, 18] {
        bad(NODE, &addresses(count), &["/external_addr"], "must have at most 16 elements");
    }
    let rack = |length: usize| json!({"rack_id": "r".repeat(length)}).to_string();
    assert_eq!(good(NODE, &rack(63)).rack_id.unwrap().len(), 63);
    bad(NODE, &rack(64), &["/rack_id"], "must be at most 63 bytes long");
    let license = |length: usize| json!({"license": "x".repeat(length)}).to_string();
    assert_eq!(good(Target::License, &license(4096)).license.len(), 4096);
    bad(Target::License, &license(4097), &["/license"], "must be at most 4096 bytes long");
    let unknown = |count: usize| {
        Value::Object((0..count).map(|number| (format!("u{number:02}"), json!([{}]))).collect()).to_string()
    };
    let warnings = good(NODE, &unknown(64)).warnings;
    assert_eq!((warnings.len(), &*warnings[0].pointer), (64, "/u00"));
    bad(NODE, &unknown(65), &["/u64"], "one unknown member too many");
    let long = json!({"x".repeat(500): 1}).to_string();
    assert_eq!(good(Target::Policy, &long).warnings[0].pointer.len(), WARNING_BYTES_MAX);
}

#[test]
fn only_a_founder_that_may_admit_changes_a_record_of_its_own() {
    let cluster = cluster([1, 2]);
    let mut peers = Peers::new(5_000, 5, 0);
    let refused = peers.may_change(&cluster, id(2), 0).unwrap_err();
    assert_eq!(refused, Refusal::NotFounder(Some("10.0.0.1:9443".parse().unwrap())));
    assert_eq!((refused.status(), refused.code()), (409, "not_founder"));
    assert!(written(|writer| refused.write(writer))["description"].as_str().unwrap().contains("10.0.0.1:9443"));
    let refused = peers.may_change(&cluster, id(1), 15_000).unwrap_err();
    assert_eq!((refused.status(), refused.code(), refused.retry_after()), (503, "not_ready", Some(1)));
    assert_eq!(peers.may_change(&cluster, id(1), 15_001), Ok(()));
    peers.bar = Some(Bar::RolledBack);
    assert_eq!(peers.may_change(&cluster, id(1), 15_001), Err(Refusal::NeedsRecovery));
    let shared = Peers::new(5_000, 5, 0).shared();
    assert_eq!(shared.may_change(&cluster, id(2), 0), Ok(()));
    // Who is missed, and by whom.
    let peers = Peers::new(5_000, 5, 0);
    assert_eq!(peers.silence(&cluster, id(2), 15_000), None);
    assert_eq!(peers.silence(&cluster, id(2), 16_999), Some(16));
    assert_eq!(peers.silence(&cluster, id(1), 16_999), None);
    assert_eq!(shared.silence(&cluster, id(2), 16_999), None);
}

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Value {
    let mut buffer = vec![0; 64 * 1024];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    let length = writer.finish().unwrap();
    serde_json::from_slice(&buffer[..length]).unwrap()
}

#[test]
fn every_refusal_reads() {
    for refusal in [
        Refusal::NoNode(1),
        Refusal::NotActive(1),
        Refusal::HasRack(1, "r".try_into().unwrap()),
        Refusal::RackRequired(Vec::new()),
        Refusal::License(crate::failure::Violation::Expired),
        Refusal::Full,
        Refusal::NotAMember,
        Refusal::NotFounder(None),
        Refusal::NeedsRecovery,
        Refusal::NotReady,
        Refusal::NoStore,
        Refusal::NotSaved,
    ] {
        let document = written(|writer| refusal.write(writer));
        assert_eq!(document["error_code"], refusal.code());
        assert!(!document["description"].as_str().unwrap().is_empty(), "{document}");
    }
}

fn found(cluster: &Cluster) -> Findings<'static> {
    Findings {
        is_member: true,
        damage: None,
        path: None,
        room: None,
        now: cluster.created_time,
        silence: None,
        store: None,
        needs_recovery: false,
    }
}

#[test]
fn the_first_check_that_fails_speaks() {
    let mut cluster = cluster([1, 2]);
    cluster.created_time = Timestamp::from_seconds(60);
    let mut findings = found(&cluster);
    assert_eq!(findings.judge(&cluster), None);
    let says = |findings: &Findings<'_>, expected: &str| {
        let trouble = findings.judge(&cluster).unwrap();
        let document = written(|writer| write_node(1, Some(&trouble), writer));
        assert_eq!((&document["node_uid"], &document["result"]), (&json!(1), &json!(false)));
        assert!(document["error"].as_str().unwrap().contains(expected), "{document}");
    };
    // From the last one to the first, each speaks over those before.
    findings.needs_recovery = true;
    says(&findings, "must be recovered");
    findings.silence = Some(17);
    says(&findings, "has not answered for 17 s, at 10.0.0.1:9443");
    findings.store = Some("connection refused");
    says(&findings, "does not serve: connection refused");
    findings.now = Timestamp::from_seconds(59);
    says(&findings, "it says 1970-01-01T00:00:59Z, which is before");
    findings.room = Some(("/s", 7));
    says(&findings, "\"/s\" has 7 bytes left");
    findings.path = Some(("/p", PathTrouble::NotWritable));
    says(&findings, "\"/p\" is not writable");
    findings.damage = Some(("/s/node.a", "is damaged"));
    says(&findings, "\"/s/node.a\" is damaged");
    findings.is_member = false;
    says(&findings, "sent away");
    let enough = RECORDS_FREE_BYTES_MIN as u64;
    assert!(has_room(enough) && !has_room(enough - 1) && has_room(u64::MAX));
}

#[test]
fn all_nodes_are_good_or_the_cluster_is_not() {
    let mut cluster = cluster([1, 2, 3]);
    let of_all = |cluster: &Cluster, trouble: Option<&Trouble<'_>>, down: u32| {
        written(|writer| write_cluster(cluster, 1, trouble, |member| member.uid == down, writer))
    };
    let good = json!({"node_uid": 1, "result": true});
    let document = of_all(&cluster, None, 0);
    assert_eq!((&document["cluster_test_result"], &document["nodes"][0]), (&json!(true), &good));
    assert_eq!(document["nodes"].as_array().unwrap().len(), 3);
    let document = of_all(&cluster, None, 2);
    assert_eq!((&document["cluster_test_result"], &document["nodes"][0]), (&json!(false), &good));
    assert!(document["nodes"][1]["error"].as_str().unwrap().contains("is down"));
    let document = of_all(&cluster, Some(&Trouble::NeedsRecovery), 0);
    assert_eq!(document["cluster_test_result"], json!(false));
    assert_eq!(document["nodes"][0]["result"], json!(false));
    cluster.members[2].status = MemberStatus::Provisioning;
    assert_eq!(judge_other(&cluster.members[2], false), Some(Trouble::NotConfirmed));
    assert_eq!(of_all(&cluster, None, 0)["cluster_test_result"], json!(false));
    // A replacement has no number yet.
    cluster.members[2].status = MemberStatus::Replacing;
    assert_eq!(of_all(&cluster, None, 0)["nodes"].as_array().unwrap().len(), 2);
}
