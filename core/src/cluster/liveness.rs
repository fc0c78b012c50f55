//! Who was heard of lately. It lives in memory: a record says who is a member, never who is up.

use heapless::Vec;

use super::{Cluster, Member, MemberStatus};
use crate::limits::MEMBER_SLOTS_MAX;
use crate::record::Id;

/// Beats missed until a member counts as down.
const MISSED_BEATS: u64 = 3;
/// An admitted node that is not heard of for so long lapses, in milliseconds.
const LAPSE_MS: u64 = 60_000;

/// The last sign of life of every other node, as the founder heard it. Times are milliseconds of a clock that never
/// goes back.
#[derive(Clone, Debug)]
pub struct Liveness {
    beat_ms: u64,
    /// Silence counts from here: the founder was deaf before.
    since_ms: u64,
    looked_ms: u64,
    heard: Vec<(Id, u64), MEMBER_SLOTS_MAX>,
    /// Who has a lease, where a store that all members share keeps them: then that is what counts, for the founder too.
    leased: Option<Vec<Id, MEMBER_SLOTS_MAX>>,
}

impl Liveness {
    /// Nobody was heard yet; everybody counts as alive for three beats.
    #[must_use]
    pub const fn new(beat_ms: u64, now_ms: u64) -> Self {
        Self { beat_ms, since_ms: now_ms, looked_ms: now_ms, heard: Vec::new(), leased: None }
    }

    /// Time goes on; to be called before anything that is judged, and every beat. Whoever was not called for two was stalled,
    /// and heard nobody meanwhile.
    pub fn look(&mut self, now_ms: u64) {
        if now_ms.saturating_sub(self.looked_ms) > self.beat_ms.saturating_mul(2) {
            self.since_ms = now_ms;
        }
        self.looked_ms = now_ms;
    }

    /// Whether three beats have passed since the start or the last stall.
    #[must_use]
    pub const fn is_settled(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.since_ms) > self.beat_ms.saturating_mul(MISSED_BEATS)
    }

    /// A sign of life.
    pub fn hear(&mut self, node: Id, now_ms: u64) {
        if let Some((_, heard)) = self.heard.iter_mut().find(|(known, _)| *known == node) {
            *heard = now_ms;
        } else {
            if self.heard.is_full()
                && let Some(oldest) =
                    (0..self.heard.len()).min_by_key(|index| self.heard.get(*index).map(|(_, at)| *at))
            {
                self.heard.swap_remove(oldest);
            }
            let _ = self.heard.push((node, now_ms));
        }
    }

    /// The nodes that have a lease, all of them.
    pub fn see(&mut self, leased: &[Id], now_ms: u64) {
        for node in leased {
            self.hear(*node, now_ms);
        }
        self.leased = Some(leased.iter().copied().take(MEMBER_SLOTS_MAX).collect());
    }

    fn silence_ms(&self, node: Id, now_ms: u64) -> u64 {
        let heard = self.heard.iter().find(|(known, _)| *known == node).map_or(0, |(_, at)| *at);
        now_ms.saturating_sub(heard.max(self.since_ms))
    }

    /// Whether a member of `cluster` has missed three beats, or has no lease. The founder, who judges beats, never misses any.
    #[must_use]
    pub fn is_down(&self, cluster: &Cluster, member: &Member, now_ms: u64) -> bool {
        if let Some(leased) = &self.leased {
            return member.is_active() && !leased.contains(&member.node_id);
        }
        member.is_active()
            && member.uid != cluster.founder_uid
            && self.silence_ms(member.node_id, now_ms) > self.beat_ms.saturating_mul(MISSED_BEATS)
    }

    /// Whether an admitted node has been silent for too long.
    #[must_use]
    pub fn has_lapsed(&self, member: &Member, now_ms: u64) -> bool {
        member.status != MemberStatus::Active && self.silence_ms(member.node_id, now_ms) > LAPSE_MS
    }
}
