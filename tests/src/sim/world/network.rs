//! What is between nodes: requests and answers that are late, lost or doubled.

use super::{What, World};
use crate::sim::rules::Broken;
use crate::sim::wire::{About, Reply, Request};

/// An asker waits no longer for an answer, in milliseconds.
const PATIENCE_MS: u64 = 10_000;

/// A request that is under way.
pub(super) struct Call {
    pub(super) from: usize,
    incarnation: u64,
    pub(super) to: usize,
    pub(super) about: About,
}

impl World {
    fn are_apart(&self, one: usize, other: usize) -> bool {
        self.places[one].is_cut_off != self.places[other].is_cut_off
    }

    pub(in crate::sim) fn delay(&mut self) -> u64 {
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
        self.act(to, |agent, moment| agent.asked(call, request, moment));
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
            About::Ask(by, ask) => _ = self.act(from, |agent, moment| agent.told(by, ask, reply, moment)),
            About::Contact { again } => {
                self.act(from, |agent, moment| agent.contacted(again, reply, moment));
            }
        }
        self.settle(from)
    }
}
