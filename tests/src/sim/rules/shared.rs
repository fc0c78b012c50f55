//! What must hold where the cluster's record is in a store that all members share: each record that is written there
//! follows from the one whose place it takes, and nothing else is ever kept or told.

use std::rc::Rc;

use bootstrapd_core::cluster::{Cluster, Member};
use bootstrapd_core::record::Id;

use super::{Broken, Rules, must};
use crate::sim::disk::Content;
use crate::sim::wire::Reply;

/// An admitted node that is not heard of lapses after so long, and not before, in milliseconds.
const LAPSE_MS: u64 = 60_000;

impl Rules {
    /// Whether the store has had a cluster's record.
    pub(in crate::sim) const fn is_founded(&self) -> bool {
        self.founded.is_some()
    }

    /// The store has another record than was written there last, or none: then another cluster may be founded there.
    pub(in crate::sim) fn replaced(&mut self, by: Option<&Rc<Cluster>>) {
        self.is_emptied |= by.is_none();
        self.stored = by.cloned();
        self.founded = by.map(|record| record.cluster_id);
    }

    /// A record is in the store, in the place of the one before; these nodes are there, by a lease or by writing it.
    pub(in crate::sim) fn written(
        &mut self,
        before: Option<&Rc<Cluster>>,
        after: &Rc<Cluster>,
        alive: &[Id],
        now_ms: u64,
    ) -> Result<(), Broken> {
        match before {
            // It was written before, and the answer was lost.
            Some(before) if Rc::ptr_eq(before, after) => return Ok(()),
            Some(before) => {
                must!(
                    before.epoch_tag == after.epoch_tag || self.is_excused(),
                    "an epoch is over that nobody has ended: {:?}",
                    after.stamp()
                );
                // A store that went back gives its numbers again: what was meant for one record takes another's place.
                if !self.is_excused() {
                    self.follows(before, after)?;
                    numbers_stay(before, after)?;
                    self.lapses(before, after, alive, now_ms)?;
                }
            }
            None if after.epoch == 1 => {
                let first = *self.founded.get_or_insert(after.cluster_id);
                must!(first == after.cluster_id, "two clusters are founded in one empty store");
                must!(after.revision == 1, "a cluster is founded in the middle of its life: {:?}", after.stamp());
                self.give(after, &after.members[0])?;
            }
            None => self.founded_again(after),
        }
        self.remember(after, now_ms)
    }

    /// A cluster was recovered: its record is in the store, in the place of an older one.
    pub(in crate::sim) fn recovered(
        &mut self,
        before: Option<&Rc<Cluster>>,
        after: &Rc<Cluster>,
        now_ms: u64,
    ) -> Result<(), Broken> {
        let is_next = |before: &&Rc<Cluster>| before.cluster_id == after.cluster_id && before.epoch < after.epoch;
        must!(before.is_none_or(|before| is_next(&before)), "what is recovered is older: {:?}", after.stamp());
        self.founded_again(after);
        self.remember(after, now_ms)
    }

    fn founded_again(&mut self, after: &Cluster) {
        self.tally.recovered += 1;
        self.founded = Some(after.cluster_id);
        let first = *self.epochs.entry((after.cluster_id.0, after.epoch)).or_insert(after.epoch_tag);
        self.rash |= first != after.epoch_tag;
    }

    fn remember(&mut self, after: &Rc<Cluster>, now_ms: u64) -> Result<(), Broken> {
        self.stored = Some(Rc::clone(after));
        let known = self.history.insert((after.epoch_tag.0, after.revision), Rc::clone(after));
        let is_other = known.is_some_and(|known| known != *after);
        must!(!is_other || self.is_excused(), "two records with one revision: {:?}", after.stamp());
        for member in &after.members {
            if member.is_active() {
                self.active.insert((member.node_id.0, member.key.0));
            } else {
                self.since.entry((member.node_id.0, member.key.0)).or_insert(now_ms);
            }
        }
        Ok(())
    }

