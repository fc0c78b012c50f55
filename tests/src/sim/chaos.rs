//! What befalls a cluster: its clients, its operator, and the rest of the world.

use std::rc::Rc;

use bootstrapd_core::cluster::Cluster;
use bootstrapd_core::config::{Action, Paths};
use bootstrapd_core::failure::{Cause, Failure};
use bootstrapd_core::machine::Machine;
use bootstrapd_core::record::{Id, NodeRecord, decode};
use bootstrapd_core::time::Timestamp;

use super::agent::Agent;
use super::disk::{Content, Disk, read_again};
use super::rules::{Broken, must};
use super::world::World;
use super::{FEW, RECORD_BYTES, wire};
use crate::random::Seeded;

mod store;

/// From then on the operator resets joiners that still wait.
const PATIENCE_MS: u64 = 300_000;

/// How bad it gets: of a hundred messages, saves or strikes, how many.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    /// Messages that are lost.
    pub(super) lose: u64,
    /// Messages that arrive twice.
    pub(super) double: u64,
    /// Messages and saves that take seconds.
    pub(super) slow: u64,
    /// Saves that fail.
    pub(super) save_fails: u64,
    /// Nodes that crash right after a save, before anything that was to follow.
    pub(super) crash_saved: u64,
    /// Nodes that crash.
    crash: u64,
    /// Nodes that are cut off.
    cut: u64,
    /// Nodes that do nothing for a while.
    stall: u64,
    /// Disks that are lost, sometimes with their nodes.
    wipe: u64,
    /// Disks that go back in time.
    roll_back: u64,
    /// Operators that recover a cluster, whether it has to be or not.
    recover: u64,
    /// Clients that create another cluster.
    second: u64,
    /// Nodes that cannot reach the store that all members share.
    without_store: u64,
    /// That store does not answer.
    store_down: u64,
    /// It comes to be on the other side of a cut.
    store_cut: u64,
    /// It loses everything.
    store_lost: u64,
    /// It goes back in time.
    store_back: u64,
}

impl Faults {
    /// A mixture: most seeds know some kinds of trouble and not the others.
    pub(super) fn pick(seed: u64, is_shared: bool, random: &mut Seeded) -> Self {
        let mut up_to = |often: u64, most: u64| if random.chance(often) { 1 + random.below(most) } else { 0 };
        let faults = Self {
            lose: up_to(50, 20),
            double: up_to(50, 20),
            slow: up_to(50, 20),
            save_fails: up_to(30, 20),
            // By the seed itself, and not drawn: whatever else a seed has in store stays as it was.
            crash_saved: if seed.is_multiple_of(7) { 30 } else { 0 },
            crash: up_to(60, 15),
            cut: up_to(40, 15),
            stall: up_to(30, 15),
            wipe: up_to(30, 8),
            roll_back: up_to(8, 5),
            recover: up_to(30, 30),
            second: up_to(15, 3),
            ..Self::default()
        };
        if !is_shared {
            return faults;
        }
        Self {
            without_store: up_to(40, 15),
            store_down: up_to(30, 5),
            store_cut: up_to(20, 5),
            store_lost: up_to(8, 3),
            store_back: up_to(8, 3),
            ..faults
        }
    }
}

/// What part of the story it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chaos {
    /// Anything may happen.
    Wild,
    /// Nothing fails any more; clients and the operator do what they can.
    Calm,
    /// Nobody does anything.
    Quiet,
}

impl Chaos {
    /// Does what is to happen at a moment, and says when the next one is.
    pub(super) fn strike(self, world: &mut World) -> Result<u64, Broken> {
        match self {
            Self::Wild => {
                client(world, false)?;
                // As much goes wrong with many nodes as with a few: else one would always be down, and nobody could join.
                if crowd(world) == 1 || world.random.below(crowd(world)) == 0 {
                    misfortune(world)?;
                    if world.store.is_some() {
                        store::misfortune(world);
                    }
                }
                Ok(world.random.below(3_000) / crowd(world))
            }
            Self::Calm => {
                operator(world)?;
                client(world, true)?;
                Ok((500 + world.random.below(1_500)) / crowd(world))
            }
            Self::Quiet => Ok(10_000),
        }
    }
}

/// How many times as often clients come as to a few places.
fn crowd(world: &World) -> u64 {
    u64::try_from(world.places.len()).unwrap().div_ceil(FEW)
}

