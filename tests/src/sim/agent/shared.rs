//! What an agent does in a store that all members share: the shell's thread for it, one errand after the other, each made
//! of operations that may be lost, late, or done without an answer.

use std::rc::Rc;

use bootstrapd_core::cluster::{Cluster, JoinRequest};
use bootstrapd_core::failure::{NodeTried, TriedReason};
use bootstrapd_core::machine::{Confirmed, Event, StoreChecked};
use bootstrapd_core::peer::{Consequence, JoinAnswer, Shared};

use super::worker::{Admission, Errand, Job, Stop};
use super::{Agent, Moment};
use crate::sim::store::{Operation, Outcome, Seen};
use crate::sim::wire::{Reply, Want};

/// Somebody waits no longer for a change, whoever else writes.
const ADMISSION_MS: u64 = 6_000;
/// A joiner is not there any more.
const CONTACT_MS: u64 = 10_000;
/// Between two tries of a store that does not serve.
const AGAIN_MS: u64 = 200;
/// Between two confirmations, about.
const CONFIRM_AGAIN_MS: u64 = 1_000;

impl Agent {
    /// Has something done as soon as everything before it is.
    fn errand(&mut self, errand: Errand, moment: &mut Moment<'_>) {
        let Some(worker) = &mut self.worker else { return };
        worker.errands.push_back(errand);
        if worker.job.is_none() {
            self.next_errand(moment);
        }
    }

    /// Looks whether there is a record.
    pub(super) fn check_store(&mut self, moment: &mut Moment<'_>) {
        self.errand(Errand::Check, moment);
    }

    /// Tells which copy this node has, if any.
    pub(super) fn share_copy(&mut self, moment: &mut Moment<'_>) {
        let copy = self.home();
        self.errand(Errand::Live(copy), moment);
    }

    /// Time for a beat, where the one before has come to its end.
    pub(super) fn beat_shared(&mut self, moment: &mut Moment<'_>) {
        let waits = self.worker.as_ref().is_some_and(|worker| worker.job.is_some() || !worker.errands.is_empty());
        if !waits {
            self.errand(Errand::Beat, moment);
        }
    }

    /// A node that has proved the password wants to join.
    pub(super) fn join_shared(&mut self, call: u64, request: &Rc<JoinRequest>, moment: &mut Moment<'_>) {
        let key = moment.random.key();
        let (since_ms, clock_ms) = (moment.now_ms, 1_700_000_000_000 + moment.now_ms);
        let request = Rc::clone(request);
        self.errand(Errand::Admit(Admission { call, request, key, clock_ms, since_ms }), moment);
    }

    /// This node has made a record its own.
    pub(super) fn confirm_shared(&mut self, adopted: Rc<Cluster>, moment: &mut Moment<'_>) {
        self.errand(Errand::Confirm(adopted), moment);
    }

    fn operate(&mut self, job: Job, operation: Operation, after_ms: u64) {
        let Some(worker) = &mut self.worker else { return };
        worker.job = Some(job);
        worker.operation += 1;
        self.wants.push(Want::Operate { number: worker.operation, operation, after_ms });
    }

    fn next_errand(&mut self, moment: &mut Moment<'_>) {
        let own = self.machine.node_id();
        let again = self.confirmations > 1;
        let Some(worker) = &mut self.worker else { return };
        let Some(errand) = worker.errands.pop_front() else { return };
        match errand {
            Errand::Check => self.operate(Job::Check, Operation::Look, 0),
            Errand::Live(copy) => {
                let lives = copy.is_some();
                worker.told = copy.as_ref().map(|copy| copy.age());
                (worker.copy, worker.number) = (copy, 0);
                if lives { self.begin_beat(moment) } else { self.operate(Job::Leave, Operation::Leave(own), 0) }
            }
            Errand::Beat => self.begin_beat(moment),
            Errand::Admit(first) => {
                let mut waiting = vec![first];
                for errand in std::mem::take(&mut worker.errands) {
                    if let Errand::Admit(next) = errand { waiting.push(next) } else { worker.errands.push_back(errand) }
                }
                waiting.retain(|admission| moment.now_ms < admission.since_ms + CONTACT_MS);
                let end_ms = moment.now_ms + ADMISSION_MS;
                self.operate(Job::Admit { waiting, others: Vec::new(), end_ms, draft: None }, Operation::Look, 0);
            }
            Errand::Confirm(adopted) => {
                let after_ms = if again { moment.random.below(2 * CONFIRM_AGAIN_MS) } else { 0 };
                let job = Job::Confirm { adopted, result: Confirmed::Unanswered };
                self.operate(job, Operation::Stay(own), after_ms);
            }
        }
    }

