//! What is different where the cluster's record is in a store that all members share: it is looked at before anything is
//! founded or joined, and a founder, too, confirms.

use super::{Effect, Machine, Mode, Phase, StoreChecked};
use crate::config::Action;
use crate::failure::{Cause, Failure};
use crate::time::Timestamp;

impl Machine {
    /// The cluster's record is in a store that all its members share.
    pub const fn share_store(&mut self) {
        self.is_shared = true;
    }

    /// Whether the cluster has to know the node after it has made the record its own.
    pub(super) fn confirms(&self) -> bool {
        self.is_shared || self.action == Action::JoinCluster
    }

    /// Begins a round: what is out there comes after everything that can be known here.
    pub(super) fn reach(&mut self, round: u8) -> Effect {
        if self.is_shared {
            return self.step(Phase::CheckingStore { round }, Effect::CheckStore);
        }
        self.set_out(round)
    }

    fn set_out(&mut self, round: u8) -> Effect {
        match self.action {
            Action::CreateCluster => self.step(Phase::Founding, Effect::Found),
            Action::JoinCluster => self.contact_next(0, round),
            Action::RecoverCluster => self.step(Phase::ReadingRecovery, Effect::ReadRecovery),
        }
    }

    pub(super) fn store_checked(&mut self, found: StoreChecked, round: u8, now: Timestamp) -> Option<Effect> {
        let why = match (found, self.action) {
            (StoreChecked::Failed(_), _) if self.mode == Mode::Act && round < self.config.retry.max => {
                let seconds = self.config.retry.seconds;
                return Some(self.step(Phase::Waiting { round }, Effect::Wait { seconds }));
            }
            (StoreChecked::Failed(tried), _) => {
                let cause = Cause::ConnectError { nodes_tried: [tried].into_iter().collect() };
                return self.fail(Failure::new(cause, "the store of the cluster's record cannot be used"), now);
            }
            (StoreChecked::Taken, Action::CreateCluster | Action::RecoverCluster) => TAKEN,
            (StoreChecked::Empty, Action::JoinCluster) => "the store has no cluster's record under its prefix",
            (StoreChecked::Empty, Action::CreateCluster) if self.mode == Mode::Validate => return self.valid(),
            (StoreChecked::Empty, Action::CreateCluster | Action::RecoverCluster)
            | (StoreChecked::Taken, Action::JoinCluster) => return Some(self.set_out(round)),
        };
        self.fail(Failure::new(Cause::ConfigError { required_rack_id: None }, why), now)
    }

    /// Why a node that has made a record its own is not in the cluster after all.
    pub(super) fn unknown(&self) -> Failure {
        match self.action {
            Action::JoinCluster => Failure::internal(
                "the cluster does not know this node any more: it confirmed too late, or was admitted again",
            ),
            Action::CreateCluster | Action::RecoverCluster => {
                Failure::new(Cause::ConfigError { required_rack_id: None }, TAKEN)
            }
        }
    }
}

const TAKEN: &str = "the store has a cluster's record already: take another prefix, or recover a survivor in place";
