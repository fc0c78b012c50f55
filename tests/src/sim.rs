//! A whole cluster of cores in one process, with a seeded clock, network and disks. Everything that decides is the real
//! core; what the shell does around it (staging a changed record, saving it, holding an answer back until it is durable)
//! is done here in the same order. After every step what must always hold is checked.

mod agent;
mod chaos;
mod disk;
mod growth;
mod operator;
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
use store::Store;
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

/// How a world is set up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup {
    /// So many places; where there are none, the seed picks a few.
    pub places: Option<usize>,
    /// Whether the cluster's record is in a store that all members share.
    pub is_shared: bool,
    /// Whether all that happens is printed.
    pub is_told: bool,
}

/// Lives through what a seed has in store.
///
/// # Errors
/// What must hold and does not.
pub fn run(seed: u64, setup: Setup) -> Result<Outcome, Broken> {
    let few = || 2 + usize::try_from(Seeded::new(!seed).below(FEW - 1)).unwrap();
    let mut world = World::new(seed, setup.places.unwrap_or_else(few), setup.is_shared);
    world.is_told = setup.is_told;
    let at = |broken: Broken, world: &World| Broken(format!("{broken} (at {} ms)", world.now_ms));
    live(&mut world).map_err(|broken| at(broken, &world))?;
    let rested = is_at_rest(&world).map_err(|broken| at(broken, &world));
    let (tally, rolled_back, rash) = (world.rules.tally, world.rules.rolled_back, world.rules.rash);
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
    if let Some(store) = &world.store {
        return is_at_rest_by(store, world);
    }
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

/// Whether every node is in the cluster whose record the store has, and is of its mind.
fn is_at_rest_by(store: &Store, world: &World) -> Result<(), Broken> {
    let Some(cluster) = &store.record else { return Err(Broken("the store has no record".to_owned())) };
    must!(cluster.members.iter().all(Member::is_active), "somebody has not confirmed");
    for (place, agent) in world.agents() {
        let (state, failure) = (agent.machine.state(), agent.machine.failure());
        let Some(home) = agent.home() else {
            let why = failure.map(|failure| failure.message.as_str());
            return Err(Broken(format!("the node at {place} is in no cluster: {state:?}, {why:?}")));
        };
        must!(home == *cluster, "{place} has another copy: {:?}, {:?}", home.stamp(), cluster.stamp());
        let own = agent.machine.node_id();
        let uid = cluster.member_of(own).map(|member| member.uid);
        must!(
            uid.is_some() && uid == agent.machine.membership().map(|own| own.uid),
            "{place} has two numbers, or none"
        );
        for (other, agent) in world.agents() {
            let down = agent.peers.down(&home, agent.machine.node_id(), world.now_ms);
            must!(uid.is_none_or(|uid| !down.contains(&uid)), "{place} is alive, and down for {other}");
        }
    }
    Ok(())
}
