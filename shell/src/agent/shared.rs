//! Life in a cluster whose record is in a store that all members share: what there is to ask of it, and what it says.

use std::time::Instant;

use bootstrapd_core::cluster::{Cluster, JoinRequest, Key};
use bootstrapd_core::peer::JoinAnswer;

use super::peers::{Form, NEVER, Pending, Sealing, write_join};
use super::{Agent, News, Reply, Step};
use crate::peer::{Admission, Errand};
use crate::shared::{Admitted, Beat};
use crate::{log, node, secret, store};

impl Agent {
    /// Tells the thread that works in the store which copy this node has, if any.
    pub(super) fn share_copy(&mut self) {
        if self.others.habits.is_shared {
            let copy = self.cluster.clone().filter(|_| self.machine.is_member());
            self.threads.errands.push(Errand::Live(self.machine.node_id(), copy));
        }
    }

    /// What a beat has found.
    pub(super) fn stored(&mut self, beat: Beat) {
        self.expire_proofs();
        if !self.machine.is_member() {
            return;
        }
        self.others.peers.tell_down(&beat.down);
        #[cfg(feature = "management")]
        {
            self.others.store_trouble = beat.trouble;
        }
        if let Some(newer) = beat.newer {
            self.take_shared(newer);
        }
        if beat.is_expelled {
            self.expel("the cluster does not know this node any more: it was replaced, or the cluster was recovered without it");
        }
    }

    /// Keeps what the store has.
    pub(super) fn take_shared(&mut self, newer: Box<Cluster>) {
        if self.newest().is_some_and(|newest| newest.is_succeeded_by(&newer)) {
            self.stage(Some(newer));
        }
    }

    /// A node that has proved the password wants to join: the store says how that ends.
    pub(super) fn join_shared(
        &mut self,
        request: &JoinRequest,
        sealing: Sealing,
        otherwise: Vec<u8>,
        reply: &mut Reply<'_>,
    ) -> Step {
        let Ok(key) = secret::random() else { return self.sealed(&sealing, &otherwise, reply) };
        let step =
            self.pend(Pending { number: 0, age: NEVER, form: Form::Sealed(sealing), text: Vec::new(), otherwise });
        if let Step::Keeping(number) = step {
            let (request, key) = (Box::new(request.clone()), Key(key));
            let (since, clock_ms) = (Instant::now(), node::clock_ms());
            self.threads.errands.push(Errand::Admit(Admission { number, request, key, since, clock_ms }));
        }
        step
    }

    /// How joins have ended.
    pub(super) fn admitted(&mut self, ended: Admitted) {
        if let Some(record) = ended.record.filter(|_| !ended.admitted.is_empty()) {
            let (nodes, revision) = (ended.admitted.len(), record.revision);
            log::info("nodes are admitted", &[("nodes", &nodes), ("revision", &revision)]);
            let text = store::encode(&record).unwrap_or_default();
            ended.admitted.iter().for_each(|number| self.answer(*number, text.clone()));
            self.take_shared(record);
        }
        for (number, answer) in ended.others {
            if let JoinAnswer::Refused(failure) = &answer {
                let code = failure.cause.code();
                log::info("a node is not admitted", &[("error_code", &code), ("message", &failure.message)]);
            }
            self.answer(number, write_join(&answer));
        }
    }

    /// Gives an answer that waited.
    pub(super) fn answer(&mut self, number: u32, text: Vec<u8>) {
        if let Some(pending) = self.others.waits(number) {
            pending.text = text;
            self.news.push(News::Kept(number, true));
        }
    }
}
