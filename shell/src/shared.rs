//! The cluster's record in a store that all members share: what this node does there, on the thread that talks to others.
//! Each change is made of the record as the store has it and written by compare-and-swap, so that none is ever lost and
//! no number given twice, whoever else writes.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use bootstrapd_core::cluster::{Cluster, Key};
use bootstrapd_core::failure::{NodeTried, TriedReason};
use bootstrapd_core::machine::{Confirmed, StoreChecked};
#[cfg(feature = "management")]
use bootstrapd_core::manage::{Change, Refusal};
use bootstrapd_core::peer::{self, JoinAnswer, Sight};
use bootstrapd_core::record::Id;

use crate::etcd::{Etcd, Fault, News, Place, Swap};
use crate::peer::Admission;
use crate::seal::{self, Direction};
use crate::{log, node, peer as wire, store};

mod offline;

/// What a sealed record in the store is about.
const ABOUT: &str = "/store";
/// A joiner waits no longer to be admitted, whoever else writes.
const ADMISSION: Duration = Duration::from_secs(6);

/// Between two tries of a store that does not serve.
const AGAIN: Duration = Duration::from_millis(200);

/// This node's share of the store.
pub struct Shared {
    etcd: Etcd,
    rules: peer::Shared,
    own: Id,
    /// The newest record that is known, and etcd's number for it; zero where that is not known.
    copy: Option<Box<Cluster>>,
    revision: u64,
    /// How new the copy is that the agent has, as far as a beat has told it: an admission may have seen a newer one since.
    told: Option<(u32, u64)>,
    /// What was wrong last: said once.
    trouble: Option<&'static str>,
}

/// What a beat has found.
pub struct Beat {
    /// Who is down, as far as could be seen.
    pub down: Vec<u32>,
    /// A newer record.
    pub newer: Option<Box<Cluster>>,
    /// A newer one does not know this node.
    pub is_expelled: bool,
    /// What is wrong with the store.
    pub trouble: Option<&'static str>,
}

/// What came of some admissions, by their numbers.
#[derive(Default)]
pub struct Admitted {
    /// Who is admitted: the answer is the record.
    pub admitted: Vec<u32>,
    /// The record with them in it.
    pub record: Option<Box<Cluster>>,
    /// Who gets another answer.
    pub others: Vec<(u32, JoinAnswer)>,
}

impl Admitted {
    /// Those that still wait have waited in vain.
    fn without(mut self, waiting: &[Admission], reason: TriedReason) -> Self {
        self.others.extend(waiting.iter().map(|admission| (admission.number, JoinAnswer::NotNow(reason))));
        self
    }
}

