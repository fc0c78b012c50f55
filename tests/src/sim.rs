//! A whole cluster of cores in one process, with a seeded clock, network and disks. Everything that decides is the real
//! core; what the shell does around it (staging a changed record, saving it, holding an answer back until it is durable)
//! is done here in the same order. After every step what must always hold is checked.

mod agent;
mod chaos;
mod disk;
mod growth;
mod rules;
mod wire;
mod world;

use agent::Agent;
use bootstrapd_core::cluster::Member;
use chaos::Chaos;
pub use growth::{Growth, growth};
use rules::must;
pub use rules::{Broken, Tally};
use world::World;

/// Room for any record.
const RECORD_BYTES: usize = bootstrapd_core::limits::CLUSTER_RECORD_BYTES_MAX;
/// For so long anything goes, in milliseconds.
const WILD_MS: u64 = 120_000;
/// So long clients and operators have to get everybody in: an admitted node that is gone lapses after a minute.
const CALM_MS: u64 = 400_000;
/// So long nobody does anything then.
const QUIET_MS: u64 = 30_000;

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
pub fn run(seed: u64, is_told: bool) -> Result<Outcome, Broken> {
    let places = 2 + usize::try_from(Seeded::new(!seed).below(6)).unwrap();
    let mut world = World::new(seed, places);
    world.is_told = is_told;
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
    world.run_until(WILD_MS + CALM_MS, Chaos::Calm)?;
    world.run_until(WILD_MS + CALM_MS + QUIET_MS, Chaos::Quiet)
}

/// Whether every node is in a cluster, and each cluster is of one mind.
fn is_at_rest(world: &World) -> Result<(), Broken> {
    let agents = || world.places.iter().filter_map(|place| place.agent.as_deref());
    for (place, agent) in world.places.iter().enumerate().filter_map(|(at, place)| Some((at, place.agent.as_deref()?)))
    {
        let (state, failure) = (agent.machine.state(), agent.machine.failure());
        let Some(home) = agent.home() else {
            let why = failure.map(|failure| failure.message.as_str());
            return Err(Broken(format!("the node at {place} is in no cluster: {state:?}, {why:?}")));
        };
        let own = agent.machine.node_id();
        let writes = |other: &&Agent| {
            other.home().is_some_and(|other_home| {
                other_home.epoch_tag == home.epoch_tag && other_home.is_founder(other.machine.node_id())
            })
        };
        let founders: Vec<_> = agents().filter(writes).collect();
        must!(founders.len() == 1, "{} founders of the cluster of {place}", founders.len());
        let founder = founders[0];
        must!(founder.peers.bar.is_none(), "the founder admits nobody: {:?}", founder.peers.bar);
        let cluster = founder.home().unwrap();
        // Whoever this epoch knows, by the key that it has, has heard of it. A founder of an epoch before may not have: see the
        // README for who has to tell it.
        for other in agents().filter_map(|other| Some((other.machine.node_id(), other.home()?))) {
            let is_behind = other.1.cluster_id == home.cluster_id && other.1.epoch < home.epoch;
            let same = cluster
                .member_of(other.0)
                .is_some_and(|known| other.1.member_of(other.0).is_some_and(|member| member.key == known.key));
            must!(!is_behind || !same, "the epoch of a member is over, and it does not know");
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

/// A generator of random numbers from a seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// The generator of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub const fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Whether something happens that does so `percent` times in a hundred.
    pub const fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Sixteen bytes.
    pub fn id(&mut self) -> bootstrapd_core::record::Id {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next().to_le_bytes());
        bytes[8..].copy_from_slice(&self.next().to_le_bytes());
        bootstrapd_core::record::Id(bytes)
    }

    /// A key.
    pub fn key(&mut self) -> bootstrapd_core::cluster::Key {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.id().0);
        bytes[16..].copy_from_slice(&self.id().0);
        bootstrapd_core::cluster::Key(bytes)
    }
}
