use super::*;
use crate::failure::Violation;
use crate::manage::{Change, Refusal, Target};
use crate::record;

fn read(target: Target, body: &Value) -> Change {
    let (mut change, mut problems) = (Change::new(target), Box::new(Problems::new()));
    change.read(body.to_string().as_bytes(), &mut problems);
    assert!(problems.is_empty(), "{}", problems.json());
    change
}

fn node(uid: u32, body: &Value) -> Change {
    read(Target::Node(uid), body)
}

fn policy() -> Change {
    read(Target::Policy, &json!({"rack_aware": true}))
}

fn license(text: &str, terms: Terms) -> Change {
    Change { terms, ..read(Target::License, &json!({"license": text})) }
}

/// Makes a change that must be one; the revision goes on by one.
fn changes(cluster: &mut Cluster, change: &Change) {
    let revision = cluster.revision;
    assert_eq!(cluster.change(change, at(100)), Ok(true));
    assert_eq!(cluster.revision, revision + 1);
    stays(cluster, change);
}

/// What is so already is no change.
fn stays(cluster: &mut Cluster, change: &Change) {
    let before = cluster.clone();
    assert_eq!(cluster.change(change, at(100)), Ok(false));
    assert!(*cluster == before);
}

#[test]
fn of_a_node_three_members_are_changed_and_nothing_else() {
    let mut cluster = cluster([1, 2, 3]);
    let before = cluster.clone();
    stays(&mut cluster, &node(2, &json!({})));
    stays(&mut cluster, &node(2, &json!({"external_addr": [], "accept_servers": false})));
    changes(&mut cluster, &node(2, &json!({"accept_servers": true})));
    changes(&mut cluster, &node(2, &json!({"external_addr": ["1.2.3.4", "::5"]})));
    changes(&mut cluster, &node(2, &json!({"external_addr": "::5"})));
    changes(&mut cluster, &node(2, &json!({"external_addr": [], "rack_id": "R1"})));
    changes(&mut cluster, &node(2, &json!({"external_addr": ["::5"]})));
    let (own, others) = cluster.members.iter().partition::<Vec<_, 9>, _>(|member| member.uid == 2);
    let old = before.member(2).unwrap().clone();
    let expected = Member {
        accept_servers: true,
        external_addr: ["::5".parse().unwrap()].into_iter().collect(),
        rack_id: "R1".try_into().unwrap(),
        ..old
    };
    assert_eq!(own.first(), Some(&&expected));
    assert!(others.iter().copied().eq(before.members.iter().filter(|member| member.uid != 2)));
}

#[test]
fn a_rack_is_set_once() {
    let mut cluster = cluster([1, 2]);
    changes(&mut cluster, &node(1, &json!({"rack_id": "Rack-1"})));
    // Racks are compared without case, and echoed as given.
    stays(&mut cluster, &node(1, &json!({"rack_id": "rACK-1"})));
    let before = cluster.clone();
    let refused = cluster.change(&node(1, &json!({"rack_id": "r2", "accept_servers": true})), at(100)).unwrap_err();
    assert_eq!(refused, Refusal::HasRack(1, "Rack-1".try_into().unwrap()));
    assert_eq!((refused.status(), refused.code()), (406, "node_already_has_rack_id"));
    assert!(cluster == before);
}

#[test]
fn who_is_no_node_or_not_yet_one_is_not_changed() {
    let mut cluster = cluster([1, 2]);
    let change = json!({"accept_servers": true});
    for uid in [0, 3, u32::MAX] {
        let refused = cluster.change(&node(uid, &change), at(100)).unwrap_err();
        assert_eq!(refused, Refusal::NoNode(uid));
        assert_eq!((refused.status(), refused.code()), (404, "node_not_found"));
    }
    cluster.members[1].status = MemberStatus::Provisioning;
    let refused = cluster.change(&node(2, &change), at(100)).unwrap_err();
    assert_eq!((refused.status(), refused.code()), (406, "node_not_active"));
    // Of two with one number it is the one that still has it.
    cluster.members[1].status = MemberStatus::Active;
    let replacement = Member { node_id: id(9), status: MemberStatus::Replacing, ..member(2) };
    cluster.members.insert(1, replacement.clone()).unwrap();
    changes(&mut cluster, &node(2, &change));
    assert_eq!(cluster.members[1], replacement);
    assert!(cluster.members[2].accept_servers);
}

