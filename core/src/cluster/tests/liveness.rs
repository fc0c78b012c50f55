//! Who counts as down, and when.

use super::*;

#[test]
fn a_member_is_down_when_more_than_three_beats_have_passed() {
    let cluster = cluster([1, 2, 3]);
    let mut liveness = Liveness::new(BEAT, 1_000);
    // Everybody counts as alive for three beats after the start.
    assert!(cluster.down(&liveness, 1_000 + 3 * BEAT).is_empty());
    assert!(!liveness.is_settled(1_000 + 3 * BEAT) && liveness.is_settled(1_001 + 3 * BEAT));
    assert_eq!(cluster.down(&liveness, 1_001 + 3 * BEAT), [2, 3], "never the founder, who judges");
    liveness.hear(id(2), 20_000);
    assert_eq!(cluster.down(&liveness, 20_000), [3]);
    assert_eq!(cluster.down(&liveness, 20_000 + 3 * BEAT), [3]);
    assert_eq!(cluster.down(&liveness, 20_001 + 3 * BEAT), [2, 3]);
    // A clock that seems to go back harms nobody.
    assert!(cluster.down(&liveness, 0).is_empty());
}

#[test]
fn a_founder_that_stalled_counts_everybody_as_alive_for_three_beats() {
    let cluster = cluster([1, 2, 3]);
    for (pause, stalled) in [(BEAT, false), (2 * BEAT, false), (2 * BEAT + 1, true), (1_000 * BEAT, true)] {
        let mut liveness = Liveness::new(BEAT, 0);
        let before = 10 * BEAT;
        (1..=10).for_each(|beat| liveness.look(beat * BEAT));
        assert_eq!(cluster.down(&liveness, before), [2, 3]);
        liveness.look(before + pause);
        assert_eq!(cluster.down(&liveness, before + pause).is_empty(), stalled, "{pause}");
        assert_eq!(liveness.is_settled(before + pause), !stalled, "{pause}");
        (1..=3).for_each(|beat| liveness.look(before + pause + beat * BEAT));
        assert_eq!(cluster.down(&liveness, before + pause + 3 * BEAT).is_empty(), stalled, "{pause}");
        assert_eq!(cluster.down(&liveness, before + pause + 3 * BEAT + 1), [2, 3]);
    }
}

#[test]
fn a_node_that_has_not_confirmed_lapses_and_is_never_down() {
    let mut cluster = cluster([1, 2]);
    let mut liveness = Liveness::new(BEAT, 0);
    liveness.hear(id(2), LATER);
    for (status, lapses) in
        [(MemberStatus::Active, false), (MemberStatus::Provisioning, true), (MemberStatus::Replacing, true)]
    {
        cluster.members[1].status = status;
        assert!(!liveness.has_lapsed(&cluster.members[1], LATER + 60_000));
        assert_eq!(liveness.has_lapsed(&cluster.members[1], LATER + 60_001), lapses, "{status:?}");
        assert_eq!(cluster.down(&liveness, u64::MAX).is_empty(), lapses, "{status:?}");
    }
}

#[test]
fn of_too_many_nodes_the_latest_are_remembered() {
    let mut liveness = Liveness::new(BEAT, 0);
    let nodes = u32::try_from(MEMBER_SLOTS_MAX).unwrap() + 1;
    let cluster = cluster([1, 2, nodes]);
    // Number 2 is the one that was not heard of for longest.
    for node in (2..=nodes).chain([200]) {
        liveness.hear(id(node), LATER + u64::from(node));
    }
    assert_eq!(cluster.down(&liveness, LATER + u64::from(nodes)), [2]);
}
