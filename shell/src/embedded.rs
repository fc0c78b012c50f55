//! What takes the place of `shared` in a program that was built without any store to share: nothing, of which there is no
//! value.

use bootstrapd_core::cluster::Cluster;
use bootstrapd_core::machine::{Confirmed, StoreChecked};
#[cfg(feature = "management")]
use bootstrapd_core::manage::{Change, Refusal};
use bootstrapd_core::peer::JoinAnswer;
use bootstrapd_core::record::Id;

use crate::peer::Admission;

/// There is none.
pub enum Shared {}

/// Likewise.
pub struct Beat {
    /// Who is down.
    pub down: Vec<u32>,
    /// A newer record.
    pub newer: Option<Box<Cluster>>,
    /// It does not know this node.
    pub is_expelled: bool,
    /// What is wrong with it.
    pub trouble: Option<&'static str>,
}

/// Likewise.
pub struct Admitted {
    /// Who is in it.
    pub admitted: Vec<u32>,
    /// The record.
    pub record: Option<Box<Cluster>>,
    /// Other answers.
    pub others: Vec<(u32, JoinAnswer)>,
}

#[allow(missing_docs, clippy::missing_errors_doc, reason = "none of it is ever called")]
impl Shared {
    pub fn live(&mut self, _: Id, _: Option<Box<Cluster>>) {
        match *self {}
    }

    pub fn check(&mut self) -> StoreChecked {
        match *self {}
    }

    pub fn beat(&mut self) -> Beat {
        match *self {}
    }

    pub fn admit(&mut self, _: Vec<Admission>) -> Admitted {
        match *self {}
    }

    #[cfg(feature = "management")]
    pub fn change(&mut self, _: &Change) -> Result<Box<Cluster>, Refusal> {
        match *self {}
    }

    pub fn confirm(&mut self, _: Id, _: &Cluster) -> Confirmed {
        match *self {}
    }

    pub fn found_again(&mut self, _: &mut Box<Cluster>, _: bool) -> Result<(), String> {
        match *self {}
    }

    pub fn fetch(&mut self, _: &Cluster) -> Result<(Box<Cluster>, u64), String> {
        match *self {}
    }

    pub fn remove(&mut self, _: u64) -> Result<(), String> {
        match *self {}
    }
}
