//! What befalls the store that all members share, and what an operator does about it.

use std::rc::Rc;

use bootstrapd_core::cluster::Cluster;

use super::{anywhere, begin_epoch, reset, waits_in_vain};
use crate::sim::agent::Agent;
use crate::sim::disk::Content;
use crate::sim::rules::{Broken, must};
use crate::sim::world::World;

/// Something goes wrong with the store, or right again.
pub(super) fn misfortune(world: &mut World) {
    let faults = world.faults.clone();
    let place = anywhere(world);
    if world.random.chance(faults.without_store) {
        world.places[place].is_without_store = true;
    } else if world.random.chance(20) {
        world.places[place].is_without_store = false;
    }
    let [goes, comes, crosses, copies, loses, back] =
        [faults.store_down, 30, faults.store_cut, 10, faults.store_lost, faults.store_back]
            .map(|often| world.random.chance(often));
    let Some(store) = &mut world.store else { return };
    store.is_down = goes || store.is_down && !comes;
    store.is_cut_off ^= crosses;
    if copies {
        store.copy();
    }
    if loses {
        store.lose();
        world.rules.replaced(None);
    } else if back && store.go_back() {
        world.rules.replaced(store.record());
        world.rules.store_back = true;
    }
}

/// Makes an end of that.
pub(super) fn heal(world: &mut World) {
    for place in &mut world.places {
        place.is_without_store = false;
    }
    if let Some(store) = &mut world.store {
        store.is_down = false;
        store.is_cut_off = false;
    }
}

/// The operator looks after what the README says needs one.
pub(super) fn operator(world: &mut World) -> Result<(), Broken> {
    let stored = world.store.as_ref().and_then(|store| store.record().cloned());
    // Who is of another cluster than the store's finds nobody of its own there any more.
    let is_astray = |home: &Cluster| stored.as_ref().is_some_and(|stored| stored.cluster_id != home.cluster_id);
    let astray = world.members().find(|(.., home)| is_astray(home)).map(|(place, ..)| place);
    if let Some(place) = astray {
        must!(world.rules.is_emptied || world.rules.store_back, "the node at {place} is of another cluster");
        return reset(world, place);
    }
    let needs = |agent: &Agent| stored.is_none() || agent.is_barred;
    if world.members().any(|(_, agent, _)| needs(agent)) {
        must!(
            world.rules.is_emptied || world.rules.store_back,
            "the store is not trusted, and nothing was wrong with it"
        );
        return recover_in_place(world, stored.as_ref());
    }
    let Some(place) = waits_in_vain(world) else { return Ok(()) };
    must!(world.rules.is_emptied || world.rules.store_back, "the joiner at {place} does not get through to the store");
    reset(world, place)
}

/// `recover --in-place --store …` on the node with the newest copy.
fn recover_in_place(world: &mut World, stored: Option<&Rc<Cluster>>) -> Result<(), Broken> {
    let newest = world.members().max_by_key(|(.., home)| home.age()).map(|(place, ..)| place);
    let Some(place) = newest else { return Ok(()) };
    world.stop(place)?;
    if let Some(begun) = begin_epoch(world, place)
        && stored.is_none_or(|stored| stored.cluster_id == begun.cluster_id && stored.epoch < begun.epoch)
    {
        // The store first: what it has counts, and this node follows it.
        let begun = Rc::from(begun);
        world.store_again(&begun)?;
        world.durable(place, &Content::Newer(begun))?;
    }
    world.start(place)
}

/// Nobody is left whose record the store has: the operator takes another prefix.
pub(super) fn empty(world: &mut World) {
    if let Some(store) = &mut world.store {
        store.lose();
        world.rules.replaced(None);
    }
}
