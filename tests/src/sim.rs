//! A whole cluster of cores in one process, with a seeded clock, network and disks. Everything that decides is the real
//! core; what the shell does around it (staging a changed record, saving it, holding an answer back until it is durable)
//! is done here in the same order. After every step what must always hold is checked.

mod agent;
mod chaos;
mod disk;
mod growth;
mod rest;
mod rules;
mod store;
mod wire;
mod witness;
mod world;

use bootstrapd_core::cluster::{Cluster, Member};
use chaos::Chaos;
pub use growth::{Growth, growth};
use rules::must;
pub use rules::{Broken, Tally};
use world::World;

use crate::random::Seeded;

/// Room for any record.
const RECORD_BYTES: usize = bootstrapd_core::limits::CLUSTER_RECORD_BYTES_MAX;
/// For so long anything goes, in milliseconds.
const WILD_MS: u64 = 120_000;
/// So long clients and operators have to get everybody in: an admitted node that is gone lapses after a minute.
const CALM_MS: u64 = 400_000;
/// So long nobody does anything then.
const QUIET_MS: u64 = 30_000;

/// Where the seed picks, there are two to so many places.
const FEW: u64 = 7;
/// Where the seed picks, one in so many worlds has a store that all members share.
const SHARED_OF: u64 = 4;

/// Where the cluster's record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// On every node; the founder alone changes it.
    Embedded,
    /// In a store that all members share.
    Shared,
}

/// What a seed does not pick, where it is said.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given {
    /// How many places there are.
    pub places: Option<usize>,
    /// Where the cluster's record is.
    pub store: Option<Store>,
}

/// What came of a seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// What happened.
    pub tally: Tally,
    /// Whether a disk went back in time.
    pub rolled_back: bool,
    /// Whether a cluster was recovered while a founder of it was still there.
    pub rash: bool,
    /// Whether the cluster did not come to rest after either.
    pub is_unsettled: bool,
}

/// Lives through what a seed has in store, and prints all of it where `is_told`.
///
/// # Errors
/// What must hold and does not.
pub fn run(seed: u64, given: Given, is_told: bool) -> Result<Outcome, Broken> {
    let few = || 2 + usize::try_from(Seeded::new(!seed).below(FEW - 1)).unwrap();
    let places = given.places.unwrap_or_else(few);
    let picked = || if seed % SHARED_OF == SHARED_OF - 1 { Store::Shared } else { Store::Embedded };
    let mut world = World::new(seed, places, given.store.unwrap_or_else(picked) == Store::Shared);
    world.is_told = is_told;
    let at = |broken: Broken, world: &World| Broken(format!("{broken} (at {} ms)", world.now_ms));
    live(&mut world).map_err(|broken| at(broken, &world))?;
    let rested = if world.store.is_some() { rest::is_at_rest(&world) } else { is_at_rest(&world) };
    let rested = rested.map_err(|broken| at(broken, &world));
    let (tally, rash) = (world.rules.tally, world.rules.rash);
    let rolled_back = world.rules.is_excused();
    let outcome = Outcome { tally, rolled_back, rash, is_unsettled: rested.is_err() };
    if rolled_back || rash { Ok(outcome) } else { rested.map(|()| outcome) }
}

fn live(world: &mut World) -> Result<(), Broken> {
    world.run_until(WILD_MS, Chaos::Wild)?;
    chaos::heal(world)?;
    // It takes many longer to find out that there is nobody to join, and then to get in.
    let calm_ms = if world.places.len() as u64 > FEW { 2 * CALM_MS } else { CALM_MS };
    world.run_until(WILD_MS + calm_ms, Chaos::Calm)?;
    world.run_until(WILD_MS + calm_ms + QUIET_MS, Chaos::Quiet)
}

/// Whether every node is in a cluster, and each cluster is of one mind.
fn is_at_rest(world: &World) -> Result<(), Broken> {
    for (place, agent) in world.agents() {
        let (state, failure) = (agent.machine.state(), agent.machine.failure());
        let Some(home) = agent.home() else {
            let why = failure.map(|failure| failure.message.as_str());
            return Err(Broken(format!("the node at {place} is in no cluster: {state:?}, {why:?}")));
        };
        let own = agent.machine.node_id();
        let of_epoch = world.members().filter(|(.., other)| other.epoch_tag == home.epoch_tag);
        let founders: Vec<_> = of_epoch.map(|(_, other, _)| other).filter(|other| other.is_founder()).collect();
        must!(founders.len() == 1, "{} founders of the cluster of {place}", founders.len());
        let founder = founders[0];
        must!(founder.peers.bar.is_none(), "the founder admits nobody: {:?}", founder.peers.bar);
        let cluster = founder.home().unwrap();
        // Whoever this epoch knows, by the key that it has, has heard of it. A founder of an epoch before may not have: see the
        // README for who has to tell it.
        for (_, other, theirs) in world.members() {
            let key = |copy: &Cluster| copy.member_of(other.machine.node_id()).map(|member| member.key);
            let is_behind = theirs.cluster_id == home.cluster_id && theirs.epoch < home.epoch;
            must!(!is_behind || key(&cluster) != key(&theirs), "the epoch of a member is over, and it does not know");
        }
        must!(cluster == home, "{place} has another copy: {:?}, {:?}", home.stamp(), cluster.stamp());
        let member = cluster.member_of(own);
        must!(member.is_some_and(Member::is_active), "{place} is completed and no member");
        must!(cluster.members.iter().all(Member::is_active), "somebody has not confirmed");
        let down = founder.peers.down(&cluster, founder.machine.node_id(), world.now_ms);
        must!(member.is_some_and(|member| !down.contains(&member.uid)), "{place} is down and alive");
        must!(
            agent.machine.membership().map(|own| own.uid) == member.map(|member| member.uid),
            "{place} has two numbers"
        );
    }
    Ok(())
}
