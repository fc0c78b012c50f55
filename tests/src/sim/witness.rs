//! What an agent sees of others, kept beside its core in plain sight: what it must do after that, and must not.

use std::collections::BTreeMap;

use bootstrapd_core::cluster::{Cluster, Member, Stamp};
use bootstrapd_core::peer::{Answer, Ask, Message, Word};
use bootstrapd_core::record::Id;

use super::agent::BEAT_MS;

/// After so much silence, and not before, is a member down, or a founder deaf to whoever knows better.
const SETTLED_MS: u64 = 3 * BEAT_MS;

/// See the module.
#[derive(Default)]
pub(super) struct Witness {
    since_ms: u64,
    /// When each node spoke last, in this epoch.
    met: BTreeMap<[u8; 16], u64>,
    /// Why nobody may be admitted.
    pub(super) bar: Option<&'static str>,
    /// The node that was asked last in the silent founder's place, by which copy.
    asked: Option<(Id, Stamp)>,
    /// What it did and must not.
    pub(super) complaints: Vec<String>,
}

impl Witness {
    /// From now on the agent lives in a cluster, and knows nothing of the others.
    pub(super) fn live(&mut self, now_ms: u64) {
        let complaints = std::mem::take(&mut self.complaints);
        *self = Self { since_ms: now_ms, complaints, ..Self::default() };
    }

    /// Another epoch has begun: what was wrong in the one before is over.
    pub(super) fn begins_epoch(&mut self) {
        self.bar = None;
    }

    fn complain(&mut self, holds: bool, why: impl FnOnce() -> String) {
        if !holds {
            self.complaints.push(why());
        }
    }

    /// A member's copy of the record shows.
    fn see(&mut self, home: &Cluster, own: Id, from: Id, stamp: &Stamp, now_ms: u64) {
        let is_of_epoch = stamp.cluster_id == home.cluster_id && stamp.epoch == home.epoch;
        if is_of_epoch && stamp.epoch_tag != home.epoch_tag {
            self.bar = Some("there is another founder of its epoch");
        } else if is_of_epoch {
            self.met.insert(from.0, now_ms);
            self.see_older(home, own, stamp);
        }
    }

    fn see_older(&mut self, home: &Cluster, own: Id, stamp: &Stamp) {
        if home.is_founder(own) && stamp.epoch_tag == home.epoch_tag && stamp.revision > home.revision {
            self.bar = Some("others have a newer record than its founder");
        }
    }

    /// An answer came.
    pub(super) fn answered(&mut self, home: &Cluster, own: Id, by: Id, answer: &Answer, now_ms: u64) {
        // Who does not know this node sends it away, and nothing else.
        if answer.word != Word::Gone {
            self.see(home, own, by, &answer.stamp, now_ms);
        }
    }

    /// A message came and was answered: `before` is the record as it was, `after` what has come of it.
    pub(super) fn heard(
        &mut self,
        (before, after): (&Cluster, &Cluster),
        own: Id,
        (from, is_known): (Id, bool),
        (message, answer): (&Message, &Answer),
        now_ms: u64,
    ) {
        if is_known {
            self.see(before, own, from, &message.stamp, now_ms);
        } else if message.stamp.cluster_id == before.cluster_id {
            self.see_older(before, own, &message.stamp);
        }
        if !before.is_founder(own) {
            return;
        }
        let member = after.member_of(from).filter(|member| is_known && member.is_active());
        // A founder that may admit nobody changes nothing at all.
        if let (None, Ask::Beat, Word::Done, Some(member)) = (self.bar, message.ask, answer.word, member) {
            let waits = after.members.iter().any(|other| other.uid == member.uid && !other.is_active());
            self.complain(!waits, || format!("the node {from} is alive, and another one still gets its number"));
        }
        for uid in &answer.down {
            let met = after.member(*uid).and_then(|member| self.met.get(&member.node_id.0));
            let heard_ms = met.copied().unwrap_or_default().max(self.since_ms);
            self.complain(now_ms - heard_ms > SETTLED_MS, || format!("uid {uid} is down, and was heard of lately"));
        }
    }

    /// A node is admitted by the record as it was.
    pub(super) fn admits(&mut self, before: &Cluster, own: Id, now_ms: u64) {
        let is_met = |member: &Member| member.node_id == own || self.met.contains_key(&member.node_id.0);
        let is_ready = before.members.iter().filter(|member| member.is_active()).all(is_met);
        let is_settled = now_ms - self.since_ms > SETTLED_MS;
        self.complain(is_ready || is_settled, || "a founder admits before it has heard of all".to_owned());
    }

    /// It is time for a beat, and these are asked.
    pub(super) fn beats(&mut self, home: &Cluster, own: Id, asked: &[Id]) {
        let is_other = |member: &&Member| member.node_id != own && member.uid != home.founder_uid;
        let [_, other] = asked else { return };
        let others = || home.members.iter().filter(is_other);
        // Who is about to replace itself stands there twice, and has two turns.
        let is_once = others().filter(|member| member.node_id == *other).count() == 1;
        let has_choice = is_once && others().count() > 1;
        if home.is_founder(own) {
            return;
        }
        let before = self.asked.replace((*other, home.stamp()));
        self.complain(!has_choice || before != self.asked, || format!("{other} is asked again, and others never"));
    }
}
