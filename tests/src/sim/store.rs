//! The store that all members share: one key, which changes by compare-and-swap, and a key with a lease for each node that
//! is alive. What an agent asks of it goes there and back like any message: it is lost before it is done or after, it is
//! done when nobody waits for it any more, and one that gets no answer is sent again.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use bootstrapd_core::cluster::Cluster;
use bootstrapd_core::record::Id;

use super::rules::Broken;
use super::wire::brief;
use super::world::{What, World};

/// A lease is good for so long, in milliseconds.
pub(super) const LEASE_MS: u64 = 20_000;
/// One endpoint has so long for an answer.
const PATIENCE_MS: u64 = 2_000;
/// All of them together.
const PATIENCE_MAX_MS: u64 = 5_000;

/// A record as it is sealed: no two are alike, whatever they hold.
#[derive(Clone)]
pub(super) struct Sealed(pub(super) Rc<Cluster>, pub(super) u64);

/// What an agent asks of the store. Numbers are the store's own for the record; zero for one that is absent.
#[derive(Clone)]
pub(super) enum Act {
    /// The record, unless it is the known one, and who is alive.
    Look(u64),
    /// The record in the place of the known one.
    Swap(u64, Sealed),
    /// More time for a lease.
    Renew(u64),
    /// A lease.
    Grant,
    /// A node's key, for as long as a lease is good.
    Put(Id, u64),
    /// The end of a lease.
    Revoke(u64),
}

/// What it answers.
#[derive(Clone)]
pub(super) enum Said {
    /// Who has a lease, and the record.
    Seen(Rc<Vec<Id>>, News),
    /// What came of a swap.
    Swapped(Swap),
    /// Whether the lease is still good.
    Renewed(bool),
    /// A lease.
    Granted(u64),
    /// It is done.
    Done,
    /// It cannot be done.
    Refused,
}

/// The record, as the store has it.
#[derive(Clone)]
pub(super) enum News {
    /// It is the one that was known.
    None,
    /// There is none.
    Absent,
    /// Another one, and its number.
    Record(Sealed, u64),
}

/// What came of a swap.
#[derive(Clone)]
pub(super) enum Swap {
    /// It is done; the number of what was written.
    Done(u64),
    /// Another record was there.
    Conflict(News),
}

/// What the store holds.
#[derive(Clone, Default)]
struct Held {
    /// Grows with everything that is written.
    revision: u64,
    record: Option<(Sealed, u64)>,
    /// When each lease ends.
    leases: BTreeMap<u64, u64>,
    /// The lease that each node's key has.
    alive: BTreeMap<[u8; 16], u64>,
}

/// Something that an agent has asked, and waits for.
struct Errand {
    from: usize,
    incarnation: u64,
    act: Act,
    /// Whom it has not asked yet, of the endpoints.
    endpoints: u64,
    end_ms: u64,
}

/// See the module.
#[derive(Default)]
pub(super) struct Store {
    held: Held,
    /// What it held some time ago.
    copy: Option<Held>,
    errands: BTreeMap<u64, Errand>,
    /// How many endpoints agents know.
    endpoints: u64,
    /// It does not answer.
    pub(super) is_down: bool,
    /// Whether it is on the far side of a cut.
    pub(super) is_cut_off: bool,
}

impl Held {
    fn number(&self) -> u64 {
        self.record.as_ref().map_or(0, |(_, number)| *number)
    }

    fn news(&self) -> News {
        self.record.clone().map_or(News::Absent, |(record, number)| News::Record(record, number))
    }

    fn leased(&self, now_ms: u64) -> Vec<Id> {
        let is_good = |lease| self.leases.get(lease).is_some_and(|end| *end > now_ms);
        self.alive.iter().filter(|(_, lease)| is_good(lease)).map(|(node, _)| Id(*node)).collect()
    }

    fn act(&mut self, act: &Act, now_ms: u64) -> Said {
        let is_good = |end: &u64| *end > now_ms;
        match act {
            Act::Look(known) => {
                let news = if *known == self.number() { News::None } else { self.news() };
                Said::Seen(Rc::new(self.leased(now_ms)), news)
            }
            Act::Swap(known, record) => Said::Swapped(self.swap(*known, record)),
            Act::Renew(lease) => {
                let end = self.leases.get_mut(lease).filter(|end| is_good(end));
                Said::Renewed(end.map(|end| *end = now_ms + LEASE_MS).is_some())
            }
            Act::Grant => {
                self.revision += 1;
                // As in etcd, a number that no other store gives.
                let lease = now_ms << 20 | self.revision;
                self.leases.insert(lease, now_ms + LEASE_MS);
                Said::Granted(lease)
            }
            Act::Put(node, lease) => {
                if !self.leases.get(lease).is_some_and(is_good) {
                    return Said::Refused;
                }
                self.revision += 1;
                self.alive.insert(node.0, *lease);
                Said::Done
            }
            Act::Revoke(lease) => {
                self.leases.remove(lease);
                Said::Done
            }
        }
    }

    fn swap(&mut self, known: u64, record: &Sealed) -> Swap {
        if known == self.number() {
            self.revision += 1;
            self.record = Some((record.clone(), self.revision));
            return Swap::Done(self.revision);
        }
        match &self.record {
            // An endpoint may have written it whose answer was lost.
            Some((found, number)) if found.1 == record.1 => Swap::Done(*number),
            Some(_) | None => Swap::Conflict(self.news()),
        }
    }
}

impl Store {
    /// With nothing in it.
    pub(super) fn new(endpoints: u64) -> Self {
        Self { endpoints, ..Self::default() }
    }

