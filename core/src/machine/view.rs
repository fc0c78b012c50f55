//! What can be seen of a machine from outside.

use super::path::effective;
use super::{Machine, PathRole, Phase, Rest};
use crate::config::{Action, Config};
use crate::failure::Failure;
use crate::problems::Problems;
use crate::record::{Id, Membership};
use crate::status::State;
use crate::time::Timestamp;

impl Machine {
    /// The public state, derived from the phase.
    #[must_use]
    pub fn state(&self) -> State {
        match self.phase {
            Phase::AtRest(rest) | Phase::Accepting { before: rest, .. } | Phase::Clearing { before: rest, .. } => {
                match rest {
                    Rest::Idle => State::Idle,
                    Rest::Failed => State::Error,
                    Rest::Completed => State::Completed,
                }
            }
            Phase::CheckingPaths | Phase::VerifyingLicense => State::Initiated,
            Phase::Failing { from } => from,
            Phase::Founding
            | Phase::CheckingStore { .. }
            | Phase::Contacting { .. }
            | Phase::Waiting { .. }
            | Phase::ReadingRecovery
            | Phase::Adopting(_)
            | Phase::Keeping(_)
            | Phase::Confirming(_)
            | Phase::Completing(_)
            | Phase::Disowning
            | Phase::Discarding => match self.action {
                Action::CreateCluster => State::CreatingCluster,
                Action::JoinCluster => State::JoiningCluster,
                Action::RecoverCluster => State::RecoveringCluster,
            },
        }
    }

    /// Whether an attempt is being made durable, so that its caller still waits for an answer.
    #[must_use]
    pub fn is_accepting(&self) -> bool {
        matches!(self.phase, Phase::Accepting { .. } | Phase::Clearing { .. })
    }

    /// Whether the node is in a cluster and asks for credentials.
    #[must_use]
    pub fn is_member(&self) -> bool {
        self.phase == Phase::AtRest(Rest::Completed)
    }

    /// Whether the node was in a cluster that has sent it away: it still asks for credentials, in an attempt too.
    #[must_use]
    pub const fn is_expelled(&self) -> bool {
        self.expelled
    }

    /// Changes with everything that a status document shows of the machine.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// When the shown attempt was accepted.
    #[must_use]
    pub const fn start_time(&self) -> Option<Timestamp> {
        self.start_time
    }

    /// When the shown attempt ended; only for one that has.
    #[must_use]
    pub fn end_time(&self) -> Option<Timestamp> {
        self.end_time.filter(|_| matches!(self.state(), State::Completed | State::Error))
    }

    /// Why the shown attempt failed; only for one that has.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        (self.failed && self.state() == State::Error).then_some(&self.failure)
    }

    /// What was wrong with the shown attempt's configuration.
    #[must_use]
    pub const fn problems(&self) -> &Problems {
        &self.problems
    }

    /// This node's place in its cluster, once it has one.
    #[must_use]
    pub fn membership(&self) -> Option<Membership> {
        self.membership.filter(|_| self.state() == State::Completed)
    }

    /// The configuration of the attempt under way.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Names this node for its whole life.
    #[must_use]
    pub const fn node_id(&self) -> Id {
        self.node_id
    }

    /// The last attempt's action.
    #[must_use]
    pub const fn action(&self) -> Action {
        self.action
    }

    /// The path of the last attempt for `role`, or the agent's own.
    #[must_use]
    pub fn path(&self, role: PathRole) -> &str {
        effective(role, &self.paths, &self.defaults)
    }

    /// Where the record of the cluster lies that has sent this node away. An attempt may have put its own there, whatever it
    /// calls that place: to discard the one is to put back the other.
    #[must_use]
    pub fn home(&self) -> Option<&str> {
        self.expelled.then(|| effective(PathRole::Ccs, &self.home, &self.defaults))
    }

    /// The directories that [`Effect::CheckPaths`](super::Effect::CheckPaths) is about: flash only where it is on or
    /// asked for, the record's own only where it is not the persistent one.
    #[must_use]
    pub fn paths_to_check(&self) -> [Option<&str>; 4] {
        PathRole::ALL.map(|role| {
            let asked = match role {
                PathRole::Persistent | PathRole::Ephemeral => true,
                PathRole::Bigstore => self.config.node.flash() || !self.paths.bigstore.is_empty(),
                PathRole::Ccs => !self.paths.ccs.is_empty(),
            };
            asked.then(|| self.path(role))
        })
    }
}