    fn begin_beat(&mut self, moment: &mut Moment<'_>) {
        if self.worker.as_ref().is_some_and(|worker| worker.copy.is_some()) {
            let stay = Operation::Stay(self.machine.node_id());
            self.operate(Job::Beat { draft: None }, stay, 0);
        } else {
            self.next_errand(moment);
        }
    }

    /// What came of an operation; nothing where there was no answer in time.
    pub(in crate::sim) fn operated(&mut self, number: u64, outcome: Option<Outcome>, moment: &mut Moment<'_>) {
        let job = self.worker.as_mut().filter(|worker| worker.operation == number).and_then(|worker| worker.job.take());
        match (job, outcome) {
            (None, _) => return,
            (Some(Job::Leave), _) => {}
            (Some(Job::Check), outcome) => self.checked(outcome.as_ref(), moment),
            (Some(Job::Beat { draft }), outcome) => self.go_on_with_beat(draft, outcome, moment),
            (Some(Job::Admit { waiting, others, end_ms, draft }), outcome) => {
                self.go_on_with_admission((waiting, others), end_ms, draft, outcome, moment);
            }
            (Some(Job::Confirm { adopted, result }), outcome) => {
                self.go_on_with_confirmation(adopted, result, outcome, moment);
            }
        }
        if self.worker.as_ref().is_some_and(|worker| worker.job.is_none()) {
            self.next_errand(moment);
        }
    }

    fn checked(&mut self, outcome: Option<&Outcome>, moment: &mut Moment<'_>) {
        let found = match outcome {
            Some(Outcome::Seen(Seen { record: None, .. })) => StoreChecked::Empty,
            Some(Outcome::Seen(_)) => StoreChecked::Taken,
            Some(Outcome::Done | Outcome::Swapped(_) | Outcome::Conflict(_)) | None => {
                let node = "store".try_into().unwrap();
                StoreChecked::Failed(NodeTried { node, reason: TriedReason::TimedOut })
            }
        };
        self.happened(Event::StoreChecked(found), moment);
    }

    fn go_on_with_beat(&mut self, draft: Option<Rc<Cluster>>, outcome: Option<Outcome>, moment: &mut Moment<'_>) {
        let own = self.machine.node_id();
        let Some(mut worker) = self.worker.take() else { return };
        let mut is_expelled = false;
        let mut next = None;
        match (outcome, draft) {
            (Some(Outcome::Done), _) => next = Some((None, Operation::Look)),
            (Some(Outcome::Seen(seen)), _) => match worker.take(&seen, self, moment.now_ms) {
                Ok(()) => {
                    let mut draft = Box::new(worker.copy.as_deref().unwrap().clone());
                    let has_changed = worker.rules.beat(&mut draft, own, moment.now_ms);
                    self.witness.keeps(&draft, own);
                    if has_changed {
                        let draft = Rc::from(draft);
                        next = Some((Some(Rc::clone(&draft)), Operation::Swap(worker.number, draft)));
                    }
                }
                Err(stop) => is_expelled = stop == Stop::Expelled,
            },
            (Some(Outcome::Swapped(number)), draft) => (worker.copy, worker.number) = (draft, number),
            (Some(Outcome::Conflict(seen)), _) => {
                is_expelled = worker.take_record(&seen, self) == Err(Stop::Expelled);
            }
            (None, _) => {}
        }
        if let Some((draft, operation)) = next {
            self.worker = Some(worker);
            return self.operate(Job::Beat { draft }, operation, 0);
        }
        let copy = worker.copy.clone();
        let down: Option<Vec<_>> = copy.as_ref().map(|copy| worker.rules.down(copy, moment.now_ms).collect());
        let age = copy.as_ref().map(|copy| copy.age());
        let before = std::mem::replace(&mut worker.told, age);
        self.worker = Some(worker);
        let newer = copy.filter(|copy| Some(copy.age()) > before);
        self.stored(&down.unwrap_or_default(), newer, is_expelled, moment);
    }

    /// What a beat has found.
    fn stored(&mut self, down: &[u32], newer: Option<Rc<Cluster>>, is_expelled: bool, moment: &mut Moment<'_>) {
        if self.home().is_none() {
            return;
        }
        self.peers.tell_down(down);
        if let Some(newer) = newer {
            self.take_shared(&newer);
        }
        if is_expelled {
            let own = self.machine.node_id();
            self.conclude(Consequence::Expelled, own, moment);
        }
    }

    fn take_shared(&mut self, newer: &Rc<Cluster>) {
        if self.newest().is_some_and(|newest| newest.is_succeeded_by(newer)) {
            self.stage((**newer).clone());
        }
    }

