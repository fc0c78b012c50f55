//! Joining and recovering: what is asked of whom, how often, and how it ends.

use std::string::{String as StdString, ToString as _};
use std::vec;
use std::vec::Vec as StdVec;

use serde_json::{Value, json};

use super::*;
use crate::cluster::Recovery;
use crate::node::Settings;

const CONTACT: [Effect; 3] = [Effect::Contact { node: 0 }, Effect::Contact { node: 1 }, Effect::Contact { node: 2 }];
const WAIT: Effect = Effect::Wait { seconds: 10 };

/// A join body for these nodes and so many further rounds.
fn join(nodes: &[&str], max_retries: u8) -> StdString {
    let credentials = json!({"username": "u", "password": "p"});
    json!({"cluster": {"nodes": nodes}, "credentials": credentials, "max_retries": max_retries}).to_string()
}

/// Runs a join whose contacts go as told, and all else well: what was done beside the record, and how it ended.
fn joined(machine: &mut Machine, body: &str, contacts: &[Contacted]) -> (StdVec<Effect>, Value) {
    let mut contacts = contacts.iter().cloned();
    let mut next = Some(machine.start(JOINING, body.as_bytes(), at(1)).unwrap());
    let mut seen = vec![];
    while let Some(effect) = next {
        let event = if matches!(effect, Effect::Contact { .. }) {
            Event::Contacted(contacts.next().expect("no more contacts"))
        } else {
            success(effect)
        };
        if matches!(effect, Effect::Contact { .. } | Effect::Wait { .. }) {
            seen.push(effect);
        }
        next = machine.handle(event, &facts(), at(2));
    }
    assert!(contacts.next().is_none(), "every contact was made");
    (seen, serde_json::from_str(&status_of(machine)).unwrap())
}

fn failed(reason: TriedReason) -> Contacted {
    Contacted::Failed(reason)
}

#[test]
fn every_node_is_tried_in_turn_and_every_round_is_used_up() {
    let [refused, timed_out] = [TriedReason::Refused, TriedReason::TimedOut];
    let [first, second, _] = CONTACT;
    for rounds in [1_u8, 3] {
        let mut contacts = vec![failed(timed_out); 2 * usize::from(rounds) - 2];
        contacts.extend(vec![failed(refused), failed(timed_out)]);
        let (seen, status) = joined(&mut new(), &join(&["a:7", "b"], rounds - 1), &contacts);
        let mut expected = vec![first, second];
        for _ in 1..rounds {
            expected.extend([WAIT, first, second]);
        }
        assert_eq!((seen, &status["error_code"]), (expected, &json!("connect_error")), "{rounds}");
        // Of the last round, as given.
        let tried = json!([{"node": "a:7", "reason": refused.name()}, {"node": "b", "reason": timed_out.name()}]);
        assert_eq!(status["error_details"]["nodes_tried"], tried);
    }
}

#[test]
fn the_first_node_that_admits_ends_the_round() {
    let admitted = Contacted::Admitted(membership());
    let [first, second, third] = CONTACT;
    let cases = vec![
        (vec![admitted.clone()], vec![first]),
        (vec![failed(TriedReason::Itself), admitted.clone()], vec![first, second]),
        (
            vec![
                failed(TriedReason::NotFound),
                failed(TriedReason::NotReady),
                failed(TriedReason::NoFounder),
                admitted,
            ],
            vec![first, second, third, WAIT, first],
        ),
    ];
    for (contacts, expected) in cases {
        let (seen, status) = joined(&mut new(), &join(&["a", "b", "c"], 3), &contacts);
        assert_eq!((seen, &status["state"]), (expected, &json!("completed")));
    }
}

#[test]
fn every_refusal_ends_the_attempt_at_once() {
    let causes = vec![
        Cause::AccessDenied {},
        Cause::TimeNotSync { skew_seconds: 6 },
        Cause::NodeConfigMismatch { mismatches: heapless::Vec::new() },
        Cause::SocketDirectoryMismatch { expected: String::new(), actual: String::new() },
        Cause::RepairRequired { failed_nodes: heapless::Vec::new(), replace_candidate: 2 },
        Cause::ConfigError { required_rack_id: None },
        Cause::InsufficientNodeMemory { required_memory: 1 },
        Cause::InsufficientNodeFlash { required_flash: 1 },
        Cause::RackIdRequired { current_rack_ids: heapless::Vec::new() },
        Cause::InvalidLicense { violation: Violation::NodeLimitExceeded },
        Cause::InternalError {},
    ];
    for cause in few(causes, 4) {
        let code = cause.code();
        let contacts = vec![failed(TriedReason::Refused), Contacted::Refused(Failure::new(cause, "no"))];
        let (seen, status) = joined(&mut new(), &join(&["a", "b", "c"], 3), &contacts);
        assert_eq!((&*seen, &status["error_code"]), (&CONTACT[..2], &json!(code)));
        assert_eq!(status["error_details"]["message"], "no");
        assert_eq!(status["error_details"].get("nodes_tried"), None);
    }
}

