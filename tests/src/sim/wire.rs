//! What goes between agents, and what an agent wants done.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use bootstrapd_core::cluster::{Cluster, JoinRequest, Key, Stamp};
use bootstrapd_core::peer::{Answer, Ask, JoinAnswer, Message};
use bootstrapd_core::record::Id;

use super::disk::Content;
use super::store::Act;

/// What one agent sends another.
#[derive(Clone)]
pub(super) enum Request {
    /// To be admitted; with a proof of the right password or not.
    Join(Rc<JoinRequest>, bool),
    /// A message, sealed with a key, the sender and a number that no agent takes twice.
    Ask { from: Id, key: Key, message: Message, number: u64 },
}

/// What comes back.
#[derive(Clone)]
pub(super) enum Reply {
    /// Nobody here is a member, knows that password or that key.
    Refused(bool),
    /// To a join.
    Join(Box<JoinAnswer>),
    /// The record, to a join or to who asked for it.
    Record(Rc<Cluster>),
    /// To a message.
    Answer(Box<Answer>),
}

/// What an agent wants done.
#[derive(Debug)]
pub(super) enum Want {
    /// Something to be saved, and for whom.
    Save(Content),
    /// A request to a place; what the answer is about.
    Send { to: u16, about: About, after_ms: u64, request: Request },
    /// A look at its own state after a while.
    Wait(u64),
    /// An answer to a call, now.
    Reply(u64, Reply),
    /// Something of the store that all members share.
    AskStore(Act),
    /// That the worker goes on after a while.
    Pause(u64),
    /// To hear what the worker has done.
    Hear,
}

/// What an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// A contact; the second one where the founder was learnt from the first.
    Contact { again: bool },
    /// A question to a member.
    Ask(Id, Ask),
}

/// The number of a node's place, by which others reach it.
pub(super) fn place(endpoint: SocketAddr) -> u16 {
    endpoint.port() - 1_000
}

fn short(id: Id) -> u8 {
    id.0[0]
}

/// A copy of a record, in few words.
pub(super) fn brief(stamp: &Stamp) -> String {
    format!("{}.{}/{}", stamp.epoch, short(stamp.epoch_tag), stamp.revision)
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Join(request, good) => {
                write!(f, "join of {} as {:?}, password {good}", short(request.member.node_id), request.uid)
            }
            Self::Ask { from, message, number, .. } => {
                write!(f, "{:?} of {} number {number} at {}", message.ask, short(*from), brief(&message.stamp))
            }
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(known) => write!(f, "refused {known}"),
            Self::Join(answer) => match &**answer {
                JoinAnswer::Refused(failure) => {
                    write!(f, "not admitted: {}, {}", failure.cause.code(), failure.message)
                }
                JoinAnswer::Founder(_) | JoinAnswer::Welcome | JoinAnswer::NotNow(_) => write!(f, "{answer:?}"),
            },
            Self::Record(cluster) => write!(f, "record {}", brief(&cluster.stamp())),
            Self::Answer(answer) => write!(f, "{:?} at {}, down {:?}", answer.word, brief(&answer.stamp), answer.down),
        }
    }
}
