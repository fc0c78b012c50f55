//! A node that could not be joined through, and why.

use heapless::String;

use crate::limits::NODE_ADDRESS_BYTES_MAX;
use crate::write::Writer;

/// A node that a joiner tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeTried {
    /// As it was given.
    pub node: String<NODE_ADDRESS_BYTES_MAX>,
    /// Why it did not work.
    pub reason: TriedReason,
}

/// Writes a node and why it could not be joined through.
pub(crate) fn write_tried(node: &str, reason: TriedReason, writer: &mut Writer<'_>) {
    writer.open('{').name("node").text(node).name("reason").text(reason.name()).close('}');
}

/// Why a node could not be joined through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriedReason {
    /// Its name could not be looked up.
    NotFound,
    /// Its address is of a kind that no node has.
    BadAddress,
    /// Nothing listens there.
    Refused,
    /// No way leads there.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// Something answers that is no member of a cluster.
    NotAMember,
    /// It is the joiner itself.
    Itself,
    /// It is another machine, and plain HTTP to one was not allowed.
    Plaintext,
    /// Its certificate is not trusted, or it shows none.
    Untrusted,
    /// It is a member, but the founder, who alone admits, does not answer.
    NoFounder,
    /// It is the founder and has just started, or has too much to do.
    NotReady,
    /// It is a founder that may admit nobody before its cluster is recovered.
    NeedsRecovery,
    /// It is a member, but the store of its cluster's record does not answer.
    NoStore,
    /// It is a store, and does not let this node in.
    NotPermitted,
    /// Something answers that is no such store.
    NotAStore,
}

impl TriedReason {
    /// All reasons.
    pub const ALL: [Self; 15] = [
        Self::NotFound,
        Self::BadAddress,
        Self::Refused,
        Self::Unreachable,
        Self::TimedOut,
        Self::NotAMember,
        Self::Itself,
        Self::Plaintext,
        Self::Untrusted,
        Self::NoFounder,
        Self::NotReady,
        Self::NeedsRecovery,
        Self::NoStore,
        Self::NotPermitted,
        Self::NotAStore,
    ];

    /// Whether another try can end in another way.
    #[must_use]
    pub const fn may_change(self) -> bool {
        !matches!(self, Self::BadAddress | Self::Itself | Self::Plaintext | Self::Untrusted)
    }

    /// The wire's words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotFound => "name not found",
            Self::BadAddress => "not an address of a node",
            Self::Refused => "connection refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "no answer in time",
            Self::NotAMember => "not a member of a cluster",
            Self::Itself => "this node itself",
            Self::Plaintext => "plain HTTP to another machine is not allowed",
            Self::Untrusted => "its certificate is not trusted",
            Self::NoFounder => "the founder of its cluster does not answer, nobody can join",
            Self::NotReady => "not ready to admit anybody, try again",
            Self::NoStore => "the store of its cluster's record does not answer, nobody can join",
            Self::NotAStore => "not a store that this node understands",
            Self::NotPermitted => "the store does not let this node in",
            Self::NeedsRecovery => "its cluster must be recovered before anybody can join",
        }
    }
}
