//! What survives a restart: a machine's phase as a record's standing, and back.

use super::{Effect, Machine, Phase, Rest};
use crate::config::Paths;
use crate::failure::Failure;
use crate::json::TooLong;
use crate::record::{Membership, NodeRecord, NodeRecordView, Standing};
use crate::time::Timestamp;

impl Machine {
    /// Becomes the node that `record` tells of. An attempt that a restart cut short has failed.
    pub fn restore(&mut self, record: &NodeRecord, defaults: &Paths, now: Timestamp) {
        self.identify(record.node_id, defaults);
        self.revision = record.revision;
        // Whoever has waited for a change over a restart must not take another one for the one that it knew.
        self.version = record.revision << 16;
        self.action = record.action;
        self.start_time = record.start_time;
        self.end_time = record.end_time;
        if let Some(failure) = &record.failure {
            self.set_failure(failure.clone());
        }
        self.problems.restore(&record.problems, record.first_problem, false);
        self.membership = record.membership;
        self.expelled =
            matches!(record.standing, Standing::Expelled | Standing::ExpelledAttempt | Standing::ExpelledAdopted);
        self.paths.clone_from(&record.paths);
        self.home.clone_from(&record.paths);
        self.phase = match (record.standing, record.membership) {
            (Standing::Idle, _) => Phase::AtRest(Rest::Idle),
            (Standing::Member, _) => Phase::AtRest(Rest::Completed),
            (Standing::Failed | Standing::Expelled, _) => Phase::AtRest(Rest::Failed),
            // Where it goes on: see `Machine::resume`.
            (Standing::Adopted | Standing::ExpelledAdopted, Some(membership)) => Phase::Confirming(membership),
            (Standing::Attempt | Standing::ExpelledAttempt | Standing::Adopted | Standing::ExpelledAdopted, _) => {
                self.end_time = Some(self.not_before_start(now));
                self.set_failure(Failure::internal("the agent was restarted during this attempt; start it again"));
                Phase::AtRest(Rest::Failed)
            }
        };
    }

    /// What a restored machine goes on with: a joiner that has made the record its own confirms again.
    #[must_use]
    pub fn resume(&self) -> Option<Effect> {
        self.adopted().is_some().then_some(Effect::Confirm)
    }

    /// The place that a joiner was given, from the moment that it has made the record its own until it is a member.
    #[must_use]
    pub fn adopted(&self) -> Option<Membership> {
        if let Phase::Confirming(membership) = self.phase { Some(membership) } else { None }
    }

    /// Encodes what must survive a restart, as the state stands now, and returns the length in bytes. Each record is
    /// newer than the one before.
    ///
    /// # Errors
    /// [`TooLong`] when the buffer is too small.
    pub fn encode(&mut self, buffer: &mut [u8]) -> Result<usize, TooLong> {
        self.revision = self.revision.saturating_add(1);
        let standing = match self.phase {
            Phase::AtRest(Rest::Idle) => Standing::Idle,
            Phase::AtRest(Rest::Completed) | Phase::Completing(_) => Standing::Member,
            Phase::AtRest(Rest::Failed) | Phase::Failing { .. } if self.expelled => Standing::Expelled,
            Phase::AtRest(Rest::Failed) | Phase::Failing { .. } => Standing::Failed,
            Phase::Accepting { .. }
            | Phase::Clearing { .. }
            | Phase::CheckingPaths
            | Phase::VerifyingLicense
            | Phase::CheckingStore { .. }
            | Phase::Founding
            | Phase::Contacting { .. }
            | Phase::Waiting { .. }
            | Phase::ReadingRecovery
            | Phase::Adopting(_)
            | Phase::Disowning
            | Phase::Discarding => {
                if self.expelled {
                    Standing::ExpelledAttempt
                } else {
                    Standing::Attempt
                }
            }
            Phase::Keeping(_) | Phase::Confirming(_) if self.expelled => Standing::ExpelledAdopted,
            Phase::Keeping(_) | Phase::Confirming(_) => Standing::Adopted,
        };
        let start_time = if let Phase::Accepting { at, .. } = self.phase { Some(at) } else { self.start_time };
        let ended = !standing.is_attempt();
        let (problems, first_problem) = if ended { self.problems.kept() } else { ("", (0, 0)) };
        // What a node that was sent away knows its administrator by must be found again, wherever it tries to go.
        let at_home = self.expelled && !matches!(standing, Standing::Member | Standing::ExpelledAdopted);
        let view = NodeRecordView {
            node_id: self.node_id,
            revision: self.revision,
            standing,
            action: self.action,
            start_time,
            end_time: self.end_time.filter(|_| ended),
            failure: (self.failed && ended).then_some(&self.failure),
            problems,
            first_problem,
            membership: if let Phase::Completing(new) | Phase::Keeping(new) | Phase::Confirming(new) = self.phase {
                Some(new)
            } else {
                self.membership
            },
            paths: if at_home { &self.home } else { &self.paths },
        };
        view.encode(buffer)
    }
}
