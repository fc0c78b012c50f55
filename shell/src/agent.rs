//! The node's mind: the only owner of the machine, the facts and the cluster's record. It belongs to the loop's
//! thread, so there is no lock; slow effects go to the worker, and what came of them comes back as [`Done`].

use std::io;
use std::sync::MutexGuard;

use bootstrapd_core::cluster::Cluster;
use bootstrapd_core::limits::{CLUSTER_RECORD_BYTES_MAX, STATUS_BYTES_MAX};
use bootstrapd_core::machine::{Effect, Event, Machine, PathRole, Trouble};
use bootstrapd_core::node::NodeInfo;
use bootstrapd_core::status;
use bootstrapd_core::time::Timestamp;

use crate::boot::Boot;
use crate::gate::Gate;
use crate::http;
use crate::logins::Logins;
use crate::node;
use crate::perform::{Done, Job, Outcome, Threads, Who};
use crate::secret::LicenseKey;
use crate::store::Pair;

mod answers;
#[cfg(feature = "management")]
mod described;
mod door;
mod effects;
#[cfg(feature = "ui")]
mod events;
#[cfg(feature = "management")]
mod manage;
mod outcomes;
mod page;
mod peers;
mod progress;
mod shared;
#[cfg(feature = "ui")]
mod ui;
mod validation;

pub use answers::{Call, Purpose, Step};
use outcomes::{saved, trouble};
use page::Page;
pub use page::Reply;
pub use peers::Habits;
use peers::Others;

/// Something that connections wait for.
#[derive(Debug)]
pub enum News {
    /// A login was checked, or there was no memory to do so.
    Login([u8; 32], Option<bool>),
    /// The attempt is durable, or why it is not.
    Accepted(Result<(), Trouble>),
    /// A validation has ended.
    Validated(u32),
    /// An accepted attempt has put an end to a validation.
    Overtaken(u32),
    /// The record that an answer speaks of is durable, or could not be made so.
    Kept(u32, bool),
    /// The progress has changed.
    Progress,
}

/// The clocks, read once for each turn of the loop.
#[derive(Debug, Default)]
struct Clock {
    now: Timestamp,
    uptime_ms: u64,
    date: String,
}

/// See the module.
pub struct Agent {
    machine: MutexGuard<'static, Machine>,
    validator: Option<(u32, Box<Machine>)>,
    validations: u32,
    /// Which effect of the attempt the worker has.
    under_way: Option<Effect>,
    facts: Box<NodeInfo>,
    facts_version: u64,
    /// The one that the node is in, or that has sent it away.
    cluster: Option<Box<Cluster>>,
    /// The attempt's, until it is completed.
    founded: Option<Box<Cluster>>,
    /// Why nothing can be answered: a record that cannot be read.
    broken: Option<String>,
    node_record: Pair,
    license_key: Option<LicenseKey>,
    shows_bigstore: bool,
    /// What the operator has put before the door.
    gate: Option<Box<Gate>>,
    logins: Logins,
    others: Others,
    threads: Threads,
    clock: Clock,
    /// The status document's fixed part, and what it was written of.
    head: Page,
    head_of: Option<(u64, u64)>,
    /// The part that moves, and the moment and uptime that it shows.
    tail: Page,
    tail_of: Option<(Timestamp, u64)>,
    /// Where every other document is written.
    page: Page,
    news: Vec<News>,
    /// Connections that wait for the progress to change, and which they know.
    watchers: usize,
    watched: u64,
}

