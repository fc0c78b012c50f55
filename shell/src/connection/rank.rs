//! Which connection goes first where there is no room for another.

use super::{Connection, Phase};

/// How willingly a connection is given up where there is no room; the smallest goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// It is closing anyway.
    Closing,
    /// It asks for nothing.
    Idle,
    /// Its request is not complete, or its answer not taken.
    Unfinished,
    /// Its request waits for the node.
    Waiting,
}

impl Connection {
    /// In which order connections are given up: by rank, then the longest first.
    #[must_use]
    pub const fn rank(&self) -> (Rank, u64) {
        let rank = match self.phase {
            Phase::Closing { .. } => Rank::Closing,
            Phase::Head if !self.started => Rank::Idle,
            Phase::Head | Phase::Keeping(..) | Phase::Dropping(..) => Rank::Unfinished,
            Phase::Waiting(_) => Rank::Waiting,
        };
        (rank, self.since)
    }
}
