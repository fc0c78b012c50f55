//! What came of an effect, as the event that it is to the machine; and how an attempt begins and ends.

use std::io;

use bootstrapd_core::cluster::{Cluster, Key, PasswordHash, Recovery, Registration, Seed};
use bootstrapd_core::failure::{Failure, TriedReason};
use bootstrapd_core::machine::{Contacted, Effect, Event, Trouble};
use bootstrapd_core::record::{Id, Membership};

use super::Agent;
use crate::peer::ContactEnd;
use crate::perform::{Outcome, Who};
use crate::{log, secret};

impl Agent {
    /// The event that an outcome means to the machine.
    #[inline(never)]
    pub(super) fn event(&mut self, who: Who, outcome: Outcome) -> Event {
        match outcome {
            Outcome::Saved(result) => {
                let effect = self.under_way.filter(|_| who == Who::Attempt);
                saved(effect, result.map_err(|error| trouble(&error.to_string())))
            }
            Outcome::Discarded(result) => Event::Discarded(result.map_err(|error| trouble(&error.to_string()))),
            Outcome::PathsChecked(found) => Event::PathsChecked(found),
            Outcome::LicenseVerified(result) => Event::LicenseVerified(result),
            Outcome::Hashed(result) => {
                let founded = result.and_then(|(password, registration)| self.found(password, registration));
                Event::Founded(founded.map_err(|error| trouble(&error.to_string())))
            }
            // It is nobody's attempt: see [`Agent::done`].
            #[cfg(feature = "management")]
            Outcome::Examined(_) => Event::Waited,
            Outcome::RecoveryRead(Ok(cluster)) => Event::RecoveryRead(self.recover(who, cluster)),
            Outcome::RecoveryRead(Err(failure)) => Event::RecoveryRead(Err(*failure)),
        }
    }

    #[inline(never)]
    fn recover(&mut self, who: Who, mut cluster: Box<Cluster>) -> Result<Membership, Failure> {
        let seed = secret::random().and_then(|tag| Ok(Recovery { epoch_tag: Id(tag), key: Key(secret::random()?) }));
        let seed = seed.map_err(Failure::internal)?;
        let membership = self.machine(who).recovered(&mut cluster, &seed, &self.facts)?;
        if who == Who::Attempt {
            self.founded = Some(cluster);
        }
        Ok(membership)
    }

    /// What a contact came to; a record that it brought is the attempt's, if this node is in it.
    #[inline(never)]
    pub(super) fn contacted(&mut self, who: Who, end: ContactEnd) -> Contacted {
        match end {
            ContactEnd::Admitted(cluster) => {
                let Some(membership) = cluster.membership(self.machine.node_id()) else {
                    return Contacted::Failed(TriedReason::NotAMember);
                };
                if who == Who::Attempt {
                    self.founded = Some(cluster);
                }
                Contacted::Admitted(membership)
            }
            ContactEnd::Welcome => Contacted::Admitted(Membership::default()),
            ContactEnd::Refused(failure) => Contacted::Refused(*failure),
            ContactEnd::Failed(reason) => Contacted::Failed(reason),
        }
    }

    // Not inlined: a cluster is large, and what it takes of the loop's stack stays resident.
    #[inline(never)]
    fn found(&mut self, password: PasswordHash, registration: Registration) -> io::Result<Membership> {
        let (cluster_id, epoch_tag) = (Id(secret::random()?), Id(secret::random()?));
        let seed = Seed { cluster_id, epoch_tag, key: Key(secret::random()?), password, registration };
        let cluster = Box::new(self.machine.found(seed, &self.facts, self.clock.now));
        let membership = cluster.membership(self.machine.node_id());
        self.founded = Some(cluster);
        membership.ok_or_else(|| io::Error::other("the node is not in its own cluster"))
    }

    pub(super) fn attempt_accepted(&mut self, result: &Result<(), Trouble>) {
        let action = self.machine.action().name();
        match result {
            Ok(()) => {
                log::info("attempt accepted", &[("action", &action)]);
                for warning in &self.machine.config().warnings {
                    log::warn("configuration", &[("pointer", &warning.pointer), ("reason", &warning.reason)]);
                }
                self.watch();
            }
            Err(trouble) => log::warn("attempt not accepted", &[("action", &action), ("error", trouble)]),
        }
    }

    pub(super) fn attempt_ended(&mut self) {
        self.others.confirmations = 0;
        let founded = self.founded.take();
        if let (Some(membership), Some(cluster)) = (self.machine.membership(), founded) {
            log::info("bootstrap completed", &[("cluster", &cluster.name), ("uid", &membership.uid)]);
            self.cluster = Some(cluster);
            self.live_with_others();
        } else if let Some(failure) = self.machine.failure() {
            let first: String = self.machine.problems().first().chars().collect();
            let message = if failure.message.is_empty() { &first } else { failure.message.as_str() };
            log::warn("bootstrap failed", &[("error_code", &failure.cause.code()), ("message", &message)]);
        }
    }
}

/// The event that the end of a save is, by what it was for.
pub(super) fn saved(effect: Option<Effect>, result: Result<(), Trouble>) -> Event {
    if effect == Some(Effect::Adopt) {
        Event::Adopted(result)
    } else if effect == Some(Effect::Discard) {
        Event::Discarded(result)
    } else {
        Event::Persisted(result)
    }
}

/// The system's words, as many as fit.
pub(super) fn trouble(words: &str) -> Trouble {
    let mut kept = Trouble::new();
    let _ = words.chars().try_for_each(|character| kept.push(character));
    kept
}
