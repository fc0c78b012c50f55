//! How an agent lives with others: what it asks and hears, and what it is asked.

use std::rc::Rc;

use bootstrapd_core::cluster::{Cluster, JoinRequest, Key};
use bootstrapd_core::failure::{Cause, Failure, TriedReason};
use bootstrapd_core::machine::{Confirmed, Contacted, Event};
use bootstrapd_core::peer::{Answer, Ask, Consequence, JoinAnswer, Message, Peers};
use bootstrapd_core::record::{Id, Membership};

use super::worker::Errand;
use super::{Agent, Moment, NEVER};
use crate::sim::disk::Content;
use crate::sim::wire::{About, Reply, Request, Want, place};

impl Agent {
    /// Whether it is a member, with a record.
    pub(in crate::sim) fn home(&self) -> Option<Rc<Cluster>> {
        self.cluster.clone().filter(|_| self.machine.is_member())
    }

    /// Whether it is the only writer of its cluster's epoch.
    pub(in crate::sim) fn is_founder(&self) -> bool {
        self.home().is_some_and(|home| home.is_founder(self.machine.node_id()))
    }

    /// Time for a beat.
    pub(in crate::sim) fn beat(&mut self, moment: &Moment<'_>) {
        if self.worker.is_some() {
            return;
        }
        let (now, own) = (moment.now_ms, self.machine.node_id());
        let Some(cluster) = self.home() else { return };
        let asked = self.peers.beat(&cluster, own, now);
        self.witness.beats(&cluster, own, &asked);
        for node_id in asked {
            self.ask(node_id, Ask::Beat, 0);
        }
        if self.peers.is_to_lapse(&cluster, own, now) {
            let mut draft = self.draft().unwrap();
            if draft.lapse(&self.peers.liveness, now) {
                self.stage(Rc::new(draft));
            }
        }
    }

    fn ask(&mut self, to: Id, ask: Ask, after_ms: u64) {
        let own = self.machine.node_id();
        let Some(cluster) = self.speaks_by() else { return };
        let Some((member, me)) = cluster.member_of(to).zip(cluster.member_of(own)) else { return };
        let message = Message { ask, stamp: cluster.stamp(), endpoint: None };
        let (at, key) = (place(member.endpoint), me.key);
        if ask == Ask::Beat {
            if self.asked.contains(&to) {
                return;
            }
            self.asked.push(to);
        }
        self.question(to, at, key, message, after_ms);
    }

    fn question(&mut self, to: Id, at: u16, key: Key, message: Message, after_ms: u64) {
        let request = Request::Ask { from: self.machine.node_id(), key, message, number: 0 };
        self.wants.push(Want::Send { to: at, about: About::Ask(to, message.ask), after_ms, request });
    }

    pub(super) fn confirm(&mut self, moment: &mut Moment<'_>) {
        let after_ms = if self.confirmations == 0 { 0 } else { 1_000 };
        self.confirmations += 1;
        let (own, Some(cluster)) = (self.machine.node_id(), self.founded.clone()) else { return };
        if self.worker.is_some() {
            return self.errand(Errand::Confirm(own, cluster, after_ms), moment);
        }
        if let Some(to) = self.peers.confirmation(&cluster, own) {
            self.ask(to, Ask::Confirm, after_ms);
        }
    }

