//! What agents say to each other once each knows whom it talks to, and what they conclude from it.
//!
//! The messages are JSON in one fixed shape, sealed by the shell. Whoever sends one knows a member's key, but may be an
//! old copy of that member: each message tells which record its sender has.

use core::net::SocketAddr;

use heapless::Vec;

use crate::cluster::{Cluster, Liveness, Stamp, Verdict};
use crate::failure::{Failure, TriedReason};
use crate::fields::Fields;
use crate::limits::MEMBERS_MAX;
use crate::record::Id;
use crate::write::Writer;

/// What one agent wants of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ask {
    /// To know that it is there.
    #[default]
    Beat,
    /// To count as a member: it has made the record its own.
    Confirm,
    /// The record.
    Record,
}

impl Ask {
    const ALL: [Self; 3] = [Self::Beat, Self::Confirm, Self::Record];

    const fn name(self) -> &'static str {
        match self {
            Self::Beat => "beat",
            Self::Confirm => "confirm",
            Self::Record => "record",
        }
    }
}

/// A message from one agent to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// What it is for.
    pub ask: Ask,
    /// The copy of the record that its sender has.
    pub stamp: Stamp,
}

impl Message {
    /// Writes it for the wire.
    pub fn write(&self, writer: &mut Writer<'_>) {
        writer.open('{').name("ask").text(self.ask.name());
        self.stamp.write(writer.name("stamp"));
        writer.close('}');
    }

    /// Reads what [`Message::write`] wrote.
    pub fn read(&mut self, fields: &mut Fields<'_>) {
        fields.open('{').name("ask").word(&mut self.ask, &Ask::ALL, Ask::name);
        self.stamp.read(fields.name("stamp"));
        fields.close('}');
    }
}

/// What came of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Word {
    /// It was acted on.
    #[default]
    Done,
    /// Its sender is no node of this cluster, or not any more.
    Gone,
    /// Its sender's epoch is over.
    Outdated,
    /// The sender's epoch began later: whoever answers has to catch up first.
    Behind,
    /// The sender follows another founder of the same epoch.
    Split,
    /// Only the founder can do that.
    Elsewhere,
}

impl Word {
    const ALL: [Self; 6] = [Self::Done, Self::Gone, Self::Outdated, Self::Behind, Self::Split, Self::Elsewhere];

    const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Gone => "gone",
            Self::Outdated => "outdated",
            Self::Behind => "behind",
            Self::Split => "split",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// The answer to a message, unless that is the record itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// What came of it.
    pub word: Word,
    /// The copy of the record that its sender has.
    pub stamp: Stamp,
    /// The members that are down, as far as its sender knows.
    pub down: Vec<u32, MEMBERS_MAX>,
}

impl Answer {
    /// Writes it for the wire.
    pub fn write(&self, writer: &mut Writer<'_>) {
        writer.open('{').name("word").text(self.word.name());
        self.stamp.write(writer.name("stamp"));
        writer.name("down").open('[');
        for uid in &self.down {
            writer.number(u64::from(*uid));
        }
        writer.close(']').close('}');
    }

    /// Reads what [`Answer::write`] wrote.
    pub fn read(&mut self, fields: &mut Fields<'_>) {
        fields.open('{').name("word").word(&mut self.word, &Word::ALL, Word::name);
        self.stamp.read(fields.name("stamp"));
        let number = |fields: &mut Fields<'_>| {
            let mut uid = 0;
            fields.number(&mut uid);
            uid
        };
        fields.name("down").list(&mut self.down, number).close('}');
    }
}

/// What a joiner that has proved the password hears, unless that is the record with itself in it.
#[expect(clippy::large_enum_variant, reason = "there is no heap to box a failure into; one exists at a time")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinAnswer {
    /// Only the founder admits; it is there.
    Founder(SocketAddr),
    /// It would be admitted.
    Welcome,
    /// Nobody is admitted at the moment.
    NotNow(TriedReason),
    /// It is not admitted.
    Refused(Failure),
}

impl JoinAnswer {
    /// Writes it for the wire.
    pub fn write(&self, writer: &mut Writer<'_>) {
        writer.open('{');
        match self {
            Self::Founder(address) => _ = writer.name("founder").display(address),
            Self::Welcome => _ = writer.name("welcome").bool(true),
            Self::NotNow(reason) => _ = writer.name("not_now").text(reason.name()),
            Self::Refused(failure) => failure.write_record(writer.name("refused")),
        }
        writer.close('}');
    }

