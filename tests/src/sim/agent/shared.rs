//! Life in a cluster whose record is in a store that all members share: what an agent has its worker do there, and what it
//! makes of what comes of that.

use std::rc::Rc;

use bootstrapd_core::cluster::{Cluster, JoinRequest};
use bootstrapd_core::failure::TriedReason;
use bootstrapd_core::machine::Event;
use bootstrapd_core::peer::JoinAnswer;

use super::worker::{Admission, Beat, Done, Errand, Worker};
use super::{Agent, Moment, NEVER};
use crate::sim::store::Said;
use crate::sim::wire::{Reply, Want};

impl Agent {
    /// Has the worker do something, where there is one.
    fn work(&mut self, work: impl FnOnce(&mut Worker)) {
        let Some(worker) = &mut self.worker else { return };
        work(worker);
        self.wants.append(&mut worker.wants);
        self.witness.complaints.append(&mut worker.complaints);
    }

    pub(super) fn errand(&mut self, errand: Errand, moment: &mut Moment<'_>) {
        self.work(|worker| worker.push(errand, moment));
    }

    /// Tells the worker which copy this node has, if any.
    pub(super) fn share_copy(&mut self, moment: &mut Moment<'_>) {
        let (own, copy) = (self.machine.node_id(), self.home());
        self.errand(Errand::Live(own, copy), moment);
    }

    /// It is time for a beat.
    pub(in crate::sim) fn beat_shared(&mut self, moment: &mut Moment<'_>) {
        self.work(|worker| worker.tick(moment));
    }

    /// What the store has said to the worker, or nothing in time.
    pub(in crate::sim) fn store_said(&mut self, said: Option<Said>, moment: &mut Moment<'_>) {
        self.work(|worker| worker.told(said, moment));
    }

    /// The worker has waited.
    pub(in crate::sim) fn paused(&mut self, moment: &mut Moment<'_>) {
        self.work(|worker| worker.paused(moment));
    }

    /// Hears how the oldest errand has ended that was not heard of.
    pub(in crate::sim) fn hear(&mut self, moment: &mut Moment<'_>) {
        match self.worker.as_mut().and_then(|worker| worker.done.pop_front()) {
            None => {}
            Some(Done::Checked(found)) => self.happened(Event::StoreChecked(*found), moment),
            Some(Done::Confirmed(confirmed)) => self.confirmed(confirmed, moment),
            Some(Done::Stored(beat)) => self.stored(beat, moment),
            Some(Done::Admitted(admitted, record, others)) => {
                if let Some(record) = record.filter(|_| !admitted.is_empty()) {
                    for call in admitted {
                        self.answer(call, Reply::Record(Rc::clone(&record)));
                    }
                    self.take_shared(record);
                }
                for (call, answer) in others {
                    self.answer(call, Reply::Join(Box::new(answer)));
                }
            }
        }
    }

    /// What a beat has found.
    fn stored(&mut self, beat: Beat, moment: &mut Moment<'_>) {
        if !self.machine.is_member() {
            return;
        }
        self.peers.tell_down(&beat.down);
        self.is_barred = beat.is_barred;
        if let Some(newer) = beat.newer {
            self.take_shared(newer);
        }
        if beat.is_expelled {
            self.expel(moment);
        }
    }

    /// Keeps what the store has.
    fn take_shared(&mut self, newer: Rc<Cluster>) {
        let newest = self.staged.as_ref().or(self.cluster.as_ref());
        if newest.is_some_and(|newest| newest.is_succeeded_by(&newer)) {
            self.stage(newer);
        }
    }

    /// A node that has proved the password wants to join: the store says how that ends.
    pub(super) fn join_shared(&mut self, call: u64, request: &Rc<JoinRequest>, moment: &mut Moment<'_>) {
        let not_now = || Reply::Join(Box::new(JoinAnswer::NotNow(TriedReason::NotReady)));
        self.pending.push((call, NEVER, not_now(), not_now()));
        let (request, key, since_ms) = (Rc::clone(request), moment.random.key(), moment.now_ms);
        self.errand(Errand::Admit(vec![Admission { call, request, key, since_ms }]), moment);
    }

    /// Gives an answer that waited.
    fn answer(&mut self, call: u64, reply: Reply) {
        if let Some(index) = self.pending.iter().position(|pending| pending.0 == call) {
            self.pending.remove(index);
            self.wants.push(Want::Reply(call, reply));
        }
    }
}
