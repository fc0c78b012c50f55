//! The cluster's other nodes: what they ask of this one and are answered, and what this one makes of their answers.
//! Only a founder changes the record, and nobody hears of a change before it is durable.

use std::io;
use std::time::Duration;

use bootstrapd_core::cluster::{Cluster, Member};
use bootstrapd_core::limits::PEER_MESSAGE_BYTES_MAX;
use bootstrapd_core::peer::{Ask, Consequence, Peers};
use bootstrapd_core::record::Id;
use bootstrapd_core::write::Writer;

use super::{Agent, News};
use crate::peer::Errand;
use crate::perform::Who;
use crate::{log, node, secret};

mod admission;
mod challenges;
mod messages;
mod pending;
mod proofs;
mod questions;
mod staged;

pub(super) use admission::write_join;
pub(super) use pending::{Form, NEVER, Pending, Sealing};
use proofs::Proofs;

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
    /// Who is being asked for a beat. Where many are silent that takes long, and nobody is asked twice meanwhile.
    asked: Vec<Id>,
    /// How often this attempt has asked to be known as a member.
    pub(super) confirmations: u32,
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

impl Habits {
    fn peers(&self, now: u64) -> Peers {
        let peers = Peers::new(node::millis(self.beat), self.max_skew_seconds, now);
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
            asked: Vec::new(),
            confirmations: 0,
            #[cfg(feature = "management")]
            checks: Vec::new(),
            #[cfg(feature = "management")]
            checks_running: 0,
            #[cfg(feature = "management")]
            store_trouble: None,
        })
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
        let is_to_lapse = self.others.peers.is_to_lapse(cluster, own, now);
        for node_id in asked {
            self.ask(node_id, Ask::Beat, Duration::ZERO);
        }
        if is_to_lapse {
            let mut draft = self.draft();
            if draft.as_mut().is_some_and(|draft| draft.lapse(&self.others.peers.liveness, now)) {
                self.stage(draft);
            }
        }
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

    /// The members that are down, as far as this node knows.
    pub(super) fn is_down<'a>(&'a self, cluster: &'a Cluster) -> impl Fn(&Member) -> bool + 'a {
        let down = self.others.peers.down(cluster, self.machine.node_id(), self.clock.uptime_ms);
        // Who was sent away hears of nobody any more.
        let hears = self.machine.is_member();
        move |member| hears && down.contains(&member.uid)
    }
}

pub(super) fn write(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buffer = vec![0; PEER_MESSAGE_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    // What is too long comes out as nothing, which is no message.
    let length = writer.finish().unwrap_or_default();
    buffer.truncate(length);
    // It may wait for a while.
    buffer.shrink_to_fit();
    buffer
}
