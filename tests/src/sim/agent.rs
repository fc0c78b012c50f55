//! One agent: what the shell keeps around a machine, in memory.

use std::rc::Rc;

use bootstrapd_core::cluster::{Cluster, PasswordHash, Recovery, Registration, Seed};
use bootstrapd_core::config::{Action, Paths};
use bootstrapd_core::failure::Failure;
use bootstrapd_core::machine::{Effect, Event, FileId, Machine, PathsFound};
use bootstrapd_core::node::NodeInfo;
use bootstrapd_core::peer::Peers;
use bootstrapd_core::record::{Id, Membership, NodeRecord, Standing, decode};
use bootstrapd_core::status::State;
use bootstrapd_core::time::Timestamp;

use super::disk::{Content, Disk, encoded, read_again};
use super::wire::{About, Reply, Request, Want};
use super::witness::Witness;
use crate::random::Seeded;

mod peers;
mod shared;
mod worker;

use worker::{Errand, Worker};

/// How often members say that they are there.
pub(super) const BEAT_MS: u64 = 5_000;
const SKEW_SECONDS: u64 = 5;
/// The age of a copy that is never durable: an answer that waits for something else.
const NEVER: (u32, u64) = (u32::MAX, u64::MAX);

/// See the module.
pub(super) struct Agent {
    /// The decisions.
    pub(super) machine: Box<Machine>,
    /// What the machine says of itself.
    pub(super) facts: Rc<NodeInfo>,
    /// The cluster that it is in.
    pub(super) cluster: Option<Rc<Cluster>>,
    /// The attempt's.
    pub(super) founded: Option<Rc<Cluster>>,
    /// What it knows of others.
    pub(super) peers: Peers,
    /// What it must do by what it knows.
    pub(super) witness: Witness,
    /// Who works in the store that all members share, where there is one.
    worker: Option<Box<Worker>>,
    /// The store has a record that cannot be trusted, or none.
    pub(super) is_barred: bool,
    /// The copy by which it was told that it is no member after all.
    pub(super) disowned: Option<Rc<Cluster>>,
    staged: Option<Rc<Cluster>>,
    keeping: Option<Rc<Cluster>>,
    /// Answers that wait for a copy to be durable: the call, the copy's age, the answer, and the one where the save fails.
    pending: Vec<(u64, (u32, u64), Reply, Reply)>,
    answered: Vec<(Id, u64)>,
    /// Who is being asked for a beat.
    asked: Vec<Id>,
    confirmations: u32,
    /// What is to be done.
    pub(super) wants: Vec<Want>,
    /// The states that it went through since this was last looked at.
    pub(super) states: Vec<State>,
    /// The record that the next recovery reads.
    pub(super) recovery: Option<Rc<Cluster>>,
}

/// What happens around an agent when it acts.
pub(super) struct Moment<'a> {
    /// Of the clock that never goes back.
    pub(super) now_ms: u64,
    /// Randomness.
    pub(super) random: &'a mut Seeded,
    /// Room for a record.
    pub(super) buffer: &'a mut [u8],
}

impl Moment<'_> {
    fn time(&self) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000 + self.now_ms / 1000)
    }
}