    /// The record that it holds.
    pub(super) fn record(&self) -> Option<&Rc<Cluster>> {
        self.held.record.as_ref().map(|(record, _)| &record.0)
    }

    /// Everything is lost.
    pub(super) fn lose(&mut self) {
        self.held = Held::default();
    }

    /// What it holds is copied.
    pub(super) fn copy(&mut self) {
        self.copy = Some(self.held.clone());
    }

    /// It goes back to what was copied; whether there was anything.
    pub(super) fn go_back(&mut self) -> bool {
        self.copy.clone().map(|copy| self.held = copy).is_some()
    }
}

impl World {
    /// Sends something to the store.
    pub(super) fn ask_store(&mut self, from: usize, act: Act) {
        let (now_ms, incarnation) = (self.now_ms, self.incarnation(from));
        let Some(store) = &self.store else { return };
        let errand = Errand { from, incarnation, act, endpoints: store.endpoints, end_ms: now_ms + PATIENCE_MAX_MS };
        self.ask_endpoint(errand);
    }

    /// Sends it to the next endpoint.
    fn ask_endpoint(&mut self, mut errand: Errand) {
        self.rules.tally.asked += 1;
        errand.endpoints -= 1;
        let (number, from, act) = (self.number(), errand.from, errand.act.clone());
        self.after(PATIENCE_MS.min(errand.end_ms - self.now_ms), What::StoreSaid { number, said: None });
        let delay = self.delay();
        if !self.is_without_store(from) && !self.random.chance(self.faults.lose) {
            self.after(delay, What::AtStore { number, from, act });
        }
        self.store.as_mut().unwrap().errands.insert(number, errand);
    }

    fn is_without_store(&self, place: usize) -> bool {
        let (here, store) = (&self.places[place], self.store.as_ref().unwrap());
        store.is_down || here.is_without_store || here.is_cut_off != store.is_cut_off
    }

    /// Something has come to the store: it is done, whether or not anybody still waits for it.
    ///
    /// # Errors
    /// What must hold and does not.
    pub(super) fn at_store(&mut self, number: u64, from: usize, act: &Act) -> Result<(), Broken> {
        let store = self.store.as_mut().unwrap();
        if store.is_down {
            return Ok(());
        }
        let before = store.record().cloned();
        let said = store.held.act(act, self.now_ms);
        if let (Act::Swap(_, Sealed(after, _)), Said::Swapped(Swap::Done(_))) = (act, &said) {
            let mut alive = store.held.leased(self.now_ms);
            alive.push(self.places[from].node_id);
            self.rules.written(before.as_ref(), after, &alive, self.now_ms)?;
        }
        let is_lost = self.is_without_store(from) || self.random.chance(self.faults.lose);
        let delay = self.delay();
        if !is_lost {
            self.after(delay, What::StoreSaid { number, said: Some(said) });
        }
        Ok(())
    }

    /// The operator puts a record in the place of what the store has.
    ///
    /// # Errors
    /// What must hold and does not.
    pub(super) fn store_again(&mut self, record: &Rc<Cluster>) -> Result<(), Broken> {
        let store = self.store.as_mut().unwrap();
        let before = store.record().cloned();
        store.held.revision += 1;
        store.held.record = Some((Sealed(Rc::clone(record), self.random.next()), store.held.revision));
        self.rules.recovered(before.as_ref(), record, self.now_ms)
    }

    /// Who waits for the store's answer with this number.
    pub(super) fn asker(&self, number: u64) -> Option<usize> {
        self.store.as_ref()?.errands.get(&number).map(|errand| errand.from)
    }

    /// What the store has said has arrived, or no answer has in time.
    ///
    /// # Errors
    /// What must hold and does not.
    pub(super) fn store_said(&mut self, number: u64, said: Option<Said>) -> Result<(), Broken> {
        let Some(errand) = self.store.as_mut().unwrap().errands.remove(&number) else { return Ok(()) };
        let from = errand.from;
        if self.incarnation(from) != errand.incarnation || self.places[from].agent.is_none() {
            return Ok(());
        }
        if said.is_none() && errand.endpoints > 0 && self.now_ms < errand.end_ms {
            self.ask_endpoint(errand);
            return Ok(());
        }
        self.hear_store(from, said)
    }
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Look(known) => write!(f, "look, known {known}"),
            Self::Swap(known, Sealed(record, seal)) => {
                write!(f, "swap {known} for {} sealed {seal}", brief(&record.stamp()))
            }
            Self::Renew(lease) => write!(f, "renew {lease}"),
            Self::Grant => f.write_str("grant"),
            Self::Put(node, lease) => write!(f, "put {} with {lease}", node.0[0]),
            Self::Revoke(lease) => write!(f, "revoke {lease}"),
        }
    }
}

impl fmt::Debug for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("nothing new"),
            Self::Absent => f.write_str("absent"),
            Self::Record(Sealed(record, seal), number) => {
                write!(f, "{number}: {} sealed {seal}", brief(&record.stamp()))
            }
        }
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seen(leased, news) => {
                write!(f, "alive {:?}, {news:?}", leased.iter().map(|node| node.0[0]).collect::<Vec<_>>())
            }
            Self::Swapped(Swap::Done(number)) => write!(f, "swapped, {number}"),
            Self::Swapped(Swap::Conflict(news)) => write!(f, "not swapped: {news:?}"),
            Self::Renewed(is_good) => write!(f, "renewed {is_good}"),
            Self::Granted(lease) => write!(f, "granted {lease}"),
            Self::Done => f.write_str("done"),
            Self::Refused => f.write_str("refused"),
        }
    }
}
