//! Attempts where the cluster's record is in a store that all members share.

use super::*;
use crate::failure::NodeTried;

fn sharing() -> Box<Machine> {
    let mut machine = new();
    machine.share_store();
    machine
}

/// What a store is found like by an attempt that goes well.
fn good(action: Action) -> StoreChecked {
    if action == JOINING { StoreChecked::Taken } else { StoreChecked::Empty }
}

fn failed() -> StoreChecked {
    StoreChecked::Failed(NodeTried { node: "10.0.0.5:2379".try_into().unwrap(), reason: TriedReason::Refused })
}

/// Runs an attempt to its end, the store found as `store` says: its effects.
fn effects(machine: &mut Machine, action: Action, store: &StoreChecked) -> StdVec<Effect> {
    let mut effects = StdVec::new();
    let mut next = Some(machine.start(action, body_of(action), at(1_000)).unwrap());
    while let Some(effect) = next {
        effects.push(effect);
        let event = if effect == Effect::CheckStore { Event::StoreChecked(store.clone()) } else { success(effect) };
        next = machine.handle(event, &facts(), at(1_000));
    }
    effects
}

#[test]
fn the_store_is_looked_at_before_anything_is_made_and_a_founder_confirms_too() {
    use Effect::{Adopt, CheckPaths, CheckStore, Confirm, Found, Persist, ReadRecovery, VerifyLicense};
    for (action, middle) in [
        (CREATING, &[VerifyLicense, CheckStore, Found][..]),
        (JOINING, &[CheckStore, Effect::Contact { node: 0 }]),
        (RECOVERING, &[CheckStore, ReadRecovery]),
    ] {
        let mut machine = sharing();
        let expected = [&[Persist, CheckPaths], middle, &[Adopt, Persist, Confirm, Persist]].concat();
        assert_eq!(effects(&mut machine, action, &good(action)), expected);
        assert_eq!(machine.state(), State::Completed);
    }
}

#[test]
fn a_store_that_is_taken_or_empty_ends_the_attempt_before_it_has_made_anything_and_validation_says_the_same() {
    for (action, store, words) in [
        (CREATING, StoreChecked::Taken, "has a cluster's record already"),
        (RECOVERING, StoreChecked::Taken, "has a cluster's record already"),
        (JOINING, StoreChecked::Empty, "no cluster's record"),
    ] {
        let mut machine = sharing();
        let effects_of_it = effects(&mut machine, action, &store);
        assert!(!effects_of_it.contains(&Effect::Adopt));
        let mut validating = validator(&machine);
        effects(&mut validating, action, &store);
        for machine in [&machine, &validating] {
            assert_eq!((machine.state(), code(machine)), (State::Error, Some("config_error")), "{action:?}");
            assert!(machine.failure().unwrap().message.contains(words));
        }
    }
    let mut validating = validator(&sharing());
    assert_eq!(effects(&mut validating, CREATING, &StoreChecked::Empty).last(), Some(&Effect::CheckStore));
    assert_eq!(validating.state(), State::Idle);
}

#[test]
fn a_store_that_cannot_be_used_is_tried_again_as_often_as_was_asked_and_then_named() {
    let mut machine = sharing();
    let waits = effects(&mut machine, JOINING, &failed());
    let count = waits.iter().filter(|effect| matches!(effect, Effect::Wait { .. })).count();
    assert!(
        count > 0 && waits.iter().filter(|effect| **effect == Effect::CheckStore).count() == count + 1,
        "{waits:?}"
    );
    let Some(Failure { cause: Cause::ConnectError { nodes_tried }, .. }) = machine.failure() else { panic!() };
    assert_eq!(nodes_tried[0].node, "10.0.0.5:2379");
    let mut validating = validator(&machine);
    assert!(!effects(&mut validating, JOINING, &failed()).iter().any(|effect| matches!(effect, Effect::Wait { .. })));
    assert_eq!(code(&validating), Some("connect_error"));
}

/// A create that has made the record its own.
fn confirming() -> Box<Machine> {
    let mut machine = sharing();
    let mut next = machine.start(CREATING, body_of(CREATING), at(1_000)).unwrap();
    while next != Effect::Confirm {
        next = machine.handle(success(next), &facts(), at(1_000)).unwrap();
    }
    machine
}

#[test]
fn a_founder_that_was_cut_short_confirms_again() {
    let mut machine = restored(&encoded(&mut confirming()), at(2_000));
    machine.share_store();
    assert_eq!(machine.resume(), Some(Effect::Confirm));
    assert_eq!(machine.handle(Event::Confirmed(Confirmed::Unanswered), &facts(), at(2_000)), Some(Effect::Confirm));
    assert_eq!(machine.handle(Event::Confirmed(Confirmed::Done), &facts(), at(2_000)), Some(Effect::Persist));
    // The cluster counts on it: what cannot be saved is confirmed again.
    let again = machine.handle(Event::Persisted(Err(trouble())), &facts(), at(2_000));
    assert_eq!(again, Some(Effect::Confirm));
}

#[test]
fn a_founder_that_was_not_the_first_leaves_nothing_behind() {
    let mut machine = confirming();
    let mut next = machine.handle(Event::Confirmed(Confirmed::Unknown), &facts(), at(2_000));
    let mut effects = StdVec::new();
    while let Some(effect) = next {
        effects.push(effect);
        next = machine.handle(success(effect), &facts(), at(2_000));
    }
    assert_eq!(effects, [Effect::Persist, Effect::Discard, Effect::Persist]);
    assert_eq!((machine.state(), code(&machine)), (State::Error, Some("config_error")));
}

#[test]
fn a_round_after_a_wait_begins_with_the_store_and_the_state_never_goes_back() {
    let mut machine = sharing();
    let mut next = machine.start(JOINING, body_of(JOINING), at(1_000)).unwrap();
    let mut states = vec![machine.state()];
    for _ in 0..12 {
        let event = if next == Effect::CheckStore {
            Event::StoreChecked(StoreChecked::Taken)
        } else if matches!(next, Effect::Contact { .. }) {
            failure(next)
        } else {
            success(next)
        };
        let was_waiting = matches!(next, Effect::Wait { .. });
        let Some(effect) = machine.handle(event, &facts(), at(1_000)) else { break };
        assert!(!was_waiting || effect == Effect::CheckStore);
        states.push(machine.state());
        next = effect;
    }
    states.dedup();
    let running = [State::Idle, State::Initiated, State::JoiningCluster];
    assert!(states.starts_with(&running) && states.len() <= 4, "{states:?}");
}
