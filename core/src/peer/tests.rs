use std::boxed::Box;
use std::vec;
use std::vec::Vec as StdVec;

use super::*;
use crate::cluster::tests::{BEAT, LATER, cluster, id, member};
use crate::cluster::{Member, MemberStatus};
use crate::failure::{Cause, FailedNode, Failure, Mismatch};
use crate::few;
use crate::fields::Fields;
use crate::limits::*;
use crate::write::Writer;

mod shared;

fn written(write: impl FnOnce(&mut Writer<'_>)) -> StdVec<u8> {
    let mut buffer = vec![0; PEER_MESSAGE_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    let length = writer.finish().unwrap();
    buffer.truncate(length);
    buffer
}

/// Reads a message of which nothing may be missing and nothing left.
fn read<T>(bytes: &[u8], read: impl FnOnce(&mut Fields<'_>) -> T) -> Option<T> {
    let mut fields = Fields::new(bytes).ok()?;
    let message = read(&mut fields);
    fields.finish().ok().map(|()| message)
}

fn read_message(bytes: &[u8]) -> Option<Message> {
    read(bytes, |fields| {
        let mut message =
            Message { ask: Ask::Record, stamp: Stamp { revision: 77, ..Stamp::default() }, endpoint: None };
        message.read(fields);
        message
    })
}

fn read_answer(bytes: &[u8]) -> Option<Answer> {
    read(bytes, |fields| {
        let mut answer = Answer { word: Word::Split, down: [7, 8].into_iter().collect(), ..Answer::default() };
        answer.read(fields);
        answer
    })
}

fn stamp() -> Stamp {
    Stamp { cluster_id: Id([0xAB; 16]), epoch: u32::MAX, epoch_tag: Id([0xCD; 16]), revision: u64::MAX }
}

#[test]
fn every_message_and_every_answer_comes_back_whole_or_not_at_all() {
    for ask in Ask::ALL {
        let endpoint = (ask == Ask::Follow).then(|| "[2001:db8::1]:9443".parse().unwrap());
        let message = Message { ask, stamp: stamp(), endpoint };
        let bytes = written(|writer| message.write(writer));
        assert_eq!(read_message(&bytes), Some(message));
        assert!(few(0..bytes.len(), 29).all(|cut| read_message(&bytes[..cut]).is_none()));
    }
    let all = 0..u32::try_from(MEMBER_SLOTS_MAX).unwrap();
    for word in Word::ALL {
        for down in [0..0, 3..4, all.clone()] {
            let answer = Answer { word, stamp: stamp(), down: down.map(|uid| u32::MAX - uid).collect() };
            let bytes = written(|writer| answer.write(writer));
            assert_eq!(read_answer(&bytes), Some(answer));
            assert!(few(0..bytes.len(), 499).all(|cut| read_answer(&bytes[..cut]).is_none()));
        }
    }
    for bytes in [&b""[..], b"{}", b"null", br#"{"ask":"shout"}"#, b"\xFF"] {
        assert_eq!((read_message(bytes), read_answer(bytes)), (None, None));
    }
}

fn full<const N: usize>(fill: char) -> heapless::String<N> {
    few(0..N / fill.len_utf8(), 97).map(|_| fill).collect()
}

#[test]
fn what_a_joiner_hears_comes_back_whole_and_the_longest_of_it_fits() {
    let refused = |cause| JoinAnswer::Refused(Failure::new(cause, full::<MESSAGE_BYTES_MAX>('\u{1}')));
    let mismatch = Mismatch { setting: full('s'), cluster: full('"'), node: full('"') };
    let failed = FailedNode { uid: u32::MAX, rack_id: Some(full('r')) };
    let mut answers = vec![
        JoinAnswer::Founder("10.0.0.1:9443".parse().unwrap()),
        JoinAnswer::Founder("[2001:db8::1]:65535".parse().unwrap()),
        JoinAnswer::Welcome,
        refused(Cause::AccessDenied {}),
        refused(Cause::SocketDirectoryMismatch { expected: full('\u{1}'), actual: full('\u{1}') }),
        refused(Cause::NodeConfigMismatch { mismatches: (0..MISMATCHES_MAX).map(|_| mismatch.clone()).collect() }),
        refused(Cause::RepairRequired {
            failed_nodes: few(0..MEMBER_SLOTS_MAX, 9).map(|_| failed.clone()).collect(),
            replace_candidate: u32::MAX,
        }),
        refused(Cause::RackIdRequired { current_rack_ids: few(0..MEMBER_SLOTS_MAX, 9).map(|_| full('r')).collect() }),
        refused(Cause::TimeNotSync { skew_seconds: i64::MIN }),
        refused(Cause::ConfigError { required_rack_id: Some(full('r')) }),
    ];
    answers.extend(TriedReason::ALL.map(JoinAnswer::NotNow).to_vec());
    for answer in few(answers, 2) {
        let bytes = written(|writer| answer.write(writer));
        assert_eq!(read(&bytes, JoinAnswer::read).as_ref(), Some(&answer));
        assert!(few((0..bytes.len()).step_by(67), 97).all(|cut| read(&bytes[..cut], JoinAnswer::read).is_none()));
    }
    for bytes in [&b"{}"[..], br#"{"founder":"10.0.0.1"}"#, br#"{"not_now":"later"}"#, br#"{"welcome":1}"#] {
        assert_eq!(read(bytes, JoinAnswer::read), None);
    }
}

const FOUNDER: u32 = 1;
const MEMBER: u32 = 2;
/// Who has asked or answers.
const OTHER: u32 = 3;

/// The stamps that lead to each verdict.
fn stamps(cluster: &Cluster) -> [(Verdict, Stamp); 7] {
    let own = cluster.stamp();
    let tag = Id([0; 16]);
    [
        (Verdict::Current, own),
        (Verdict::Behind, Stamp { revision: own.revision - 1, ..own }),
        (Verdict::Ahead, Stamp { revision: own.revision + 1, ..own }),
        (Verdict::Older, Stamp { epoch: own.epoch - 1, epoch_tag: tag, revision: u64::MAX, ..own }),
        (Verdict::Newer, Stamp { epoch: own.epoch + 1, epoch_tag: tag, revision: 0, ..own }),
        (Verdict::Split, Stamp { epoch_tag: tag, ..own }),
        (Verdict::Foreign, Stamp { cluster_id: tag, ..own }),
    ]
}

/// A cluster whose founder has just started.
fn nodes() -> (Box<Cluster>, Peers) {
    (cluster([FOUNDER, MEMBER, OTHER]), Peers::new(BEAT, 5, 0))
}

/// Whether a sign of life of the node was taken.
fn met(peers: &Peers, node: u32) -> bool {
    peers.met.contains(&id(node))
}

#[test]
fn what_is_heard_is_judged_by_its_record_its_sender_and_who_hears_it() {
    use Consequence::{Follow, Nothing, Superseded};
    use Word::{Behind, Done, Gone, Outdated};
    for (own, is_founder) in [(FOUNDER, true), (MEMBER, false)] {
        // A member, one whose key is void, and one of whom nothing is known.
        for (from, is_known) in [(OTHER, true), (OTHER, false), (99, false)] {
            let (before, _) = nodes();
            for (verdict, stamp) in few(stamps(&before), 3) {
                let (mut cluster, mut peers) = nodes();
                let message = Message { ask: Ask::Beat, stamp, endpoint: None };
                let heard = peers.hear(&mut cluster, id(own), (id(from), is_known), &message, LATER);
                let expected = match (verdict, is_known, is_founder) {
                    (Verdict::Foreign, ..) | (_, false, _) => (Gone, Nothing),
                    (Verdict::Newer, true, true) => (Behind, Superseded),
                    (Verdict::Newer, true, false) => (Behind, Follow),
                    (Verdict::Older, true, _) => (Outdated, Nothing),
                    (Verdict::Split, true, _) => (Word::Split, Nothing),
                    (Verdict::Current | Verdict::Ahead | Verdict::Behind, true, _) => (Done, Nothing),
                };
                let case = (verdict, own, from, is_known);
                assert_eq!((heard.0.word, heard.1), expected, "{case:?}");
                assert_eq!(heard.0.stamp, before.stamp(), "each answer tells which record there is: {case:?}");
                let split = verdict == Verdict::Split && is_known;
                // Whoever says so: a copy that is ahead of its founder's shows that that one is old.
                let rolled_back = verdict == Verdict::Ahead && is_founder;
                let bar = split.then_some(Bar::Split).or(rolled_back.then_some(Bar::RolledBack));
                assert_eq!(peers.bar, bar, "{case:?}");
                assert_eq!(met(&peers, from), heard.0.word == Done, "{case:?}");
                assert!(*cluster == *before, "{case:?}");
            }
        }
    }
}

#[test]
fn what_is_answered_is_judged_by_its_record_its_word_and_who_asked() {
    use Consequence::{Expelled, Follow, Invite, Nothing, Superseded};
    let (cluster, _) = nodes();
    for (own, is_founder) in [(FOUNDER, true), (MEMBER, false)] {
        for word in few(Word::ALL, 4) {
            for (verdict, stamp) in stamps(&cluster) {
                let mut peers = Peers::new(BEAT, 5, 0);
                let answer = Answer { word, stamp, down: [9].into_iter().collect() };
                let consequence = peers.answered(&cluster, id(own), id(OTHER), &answer, LATER);
                let gone = word == Word::Gone;
                let expected = match verdict {
                    Verdict::Newer if is_founder => Superseded,
                    Verdict::Older if is_founder => Invite,
                    Verdict::Newer | Verdict::Ahead | Verdict::Current if gone => Expelled,
                    Verdict::Newer => Follow,
                    Verdict::Ahead if !is_founder => Follow,
                    // Who is behind, or from elsewhere, has nothing to say.
                    Verdict::Ahead
                    | Verdict::Current
                    | Verdict::Behind
                    | Verdict::Older
                    | Verdict::Foreign
                    | Verdict::Split => Nothing,
                };
                let case = (word, verdict, own);
                assert_eq!(consequence, expected, "{case:?}");
                let split = (verdict == Verdict::Split).then_some(Bar::Split);
                let rolled_back = verdict == Verdict::Ahead && is_founder && !gone;
                let bar = split.or(rolled_back.then_some(Bar::RolledBack));
                assert_eq!(peers.bar, bar, "{case:?}");
                let counts = matches!(verdict, Verdict::Ahead | Verdict::Current | Verdict::Behind) && !gone;
                assert_eq!(met(&peers, OTHER), counts, "{case:?}");
                // Nobody but the founder says who is down, and of the founder its silence does.
                let down = peers.down(&cluster, id(MEMBER), LATER);
                assert!(down.iter().all(|uid| *uid == cluster.founder_uid), "{case:?}: {down:?}");
            }
        }
    }
}

/// A founder that hears a message of a node's present record.
fn hear(cluster: &mut Cluster, own: u32, from: u32, ask: Ask) -> (Word, Consequence) {
    let message = Message { ask, stamp: cluster.stamp(), endpoint: None };
    let (answer, consequence) = Peers::new(BEAT, 5, 0).hear(cluster, id(own), (id(from), true), &message, LATER);
    (answer.word, consequence)
}

#[test]
fn only_the_founder_confirms_and_only_the_first_time_changes_anything() {
    let (mut cluster, _) = nodes();
    cluster.members.push(Member { status: MemberStatus::Provisioning, ..member(4) }).unwrap();
    assert_eq!(hear(&mut cluster, MEMBER, 4, Ask::Confirm), (Word::Elsewhere, Consequence::Nothing));
    // Its beats, hooks included, are contact and no more.
    assert_eq!(hear(&mut cluster, FOUNDER, 4, Ask::Beat), (Word::Done, Consequence::Nothing));
    assert!(!cluster.member(4).unwrap().is_active());
    let revision = cluster.revision;
    assert_eq!(hear(&mut cluster, FOUNDER, 4, Ask::Confirm), (Word::Done, Consequence::Changed));
    assert!(cluster.member(4).unwrap().is_active());
    assert_eq!(hear(&mut cluster, FOUNDER, 4, Ask::Confirm), (Word::Done, Consequence::Nothing));
    assert_eq!(cluster.revision, revision + 1);
    assert_eq!(hear(&mut cluster, FOUNDER, 99, Ask::Confirm), (Word::Gone, Consequence::Nothing));
}

#[test]
fn a_beat_of_the_old_node_cancels_its_replacement_and_no_other_message_does() {
    let replacing = || {
        let (mut cluster, _) = nodes();
        cluster.members.push(Member { uid: OTHER, status: MemberStatus::Replacing, ..member(9) }).unwrap();
        cluster
    };
    for (own, from, ask, cancels) in [
        (FOUNDER, OTHER, Ask::Beat, true),
        (FOUNDER, OTHER, Ask::Record, false),
        (FOUNDER, MEMBER, Ask::Beat, false),
        (FOUNDER, 9, Ask::Beat, false),
        (FOUNDER, 9, Ask::Record, false),
        // Only a founder writes.
        (MEMBER, OTHER, Ask::Beat, false),
    ] {
        let mut cluster = replacing();
        let expected = if cancels { Consequence::Changed } else { Consequence::Nothing };
        assert_eq!(hear(&mut cluster, own, from, ask), (Word::Done, expected), "{own} {from} {ask:?}");
        assert_eq!(cluster.member_of(id(9)).is_none(), cancels);
    }
    // The replacement confirms, and the old node is told that it is no more: by its void key.
    let mut cluster = replacing();
    assert_eq!(hear(&mut cluster, FOUNDER, 9, Ask::Confirm), (Word::Done, Consequence::Changed));
    let message = Message { ask: Ask::Beat, stamp: cluster.stamp(), endpoint: None };
    let mut peers = Peers::new(BEAT, 5, 0);
    for own in [FOUNDER, MEMBER] {
        let (answer, consequence) = peers.hear(&mut cluster, id(own), (id(OTHER), false), &message, LATER);
        assert_eq!((answer.word, consequence), (Word::Gone, Consequence::Nothing));
        let told = peers.answered(&cluster, id(OTHER), id(own), &answer, LATER);
        assert_eq!(told, Consequence::Expelled);
    }
}

#[test]
fn a_node_that_takes_its_own_place_again_does_not_cancel_that_by_its_beat() {
    let (mut cluster, _) = nodes();
    // As admission leaves it.
    let own = Member { status: MemberStatus::Replacing, key: crate::cluster::Key([0xA1; 32]), ..member(OTHER) };
    cluster.members.insert(2, own).unwrap();
    assert_eq!(hear(&mut cluster, FOUNDER, OTHER, Ask::Beat), (Word::Done, Consequence::Nothing));
    assert_eq!(hear(&mut cluster, FOUNDER, OTHER, Ask::Confirm), (Word::Done, Consequence::Changed));
    assert_eq!(cluster.members.iter().filter(|member| member.uid == OTHER).count(), 1);
}

#[test]
fn a_founder_is_ready_when_it_has_met_all_members_or_three_beats_have_passed() {
    let (mut cluster, mut peers) = nodes();
    cluster.members.push(Member { status: MemberStatus::Provisioning, ..member(4) }).unwrap();
    let ready = |peers: &Peers, cluster: &Cluster, now| peers.is_ready(cluster, id(FOUNDER), now);
    assert!(!ready(&peers, &cluster, 0) && !ready(&peers, &cluster, 3 * BEAT));
    assert!(ready(&peers, &cluster, 3 * BEAT + 1));
    // One asks, the other answers; who has not confirmed need not.
    let message = Message { ask: Ask::Beat, stamp: cluster.stamp(), endpoint: None };
    peers.hear(&mut cluster, id(FOUNDER), (id(MEMBER), true), &message, 1);
    assert!(!ready(&peers, &cluster, 1));
    let answer = Answer { stamp: cluster.stamp(), ..Answer::default() };
    assert_eq!(peers.answered(&cluster, id(FOUNDER), id(OTHER), &answer, 2), Consequence::Nothing);
    assert!(ready(&peers, &cluster, 2));
    // One of an epoch that is over was not met.
    let (mut cluster, mut peers) = nodes();
    let over = Stamp { epoch: cluster.epoch - 1, ..cluster.stamp() };
    for node in [MEMBER, OTHER] {
        let message = Message { stamp: over, ..message };
        peers.hear(&mut cluster, id(FOUNDER), (id(node), true), &message, 1);
    }
    assert!(!ready(&peers, &cluster, 1));
    // Who is alone has nobody to ask.
    let alone = crate::cluster::tests::cluster([FOUNDER]);
    assert!(ready(&Peers::new(BEAT, 5, 0), &alone, 0));
}

#[test]
fn the_founder_judges_who_is_down_and_the_others_believe_it() {
    let (mut cluster, mut founder) = nodes();
    let message = Message { ask: Ask::Beat, stamp: cluster.stamp(), endpoint: None };
    let heard = founder.hear(&mut cluster, id(FOUNDER), (id(MEMBER), true), &message, LATER);
    assert_eq!((heard.0.down.as_slice(), heard.1), (&[OTHER][..], Consequence::Nothing));
    let mut peers = Peers::new(BEAT, 5, LATER);
    let down = |peers: &Peers| peers.down(&cluster, id(MEMBER), LATER);
    assert!(down(&peers).is_empty(), "of itself a member knows nothing");
    peers.answered(&cluster, id(MEMBER), id(FOUNDER), &heard.0, LATER);
    assert_eq!(down(&peers), [OTHER]);
    // It passes on what it heard, and hears of the end of it.
    let (answer, _) = peers.hear(&mut cluster.clone(), id(MEMBER), (id(OTHER), true), &message, LATER);
    assert_eq!(answer.down, [OTHER]);
    // That the founder is silent it finds by itself.
    assert_eq!(peers.down(&cluster, id(MEMBER), LATER + 3 * BEAT), [OTHER]);
    assert_eq!(peers.down(&cluster, id(MEMBER), LATER + 3 * BEAT + 1), [OTHER, FOUNDER]);
    // Unless it was asleep itself.
    let mut asleep = peers.clone();
    asleep.liveness.look(LATER + 9 * BEAT);
    assert_eq!(asleep.down(&cluster, id(MEMBER), LATER + 9 * BEAT), [OTHER]);
    assert_eq!(asleep.down(&cluster, id(MEMBER), LATER + 12 * BEAT + 1), [OTHER, FOUNDER]);
    peers.answered(&cluster, id(MEMBER), id(FOUNDER), &Answer { down: Vec::new(), ..heard.0 }, LATER);
    assert!(down(&peers).is_empty());
}

#[test]
fn a_founder_that_admits_nobody_changes_nothing() {
    let (mut cluster, mut peers) = nodes();
    cluster.members.push(Member { status: MemberStatus::Provisioning, ..member(4) }).unwrap();
    let late = LATER + 60_001;
    assert!(peers.is_to_lapse(&cluster, id(FOUNDER), late) && !peers.is_to_lapse(&cluster, id(MEMBER), late));
    let ahead = Stamp { revision: cluster.revision + 1, ..cluster.stamp() };
    let beat = Message { ask: Ask::Beat, stamp: ahead, endpoint: None };
    peers.hear(&mut cluster, id(FOUNDER), (id(MEMBER), true), &beat, LATER);
    assert_eq!(peers.bar, Some(Bar::RolledBack));
    assert!(!peers.is_to_lapse(&cluster, id(FOUNDER), late));
    // Nor does it know anybody as a member who was not one.
    let before = cluster.clone();
    let confirm = Message { ask: Ask::Confirm, stamp: cluster.stamp(), endpoint: None };
    let (answer, consequence) = peers.hear(&mut cluster, id(FOUNDER), (id(4), true), &confirm, LATER);
    assert_eq!((answer.word, consequence, &cluster), (Word::Elsewhere, Consequence::Nothing, &before));
    // A recovery begins another epoch, and with it this is over.
    peers.has_kept(&cluster, cluster.epoch, late);
    assert!(peers.bar.is_some() && peers.silence(&cluster, id(MEMBER), late).is_some());
    peers.has_kept(&cluster, cluster.epoch - 1, late);
    assert!(peers.bar.is_none() && peers.silence(&cluster, id(MEMBER), late).is_none());
}

#[test]
fn an_invitation_moves_whoever_is_in_an_epoch_that_is_over_and_nobody_else() {
    let (cluster, _) = nodes();
    for (verdict, stamp) in stamps(&cluster) {
        let expected = |consequence| if verdict == Verdict::Newer { consequence } else { Consequence::Nothing };
        assert_eq!(Peers::invited(&cluster, id(MEMBER), &stamp), expected(Consequence::Follow), "{verdict:?}");
        assert_eq!(Peers::invited(&cluster, id(FOUNDER), &stamp), expected(Consequence::Superseded), "{verdict:?}");
    }
}

#[test]
fn a_joiner_asks_the_founder_most_of_the_time_and_each_of_the_others_in_its_turn() {
    let (mut cluster, mut peers) = nodes();
    cluster.members[1].status = MemberStatus::Provisioning;
    let own = id(OTHER);
    let asked: StdVec<Id> = (0..16).map(|_| peers.confirmation(&cluster, own).unwrap()).collect();
    let founder = cluster.founder().unwrap().node_id;
    assert_eq!(asked.iter().filter(|to| **to == founder).count(), 12);
    for other in cluster.members.iter().filter(|other| other.node_id != own && other.node_id != founder) {
        assert!(asked.contains(&other.node_id), "uid {}", other.uid);
    }
    cluster.members.truncate(1);
    assert!((0..8).all(|_| peers.confirmation(&cluster, own) == Some(founder)), "there is nobody else");
}

#[test]
fn a_joiner_takes_the_record_of_a_later_epoch_that_knows_it() {
    let (cluster, _) = nodes();
    for (verdict, stamp) in stamps(&cluster) {
        for word in Word::ALL {
            let answer = Answer { word, stamp, ..Answer::default() };
            let expected = word == Word::Outdated && verdict == Verdict::Newer;
            assert_eq!(Peers::is_overtaken(&cluster, &answer), expected, "{word:?} {verdict:?}");
        }
    }
}
