//! What becomes of a node that is admitted: it confirms, it lapses, or the dead one that it was to replace comes back.

use super::{Cluster, Liveness, Member, MemberStatus, Retired};
use crate::record::Id;

impl Cluster {
    /// An admitted node says that it has made the record its own. Whether that changed anything.
    pub fn confirm(&mut self, node_id: Id) -> bool {
        let Some(index) = self.members.iter().position(|member| member.node_id == node_id && !member.is_active())
        else {
            return false;
        };
        let mut member = self.members.remove(index);
        if let Some(dead) = self.members.iter().position(|dead| dead.uid == member.uid) {
            let dead = self.members.remove(dead);
            self.retire(&dead);
        }
        member.status = MemberStatus::Active;
        let _ = self.members.push(member);
        self.members.sort_unstable_by_key(|member| (member.uid, member.is_active()));
        self.changed();
        true
    }

    /// Whether [`Cluster::lapse`] would forget anybody.
    #[must_use]
    pub fn has_lapsed(&self, liveness: &Liveness, uptime_ms: u64) -> bool {
        self.members.iter().any(|member| liveness.has_lapsed(member, uptime_ms))
    }

    /// Forgets admitted nodes that were silent for too long. Whether there were any.
    pub fn lapse(&mut self, liveness: &Liveness, uptime_ms: u64) -> bool {
        self.remove(|member| liveness.has_lapsed(member, uptime_ms))
    }

    /// A member is there after all: nobody replaces it. Whether somebody was about to.
    pub fn keep(&mut self, uid: u32) -> bool {
        self.remove(|member| member.uid == uid && member.status == MemberStatus::Replacing)
    }

    fn remove(&mut self, mut is_over: impl FnMut(&Member) -> bool) -> bool {
        let before = self.members.len();
        while let Some(index) = self.members.iter().position(&mut is_over) {
            let member = self.members.remove(index);
            self.retire(&member);
        }
        let removed = self.members.len() != before;
        if removed {
            self.changed();
        }
        removed
    }

    /// Remembers a node that is no more, to tell it so.
    pub(super) fn retire(&mut self, member: &Member) {
        if self.retired.is_full() {
            self.retired.remove(0);
        }
        let _ = self.retired.push(Retired { uid: member.uid, node_id: member.node_id, key: member.key });
    }
}
