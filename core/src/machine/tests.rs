use std::boxed::Box;
use std::string::{String as StdString, ToString as _};
use std::vec::Vec as StdVec;
use std::{format, vec};

use heapless::String;
use serde_json::{Value, json};

use super::Effect::{Adopt, CheckPaths, Confirm, Found, Persist, ReadRecovery, VerifyLicense};
use super::*;
use crate::cluster::{HashCost, Key, PasswordHash, Registration, Seed};
use crate::failure::Violation;
use crate::few;
use crate::limits::{NODE_RECORD_BYTES_MAX, OPAQUE_FILE_BYTES, OPAQUE_SETUP_BYTES};
use crate::node::Address;
use crate::record::NodeRecord;
use crate::status::{self, State};
use crate::write::Writer;

mod join;
mod sequences;

mod shared;

const CREATE: &str = r#"{"cluster":{"name":"c"},"credentials":{"username":"u","password":"p"}}"#;
const LICENSED: &str = r#"{"cluster":{"name":"c"},"credentials":{"username":"u","password":"p"},"license":"l"}"#;
/// One node to contact, and one more round.
const JOIN: &str = r#"{"cluster":{"nodes":["10.0.0.9"]},"credentials":{"username":"u","password":"p"},"max_retries":1,"retry_time":7}"#;
const RECOVER: &str = r#"{"recovery_filename":"f"}"#;
const BAD: &str = r#"{"cluster":{"name":"-"}}"#;
const NODE: Id = Id([7; 16]);

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn defaults() -> Paths {
    Paths {
        persistent: "/d/p".try_into().unwrap(),
        ephemeral: "/d/e".try_into().unwrap(),
        bigstore: "/d/b".try_into().unwrap(),
        ccs: String::new(),
    }
}

fn facts() -> NodeInfo {
    let mut facts = NodeInfo::default();
    let address = Address { address: "10.0.0.1".parse().unwrap(), interface: "eth0".try_into().unwrap() };
    facts.addresses.push(address).unwrap();
    facts
}

#[expect(clippy::unnecessary_wraps, reason = "it stands among paths that are not asked for")]
fn file(inode: u64) -> Option<Result<FileId, PathTrouble>> {
    Some(Ok(FileId { device: 1, inode }))
}

fn good_paths() -> PathsFound {
    found([file(1), file(2), None, None])
}

fn found(found: [Option<Result<FileId, PathTrouble>>; 4]) -> PathsFound {
    PathsFound { found, flash: None }
}

fn trouble() -> Trouble {
    "no space left on device".try_into().unwrap()
}

fn membership() -> Membership {
    Membership { cluster_id: Id([9; 16]), epoch: 1, uid: 1 }
}

fn new() -> Box<Machine> {
    let mut machine = Box::<Machine>::default();
    machine.identify(NODE, &defaults());
    machine
}

/// What a status shows and a record keeps, and the version that says whether to look again.
fn validator(machine: &Machine) -> Box<Machine> {
    let mut validator = Box::<Machine>::default();
    validator.validate_for(machine);
    validator
}

fn snapshot(machine: &mut Machine) -> (State, u64, StdString, Value) {
    (machine.state(), machine.version(), status_of(machine), record_of(machine))
}

fn status_of(machine: &Machine) -> StdString {
    let mut buffer = vec![0; 16_384];
    let mut writer = Writer::new(&mut buffer);
    status::write_bootstrap_status(machine, &mut writer);
    let length = writer.finish().unwrap();
    StdString::from_utf8(buffer[..length].to_vec()).unwrap()
}

/// The record's JSON, without the number that grows with every encoding.
fn record_of(machine: &mut Machine) -> Value {
    let record = encoded(machine);
    let text = std::str::from_utf8(&record).unwrap();
    let mut value: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    value.as_object_mut().unwrap().remove("revision").unwrap();
    value
}

