//! What this node asks of the other nodes, and what it makes of their answers.

use std::net::SocketAddr;
use std::time::Duration;

use bootstrapd_core::cluster::{Cluster, Key};
use bootstrapd_core::machine::{Confirmed, Event};
use bootstrapd_core::peer::{Ask, Consequence, Message, Peers};
use bootstrapd_core::record::Id;

use super::write;
use crate::agent::Agent;
use crate::peer::{Errand, Question, Told};
use crate::perform::Who;
use crate::seal;

/// Pause between two confirmations that nobody answered.
const AGAIN: Duration = Duration::from_secs(1);

impl Agent {
    /// Asks a member something; the answer comes as [`Agent::told`].
    pub(super) fn ask(&mut self, to: Id, ask: Ask, after: Duration) {
        let own = self.machine.node_id();
        let Some(cluster) = self.speaks_by() else { return };
        let Some((member, me)) = cluster.member_of(to).zip(cluster.member_of(own)) else { return };
        let keys = vec![me.key, seal::common_key(cluster)];
        let message = Message { ask, stamp: cluster.stamp(), endpoint: None };
        let endpoint = member.endpoint;
        if ask == Ask::Beat {
            if self.others.asked.contains(&to) {
                return;
            }
            self.others.asked.push(to);
        }
        self.question(to, endpoint, keys, &message, after);
    }

    /// Invites a member to follow this founder, by what only those know who have a record with that member in it.
    pub(super) fn invite(&self, to: Id) {
        let own = self.machine.node_id();
        let Some(cluster) = self.cluster.as_deref() else { return };
        let Some((member, me)) = cluster.member_of(to).zip(cluster.member_of(own)) else { return };
        let message = Message { ask: Ask::Follow, stamp: cluster.stamp(), endpoint: Some(me.endpoint) };
        self.question(to, member.endpoint, vec![member.key], &message, Duration::ZERO);
    }

    pub(super) fn question(&self, to: Id, endpoint: SocketAddr, keys: Vec<Key>, message: &Message, after: Duration) {
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
    pub(in crate::agent) fn confirm(&mut self) {
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
    pub(in crate::agent) fn told(&mut self, by: Id, ask: Ask, told: Told) {
        if ask == Ask::Beat {
            self.others.asked.retain(|asked| *asked != by);
        }
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
    pub(in crate::agent) fn confirmed(&mut self, confirmed: Confirmed) {
        let next = self.handle(Who::Attempt, Event::Confirmed(confirmed));
        self.drive(Who::Attempt, next);
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
}
