//! Where an attempt is.

use crate::record::Membership;
use crate::status::State;
use crate::time::Timestamp;

/// Whether an attempt changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The action itself.
    Act,
    /// Only what the action would run up to its first change.
    Validate,
}

/// Where a node is while no attempt runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    Idle,
    Failed,
    Completed,
}

/// Which effect is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    AtRest(Rest),
    /// The attempt of this moment is being made durable; until then nobody hears of it.
    Accepting {
        before: Rest,
        at: Timestamp,
    },
    /// The same where an attempt before has left a record. First that is removed, in the way that a restart would, as soon as
    /// it is `durable` that one has to.
    Clearing {
        before: Rest,
        at: Timestamp,
        durable: bool,
    },
    CheckingPaths,
    VerifyingLicense,
    CheckingStore {
        round: u8,
    },
    Founding,
    Contacting {
        node: u8,
        round: u8,
    },
    Waiting {
        round: u8,
    },
    ReadingRecovery,
    Adopting(Membership),
    /// That a joiner has made the record its own is being made durable.
    Keeping(Membership),
    Confirming(Membership),
    Completing(Membership),
    /// The cluster does not know this node. That it is in an attempt as before is being made durable: a restart must not
    /// look for a record that was removed.
    Disowning,
    /// What was adopted is being removed; until then a restart finds an attempt cut short, and removes it.
    Discarding,
    /// The failure is being made durable; until then the state from which it leads is shown.
    Failing {
        from: State,
    },
}