impl Agent {
    /// The node that a start found, and its machine. The gate's time begins to run.
    ///
    /// # Errors
    /// Where the system has no randomness.
    pub fn new(
        machine: MutexGuard<'static, Machine>,
        boot: Boot,
        threads: Threads,
        license_key: Option<LicenseKey>,
        habits: Habits,
        gate: Option<Box<Gate>>,
    ) -> io::Result<Self> {
        let mut agent = Self {
            machine,
            validator: None,
            validations: 0,
            under_way: None,
            facts: boot.facts,
            facts_version: 0,
            cluster: boot.cluster,
            founded: boot.adopted,
            broken: boot.broken,
            node_record: boot.node_record,
            license_key,
            shows_bigstore: boot.shows_bigstore,
            gate,
            logins: Logins::new()?,
            others: Others::new(habits, node::uptime_ms())?,
            threads,
            clock: Clock::default(),
            head: Page::new(STATUS_BYTES_MAX),
            head_of: None,
            tail: Page::new(status::TAIL_BYTES_MAX),
            tail_of: None,
            // The largest is the list of MEMBERS_MAX nodes, which is smaller than the record that it comes from.
            page: Page::new(CLUSTER_RECORD_BYTES_MAX),
            news: Vec::new(),
            watchers: 0,
            watched: 0,
        };
        agent.tick();
        agent.open_gate();
        agent.watch();
        agent.live_with_others();
        let goes_on = agent.machine.resume();
        if goes_on.is_some() {
            agent.drive(Who::Attempt, goes_on);
        }
        Ok(agent)
    }

    /// Reads the clocks.
    pub fn tick(&mut self) {
        self.clock.uptime_ms = node::uptime_ms();
        // Who was stalled, or asleep, must know before anybody is judged.
        self.others.peers.liveness.look(self.clock.uptime_ms);
        let now = node::now();
        if now != self.clock.now || self.clock.date.is_empty() {
            self.clock.now = now;
            self.clock.date = http::date(now);
        }
    }

    /// Milliseconds since the machine started, as of the last [`Agent::tick`].
    #[must_use]
    pub const fn uptime_ms(&self) -> u64 {
        self.clock.uptime_ms
    }

