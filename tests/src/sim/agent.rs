//! One agent: what the shell keeps around a machine, in memory.

use std::fmt;
use std::rc::Rc;

use bootstrapd_core::cluster::{Cluster, JoinRequest, Key, PasswordHash, Recovery, Registration, Seed, Stamp};
use bootstrapd_core::config::{Action, Paths};
use bootstrapd_core::failure::{Failure, TriedReason};
use bootstrapd_core::machine::{Confirmed, Effect, Event, FileId, Machine, PathsFound};
use bootstrapd_core::node::NodeInfo;
use bootstrapd_core::peer::{Answer, Ask, Consequence, JoinAnswer, Message, Peers, Word};
use bootstrapd_core::record::{Id, Membership, NodeRecord, Standing, decode};
use bootstrapd_core::status::State;
use bootstrapd_core::time::Timestamp;

use super::disk::{Content, Disk, encoded, read_again};

/// How often members say that they are there.
pub(super) const BEAT_MS: u64 = 5_000;
const SKEW_SECONDS: u64 = 5;

/// What one agent sends another.
#[derive(Clone)]
pub(super) enum Request {
    /// To be admitted; with a proof of the right password or not.
    Join(Rc<JoinRequest>, bool),
    /// A message, sealed with a key, the sender and a number that no agent takes twice.
    Ask { from: Id, key: Key, message: Message, number: u64 },
}

/// What comes back.
#[derive(Clone)]
pub(super) enum Reply {
    /// Nobody here is a member, knows that password or that key.
    Refused(bool),
    /// To a join.
    Join(Box<JoinAnswer>),
    /// The record, to a join or to who asked for it.
    Record(Rc<Cluster>),
    /// To a message.
    Answer(Box<Answer>),
}

/// What an agent wants done.
#[derive(Debug)]
pub(super) enum Want {
    /// Something to be saved, and for whom.
    Save(Content),
    /// A request to a place; what the answer is about.
    Send { to: u16, about: About, after_ms: u64, request: Request },
    /// A look at its own state after a while.
    Wait(u64),
    /// An answer to a call, now.
    Reply(u64, Reply),
}

/// What an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// A contact; the second one where the founder was learnt from the first.
    Contact { again: bool },
    /// A question to a member.
    Ask(Id, Ask),
}

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
    staged: Option<Rc<Cluster>>,
    keeping: Option<Rc<Cluster>>,
    /// Answers that wait for a copy to be durable: the call, the copy, the answer, and the one where the save fails.
    pending: Vec<(u64, Age, Reply, Reply)>,
    answered: Vec<(Id, u64)>,
    confirmations: u32,
    /// What is to be done.
    pub(super) wants: Vec<Want>,
    /// The states that it went through since this was last looked at.
    pub(super) states: Vec<State>,
    /// The last record of another cluster's recovery, for the next attempt.
    pub(super) recovery: Option<Rc<Cluster>>,
}

/// What happens around an agent when it acts.
pub(super) struct Moment<'a> {
    /// Of the clock that never goes back.
    pub(super) now_ms: u64,
    /// Randomness.
    pub(super) random: &'a mut super::Seeded,
    /// Room for a record.
    pub(super) buffer: &'a mut [u8],
}

impl Moment<'_> {
    fn time(&self) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000 + self.now_ms / 1000)
    }
}

/// The number of a node's place, by which others reach it.
pub(super) fn place(endpoint: std::net::SocketAddr) -> u16 {
    endpoint.port() - 1_000
}

impl Agent {
    /// Starts on what is on the disk, as a start of the program does.
    ///
    /// # Errors
    /// Where it would say that it cannot be read.
    pub(super) fn start(facts: &Rc<NodeInfo>, disk: &Disk, moment: &mut Moment<'_>) -> Result<Self, &'static str> {
        let mut machine = Box::<Machine>::default();
        let defaults = Paths::default();
        let mut agent = Self {
            facts: Rc::clone(facts),
            cluster: None,
            founded: None,
            peers: Peers::new(BEAT_MS, SKEW_SECONDS, moment.now_ms),
            staged: None,
            keeping: None,
            pending: Vec::new(),
            answered: Vec::new(),
            confirmations: 0,
            wants: Vec::new(),
            states: Vec::new(),
            recovery: None,
            machine: Box::default(),
        };
        let Some(bytes) = &disk.node else {
            machine.identify(moment.random.id(), &defaults);
            let record = encoded(&mut machine, moment.buffer);
            agent.machine = machine;
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
                if machine.adopted().is_some() { agent.founded = Some(found) } else { agent.cluster = Some(found) }
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
            let record = encoded(&mut machine, moment.buffer);
            agent.wants.push(Want::Save(Content::Node(record)));
        }
        agent.machine = machine;
        agent.live(moment);
        let goes_on = agent.machine.resume();
        agent.drive(goes_on, moment);
        Ok(agent)
    }

    fn live(&mut self, moment: &mut Moment<'_>) {
        self.peers = Peers::new(BEAT_MS, SKEW_SECONDS, moment.now_ms);
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
                let before = self.cluster.clone().filter(|_| self.machine.is_at_home());
                self.wants.push(Want::Save(before.map_or(Content::Nothing, Content::Restored)));
            }
            Effect::Contact { node } => {
                let to =
                    self.machine.contact(node).unwrap().rsplit(':').next().unwrap().parse::<u16>().unwrap() - 1_000;
                self.contact(to, false, moment);
            }
            Effect::Wait { seconds } => self.wants.push(Want::Wait(u64::from(seconds) * 1_000)),
            Effect::Confirm => self.confirm(),
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
        let founded = self.founded.take();
        if let (Some(_), Some(cluster)) = (self.machine.membership(), founded) {
            self.cluster = Some(cluster);
            self.live(moment);
        }
    }

