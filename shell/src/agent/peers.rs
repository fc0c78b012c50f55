//! The cluster's other nodes: what they ask of this one and are answered, and what this one makes of their answers.
//! Only a founder changes the record, and nobody hears of a change before it is durable.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use blake2::digest::consts::U16;
use blake2::digest::{FixedOutput as _, KeyInit as _, Update as _};
use bootstrapd_core::cluster::{Cluster, JoinRequest, Key, Member};
use bootstrapd_core::failure::TriedReason;
use bootstrapd_core::fields::Fields;
use bootstrapd_core::limits::PEER_MESSAGE_BYTES_MAX;
use bootstrapd_core::machine::{Confirmed, Event, PathRole};
use bootstrapd_core::peer::{self, Ask, Consequence, JoinAnswer, Message, Peers};
use bootstrapd_core::record::Id;
use bootstrapd_core::write::Writer;

use super::{Agent, News, Reply, Step};
use crate::exchange::MEDIA_TYPE;
use crate::http::Answer;
use crate::opaque::{self, KE1_BYTES, KE3_BYTES, SessionKey};
use crate::peer::{ASK, CERTIFICATE, CHALLENGE_BYTES, Errand, FINISH, ID_BYTES, PROTOCOL, Question, Told};
use crate::perform::{Job, Who, Work, record_path};
use crate::seal::{self, Direction};
use crate::{log, node, secret, store};

mod proofs;

use proofs::Proofs;

/// A challenge is good for so long, in milliseconds.
const CHALLENGE_MS: u64 = 10_000;
/// The age of a copy that is never durable: an answer that waits for something else.
pub(super) const NEVER: (u32, u64) = (u32::MAX, u64::MAX);
/// Pause between two confirmations that nobody answered.
const AGAIN: Duration = Duration::from_secs(1);

/// How this node lives with others.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// How often members say that they are there.
    pub beat: Duration,
    /// How far clocks may be apart.
    pub max_skew_seconds: u64,
    /// Whether other machines may be asked in plain HTTP.
    pub allow_plaintext: bool,
    /// Whether the cluster's record is in a store that all members share.
    pub is_shared: bool,
}

/// What an agent keeps of other nodes, in memory.
pub(super) struct Others {
    pub(super) habits: Habits,
    pub(super) peers: Peers,
    /// A record with changes that are not durable yet.
    staged: Option<Box<Cluster>>,
    /// The one that is being made durable.
    keeping: Option<Box<Cluster>>,
    /// Answers that wait for a copy to be durable.
    pub(super) pending: Vec<Pending>,
    pendings: u32,
    pub(super) proofs: Proofs,
    challenge_key: [u8; 64],
    challenges: u64,
    /// The last challenge that each node has answered: none counts twice.
    answered: Vec<(Id, u64)>,
    /// How often this attempt has asked to be known as a member.
    confirmations: u32,
    /// Checks that wait for what the worker finds: the answer's number, and the only node that it is about.
    #[cfg(feature = "management")]
    pub(super) checks: Vec<(u32, Option<u32>)>,
    /// How many of them, from the first one on, the worker is at.
    #[cfg(feature = "management")]
    pub(super) checks_running: usize,
    /// What is wrong with the store that all members share.
    #[cfg(feature = "management")]
    pub(super) store_trouble: Option<&'static str>,
}

/// An answer that is ready, but must not be given before a copy is durable.
pub(super) struct Pending {
    pub(super) number: u32,
    /// Of the copy that has to be durable first: see [`Cluster::age`].
    pub(super) age: (u32, u64),
    pub(super) form: Form,
    pub(super) text: Vec<u8>,
    /// What is said instead where the record could not be kept.
    pub(super) otherwise: Vec<u8>,
}

/// What an answer goes out as.
pub(super) enum Form {
    /// A message to another node.
    Sealed(Sealing),
    /// An answer to a client, with this status where all is well and 503 where not.
    #[cfg(feature = "management")]
    Plain(u16),
}

/// How an answer is sealed.
pub(super) struct Sealing {
    key: Key,
    path: &'static str,
    context: Vec<u8>,
}

