//! What an operator does for a cluster: what the README says that one is needed for.

use std::rc::Rc;

use bootstrapd_core::cluster::Cluster;
use bootstrapd_core::config::Paths;
use bootstrapd_core::machine::Machine;
use bootstrapd_core::record::{Id, NodeRecord, decode};
use bootstrapd_core::time::Timestamp;

use super::agent::Agent;
use super::chaos::{anybody_tries, change_disk};
use super::disk::{Content, Disk, read_again};
use super::rules::{Broken, must};
use super::world::World;
use super::{RECORD_BYTES, wire};

/// From then on the operator resets joiners that still wait.
const PATIENCE_MS: u64 = 300_000;

/// The operator looks after what the README says needs one.
pub(super) fn operator(world: &mut World) -> Result<(), Broken> {
    // Seldom: whatever was done last must have come to its end.
    if world.now_ms < world.operator_ms + 30_000 {
        return Ok(());
    }
    world.operator_ms = world.now_ms;
    if world.store.is_some() {
        return operator_of_store(world);
    }
    let clusters: Vec<_> = world.members().map(|(.., home)| home.cluster_id).collect();
    for cluster_id in clusters {
        if !has_founder(world, cluster_id) {
            return recover_in_place(world, cluster_id);
        }
    }
    reset_late(world, |world, place| who_knows(world, place).is_none())
}

/// The same where all members share a store.
fn operator_of_store(world: &mut World) -> Result<(), Broken> {
    let nobody = world.members().next().is_none() && !anybody_tries(world);
    let newest = world.members().max_by_key(|(.., home)| home.age());
    let newest = newest.map(|(.., home)| home);
    let Some(store) = world.store.as_mut() else { return Ok(()) };
    if nobody {
        // Of a cluster that has no members left nothing can be had but its record, which they alone could read.
        store.put(None);
    }
    let stored = store.record.clone();
    match (&newest, &stored) {
        (Some(newest), None) => return recover_in_place(world, newest.cluster_id),
        (Some(newest), Some(stored)) if newest.cluster_id == stored.cluster_id && newest.age() > stored.age() => {
            return recover_in_place(world, newest.cluster_id);
        }
        (Some(_) | None, _) => {}
    }
    let waits_for =
        |world: &World, place: usize| Some(world.places[place].agent.as_ref()?.founded.as_ref()?.cluster_id);
    let stored = stored.map(|record| record.cluster_id);
    reset_late(world, |world, place| waits_for(world, place) != stored)
}

/// Resets a joiner that still waits for a cluster, which `may_wait`.
fn reset_late(world: &mut World, may_wait: impl Fn(&World, usize) -> bool) -> Result<(), Broken> {
    // A joiner waits for ever for a cluster that is no more, or of which it knows nobody that is still there.
    let is_late = world.now_ms > PATIENCE_MS;
    let waiting =
        world.agents().find(|(_, agent)| is_late && agent.machine.adopted().is_some()).map(|(place, _)| place);
    let Some(place) = waiting else { return Ok(()) };
    if !world.rules.rolled_back && !world.rules.rash {
        must!(may_wait(world, place), "the joiner at {place} has not got through to whom it knows");
    }
    world.stop(place)?;
    change_disk(world, place, Disk::default());
    world.start(place)
}

/// The place of a member of the cluster that an admitted joiner waits for, of which it knows where it is.
fn who_knows(world: &World, joiner: usize) -> Option<usize> {
    let joiner = world.places[joiner].agent.as_ref()?;
    let copy = joiner.founded.as_ref()?;
    let mut members = world.members().filter(|(.., home)| home.cluster_id == copy.cluster_id);
    let is_known = |place, agent: &Agent| {
        copy.member_of(agent.machine.node_id()).is_some_and(|known| usize::from(wire::place(known.endpoint)) == place)
    };
    members.find(|(place, agent, _)| is_known(*place, agent)).map(|(place, ..)| place)
}

/// Whether there is exactly one founder of the latest epoch, and it admits.
fn has_founder(world: &World, cluster_id: Id) -> bool {
    let members = || world.members().filter(|(.., home)| home.cluster_id == cluster_id);
    let last = members().map(|(.., home)| home.epoch).max();
    let founds = |(_, agent, home): &(usize, &Agent, Rc<Cluster>)| Some(home.epoch) == last && agent.is_founder();
    let mut founders = members().filter(founds);
    matches!((founders.next(), founders.next()), (Some((_, founder, _)), None) if founder.peers.bar.is_none())
}

/// `recover --in-place` on the node with the newest copy.
fn recover_in_place(world: &mut World, cluster_id: Id) -> Result<(), Broken> {
    let members = world.members().filter(|(.., home)| home.cluster_id == cluster_id);
    let newest = members.max_by_key(|(.., home)| home.age()).map(|(place, ..)| place);
    let Some(place) = newest else { return Ok(()) };
    world.stop(place)?;
    let disk = &world.places[place].disk;
    let (Some(own), Some(cluster)) = (&disk.node, disk.cluster.clone()) else { return world.start(place) };
    let mut record = Box::<NodeRecord>::default();
    decode(own, &mut *record).unwrap();
    let mut machine = Box::<Machine>::default();
    machine.restore(&record, &Paths::default(), Timestamp::default());
    if machine.is_member() {
        let mut begun = read_again(&cluster, &mut vec![0; RECORD_BYTES]);
        let epoch_tag = world.random.id();
        if begun.recover_in_place(machine.node_id(), epoch_tag).is_ok() {
            let begun = Rc::from(begun);
            world.put(place, &begun)?;
            world.durable(place, &Content::Newer(begun))?;
        }
    }
    world.start(place)
}
