//! A store that all members share: one record, changed by compare-and-swap, and leases that say who is there.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use bootstrapd_core::cluster::Cluster;
use bootstrapd_core::record::Id;

use super::wire::brief;

/// A lease that is not renewed runs out after so long.
const LEASE_MS: u64 = 20_000;

/// What a node does there.
#[derive(Clone)]
pub(super) enum Operation {
    /// Says that it is there.
    Stay(Id),
    /// Says that it is there no more.
    Leave(Id),
    /// Looks.
    Look,
    /// Writes a record, if the store's number is still this one.
    Swap(u64, Rc<Cluster>),
}

/// The record as somebody has seen it; the number is zero where there is none.
#[derive(Clone, Default)]
pub(super) struct Seen {
    pub(super) record: Option<Rc<Cluster>>,
    pub(super) number: u64,
    pub(super) leased: Vec<Id>,
}

/// What came of it.
#[derive(Clone)]
pub(super) enum Outcome {
    /// The lease is good, or is no more.
    Done,
    /// What there is to see.
    Seen(Seen),
    /// Written; the store's number for it.
    Swapped(u64),
    /// Not written: somebody else has.
    Conflict(Seen),
}

/// See the module.
#[derive(Default)]
pub(super) struct Store {
    pub(super) record: Option<Rc<Cluster>>,
    number: u64,
    /// Never goes back.
    counter: u64,
    leases: BTreeMap<[u8; 16], u64>,
}

impl Store {
    /// Does what a node wants.
    pub(super) fn take(&mut self, operation: &Operation, now_ms: u64) -> Outcome {
        match operation {
            Operation::Stay(node) => {
                self.leases.insert(node.0, now_ms + LEASE_MS);
                Outcome::Done
            }
            Operation::Leave(node) => {
                self.leases.remove(&node.0);
                Outcome::Done
            }
            Operation::Look => Outcome::Seen(self.seen(now_ms)),
            Operation::Swap(number, record) if *number == self.number => {
                self.put(Some(Rc::clone(record)));
                Outcome::Swapped(self.number)
            }
            Operation::Swap(..) => Outcome::Conflict(self.seen(now_ms)),
        }
    }

    /// Has this record from now on.
    pub(super) fn put(&mut self, record: Option<Rc<Cluster>>) {
        self.counter += 1;
        self.number = if record.is_some() { self.counter } else { 0 };
        self.record = record;
    }

    fn seen(&self, now_ms: u64) -> Seen {
        let leased = self.leases.iter().filter(|(_, end)| **end > now_ms).map(|(node, _)| Id(*node)).collect();
        Seen { record: self.record.clone(), number: self.number, leased }
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stay(node) => write!(f, "stay of {}", node.0[0]),
            Self::Leave(node) => write!(f, "leave of {}", node.0[0]),
            Self::Look => f.write_str("look"),
            Self::Swap(number, record) => write!(f, "swap of {number} for {}", brief(&record.stamp())),
        }
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = self.record.as_ref().map(|record| brief(&record.stamp()));
        write!(f, "{record:?} with number {} and {} leases", self.number, self.leased.len())
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Seen(seen) => write!(f, "{seen:?}"),
            Self::Swapped(number) => write!(f, "swapped, number {number}"),
            Self::Conflict(seen) => write!(f, "conflict, {seen:?}"),
        }
    }
}