    /// Who is admitted and has not confirmed is forgotten when its time is over, or when the one is back that it replaces.
    fn lapses(&self, before: &Cluster, after: &Cluster, alive: &[Id], now_ms: u64) -> Result<(), Broken> {
        for member in before.members.iter().filter(|member| !member.is_active()) {
            if after.members.iter().any(|other| other.node_id == member.node_id && other.uid == member.uid) {
                continue;
            }
            let old = after.member(member.uid).filter(|old| old.is_active());
            let is_back = old.is_some_and(|old| alive.contains(&old.node_id));
            let since = self.since.get(&(member.node_id.0, member.key.0)).copied().unwrap_or_default();
            must!(is_back || now_ms - since > LAPSE_MS, "uid {} is forgotten too early", member.uid);
        }
        Ok(())
    }

    /// A record is about to be on the disk of a node: one that the store has had, or that its founder is about to write there.
    pub(super) fn kept(
        &mut self,
        (place, own): (usize, Id),
        before: Option<&Rc<Cluster>>,
        content: &Content,
    ) -> Result<(), Broken> {
        let (Content::Adopted(after) | Content::Newer(after)) = content else { return Ok(()) };
        let before = before.filter(|before| before.cluster_id == after.cluster_id);
        if let (Some(before), Content::Newer(_)) = (before, content) {
            let (old, new) = (before.stamp(), after.stamp());
            must!(before.age() <= after.age() || self.is_excused(), "a copy goes back at {place}: {old:?} to {new:?}");
        }
        let founds = matches!(content, Content::Adopted(_)) && after.is_founder(own);
        if founds && (after.epoch, after.revision) == (1, 1) {
            let (accepted, made) = self.created.entry(place).or_default();
            *made += 1;
            must!(made <= accepted, "more clusters than creates at {place}");
        }
        let is_known = self.is_of_history(after);
        must!(founds || is_known, "a copy at {place} that the store has never had: {:?}", after.stamp());
        Ok(())
    }

    /// What an agent tells others the store must have had before.
    pub(super) fn told(&self, reply: &Reply) -> Result<(), Broken> {
        let Reply::Record(cluster) = reply else { return Ok(()) };
        must!(self.is_of_history(cluster), "what was said is not in the store: {:?}", cluster.stamp());
        Ok(())
    }

    /// Whoever is told that it is no member is none by what the store has.
    pub(super) fn disowns(&self, place: usize, own: Id, copy: &Cluster) -> Result<(), Broken> {
        let key = |cluster: &Cluster| cluster.member_of(own).map(|member| member.key);
        // Whoever has founded an epoch does not follow another.
        let follows = |stored: &Cluster| stored.epoch_tag == copy.epoch_tag || !copy.is_founder(own);
        let is_known = self.stored.as_ref().is_some_and(|stored| follows(stored) && key(stored) == key(copy));
        must!(!is_known || self.is_excused(), "{place} was told that it is no member, and is one");
        Ok(())
    }

    fn is_of_history(&self, copy: &Rc<Cluster>) -> bool {
        let known = self.history.get(&(copy.epoch_tag.0, copy.revision));
        known.is_some_and(|known| Rc::ptr_eq(known, copy) || known == copy) || self.is_excused()
    }
}

/// No number goes back, and nobody changes its own.
fn numbers_stay(before: &Cluster, after: &Cluster) -> Result<(), Broken> {
    must!(after.next_uid >= before.next_uid, "numbers go back: {} to {}", before.next_uid, after.next_uid);
    for member in &after.members {
        let same = |other: &&Member| other.node_id == member.node_id && other.uid != member.uid;
        let other = before.members.iter().chain(&after.members).find(same);
        must!(other.is_none(), "the node {} has two numbers, one is {}", member.node_id, member.uid);
    }
    Ok(())
}
