//! What an agent does in the store that all members share, on a thread of its own: one errand after the other. The steps are
//! those of the shell, in its order; since each goes there and back as a message, an errand is left between any two of them.

use std::collections::VecDeque;
use std::rc::Rc;

use bootstrapd_core::cluster::{Cluster, JoinRequest, Key};
use bootstrapd_core::failure::TriedReason;
use bootstrapd_core::machine::{Confirmed, StoreChecked};
use bootstrapd_core::peer::{self, JoinAnswer};
use bootstrapd_core::record::Id;

use super::{Moment, SKEW_SECONDS};
use crate::sim::store::{Act, Said, Sealed};
use crate::sim::wire::Want;

mod steps;

/// A joiner waits no longer to be admitted, whoever else writes, in milliseconds.
const ADMISSION_MS: u64 = 6_000;
/// Nor is it there any more after so long.
const CONTACT_MS: u64 = 10_000;
/// Between two tries of a store that does not serve.
const AGAIN_MS: u64 = 200;

/// Something to do in the store.
pub(super) enum Errand {
    /// Whether it can be used.
    Check,
    /// This node is a member with this copy of the record, or is none.
    Live(Id, Option<Rc<Cluster>>),
    /// It is time for a beat.
    Beat,
    /// Have nodes admitted.
    Admit(Vec<Admission>),
    /// After so long, say that this record is the node's own.
    Confirm(Id, Rc<Cluster>, u64),
}

/// A node that has proved the password, and what it wants.
pub(super) struct Admission {
    /// The call that waits.
    pub(super) call: u64,
    /// What it has asked for.
    pub(super) request: Rc<JoinRequest>,
    /// What it will confirm by.
    pub(super) key: Key,
    /// When it has asked.
    pub(super) since_ms: u64,
}

/// What came of an errand.
pub(super) enum Done {
    /// What the store was found like.
    Checked(Box<StoreChecked>),
    /// Of a beat.
    Stored(Beat),
    /// Of admissions: who is admitted, with the record, and who gets another answer.
    Admitted(Vec<u64>, Option<Rc<Cluster>>, Vec<(u64, JoinAnswer)>),
    /// Of a confirmation.
    Confirmed(Confirmed),
}

/// What a beat has found.
#[derive(Default)]
pub(super) struct Beat {
    /// Who is down.
    pub(super) down: Vec<u32>,
    /// A newer record.
    pub(super) newer: Option<Rc<Cluster>>,
    /// A newer one does not know this node.
    pub(super) is_expelled: bool,
    /// The store has a record that cannot be trusted, or none.
    pub(super) is_barred: bool,
}

/// Why the record could not be had or changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    Fault,
    Barred(TriedReason),
    Expelled,
    Overtaken,
}

/// What an errand waits for.
enum Step {
    Leaving(Id, Option<Rc<Cluster>>),
    Renewing,
    Granting,
    Putting(u64),
    Looking,
    /// With what is the record then, and what a confirmation has come to.
    Swapping(Rc<Cluster>, Confirmed),
    Pausing,
}

/// See the module.
pub(in crate::sim) struct Worker {
    rules: peer::Shared,
    own: Id,
    /// The newest record that is known, and the store's number for it; zero where that is not known.
    copy: Option<Rc<Cluster>>,
    revision: u64,
    lease: Option<u64>,
    waiting: VecDeque<Errand>,
    under_way: Option<(Errand, Step)>,
    /// Of the errand under way: who gets another answer, and until when it is tried.
    others: Vec<(u64, JoinAnswer)>,
    end_ms: u64,
    /// How old the copy is that the agent has been told of.
    told: Option<(u32, u64)>,
    /// A beat is due.
    is_due: bool,
    /// Who had a lease at the last look.
    leased: Vec<Id>,
    /// What has ended, to be heard in its turn.
    pub(super) done: VecDeque<Done>,
    /// What is to be done.
    pub(super) wants: Vec<Want>,
    /// What it did and must not.
    pub(super) complaints: Vec<String>,
}

impl Worker {
    /// Nothing is known yet.
    pub(super) fn new(now_ms: u64) -> Self {
        Self {
            rules: peer::Shared::new(SKEW_SECONDS, now_ms),
            own: Id::default(),
            copy: None,
            revision: 0,
            lease: None,
            waiting: VecDeque::new(),
            under_way: None,
            others: Vec::new(),
            end_ms: 0,
            told: None,
            is_due: false,
            leased: Vec::new(),
            done: VecDeque::new(),
            wants: Vec::new(),
            complaints: Vec::new(),
        }
    }

    /// There is something to do.
    pub(super) fn push(&mut self, errand: Errand, moment: &mut Moment<'_>) {
        self.waiting.push_back(errand);
        self.go_on(moment);
    }

    /// It is time for a beat, as soon as nothing else is under way.
    pub(super) fn tick(&mut self, moment: &mut Moment<'_>) {
        self.is_due = self.copy.is_some();
        self.go_on(moment);
    }

