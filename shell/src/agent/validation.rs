//! A validation: an attempt of a machine of its own, which changes nothing.

use bootstrapd_core::config::Action;
use bootstrapd_core::machine::{Machine, Refusal};
use bootstrapd_core::status;

use super::{Agent, Reply, Step};
use crate::perform::Who;

impl Agent {
    pub(super) fn validate(&mut self, action: Action, body: &[u8], reply: &mut Reply<'_>) -> Step {
        if let Err(refusal) = self.machine.check_free() {
            return self.refused(refusal, reply);
        }
        if self.validator.is_some() {
            return self.busy("another validation is under way, try again", reply);
        }
        let mut validator = Box::<Machine>::default();
        validator.validate_for(&self.machine);
        let started = validator.start(action, body, self.clock.now);
        self.validations = self.validations.wrapping_add(1);
        let number = self.validations;
        self.validator = Some((number, validator));
        match started {
            Ok(effect) => {
                self.drive(Who::Validation(number), Some(effect));
                Step::Validating(number)
            }
            Err(_) => self.validated(number, reply),
        }
    }

    /// Answers with what the validation with this number found, and forgets it; an accepted attempt has overtaken one
    /// that is gone.
    pub fn validated(&mut self, number: u32, reply: &mut Reply<'_>) -> Step {
        let Some((_, validator)) = self.validator.take_if(|(running, _)| *running == number) else {
            return self.refused(Refusal::InProgress, reply);
        };
        if validator.failure().is_none() {
            return self.document(200, "", reply, |_, writer| _ = writer.open('{').close('}'));
        }
        self.document(406, "", reply, |_, writer| status::write_bootstrap_status(&validator, writer))
    }

    /// The time of the validation with this number is over: whether it has ended by that, and can be answered.
    pub fn run_out(&mut self, number: u32) -> bool {
        let now = self.clock.now;
        self.validator.as_mut().is_some_and(|(running, validator)| *running == number && validator.run_out(now))
    }

    /// Gives up on the validation with this number.
    pub fn abandon(&mut self, number: u32) {
        _ = self.validator.take_if(|(running, _)| *running == number);
    }
}
