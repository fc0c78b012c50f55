//! What agents say to each other once each knows whom it talks to, and what they conclude from it.
//!
//! The messages are JSON in one fixed shape, sealed by the shell. Whoever sends one knows a member's key, but may be an
//! old copy of that member: each message tells which record its sender has. Whom to ask, and what an answer or a
//! request to join leads to, is decided here; the shell carries it.

use heapless::Vec;

use crate::cluster::{Admitted, Cluster, JoinRequest, Key, Liveness, Member, Rules, Stamp, Verdict};
use crate::failure::TriedReason;
use crate::limits::MEMBER_SLOTS_MAX;
use crate::machine::Confirmed;
use crate::manage::Refusal;
use crate::record::Id;

mod message;
mod shared;

pub use message::{Answer, Ask, JoinAnswer, Message, Word};
pub use shared::{Shared, Sight};

/// Silence of the founder, in beats, from which on a member asks others whether there is another one.
const SILENT_BEATS: u64 = 3;
/// Of so many confirmations that nobody answered, one goes to another member: the founder may be another by now.
const FOUNDER_TURNS: usize = 4;

/// What a message or an answer leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing.
    Nothing,
    /// The record has changed, or has to give way to the newer one: that must be kept before anybody hears of it.
    Changed,
    /// The other one's record is newer.
    Follow,
    /// The other one's is of an epoch that is over, and it may not know of this founder: it is to be invited.
    Invite,
    /// This founder's epoch is over: it writes no more.
    Superseded,
    /// The cluster has sent this node away.
    Expelled,
}

/// Why a founder admits nobody until its cluster is recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// There is another founder of the same epoch.
    Split,
    /// Members know a newer record: this one came from an old disk.
    RolledBack,
}

/// What a member knows of the others beside the record, in memory only. Times are milliseconds of a clock that never
/// goes back.
#[derive(Clone, Debug)]
pub struct Peers {
    /// Who was heard of; the founder's to judge.
    pub liveness: Liveness,
    /// Why nobody is admitted.
    pub bar: Option<Bar>,
    beat_ms: u64,
    max_skew_seconds: u64,
    /// Whether members meet in a store that they share, and not each other.
    is_shared: bool,
    /// Who is down, as the founder said.
    told_down: Vec<u32, MEMBER_SLOTS_MAX>,
    /// The nodes that have answered or asked since the start.
    met: Vec<Id, MEMBER_SLOTS_MAX>,
    /// When the founder answered last.
    founder_answered_ms: u64,
    /// Counts questions, so that each of the others is asked in its turn.
    turn: usize,
}

impl Peers {
    /// Knows nothing yet.
    #[must_use]
    pub const fn new(beat_ms: u64, max_skew_seconds: u64, now_ms: u64) -> Self {
        Self {
            liveness: Liveness::new(beat_ms, now_ms),
            bar: None,
            beat_ms,
            max_skew_seconds,
            is_shared: false,
            told_down: Vec::new(),
            met: Vec::new(),
            founder_answered_ms: now_ms,
            turn: 0,
        }
    }

    /// The same where the cluster's record is in a store that all members share: what is to be known of the others is
    /// found there.
    #[must_use]
    pub const fn shared(mut self) -> Self {
        self.is_shared = true;
        self
    }

    /// Who is down, as was found elsewhere.
    pub fn tell_down(&mut self, down: &[u32]) {
        self.told_down = down.iter().copied().take(MEMBER_SLOTS_MAX).collect();
    }

    /// Time for a beat: whom the node `own` asks. Members ask the founder, and where it is silent each of the others in
    /// its turn. A founder that was started asks all, until it has heard of all, and then those that are down: for them
    /// it may be the one that is gone.
    pub fn beat(&mut self, cluster: &Cluster, own: Id, now_ms: u64) -> Vec<Id, MEMBER_SLOTS_MAX> {
        if self.is_shared {
            return Vec::new();
        }
        if cluster.is_founder(own) {
            let is_ready = self.is_ready(cluster, own, now_ms);
            let asks = |member: &&Member| {
                member.is_active()
                    && member.node_id != own
                    && (!is_ready || self.liveness.is_down(cluster, member, now_ms))
            };
            return cluster.members.iter().filter(asks).map(|member| member.node_id).collect();
        }
        let silence = now_ms.saturating_sub(self.founder_answered_ms);
        let is_silent = silence > self.beat_ms.saturating_mul(SILENT_BEATS);
        let other = if is_silent { other(cluster, own, self.next_turn()) } else { None };
        cluster.founder().map(|founder| founder.node_id).into_iter().chain(other).collect()
    }

