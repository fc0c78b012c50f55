//! What clients may change of a cluster: the only place that knows.

use heapless::Vec;

use super::{Cluster, Member};
use crate::limits::*;
use crate::manage::{Change, Refusal, Target};
use crate::record;
use crate::time::Timestamp;

impl Cluster {
    /// Makes a change; whether it was one.
    ///
    /// # Errors
    /// Why not. The copy that it was tried on is good for nothing then.
    pub fn change(&mut self, change: &Change, now: Timestamp) -> Result<bool, Refusal> {
        let changed = match change.target {
            Target::Node(uid) => self.change_node(uid, change)?,
            Target::License => self.change_license(change, now)?,
            Target::Policy => self.change_policy(change)?,
        };
        if !changed {
            return Ok(false);
        }
        self.changed();
        let fits = |length: usize| length <= CLUSTER_RECORD_BYTES_MAX - CLUSTER_RECORD_BYTES_SPARE;
        // To measure it is to write it all, which nearly never has to be.
        if fits(self.length_at_most()) || fits(record::length(self)) { Ok(true) } else { Err(Refusal::Full) }
    }

    fn change_node(&mut self, uid: u32, change: &Change) -> Result<bool, Refusal> {
        match self.member(uid) {
            None => return Err(Refusal::NoNode(uid)),
            Some(member) if !member.is_active() => return Err(Refusal::NotActive(uid)),
            Some(_) => {}
        }
        // Of two with the number the active one is no replacement.
        let own = self.members.iter_mut().find(|member| member.uid == uid && member.is_active());
        own.map_or(Err(Refusal::NoNode(uid)), |member| member.change(change))
    }

    fn change_license(&mut self, change: &Change, now: Timestamp) -> Result<bool, Refusal> {
        let nodes = u32::try_from(self.numbers()).unwrap_or(u32::MAX);
        let flash = self.members.iter().any(|member| member.bigstore_enabled);
        let permitted = change.terms.permit(now, &self.name, nodes, flash);
        permitted.map_err(Refusal::License)?;
        if self.license == change.license && self.terms == change.terms {
            return Ok(false);
        }
        self.license.clone_from(&change.license);
        self.terms.clone_from(&change.terms);
        Ok(true)
    }

    fn change_policy(&mut self, change: &Change) -> Result<bool, Refusal> {
        if change.rack_aware != Some(true) || self.policy.rack_aware {
            return Ok(false);
        }
        let without = self.members.iter().filter(|member| member.rack_id.is_empty()).map(|member| member.uid);
        let without: Vec<u32, MEMBER_SLOTS_MAX> = without.collect();
        if !without.is_empty() {
            return Err(Refusal::RackRequired(without));
        }
        self.policy.rack_aware = true;
        Ok(true)
    }
}

impl Member {
    fn change(&mut self, change: &Change) -> Result<bool, Refusal> {
        let before = (self.accept_servers, self.external_addr.clone(), self.rack_id.clone());
        if let Some(rack) = &change.rack_id {
            if self.rack_id.is_empty() {
                self.rack_id.clone_from(rack);
            } else if !self.rack_id.eq_ignore_ascii_case(rack) {
                return Err(Refusal::HasRack(self.uid, self.rack_id.clone()));
            }
        }
        if let Some(addresses) = &change.external_addr {
            self.external_addr.clone_from(addresses);
        }
        self.accept_servers = change.accept_servers.unwrap_or(self.accept_servers);
        Ok(before != (self.accept_servers, self.external_addr.clone(), self.rack_id.clone()))
    }
}