fn anywhere(world: &mut World) -> usize {
    let places = u64::try_from(world.places.len()).unwrap();
    usize::try_from(world.random.below(places)).unwrap()
}

/// The place of a member, if one is found.
fn a_member(world: &mut World) -> usize {
    let first = anywhere(world);
    let all = world.places.len();
    let nearest = world.members().map(|(place, ..)| place).min_by_key(|place| (place + all - first) % all);
    nearest.unwrap_or(first)
}

/// The number that a failure says to ask for.
fn named(failure: &Failure) -> Option<u32> {
    if let Cause::RepairRequired { replace_candidate, .. } = &failure.cause {
        return Some(*replace_candidate);
    }
    // A node that does not know it has a number is told so.
    let is_known = failure.message.contains("active member already");
    failure.message.rsplit(' ').next().filter(|_| is_known)?.parse().ok()
}

/// A client posts to some node, mostly a free one, what most would.
fn client(world: &mut World, is_calm: bool) -> Result<(), Broken> {
    let place = anywhere(world);
    let Some(agent) = &world.places[place].agent else { return Ok(()) };
    let is_free = agent.machine.check_free().is_ok();
    let candidate = agent.machine.failure().and_then(named);
    if !is_free && !world.random.chance(10) {
        return Ok(());
    }
    // In a store that all share one is founded, however many try.
    let first = match &world.store {
        None => place == 0 && world.rules.is_new(),
        Some(_) => !is_calm && !world.rules.is_founded() && world.random.chance(60),
    };
    let nobody = is_calm && world.members().next().is_none();
    let somebody_tries = nobody && anybody_tries(world);
    if somebody_tries && crowd(world) > 1 {
        // So many would never end to try what leads nowhere.
        return Ok(());
    }
    if nobody && !somebody_tries {
        store::empty(world);
    }
    if first || (nobody && !somebody_tries) || (!is_calm && world.random.chance(world.faults.second)) {
        return create(world, place);
    }
    if !is_calm && world.random.chance(world.faults.recover) {
        return recover(world, place);
    }
    let uid = candidate.filter(|_| is_calm || world.random.chance(70));
    let identity = uid.map(|uid| format!(r#","node":{{"identity":{{"uid":{uid}}}}}"#)).unwrap_or_default();
    let mut nodes = Vec::new();
    for _ in 0..=world.random.below(3) {
        let place = if world.random.chance(20) { anywhere(world) } else { a_member(world) };
        nodes.push(format!(r#""127.0.0.1:{}""#, 1_000 + place));
    }
    let password = if !is_calm && world.random.chance(5) { "guess" } else { "secret" };
    let (retries, pause) = (world.random.below(3), 1 + world.random.below(5));
    let body = format!(
        r#"{{"cluster":{{"nodes":[{}]}},"credentials":{{"username":"u","password":"{password}"}},"max_retries":{retries},"retry_time":{pause}{identity}}}"#,
        nodes.join(",")
    );
    world.post(place, Action::JoinCluster, &body).map(|_| ())
}

fn anybody_tries(world: &World) -> bool {
    world.agents().any(|(_, agent)| agent.machine.check_free().is_err())
}

pub(super) fn create(world: &mut World, place: usize) -> Result<(), Broken> {
    let body = r#"{"cluster":{"name":"a.b"},"credentials":{"username":"u","password":"secret"}}"#;
    // Two posts at once make one attempt.
    for _ in 0..=world.random.below(2) {
        if world.post(place, Action::CreateCluster, body)? {
            world.rules.create_accepted(place);
        }
    }
    Ok(())
}

/// A cluster is founded again from what some disk holds or held.
fn recover(world: &mut World, place: usize) -> Result<(), Broken> {
    let from = anywhere(world);
    let source = &world.places[from];
    let copy = source.copy.as_ref().and_then(|copy| copy.cluster.clone());
    let Some(record) = copy.filter(|_| world.now_ms.is_multiple_of(2)).or_else(|| source.disk.cluster.clone()) else {
        return Ok(());
    };
    let any = &record.members[usize::try_from(world.random.next() % record.members.len() as u64).unwrap()];
    let uid = if world.random.chance(70) { record.founder_uid } else { any.uid };
    let body = format!(r#"{{"recovery_filename":"f","node":{{"identity":{{"uid":{uid}}}}}}}"#);
    if let Some(agent) = &mut world.places[place].agent
        && agent.machine.check_free().is_ok()
    {
        agent.recovery = Some(record);
    }
    world.post(place, Action::RecoverCluster, &body).map(|_| ())
}

/// Something goes wrong, or right again.
fn misfortune(world: &mut World) -> Result<(), Broken> {
    let Faults { crash, cut, stall, wipe, roll_back, .. } = world.faults.clone();
    let place = anywhere(world);
    if world.random.chance(10) {
        world.places[place].copy = Some(world.places[place].disk.clone());
    }
    if world.random.chance(crash) {
        world.stop(place)?;
        let pause = if world.random.chance(80) { world.random.below(2_000) } else { world.random.below(60_000) };
        world.start_after(place, pause);
    }
    if world.random.chance(cut) {
        world.places[place].is_cut_off = true;
    } else if world.random.chance(8) {
        world.places[place].is_cut_off = false;
    }
    if world.random.chance(stall) {
        world.places[place].stalled_until_ms = world.now_ms + world.random.below(60_000);
    }
    if world.random.chance(wipe) {
        world.stop(place)?;
        change_disk(world, place, Disk::default());
        world.places[place].is_gone = world.random.chance(30) && place != 0;
        let pause = world.random.below(30_000);
        world.start_after(place, pause);
    }
    if world.random.chance(roll_back)
        && let Some(copy) = world.places[place].copy.clone()
    {
        world.stop(place)?;
        change_disk(world, place, copy);
        world.rules.rolled_back = true;
        world.start_after(place, 0);
    }
    Ok(())
}

fn change_disk(world: &mut World, place: usize, disk: Disk) {
    world.places[place].disk = disk;
    world.rules.forget_place(place);
}

/// Makes an end of everything that goes wrong.
pub(super) fn heal(world: &mut World) -> Result<(), Broken> {
    world.faults = Faults::default();
    store::heal(world);
    for place in 0..world.places.len() {
        world.places[place].is_cut_off = false;
        world.places[place].stalled_until_ms = 0;
        world.start(place)?;
    }
    Ok(())
}

/// The operator looks after what the README says needs one.
fn operator(world: &mut World) -> Result<(), Broken> {
    // Seldom: whatever was done last must have come to its end.
    if world.now_ms < world.operator_ms + 30_000 {
        return Ok(());
    }
    world.operator_ms = world.now_ms;
    if world.store.is_some() {
        return store::operator(world);
    }
    let clusters: Vec<_> = world.members().map(|(.., home)| home.cluster_id).collect();
    for cluster_id in clusters {
        if !has_founder(world, cluster_id) {
            return recover_in_place(world, cluster_id);
        }
    }
    // A joiner waits for ever for a cluster that is no more, or of which it knows nobody that is still there.
    let Some(place) = waits_in_vain(world) else { return Ok(()) };
    if !world.rules.rolled_back && !world.rules.rash {
        let known = who_knows(world, place);
        must!(known.is_none(), "the joiner at {place} has not got through to {known:?}, whom it knows");
    }
    reset(world, place)
}

/// The place of a joiner that was admitted long ago and still waits.
fn waits_in_vain(world: &World) -> Option<usize> {
    let is_late = world.now_ms > PATIENCE_MS;
    world.agents().find(|(_, agent)| is_late && agent.machine.adopted().is_some()).map(|(place, _)| place)
}

/// `reset`
fn reset(world: &mut World, place: usize) -> Result<(), Broken> {
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
    if let Some(begun) = begin_epoch(world, place) {
        world.durable(place, &Content::Newer(Rc::from(begun)))?;
    }
    world.start(place)
}

/// What a stopped member's copy is with that member as the founder of a new epoch.
fn begin_epoch(world: &mut World, place: usize) -> Option<Box<Cluster>> {
    let disk = &world.places[place].disk;
    let (own, cluster) = disk.node.as_ref().zip(disk.cluster.clone())?;
    let mut record = Box::<NodeRecord>::default();
    decode(own, &mut *record).unwrap();
    let mut machine = Box::<Machine>::default();
    machine.restore(&record, &Paths::default(), Timestamp::default());
    if !machine.is_member() {
        return None;
    }
    let mut begun = read_again(&cluster, &mut vec![0; RECORD_BYTES]);
    let epoch_tag = world.random.id();
    begun.recover_in_place(machine.node_id(), epoch_tag).is_ok().then_some(begun)
}
