//! What is done with the record in the store while no agent runs: a recovery in place, and a move to or from there.

use bootstrapd_core::cluster::Cluster;

use super::{Shared, open, reason, sealed};
use crate::etcd::{Fault, News, Swap};
use crate::seal;

impl Shared {
    /// Makes `cluster`, a new epoch, the record; `is_new` where there must be none, else in the place of an older one.
    ///
    /// # Errors
    /// Why not, for people.
    pub fn found_again(&mut self, cluster: &Cluster, is_new: bool) -> Result<(), String> {
        let known = match self.etcd.look(0).map_err(because)?.news {
            News::None | News::Absent => 0,
            News::Record(bytes, revision) => {
                let older = open(&seal::common_key(cluster), &bytes);
                let older = older.filter(|older| older.cluster_id == cluster.cluster_id && older.epoch < cluster.epoch);
                if older.is_none() || is_new {
                    return Err("the store has a record already, which is not an older one of this cluster".to_owned());
                }
                revision
            }
        };
        let sealed = sealed(cluster).ok_or("the record is too long")?;
        match self.etcd.swap(known, &sealed).map_err(because)? {
            Swap::Done(_) => Ok(()),
            Swap::Conflict(_) => Err("the store's record is being changed: end all agents first".to_owned()),
        }
    }

    /// The record in the store, where it is one of `copy`'s cluster, and etcd's number for it.
    ///
    /// # Errors
    /// Why it cannot be had, for people.
    pub fn fetch(&mut self, copy: &Cluster) -> Result<(Box<Cluster>, u64), String> {
        match self.etcd.look(0).map_err(because)?.news {
            News::Record(bytes, revision) => {
                let stored = open(&seal::common_key(copy), &bytes);
                stored
                    .map(|stored| (stored, revision))
                    .ok_or_else(|| "the store has another cluster's record".to_owned())
            }
            News::None | News::Absent => Err("the store has no record".to_owned()),
        }
    }

    /// Removes the record, if it is still the one that etcd has this number for.
    ///
    /// # Errors
    /// Why it is not removed, for people.
    pub fn remove(&mut self, revision: u64) -> Result<(), String> {
        let removed = self.etcd.remove(revision).map_err(because)?;
        if removed { Ok(()) } else { Err("the store's record is being changed: end all agents first".to_owned()) }
    }
}

/// Why a store does not serve, for people.
fn because(Fault { endpoint, error }: Fault) -> String {
    format!("{endpoint}: {}", reason(&error).name())
}