impl Habits {
    fn peers(&self, now: u64) -> Peers {
        let peers = Peers::new(millis(self.beat), self.max_skew_seconds, now);
        if self.is_shared { peers.shared() } else { peers }
    }
}

impl Others {
    pub(super) fn new(habits: Habits, now: u64) -> io::Result<Self> {
        Ok(Self {
            habits,
            peers: habits.peers(now),
            staged: None,
            keeping: None,
            pending: Vec::new(),
            pendings: 0,
            proofs: Proofs::default(),
            challenge_key: secret::random()?,
            challenges: 0,
            answered: Vec::new(),
            confirmations: 0,
            #[cfg(feature = "management")]
            checks: Vec::new(),
            #[cfg(feature = "management")]
            checks_running: 0,
            #[cfg(feature = "management")]
            store_trouble: None,
        })
    }

    /// The answer with this number, where it still waits.
    pub(super) fn waits(&mut self, number: u32) -> Option<&mut Pending> {
        self.pending.iter_mut().find(|pending| pending.number == number)
    }

    /// A challenge: a number that grows, and this process's signature under it.
    fn challenge(&mut self, now: u64) -> [u8; CHALLENGE_BYTES] {
        // Several in one millisecond are told apart.
        self.challenges = self.challenges.wrapping_add(1).max(now << 16);
        let mut challenge = [0; CHALLENGE_BYTES];
        let (number, mac) = challenge.split_at_mut(8);
        number.copy_from_slice(&self.challenges.to_be_bytes());
        mac.copy_from_slice(&self.sign(self.challenges));
        challenge
    }

    fn sign(&self, challenge: u64) -> [u8; 16] {
        let mut mac = blake2::Blake2bMac::<U16>::new(&self.challenge_key.into());
        mac.update(&challenge.to_be_bytes());
        mac.finalize_fixed().into()
    }

    /// The number of a challenge that is ours and fresh.
    fn read_challenge(&self, challenge: &[u8], now: u64) -> Option<u64> {
        let (number, mac) = challenge.split_first_chunk::<8>()?;
        let number = u64::from_be_bytes(*number);
        let fresh = now.saturating_sub(number >> 16) <= CHALLENGE_MS;
        // It is no secret, and only whoever knows a key can do anything with it: how long this takes may be seen.
        (fresh && mac == self.sign(number)).then_some(number)
    }

    /// Whether `from` has not answered this challenge before, nor a later one.
    fn is_first(&mut self, from: Id, challenge: u64) -> bool {
        match self.answered.iter_mut().find(|(known, _)| *known == from) {
            Some((_, last)) if challenge <= *last => false,
            Some((_, last)) => {
                *last = challenge;
                true
            }
            None => {
                self.answered.push((from, challenge));
                true
            }
        }
    }
}

impl Agent {
    /// Begins or ends to live with the other nodes of a cluster, as the node's state asks for.
    pub(super) fn live_with_others(&mut self) {
        let beat = self.others.habits.beat;
        self.others.peers = self.others.habits.peers(self.clock.uptime_ms);
        let others = self.machine.is_member() && self.cluster.is_some();
        self.share_copy();
        self.threads.errands.push(Errand::Tick(if others { beat } else { Duration::MAX }));
        if others {
            self.beat();
        }
    }

    /// Forgets proofs of a password that nobody goes on with.
    pub(super) fn expire_proofs(&mut self) {
        self.others.proofs.expire(self.clock.uptime_ms);
    }

    /// Time for a beat.
    pub(super) fn beat(&mut self) {
        let (now, own) = (self.clock.uptime_ms, self.machine.node_id());
        self.expire_proofs();
        let Some(cluster) = self.cluster.as_deref().filter(|_| self.machine.is_member()) else { return };
        let asked = self.others.peers.beat(cluster, own, now);
        let lapsed = !self.others.habits.is_shared
            && cluster.is_founder(own)
            && cluster.has_lapsed(&self.others.peers.liveness, now);
        for node_id in asked {
            self.ask(node_id, Ask::Beat, Duration::ZERO);
        }
        if lapsed {
            let mut draft = self.draft();
            if draft.as_mut().is_some_and(|draft| draft.lapse(&self.others.peers.liveness, now)) {
                self.stage(draft);
            }
        }
    }

