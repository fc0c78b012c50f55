//! Places with agents on them, what is between them, and what happens to both.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use bootstrapd_core::cluster::Cluster;
use bootstrapd_core::config::Action;
use bootstrapd_core::machine::Event;
use bootstrapd_core::node::NodeInfo;
use bootstrapd_core::record::Id;

use super::RECORD_BYTES;
use super::agent::{Agent, BEAT_MS, Moment};
use super::chaos::{Chaos, Faults};
use super::disk::{Content, Disk};
use super::rules::{Broken, Rules};
use super::store::{Act, Said, Store};
use super::wire::{Reply, Request, Want};
use crate::random::Seeded;

mod life;
mod network;

use network::Call;

/// Where a node is, or was.
#[derive(Default)]
pub(super) struct Place {
    /// What it says of its machine.
    pub(super) facts: Rc<NodeInfo>,
    /// What it finds again.
    pub(super) disk: Disk,
    /// What its disk held some time ago.
    pub(super) copy: Option<Disk>,
    /// The node that was last started here.
    pub(super) node_id: Id,
    /// Unless it is stopped.
    pub(super) agent: Option<Box<Agent>>,
    /// Counts starts and stops: what was meant for an earlier one is lost.
    incarnation: u64,
    saving: VecDeque<Content>,
    /// It does nothing until then.
    pub(super) stalled_until_ms: u64,
    /// Whether it is on the far side of a cut.
    pub(super) is_cut_off: bool,
    /// The store cannot be reached from here.
    pub(super) is_without_store: bool,
    /// It never comes back.
    pub(super) is_gone: bool,
}

/// Something that is to happen.
#[derive(Debug)]
pub(super) enum What {
    Request { call: u64, to: usize, incarnation: u64, request: Request },
    Reply { call: u64, reply: Option<Reply> },
    Saved(usize, u64),
    Waited(usize, u64),
    Beat(usize, u64),
    Start(usize),
    Chaos,
    AtStore { number: u64, from: usize, act: Act },
    StoreSaid { number: u64, said: Option<Said> },
    Paused(usize, u64),
    Heard(usize, u64),
}

/// Debug output where there is something.
struct Shown<T>(Option<T>);

impl<T: fmt::Debug> fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |shown| write!(f, "{shown:?}"))
    }
}

/// See the module.
pub(super) struct World {
    /// Of the clock that never goes back, the same everywhere.
    pub(super) now_ms: u64,
    /// Everything random comes from here.
    pub(super) random: Seeded,
    /// Where nodes are.
    pub(super) places: Vec<Place>,
    /// What must hold.
    pub(super) rules: Rules,
    /// How bad it may get.
    pub(super) faults: Faults,
    /// Where the cluster's record is, if its members share it.
    pub(super) store: Option<Store>,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    waiting: BTreeMap<u64, What>,
    numbers: u64,
    calls: BTreeMap<u64, Call>,
    buffer: Vec<u8>,
    /// When the operator last looked.
    pub(super) operator_ms: u64,
    /// Whether all of it is printed.
    pub(super) is_told: bool,
}

impl World {
    /// So many places, all empty.
    pub(super) fn new(seed: u64, places: usize, is_shared: bool) -> Self {
        let facts = |index: usize| {
            let endpoint = SocketAddr::from(([127, 0, 0, 1], u16::try_from(1_000 + index).unwrap()));
            NodeInfo { advertise: Some(endpoint), total_memory: Some(1 << 30), ..NodeInfo::default() }
        };
        let mut random = Seeded::new(seed);
        let mut world = Self {
            now_ms: 1_000,
            faults: Faults::pick(seed, is_shared, &mut random),
            random,
            places: (0..places).map(|index| Place { facts: Rc::new(facts(index)), ..Place::default() }).collect(),
            rules: Rules::new(is_shared),
            store: is_shared.then(|| Store::new(1 + seed / 4 % 3)),
            queue: BinaryHeap::new(),
            waiting: BTreeMap::new(),
            numbers: 0,
            calls: BTreeMap::new(),
            buffer: vec![0; RECORD_BYTES],
            operator_ms: 0,
            is_told: false,
        };
        for place in 0..places {
            world.after(0, What::Start(place));
        }
        world.after(1, What::Chaos);
        world
    }

