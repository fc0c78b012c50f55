//! Which copy of a record counts, and how a new epoch begins.

use super::*;

#[test]
fn two_copies_are_judged_by_cluster_then_epoch_then_writer_then_revision() {
    use Verdict::{Ahead, Behind, Current, Foreign, Newer, Older, Split};
    let cluster = cluster([1]);
    let own = cluster.stamp();
    let other = Id([0; 16]);
    let cases = [
        (own, Current),
        (Stamp { revision: own.revision - 1, ..own }, Behind),
        (Stamp { revision: 0, ..own }, Behind),
        (Stamp { revision: own.revision + 1, ..own }, Ahead),
        (Stamp { epoch_tag: other, ..own }, Split),
        (Stamp { epoch_tag: other, revision: u64::MAX, ..own }, Split),
        (Stamp { epoch: own.epoch + 1, ..own }, Newer),
        (Stamp { epoch: own.epoch + 1, epoch_tag: other, revision: 0, ..own }, Newer),
        (Stamp { epoch: own.epoch - 1, ..own }, Older),
        (Stamp { epoch: own.epoch - 1, epoch_tag: other, revision: u64::MAX, ..own }, Older),
        (Stamp { cluster_id: other, epoch: u32::MAX, revision: u64::MAX, ..own }, Foreign),
        (Stamp::default(), Foreign),
    ];
    for (stamp, verdict) in cases {
        assert_eq!(cluster.judge(&stamp), verdict, "{stamp:?}");
        let mut other = cluster.clone();
        other.cluster_id = stamp.cluster_id;
        (other.epoch, other.epoch_tag, other.revision) = (stamp.epoch, stamp.epoch_tag, stamp.revision);
        assert_eq!(cluster.is_succeeded_by(&other), matches!(verdict, Ahead | Newer), "{stamp:?}");
    }
}

fn recovery() -> Recovery {
    Recovery { epoch_tag: Id([0xE2; 16]), key: Key([0xAB; 32]) }
}

#[test]
fn a_recovered_cluster_is_a_new_epoch_with_one_writer() {
    for (uid, node) in [(1, 1), (2, 2), (2, 9), (1, 9)] {
        let mut cluster = cluster([1, 2, 3]);
        cluster.members.push(Member { status: MemberStatus::Provisioning, ..member(4) }).unwrap();
        cluster.members.push(Member { uid: 3, status: MemberStatus::Replacing, ..member(5) }).unwrap();
        cluster.next_uid = 5;
        let before = cluster.clone();
        let founder = Member { total_memory: Some(77), ..member(node) };
        assert_eq!(cluster.recover(uid, founder, &recovery()), Ok(()));
        let stamp = cluster.stamp();
        assert_eq!((stamp.epoch, stamp.epoch_tag), (before.epoch + 1, Id([0xE2; 16])));
        assert_eq!((stamp.cluster_id, stamp.revision), (before.cluster_id, before.revision + 1));
        assert_eq!((cluster.next_uid, cluster.founder_uid), (1_005, uid));
        assert!(cluster.is_founder(id(node)) && before.is_succeeded_by(&cluster));
        let uids: std::vec::Vec<_> = cluster.members.iter().map(|member| (member.uid, member.is_active())).collect();
        assert_eq!(uids, [(1, true), (2, true), (3, true)], "nobody that has not confirmed");
        let own = cluster.member(uid).unwrap();
        assert_eq!((own.node_id, own.key, own.total_memory), (id(node), Key([0xAB; 32]), Some(77)));
        // Everybody who is no more can be told so.
        let mut retired: std::vec::Vec<_> = cluster.retired.iter().map(|node| (node.node_id, node.key)).collect();
        retired.sort_unstable_by_key(|(node, _)| node.0);
        let expected = [uid, 4, 5].map(|uid| (id(uid), member(uid).key));
        assert_eq!(retired, expected);
    }
}

#[test]
fn what_a_recovery_leaves_open_is_as_it_was() {
    let mut cluster = cluster([1]);
    cluster.members[0].rack_id = "r1".try_into().unwrap();
    cluster.members[0].second_rack_id = "r2".try_into().unwrap();
    cluster.members[0].external_addr.push("9.9.9.9".parse().unwrap()).unwrap();
    let before = cluster.members[0].clone();
    for rack in ["", "r7"] {
        let founder = Member { rack_id: rack.try_into().unwrap(), ..member(1) };
        cluster.recover(1, founder, &recovery()).unwrap();
        let own = cluster.member(1).unwrap();
        assert_eq!(own.rack_id, if rack.is_empty() { "r1" } else { rack });
        assert_eq!((&own.second_rack_id, &own.external_addr), (&before.second_rack_id, &before.external_addr));
    }
}

#[test]
fn a_recovery_as_nobody_or_as_somebody_else_changes_nothing() {
    let mut cluster = cluster([1, 2]);
    cluster.members.push(Member { uid: 7, status: MemberStatus::Replacing, ..member(7) }).unwrap();
    let before = cluster.clone();
    for (uid, node, words) in [
        (3, 9, "no node with the uid 3"),
        (0, 9, "no node with the uid 0"),
        (7, 7, "no node with the uid 7"),
        (1, 2, "has the uid 2 in the record, not 1"),
    ] {
        let failure = cluster.recover(uid, member(node), &recovery()).unwrap_err();
        assert_eq!(failure.cause, Cause::ConfigError { required_rack_id: None });
        assert!(failure.message.contains(words), "{}", failure.message);
        assert!(*cluster == *before);
    }
}

#[test]
fn a_member_is_recovered_in_place_from_a_copy_of_before_its_confirmation() {
    for status in MemberStatus::ALL {
        let mut copy = cluster([1, 2, 3]);
        copy.members[1].status = status;
        // A replacement stands beside what it replaces.
        if status == MemberStatus::Replacing {
            copy.members
                .push(Member { node_id: id(9), status: MemberStatus::Active, ..copy.members[1].clone() })
                .unwrap();
        }
        let (own, epoch) = (copy.members[1].clone(), copy.epoch);
        copy.recover_in_place(own.node_id, Id([9; 16])).unwrap();
        assert_eq!((copy.epoch, copy.founder().map(|founder| founder.node_id)), (epoch + 1, Some(own.node_id)));
        assert_eq!(copy.founder().map(|founder| (founder.key, founder.status)), Some((own.key, MemberStatus::Active)));
        assert!(copy.keys_of(own.node_id).any(|key| key == own.key));
    }
    assert!(cluster([1, 2, 3]).recover_in_place(id(8), Id([9; 16])).is_err());
}
