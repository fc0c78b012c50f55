//! How an attempt ends, and a membership.

use super::{Effect, Machine, Mode, Phase, Rest};
use crate::failure::{Cause, Failure, Violation};
use crate::record::Membership;
use crate::status::State;
use crate::time::Timestamp;

impl Machine {
    pub(super) fn valid(&mut self) -> Option<Effect> {
        self.rest(Rest::Idle);
        None
    }

    pub(super) fn complete(&mut self, membership: Membership, now: Timestamp) -> Effect {
        self.end_time = Some(self.not_before_start(now));
        self.step(Phase::Completing(membership), Effect::Persist)
    }

    pub(super) fn unlicensed(&mut self, violation: Violation, now: Timestamp) -> Option<Effect> {
        self.fail(Failure::new(Cause::InvalidLicense { violation }, violation.message()), now)
    }

    pub(super) fn fail(&mut self, failure: Failure, now: Timestamp) -> Option<Effect> {
        let from = self.state();
        let adopted = matches!(self.phase, Phase::Adopting(_) | Phase::Keeping(_) | Phase::Completing(_));
        let disowned = matches!(self.phase, Phase::Confirming(_));
        self.set_failure(failure);
        self.end_time = Some(self.not_before_start(now));
        match self.mode {
            Mode::Act if disowned => Some(self.step(Phase::Disowning, Effect::Persist)),
            Mode::Act if adopted => Some(self.step(Phase::Discarding, Effect::Discard)),
            Mode::Act => Some(self.step(Phase::Failing { from }, Effect::Persist)),
            Mode::Validate => {
                self.rest(Rest::Failed);
                None
            }
        }
    }

    pub(super) fn set_failure(&mut self, failure: Failure) {
        self.failure = failure;
        self.failed = true;
    }

    /// The cluster has sent this node away, or follows another founder, as `why` says: to be made durable.
    pub fn expel(&mut self, why: &str, now: Timestamp) -> Option<Effect> {
        if !self.is_member() {
            return None;
        }
        self.expelled = true;
        self.set_failure(Failure::internal(why));
        self.problems.clear();
        self.end_time = Some(self.not_before_start(now));
        Some(self.step(Phase::Failing { from: State::Completed }, Effect::Persist))
    }

    pub(super) fn rest(&mut self, rest: Rest) {
        self.config.clear();
        self.tried.clear();
        self.phase = Phase::AtRest(rest);
        self.touch();
    }

    /// A clock that was set back must not end an attempt before its start.
    pub(super) fn not_before_start(&self, now: Timestamp) -> Timestamp {
        self.start_time.map_or(now, |start| now.max(start))
    }
}