#[test]
fn a_validation_makes_one_round() {
    let contacts = vec![failed(TriedReason::Refused), failed(TriedReason::TimedOut)];
    let (seen, status) = joined(&mut validator(&new()), &join(&["a", "b"], 3), &contacts);
    assert_eq!((&*seen, &status["error_code"]), (&CONTACT[..2], &json!("connect_error")));
    assert_eq!(status["error_details"]["nodes_tried"].as_array().unwrap().len(), 2);
}

#[test]
fn where_there_is_nothing_to_contact_the_attempt_ends_in_connect_error_unless_a_name_finds_nodes() {
    let (seen, status) = joined(&mut new(), &join(&[], 3), &[]);
    assert_eq!((&*seen, &status["error_code"]), (&[][..], &json!("connect_error")));
    assert_eq!(status["error_details"]["nodes_tried"], json!([]));
    let named = r#"{"cluster":{"name":"a.b"},"credentials":{"username":"u","password":"p"},"max_retries":0}"#;
    let mut machine = new();
    let (seen, status) = joined(&mut machine, named, &[failed(TriedReason::NotFound)]);
    assert_eq!(seen, CONTACT[..1]);
    assert_eq!(status["error_details"]["nodes_tried"], json!([{"node": "a.b", "reason": "name not found"}]));
    machine.start(JOINING, named.as_bytes(), at(3)).unwrap();
    assert_eq!((machine.contact(0), machine.contact(1)), (Some("a.b"), None));
}

#[test]
fn an_adopted_joiner_asks_until_it_hears_that_it_is_a_member() {
    let (mut machine, effect) = adopted();
    assert_eq!((effect, machine.state()), (Some(Effect::Confirm), State::JoiningCluster));
    assert_eq!((machine.adopted(), machine.membership()), (Some(membership()), None));
    assert!(!machine.is_member());
    let facts = facts();
    for _ in 0..3 {
        let unanswered = Event::Confirmed(Confirmed::Unanswered);
        assert_eq!(machine.handle(unanswered, &facts, at(400)), Some(Effect::Confirm));
    }
    assert_eq!(machine.handle(success(Effect::Confirm), &facts, at(500)), Some(Effect::Persist));
    // A full disk is no reason to leave a cluster that counts on this node.
    assert_eq!(machine.handle(failure(Effect::Persist), &facts, at(600)), Some(Effect::Confirm));
    assert_eq!((machine.state(), machine.end_time()), (State::JoiningCluster, None));
    assert_eq!(machine.handle(success(Effect::Confirm), &facts, at(700)), Some(Effect::Persist));
    let restarted = restored(&encoded(&mut machine), at(800));
    assert_eq!(machine.handle(success(Effect::Persist), &facts, at(800)), None);
    for machine in [machine, restarted] {
        assert_eq!((machine.state(), machine.membership()), (State::Completed, Some(membership())));
        assert_eq!((machine.start_time(), machine.end_time()), (Some(at(100)), Some(at(700))));
        assert_eq!((machine.adopted(), machine.resume()), (None, None));
    }
}

#[test]
fn a_joiner_that_is_unknown_drops_the_record_and_at_no_moment_does_a_restart_miss_it() {
    for (mut machine, _) in [adopted(), driven(new(), JOINING, &[T; 5])] {
        let facts = facts();
        assert_eq!(machine.handle(failure(Effect::Confirm), &facts, at(400)), Some(Effect::Persist));
        // What is durable before the record is removed does not look for it.
        let restarted = restored(&encoded(&mut machine), at(500));
        assert_eq!((restarted.state(), restarted.adopted()), (State::Error, None));
        assert_eq!(machine.handle(success(Effect::Persist), &facts, at(500)), Some(Effect::Discard));
        assert_eq!(machine.handle(success(Effect::Discard), &facts, at(500)), Some(Effect::Persist));
        assert_eq!(machine.handle(success(Effect::Persist), &facts, at(500)), None);
        assert_eq!((machine.state(), code(&machine)), (State::Error, Some("internal_error")));
        assert!(machine.failure().unwrap().message.contains("does not know this node"));
        assert!(machine.check_free().is_ok());
    }
    // Where the disk does not take that either, the record stays, and a restart confirms again.
    let (mut machine, effect) = driven(new(), JOINING, &[T, T, T, T, T, F, F]);
    assert_eq!((effect, machine.state()), (None, State::Error));
    assert_eq!(machine.handle(success(Effect::Discard), &facts(), at(500)), None);
}