    /// What a question came to; nothing where there was no answer that could be trusted.
    pub(in crate::sim) fn told(&mut self, by: Id, ask: Ask, reply: Option<Reply>, moment: &mut Moment<'_>) {
        if ask == Ask::Beat {
            self.asked.retain(|asked| *asked != by);
        }
        let own = self.machine.node_id();
        match (reply, self.home()) {
            (reply, None) if ask == Ask::Confirm => self.told_of_confirmation(by, reply.as_ref(), moment),
            (Some(Reply::Answer(answer)), Some(cluster)) => {
                self.witness.answered(&cluster, own, by, &answer, moment.now_ms);
                let consequence = self.peers.answered(&cluster, own, by, &answer, moment.now_ms);
                self.conclude(consequence, by, moment);
            }
            (Some(Reply::Record(newer)), _) => {
                let Some(newest) = self.newest() else { return };
                match Peers::follow(&newest, own, &newer) {
                    Consequence::Changed => self.stage(newer),
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

    fn told_of_confirmation(&mut self, by: Id, reply: Option<&Reply>, moment: &mut Moment<'_>) {
        let Some(cluster) = self.speaks_by() else { return };
        let (confirmed, overtaken) = match reply {
            Some(Reply::Answer(answer)) => {
                (Peers::confirmed(&cluster, by, answer), Peers::is_overtaken(&cluster, answer))
            }
            _ => (Confirmed::Unanswered, false),
        };
        if overtaken {
            self.ask(by, Ask::Record, 0);
        }
        self.confirmed(confirmed, moment);
    }

    /// What came of a confirmation.
    pub(super) fn confirmed(&mut self, confirmed: Confirmed, moment: &mut Moment<'_>) {
        if confirmed == Confirmed::Unknown {
            self.disowned.clone_from(&self.founded);
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
            Consequence::Superseded | Consequence::Expelled => self.expel(moment),
        }
    }

    /// The cluster has sent it away.
    pub(super) fn expel(&mut self, moment: &mut Moment<'_>) {
        if let Some(effect) = self.machine.expel("sent away", moment.time()) {
            self.staged = None;
            for (call, _, _, otherwise) in std::mem::take(&mut self.pending) {
                self.wants.push(Want::Reply(call, otherwise));
            }
            self.drive(Some(effect), moment);
            self.live(moment);
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

    pub(super) fn stage(&mut self, draft: Rc<Cluster>) {
        self.staged = Some(draft);
        self.keep();
    }

    fn keep(&mut self) {
        if let (None, Some(staged)) = (&self.keeping, &self.staged) {
            self.keeping = Some(Rc::clone(staged));
            self.wants.push(Want::Save(Content::Newer(Rc::clone(staged))));
        }
    }

    /// The record that was being saved is durable, or is not.
    pub(in crate::sim) fn kept(&mut self, good: bool, moment: &mut Moment<'_>) {
        let keeping = self.keeping.take();
        if !good {
            self.staged = None;
            self.share_copy(moment);
        } else if let Some(kept) = keeping {
            if self.staged.as_ref().is_some_and(|staged| staged.stamp() == kept.stamp()) {
                self.staged = None;
            }
            let place = if self.machine.is_member() { &mut self.cluster } else { &mut self.founded };
            let epoch = place.as_ref().map_or(kept.epoch, |before| before.epoch);
            self.peers.has_kept(&kept, epoch, moment.now_ms);
            if kept.epoch > epoch {
                self.witness.begins_epoch();
            }
            *place = Some(kept);
        }
        let durable = self.cluster.as_deref().map(Cluster::age);
        let pending = std::mem::take(&mut self.pending).into_iter();
        let (ready, rest): (Vec<_>, _) =
            pending.partition(|pending| pending.1 != NEVER && (!good || Some(pending.1) <= durable));
        self.pending = rest;
        for (call, _, reply, otherwise) in ready {
            self.wants.push(Want::Reply(call, if good { reply } else { otherwise }));
        }
        self.keep();
    }

    /// A request of another agent.
    pub(in crate::sim) fn asked(&mut self, call: u64, request: &Request, moment: &mut Moment<'_>) {
        let reply = match (request, self.home()) {
            (_, None) => Some(Reply::Refused(false)),
            (Request::Join(_, false), Some(_)) => Some(Reply::Refused(true)),
            (Request::Join(request, true), Some(_)) => self.join(call, request, moment),
            // Members meet in the store.
            (Request::Ask { .. }, Some(_)) if self.worker.is_some() => Some(Reply::Refused(false)),
            (Request::Ask { from, key, message, number }, Some(cluster)) => {
                self.message(call, (*from, *key, *number), message, &cluster, moment)
            }
        };
        if let Some(reply) = reply {
            self.wants.push(Want::Reply(call, reply));
        }
    }

    fn join(&mut self, call: u64, request: &Rc<JoinRequest>, moment: &mut Moment<'_>) -> Option<Reply> {
        if self.worker.is_some() {
            self.join_shared(call, request, moment);
            return None;
        }
        let own = self.machine.node_id();
        let mut draft = self.draft()?;
        let key = moment.random.key();
        let clocks = (moment.now_ms, 1_700_000_000_000 + moment.now_ms);
        match self.peers.join(&mut draft, own, (request, key), clocks) {
            Ok(_) => {
                self.witness.admits(self.newest().as_deref()?, own, moment.now_ms);
                let not_now = JoinAnswer::NotNow(TriedReason::NotReady);
                let record = Rc::new(draft.clone());
                self.pending.push((call, draft.age(), Reply::Record(record), Reply::Join(Box::new(not_now))));
                self.stage(Rc::new(draft));
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
        self.witness.heard((newest, &draft), own, sender, (message, &answer), moment.now_ms);
        let age = draft.age();
        let gets = answer.gives_way_to_record(message.ask);
        let reply = if gets { Reply::Record(Rc::clone(durable)) } else { Reply::Answer(Box::new(answer.clone())) };
        let waits = age > durable.age() && !gets;
        let mut ready = Some(reply);
        if let Some(reply) = ready.take_if(|_| waits) {
            self.pending.push((call, age, reply, Reply::Answer(Box::new(answer.kept_not(durable)))));
        }
        if consequence == Consequence::Changed {
            self.stage(Rc::new(draft));
        } else {
            self.conclude(consequence, sender.0, moment);
        }
        ready
    }

    /// What came of a contact.
    pub(in crate::sim) fn contacted(&mut self, again: bool, reply: Option<Reply>, moment: &mut Moment<'_>) {
        let contacted = match reply {
            None => Contacted::Failed(TriedReason::TimedOut),
            Some(Reply::Refused(false) | Reply::Answer(_)) => Contacted::Failed(TriedReason::NotAMember),
            Some(Reply::Refused(true)) => Contacted::Refused(Failure::new(Cause::AccessDenied {}, "")),
            Some(Reply::Record(cluster)) => match cluster.membership(self.machine.node_id()) {
                Some(membership) => {
                    self.founded = Some(cluster);
                    Contacted::Admitted(membership)
                }
                None => Contacted::Failed(TriedReason::NotAMember),
            },
            Some(Reply::Join(answer)) => match *answer {
                JoinAnswer::Founder(address) if !again => return self.contact(place(address), true, moment),
                JoinAnswer::Founder(_) => Contacted::Failed(TriedReason::NoFounder),
                JoinAnswer::Welcome => Contacted::Admitted(Membership::default()),
                JoinAnswer::NotNow(reason) => Contacted::Failed(reason),
                JoinAnswer::Refused(failure) => Contacted::Refused(failure),
            },
        };
        self.happened(Event::Contacted(contacted), moment);
    }
}