    /// Asks a member something; the answer comes as [`Agent::told`].
    fn ask(&mut self, to: Id, ask: Ask, after: Duration) {
        let own = self.machine.node_id();
        let Some(cluster) = self.speaks_by() else { return };
        let Some((member, me)) = cluster.member_of(to).zip(cluster.member_of(own)) else { return };
        let keys = vec![me.key, seal::common_key(cluster)];
        let message = Message { ask, stamp: cluster.stamp(), endpoint: None };
        self.question(to, member.endpoint, keys, &message, after);
    }

    /// Invites a member to follow this founder, by what only those know who have a record with that member in it.
    fn invite(&self, to: Id) {
        let own = self.machine.node_id();
        let Some(cluster) = self.cluster.as_deref() else { return };
        let Some((member, me)) = cluster.member_of(to).zip(cluster.member_of(own)) else { return };
        let message = Message { ask: Ask::Follow, stamp: cluster.stamp(), endpoint: Some(me.endpoint) };
        self.question(to, member.endpoint, vec![member.key], &message, Duration::ZERO);
    }

    fn question(&self, to: Id, endpoint: SocketAddr, keys: Vec<Key>, message: &Message, after: Duration) {
        let (from, ask, text) = (self.machine.node_id(), message.ask, write(|writer| message.write(writer)));
        let allow_plaintext = self.others.habits.allow_plaintext;
        self.threads.errands.push(Errand::Ask(Box::new(Question {
            after,
            to,
            endpoint,
            allow_plaintext,
            from,
            keys,
            ask,
            text,
        })));
    }

    /// The record that this node speaks by: that of its cluster, or of the one that has admitted it.
    fn speaks_by(&self) -> Option<&Cluster> {
        let admitted = || self.founded.as_deref().filter(|_| self.machine.adopted().is_some());
        if self.machine.is_member() { self.cluster.as_deref() } else { admitted() }
    }

    /// Asks to be known as a member.
    pub(super) fn confirm(&mut self) {
        let own = self.machine.node_id();
        let after = if self.others.confirmations == 0 { Duration::ZERO } else { AGAIN };
        self.others.confirmations = self.others.confirmations.wrapping_add(1);
        let Some(cluster) = self.founded.as_deref() else { return };
        if self.others.habits.is_shared {
            return self.threads.errands.push(Errand::Confirm(own, Box::new(cluster.clone()), after));
        }
        if let Some(to) = self.others.peers.confirmation(cluster, own) {
            self.ask(to, Ask::Confirm, after);
        }
    }

    /// What a member said to a question.
    pub(super) fn told(&mut self, by: Id, ask: Ask, told: Told) {
        if ask == Ask::Confirm && self.machine.adopted().is_some() {
            return self.told_of_confirmation(by, &told);
        }
        match told {
            Told::Record(newer) => self.follow(newer),
            Told::Answer(answer) => {
                let Some(cluster) = self.cluster.as_deref().filter(|_| self.machine.is_member()) else { return };
                let own = self.machine.node_id();
                let consequence = self.others.peers.answered(cluster, own, by, &answer, self.clock.uptime_ms);
                self.conclude(consequence, by);
            }
            Told::Nothing => {}
        }
    }

    fn told_of_confirmation(&mut self, by: Id, told: &Told) {
        let (confirmed, overtaken) = match (told, self.founded.as_deref()) {
            (Told::Answer(answer), Some(cluster)) => {
                (Peers::confirmed(cluster, by, answer), Peers::is_overtaken(cluster, answer))
            }
            (Told::Answer(_) | Told::Record(_) | Told::Nothing, _) => (Confirmed::Unanswered, false),
        };
        if overtaken {
            self.ask(by, Ask::Record, Duration::ZERO);
        }
        self.confirmed(confirmed);
    }

    /// What came of a confirmation.
    pub(super) fn confirmed(&mut self, confirmed: Confirmed) {
        if confirmed != Confirmed::Unanswered {
            self.others.confirmations = 0;
        }
        let next = self.handle(Who::Attempt, Event::Confirmed(confirmed));
        self.drive(Who::Attempt, next);
    }

