//! What survives a restart: a machine's phase as a record's standing, and back.

use super::{Machine, Phase, Rest};
use crate::config::Paths;
use crate::failure::Failure;
use crate::json::TooLong;
use crate::record::{NodeRecord, NodeRecordView, Standing};
use crate::time::Timestamp;

impl Machine {
    /// Becomes the node that `record` tells of. An attempt that a restart cut short has failed.
    pub fn restore(&mut self, record: &NodeRecord, defaults: &Paths, now: Timestamp) {
        self.identify(record.node_id, defaults);
        self.revision = record.revision;
        self.action = record.action;
        self.start_time = record.start_time;
        self.end_time = record.end_time;
        if let Some(failure) = &record.failure {
            self.set_failure(failure.clone());
        }
        self.problems.restore(&record.problems, record.first_problem, false);
        self.membership = record.membership;
        self.expelled = matches!(record.standing, Standing::Expelled | Standing::ExpelledAttempt);
        self.paths.clone_from(&record.paths);
        self.home.clone_from(&record.paths);
        self.phase = Phase::AtRest(match record.standing {
            Standing::Idle => Rest::Idle,
            Standing::Member => Rest::Completed,
            Standing::Failed | Standing::Expelled => Rest::Failed,
            Standing::Attempt | Standing::ExpelledAttempt => {
                self.end_time = Some(self.not_before_start(now));
                self.set_failure(Failure::internal("the agent was restarted during this attempt; start it again"));
                Rest::Failed
            }
        });
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
            | Phase::CheckingPaths
            | Phase::VerifyingLicense
            | Phase::Founding
            | Phase::Adopting(_)
            | Phase::Discarding => {
                if self.expelled {
                    Standing::ExpelledAttempt
                } else {
                    Standing::Attempt
                }
            }
        };
        let start_time = if let Phase::Accepting { at, .. } = self.phase { Some(at) } else { self.start_time };
        let ended = !standing.is_attempt();
        let (problems, first_problem) = if ended { self.problems.kept() } else { ("", (0, 0)) };
        // What a node that was sent away knows its administrator by must be found again, wherever it tries to go.
        let at_home = self.expelled && standing != Standing::Member;
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
            membership: if let Phase::Completing(new) = self.phase { Some(new) } else { self.membership },
            paths: if at_home { &self.home } else { &self.paths },
        };
        view.encode(buffer)
    }
}
