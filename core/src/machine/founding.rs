//! What an attempt makes of this node and a cluster's record: a new one, or a new epoch of an old one.

use super::Machine;
use crate::cluster::{Cluster, FOUNDER_UID, Member, Recovery, Seed};
use crate::failure::Failure;
use crate::node::NodeInfo;
use crate::record::Membership;
use crate::time::Timestamp;

impl Machine {
    /// The cluster that [`Effect::Found`](super::Effect::Found) is about, from the seed that the shell made.
    #[must_use]
    pub fn found(&self, seed: Seed, facts: &NodeInfo, now: Timestamp) -> Cluster {
        let (terms, settings) = (self.terms.clone(), facts.settings.clone());
        let mut cluster = Cluster::found(seed, self.member(facts), &self.config, terms, settings, now);
        cluster.is_shared = self.is_shared;
        cluster
    }

    /// This node, as a member to be.
    pub(super) fn member(&self, facts: &NodeInfo) -> Member {
        Member::new(self.node_id, &self.config, facts, self.flash)
    }

    /// Makes the record that [`Effect::ReadRecovery`](super::Effect::ReadRecovery) read a new epoch's, with this node as its founder.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn recovered(
        &self,
        cluster: &mut Cluster,
        recovery: &Recovery,
        facts: &NodeInfo,
    ) -> Result<Membership, Failure> {
        let uid = self.config.node.identity.uid.map_or(FOUNDER_UID, core::num::NonZero::get);
        cluster.recover(uid, self.member(facts), recovery)?;
        cluster.is_shared = self.is_shared;
        Ok(Membership { cluster_id: cluster.cluster_id, epoch: cluster.epoch, uid })
    }
}
