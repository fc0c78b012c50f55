//! What is between places, and between them and their store.

use std::rc::Rc;

use bootstrapd_core::cluster::Cluster;

use super::{Call, Moment, What, World};
use crate::sim::rules::Broken;
use crate::sim::store::{Operation, Outcome};
use crate::sim::wire::{About, Reply, Request};

/// An asker waits no longer for an answer, in milliseconds.
const PATIENCE_MS: u64 = 10_000;
/// Nor for one of the store.
const STORE_PATIENCE_MS: u64 = 3_000;

impl World {
    pub(super) fn operate(&mut self, place: usize, number: u64, operation: Operation, after_ms: u64) {
        self.rules.tally.messages += 1;
        let incarnation = self.places[place].incarnation;
        self.after(after_ms + STORE_PATIENCE_MS, What::Operated { place, incarnation, number, outcome: None });
        let delay = after_ms + self.delay();
        if !self.places[place].is_cut_off && !self.random.chance(self.faults.lose) {
            self.after(delay, What::Operation { place, incarnation, number, operation });
        }
    }

    /// Has the store do what has come to it, by whoever may be gone since.
    pub(super) fn operation(&mut self, place: usize, operation: &Operation) -> Result<Outcome, Broken> {
        let Some(store) = &mut self.store else { return Ok(Outcome::Done) };
        let before = store.record.clone();
        let outcome = store.take(operation, self.now_ms);
        if let (Operation::Swap(_, after), Outcome::Swapped(_)) = (operation, &outcome) {
            self.rules.stored((place, self.places[place].node_id), before.as_ref(), after, self.now_ms)?;
        }
        Ok(outcome)
    }

    /// An operator has the store take this record, where there is one.
    ///
    /// # Errors
    /// What must hold and does not.
    pub(in crate::sim) fn put(&mut self, place: usize, record: &Rc<Cluster>) -> Result<(), Broken> {
        let Some(store) = &mut self.store else { return Ok(()) };
        let before = store.record.clone();
        store.put(Some(Rc::clone(record)));
        self.rules.stored((place, self.places[place].node_id), before.as_ref(), record, self.now_ms)
    }

    pub(super) fn outcome(&mut self, place: usize, incarnation: u64, number: u64, outcome: Outcome) {
        let is_lost = self.places[place].is_cut_off || self.random.chance(self.faults.lose);
        let delay = self.delay();
        if !is_lost {
            self.after(delay, What::Operated { place, incarnation, number, outcome: Some(outcome) });
        }
    }

    pub(super) fn are_apart(&self, one: usize, other: usize) -> bool {
        self.places[one].is_cut_off != self.places[other].is_cut_off
    }

    pub(super) fn delay(&mut self) -> u64 {
        if self.random.chance(self.faults.slow) { self.random.below(9_000) } else { 1 + self.random.below(40) }
    }

    pub(super) fn send(&mut self, from: usize, to: usize, (about, mut request): (About, Request), after_ms: u64) {
        self.rules.tally.messages += 1;
        let call = self.number();
        let incarnation = self.places[from].incarnation;
        self.calls.insert(call, Call { from, incarnation, to, about });
        self.after(after_ms + PATIENCE_MS, What::Reply { call, reply: None });
        if from == to || to >= self.places.len() {
            return self.after(after_ms, What::Reply { call, reply: None });
        }
        // The challenge of the one that is asked: later ones are greater, and none outlives a restart.
        if let Request::Ask { number, .. } = &mut request {
            *number = call;
        }
        let incarnation = self.places[to].incarnation;
        let copies = match &request {
            Request::Ask { .. } if self.random.chance(self.faults.double) => 2,
            Request::Ask { .. } | Request::Join(..) => 1,
        };
        for _ in 0..copies {
            let delay = after_ms + self.delay();
            if !self.are_apart(from, to) && !self.random.chance(self.faults.lose) {
                self.after(delay, What::Request { call, to, incarnation, request: request.clone() });
            }
        }
    }

    pub(super) fn request(&mut self, call: u64, to: usize, incarnation: u64, request: &Request) -> Result<(), Broken> {
        if self.places[to].agent.is_none() {
            self.answer(call, None);
            return Ok(());
        }
        if !self.is_current(to, incarnation) {
            self.answer(call, Some(Reply::Refused(true)));
            return Ok(());
        }
        act!(self, to, |agent, moment| agent.asked(call, request, moment));
        self.settle(to)
    }

    pub(super) fn answer(&mut self, call: u64, reply: Option<Reply>) {
        let Some(Call { from, to, .. }) = self.calls.get(&call) else { return };
        let is_lost = self.are_apart(*from, *to) || self.random.chance(self.faults.lose);
        let delay = self.delay();
        if !is_lost {
            self.after(delay, What::Reply { call, reply });
        }
    }

    pub(super) fn reply(&mut self, call: u64, reply: Option<Reply>) -> Result<(), Broken> {
        let Some(Call { from, incarnation, about, .. }) = self.calls.remove(&call) else { return Ok(()) };
        if !self.is_current(from, incarnation) {
            return Ok(());
        }
        match about {
            About::Ask(by, ask) => _ = act!(self, from, |agent, moment| agent.told(by, ask, reply, moment)),
            About::Contact { again } => {
                act!(self, from, |agent, moment| agent.contacted(again, reply, moment));
            }
        }
        self.settle(from)
    }
}