    /// Whom a joiner that has made the record its own asks to be known as a member.
    pub fn confirmation(&mut self, cluster: &Cluster, own: Id) -> Option<Id> {
        let founder = cluster.founder().map(|founder| founder.node_id);
        let turn = self.next_turn();
        let others = turn.checked_div(FOUNDER_TURNS).filter(|_| turn % FOUNDER_TURNS == FOUNDER_TURNS - 1);
        others.and_then(|turn| other(cluster, own, turn)).or(founder)
    }

    const fn next_turn(&mut self) -> usize {
        let turn = self.turn;
        self.turn = turn.wrapping_add(1);
        turn
    }

    /// Whether a founder may admit yet: after a start it first hears all members, or waits for three beats.
    #[must_use]
    pub fn is_ready(&self, cluster: &Cluster, own: Id, now_ms: u64) -> bool {
        let met = |node_id| node_id == own || self.met.contains(&node_id);
        self.liveness.is_settled(now_ms)
            || cluster.members.iter().filter(|member| member.is_active()).all(|member| met(member.node_id))
    }

    /// The members that are down, as far as the node `own` knows.
    #[must_use]
    pub fn down(&self, cluster: &Cluster, own: Id, now_ms: u64) -> Vec<u32, MEMBER_SLOTS_MAX> {
        if cluster.is_founder(own) && !self.is_shared {
            return cluster.down(&self.liveness, now_ms);
        }
        let mut down = self.told_down.clone();
        // Of its own silence the founder tells nobody.
        if self.silence(cluster, own, now_ms).is_some() && !down.contains(&cluster.founder_uid) {
            let _ = down.push(cluster.founder_uid);
        }
        down
    }

    /// Whether the founder `own` is to forget nodes that have not confirmed: see [`Cluster::lapse`].
    #[must_use]
    pub fn is_to_lapse(&self, cluster: &Cluster, own: Id, now_ms: u64) -> bool {
        self.may_write(cluster, own) && cluster.has_lapsed(&self.liveness, now_ms)
    }

    /// Whether the node `own` is the one that changes the record. A founder that admits nobody changes nothing: another copy
    /// may have gone on where its own stands.
    fn may_write(&self, cluster: &Cluster, own: Id) -> bool {
        !self.is_shared && self.bar.is_none() && cluster.is_founder(own)
    }

    /// This node's copy is `cluster` now, in the place of one of `epoch`: what was wrong in an epoch is over with it, and its
    /// founder has just been there.
    pub fn has_kept(&mut self, cluster: &Cluster, epoch: u32, now_ms: u64) {
        if cluster.epoch > epoch {
            self.bar = None;
            self.founder_answered_ms = now_ms;
        }
    }

    /// A node that has proved the password wants to join through the node `own`. Where it is admitted, `cluster` has
    /// changed, and the joiner's answer is the record, once that is durable.
    ///
    /// # Errors
    /// What the joiner is answered instead, at once; then nothing has changed.
    pub fn join(
        &mut self,
        cluster: &mut Cluster,
        own: Id,
        (request, key): (&JoinRequest, Key),
        (now_ms, clock_ms): (u64, u64),
    ) -> Result<Admitted, JoinAnswer> {
        if !cluster.is_founder(own) {
            let founder = cluster.founder().map(|founder| JoinAnswer::Founder(founder.endpoint));
            return Err(founder.unwrap_or(JoinAnswer::NotNow(TriedReason::NoFounder)));
        }
        if self.bar.is_some() {
            return Err(JoinAnswer::NotNow(TriedReason::NeedsRecovery));
        }
        if !self.is_ready(cluster, own, now_ms) {
            return Err(JoinAnswer::NotNow(TriedReason::NotReady));
        }
        let Self { liveness, max_skew_seconds, .. } = self;
        let max_skew_seconds = *max_skew_seconds;
        let rules = Rules { liveness, uptime_ms: now_ms, clock_ms, max_skew_seconds, is_shared: false };
        if request.validate {
            let could = cluster.could_admit(request, &rules);
            return Err(could.map_or_else(JoinAnswer::Refused, |()| JoinAnswer::Welcome));
        }
        let admitted = cluster.admit(request, key, &rules).map_err(JoinAnswer::Refused)?;
        self.liveness.hear(request.member.node_id, now_ms);
        Ok(admitted)
    }

