//! What befalls a cluster: its clients, and the rest of the world.

use bootstrapd_core::config::Action;
use bootstrapd_core::failure::{Cause, Failure};

use super::FEW;
use super::disk::Disk;
use super::operator::operator;
use super::rules::Broken;
use super::world::World;
use crate::random::Seeded;

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
    /// Stores that lose what they have.
    store_lost: u64,
    /// Stores that go back in time.
    store_back: u64,
}

impl Faults {
    /// A mixture: most seeds know some kinds of trouble and not the others.
    pub(super) fn pick(seed: u64, random: &mut Seeded) -> Self {
        let mut up_to = |often: u64, most: u64| if random.chance(often) { 1 + random.below(most) } else { 0 };
        Self {
            lose: up_to(50, 20),
            double: up_to(50, 20),
            slow: up_to(50, 20),
            save_fails: up_to(30, 20),
            // By the seed itself, and not drawn: whatever else a seed has in store stays as it was.
            crash_saved: if seed.is_multiple_of(7) { 30 } else { 0 },
            store_lost: u64::from(seed.is_multiple_of(5)),
            store_back: u64::from(seed.is_multiple_of(11)),
            crash: up_to(60, 15),
            cut: up_to(40, 15),
            stall: up_to(30, 15),
            wipe: up_to(30, 8),
            roll_back: up_to(8, 5),
            recover: up_to(30, 30),
            second: up_to(15, 3),
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
    let first = place == 0 && world.rules.is_new();
    let nobody = is_calm && world.members().next().is_none();
    let somebody_tries = nobody && anybody_tries(world);
    if somebody_tries && crowd(world) > 1 {
        // So many would never end to try what leads nowhere.
        return Ok(());
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

pub(super) fn anybody_tries(world: &World) -> bool {
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
    misfortune_of_store(world);
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

/// The same for the store, where there is one.
fn misfortune_of_store(world: &mut World) {
    let Some(store) = &mut world.store else { return };
    if world.random.chance(10) {
        world.store_copy.clone_from(&store.record);
    }
    if world.random.chance(world.faults.store_lost) {
        store.put(None);
    }
    if world.random.chance(world.faults.store_back) {
        store.put(world.store_copy.clone());
        world.rules.rolled_back = true;
    }
}

pub(super) fn change_disk(world: &mut World, place: usize, disk: Disk) {
    world.places[place].disk = disk;
    world.rules.forget_place(place);
}

/// Makes an end of everything that goes wrong.
pub(super) fn heal(world: &mut World) -> Result<(), Broken> {
    world.faults = Faults::default();
    for place in 0..world.places.len() {
        world.places[place].is_cut_off = false;
        world.places[place].stalled_until_ms = 0;
        world.start(place)?;
    }
    Ok(())
}