    /// Whether it is a member, with a record.
    pub(super) fn home(&self) -> Option<Rc<Cluster>> {
        self.cluster.clone().filter(|_| self.machine.is_member())
    }

    /// Time for a beat.
    pub(super) fn beat(&mut self, moment: &Moment<'_>) {
        let (now, own) = (moment.now_ms, self.machine.node_id());
        let Some(cluster) = self.home() else { return };
        for node_id in self.peers.beat(&cluster, own, now) {
            self.ask(node_id, Ask::Beat, 0);
        }
        if cluster.is_founder(own) && cluster.has_lapsed(&self.peers.liveness, now) {
            let mut draft = self.draft().unwrap();
            if draft.lapse(&self.peers.liveness, now) {
                self.stage(draft);
            }
        }
    }

    fn ask(&mut self, to: Id, ask: Ask, after_ms: u64) {
        let own = self.machine.node_id();
        let Some(cluster) = self.speaks_by() else { return };
        let Some((member, me)) = cluster.member_of(to).zip(cluster.member_of(own)) else { return };
        let message = Message { ask, stamp: cluster.stamp(), endpoint: None };
        self.question(to, place(member.endpoint), me.key, message, after_ms);
    }

    fn question(&mut self, to: Id, at: u16, key: Key, message: Message, after_ms: u64) {
        let request = Request::Ask { from: self.machine.node_id(), key, message, number: 0 };
        self.wants.push(Want::Send { to: at, about: About::Ask(to, message.ask), after_ms, request });
    }

    fn confirm(&mut self) {
        let after_ms = if self.confirmations == 0 { 0 } else { 1_000 };
        self.confirmations += 1;
        let (own, Some(cluster)) = (self.machine.node_id(), self.founded.clone()) else { return };
        if let Some(to) = self.peers.confirmation(&cluster, own) {
            self.ask(to, Ask::Confirm, after_ms);
        }
    }

    /// What a question came to; nothing where there was no answer that could be trusted.
    pub(super) fn told(&mut self, by: Id, ask: Ask, reply: Option<Reply>, moment: &mut Moment<'_>) {
        let own = self.machine.node_id();
        match (reply, self.home()) {
            (reply, None) if ask == Ask::Confirm => self.told_of_confirmation(by, reply, moment),
            (Some(Reply::Answer(answer)), Some(cluster)) => {
                let consequence = self.peers.answered(&cluster, own, by, &answer, moment.now_ms);
                self.conclude(consequence, by, moment);
            }
            (Some(Reply::Record(newer)), _) => {
                let Some(newest) = self.newest() else { return };
                match Peers::follow(&newest, own, &newer) {
                    Consequence::Changed => self.stage((*newer).clone()),
                    other @ (Consequence::Nothing
                    | Consequence::Follow
                    | Consequence::Invite
                    | Consequence::Superseded
                    | Consequence::Expelled) => self.conclude(other, own, moment),
                }
            }
            _ => {}
        }
    }

    fn told_of_confirmation(&mut self, by: Id, reply: Option<Reply>, moment: &mut Moment<'_>) {
        let Some(cluster) = self.speaks_by() else { return };
        let confirmed = match &reply {
            Some(Reply::Answer(answer)) => Peers::confirmed(&cluster, by, answer),
            _ => Confirmed::Unanswered,
        };
        if matches!(reply, Some(Reply::Answer(answer)) if Peers::is_overtaken(&cluster, &answer)) {
            self.ask(by, Ask::Record, 0);
        }
        if confirmed != Confirmed::Unanswered {
            self.confirmations = 0;
        }
        self.happened(Event::Confirmed(confirmed), moment);
    }

