//! What becomes of an admitted node: asked again, confirmed, lapsed, or the dead one is back.

use super::admission::{request, rules};
use super::*;

fn admit(cluster: &mut Cluster, dead: &[u32], request: &JoinRequest, key: u8) -> Result<u32, Failure> {
    let liveness = heard(cluster, dead);
    let admitted = cluster.admit(request, Key([key; 32]), &rules(&liveness));
    admitted.map(|admitted| admitted.uid)
}

fn replacing(node: u32, uid: u32) -> JoinRequest {
    JoinRequest { uid: Some(uid), ..request(node) }
}

/// Number, node and status of every member.
fn places(cluster: &Cluster) -> std::vec::Vec<(u32, Id, MemberStatus)> {
    cluster.members.iter().map(|member| (member.uid, member.node_id, member.status)).collect()
}

fn retired(cluster: &Cluster) -> std::vec::Vec<(u32, Id, Key)> {
    cluster.retired.iter().map(|node| (node.uid, node.node_id, node.key)).collect()
}

use MemberStatus::{Active, Provisioning, Replacing};

#[test]
fn an_admitted_node_is_a_member_once_it_confirms_and_confirming_again_changes_nothing() {
    let mut cluster = cluster([1]);
    let before = cluster.revision;
    assert_eq!(admit(&mut cluster, &[], &request(9), 0xA1), Ok(2));
    assert_eq!(places(&cluster), [(1, id(1), Active), (2, id(9), Provisioning)]);
    assert_eq!((cluster.members[1].key, cluster.next_uid, cluster.revision), (Key([0xA1; 32]), 3, before + 1));
    assert!(cluster.confirm(id(9)));
    assert_eq!(places(&cluster), [(1, id(1), Active), (2, id(9), Active)]);
    assert_eq!(cluster.revision, before + 2);
    assert!(!cluster.confirm(id(9)) && !cluster.confirm(id(8)));
    assert_eq!((cluster.revision, cluster.retired.len()), (before + 2, 0));
}

#[test]
fn asked_again_it_gets_the_same_number_and_a_new_key() {
    let mut cluster = cluster([1]);
    for (key, before) in [(1, &[][..]), (2, &[1]), (3, &[1, 2])] {
        // It has its number already.
        cluster.terms.node_limit = Some(2);
        assert_eq!(admit(&mut cluster, &[], &request(9), key), Ok(2));
        assert_eq!(places(&cluster), [(1, id(1), Active), (2, id(9), Provisioning)]);
        assert_eq!((cluster.member_of(id(9)).unwrap().key, cluster.next_uid), (Key([key; 32]), 3));
        let void: std::vec::Vec<_> = before.iter().map(|key| (2, id(9), Key([*key; 32]))).collect();
        assert_eq!(retired(&cluster), void);
    }
    assert!(cluster.confirm(id(9)));
    let revision = cluster.revision;
    for uid in [None, Some(2), Some(1)] {
        let failure = admit(&mut cluster, &[], &JoinRequest { uid, ..request(9) }, 4).unwrap_err();
        assert_eq!(failure.cause, Cause::ConfigError { required_rack_id: None });
        assert!(failure.message.contains("active member already, with the uid 2"), "{}", failure.message);
    }
    assert_eq!(cluster.revision, revision);
}