    /// The state's name, for the line that a start prints.
    #[must_use]
    pub fn state_name(&self) -> &'static str {
        if self.broken.is_some() { "unknown" } else { self.machine.state().name() }
    }

    /// The addresses of the machine have changed.
    pub fn read_addresses(&mut self) {
        // What was known stands where the kernel will not say.
        let Some(addresses) = node::addresses() else { return };
        if addresses != self.facts.addresses {
            self.facts.addresses = addresses;
            self.facts_version = self.facts_version.wrapping_add(1);
        }
    }

    /// Hands the next effect to the worker. What cannot even be handed over is an event at once.
    fn drive(&mut self, who: Who, mut next: Option<Effect>) {
        while let Some(effect) = next {
            if who == Who::Attempt {
                self.under_way = Some(effect);
            }
            if self.go_out(who, effect) {
                return;
            }
            if let Some(work) = self.work(who, effect) {
                return self.threads.jobs.push(Job::Work(who, work));
            }
            let event = saved(Some(effect), Err(trouble("the record is too long")));
            next = self.handle(who, event);
        }
        if who == Who::Attempt {
            self.under_way = None;
            self.attempt_ended();
        }
    }

    fn machine(&self, who: Who) -> &Machine {
        match (who, &self.validator) {
            (Who::Validation(number), Some((running, validator))) if number == *running => validator,
            (Who::Attempt | Who::Validation(_) | Who::Record, _) => &self.machine,
        }
    }

    fn handle(&mut self, who: Who, event: Event) -> Option<Effect> {
        let now = self.clock.now;
        match (who, &mut self.validator) {
            (Who::Attempt, _) => self.machine.handle(event, &self.facts, now),
            (Who::Validation(number), Some((running, validator))) if number == *running => {
                let next = validator.handle(event, &self.facts, now);
                if next.is_none() {
                    self.news.push(News::Validated(number));
                }
                next
            }
            // It was overtaken or given up.
            (Who::Validation(_) | Who::Record, _) => None,
        }
    }

    /// Takes what a thread has to tell.
    pub fn done(&mut self, done: Done) {
        match done {
            Done::Login(mac, good) => {
                self.logins.checked(mac, good);
                self.news.push(News::Login(mac, good));
            }
            Done::Facts([persistent, ephemeral, bigstore], memory) => {
                self.facts.persistent.size = persistent;
                self.facts.ephemeral.size = ephemeral;
                if let Some(storage) = &mut self.facts.bigstore {
                    storage.size = bigstore;
                }
                self.facts.total_memory = memory;
                self.facts_version = self.facts_version.wrapping_add(1);
            }
            Done::Beat => self.beat(),
            Done::Stored(beat) => self.stored(beat),
            Done::Admitted(ended) => self.admitted(ended),
            Done::StoreChecked(who, found) => {
                let next = self.handle(who, Event::StoreChecked(found));
                self.drive(who, next);
            }
            Done::Confirmed(confirmed) => self.confirmed(confirmed),
            Done::Told(by, ask, told) => self.told(by, ask, told),
            Done::Waited(who) => {
                let next = self.handle(who, Event::Waited);
                self.drive(who, next);
            }
            Done::Contacted(who, end) => {
                let contacted = self.contacted(who, end);
                let next = self.handle(who, Event::Contacted(contacted));
                self.drive(who, next);
            }
            // The loop's own.
            Done::Certificate(_) => {}
            Done::Work(Who::Record, Outcome::Saved(result)) => self.kept(&result),
            #[cfg(feature = "management")]
            Done::Work(_, Outcome::Examined(found)) => self.examined(&found),
            #[cfg(feature = "management")]
            Done::Changed(number, change, ended) => self.changed(number, &change, ended),
            Done::Work(who, outcome) => {
                let event = self.event(who, outcome);
                let accepting = who == Who::Attempt && self.machine.is_accepting();
                let result = if let Event::Persisted(result) | Event::Discarded(result) = &event {
                    result.clone()
                } else {
                    Ok(())
                };
                let next = self.handle(who, event);
                if accepting && !self.machine.is_accepting() {
                    self.attempt_accepted(&result);
                    self.news.push(News::Accepted(result));
                }
                self.drive(who, next);
            }
        }
    }

    /// Tells the worker which file systems to look at, and shows their paths.
    fn watch(&mut self) {
        let path = |role| self.machine.path(role);
        let [_, _, asked, _] = self.machine.paths_to_check();
        let member =
            |cluster: &Cluster| cluster.member_of(self.machine.node_id()).is_some_and(|own| own.bigstore_enabled);
        let shows = self.shows_bigstore || self.cluster.as_deref().is_some_and(member);
        let bigstore = asked.or_else(|| shows.then(|| path(PathRole::Bigstore)));
        let watched = [Some(path(PathRole::Persistent)), Some(path(PathRole::Ephemeral)), bigstore];
        let storage = watched.map(|path| {
            let path = heapless::String::try_from(path?).ok()?;
            Some(bootstrapd_core::node::Storage { path, size: None })
        });
        self.threads.jobs.push(Job::Watch(watched.map(|path| path.map(str::to_owned))));
        let [persistent, ephemeral, bigstore] = storage;
        self.facts.persistent = persistent.unwrap_or_default();
        self.facts.ephemeral = ephemeral.unwrap_or_default();
        self.facts.bigstore = bigstore;
        self.facts_version = self.facts_version.wrapping_add(1);
    }

    /// What has happened since the last call that connections may wait for.
    pub fn take_news(&mut self) -> Vec<News> {
        if self.watchers > 0 && self.watched != self.machine.version() {
            self.watched = self.machine.version();
            self.news.push(News::Progress);
        }
        std::mem::take(&mut self.news)
    }

    /// Whether other machines are talked to in plain HTTP.
    #[must_use]
    pub const fn allows_plaintext(&self) -> bool {
        self.others.habits.allow_plaintext
    }

    /// The threads.
    #[must_use]
    pub const fn threads(&self) -> &Threads {
        &self.threads
    }
}