    /// Acts on what a message or an answer leads to.
    fn conclude(&mut self, consequence: Consequence, other: Id) {
        match consequence {
            Consequence::Nothing | Consequence::Changed => {}
            Consequence::Follow => self.ask(other, Ask::Record, Duration::ZERO),
            Consequence::Invite => self.invite(other),
            Consequence::Superseded => {
                self.expel(
                    "this node founded an epoch of its cluster that is over: the cluster was recovered elsewhere",
                );
            }
            Consequence::Expelled => {
                self.expel("the cluster does not know this node any more: it was replaced, or the cluster was recovered without it");
            }
        }
    }

    pub(super) fn expel(&mut self, why: &str) {
        let next = self.machine.expel(why, self.clock.now);
        if next.is_some() {
            log::warn("sent away by the cluster", &[("reason", &why)]);
            self.others.staged = None;
            // What they wait for will not be: nor may they be taken for answers by the record of another cluster.
            self.news.extend(self.others.pending.iter().map(|pending| News::Kept(pending.number, false)));
            self.drive(Who::Attempt, next);
            self.live_with_others();
        }
    }

    /// Takes a newer record, if it is one of this cluster and knows this node.
    fn follow(&mut self, newer: Box<Cluster>) {
        let own = self.machine.node_id();
        let Some(cluster) = self.speaks_by() else { return };
        // One that is being saved may be newer still.
        let newest = self.others.staged.as_deref().unwrap_or(cluster);
        match Peers::follow(newest, own, &newer) {
            Consequence::Changed => self.stage(Some(newer)),
            other @ (Consequence::Nothing
            | Consequence::Follow
            | Consequence::Invite
            | Consequence::Superseded
            | Consequence::Expelled) => self.conclude(other, own),
        }
    }

    /// The newest record, durable or not.
    pub(super) fn newest(&self) -> Option<&Cluster> {
        self.others.staged.as_deref().or(self.cluster.as_deref())
    }

    /// The same, to be changed.
    pub(super) fn draft(&self) -> Option<Box<Cluster>> {
        self.others.staged.as_ref().or(self.cluster.as_ref()).cloned()
    }

    /// Makes a changed record the newest, and durable as soon as may be: changes that come meanwhile share the next save.
    pub(super) fn stage(&mut self, draft: Option<Box<Cluster>>) {
        self.others.staged = draft;
        self.keep();
    }

    fn keep(&mut self) {
        if self.others.keeping.is_some() {
            return;
        }
        let Some(staged) = &self.others.staged else { return };
        let pair = record_path(self.machine.path(PathRole::Ccs));
        if let Some(bytes) = store::encode(staged) {
            self.others.keeping = Some(staged.clone());
            self.threads.jobs.push(Job::Work(Who::Record, Work::Save(pair, bytes)));
        } else {
            self.kept(&Err(io::Error::other("the record is too long")));
        }
    }

    /// The record that was being saved is durable, or is not.
    pub(super) fn kept(&mut self, result: &io::Result<()>) {
        let keeping = self.others.keeping.take();
        if let Err(error) = result {
            log::warn("the cluster's record could not be saved", &[("error", error)]);
            self.others.staged = None;
            self.share_copy();
        } else if let Some(kept) = keeping {
            log::info("the cluster's record has changed", &[("epoch", &kept.epoch), ("revision", &kept.revision)]);
            if self.others.staged.as_ref().is_some_and(|staged| staged.stamp() == kept.stamp()) {
                self.others.staged = None;
            }
            *(if self.machine.is_member() { &mut self.cluster } else { &mut self.founded }) = Some(kept);
        }
        let durable = self.cluster.as_deref().map(Cluster::age);
        let failed = result.is_err();
        let waits = |pending: &&Pending| pending.age != NEVER && (failed || Some(pending.age) <= durable);
        let news = self.others.pending.iter().filter(waits);
        self.news.extend(news.map(|pending| News::Kept(pending.number, !failed)));
        self.keep();
    }

    /// The members that are down, as far as this node knows.
    pub(super) fn is_down<'a>(&'a self, cluster: &'a Cluster) -> impl Fn(&Member) -> bool + 'a {
        let down = self.others.peers.down(cluster, self.machine.node_id(), self.clock.uptime_ms);
        move |member| down.contains(&member.uid)
    }

