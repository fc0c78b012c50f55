//! Members whose record is in a store that all of them share.

use super::*;
use crate::cluster::MemberStatus;

fn sharing() -> Shared {
    Shared::new(5, 0)
}

/// A newer record of the same cluster.
fn later(cluster: &Cluster) -> std::boxed::Box<Cluster> {
    let mut later = std::boxed::Box::new(cluster.clone());
    later.revision += 1;
    later
}

#[test]
fn who_has_a_lease_is_there_the_founder_as_well_as_any() {
    let cluster = cluster([1, 2, 3]);
    let mut shared = sharing();
    // Before anything was seen nobody is dead.
    assert_eq!(shared.down(&cluster, 0).count(), 0);
    shared.see(&cluster, &[id(2)], 1_000);
    assert_eq!(shared.down(&cluster, 1_000).collect::<StdVec<_>>(), [1, 3]);
    shared.see(&cluster, &[id(1), id(2), id(3)], 2_000);
    assert_eq!(shared.down(&cluster, 2_000).count(), 0);
}

#[test]
fn one_that_has_not_confirmed_has_a_minute_from_when_it_was_seen_first_or_was_there_last() {
    let mut cluster = cluster([1, 2]);
    cluster.members[1].status = MemberStatus::Provisioning;
    let mut shared = sharing();
    // This member has run for a long time.
    shared.see(&cluster, &[id(1)], 1_000_000);
    assert!(!shared.beat(&mut cluster, id(1), 1_060_000));
    shared.see(&cluster, &[id(1), id(2)], 1_060_000);
    shared.see(&cluster, &[id(1)], 1_100_000);
    assert!(!shared.beat(&mut cluster, id(1), 1_120_000));
    // Admitted anew, it has another key and another minute.
    cluster.members[1].key = Key([9; 32]);
    shared.see(&cluster, &[id(1)], 1_130_000);
    assert!(!shared.beat(&mut cluster, id(1), 1_190_000));
    assert!(shared.beat(&mut cluster, id(1), 1_190_001));
    assert_eq!((cluster.members.len(), cluster.retired.len()), (1, 1));
}

#[test]
fn nobody_replaces_a_member_that_is_there() {
    let mut cluster = cluster([1, 2]);
    let replacement = Member { uid: 2, status: MemberStatus::Replacing, ..member(9) };
    cluster.members.push(replacement).unwrap();
    let mut shared = sharing();
    shared.see(&cluster, &[id(1), id(2)], 1_000);
    assert!(!shared.beat(&mut cluster, id(1), 1_000), "that is its own to say");
    assert!(shared.beat(&mut cluster, id(2), 1_000));
    assert_eq!(cluster.members.len(), 2);
}

#[test]
fn what_the_store_has_is_followed_only_forward() {
    let copy = cluster([1, 2]);
    let judge = |stored: &Cluster| Shared::judge(&copy, id(2), stored);
    assert_eq!(judge(&copy), Sight::Same);
    assert_eq!(judge(&later(&copy)), Sight::Newer);
    let mut without = later(&copy);
    without.members.pop();
    assert_eq!(judge(&without), Sight::Expelled);
    let mut replaced = later(&copy);
    replaced.members[1].key = Key([9; 32]);
    assert_eq!(judge(&replaced), Sight::Expelled);
    assert_eq!(Shared::judge(&later(&copy), id(2), &copy), Sight::Barred(Bar::RolledBack));
    let mut older = later(&copy);
    older.epoch -= 1;
    assert_eq!(judge(&older), Sight::Barred(Bar::RolledBack));
    let mut split = later(&copy);
    split.epoch_tag = crate::record::Id([7; 16]);
    assert_eq!(judge(&split), Sight::Barred(Bar::Split));
    let mut foreign = later(&copy);
    foreign.cluster_id = crate::record::Id([7; 16]);
    assert_eq!(judge(&foreign), Sight::Barred(Bar::Split));
}

#[test]
fn a_confirmation_is_done_once_and_again_and_not_for_whom_nobody_knows() {
    let mut adopted = cluster([1, 2]);
    adopted.members[1].status = MemberStatus::Provisioning;
    let mut stored = later(&adopted);
    let before = stored.revision;
    assert_eq!(Shared::confirm(&mut stored, &adopted, id(2)), Confirmed::Done);
    assert_eq!((stored.revision, stored.members[1].is_active()), (before + 1, true));
    assert_eq!(Shared::confirm(&mut stored, &adopted, id(2)), Confirmed::Done);
    assert_eq!(stored.revision, before + 1, "the second time changes nothing");
    // Lapsed, or admitted again with another key.
    let mut without = later(&adopted);
    without.members.pop();
    assert_eq!(Shared::confirm(&mut without, &adopted, id(2)), Confirmed::Unknown);
    let mut again = later(&adopted);
    again.members[1].key = Key([9; 32]);
    assert_eq!(Shared::confirm(&mut again, &adopted, id(2)), Confirmed::Unknown);
    // A copy from before its admission says nothing.
    let mut old = later(&adopted);
    old.revision = adopted.revision - 1;
    assert_eq!(Shared::confirm(&mut old, &adopted, id(2)), Confirmed::Unanswered);
}

#[test]
fn a_founder_finds_its_own_cluster_there_or_another_ones() {
    let founded = cluster([1]);
    assert_eq!(Shared::confirm(&mut founded.clone(), &founded, id(1)), Confirmed::Done);
    let mut split = later(&founded);
    split.epoch_tag = crate::record::Id([7; 16]);
    assert_eq!(Shared::confirm(&mut split, &founded, id(1)), Confirmed::Unknown);
    let mut newer = later(&founded);
    newer.epoch += 1;
    assert_eq!(Shared::confirm(&mut newer, &founded, id(1)), Confirmed::Unknown);
}