fn encoded(machine: &mut Machine) -> StdVec<u8> {
    let mut buffer = vec![0; NODE_RECORD_BYTES_MAX];
    let length = machine.encode(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

fn restored(bytes: &[u8], now: Timestamp) -> Box<Machine> {
    let mut record = Box::<NodeRecord>::default();
    crate::record::decode(bytes, &mut *record).unwrap();
    let mut machine = Box::<Machine>::default();
    machine.restore(&record, &defaults(), now);
    machine
}

fn code(machine: &Machine) -> Option<&'static str> {
    machine.failure().map(|failure| failure.cause.code())
}

/// The event of an effect that went well.
fn success(effect: Effect) -> Event {
    match effect {
        Effect::Persist => Event::Persisted(Ok(())),
        Effect::CheckPaths => Event::PathsChecked(good_paths()),
        Effect::VerifyLicense => Event::LicenseVerified(Ok(Terms::trial(at(0)))),
        Effect::CheckStore => Event::StoreChecked(StoreChecked::Empty),
        Effect::Found => Event::Founded(Ok(membership())),
        Effect::Contact { .. } => Event::Contacted(Contacted::Admitted(membership())),
        Effect::Wait { .. } => Event::Waited,
        Effect::ReadRecovery => Event::RecoveryRead(Ok(membership())),
        Effect::Adopt => Event::Adopted(Ok(())),
        Effect::Confirm => Event::Confirmed(Confirmed::Done),
        Effect::Discard => Event::Discarded(Ok(())),
    }
}

/// The event of an effect that did not; time always goes by.
fn failure(effect: Effect) -> Event {
    match effect {
        Effect::Persist => Event::Persisted(Err(trouble())),
        Effect::CheckPaths => Event::PathsChecked(found([Some(Err(PathTrouble::Missing)); 4])),
        Effect::VerifyLicense => Event::LicenseVerified(Err(Violation::BadSignature)),
        Effect::CheckStore => Event::StoreChecked(StoreChecked::Taken),
        Effect::Found => Event::Founded(Err(trouble())),
        Effect::Contact { .. } => Event::Contacted(Contacted::Failed(TriedReason::Refused)),
        Effect::Wait { .. } => Event::Waited,
        Effect::ReadRecovery => Event::RecoveryRead(Err(Failure::new(Cause::PathError {}, "no such file"))),
        Effect::Adopt => Event::Adopted(Err(trouble())),
        Effect::Confirm => Event::Confirmed(Confirmed::Unknown),
        Effect::Discard => Event::Discarded(Err(trouble())),
    }
}

const EFFECTS: [Effect; 11] = [
    Effect::Persist,
    Effect::CheckPaths,
    Effect::VerifyLicense,
    Effect::CheckStore,
    Effect::Found,
    Effect::Contact { node: 0 },
    Effect::Wait { seconds: 7 },
    Effect::ReadRecovery,
    Effect::Adopt,
    Effect::Confirm,
    Effect::Discard,
];

/// Every event, with the effect that it belongs to.
fn events() -> StdVec<(Effect, Event)> {
    let both = |kind| [success as fn(Effect) -> Event, failure].into_iter().map(move |went| (kind, went(kind)));
    let mut events: StdVec<_> = EFFECTS.into_iter().flat_map(both).collect();
    let refusal = Failure::new(Cause::AccessDenied {}, "no");
    events.push((Effect::Contact { node: 0 }, Event::Contacted(Contacted::Refused(refusal))));
    events.push((Effect::Confirm, Event::Confirmed(Confirmed::Unanswered)));
    events
}

fn is_of_kind(effect: Option<Effect>, kind: Effect) -> bool {
    effect.is_some_and(|effect| std::mem::discriminant(&effect) == std::mem::discriminant(&kind))
}

const CREATING: Action = Action::CreateCluster;
const JOINING: Action = Action::JoinCluster;
const RECOVERING: Action = Action::RecoverCluster;

fn body_of(action: Action) -> &'static [u8] {
    match action {
        CREATING => LICENSED.as_bytes(),
        JOINING => JOIN.as_bytes(),
        RECOVERING => RECOVER.as_bytes(),
    }
}

/// A machine with an attempt whose effects so far went as told; the effect under way comes with it.
fn driven(mut machine: Box<Machine>, action: Action, went: &[bool]) -> (Box<Machine>, Option<Effect>) {
    let facts = facts();
    let mut effect = Some(machine.start(action, body_of(action), at(100)).unwrap());
    for good in went {
        let under_way = effect.unwrap();
        let event = if *good { success(under_way) } else { failure(under_way) };
        effect = machine.handle(event, &facts, at(200));
    }
    (machine, effect)
}

fn refused() -> Box<Machine> {
    let mut machine = new();
    assert_eq!(machine.start(Action::CreateCluster, BAD.as_bytes(), at(50)), Err(Refusal::Config));
    machine
}

fn being_expelled() -> (Box<Machine>, Option<Effect>) {
    let mut machine = completed();
    let effect = machine.expel("why", at(250));
    (machine, effect)
}

fn expelled() -> Box<Machine> {
    let mut machine = being_expelled().0;
    assert_eq!(machine.handle(success(Persist), &facts(), at(260)), None);
    machine
}

/// A joiner that was restarted after it had made the record its own.
fn adopted() -> (Box<Machine>, Option<Effect>) {
    let (mut machine, _) = driven(new(), JOINING, &[T; 4]);
    let machine = restored(&encoded(&mut machine), at(300));
    let effect = machine.resume();
    (machine, effect)
}

const T: bool = true;
const F: bool = false;

