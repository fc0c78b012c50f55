//! Answers that are ready but wait, until a copy of the record is durable; and how one is sealed.

use bootstrapd_core::cluster::Key;

use super::Others;
use crate::agent::{Agent, Reply, Step};
use crate::exchange::MEDIA_TYPE;
use crate::http::Answer;
use crate::seal::{self, Direction};

/// The age of a copy that is never durable: an answer that waits for something else.
pub(in crate::agent) const NEVER: (u32, u64) = (u32::MAX, u64::MAX);

/// An answer that is ready, but must not be given before a copy is durable.
pub(in crate::agent) struct Pending {
    pub(in crate::agent) number: u32,
    /// Of the copy that has to be durable first: see [`bootstrapd_core::cluster::Cluster::age`].
    pub(in crate::agent) age: (u32, u64),
    pub(in crate::agent) form: Form,
    pub(in crate::agent) text: Vec<u8>,
    /// What is said instead where the record could not be kept.
    pub(in crate::agent) otherwise: Vec<u8>,
}

/// What an answer goes out as.
pub(in crate::agent) enum Form {
    /// A message to another node.
    Sealed(Sealing),
    /// An answer to a client, with this status where all is well and 503 where not.
    #[cfg(feature = "management")]
    Plain(u16),
}

/// How an answer is sealed.
pub(in crate::agent) struct Sealing {
    pub(super) key: Key,
    pub(super) path: &'static str,
    pub(super) context: Vec<u8>,
}

impl Others {
    /// The answer with this number, where it still waits.
    pub(in crate::agent) fn waits(&mut self, number: u32) -> Option<&mut Pending> {
        self.pending.iter_mut().find(|pending| pending.number == number)
    }
}

impl Agent {
    pub(in crate::agent) fn pend(&mut self, pending: Pending) -> Step {
        self.others.pendings = self.others.pendings.wrapping_add(1);
        let number = self.others.pendings;
        self.others.pending.push(Pending { number, ..pending });
        Step::Keeping(number)
    }

    /// Gives an answer that waited for the record to be durable.
    pub fn record_kept(&mut self, number: u32, good: bool, reply: &mut Reply<'_>) -> Step {
        let Some(index) = self.others.pending.iter().position(|pending| pending.number == number) else {
            return self.nothing(reply);
        };
        let Pending { form, text, otherwise, .. } = self.others.pending.remove(index);
        let text = if good { &text } else { &otherwise };
        match form {
            Form::Sealed(sealing) => self.sealed(&sealing, text, reply),
            #[cfg(feature = "management")]
            Form::Plain(status) => self.plain(if good { status } else { 503 }, text, reply),
        }
    }

    /// Forgets an answer that nobody waits for any more.
    pub fn forget(&mut self, number: u32) {
        self.others.pending.retain(|pending| pending.number != number);
    }

    pub(in crate::agent) fn sealed(&mut self, sealing: &Sealing, text: &[u8], reply: &mut Reply<'_>) -> Step {
        match seal::seal(&sealing.key, sealing.path, Direction::Answer, &sealing.context, text) {
            Ok(sealed) => self.bytes(&sealed, reply),
            Err(error) => self.error(503, "internal_error", &error.to_string(), reply),
        }
    }

    pub(super) fn bytes(&self, bytes: &[u8], reply: &mut Reply<'_>) -> Step {
        self.send(&Answer { status: 200, media_type: MEDIA_TYPE, body: bytes, ..Answer::default() }, reply)
    }
}