    /// Whether the node `own` may change `cluster` now, as it may admit a joiner.
    ///
    /// # Errors
    /// Why not.
    pub fn may_change(&self, cluster: &Cluster, own: Id, now_ms: u64) -> Result<(), Refusal> {
        if self.is_shared {
            // The store says so.
            return Ok(());
        }
        if !cluster.is_founder(own) {
            return Err(Refusal::NotFounder(cluster.founder().map(|founder| founder.endpoint)));
        }
        if self.bar.is_some() {
            return Err(Refusal::NeedsRecovery);
        }
        if self.is_ready(cluster, own, now_ms) { Ok(()) } else { Err(Refusal::NotReady) }
    }

    /// For how many seconds the founder has been silent, where that is too long; a founder is never silent to itself, nor is
    /// one missed where members meet in a store, or by a member that was asleep itself.
    #[must_use]
    pub fn silence(&self, cluster: &Cluster, own: Id, now_ms: u64) -> Option<u64> {
        let silence = now_ms.saturating_sub(self.founder_answered_ms);
        let is_silent = silence > self.beat_ms.saturating_mul(SILENT_BEATS);
        let counts = !self.is_shared && !cluster.is_founder(own) && self.liveness.is_settled(now_ms);
        (is_silent && counts).then_some(silence / 1000)
    }

    /// What the answer of the node `by` means to a joiner that asked for confirmation with the copy `cluster`.
    #[must_use]
    pub fn confirmed(cluster: &Cluster, by: Id, answer: &Answer) -> Confirmed {
        let by_founder = cluster.founder().is_some_and(|founder| founder.node_id == by);
        match (answer.word, cluster.judge(&answer.stamp)) {
            (Word::Done, Verdict::Current | Verdict::Ahead) if by_founder => Confirmed::Done,
            (Word::Gone, Verdict::Current | Verdict::Ahead | Verdict::Newer) => Confirmed::Unknown,
            // Another member's copy may be from before the admission; an old one of the founder's is its word all the same.
            (Word::Gone, Verdict::Behind) if by_founder => Confirmed::Unknown,
            _ => Confirmed::Unanswered,
        }
    }

    /// Whether a joiner that asked for confirmation with the copy `cluster` is to ask whoever gave this answer for the record:
    /// a later epoch knows it already.
    #[must_use]
    pub fn is_overtaken(cluster: &Cluster, answer: &Answer) -> bool {
        answer.word == Word::Outdated && cluster.judge(&answer.stamp) == Verdict::Newer
    }

    /// What another member's copy of the record, `other`, means to the node `own`, which has `cluster`: `Changed` where
    /// it takes that one's place.
    #[must_use]
    pub fn follow(cluster: &Cluster, own: Id, other: &Cluster) -> Consequence {
        let key = |cluster: &Cluster| cluster.member_of(own).map(|member| member.key);
        if !cluster.is_succeeded_by(other) || cluster.is_founder(own) {
            Consequence::Nothing
        } else if key(cluster) == key(other) {
            Consequence::Changed
        } else {
            Consequence::Expelled
        }
    }

    fn meet(&mut self, node_id: Id, now_ms: u64) {
        self.liveness.hear(node_id, now_ms);
        if !self.met.contains(&node_id) {
            let _ = self.met.push(node_id);
        }
    }

