//! What takes the place of `shared` in a program that was built without any store to share: nothing, of which there is no
//! value.

use bootstrapd_core::cluster::{Cluster, JoinRequest, Key};
use bootstrapd_core::machine::{Confirmed, StoreChecked};
use bootstrapd_core::peer::JoinAnswer;
use bootstrapd_core::record::Id;

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

    pub fn admit(&mut self, _: &JoinRequest, _: Key) -> Result<Box<Cluster>, JoinAnswer> {
        match *self {}
    }

    pub fn confirm(&mut self, _: Id, _: &Cluster) -> Confirmed {
        match *self {}
    }

    pub fn found_again(&mut self, _: &Cluster, _: bool) -> Result<(), String> {
        match *self {}
    }

    pub fn fetch(&mut self, _: &Cluster) -> Result<(Box<Cluster>, u64), String> {
        match *self {}
    }

    pub fn remove(&mut self, _: u64) -> Result<(), String> {
        match *self {}
    }
}
