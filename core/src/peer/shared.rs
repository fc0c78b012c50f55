//! What a member decides where the cluster's record is in a store that all members share: each of them may change it, by
//! compare-and-swap, and who has a lease there is alive.

use heapless::Vec;

use super::{Bar, JoinAnswer};
use crate::cluster::{Admitted, Cluster, JoinRequest, Key, Liveness, Rules, Verdict};
use crate::failure::TriedReason;
use crate::limits::MEMBER_SLOTS_MAX;
use crate::machine::Confirmed;
use crate::record::Id;

/// What a member keeps beside the record.
#[derive(Clone, Debug)]
pub struct Shared {
    liveness: Liveness,
    max_skew_seconds: u64,
    /// Who had not confirmed when the record was seen last: their time counts from when they were seen first.
    waiting: Vec<(Id, Key), MEMBER_SLOTS_MAX>,
}

/// What the record in the store means to a member with a copy of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It is the same.
    Same,
    /// It is newer and takes the copy's place.
    Newer,
    /// It is newer, and this node is not in it.
    Expelled,
    /// Nobody may be admitted by it.
    Barred(Bar),
}

impl Shared {
    /// Nobody was seen yet. Times are milliseconds of a clock that never goes back.
    #[must_use]
    pub const fn new(max_skew_seconds: u64, now_ms: u64) -> Self {
        // Beats are not counted where leases are.
        Self { liveness: Liveness::new(0, now_ms), max_skew_seconds, waiting: Vec::new() }
    }

    /// The record in the store, and the nodes that have a lease there, as of now.
    pub fn see(&mut self, cluster: &Cluster, leased: &[Id], now_ms: u64) {
        self.liveness.see(leased, now_ms);
        let waiting = cluster.members.iter().filter(|member| !member.is_active());
        let waiting = waiting.map(|member| (member.node_id, member.key)).collect();
        let before = core::mem::replace(&mut self.waiting, waiting);
        for (node, _) in self.waiting.iter().filter(|node| !before.contains(node)) {
            self.liveness.hear(*node, now_ms);
        }
    }

    /// What the store's record is to the node `own`, which has `copy`.
    #[must_use]
    pub fn judge(copy: &Cluster, own: Id, stored: &Cluster) -> Sight {
        let key = |cluster: &Cluster| cluster.member_of(own).map(|member| member.key);
        match copy.judge(&stored.stamp()) {
            Verdict::Current => Sight::Same,
            Verdict::Ahead | Verdict::Newer if key(copy) == key(stored) => Sight::Newer,
            Verdict::Ahead | Verdict::Newer => Sight::Expelled,
            // The store went back in time.
            Verdict::Behind | Verdict::Older => Sight::Barred(Bar::RolledBack),
            Verdict::Split | Verdict::Foreign => Sight::Barred(Bar::Split),
        }
    }

    /// The members of `cluster` that are down.
    pub fn down(&self, cluster: &Cluster, now_ms: u64) -> impl Iterator<Item = u32> {
        cluster.down(&self.liveness, now_ms).into_iter()
    }

    /// Time for a beat: nobody replaces the node `own`, which is there, and who was silent for too long is forgotten.
    /// Whether that changed `cluster`.
    pub fn beat(&self, cluster: &mut Cluster, own: Id, now_ms: u64) -> bool {
        let uid = cluster.member_of(own).filter(|member| member.is_active()).map(|member| member.uid);
        let kept = uid.is_some_and(|uid| cluster.keep(uid));
        cluster.lapse(&self.liveness, now_ms) || kept
    }

    /// A node that has proved the password wants to join. Where it is admitted `cluster` has changed, and the joiner's answer
    /// is the record, once the store has it.
    ///
    /// # Errors
    /// What the joiner is answered instead; then nothing has changed.
    pub fn join(
        &self,
        cluster: &mut Cluster,
        (request, key): (&JoinRequest, Key),
        (now_ms, clock_ms): (u64, u64),
    ) -> Result<Admitted, JoinAnswer> {
        let Self { liveness, max_skew_seconds, .. } = self;
        let max_skew_seconds = *max_skew_seconds;
        let rules = Rules { liveness, uptime_ms: now_ms, clock_ms, max_skew_seconds, is_shared: true };
        if request.validate {
            let could = cluster.could_admit(request, &rules);
            return Err(could.map_or_else(JoinAnswer::Refused, |()| JoinAnswer::Welcome));
        }
        cluster.admit(request, key, &rules).map_err(JoinAnswer::Refused)
    }

    /// The node `own` has made `adopted` its record: what it is by the store's, which may change by that.
    pub fn confirm(stored: &mut Cluster, adopted: &Cluster, own: Id) -> Confirmed {
        let key = |cluster: &Cluster| cluster.member_of(own).map(|member| member.key);
        let founds = adopted.is_founder(own);
        let is_it = match adopted.judge(&stored.stamp()) {
            Verdict::Current | Verdict::Ahead => true,
            // Whoever has founded an epoch does not follow another.
            Verdict::Newer => !founds,
            Verdict::Behind | Verdict::Older | Verdict::Split | Verdict::Foreign => false,
        };
        if !is_it && !founds {
            return Confirmed::Unanswered;
        }
        if !is_it || key(stored) != key(adopted) {
            return Confirmed::Unknown;
        }
        stored.confirm(own);
        Confirmed::Done
    }
}

impl Bar {
    /// Why a joiner is not admitted.
    #[must_use]
    pub const fn reason(self) -> TriedReason {
        match self {
            Self::Split | Self::RolledBack => TriedReason::NeedsRecovery,
        }
    }
}