#[test]
fn asked_for_something_else_meanwhile_it_gets_what_anybody_would() {
    let mut cluster = cluster([1, 2]);
    assert_eq!(admit(&mut cluster, &[], &request(9), 1), Ok(3));
    let refused = |cluster: &mut Cluster, dead: &[u32], request: &JoinRequest| {
        let before = cluster.clone();
        let failure = admit(cluster, dead, request, 2).unwrap_err();
        assert!(*cluster == before);
        failure
    };
    // Another number, be it of a dead node; its own may be named.
    for uid in [1, 2, 7] {
        let failure = refused(&mut cluster, &[2], &replacing(9, uid));
        assert!(failure.message.contains("with the uid 3 already"), "{}", failure.message);
    }
    assert_eq!(admit(&mut cluster, &[2], &replacing(9, 3), 2), Ok(3));
    // An address that a living member has, flash that is not granted, no rack where one must be.
    let mut other = request(9);
    other.member.endpoint = cluster.members[0].endpoint;
    assert!(refused(&mut cluster, &[], &other).message.contains("the uid 1 has the address"));
    let mut other = request(9);
    other.member.bigstore_enabled = true;
    let features = core::mem::take(&mut cluster.terms.features);
    assert!(matches!(refused(&mut cluster, &[], &other).cause, Cause::InvalidLicense { .. }));
    cluster.terms.features = features;
    cluster.policy.rack_aware = true;
    assert!(matches!(refused(&mut cluster, &[], &request(9)).cause, Cause::RackIdRequired { .. }));
    cluster.policy.rack_aware = false;

    // A replacement stays one, of that node, and as strong as it must be.
    assert_eq!(admit(&mut cluster, &[2], &replacing(8, 2), 1), Ok(2));
    assert!(refused(&mut cluster, &[2], &request(8)).message.contains("with the uid 2 already"));
    let mut weak = replacing(8, 2);
    weak.member.total_memory = Some(1);
    assert!(matches!(refused(&mut cluster, &[2], &weak).cause, Cause::InsufficientNodeMemory { .. }));
    assert_eq!(admit(&mut cluster, &[2], &replacing(8, 2), 2), Ok(2));
}

#[test]
fn a_node_that_stays_silent_for_a_minute_lapses_and_its_confirmation_is_unknown() {
    let mut cluster = cluster([1]);
    assert_eq!(admit(&mut cluster, &[], &request(9), 0xA1), Ok(2));
    let mut liveness = heard(&cluster, &[]);
    let revision = cluster.revision;
    assert!(!cluster.lapse(&liveness, LATER + 60_000), "not at exactly a minute");
    liveness.hear(id(9), LATER + 1);
    assert!(!cluster.lapse(&liveness, LATER + 60_001), "each contact counts");
    assert_eq!((cluster.revision, cluster.members.len()), (revision, 2));
    assert!(cluster.lapse(&liveness, LATER + 60_002));
    assert_eq!(places(&cluster), [(1, id(1), Active)]);
    assert_eq!(retired(&cluster), [(2, id(9), Key([0xA1; 32]))]);
    assert!(!cluster.confirm(id(9)) && cluster.member_of(id(9)).is_none());
    assert!(!cluster.lapse(&liveness, u64::MAX), "members never lapse");
    assert_eq!(cluster.revision, revision + 1);
    // The number is gone for good.
    assert_eq!(admit(&mut cluster, &[], &request(9), 0xA2), Ok(3));
    assert_eq!(cluster.next_uid, 4);
}

#[test]
fn a_replacement_takes_effect_when_it_confirms() {
    let mut cluster = cluster([1, 2, 3]);
    assert_eq!(admit(&mut cluster, &[2], &replacing(9, 2), 0xA1), Ok(2));
    assert_eq!(cluster.member(2).map(|member| member.node_id), Some(id(2)));
    assert_eq!(cluster.next_uid, 4, "no number is used up");
    let nodes =
        written(|writer| cluster.write_nodes(|member| member.uid == 2, &local(&NodeInfo::default(), 0), writer));
    assert_eq!((nodes.as_array().unwrap().len(), &nodes[1]["status"]), (3, &json!("down")));
    // Another number that is given meanwhile changes nothing about it.
    assert_eq!(admit(&mut cluster, &[2], &replacing(9, 2), 0xA2), Ok(2));
    assert!(cluster.confirm(id(9)));
    assert_eq!(places(&cluster), [(1, id(1), Active), (2, id(9), Active), (3, id(3), Active)]);
    assert_eq!(cluster.member(2).unwrap().key, Key([0xA2; 32]));
    assert_eq!(retired(&cluster), [(2, id(9), Key([0xA1; 32])), (2, id(2), member(2).key)]);
}