    // What others ask of this node.

    /// Answers with a fresh challenge.
    pub(super) fn challenge(&mut self, reply: &mut Reply<'_>) -> Step {
        let challenge = self.others.challenge(self.clock.uptime_ms);
        self.bytes(&challenge, reply)
    }

    fn bytes(&self, bytes: &[u8], reply: &mut Reply<'_>) -> Step {
        self.send(&Answer { status: 200, media_type: MEDIA_TYPE, body: bytes, ..Answer::default() }, reply)
    }

    /// The first message of a proof.
    pub(super) fn start_proof(&mut self, body: &[u8], source: IpAddr, reply: &mut Reply<'_>) -> Step {
        let now = self.clock.uptime_ms;
        let Some(cluster) = self.cluster.as_deref() else { return self.nothing(reply) };
        let parts = body.split_first().and_then(|(version, rest)| Some((version, rest.split_at_checked(KE1_BYTES)?)));
        let Some((&PROTOCOL, (ke1, name))) = parts else {
            return self.error(400, "bad_message", "the message is malformed or of another version", reply);
        };
        if !self.others.proofs.may_start(source, now) {
            return self.busy("too many proofs of a password, try again", reply);
        }
        let known = std::str::from_utf8(name).is_ok_and(|name| cluster.is_administrator(name));
        let started = secret::random::<ID_BYTES>()
            .and_then(|id| Ok((id, opaque::Member::start(&cluster.registration, known, name, ke1)?)));
        let Ok((id, (member, ke2))) = started else {
            return self.error(400, "bad_message", "the message is malformed", reply);
        };
        let cost = u8::from(cluster.password.cost == bootstrapd_core::cluster::HashCost::Small);
        let number = self.others.proofs.add(id, member, source, now);
        self.bytes(&[&id[..], &[cost], &ke2].concat(), reply);
        Step::Proving(number)
    }

    /// The connection of a proof has ended: one that is unfinished has failed.
    pub fn leave_proof(&mut self, number: u32) {
        self.others.proofs.leave(number, self.clock.uptime_ms);
    }

    /// The last message of a proof, and what its sender wants.
    pub(super) fn finish_proof(&mut self, body: &[u8], reply: &mut Reply<'_>) -> Step {
        let now = self.clock.uptime_ms;
        let parts = body.split_first_chunk::<ID_BYTES>();
        let Some((id, (ke3, sealed))) = parts.and_then(|(id, rest)| Some((id, rest.split_at_checked(KE3_BYTES)?)))
        else {
            return self.error(400, "bad_message", "the message is malformed", reply);
        };
        let Some(key) = self.others.proofs.finish(id, ke3, now) else {
            return self.denied("the password was not proved", reply);
        };
        self.requested(Sealing { key: Key(*key), path: FINISH, context: id.to_vec() }, sealed, reply)
    }

    /// What a joiner wants that has shown a certificate instead.
    pub(super) fn admit_guest(&mut self, body: &[u8], guest: Option<&SessionKey>, reply: &mut Reply<'_>) -> Step {
        let Some(key) = guest else {
            return self.denied("this takes TLS 1.3 and a client certificate that --client-ca vouches for", reply);
        };
        let Some((id, sealed)) = body.split_first_chunk::<ID_BYTES>() else {
            return self.error(400, "bad_message", "the message is malformed", reply);
        };
        self.requested(Sealing { key: Key(**key), path: CERTIFICATE, context: id.to_vec() }, sealed, reply)
    }

    fn denied(&mut self, why: &str, reply: &mut Reply<'_>) -> Step {
        self.error(403, "access_denied", why, reply)
    }

    /// A sealed request to be admitted.
    fn requested(&mut self, sealing: Sealing, sealed: &[u8], reply: &mut Reply<'_>) -> Step {
        let mut request = JoinRequest::default();
        let opened = seal::open(&sealing.key, sealing.path, Direction::Request, &sealing.context, sealed);
        let read = opened.as_deref().and_then(|text| {
            let mut fields = Fields::new(text).ok()?;
            request.read(&mut fields);
            fields.finish().ok()
        });
        if read.is_none() {
            return self.denied("the request does not open", reply);
        }
        self.join(&request, sealing, reply)
    }