    /// Begins the next errand, unless one is under way.
    fn go_on(&mut self, moment: &mut Moment<'_>) {
        while self.under_way.is_none() {
            let due = std::mem::take(&mut self.is_due).then_some(Errand::Beat);
            let Some(errand) = due.or_else(|| self.waiting.pop_front()) else { return };
            self.begin(errand, moment);
        }
    }

    fn begin(&mut self, errand: Errand, moment: &mut Moment<'_>) {
        match errand {
            Errand::Check => self.look(errand),
            Errand::Live(own, copy) => match self.lease.take_if(|_| copy.is_none()) {
                Some(lease) => self.ask(Errand::Live(own, None), Step::Leaving(own, copy), Act::Revoke(lease)),
                None => self.live(own, copy),
            },
            Errand::Beat => {
                if self.copy.is_some() {
                    self.stay(errand);
                } else {
                    self.end(Done::Stored(Beat::default()));
                }
            }
            Errand::Admit(mut all) => {
                // Those that wait share one change of the record.
                for errand in std::mem::take(&mut self.waiting) {
                    if let Errand::Admit(more) = errand { all.extend(more) } else { self.waiting.push_back(errand) }
                }
                all.retain(|admission| moment.now_ms - admission.since_ms < CONTACT_MS);
                self.end_ms = moment.now_ms + ADMISSION_MS;
                self.look(Errand::Admit(all));
            }
            Errand::Confirm(_, _, after_ms) => {
                // Many who try again at the same moment would again be in each other's way.
                self.pause(errand, after_ms * moment.random.below(256) / 128);
            }
        }
    }

    /// From now on this node is a member with this copy; or a member no more.
    fn live(&mut self, own: Id, copy: Option<Rc<Cluster>>) {
        self.own = own;
        self.revision = 0;
        self.told = copy.as_ref().map(|copy| copy.age());
        self.copy = copy;
        if self.copy.is_some() {
            self.stay(Errand::Beat);
        } else {
            self.under_way = None;
        }
    }

    fn ask(&mut self, errand: Errand, step: Step, act: Act) {
        self.wants.push(Want::AskStore(act));
        self.under_way = Some((errand, step));
    }

    fn pause(&mut self, errand: Errand, time_ms: u64) {
        self.wants.push(Want::Pause(time_ms));
        self.under_way = Some((errand, Step::Pausing));
    }

    fn end(&mut self, done: Done) {
        self.under_way = None;
        self.done.push_back(done);
        self.wants.push(Want::Hear);
    }

    /// Says that this node is there, first of all.
    fn stay(&mut self, errand: Errand) {
        match self.lease {
            Some(lease) => self.ask(errand, Step::Renewing, Act::Renew(lease)),
            None => self.ask(errand, Step::Granting, Act::Grant),
        }
    }

    fn look(&mut self, errand: Errand) {
        let known = match errand {
            Errand::Check | Errand::Confirm(..) => 0,
            Errand::Live(..) | Errand::Beat | Errand::Admit(_) => self.revision,
        };
        self.ask(errand, Step::Looking, Act::Look(known));
    }

    fn swap(&mut self, errand: Errand, known: u64, draft: Cluster, confirmed: Confirmed, moment: &mut Moment<'_>) {
        let draft = Rc::new(draft);
        let sealed = Sealed(Rc::clone(&draft), moment.random.next());
        self.ask(errand, Step::Swapping(draft, confirmed), Act::Swap(known, sealed));
    }

    /// A pause is over.
    pub(super) fn paused(&mut self, moment: &mut Moment<'_>) {
        match self.under_way.take() {
            Some((errand @ Errand::Confirm(..), Step::Pausing)) => self.stay(errand),
            Some((errand, Step::Pausing)) => self.look(errand),
            other => self.under_way = other,
        }
        self.go_on(moment);
    }

    /// The store has answered, or has not.
    pub(super) fn told(&mut self, said: Option<Said>, moment: &mut Moment<'_>) {
        let Some((errand, step)) = self.under_way.take() else { return };
        match (step, said) {
            (Step::Leaving(own, copy), _) => self.live(own, copy),
            (Step::Renewing, Some(Said::Renewed(true))) => self.look(errand),
            (Step::Renewing, Some(Said::Renewed(false))) => {
                self.lease = None;
                self.stay(errand);
            }
            (Step::Granting, Some(Said::Granted(lease))) => {
                let own = if let Errand::Confirm(own, ..) = &errand { *own } else { self.own };
                self.ask(errand, Step::Putting(lease), Act::Put(own, lease));
            }
            (Step::Putting(lease), Some(Said::Done)) => {
                self.lease = Some(lease);
                // A store that did not know the lease may count anew.
                self.revision = 0;
                self.look(errand);
            }
            (Step::Looking, Some(Said::Seen(leased, news))) => self.looked(errand, &leased, news, moment),
            (Step::Swapping(draft, confirmed), Some(Said::Swapped(swap))) => {
                self.swapped(errand, (draft, confirmed), swap, moment);
            }
            (_, _) => self.stop(errand, Stop::Fault, moment),
        }
        self.go_on(moment);
    }
}