#[test]
fn a_member_that_is_back_is_not_replaced() {
    let mut cluster = cluster([1, 2, 3]);
    assert_eq!(admit(&mut cluster, &[2], &replacing(9, 2), 0xA1), Ok(2));
    let revision = cluster.revision;
    assert!(!cluster.keep(3) && !cluster.keep(9));
    assert!(cluster.keep(2));
    assert!(!cluster.keep(2));
    assert_eq!(places(&cluster), [(1, id(1), Active), (2, id(2), Active), (3, id(3), Active)]);
    assert_eq!((cluster.revision, retired(&cluster)), (revision + 1, vec![(2, id(9), Key([0xA1; 32]))]));
    assert!(!cluster.confirm(id(9)));
}

#[test]
fn a_replacement_lapses_and_the_dead_member_stays() {
    let mut cluster = cluster([1, 2]);
    assert_eq!(admit(&mut cluster, &[2], &replacing(9, 2), 0xA1), Ok(2));
    let liveness = heard(&cluster, &[2]);
    assert!(cluster.lapse(&liveness, LATER + 60_001));
    assert_eq!(places(&cluster), [(1, id(1), Active), (2, id(2), Active)]);
}

#[test]
fn a_dead_member_takes_its_own_place_again_and_is_known_by_its_new_key_only() {
    let mut cluster = cluster([1, 2, 3]);
    assert_eq!(admit(&mut cluster, &[2], &replacing(2, 2), 0xA1), Ok(2));
    // Asking was a sign of life, and the answer may have been lost.
    assert_eq!(admit(&mut cluster, &[], &replacing(2, 2), 0xA2), Ok(2));
    // Another that joins meanwhile does not get between.
    assert_eq!(admit(&mut cluster, &[], &request(9), 0xB1), Ok(4));
    assert!(cluster.confirm(id(9)));
    let places_of_2 = [(2, id(2), Replacing), (2, id(2), Active)];
    assert_eq!(places(&cluster)[1..3], places_of_2);
    assert_eq!(cluster.member_of(id(2)).unwrap().key, Key([0xA2; 32]));
    assert!(cluster.confirm(id(2)));
    assert_eq!(places(&cluster), [(1, id(1), Active), (2, id(2), Active), (3, id(3), Active), (4, id(9), Active)]);
    assert_eq!(cluster.member(2).unwrap().key, Key([0xA2; 32]));
    assert_eq!(retired(&cluster), [(2, id(2), Key([0xA1; 32])), (2, id(2), member(2).key)]);
}

#[test]
fn numbers_never_come_back() {
    let mut cluster = cluster([1]);
    let mut given = vec![];
    for node in 10..20 {
        given.push(admit(&mut cluster, &[], &request(node), 1).unwrap());
        if node % 2 == 0 {
            let liveness = heard(&cluster, &[]);
            assert!(cluster.lapse(&liveness, u64::MAX));
        } else {
            assert!(cluster.confirm(id(node)));
        }
    }
    assert_eq!(given, (2..12).collect::<std::vec::Vec<_>>());
    assert_eq!(cluster.next_uid, 12);
}

#[test]
fn of_the_nodes_that_are_no_more_the_latest_are_remembered() {
    let mut cluster = cluster([1]);
    for key in 0..=u8::try_from(RETIRED_MAX).unwrap() + 1 {
        assert_eq!(admit(&mut cluster, &[], &request(9), key), Ok(2));
    }
    let keys: std::vec::Vec<_> = cluster.retired.iter().map(|node| usize::from(node.key.0[0])).collect();
    assert_eq!(keys, (1..=RETIRED_MAX).collect::<std::vec::Vec<_>>());
}