    /// The record that it speaks by: that of its cluster, or that of the one that has admitted it.
    fn speaks_by(&self) -> Option<Rc<Cluster>> {
        if self.machine.is_member() {
            self.cluster.clone()
        } else {
            self.founded.clone().filter(|_| self.machine.adopted().is_some())
        }
    }

    /// The same, or a newer one that is not durable yet.
    fn newest(&self) -> Option<Rc<Cluster>> {
        self.speaks_by().map(|durable| self.staged.clone().unwrap_or(durable))
    }

    fn conclude(&mut self, consequence: Consequence, other: Id, moment: &mut Moment<'_>) {
        match consequence {
            Consequence::Nothing | Consequence::Changed => {}
            Consequence::Follow => self.ask(other, Ask::Record, 0),
            Consequence::Invite => self.invite(other),
            Consequence::Superseded | Consequence::Expelled => {
                if let Some(effect) = self.machine.expel("sent away", moment.time()) {
                    self.staged = None;
                    self.drive(Some(effect), moment);
                    self.peers = Peers::new(BEAT_MS, SKEW_SECONDS, moment.now_ms);
                }
            }
        }
    }

    fn invite(&mut self, to: Id) {
        let own = self.machine.node_id();
        let Some(cluster) = self.cluster.clone() else { return };
        let Some((member, me)) = cluster.member_of(to).zip(cluster.member_of(own)) else { return };
        let message = Message { ask: Ask::Follow, stamp: cluster.stamp(), endpoint: Some(me.endpoint) };
        self.question(to, place(member.endpoint), member.key, message, 0);
    }

    fn draft(&self) -> Option<Cluster> {
        self.staged.as_ref().or(self.cluster.as_ref()).map(|newest| (**newest).clone())
    }

    fn stage(&mut self, draft: Cluster) {
        self.staged = Some(Rc::new(draft));
        self.keep();
    }

    fn keep(&mut self) {
        if let (None, Some(staged)) = (&self.keeping, &self.staged) {
            self.keeping = Some(Rc::clone(staged));
            self.wants.push(Want::Save(Content::Newer(Rc::clone(staged))));
        }
    }

    /// The record that was being saved is durable, or is not.
    pub(super) fn kept(&mut self, good: bool) {
        let keeping = self.keeping.take();
        if !good {
            self.staged = None;
        } else if let Some(kept) = keeping {
            if self.staged.as_ref().is_some_and(|staged| staged.stamp() == kept.stamp()) {
                self.staged = None;
            }
            *(if self.machine.is_member() { &mut self.cluster } else { &mut self.founded }) = Some(kept);
        }
        let durable = self.cluster.as_ref().map_or_else(Age::default, |cluster| age(cluster));
        let (ready, rest) =
            std::mem::take(&mut self.pending).into_iter().partition(|pending| !good || pending.1 <= durable);
        self.pending = rest;
        let ready: Vec<(u64, Age, Reply, Reply)> = ready;
        for (call, _, reply, otherwise) in ready {
            self.wants.push(Want::Reply(call, if good { reply } else { otherwise }));
        }
        self.keep();
    }

    /// A request of another agent.
    pub(super) fn asked(&mut self, call: u64, request: &Request, moment: &mut Moment<'_>) {
        let reply = match (request, self.home()) {
            (_, None) => Some(Reply::Refused(false)),
            (Request::Join(_, false), Some(_)) => Some(Reply::Refused(true)),
            (Request::Join(request, true), Some(_)) => self.join(call, request, moment),
            (Request::Ask { from, key, message, number }, Some(cluster)) => {
                self.message(call, (*from, *key, *number), message, &cluster, moment)
            }
        };
        if let Some(reply) = reply {
            self.wants.push(Want::Reply(call, reply));
        }
    }

    fn join(&mut self, call: u64, request: &JoinRequest, moment: &mut Moment<'_>) -> Option<Reply> {
        let own = self.machine.node_id();
        let mut draft = self.draft()?;
        let key = moment.random.key();
        let clocks = (moment.now_ms, 1_700_000_000_000 + moment.now_ms);
        match self.peers.join(&mut draft, own, (request, key), clocks) {
            Ok(_) => {
                let not_now = JoinAnswer::NotNow(TriedReason::NotReady);
                let record = Rc::new(draft.clone());
                self.pending.push((call, age(&draft), Reply::Record(record), Reply::Join(Box::new(not_now))));
                self.stage(draft);
                None
            }
            Err(answer) => Some(Reply::Join(Box::new(answer))),
        }
    }