#[test]
fn a_joiner_says_what_it_would_be_and_what_it_wants() {
    let body = json!({
        "cluster": {"name": "C.d", "nodes": ["a"]}, "credentials": {"username": "u", "password": "p"},
        "node": {"identity": {"uid": 4, "override_rack_id": true, "rack_id": "r1"}, "bigstore_driver": "speedb"},
        "required_version": "0.1.0"
    });
    let facts = NodeInfo {
        settings: Settings { user: "me".try_into().unwrap(), ..Settings::default() },
        total_memory: Some(5),
        ..facts()
    };
    for (mut machine, validate) in [(new(), false), (validator(&new()), true)] {
        machine.start(JOINING, body.to_string().as_bytes(), at(1)).unwrap();
        let paths = PathsFound { flash: Some(6), ..good_paths() };
        machine.handle(success(Effect::Persist), &facts, at(1));
        assert_eq!(machine.handle(Event::PathsChecked(paths), &facts, at(1)), Some(CONTACT[0]));
        let request = machine.join_request(&facts);
        assert_eq!((request.validate, request.uid, request.override_rack_id), (validate, Some(4), true));
        assert_eq!((&*request.required_version, &*request.cluster_name), ("0.1.0", "C.d"));
        assert_eq!((request.settings, request.member.node_id), (facts.settings.clone(), NODE));
        let member = &request.member;
        assert_eq!((&*member.rack_id, member.flash, member.total_memory), ("r1", Some(6), Some(5)));
    }
}

#[test]
fn a_recovery_that_cannot_be_ends_in_the_reason_why() {
    let causes: [fn() -> Cause; 3] =
        [|| Cause::PathError {}, || Cause::ConfigError { required_rack_id: None }, || Cause::AccessDenied {}];
    for cause in causes {
        let (mut machine, effect) = driven(new(), RECOVERING, &[T, T]);
        assert_eq!(effect, Some(ReadRecovery));
        let event = Event::RecoveryRead(Err(Failure::new(cause(), "why")));
        assert_eq!(machine.handle(event, &facts(), at(300)), Some(Persist));
        assert_eq!(machine.handle(success(Persist), &facts(), at(300)), None);
        assert_eq!((machine.state(), code(&machine)), (State::Error, Some(cause().code())));
        assert_eq!(machine.failure().unwrap().message, "why");
    }
}

#[test]
fn a_recovery_becomes_the_node_that_is_named_or_number_one() {
    let founder = driven(new(), CREATING, &[T, T, T]).0;
    let registration = Registration { setup: [5; OPAQUE_SETUP_BYTES], file: [6; OPAQUE_FILE_BYTES] };
    let password = PasswordHash::default();
    let seed = Seed { cluster_id: Id([3; 16]), epoch_tag: Id([4; 16]), key: Key([7; 32]), password, registration };
    let cluster = Box::new(founder.found(seed, &facts(), at(500)));
    for (body, expected) in [
        (RECOVER, Some(1)),
        (r#"{"recovery_filename":"f","node":{"identity":{"uid":1}}}"#, Some(1)),
        (r#"{"recovery_filename":"f","node":{"identity":{"uid":2}}}"#, None),
    ] {
        let mut machine = new();
        machine.start(RECOVERING, body.as_bytes(), at(1)).unwrap();
        let mut cluster = cluster.clone();
        let recovery = Recovery { epoch_tag: Id([8; 16]), key: Key([9; 32]) };
        let recovered = machine.recovered(&mut cluster, &recovery, &facts());
        let place = expected.map(|uid| Membership { cluster_id: Id([3; 16]), epoch: 2, uid });
        assert_eq!(recovered.as_ref().ok(), place.as_ref());
        assert_eq!(recovered.err().map(|failure| failure.cause.code()), expected.is_none().then_some("config_error"));
    }
}
