//! How a cluster's record and the cost of an admission grow with its members.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bootstrapd_core::cluster::{Liveness, Rules};
use bootstrapd_core::limits::MEMBERS_MAX;
use bootstrapd_core::record;

use super::RECORD_BYTES;
use super::chaos::{Chaos, Faults};
use super::world::World;
use crate::median;
use crate::random::Seeded;

/// Of a cluster with so many members.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// How many.
    pub members: usize,
    /// Its record, as it is kept and sent.
    pub record_bytes: usize,
    /// An admission, with the copy of the record that it changes.
    pub admit: Duration,
    /// All checks, without any copy.
    pub judge: Duration,
}

/// For 1, 2, 4 … members and one less than the most, to which one more is admitted.
pub fn growth() -> Vec<Growth> {
    let mut world = World::new(0, 1, false);
    world.faults = Faults::default();
    world.run_until(1_000, Chaos::Quiet).unwrap();
    super::chaos::create(&mut world, 0).unwrap();
    world.run_until(5_000, Chaos::Quiet).unwrap();
    let agent = world.places[0].agent.as_ref().unwrap();
    let mut request = agent.machine.join_request(&agent.facts);
    let mut cluster = Box::new((*agent.home().unwrap()).clone());
    let liveness = Liveness::new(1_000, 0);
    let rules =
        Rules { liveness: &liveness, uptime_ms: 0, clock_ms: 1_700_000_100_000, max_skew_seconds: 5, is_shared: false };
    request.clock_ms = rules.clock_ms;
    let (mut random, mut buffer) = (Seeded::new(0), vec![0; RECORD_BYTES]);
    let mut grown = Vec::new();
    loop {
        let members = cluster.members.len();
        request.member.node_id = random.id();
        request.member.endpoint = SocketAddr::from(([10, 0, 0, 1], u16::try_from(members).unwrap()));
        if members.is_power_of_two() || members == MEMBERS_MAX - 1 {
            let record_bytes = record::encode(&*cluster, &mut buffer).unwrap();
            let key = random.key();
            let admit = time(|| _ = (*cluster).clone().admit(&request, key, &rules).unwrap());
            let judge = time(|| cluster.could_admit(&request, &rules).unwrap());
            grown.push(Growth { members, record_bytes, admit, judge });
        }
        if members == MEMBERS_MAX - 1 {
            return grown;
        }
        cluster.admit(&request, random.key(), &rules).unwrap();
        cluster.confirm(request.member.node_id);
    }
}

fn time(act: impl Fn()) -> Duration {
    let once = |_| {
        let start = Instant::now();
        act();
        start.elapsed()
    };
    median((0..99).map(once).collect())
}
