//! What is done with the record in the store while no agent runs: a recovery in place, and a move to or from there.

use bootstrapd_core::cluster::{Cluster, Key};
use bootstrapd_core::record::Id;

use super::{Shared, open, reason, sealed};
use crate::etcd::{Fault, News, Swap};
use crate::seal;

impl Shared {
    /// Makes `cluster`, a new epoch, the record; `is_new` where there must be none, else in the place of an older one. Where
    /// this was done before and cut short, what it has come to since takes the place of `cluster`.
    ///
    /// # Errors
    /// Why not, for people.
    pub fn found_again(&mut self, cluster: &mut Box<Cluster>, is_new: bool) -> Result<(), String> {
        let unchanged = |why: &str| format!("{why}: nothing was changed");
        let known = match self.etcd.look(0).map_err(|fault| unchanged(&because(fault)))?.news {
            News::None | News::Absent => 0,
            News::Record(bytes, revision) => {
                let stored = open(&seal::common_key(cluster), &bytes);
                match stored.filter(|stored| stored.cluster_id == cluster.cluster_id) {
                    // The same epoch of the same founder, and nothing has been changed here since.
                    Some(stored)
                        if (stored.epoch, founder(&stored)) == (cluster.epoch, founder(cluster))
                            && stored.revision >= cluster.revision =>
                    {
                        *cluster = stored;
                        return Ok(());
                    }
                    Some(older) if older.epoch < cluster.epoch && !is_new => revision,
                    Some(_) | None => {
                        let why = "the store has a record already, which is not an older one of this cluster";
                        return Err(unchanged(why));
                    }
                }
            }
        };
        let sealed = sealed(cluster).ok_or_else(|| unchanged("the record is too long"))?;
        match self.etcd.swap(known, &sealed) {
            Ok(Swap::Done(_)) => Ok(()),
            Ok(Swap::Conflict(_)) => Err(unchanged("the store's record is being changed: end all agents first")),
            Err(fault) => Err(format!("{}: it may be done or not, so do it again", because(fault))),
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

/// Whose epoch it is, and by which key.
fn founder(cluster: &Cluster) -> Option<(Id, &Key)> {
    cluster.founder().map(|founder| (founder.node_id, &founder.key))
}

/// Why a store does not serve, for people.
fn because(Fault { endpoint, error }: Fault) -> String {
    format!("{endpoint}: {}", reason(&error).name())
}