    fn join(&mut self, request: &JoinRequest, sealing: Sealing, reply: &mut Reply<'_>) -> Step {
        let own = self.machine.node_id();
        let not_ready = write_join(&JoinAnswer::NotNow(TriedReason::NotReady));
        if self.others.habits.is_shared {
            return self.join_shared(request, sealing, not_ready, reply);
        }
        let (Some(mut draft), Ok(key)) = (self.draft(), secret::random()) else {
            return self.sealed(&sealing, &not_ready, reply);
        };
        let clocks = (self.clock.uptime_ms, node::clock_ms());
        match self.others.peers.join(&mut draft, own, (request, Key(key)), clocks) {
            Ok(admitted) => {
                let addr = request.member.endpoint;
                log::info("a node is admitted", &[("uid", &admitted.uid), ("endpoint", &addr)]);
                let age = draft.age();
                let Some(text) = store::encode(&draft) else { return self.sealed(&sealing, &not_ready, reply) };
                let step =
                    self.pend(Pending { number: 0, age, form: Form::Sealed(sealing), text, otherwise: not_ready });
                self.stage(Some(draft));
                step
            }
            Err(answer) => {
                if let JoinAnswer::Refused(failure) = &answer {
                    let code = failure.cause.code();
                    log::info("a node is not admitted", &[("error_code", &code), ("message", &failure.message)]);
                }
                self.sealed(&sealing, &write_join(&answer), reply)
            }
        }
    }

    /// A sealed message of a member.
    pub(super) fn asked(&mut self, body: &[u8], reply: &mut Reply<'_>) -> Step {
        let (now, own) = (self.clock.uptime_ms, self.machine.node_id());
        if self.others.habits.is_shared {
            // Members meet in the store.
            return self.nothing(reply);
        }
        let Some(asked) = self.open(body) else {
            return self.error(403, "access_denied", "nobody here knows that key", reply);
        };
        let Opened { from, sender, sealing, message } = asked;
        if sender == Sender::Founder {
            return self.invited(from, &message, &sealing, reply);
        }
        let is_known = sender == Sender::Member;
        let Some(mut draft) = self.draft() else { return self.nothing(reply) };
        let (answer, consequence) = self.others.peers.hear(&mut draft, own, (from, is_known), &message, now);
        let age = draft.age();
        let gets = answer.gives_way_to_record(message.ask);
        let record = self.cluster.as_deref().filter(|_| gets).and_then(store::encode);
        let text = record.unwrap_or_else(|| write(|writer| answer.write(writer)));
        let step = match self.cluster.as_deref() {
            Some(durable) if age > durable.age() && !gets => {
                let kept_not = answer.kept_not(durable);
                let otherwise = write(|writer| kept_not.write(writer));
                self.pend(Pending { number: 0, age, form: Form::Sealed(sealing), text, otherwise })
            }
            Some(_) | None => self.sealed(&sealing, &text, reply),
        };
        // Last: it may be the end of what the answer waits for.
        if consequence == Consequence::Changed {
            log::info("a member's standing has changed", &[("node_id", &from)]);
            self.stage(Some(draft));
        } else {
            self.conclude(consequence, from);
        }
        step
    }

