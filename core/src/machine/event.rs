//! What goes into a machine and what comes out of it.

use heapless::String;

use super::PathsFound;
use crate::failure::{Failure, NodeTried, TriedReason, Violation};
use crate::license::Terms;
use crate::limits::TROUBLE_BYTES_MAX;
use crate::record::Membership;

/// What the shell is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make [`Machine::encode`](super::Machine::encode)'s record durable.
    Persist,
    /// Look at the directories of [`Machine::paths_to_check`](super::Machine::paths_to_check).
    CheckPaths,
    /// Open the configuration's licence.
    VerifyLicense,
    /// Look whether the store that all members share can be used, and has a record.
    CheckStore,
    /// Hash the password and make a [`Seed`](crate::cluster::Seed); hand it to
    /// [`Machine::found`](super::Machine::found).
    Found,
    /// Prove the password to this one of [`Machine::contact`](super::Machine::contact) and ask to be admitted with
    /// [`Machine::join_request`](super::Machine::join_request).
    Contact {
        /// Its place in the list.
        node: u8,
    },
    /// Let time go by.
    Wait {
        /// How much of it.
        seconds: u16,
    },
    /// Read the record to recover from, prove the credentials by it if there are any, and hand it to
    /// [`Machine::recovered`](super::Machine::recovered).
    ReadRecovery,
    /// Make the cluster's record durable.
    Adopt,
    /// Tell the cluster that its record is this node's own now.
    Confirm,
    /// Remove the cluster's record again; where [`Machine::home`](super::Machine::home), put back the one that was
    /// there.
    Discard,
}

/// What came of an effect: exactly one event for each.
#[derive(Clone, Debug)]
pub enum Event {
    /// [`Effect::Persist`] ended.
    Persisted(Result<(), Trouble>),
    /// [`Effect::CheckPaths`] ended.
    PathsChecked(PathsFound),
    /// [`Effect::VerifyLicense`] ended.
    LicenseVerified(Result<Terms, Violation>),
    /// [`Effect::CheckStore`] ended.
    StoreChecked(StoreChecked),
    /// [`Effect::Found`] ended with a cluster.
    Founded(Result<Membership, Trouble>),
    /// [`Effect::Contact`] ended.
    Contacted(Contacted),
    /// [`Effect::Wait`] ended.
    Waited,
    /// [`Effect::ReadRecovery`] ended, with a cluster or the reason why it cannot be recovered.
    RecoveryRead(Result<Membership, Failure>),
    /// [`Effect::Adopt`] ended.
    Adopted(Result<(), Trouble>),
    /// [`Effect::Confirm`] ended.
    Confirmed(Confirmed),
    /// [`Effect::Discard`] ended; what it could not remove, the next start removes.
    Discarded(Result<(), Trouble>),
}

/// What came of a contact.
#[expect(clippy::large_enum_variant, reason = "there is no heap to box a failure into; one exists at a time")]
#[derive(Clone, Debug)]
pub enum Contacted {
    /// The cluster has admitted this node, or would.
    Admitted(Membership),
    /// The cluster does not admit it.
    Refused(Failure),
    /// There is no talking to that node; another one may do.
    Failed(TriedReason),
}

/// What a store was found like.
#[expect(clippy::large_enum_variant, reason = "there is no heap; one exists at a time")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreChecked {
    /// It has no cluster's record.
    Empty,
    /// It has one.
    Taken,
    /// It cannot be used.
    Failed(NodeTried),
}

/// What came of a confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// The node is a member.
    Done,
    /// The cluster does not know it any more.
    Unknown,
    /// There was no answer; it has to be tried again, for the answer may be that it was done.
    Unanswered,
}

/// The system's own words for what it refused, cut where they are too long.
pub type Trouble = String<TROUBLE_BYTES_MAX>;

/// Why an attempt was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another one is under way.
    InProgress,
    /// The node is in a cluster.
    Member,
    /// The configuration is wrong: see [`Machine::problems`](super::Machine::problems).
    Config,
}