    /// Takes a message from the node `from`, sealed with its present key (`is_known`) or with one that is good for
    /// nothing else, and answers it. Only a founder changes `cluster`.
    pub fn hear(
        &mut self,
        cluster: &mut Cluster,
        own: Id,
        (from, is_known): (Id, bool),
        message: &Message,
        now_ms: u64,
    ) -> (Answer, Consequence) {
        let is_founder = cluster.is_founder(own);
        let uid = cluster.member_of(from).filter(|_| is_known).map(|member| (member.uid, member.is_active()));
        let verdict = cluster.judge(&message.stamp);
        let (word, consequence) = match (verdict, uid) {
            (Verdict::Foreign, _) => (Word::Gone, Consequence::Nothing),
            // Whom this copy does not know moves nobody, whatever epoch it speaks of. But a copy that a founder does not
            // have of its own epoch says that the founder's is old.
            (_, None) => {
                if verdict == Verdict::Ahead && is_founder {
                    self.bar = Some(Bar::RolledBack);
                }
                (Word::Gone, Consequence::Nothing)
            }
            (Verdict::Newer, Some(_)) if is_founder => (Word::Behind, Consequence::Superseded),
            (Verdict::Newer, Some(_)) => (Word::Behind, Consequence::Follow),
            (Verdict::Older, Some(_)) => (Word::Outdated, Consequence::Nothing),
            (Verdict::Split, Some(_)) => {
                self.bar = Some(Bar::Split);
                (Word::Split, Consequence::Nothing)
            }
            (Verdict::Ahead | Verdict::Current | Verdict::Behind, Some((uid, is_active))) => {
                if verdict == Verdict::Ahead && is_founder {
                    self.bar = Some(Bar::RolledBack);
                }
                self.meet(from, now_ms);
                match message.ask {
                    Ask::Confirm if !self.may_write(cluster, own) => (Word::Elsewhere, Consequence::Nothing),
                    Ask::Confirm if cluster.confirm(from) => (Word::Done, Consequence::Changed),
                    Ask::Beat if is_active && self.may_write(cluster, own) && cluster.keep(uid) => {
                        (Word::Done, Consequence::Changed)
                    }
                    Ask::Beat | Ask::Record | Ask::Confirm | Ask::Follow => (Word::Done, Consequence::Nothing),
                }
            }
        };
        let down = self.down(cluster, own, now_ms);
        (Answer { word, stamp: cluster.stamp(), down }, consequence)
    }

    /// Takes an invitation to follow the founder of another epoch, sealed with this node's own key: who has that has a
    /// record with this node in it.
    #[must_use]
    pub fn invited(cluster: &Cluster, own: Id, stamp: &Stamp) -> Consequence {
        match cluster.judge(stamp) {
            Verdict::Newer if cluster.is_founder(own) => Consequence::Superseded,
            Verdict::Newer => Consequence::Follow,
            Verdict::Current
            | Verdict::Behind
            | Verdict::Ahead
            | Verdict::Older
            | Verdict::Split
            | Verdict::Foreign => Consequence::Nothing,
        }
    }

    /// Takes the answer of the node `by` to a message of the node `own`.
    pub fn answered(&mut self, cluster: &Cluster, own: Id, by: Id, answer: &Answer, now_ms: u64) -> Consequence {
        let is_founder = cluster.is_founder(own);
        let verdict = cluster.judge(&answer.stamp);
        match (answer.word, verdict) {
            (_, Verdict::Older) if is_founder => Consequence::Invite,
            // Who answers from an epoch that is over, or from another cluster, has nothing to say. Nor has one whose copy
            // is from before this node's admission.
            (_, Verdict::Older | Verdict::Foreign) | (Word::Gone, Verdict::Behind) => Consequence::Nothing,
            (_, Verdict::Newer) if is_founder => Consequence::Superseded,
            (Word::Gone, Verdict::Newer | Verdict::Ahead | Verdict::Current) => Consequence::Expelled,
            (_, Verdict::Newer) => Consequence::Follow,
            (_, Verdict::Split) => {
                self.bar = Some(Bar::Split);
                Consequence::Nothing
            }
            (_, Verdict::Ahead) if is_founder => {
                self.meet(by, now_ms);
                self.bar = Some(Bar::RolledBack);
                Consequence::Nothing
            }
            (_, Verdict::Ahead | Verdict::Current | Verdict::Behind) => {
                self.meet(by, now_ms);
                if cluster.founder().is_some_and(|founder| founder.node_id == by) {
                    self.founder_answered_ms = now_ms;
                    self.told_down.clone_from(&answer.down);
                }
                if verdict == Verdict::Ahead { Consequence::Follow } else { Consequence::Nothing }
            }
        }
    }
}

/// Of the nodes beside `own` and the founder the one whose turn it is. One that had not confirmed when this copy was made
/// may have since.
fn other(cluster: &Cluster, own: Id, turn: usize) -> Option<Id> {
    let others = || {
        let is_other = |member: &&Member| member.node_id != own && member.uid != cluster.founder_uid;
        cluster.members.iter().filter(is_other)
    };
    others().nth(turn.checked_rem(others().count())?).map(|member| member.node_id)
}

#[cfg(test)]
mod tests;
