//! What goes into a machine and what comes out of it.

use heapless::String;

use super::PathsFound;
use crate::failure::Violation;
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
    /// Hash the password and make a [`Seed`](crate::cluster::Seed); hand it to
    /// [`Machine::found`](super::Machine::found).
    Found,
    /// Make the cluster's record durable.
    Adopt,
    /// Remove the cluster's record again.
    Discard,
}

/// What came of an effect: exactly one event for each.
#[expect(clippy::large_enum_variant, reason = "there is no heap to box terms into; one event exists at a time")]
#[derive(Clone, Debug)]
pub enum Event {
    /// [`Effect::Persist`] ended.
    Persisted(Result<(), Trouble>),
    /// [`Effect::CheckPaths`] ended.
    PathsChecked(PathsFound),
    /// [`Effect::VerifyLicense`] ended.
    LicenseVerified(Result<Terms, Violation>),
    /// [`Effect::Found`] ended with a cluster.
    Founded(Result<Membership, Trouble>),
    /// [`Effect::Adopt`] ended.
    Adopted(Result<(), Trouble>),
    /// [`Effect::Discard`] ended; what it could not remove, the next start removes.
    Discarded(Result<(), Trouble>),
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
