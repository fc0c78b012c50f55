//! What the shell's thread for a shared store keeps: what is to be done there, and the newest record that it has seen.

use std::collections::VecDeque;
use std::rc::Rc;

use bootstrapd_core::cluster::{Cluster, JoinRequest, Key};
use bootstrapd_core::machine::Confirmed;
use bootstrapd_core::peer::{JoinAnswer, Shared, Sight};

use super::{Agent, SKEW_SECONDS};
use crate::sim::store::Seen;

/// A node that has proved the password.
#[derive(Clone)]
pub(super) struct Admission {
    pub(super) call: u64,
    pub(super) request: Rc<JoinRequest>,
    pub(super) key: Key,
    pub(super) clock_ms: u64,
    pub(super) since_ms: u64,
}

/// What is to be done.
pub(super) enum Errand {
    Check,
    Live(Option<Rc<Cluster>>),
    Beat,
    Admit(Admission),
    Confirm(Rc<Cluster>),
}

/// What is being done, and which operation is under way.
pub(super) enum Job {
    Leave,
    Check,
    Beat { draft: Option<Rc<Cluster>> },
    Admit { waiting: Vec<Admission>, others: Vec<(u64, JoinAnswer)>, end_ms: u64, draft: Option<Rc<Cluster>> },
    Confirm { adopted: Rc<Cluster>, result: Confirmed },
}

/// Why the record could not be had or changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Fault,
    Barred,
    Expelled,
    Overtaken,
}

/// See the module.
pub(super) struct Worker {
    pub(super) rules: Shared,
    pub(super) copy: Option<Rc<Cluster>>,
    pub(super) number: u64,
    /// How new the copy is that the agent was told of last.
    pub(super) told: Option<(u32, u64)>,
    pub(super) errands: VecDeque<Errand>,
    pub(super) job: Option<Job>,
    /// Which operation an answer must be to.
    pub(super) operation: u64,
}

impl Worker {
    /// Knows nothing yet.
    pub(super) fn new(now_ms: u64) -> Box<Self> {
        Box::new(Self {
            rules: Shared::new(SKEW_SECONDS, now_ms),
            copy: None,
            number: 0,
            told: None,
            errands: VecDeque::new(),
            job: None,
            operation: 0,
        })
    }

    /// Takes what the store has.
    pub(super) fn take(&mut self, seen: &Seen, own: &mut Agent, now_ms: u64) -> Result<(), Stop> {
        self.take_record(seen, own)?;
        if let Some(copy) = &self.copy {
            let mut leased = seen.leased.clone();
            // Who looks is there.
            if !leased.contains(&own.machine.node_id()) {
                leased.push(own.machine.node_id());
            }
            self.rules.see(copy, &leased, now_ms);
        }
        Ok(())
    }

    pub(super) fn take_record(&mut self, seen: &Seen, own: &mut Agent) -> Result<(), Stop> {
        let Some(copy) = &self.copy else { return Ok(()) };
        let Some(stored) = seen.record.as_ref() else {
            self.number = 0;
            return Err(Stop::Barred);
        };
        // Another cluster's is sealed with another key.
        if stored.cluster_id != copy.cluster_id {
            return Err(Stop::Barred);
        }
        match Shared::judge(copy, own.machine.node_id(), stored) {
            Sight::Same => {}
            Sight::Newer => {
                own.witness.takes(copy, stored);
                self.copy = Some(Rc::clone(stored));
            }
            Sight::Expelled => return Err(Stop::Expelled),
            Sight::Barred(_) => return Err(Stop::Barred),
        }
        self.number = seen.number;
        Ok(())
    }
}