    /// Has an agent act, where one runs.
    fn act<T>(&mut self, place: usize, act: impl FnOnce(&mut Agent, &mut Moment<'_>) -> T) -> Option<T> {
        let Self { places, random, buffer, now_ms, .. } = self;
        let mut moment = Moment { now_ms: *now_ms, random, buffer };
        places[place].agent.as_mut().map(|agent| {
            // As at each turn of the loop.
            agent.peers.liveness.look(moment.now_ms);
            act(agent, &mut moment)
        })
    }

    /// The agents that run, and where.
    pub(super) fn agents(&self) -> impl Iterator<Item = (usize, &Agent)> {
        self.places.iter().enumerate().filter_map(|(at, place)| Some((at, place.agent.as_deref()?)))
    }

    /// Those of them that are members, with their clusters' records.
    pub(super) fn members(&self) -> impl Iterator<Item = (usize, &Agent, Rc<Cluster>)> {
        self.agents().filter_map(|(at, agent)| Some((at, agent, agent.home()?)))
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn after(&mut self, delay_ms: u64, what: What) {
        let number = self.number();
        self.queue.push(Reverse((self.now_ms + delay_ms, number)));
        self.waiting.insert(number, what);
    }

    /// Lets time go by, up to a moment.
    ///
    /// # Errors
    /// What must hold and does not.
    pub(super) fn run_until(&mut self, end_ms: u64, chaos: Chaos) -> Result<(), Broken> {
        while let Some(Reverse((at, number))) = self.queue.peek().copied() {
            if at > end_ms {
                break;
            }
            self.queue.pop();
            self.now_ms = at;
            let what = self.waiting.remove(&number).unwrap();
            self.happen(what, chaos)?;
        }
        self.now_ms = end_ms;
        Ok(())
    }

    /// Whom something happens to, where it has to wait for them.
    fn place_of(&self, what: &What) -> Option<usize> {
        match what {
            What::Request { to, .. } => Some(*to),
            What::Reply { call, .. } => self.calls.get(call).map(|call| call.from),
            What::Saved(place, _)
            | What::Waited(place, _)
            | What::Beat(place, _)
            | What::Paused(place, _)
            | What::Heard(place, _) => Some(*place),
            What::StoreSaid { number, .. } => self.asker(*number),
            What::Start(_) | What::Chaos | What::AtStore { .. } => None,
        }
    }

    fn happen(&mut self, what: What, chaos: Chaos) -> Result<(), Broken> {
        let stalled = self.place_of(&what).map_or(0, |place| self.places[place].stalled_until_ms);
        if stalled > self.now_ms {
            self.after(stalled - self.now_ms, what);
            return Ok(());
        }
        self.tell(&what);
        match what {
            What::Start(place) => self.start(place),
            What::Chaos => {
                let pause = chaos.strike(self)?;
                self.after(pause, What::Chaos);
                Ok(())
            }
            What::Beat(place, incarnation) if self.is_current(place, incarnation) => {
                self.act(place, |agent, moment| {
                    agent.beat(moment);
                    agent.beat_shared(moment);
                });
                self.after(BEAT_MS, What::Beat(place, incarnation));
                self.settle(place)
            }
            What::Waited(place, incarnation) if self.is_current(place, incarnation) => {
                self.act(place, |agent, moment| agent.happened(Event::Waited, moment));
                self.settle(place)
            }
            What::Saved(place, incarnation) if self.is_current(place, incarnation) => self.saved(place),
            What::Request { call, to, incarnation, request } => self.request(call, to, incarnation, &request),
            What::Reply { call, reply } => self.reply(call, reply),
            What::AtStore { number, from, act } => self.at_store(number, from, &act),
            What::StoreSaid { number, said } => self.store_said(number, said),
            What::Paused(place, incarnation) if self.is_current(place, incarnation) => {
                self.act(place, Agent::paused);
                self.settle(place)
            }
            What::Heard(place, incarnation) if self.is_current(place, incarnation) => {
                self.act(place, Agent::hear);
                self.settle(place)
            }
            What::Beat(..) | What::Waited(..) | What::Saved(..) | What::Paused(..) | What::Heard(..) => Ok(()),
        }
    }

    /// Prints what happens.
    fn tell(&self, what: &What) {
        if !self.is_told || matches!(what, What::Chaos | What::Beat(..)) {
            return;
        }
        let about = if let What::Reply { call, .. } = what { self.calls.get(call) } else { None };
        if matches!(what, What::Reply { .. }) && about.is_none() {
            return;
        }
        if matches!(what, What::StoreSaid { number, .. } if self.asker(*number).is_none()) {
            return;
        }
        let saving = if let What::Saved(place, _) = what { self.places[*place].saving.front() } else { None };
        let about = about.map(|call| (call.from, call.to, call.about));
        println!("{:>6} {what:?} {} {}", self.now_ms, Shown(about), Shown(saving));
    }

    /// Of the agent at a place.
    pub(super) fn incarnation(&self, place: usize) -> u64 {
        self.places[place].incarnation
    }

    /// An agent hears what the store has said.
    ///
    /// # Errors
    /// What must hold and does not.
    pub(super) fn hear_store(&mut self, place: usize, said: Option<Said>) -> Result<(), Broken> {
        self.act(place, |agent, moment| agent.store_said(said, moment));
        self.settle(place)
    }

    fn is_current(&self, place: usize, incarnation: u64) -> bool {
        self.places[place].agent.is_some() && self.places[place].incarnation == incarnation
    }

    /// Has done what an agent wants done, and checks what it has come to.
    ///
    /// # Errors
    /// What must hold and does not.
    pub(super) fn settle(&mut self, place: usize) -> Result<(), Broken> {
        let incarnation = self.places[place].incarnation;
        let Some(agent) = &mut self.places[place].agent else { return Ok(()) };
        let wants = std::mem::take(&mut agent.wants);
        self.rules.watch(place, agent)?;
        for want in wants {
            match want {
                Want::Save(content) => {
                    self.places[place].saving.push_back(content);
                    if self.places[place].saving.len() == 1 {
                        self.save_next(place);
                    }
                }
                Want::Wait(time) => self.after(time, What::Waited(place, incarnation)),
                Want::Send { to, about, after_ms, request } => self.send(place, to.into(), (about, request), after_ms),
                Want::AskStore(act) => self.ask_store(place, act),
                Want::Pause(time) => self.after(time, What::Paused(place, incarnation)),
                Want::Hear => {
                    let delay = self.random.below(3);
                    self.after(delay, What::Heard(place, incarnation));
                }
                Want::Reply(call, reply) => {
                    self.rules.said(&reply, self.places[place].disk.cluster.as_ref())?;
                    self.answer(call, Some(reply));
                }
            }
        }
        Ok(())
    }

    /// A caller posts a body; whether it was accepted.
    ///
    /// # Errors
    /// What must hold and does not.
    pub(super) fn post(&mut self, place: usize, action: Action, body: &str) -> Result<bool, Broken> {
        let accepted = self.act(place, |agent, moment| agent.post(action, body, moment)).unwrap_or_default();
        self.settle(place)?;
        Ok(accepted)
    }
}