    /// Reads what [`JoinAnswer::write`] wrote.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        fields.open('{');
        let answer = if fields.has("founder") {
            let mut address = SocketAddr::from(([0, 0, 0, 0], 0));
            fields.parsed(&mut address, |text| text.parse().ok());
            Self::Founder(address)
        } else if fields.has("welcome") {
            fields.bool(&mut false);
            Self::Welcome
        } else if fields.has("not_now") {
            let mut reason = TriedReason::NotAMember;
            fields.word(&mut reason, &TriedReason::ALL, TriedReason::name);
            Self::NotNow(reason)
        } else {
            let mut failure = Failure::default();
            failure.read_record(fields.name("refused"));
            Self::Refused(failure)
        };
        fields.close('}');
        answer
    }
}

/// What a message or an answer leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing.
    Nothing,
    /// The record has changed and must be kept before anybody hears of it.
    Changed,
    /// The other one's record is newer.
    Follow,
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

/// What a member knows of the others beside the record, in memory only.
#[derive(Clone, Debug)]
pub struct Peers {
    /// Who was heard of; the founder's to judge.
    pub liveness: Liveness,
    /// Why nobody is admitted.
    pub bar: Option<Bar>,
    /// Who is down, as the founder said.
    told_down: Vec<u32, MEMBERS_MAX>,
    /// The nodes that have answered or asked since the start.
    met: Vec<Id, MEMBERS_MAX>,
}

impl Peers {
    /// Knows nothing yet.
    #[must_use]
    pub const fn new(beat_ms: u64, now_ms: u64) -> Self {
        Self { liveness: Liveness::new(beat_ms, now_ms), bar: None, told_down: Vec::new(), met: Vec::new() }
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
    pub fn down(&self, cluster: &Cluster, own: Id, now_ms: u64) -> Vec<u32, MEMBERS_MAX> {
        if cluster.is_founder(own) { cluster.down(&self.liveness, now_ms) } else { self.told_down.clone() }
    }

    fn meet(&mut self, node_id: Id, now_ms: u64) {
        self.liveness.hear(node_id, now_ms);
        if !self.met.contains(&node_id) {
            let _ = self.met.push(node_id);
        }
    }

    /// Takes a message from the node `from`, sealed with its present key or (`is_retired`) with one that is void, and
    /// answers it. Only a founder changes `cluster`.
    pub fn hear(
        &mut self,
        cluster: &mut Cluster,
        own: Id,
        (from, is_retired): (Id, bool),
        message: &Message,
        now_ms: u64,
    ) -> (Answer, Consequence) {
        let is_founder = cluster.is_founder(own);
        let uid = cluster.member_of(from).filter(|_| !is_retired).map(|member| (member.uid, member.is_active()));
        let verdict = cluster.judge(&message.stamp);
        let (word, consequence) = match (verdict, uid) {
            (Verdict::Newer, _) if is_founder => (Word::Behind, Consequence::Superseded),
            (Verdict::Newer, _) => (Word::Behind, Consequence::Follow),
            (Verdict::Foreign, _) | (_, None) => (Word::Gone, Consequence::Nothing),
            (Verdict::Older, Some(_)) => (Word::Outdated, Consequence::Nothing),
            (Verdict::Split, Some(_)) => {
                self.bar = Some(Bar::Split);
                (Word::Split, Consequence::Nothing)
            }
            (Verdict::Ahead | Verdict::Current, Some((uid, is_active))) => {
                if verdict == Verdict::Ahead && is_founder {
                    self.bar = Some(Bar::RolledBack);
                }
                self.meet(from, now_ms);
                match message.ask {
                    Ask::Beat if is_founder && is_active && cluster.keep(uid) => (Word::Done, Consequence::Changed),
                    Ask::Confirm if !is_founder => (Word::Elsewhere, Consequence::Nothing),
                    Ask::Confirm if cluster.confirm(from) => (Word::Done, Consequence::Changed),
                    Ask::Beat | Ask::Record | Ask::Confirm => (Word::Done, Consequence::Nothing),
                }
            }
        };
        let down = self.down(cluster, own, now_ms);
        (Answer { word, stamp: cluster.stamp(), down }, consequence)
    }

    /// Takes the answer of the node `by` to a message of the node `own`.
    pub fn answered(&mut self, cluster: &Cluster, own: Id, by: Id, answer: &Answer, now_ms: u64) -> Consequence {
        let is_founder = cluster.is_founder(own);
        let verdict = cluster.judge(&answer.stamp);
        match (answer.word, verdict) {
            // Who answers from an epoch that is over, or from another cluster, has nothing to say.
            (_, Verdict::Older | Verdict::Foreign) => Consequence::Nothing,
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
            (_, Verdict::Ahead | Verdict::Current) => {
                self.meet(by, now_ms);
                if cluster.founder().is_some_and(|founder| founder.node_id == by) {
                    self.told_down.clone_from(&answer.down);
                }
                if verdict == Verdict::Ahead { Consequence::Follow } else { Consequence::Nothing }
            }
        }
    }
}

#[cfg(test)]
mod tests;