/// How to get to a phase: a machine, how the effects of an attempt of it went, whether another one is under way then,
/// and the state that is shown.
type Way = (fn() -> (Box<Machine>, Option<Effect>), Option<(Action, &'static [bool])>, bool, State);

fn completed() -> Box<Machine> {
    driven(new(), CREATING, &[T; 6]).0
}

/// After a failed attempt whose record could not be removed.
fn with_leftover() -> Box<Machine> {
    let (mut machine, effect) = driven(new(), CREATING, &[T, T, T, T, F]);
    assert_eq!(effect, Some(Effect::Discard));
    assert_eq!(machine.handle(failure(Effect::Discard), &facts(), at(300)), None);
    machine
}

/// Every phase.
const PHASES: [Way; 49] = [
    (|| (new(), None), None, false, State::Idle),
    (|| (refused(), None), None, false, State::Error),
    (|| (expelled(), None), None, false, State::Error),
    (|| (completed(), None), None, false, State::Completed),
    (being_expelled, None, true, State::Completed),
    (adopted, None, true, State::JoiningCluster),
    (|| (new(), None), Some((CREATING, &[F])), false, State::Idle),
    (|| (new(), None), Some((CREATING, &[])), true, State::Idle),
    (|| (refused(), None), Some((JOINING, &[])), true, State::Error),
    (|| (expelled(), None), Some((RECOVERING, &[])), true, State::Error),
    (|| (new(), None), Some((CREATING, &[T])), true, State::Initiated),
    (|| (new(), None), Some((CREATING, &[T, T])), true, State::Initiated),
    (|| (new(), None), Some((CREATING, &[T, T, T])), true, State::CreatingCluster),
    (|| (new(), None), Some((CREATING, &[T, T, T, T])), true, State::CreatingCluster),
    (|| (new(), None), Some((CREATING, &[T, T, T, T, T])), true, State::CreatingCluster),
    // What an attempt before has left is being taken back first.
    (|| (with_leftover(), None), Some((CREATING, &[])), true, State::Error),
    (|| (with_leftover(), None), Some((CREATING, &[T])), true, State::Error),
    // Failing before the work, in it, and after the cluster's record was written; then taking that back.
    (|| (new(), None), Some((CREATING, &[T, F])), true, State::Initiated),
    (|| (new(), None), Some((CREATING, &[T, T, T, F])), true, State::CreatingCluster),
    (|| (new(), None), Some((CREATING, &[T, T, T, T, F])), true, State::CreatingCluster),
    (|| (new(), None), Some((CREATING, &[T, T, T, T, T, F])), true, State::CreatingCluster),
    (|| (new(), None), Some((CREATING, &[T, T, T, T, F, T])), true, State::CreatingCluster),
    // Joining: asking, waiting, asking again; admitted, adopting, keeping, confirming, completing.
    (|| (new(), None), Some((JOINING, &[T])), true, State::Initiated),
    (|| (new(), None), Some((JOINING, &[T, T])), true, State::JoiningCluster),
    (|| (new(), None), Some((JOINING, &[T, T, F])), true, State::JoiningCluster),
    (|| (new(), None), Some((JOINING, &[T, T, F, T])), true, State::JoiningCluster),
    (|| (new(), None), Some((JOINING, &[T, T, T])), true, State::JoiningCluster),
    (|| (new(), None), Some((JOINING, &[T, T, T, T])), true, State::JoiningCluster),
    (|| (expelled(), None), Some((JOINING, &[T, T, T, T, T])), true, State::JoiningCluster),
    (|| (new(), None), Some((JOINING, &[T, T, T, T, T])), true, State::JoiningCluster),
    (|| (new(), None), Some((JOINING, &[T, T, T, T, T, T])), true, State::JoiningCluster),
    // What cannot be completed on disk is confirmed again.
    (|| (new(), None), Some((JOINING, &[T, T, T, T, T, T, F])), true, State::JoiningCluster),
    // Failing: paths, all rounds used up, adopting, keeping, unknown; then taking that back.
    (|| (new(), None), Some((JOINING, &[T, F])), true, State::Initiated),
    (|| (new(), None), Some((JOINING, &[T, T, F, T, F])), true, State::JoiningCluster),
    (|| (new(), None), Some((JOINING, &[T, T, T, F])), true, State::JoiningCluster),
    (|| (new(), None), Some((JOINING, &[T, T, T, T, F])), true, State::JoiningCluster),
    (|| (new(), None), Some((JOINING, &[T, T, T, T, T, F])), true, State::JoiningCluster),
    (|| (new(), None), Some((JOINING, &[T, T, T, T, T, F, T])), true, State::JoiningCluster),
    (|| (new(), None), Some((JOINING, &[T, T, T, T, T, F, T, T])), true, State::JoiningCluster),
    (|| (new(), None), Some((JOINING, &[T, T, T, T, T, F, F])), false, State::Error),
    (|| (new(), None), Some((RECOVERING, &[T])), true, State::Initiated),
    (|| (new(), None), Some((RECOVERING, &[T, T])), true, State::RecoveringCluster),
    (|| (new(), None), Some((RECOVERING, &[T, T, T])), true, State::RecoveringCluster),
    (|| (new(), None), Some((RECOVERING, &[T, T, T, T])), true, State::RecoveringCluster),
    (|| (new(), None), Some((RECOVERING, &[T, F])), true, State::Initiated),
    (|| (new(), None), Some((RECOVERING, &[T, T, F])), true, State::RecoveringCluster),
    (|| (new(), None), Some((RECOVERING, &[T, T, T, F])), true, State::RecoveringCluster),
    (|| (new(), None), Some((RECOVERING, &[T, T, T, T, F])), true, State::RecoveringCluster),
    (|| (new(), None), Some((RECOVERING, &[T, T, T, T, F, T])), true, State::RecoveringCluster),
];

fn reached((at_rest, went, under_way, state): Way) -> (Box<Machine>, Option<Effect>) {
    let (machine, effect) = at_rest();
    let (machine, effect) = match went {
        Some((action, went)) => driven(machine, action, went),
        None => (machine, effect),
    };
    assert_eq!((effect.is_some(), machine.state()), (under_way, state), "{went:?}");
    (machine, effect)
}

#[test]
fn an_event_that_does_not_belong_changes_nothing() {
    let cases = PHASES.into_iter().flat_map(|way| events().into_iter().map(move |event| (way, event)));
    for (way, (kind, event)) in few(cases, 97) {
        let (mut machine, effect) = reached(way);
        let before = snapshot(&mut machine);
        let phase = machine.phase;
        let case = format!("{phase:?} {event:?}");
        let unanswered = matches!(event, Event::Confirmed(Confirmed::Unanswered));
        let next = machine.handle(event, &facts(), at(300));
        if !is_of_kind(effect, kind) {
            assert_eq!((next, machine.phase), (None, phase), "{case}");
            assert_eq!(snapshot(&mut machine), before, "{case}");
        } else if unanswered {
            assert_eq!((next, machine.phase), (Some(Confirm), phase), "{case}");
        } else {
            assert_ne!(machine.phase, phase, "{case}");
            let sent_away = way.3 == State::Completed && machine.is_expelled();
            assert!(before.0.leads_to(machine.state(), sent_away), "{case} {:?}", machine.state());
            assert_eq!(next.is_none(), matches!(machine.phase, Phase::AtRest(_)), "{case}");
        }
    }
}

#[test]
fn only_a_cluster_that_the_node_is_in_can_send_it_away() {
    for way in few(PHASES, 5) {
        let (mut machine, _) = reached(way);
        let before = snapshot(&mut machine);
        let effect = machine.expel("why", at(300));
        if machine.phase == (Phase::Failing { from: State::Completed }) && effect.is_some() {
            assert_eq!((before.0, effect), (State::Completed, Some(Persist)));
            // Until it is durable nobody hears of it.
            assert_eq!((machine.state(), machine.membership()), (State::Completed, Some(membership())));
            assert_eq!(machine.handle(success(Persist), &facts(), at(300)), None);
            assert_eq!((machine.state(), code(&machine)), (State::Error, Some("internal_error")));
            assert_eq!(machine.failure().unwrap().message, "why");
        } else {
            assert_eq!((effect, snapshot(&mut machine)), (None, before));
        }
    }
}

#[test]
fn an_attempt_starts_only_where_none_runs_and_no_cluster_is() {
    let bodies = [(CREATING, CREATE), (JOINING, JOIN), (RECOVERING, RECOVER), (CREATING, BAD)];
    let cases = PHASES.into_iter().flat_map(|way| bodies.map(|body| (way, body)));
    for (way, (action, body)) in few(cases, 37) {
        let (mut machine, effect) = reached(way);
        let before = snapshot(&mut machine);
        let phase = machine.phase;
        let expelled = machine.is_expelled();
        let free = match (effect, before.0) {
            (Some(_), _) => Err(Refusal::InProgress),
            (None, State::Completed) => Err(Refusal::Member),
            (None, _) => Ok(()),
        };
        assert_eq!(machine.check_free(), free, "{phase:?}");
        let expected = free.and(if body == BAD { Err(Refusal::Config) } else { Ok(Effect::Persist) });
        assert_eq!(machine.start(action, body.as_bytes(), at(300)), expected, "{phase:?}");
        match expected {
            Err(Refusal::Config) => {
                assert_eq!((machine.state(), code(&machine)), (State::Error, Some("config_error")));
                assert_ne!(machine.version(), before.1);
                assert_eq!(machine.is_expelled(), expelled, "a bad body opens no door");
            }
            // Until the attempt is durable nobody hears of it.
            Ok(_) => assert_eq!((machine.state(), status_of(&machine)), (before.0, before.2)),
            Err(Refusal::InProgress | Refusal::Member) => assert_eq!(snapshot(&mut machine), before, "{phase:?}"),
        }
    }
}

#[test]
fn the_effects_come_in_their_order() {
    let contact = Effect::Contact { node: 0 };
    for (action, expected) in [
        (CREATING, &[Persist, CheckPaths, VerifyLicense, Found, Adopt, Persist][..]),
        (JOINING, &[Persist, CheckPaths, contact, Adopt, Persist, Confirm, Persist]),
        (RECOVERING, &[Persist, CheckPaths, ReadRecovery, Adopt, Persist]),
    ] {
        let mut machine = new();
        let mut next = Some(machine.start(action, body_of(action), at(100)).unwrap());
        let mut seen = vec![];
        while let Some(effect) = next {
            seen.push(effect);
            next = machine.handle(success(effect), &facts(), at(200));
        }
        assert_eq!(seen, expected);
        assert_eq!((machine.state(), machine.membership()), (State::Completed, Some(membership())));
        assert_eq!((machine.start_time(), machine.end_time()), (Some(at(100)), Some(at(200))));
        assert!(machine.is_member() && machine.config().credentials.password.is_empty());
    }
}

#[test]
fn a_cluster_record_that_was_written_is_taken_back_and_no_other() {
    let ways = [
        (CREATING, &[T, F][..], false),
        (CREATING, &[T, T, F], false),
        (CREATING, &[T, T, T, F], false),
        (CREATING, &[T, T, T, T, F], true),
        (CREATING, &[T, T, T, T, T, F], true),
        (JOINING, &[T, F], false),
        (JOINING, &[T, T, F, T, F], false),
        (JOINING, &[T, T, T, F], true),
        (JOINING, &[T, T, T, T, F], true),
        (JOINING, &[T, T, T, T, T, F, T], true),
        (RECOVERING, &[T, F], false),
        (RECOVERING, &[T, T, F], false),
        (RECOVERING, &[T, T, T, F], true),
        (RECOVERING, &[T, T, T, T, F], true),
    ];
    for (action, went, discards) in few(ways, 4) {
        for saved in [T, F] {
            let (mut machine, effect) = driven(new(), action, went);
            if discards {
                assert_eq!(effect, Some(Effect::Discard), "{action:?} {went:?}");
                // Until it is gone, a restart must find an attempt to clean up after.
                assert_eq!(record_of(&mut machine)["standing"], "attempt");
                let next = machine.handle(success(Effect::Discard), &facts(), at(300));
                assert_eq!(next, Some(Effect::Persist));
            } else {
                assert_eq!(effect, Some(Effect::Persist), "{action:?} {went:?}");
            }
            assert_eq!(record_of(&mut machine)["standing"], "failed");
            let persisted = if saved { success(Effect::Persist) } else { failure(Effect::Persist) };
            assert_eq!(machine.handle(persisted, &facts(), at(300)), None);
            assert_eq!((machine.state(), machine.membership()), (State::Error, None));
            assert!(machine.config().credentials.password.is_empty(), "secrets go with the attempt");
        }
    }
}

#[test]
fn what_cannot_be_taken_back_is_taken_back_before_anything_else() {
    let mut machine = with_leftover();
    assert_eq!((machine.state(), code(&machine)), (State::Error, Some("internal_error")));

    let body =
        CREATE.replace("\"cluster\"", "\"node\":{\"paths\":{\"ccs_persistent_path\":\"/elsewhere\"}},\"cluster\"");
    let start = |machine: &mut Machine| machine.start(Action::CreateCluster, body.as_bytes(), at(400)).unwrap();
    for went in [&[F][..], &[T, F]] {
        assert_eq!(start(&mut machine), Effect::Persist);
        let mut effect = Some(Effect::Persist);
        for good in went {
            assert!(machine.is_accepting());
            assert_eq!(record_of(&mut machine)["standing"], "attempt", "a restart removes it, too");
            assert_ne!(machine.path(PathRole::Ccs), "/elsewhere", "it lies where it was");
            let event = if *good { success(effect.unwrap()) } else { failure(effect.unwrap()) };
            effect = machine.handle(event, &facts(), at(400));
        }
        assert_eq!((effect, machine.state(), machine.is_accepting()), (None, State::Error, false));
        assert!(machine.config().credentials.password.is_empty(), "secrets go with the attempt");
    }
    assert_eq!(start(&mut machine), Effect::Persist);
    assert_eq!(machine.handle(success(Effect::Persist), &facts(), at(400)), Some(Effect::Discard));
    assert_eq!(machine.handle(success(Effect::Discard), &facts(), at(400)), Some(Effect::Persist));
    assert_eq!(machine.path(PathRole::Ccs), "/elsewhere");
    assert!(machine.is_accepting());
    assert_eq!(machine.handle(success(Effect::Persist), &facts(), at(400)), Some(Effect::CheckPaths));
    assert!(!machine.is_accepting());
}

#[test]
fn a_node_that_was_sent_away_stays_closed_until_it_is_in_a_cluster_again() {
    let ways: [(Action, &[bool]); 16] = [
        (CREATING, &[F]),
        (CREATING, &[T, F, T]),
        (CREATING, &[T, F, F]),
        (CREATING, &[T, T, F, T]),
        (CREATING, &[T, T, T, F, T]),
        (CREATING, &[T, T, T, T, F, T, T]),
        (CREATING, &[T, T, T, T, F, F]),
        (CREATING, &[T, T, T, T, T, F, T, T]),
        (CREATING, &[T, T, T]),
        (CREATING, &[T, T, T, T, F]),
        (JOINING, &[T, T, F, T, F, T]),
        (JOINING, &[T, T, T, T, F, T, T]),
        (JOINING, &[T, T, T, T, T, F, T, T, T]),
        (JOINING, &[T, T, T, T, T, T, F]),
        (RECOVERING, &[T, T, F, T]),
        (RECOVERING, &[T, T, T, T, F, T, T]),
    ];
    for (action, way) in few(ways, 5) {
        for steps in few(0..=way.len(), 3) {
            let (mut machine, _) = driven(expelled(), action, &way[..steps]);
            assert!(machine.is_expelled() && !machine.is_member(), "{:?}", &way[..steps]);
            let mut restarted = restored(&encoded(&mut machine), at(300));
            // The record that completes the attempt is the one that makes it a member.
            assert!(restarted.is_expelled() ^ restarted.is_member(), "{:?}", &way[..steps]);
            assert_eq!(record_of(&mut restarted)["membership"]["uid"], 1, "it still knows whom to ask");
        }
    }
    for (action, effects) in [(CREATING, 6), (JOINING, 7), (RECOVERING, 5)] {
        let (machine, _) = driven(expelled(), action, &[T; 7][..effects]);
        assert!(!machine.is_expelled() && machine.is_member());
    }
}

#[test]
fn a_failure_survives_a_restart_with_all_it_said() {
    let (mut machine, _) = driven(new(), CREATING, &[T, F]);
    let record = encoded(&mut machine);
    assert_eq!(machine.handle(success(Effect::Persist), &facts(), at(300)), None);
    let again = restored(&record, at(9_000));
    assert_eq!(status_of(&again), status_of(&machine));
    assert!(status_of(&again).contains(r#""problems":[{"pointer":"/node/paths/persistent_path""#));
}

#[test]
fn an_attempt_that_cannot_be_made_durable_was_never_there() {
    for machine in [new(), refused()] {
        let before = (machine.state(), status_of(&machine));
        let (mut machine, effect) = driven(machine, CREATING, &[F]);
        assert_eq!((effect, machine.state(), status_of(&machine)), (None, before.0, before.1));
        assert!(machine.start(Action::CreateCluster, CREATE.as_bytes(), at(400)).is_ok());
    }
}

#[test]
fn no_attempt_ends_before_it_started() {
    let mut machine = new();
    let facts = facts();
    let mut next = Some(machine.start(Action::CreateCluster, CREATE.as_bytes(), at(5_000)).unwrap());
    while let Some(effect) = next {
        next = machine.handle(success(effect), &facts, at(10));
    }
    assert_eq!((machine.start_time(), machine.end_time()), (Some(at(5_000)), Some(at(5_000))));
    let mut machine = new();
    machine.start(Action::CreateCluster, CREATE.as_bytes(), at(5_000)).unwrap();
    let again = restored(&encoded(&mut machine), at(10));
    assert_eq!((again.start_time(), again.end_time()), (Some(at(5_000)), Some(at(5_000))));
}

/// A create body with more members of `node` and at the top.
fn body(node: &Value, more: &Value) -> StdString {
    let mut body: Value = serde_json::from_str(CREATE).unwrap();
    body["node"] = node.clone();
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.to_string()
}

/// Runs a create, or its validation, whose effects go as told, to its end: the status it ends in.
fn end(machine: &mut Machine, body: &str, found: PathsFound, license: &Result<Terms, Violation>) -> Value {
    let validates = machine.mode == Mode::Validate;
    let mut next = Some(machine.start(Action::CreateCluster, body.as_bytes(), at(1_000)).unwrap());
    while let Some(effect) = next {
        if validates {
            assert!(matches!(effect, Effect::CheckPaths | Effect::VerifyLicense), "{effect:?} changes something");
        }
        let event = match effect {
            Effect::CheckPaths => Event::PathsChecked(found),
            Effect::VerifyLicense => Event::LicenseVerified(license.clone()),
            Effect::Persist
            | Effect::CheckStore
            | Effect::Found
            | Effect::Contact { .. }
            | Effect::Wait { .. }
            | Effect::ReadRecovery
            | Effect::Adopt
            | Effect::Confirm
            | Effect::Discard => success(effect),
        };
        next = machine.handle(event, &facts(), at(1_000));
    }
    serde_json::from_str(&status_of(machine)).unwrap()
}

fn ends(body: &str, found: PathsFound, license: &Result<Terms, Violation>) -> Value {
    let acted = end(&mut new(), body, found, license);
    let validated = end(&mut validator(&new()), body, found, license);
    // A validation that finds nothing wrong leaves nothing behind.
    if acted["state"] == "completed" {
        assert_eq!(validated["state"], "idle");
    } else {
        assert_eq!(validated, acted, "validation and action must agree");
    }
    acted
}

fn pointers(status: &Value) -> StdVec<&str> {
    let problems = status["error_details"]["problems"].as_array();
    problems.into_iter().flatten().map(|problem| problem["pointer"].as_str().unwrap()).collect()
}

const ALL_PATHS: &str =
    r#"{"persistent_path":"/p","ephemeral_path":"/e","bigstore_path":"/b","ccs_persistent_path":"/c"}"#;

fn all_paths() -> Value {
    json!({"paths": serde_json::from_str::<Value>(ALL_PATHS).unwrap()})
}

#[test]
fn every_wrong_path_is_named() {
    let troubles = [
        PathTrouble::Missing,
        PathTrouble::NotADirectory,
        PathTrouble::NotWritable,
        PathTrouble::ForeignRecord,
        PathTrouble::Unreadable,
    ];
    for trouble in few(troubles, 3) {
        let paths = found([Some(Err(trouble)); 4]);
        let status = ends(&body(&all_paths(), &json!({})), paths, &Ok(Terms::trial(at(0))));
        assert_eq!(status["error_code"], "path_error");
        let expected = ["persistent_path", "ephemeral_path", "bigstore_path", "ccs_persistent_path"];
        assert_eq!(pointers(&status), expected.map(|name| format!("/node/paths/{name}")));
        let message = format!("node.paths.persistent_path \"/p\" {trouble}");
        assert_eq!(status["error_details"]["message"], message);
    }
    // The agent's own path is named like a configured one.
    let paths = found([file(1), Some(Err(PathTrouble::Missing)), None, None]);
    let status = ends(CREATE, paths, &Ok(Terms::trial(at(0))));
    assert_eq!(status["error_details"]["message"], "node.paths.ephemeral_path \"/d/e\" does not exist");
}

#[test]
fn paths_must_be_different_directories_but_the_records_own_may_be_any() {
    let terms = Ok(Terms::trial(at(0)));
    let cases = [
        ([1, 2, 3, 4], &[][..]),
        ([1, 1, 3, 4], &["/node/paths/ephemeral_path"]),
        ([1, 2, 1, 4], &["/node/paths/bigstore_path"]),
        ([1, 2, 2, 4], &["/node/paths/bigstore_path"]),
        ([1, 1, 1, 4], &["/node/paths/ephemeral_path", "/node/paths/bigstore_path"]),
        ([1, 2, 3, 1], &[]),
        ([1, 2, 3, 2], &[]),
        ([1, 2, 3, 3], &[]),
    ];
    for (files, twins) in few(cases, 4) {
        let status = ends(&body(&all_paths(), &json!({})), found(files.map(file)), &terms);
        assert_eq!(pointers(&status), twins, "{files:?}");
        assert_eq!(status["state"] == "completed", twins.is_empty());
    }
    // The same number on another device is another directory.
    let elsewhere = Some(Ok(FileId { device: 2, inode: 1 }));
    let paths = found([file(1), elsewhere, None, None]);
    assert_eq!(ends(CREATE, paths, &terms)["state"], "completed");
}

#[test]
fn only_the_paths_that_matter_are_looked_at() {
    let asked = |node: Value| {
        let mut machine = new();
        machine.start(Action::CreateCluster, body(&node, &json!({})).as_bytes(), at(0)).unwrap();
        machine.paths_to_check().map(|path| path.map(StdString::from))
    };
    let some = |path: &str| Some(path.to_string());
    assert_eq!(asked(json!({})), [some("/d/p"), some("/d/e"), None, None]);
    assert_eq!(asked(json!({"bigstore_driver": "speedb"})), [some("/d/p"), some("/d/e"), some("/d/b"), None]);
    let paths = json!({"persistent_path": "/p", "bigstore_path": "/b"});
    assert_eq!(asked(json!({"paths": paths})), [some("/p"), some("/d/e"), some("/b"), None]);
    assert_eq!(asked(all_paths()), [some("/p"), some("/e"), some("/b"), some("/c")]);
    let mut machine = new();
    machine.start(Action::CreateCluster, body(&json!({"paths": paths}), &json!({})).as_bytes(), at(0)).unwrap();
    assert_eq!(machine.path(PathRole::Ccs), "/p", "the record goes to the persistent path");
}

#[test]
fn the_address_must_be_the_machines_own() {
    let cases = [
        ("10.0.0.1", true),
        ("127.0.0.1", true),
        ("127.9.9.9", true),
        ("::1", true),
        ("10.0.0.2", false),
        ("::ffff:10.0.0.1", false),
        ("0.0.0.0", false),
    ];
    for (address, own) in few(cases, 4) {
        let body = body(&json!({"identity": {"addr": address}}), &json!({}));
        let status = ends(&body, good_paths(), &Ok(Terms::trial(at(0))));
        assert_eq!(status["state"] == "completed", own, "{address}");
        if !own {
            assert_eq!(status["error_code"], "config_error");
            assert_eq!(pointers(&status), ["/node/identity/addr"]);
            let message = status["error_details"]["message"].as_str().unwrap();
            assert!(message.contains(address), "{message}");
        }
    }
}

#[test]
fn a_licence_is_held_against_its_terms() {
    let trial = || Terms::trial(at(0));
    let bad = |terms: Terms, flash: bool| {
        let node = if flash { json!({"bigstore_driver": "rocksdb"}) } else { json!({}) };
        let status = ends(&body(&node, &json!({"license": "l"})), good_paths(), &Ok(terms));
        status["error_details"]["violation"].as_str().map(StdString::from)
    };
    let some = |name: &str| Some(name.to_string());
    assert_eq!(bad(trial(), true), None);
    assert_eq!(bad(Terms { features: heapless::Vec::new(), ..trial() }, true), some("feature_missing"));
    assert_eq!(bad(Terms { features: heapless::Vec::new(), ..trial() }, false), None);
    assert_eq!(bad(Terms { cluster_name: "d".try_into().unwrap(), ..trial() }, false), some("cluster_name_mismatch"));
    assert_eq!(bad(Terms { cluster_name: "C".try_into().unwrap(), ..trial() }, false), None);
    assert_eq!(bad(Terms { node_limit: Some(0), ..trial() }, false), some("node_limit_exceeded"));
    assert_eq!(bad(Terms { expiration_date: at(1_000), ..trial() }, false), some("expired"));
    assert_eq!(bad(Terms { activation_date: at(1_001), ..trial() }, false), some("not_yet_active"));
    for violation in few([Violation::Malformed, Violation::BadSignature], 2) {
        let status = ends(LICENSED, good_paths(), &Err(violation));
        assert_eq!(status["error_code"], "invalid_license");
        assert_eq!(status["error_details"]["violation"], violation.name());
        assert_eq!(status["error_details"]["message"], violation.message());
    }
}

#[test]
fn paths_come_before_the_address_and_the_address_before_the_licence() {
    let missing = found([Some(Err(PathTrouble::Missing)), file(2), None, None]);
    let body = body(&json!({"identity": {"addr": "9.9.9.9"}}), &json!({"license": "l"}));
    let bad = Err(Violation::BadSignature);
    assert_eq!(ends(&body, missing, &bad)["error_code"], "path_error");
    assert_eq!(ends(&body, good_paths(), &bad)["error_code"], "config_error");
    assert_eq!(ends(LICENSED, good_paths(), &bad)["error_code"], "invalid_license");
}

#[test]
fn a_validation_of_any_action_changes_nothing_and_leaves_nothing_behind() {
    let node = new();
    for (action, expected) in [
        (CREATING, &[CheckPaths, VerifyLicense][..]),
        (JOINING, &[CheckPaths, Effect::Contact { node: 0 }]),
        (RECOVERING, &[CheckPaths, ReadRecovery]),
    ] {
        let mut machine = validator(&node);
        let mut next = machine.start(action, body_of(action), at(1)).ok();
        let mut seen = vec![];
        while let Some(effect) = next {
            seen.push(effect);
            next = machine.handle(success(effect), &facts(), at(1));
        }
        assert_eq!((&*seen, machine.state()), (expected, State::Idle), "{action:?}");
        assert!(machine.config().credentials.password.is_empty());
    }
    // One validator serves again and again.
    let mut validator = validator(&node);
    for _ in 0..2 {
        assert_eq!(end(&mut validator, CREATE, good_paths(), &Err(Violation::Expired))["state"], "idle");
        assert_eq!(end(&mut validator, LICENSED, good_paths(), &Err(Violation::Expired))["state"], "error");
        assert_eq!(validator.start(CREATING, BAD.as_bytes(), at(0)), Err(Refusal::Config));
        assert!(validator.config().credentials.password.is_empty());
    }
}

#[test]
fn a_validation_of_any_action_ends_like_the_action() {
    for action in [CREATING, JOINING, RECOVERING] {
        // The check that fails, each effect of the validation in turn.
        for failing in 0..2 {
            let node = new();
            let ends = [new(), validator(&node)].map(|mut machine| {
                let mut next = machine.start(action, body_of(action), at(1)).ok();
                let mut checks = 0;
                while let Some(effect) = next {
                    let good = matches!(effect, Persist | Effect::Wait { .. }) || checks < failing;
                    checks += usize::from(!matches!(effect, Persist));
                    next = machine.handle(if good { success(effect) } else { failure(effect) }, &facts(), at(1));
                }
                status_of(&machine)
            });
            assert!(ends[0].contains(r#""state":"error""#), "{action:?} {failing}");
            assert_eq!(ends[0], ends[1], "{action:?} {failing}");
        }
        let mut refused = [new(), validator(&new())];
        let [acted, validated] = refused.each_mut().map(|machine| {
            assert_eq!(machine.start(action, b"{", at(1)), Err(Refusal::Config));
            status_of(machine)
        });
        assert_eq!(acted, validated);
    }
}

#[test]
fn the_cluster_is_founded_from_the_configuration() {
    let (machine, effect) = driven(new(), CREATING, &[T, T, T]);
    assert_eq!(effect, Some(Effect::Found));
    let password = PasswordHash { cost: HashCost::Standard, salt: [1; 16], hash: [2; 32] };
    let registration = Registration { setup: [5; OPAQUE_SETUP_BYTES], file: [6; OPAQUE_FILE_BYTES] };
    let key = Key([7; 32]);
    let seed = Seed { cluster_id: Id([3; 16]), epoch_tag: Id([4; 16]), key, password, registration };
    let cluster = machine.found(seed, &facts(), at(500));
    assert_eq!((cluster.name.as_str(), cluster.username.as_str(), cluster.license.as_str()), ("c", "u", "l"));
    assert_eq!(cluster.terms, Terms::trial(at(0)));
    assert_eq!(cluster.membership(NODE), Some(Membership { cluster_id: Id([3; 16]), epoch: 1, uid: 1 }));
}