#[test]
fn racks_matter_once_every_node_has_one_and_then_for_good() {
    let mut cluster = cluster([1, 2, 3]);
    changes(&mut cluster, &node(2, &json!({"rack_id": "r"})));
    let refused = cluster.change(&policy(), at(100)).unwrap_err();
    assert_eq!(refused, Refusal::RackRequired([1, 3].into_iter().collect()));
    assert_eq!((refused.status(), refused.code()), (400, "rack_id_required"));
    let document = written(|writer| refused.write(writer));
    let details = json!({"message": document["description"], "uids": [1, 3]});
    assert_eq!(document["error_details"], details);
    assert!(!cluster.policy.rack_aware);
    for uid in [1, 3] {
        changes(&mut cluster, &node(uid, &json!({"rack_id": "r"})));
    }
    changes(&mut cluster, &policy());
    assert!(cluster.policy.rack_aware);
}

#[test]
fn a_licence_must_be_in_force_for_the_cluster_as_it_is() {
    let mut cluster = cluster([1, 2]);
    let good = Terms { node_limit: Some(2), ..Terms::trial(at(50)) };
    changes(&mut cluster, &license("L1", good.clone()));
    assert_eq!((&*cluster.license, &cluster.terms), ("L1", &good));
    changes(&mut cluster, &license("L2", good.clone()));
    let before = cluster.clone();
    let cases = [
        (Terms { expiration_date: at(100), ..good.clone() }, Violation::Expired),
        (Terms { activation_date: at(101), ..good.clone() }, Violation::NotYetActive),
        (Terms { cluster_name: "x".try_into().unwrap(), ..good.clone() }, Violation::ClusterNameMismatch),
        (Terms { node_limit: Some(1), ..good.clone() }, Violation::NodeLimitExceeded),
        // The members of this cluster have flash.
        (Terms { features: Vec::new(), ..good.clone() }, Violation::FeatureMissing),
    ];
    for (terms, violation) in cases {
        let refused = cluster.change(&license("L3", terms), at(100)).unwrap_err();
        assert_eq!(refused, Refusal::License(violation));
        assert_eq!((refused.status(), refused.code()), (406, "invalid_license"));
        let document = written(|writer| refused.write(writer));
        assert_eq!(document["error_details"]["violation"], violation.name());
        assert_eq!(document["error_details"]["message"], document["description"]);
        assert!(*cluster == *before);
    }
    for violation in [Violation::Malformed, Violation::BadSignature] {
        assert_eq!(Refusal::License(violation).status(), 400);
    }
}

#[test]
#[cfg_attr(miri, ignore = "a full record takes hours there")]
fn a_record_that_would_be_too_long_is_not_made() {
    let mut cluster = cluster(1..=128);
    let limit = CLUSTER_RECORD_BYTES_MAX - CLUSTER_RECORD_BYTES_SPARE;
    // Each of these characters takes six bytes.
    for index in 0..cluster.members.len() {
        let room = limit.saturating_sub(100 + record::length(&*cluster)) / 6;
        let name = "\u{1}".repeat(room.min(HOST_BYTES_MAX));
        cluster.members[index].name = name.as_str().try_into().unwrap();
    }
    assert!((limit - 120..=limit - 100).contains(&record::length(&*cluster)));
    let before = cluster.clone();
    let addresses: std::vec::Vec<StdString> =
        (0..16).map(|number| format!("2001:db8:1111:2222:3333:4444:5555:{number}")).collect();
    let refused = cluster.change(&node(1, &json!({"external_addr": addresses})), at(100)).unwrap_err();
    assert_eq!((refused.clone(), refused.status()), (Refusal::Full, 406));
    let mut cluster = before;
    changes(&mut cluster, &node(1, &json!({"accept_servers": true})));
}