/// Why the record could not be had or changed.
enum Stop {
    Fault(Fault),
    /// Nobody is to be admitted by what the store has.
    Barred(TriedReason),
    /// What is there is newer, and does not know this node.
    Expelled,
    /// Somebody else is always faster.
    Overtaken,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Shared {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(place: Place, beat: Duration, max_skew_seconds: u64) -> Box<Self> {
        let rules = peer::Shared::new(max_skew_seconds, node::uptime_ms());
        let etcd = Etcd::new(place, beat);
        Box::new(Self { etcd, rules, own: Id::default(), copy: None, revision: 0, told: None, trouble: None })
    }

    /// From now on this node, `own`, is a member with this copy; or a member no more.
    pub fn live(&mut self, own: Id, copy: Option<Box<Cluster>>) {
        if copy.is_none() {
            self.etcd.leave();
        }
        self.own = own;
        self.told = copy.as_ref().map(|copy| copy.age());
        self.copy = copy;
        self.revision = 0;
    }

    /// Whether the store can be used and has a record.
    pub fn check(&mut self) -> StoreChecked {
        match self.etcd.look(0) {
            Ok(seen) if seen.news == News::None || seen.news == News::Absent => StoreChecked::Empty,
            Ok(_) => StoreChecked::Taken,
            Err(Fault { endpoint, error }) => {
                let node = heapless::String::try_from(endpoint.as_str()).unwrap_or_default();
                StoreChecked::Failed(NodeTried { node, reason: reason(&error) })
            }
        }
    }

    /// Says that this node is there, and looks for what has changed.
    pub fn beat(&mut self) -> Beat {
        let mut beat = Beat { down: Vec::new(), newer: None, is_expelled: false, trouble: None };
        if self.copy.is_none() {
            return beat;
        }
        let done = self.stay().and_then(|()| self.tend());
        self.complain(&done);
        beat.is_expelled = matches!(done, Err(Stop::Expelled));
        beat.trouble = self.trouble;
        if let Some(copy) = &self.copy {
            beat.down = self.rules.down(copy, node::uptime_ms()).collect();
            let before = self.told.replace(copy.age());
            beat.newer = (Some(copy.age()) > before).then(|| copy.clone());
        }
        beat
    }

    /// A store that does not know this node's lease may have lost everything, and counts anew: what it calls by a number that
    /// is known here may be another record.
    fn stay(&mut self) -> Result<(), Stop> {
        if !self.etcd.stay(self.own)? {
            self.revision = 0;
        }
        Ok(())
    }

    fn tend(&mut self) -> Result<(), Stop> {
        self.look()?;
        let (own, now) = (self.own, node::uptime_ms());
        let Some(mut draft) = self.copy.clone() else { return Ok(()) };
        if self.rules.beat(&mut draft, own, now) {
            // Where somebody else was faster, the next beat tries again.
            self.write(draft)?;
        }
        Ok(())
    }

    /// One line for each new trouble, and one when it is over.
    fn complain(&mut self, done: &Result<(), Stop>) {
        let trouble = match done {
            Ok(()) | Err(Stop::Expelled | Stop::Overtaken) => None,
            Err(Stop::Fault(fault)) => Some(reason(&fault.error).name()),
            Err(Stop::Barred(_)) => Some("it has an older record than this node, or another one"),
        };
        if trouble == self.trouble {
            return;
        }
        match (trouble, done) {
            (Some(trouble), Err(Stop::Fault(fault))) => {
                log::warn("the store does not serve", &[("endpoint", &fault.endpoint), ("reason", &trouble)]);
            }
            (Some(trouble), _) => log::warn("the store cannot be trusted", &[("reason", &trouble)]),
            (None, _) => log::info("the store serves again", &[]),
        }
        self.trouble = trouble;
    }

    /// Nodes that have proved the password want to join: how that ends, for each of them.
    pub fn admit(&mut self, mut waiting: Vec<Admission>) -> Admitted {
        let mut ended = Admitted::default();
        let edited = self.edit(&mut |rules, draft| {
            // Who gets another answer waits no more.
            waiting.retain(|Admission { number, request, key, clock_ms, .. }| {
                // Its clock is compared with ours of when it has asked.
                let joined = rules.join(draft, (request, *key), (node::uptime_ms(), *clock_ms));
                joined.map_err(|answer| ended.others.push((*number, answer))).is_ok()
            });
            true
        });
        match edited {
            Ok(()) => {
                ended.admitted = waiting.iter().map(|admission| admission.number).collect();
                ended.record.clone_from(&self.copy);
                ended
            }
            Err(Stop::Fault(_)) => ended.without(&waiting, TriedReason::NoStore),
            Err(Stop::Barred(reason)) => ended.without(&waiting, reason),
            Err(Stop::Expelled) => ended.without(&waiting, TriedReason::NotAMember),
            Err(Stop::Overtaken) => ended.without(&waiting, TriedReason::NotReady),
        }
    }

    /// Makes a change of the record; the record with it.
    ///
    /// # Errors
    /// Why not. Where an answer of the store was lost it may be made all the same.
    #[cfg(feature = "management")]
    pub fn change(&mut self, change: &Change) -> Result<Box<Cluster>, Refusal> {
        let mut refused = None;
        let edited = self.edit(&mut |_, draft| {
            refused = draft.change(change, node::now()).err();
            refused.is_none()
        });
        match (edited, refused) {
            (Ok(()), Some(refusal)) => Err(refusal),
            (Ok(()), None) => self.copy.clone().ok_or(Refusal::NotAMember),
            (Err(Stop::Fault(_) | Stop::Overtaken), _) => Err(Refusal::NoStore),
            (Err(Stop::Barred(_)), _) => Err(Refusal::NeedsRecovery),
            (Err(Stop::Expelled), _) => Err(Refusal::NotAMember),
        }
    }

    /// Has the newest record edited, and written where that was good and has changed it: again where somebody else was faster
    /// or the store did not serve, for as long as somebody waits for it.
    fn edit(&mut self, edit: &mut dyn FnMut(&mut peer::Shared, &mut Cluster) -> bool) -> Result<(), Stop> {
        let end = Instant::now().checked_add(ADMISSION);
        loop {
            let stop = match self.try_to_edit(edit) {
                Ok(true) => return Ok(()),
                Ok(false) => Stop::Overtaken,
                Err(stop) => stop,
            };
            let is_over = end <= Some(Instant::now());
            match stop {
                Stop::Fault(_) if !is_over => std::thread::sleep(AGAIN),
                Stop::Overtaken if !is_over => {}
                Stop::Fault(_) | Stop::Overtaken | Stop::Barred(_) | Stop::Expelled => return Err(stop),
            }
        }
    }

    /// Whether that is done; not where somebody else was faster.
    fn try_to_edit(&mut self, edit: &mut dyn FnMut(&mut peer::Shared, &mut Cluster) -> bool) -> Result<bool, Stop> {
        self.look()?;
        let Some(mut draft) = self.copy.clone() else { return Err(Stop::Expelled) };
        let before = draft.age();
        let is_good = edit(&mut self.rules, &mut draft);
        if is_good && draft.age() != before { self.write(draft) } else { Ok(true) }
    }

    /// This node has made `adopted` its record, and says so.
    pub fn confirm(&mut self, own: Id, adopted: &Cluster) -> Confirmed {
        match self.try_to_confirm(own, adopted) {
            Ok(confirmed) => confirmed,
            Err(fault) => {
                self.complain(&Err(Stop::Fault(fault)));
                Confirmed::Unanswered
            }
        }
    }

    fn try_to_confirm(&mut self, own: Id, adopted: &Cluster) -> Result<Confirmed, Fault> {
        self.etcd.stay(own)?;
        let key = seal::common_key(adopted);
        let (stored, revision) = match self.etcd.look(0)?.news {
            News::Record(bytes, revision) => (open(&key, &bytes), revision),
            News::None | News::Absent if adopted.is_founder(own) => {
                let Some(sealed) = sealed(adopted) else { return Ok(Confirmed::Unanswered) };
                return Ok(match self.etcd.swap(0, &sealed)? {
                    Swap::Done(_) => Confirmed::Done,
                    Swap::Conflict(_) => Confirmed::Unanswered,
                });
            }
            News::None | News::Absent => return Ok(Confirmed::Unanswered),
        };
        let Some(mut stored) = stored else {
            // Whoever found a cluster on another's record founds none.
            return Ok(if adopted.is_founder(own) { Confirmed::Unknown } else { Confirmed::Unanswered });
        };
        let before = stored.age();
        let confirmed = peer::Shared::confirm(&mut stored, adopted, own);
        if stored.age() == before {
            return Ok(confirmed);
        }
        let Some(sealed) = sealed(&stored) else { return Ok(Confirmed::Unanswered) };
        Ok(match self.etcd.swap(revision, &sealed)? {
            Swap::Done(_) => confirmed,
            Swap::Conflict(_) => Confirmed::Unanswered,
        })
    }

    /// Takes what the store has.
    fn look(&mut self) -> Result<(), Stop> {
        let mut seen = self.etcd.look(self.revision)?;
        if !seen.leased.contains(&self.own) {
            self.etcd.lost();
            if self.revision != 0 {
                // See `stay`.
                self.revision = 0;
                seen = self.etcd.look(0)?;
            }
            // Who looks is there.
            seen.leased.push(self.own);
        }
        self.take(seen.news)?;
        if let Some(copy) = &self.copy {
            self.rules.see(copy, &seen.leased, node::uptime_ms());
        }
        Ok(())
    }

    fn take(&mut self, news: News) -> Result<(), Stop> {
        let Some(copy) = &self.copy else { return Ok(()) };
        if news == News::None && self.revision != 0 {
            return Ok(());
        }
        // What cannot be trusted is not known by its number, either.
        self.revision = 0;
        let barred = Stop::Barred(TriedReason::NeedsRecovery);
        // Where somebody has removed it, it comes again by a recovery only.
        let News::Record(bytes, revision) = news else { return Err(barred) };
        let Some(stored) = open(&seal::common_key(copy), &bytes) else { return Err(barred) };
        match peer::Shared::judge(copy, self.own, &stored) {
            Sight::Same => {}
            Sight::Newer => self.copy = Some(stored),
            Sight::Expelled => return Err(Stop::Expelled),
            Sight::Barred(bar) => return Err(Stop::Barred(bar.reason())),
        }
        self.revision = revision;
        Ok(())
    }

    /// Makes a draft of the copy the record, unless that has changed meanwhile. Whether it is.
    fn write(&mut self, mut draft: Box<Cluster>) -> Result<bool, Stop> {
        // An older program did not say so.
        draft.is_shared = true;
        let Some(sealed) = sealed(&draft) else { return Ok(false) };
        match self.etcd.swap(self.revision, &sealed)? {
            Swap::Done(revision) => {
                self.copy = Some(draft);
                self.revision = revision;
                Ok(true)
            }
            Swap::Conflict(news) => {
                self.take(news)?;
                Ok(false)
            }
        }
    }
}

/// Why a store does not serve.
fn reason(error: &std::io::Error) -> TriedReason {
    let reason = wire::reason(error);
    if error.kind() == ErrorKind::PermissionDenied {
        TriedReason::NotPermitted
    } else if reason == TriedReason::NotAMember {
        TriedReason::NotAStore
    } else {
        reason
    }
}

/// The record for the store, for nobody to read who has no copy of it.
fn sealed(cluster: &Cluster) -> Option<Vec<u8>> {
    let bytes = store::encode(cluster)?;
    seal::seal(&seal::common_key(cluster), ABOUT, Direction::Answer, b"", &bytes).ok()
}

fn open(key: &Key, sealed: &[u8]) -> Option<Box<Cluster>> {
    let bytes = seal::open(key, ABOUT, Direction::Answer, b"", sealed)?;
    store::decode(&bytes).ok()
}
