//! The messages, as they go over the wire.

use core::net::SocketAddr;

use heapless::Vec;

use crate::cluster::{Cluster, Stamp};
use crate::failure::{Failure, TriedReason};
use crate::fields::Fields;
use crate::limits::MEMBER_SLOTS_MAX;
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
    /// That it takes the record of its sender, who founded a later epoch and may be nobody that it knows.
    Follow,
}

impl Ask {
    pub(super) const ALL: [Self; 4] = [Self::Beat, Self::Confirm, Self::Record, Self::Follow];

    const fn name(self) -> &'static str {
        match self {
            Self::Beat => "beat",
            Self::Confirm => "confirm",
            Self::Record => "record",
            Self::Follow => "follow",
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
    /// Where its sender is, for [`Ask::Follow`].
    pub endpoint: Option<SocketAddr>,
}

impl Message {
    /// Writes it for the wire.
    pub fn write(&self, writer: &mut Writer<'_>) {
        writer.open('{').name("ask").text(self.ask.name());
        self.stamp.write(writer.name("stamp"));
        if let Some(endpoint) = self.endpoint {
            writer.name("endpoint").display(endpoint);
        }
        writer.close('}');
    }

    /// Reads what [`Message::write`] wrote.
    pub fn read(&mut self, fields: &mut Fields<'_>) {
        fields.open('{').name("ask").word(&mut self.ask, &Ask::ALL, Ask::name);
        self.stamp.read(fields.name("stamp"));
        self.endpoint = None;
        if fields.has("endpoint") {
            let mut endpoint = SocketAddr::from(([0, 0, 0, 0], 0));
            fields.parsed(&mut endpoint, |text| text.parse().ok());
            self.endpoint = Some(endpoint);
        }
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
    pub(super) const ALL: [Self; 6] =
        [Self::Done, Self::Gone, Self::Outdated, Self::Behind, Self::Split, Self::Elsewhere];

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
    pub down: Vec<u32, MEMBER_SLOTS_MAX>,
}

impl Answer {
    /// Whether who asked for the record gets it, in the place of this.
    #[must_use]
    pub fn gives_way_to_record(&self, ask: Ask) -> bool {
        ask == Ask::Record && matches!(self.word, Word::Done | Word::Outdated)
    }

    /// What is said instead where what this one speaks of could not be made durable, and `durable` still counts.
    #[must_use]
    pub fn kept_not(self, durable: &Cluster) -> Self {
        Self { word: Word::Elsewhere, stamp: durable.stamp(), ..self }
    }

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