    fn message(
        &mut self,
        call: u64,
        (from, key, number): (Id, Key, u64),
        message: &Message,
        durable: &Rc<Cluster>,
        moment: &mut Moment<'_>,
    ) -> Option<Reply> {
        let own = self.machine.node_id();
        let newest = self.staged.clone().unwrap_or_else(|| Rc::clone(durable));
        let present = newest.member_of(from);
        let by_present = present.is_some_and(|member| member.key == key);
        let by_retired = newest.retired.iter().any(|node| node.node_id == from && node.key == key);
        let by_own = newest.keys_of(own).any(|own| own == key);
        // A node that is not known at all tries the key that all nodes of a cluster have ever had.
        let by_common = present.is_none() && !by_own;
        if !(by_present || by_retired || by_common || by_own) {
            return Some(Reply::Refused(true));
        }
        if by_present || by_own {
            match self.answered.iter_mut().find(|(known, _)| *known == from) {
                Some((_, last)) if number <= *last => return Some(Reply::Refused(true)),
                Some((_, last)) => *last = number,
                None => self.answered.push((from, number)),
            }
        }
        if !by_present && !by_retired && by_own {
            if message.ask != Ask::Follow {
                return Some(Reply::Refused(true));
            }
            let consequence = Peers::invited(durable, own, &message.stamp);
            match (consequence, message.endpoint) {
                (Consequence::Follow, Some(endpoint)) => {
                    let ask = Message { ask: Ask::Record, stamp: durable.stamp(), endpoint: None };
                    self.question(from, place(endpoint), key, ask, 0);
                }
                (other, _) => self.conclude(other, from, moment),
            }
            return Some(Reply::Answer(Box::new(Answer { stamp: durable.stamp(), ..Answer::default() })));
        }
        if message.ask == Ask::Follow {
            return Some(Reply::Refused(true));
        }
        self.heard(call, (from, by_present), message, (&newest, durable), moment)
    }

    fn heard(
        &mut self,
        call: u64,
        sender: (Id, bool),
        message: &Message,
        (newest, durable): (&Rc<Cluster>, &Rc<Cluster>),
        moment: &mut Moment<'_>,
    ) -> Option<Reply> {
        let own = self.machine.node_id();
        let mut draft = (**newest).clone();
        let (answer, consequence) = self.peers.hear(&mut draft, own, sender, message, moment.now_ms);
        let copy = age(&draft);
        let gets = message.ask == Ask::Record && matches!(answer.word, Word::Done | Word::Outdated);
        let reply = if gets { Reply::Record(Rc::clone(durable)) } else { Reply::Answer(Box::new(answer.clone())) };
        if consequence == Consequence::Changed {
            self.stage(draft);
        } else {
            self.conclude(consequence, sender.0, moment);
        }
        if copy > age(durable) && !gets {
            let mut otherwise = answer;
            otherwise.word = Word::Elsewhere;
            otherwise.stamp = durable.stamp();
            self.pending.push((call, copy, reply, Reply::Answer(Box::new(otherwise))));
            return None;
        }
        Some(reply)
    }
}

/// An epoch and a revision.
type Age = (u32, u64);

fn age(cluster: &Cluster) -> Age {
    (cluster.epoch, cluster.revision)
}

fn found_paths() -> PathsFound {
    let id = |inode| Some(Ok(FileId { device: 1, inode }));
    PathsFound { found: [id(1), id(2), None, None], flash: None }
}

fn short(id: Id) -> u8 {
    id.0[0]
}

/// A copy of a record, in few words.
pub(super) fn brief(stamp: &Stamp) -> String {
    format!("{}.{}/{}", stamp.epoch, short(stamp.epoch_tag), stamp.revision)
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Join(request, good) => {
                write!(f, "join of {} as {:?}, password {good}", short(request.member.node_id), request.uid)
            }
            Self::Ask { from, message, number, .. } => {
                write!(f, "{:?} of {} number {number} at {}", message.ask, short(*from), brief(&message.stamp))
            }
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(known) => write!(f, "refused {known}"),
            Self::Join(answer) => match &**answer {
                JoinAnswer::Refused(failure) => {
                    write!(f, "not admitted: {}, {}", failure.cause.code(), failure.message)
                }
                JoinAnswer::Founder(_) | JoinAnswer::Welcome | JoinAnswer::NotNow(_) => write!(f, "{answer:?}"),
            },
            Self::Record(cluster) => write!(f, "record {}", brief(&cluster.stamp())),
            Self::Answer(answer) => write!(f, "{:?} at {}, down {:?}", answer.word, brief(&answer.stamp), answer.down),
        }
    }
}