    fn open(&mut self, body: &[u8]) -> Option<Opened> {
        let cluster = self.others.staged.as_deref().or(self.cluster.as_deref())?;
        let (context, sealed) = body.split_at_checked(ID_BYTES.saturating_add(CHALLENGE_BYTES))?;
        let (from, challenge) = context.split_first_chunk::<ID_BYTES>()?;
        let from = Id(*from);
        let number = self.others.read_challenge(challenge, self.clock.uptime_ms)?;
        let present = cluster.member_of(from).map(|member| (member.key, Sender::Member));
        let retired =
            cluster.retired.iter().filter(|node| node.node_id == from).map(|node| (node.key, Sender::Stranger));
        // Who intercepts a member's question must not make it one of a stranger: members have but their own key.
        let common = present.is_none().then(|| (seal::common_key(cluster), Sender::Stranger));
        // Who was founded apart may know this node by a key that it had before.
        let own = cluster.keys_of(self.machine.node_id()).map(|key| (key, Sender::Founder));
        let (key, sender, text) =
            present.into_iter().chain(retired).chain(common).chain(own).find_map(|(key, sender)| {
                Some((key, sender, seal::open(&key, ASK, Direction::Request, context, sealed)?))
            })?;
        let mut message = Message::default();
        let mut fields = Fields::new(&text).ok()?;
        message.read(&mut fields);
        fields.finish().ok()?;
        let sealing = Sealing { key, path: ASK, context: context.to_vec() };
        // What a stranger says moves nothing, so it may say it twice.
        let counts = sender == Sender::Stranger || self.others.is_first(from, number);
        (counts && (sender == Sender::Founder) == (message.ask == Ask::Follow)).then_some(Opened {
            from,
            sender,
            sealing,
            message,
        })
    }

    /// An invitation of the founder of a later epoch: its record is asked for with the key that is in both.
    fn invited(&mut self, from: Id, message: &Message, sealing: &Sealing, reply: &mut Reply<'_>) -> Step {
        let own = self.machine.node_id();
        let Some(cluster) = self.cluster.as_deref() else { return self.nothing(reply) };
        let consequence = Peers::invited(cluster, own, &message.stamp);
        let answer = peer::Answer { stamp: cluster.stamp(), ..peer::Answer::default() };
        match (consequence, message.endpoint) {
            (Consequence::Follow, Some(endpoint)) => {
                let ask = Message { ask: Ask::Record, stamp: cluster.stamp(), endpoint: None };
                self.question(from, endpoint, vec![sealing.key], &ask, Duration::ZERO);
            }
            (other, _) => self.conclude(other, from),
        }
        self.sealed(sealing, &write(|writer| answer.write(writer)), reply)
    }

    pub(super) fn pend(&mut self, pending: Pending) -> Step {
        self.others.pendings = self.others.pendings.wrapping_add(1);
        let number = self.others.pendings;
        self.others.pending.push(Pending { number, ..pending });
        Step::Keeping(number)
    }

    /// Gives an answer that waited for the record to be durable.
    pub fn record_kept(&mut self, number: u32, good: bool, reply: &mut Reply<'_>) -> Step {
        let Some(index) = self.others.pending.iter().position(|pending| pending.number == number) else {
            return self.nothing(reply);
        };
        let Pending { form, text, otherwise, .. } = self.others.pending.remove(index);
        let text = if good { &text } else { &otherwise };
        match form {
            Form::Sealed(sealing) => self.sealed(&sealing, text, reply),
            #[cfg(feature = "management")]
            Form::Plain(status) => self.plain(if good { status } else { 503 }, text, reply),
        }
    }

    /// Forgets an answer that nobody waits for any more.
    pub fn forget(&mut self, number: u32) {
        self.others.pending.retain(|pending| pending.number != number);
    }

    pub(super) fn sealed(&mut self, sealing: &Sealing, text: &[u8], reply: &mut Reply<'_>) -> Step {
        match seal::seal(&sealing.key, sealing.path, Direction::Answer, &sealing.context, text) {
            Ok(sealed) => self.bytes(&sealed, reply),
            Err(error) => self.error(503, "internal_error", &error.to_string(), reply),
        }
    }
}

/// Who a message can be of, by the key that it is sealed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    /// The member that it names: by its present key.
    Member,
    /// A node that is none any more: by a key that is void, or by the one that all nodes of a cluster have ever had.
    Stranger,
    /// The founder of another epoch: by this node's own key.
    Founder,
}

/// A message that was what it claims to be.
struct Opened {
    from: Id,
    sender: Sender,
    sealing: Sealing,
    message: Message,
}

pub(super) fn write_join(answer: &JoinAnswer) -> Vec<u8> {
    write(|writer| answer.write(writer))
}

pub(super) fn write(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buffer = vec![0; PEER_MESSAGE_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    // What is too long comes out as nothing, which is no message.
    let length = writer.finish().unwrap_or_default();
    buffer.truncate(length);
    buffer
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