    fn go_on_with_admission(
        &mut self,
        (mut waiting, mut others): (Vec<Admission>, Vec<(u64, JoinAnswer)>),
        end_ms: u64,
        draft: Option<Rc<Cluster>>,
        outcome: Option<Outcome>,
        moment: &mut Moment<'_>,
    ) {
        let Some(mut worker) = self.worker.take() else { return };
        let mut ended = match (outcome, draft) {
            (Some(Outcome::Swapped(number)), draft) => {
                (worker.copy, worker.number) = (draft, number);
                Ok(())
            }
            (Some(Outcome::Conflict(seen)), _) => worker.take_record(&seen, self).and(Err(Stop::Overtaken)),
            (Some(Outcome::Seen(seen)), _) => match worker.take(&seen, self, moment.now_ms) {
                Ok(()) if worker.copy.is_some() => {
                    let before = worker.copy.clone().unwrap();
                    let mut draft = Box::new((*before).clone());
                    waiting.retain(|Admission { call, request, key, clock_ms, .. }| {
                        let joined = worker.rules.join(&mut draft, (request, *key), (moment.now_ms, *clock_ms));
                        joined.map_err(|answer| others.push((*call, answer))).is_ok()
                    });
                    if draft.age() == before.age() {
                        Ok(())
                    } else {
                        let draft = Rc::from(draft);
                        let swap = Operation::Swap(worker.number, Rc::clone(&draft));
                        self.worker = Some(worker);
                        let job = Job::Admit { waiting, others, end_ms, draft: Some(draft) };
                        return self.operate(job, swap, 0);
                    }
                }
                Ok(()) => Err(Stop::Expelled),
                Err(stop) => Err(stop),
            },
            (Some(Outcome::Done) | None, _) => Err(Stop::Fault),
        };
        let record = worker.copy.clone();
        self.worker = Some(worker);
        if matches!(ended, Err(Stop::Fault | Stop::Overtaken)) && moment.now_ms < end_ms {
            let after_ms = if ended == Err(Stop::Fault) { AGAIN_MS } else { 0 };
            let job = Job::Admit { waiting, others, end_ms, draft: None };
            return self.operate(job, Operation::Look, after_ms);
        }
        if record.is_none() {
            ended = Err(Stop::Expelled);
        }
        self.admitted(&waiting, others, ended, record.as_ref());
    }

    /// How joins have ended.
    fn admitted(
        &mut self,
        waiting: &[Admission],
        others: Vec<(u64, JoinAnswer)>,
        ended: Result<(), Stop>,
        record: Option<&Rc<Cluster>>,
    ) {
        let reason = match ended {
            Ok(()) | Err(Stop::Overtaken) => TriedReason::NotReady,
            Err(Stop::Fault) => TriedReason::NoStore,
            Err(Stop::Barred) => TriedReason::NeedsRecovery,
            Err(Stop::Expelled) => TriedReason::NotAMember,
        };
        for Admission { call, .. } in waiting {
            let reply = match record {
                Some(record) if ended.is_ok() => Reply::Record(Rc::clone(record)),
                Some(_) | None => Reply::Join(Box::new(JoinAnswer::NotNow(reason))),
            };
            self.wants.push(Want::Reply(*call, reply));
        }
        for (call, answer) in others {
            self.wants.push(Want::Reply(call, Reply::Join(Box::new(answer))));
        }
        if let (Ok(()), Some(record), false) = (ended, record, waiting.is_empty()) {
            self.take_shared(record);
        }
    }

    fn go_on_with_confirmation(
        &mut self,
        adopted: Rc<Cluster>,
        result: Confirmed,
        outcome: Option<Outcome>,
        moment: &mut Moment<'_>,
    ) {
        let own = self.machine.node_id();
        let confirmed = match outcome {
            Some(Outcome::Done) => {
                return self.operate(Job::Confirm { adopted, result }, Operation::Look, 0);
            }
            Some(Outcome::Seen(Seen { record: None, .. })) if adopted.is_founder(own) => {
                let swap = Operation::Swap(0, Rc::clone(&adopted));
                return self.operate(Job::Confirm { adopted, result: Confirmed::Done }, swap, 0);
            }
            Some(Outcome::Seen(Seen { record: Some(stored), number, .. })) => {
                if stored.cluster_id == adopted.cluster_id {
                    let mut draft = Box::new((*stored).clone());
                    let confirmed = Shared::confirm(&mut draft, &adopted, own);
                    if draft.age() != stored.age() {
                        let swap = Operation::Swap(number, Rc::from(draft));
                        return self.operate(Job::Confirm { adopted, result: confirmed }, swap, 0);
                    }
                    confirmed
                } else if adopted.is_founder(own) {
                    // Whoever founds a cluster on another's record founds none.
                    Confirmed::Unknown
                } else {
                    Confirmed::Unanswered
                }
            }
            Some(Outcome::Swapped(_)) => result,
            Some(Outcome::Seen(_) | Outcome::Conflict(_)) | None => Confirmed::Unanswered,
        };
        if confirmed != Confirmed::Unanswered {
            self.confirmations = 0;
        }
        self.happened(Event::Confirmed(confirmed), moment);
    }
}