impl Agent {
    /// Starts on what is on the disk, as a start of the program does.
    ///
    /// # Errors
    /// Where it would say that it cannot be read.
    pub(super) fn start(
        facts: &Rc<NodeInfo>,
        disk: &Disk,
        is_shared: bool,
        moment: &mut Moment<'_>,
    ) -> Result<Self, &'static str> {
        let defaults = Paths::default();
        let mut agent = Self {
            machine: Box::default(),
            facts: Rc::clone(facts),
            cluster: None,
            founded: None,
            peers: Peers::new(BEAT_MS, SKEW_SECONDS, moment.now_ms),
            witness: Witness::default(),
            worker: is_shared.then(|| Box::new(Worker::new(moment.now_ms))),
            is_barred: false,
            disowned: None,
            staged: None,
            keeping: None,
            pending: Vec::new(),
            answered: Vec::new(),
            asked: Vec::new(),
            confirmations: 0,
            wants: Vec::new(),
            states: Vec::new(),
            recovery: None,
        };
        let machine = &mut agent.machine;
        if is_shared {
            machine.share_store();
        }
        let Some(bytes) = &disk.node else {
            machine.identify(moment.random.id(), &defaults);
            let record = encoded(machine, moment.buffer);
            agent.wants.push(Want::Save(Content::Node(record)));
            return Ok(agent);
        };
        let mut record = Box::<NodeRecord>::default();
        decode(bytes, &mut *record).map_err(|_| "the node's record cannot be read")?;
        machine.restore(&record, &defaults, moment.time());
        let belongs = machine.is_member() || machine.is_expelled() || machine.adopted().is_some();
        match (&disk.cluster, record.membership) {
            (found, Some(membership)) if belongs => {
                let found = found.as_ref().ok_or("a member's record is missing")?;
                let is_it = machine.is_expelled() || found.cluster_id == membership.cluster_id;
                if !is_it || found.membership(machine.node_id()).is_none() {
                    return Err("a member's record is of another cluster or node");
                }
                let found = Rc::from(read_again(found, moment.buffer));
                let is_adopted = machine.adopted().is_some();
                agent.founded = is_adopted.then(|| Rc::clone(&found));
                agent.cluster = (!is_adopted || machine.is_expelled()).then_some(found);
            }
            (Some(found), _) if found.membership(machine.node_id()).is_some() => {
                if record.standing != Standing::Attempt {
                    return Err("a record says that a free node belongs to a cluster");
                }
                agent.wants.push(Want::Save(Content::Nothing));
            }
            (_, _) => {}
        }
        if record.standing.is_attempt() && machine.adopted().is_none() {
            let record = encoded(machine, moment.buffer);
            agent.wants.push(Want::Save(Content::Node(record)));
        }
        agent.live(moment);
        let goes_on = agent.machine.resume();
        agent.drive(goes_on, moment);
        Ok(agent)
    }

    fn live(&mut self, moment: &mut Moment<'_>) {
        self.peers = Peers::new(BEAT_MS, SKEW_SECONDS, moment.now_ms);
        self.is_barred = false;
        if self.worker.is_some() {
            self.peers = self.peers.clone().shared();
        }
        self.witness.live(moment.now_ms);
        self.share_copy(moment);
        self.beat(moment);
    }

    /// A caller posts a body.
    pub(super) fn post(&mut self, action: Action, body: &str, moment: &mut Moment<'_>) -> bool {
        let started = self.machine.start(action, body.as_bytes(), moment.time());
        let accepted = started.is_ok();
        self.states.push(self.machine.state());
        if let Ok(effect) = started {
            self.drive(Some(effect), moment);
        }
        accepted
    }

    /// Has an effect done.
    pub(super) fn drive(&mut self, effect: Option<Effect>, moment: &mut Moment<'_>) {
        let Some(effect) = effect else { return self.ended(moment) };
        match effect {
            Effect::Persist => {
                let record = encoded(&mut self.machine, moment.buffer);
                self.wants.push(Want::Save(Content::Node(record)));
            }
            Effect::CheckPaths => self.happened(Event::PathsChecked(found_paths()), moment),
            Effect::VerifyLicense => unreachable!("every cluster here is on trial"),
            Effect::CheckStore => self.errand(Errand::Check, moment),
            Effect::Found => {
                let event = Event::Founded(Ok(self.found(moment)));
                self.happened(event, moment);
            }
            Effect::ReadRecovery => {
                let event = Event::RecoveryRead(self.recover(moment).map_err(|failure| *failure));
                self.happened(event, moment);
            }
            Effect::Adopt => {
                let founded = self.founded.clone().unwrap();
                self.wants.push(Want::Save(Content::Adopted(founded)));
            }
            Effect::Discard => {
                let before = self.cluster.clone().filter(|_| self.machine.home().is_some());
                self.wants.push(Want::Save(before.map_or(Content::Nothing, Content::Restored)));
            }
            Effect::Contact { node } => {
                let to =
                    self.machine.contact(node).unwrap().rsplit(':').next().unwrap().parse::<u16>().unwrap() - 1_000;
                self.contact(to, false, moment);
            }
            Effect::Wait { seconds } => self.wants.push(Want::Wait(u64::from(seconds) * 1_000)),
            Effect::Confirm => self.confirm(moment),
        }
    }

    /// Asks to be admitted at a place.
    pub(super) fn contact(&mut self, to: u16, again: bool, moment: &Moment<'_>) {
        let mut request = self.machine.join_request(&self.facts);
        request.clock_ms = 1_700_000_000_000 + moment.now_ms;
        request.round_trip_ms = 1_000;
        let good = self.machine.config().credentials.password.expose() == b"secret";
        let request = Request::Join(Rc::new(request), good);
        self.wants.push(Want::Send { to, about: About::Contact { again }, after_ms: 0, request });
    }

    fn found(&mut self, moment: &mut Moment<'_>) -> Membership {
        let seed = Seed {
            cluster_id: moment.random.id(),
            epoch_tag: moment.random.id(),
            key: moment.random.key(),
            password: PasswordHash::default(),
            registration: Registration::default(),
        };
        let cluster = self.machine.found(seed, &self.facts, moment.time());
        let membership = cluster.membership(self.machine.node_id()).unwrap();
        self.founded = Some(Rc::new(cluster));
        membership
    }

    fn recover(&mut self, moment: &mut Moment<'_>) -> Result<Membership, Box<Failure>> {
        let mut cluster = read_again(self.recovery.as_ref().unwrap(), moment.buffer);
        let recovery = Recovery { epoch_tag: moment.random.id(), key: moment.random.key() };
        let membership = self.machine.recovered(&mut cluster, &recovery, &self.facts).map_err(Box::new)?;
        self.founded = Some(Rc::from(cluster));
        Ok(membership)
    }

    /// What came of an effect.
    pub(super) fn happened(&mut self, event: Event, moment: &mut Moment<'_>) {
        let next = self.machine.handle(event, &self.facts, moment.time());
        self.states.push(self.machine.state());
        self.drive(next, moment);
    }

    fn ended(&mut self, moment: &mut Moment<'_>) {
        self.confirmations = 0;
        let founded = self.founded.take();
        if let (Some(_), Some(cluster)) = (self.machine.membership(), founded) {
            self.cluster = Some(cluster);
            self.live(moment);
        }
    }
}

fn found_paths() -> PathsFound {
    let id = |inode| Some(Ok(FileId { device: 1, inode }));
    PathsFound { found: [id(1), id(2), None, None], flash: None }
}
