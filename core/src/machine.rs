//! One bootstrap attempt's whole life. Events go in, at most one effect comes out of each; the machine touches
//! nothing itself. Durability cannot be forgotten, because making it so is an effect like any other.
//!
//! ```text
//! create   start ─▶ Persist ─▶ CheckPaths ─▶ VerifyLicense ─▶ Found ───────▶ Adopt ─▶ Persist ─▶ completed
//! recover                          ├───────▶ ReadRecovery ──────────────────▶ Adopt ─▶ Persist ─▶ completed
//! join                             └───────▶ Contact … Wait … Contact ─▶ Adopt ─▶ Persist ─▶ Confirm ─▶ Persist
//! any of these but the last two of join ─▶ [Discard ─▶] Persist ─▶ error
//! with a shared store: CheckStore before Found, ReadRecovery and Contact; and all three confirm as join does
//! Confirm, where the cluster does not know the node ─▶ Persist ─▶ Discard ─▶ Persist ─▶ error
//! ```
//!
//! A joiner that has made the record its own is in the cluster's hands: it asks until it hears that it is a member, or
//! that it is unknown. Giving up on its own would leave a member that is none.

use heapless::Vec;

use crate::config::table::Object;
use crate::config::{Action, Config, Paths};
use crate::failure::{Cause, Failure, TriedReason};
use crate::license::{self, Terms};
use crate::limits::CONTACTS_MAX;
use crate::node::NodeInfo;
use crate::problems::{Place, Problems};
use crate::record::{Id, Membership};
use crate::time::Timestamp;

mod end;
mod event;
mod founding;
mod join;
mod path;
mod phase;
mod progress;
mod record;
mod shared;
mod view;

pub use event::{Confirmed, Contacted, Effect, Event, Refusal, StoreChecked, Trouble};
pub use path::{FileId, PathRole, PathTrouble, PathsFound};
use phase::{Mode, Phase, Rest};

/// A node's bootstrap: at rest, or in an attempt.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, whatever the phase")]
pub struct Machine {
    node_id: Id,
    /// Of the last record.
    revision: u64,
    /// Whether the cluster's record is in a store that all its members share.
    is_shared: bool,
    /// See [`Machine::version`].
    version: u64,
    mode: Mode,
    phase: Phase,
    action: Action,
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    failed: bool,
    /// Only where `failed`.
    failure: Failure,
    /// Of the attempt that is shown.
    problems: Problems,
    /// Of the cluster that the node is in, or that has sent it away.
    membership: Option<Membership>,
    /// The last attempt's cluster record could not be removed: no other attempt begins before it is.
    has_leftover: bool,
    /// Sent away by a cluster: whatever attempts end in, the node asks for credentials until one completes.
    expelled: bool,
    /// Of the licence, once it was looked at.
    terms: Terms,
    /// Of the flash path, once it was looked at; in bytes.
    flash: Option<u64>,
    /// Why each node could not be joined through, in this round or the one before.
    tried: Vec<TriedReason, CONTACTS_MAX>,
    /// The agent's own paths.
    defaults: Paths,
    /// Of the last accepted attempt, as configured.
    paths: Paths,
    /// Of the attempt that made the node a member: there is its cluster's record.
    home: Paths,
    /// Of the attempt under way; cleared when it ends.
    config: Config,
    /// Of the body that was read last. Those of the attempt before are shown until this one begins or is refused.
    config_problems: Problems,
}

impl Default for Machine {
    fn default() -> Self {
        let mut machine = Self::blank();
        machine.config.clear();
        machine
    }
}

impl Machine {
    /// No node yet: [`Machine::identify`] or [`Machine::restore`] makes it one. A machine is large and nearly all of it
    /// is room; here every byte is zero, so that one in a `static` takes neither space in the program nor memory
    /// before it is used.
    #[must_use]
    pub const fn blank() -> Self {
        Self {
            node_id: Id([0; 16]),
            revision: 0,
            is_shared: false,
            version: 0,
            mode: Mode::Act,
            phase: Phase::AtRest(Rest::Idle),
            action: Action::CreateCluster,
            start_time: None,
            end_time: None,
            failed: false,
            failure: Failure::BLANK,
            problems: Problems::new(),
            membership: None,
            has_leftover: false,
            expelled: false,
            terms: Terms::BLANK,
            flash: None,
            tried: Vec::new(),
            defaults: Paths::BLANK,
            paths: Paths::BLANK,
            home: Paths::BLANK,
            config: Config::blank(),
            config_problems: Problems::new(),
        }
    }

    /// Becomes the node `node_id`, which never tried; `defaults` are the agent's own paths.
    pub fn identify(&mut self, node_id: Id, defaults: &Paths) {
        self.node_id = node_id;
        self.defaults.clone_from(defaults);
    }

    /// Becomes a machine beside `other` that validates configurations against the same node.
    pub fn validate_for(&mut self, other: &Self) {
        self.identify(other.node_id, &other.defaults);
        self.is_shared = other.is_shared;
        self.mode = Mode::Validate;
    }

    /// Starts `action` with the configuration in `body`, if the node is free and the configuration is right. A
    /// wrong one leaves the state in `error`, in memory only.
    ///
    /// # Errors
    /// A [`Refusal`]; then there is nothing to do.
    pub fn start(&mut self, action: Action, body: &[u8], now: Timestamp) -> Result<Effect, Refusal> {
        let before = self.free()?;
        self.config_problems.clear();
        self.config.read(body, action, &mut self.config_problems);
        if !self.config_problems.is_empty() {
            self.refuse();
            return Err(Refusal::Config);
        }
        self.action = action;
        match self.mode {
            Mode::Act => Ok(if self.has_leftover {
                self.phase = Phase::Clearing { before, at: now, durable: false };
                Effect::Persist
            } else {
                self.accept(before, now)
            }),
            Mode::Validate => {
                self.paths.clone_from(&self.config.node.paths);
                self.begin(now);
                self.phase = Phase::CheckingPaths;
                Ok(Effect::CheckPaths)
            }
        }
    }

    /// Whether an attempt could start, and from where.
    fn free(&self) -> Result<Rest, Refusal> {
        match self.phase {
            Phase::AtRest(Rest::Completed) => Err(Refusal::Member),
            Phase::AtRest(rest) => Ok(rest),
            Phase::Accepting { .. }
            | Phase::Clearing { .. }
            | Phase::CheckingPaths
            | Phase::VerifyingLicense
            | Phase::CheckingStore { .. }
            | Phase::Founding
            | Phase::Contacting { .. }
            | Phase::Waiting { .. }
            | Phase::ReadingRecovery
            | Phase::Adopting(_)
            | Phase::Keeping(_)
            | Phase::Confirming(_)
            | Phase::Completing(_)
            | Phase::Failing { .. }
            | Phase::Disowning
            | Phase::Discarding => Err(Refusal::InProgress),
        }
    }

    /// Whether [`Machine::start`] would look at a body at all.
    ///
    /// # Errors
    /// The [`Refusal`] that it would answer with.
    pub fn check_free(&self) -> Result<(), Refusal> {
        self.free().map(|_| ())
    }

    fn refuse(&mut self) {
        self.config.clear();
        self.problems.copy_from(&self.config_problems);
        // In place: a failure is twelve kilobytes, of which this one uses a few bytes.
        self.failed = true;
        self.failure.cause = Cause::ConfigError { required_rack_id: None };
        self.failure.message.clear();
        self.start_time = None;
        self.end_time = None;
        self.rest(Rest::Failed);
    }

    /// Takes what came of the last effect and says what is next; `None` when the attempt has ended. An event that
    /// does not belong to the effect under way changes nothing.
    pub fn handle(&mut self, event: Event, facts: &NodeInfo, now: Timestamp) -> Option<Effect> {
        match (self.phase, event) {
            (Phase::Accepting { at, .. }, Event::Persisted(Ok(()))) => {
                self.begin(at);
                Some(self.step(Phase::CheckingPaths, Effect::CheckPaths))
            }
            (Phase::Clearing { before, at, durable: false }, Event::Persisted(Ok(()))) => {
                self.phase = Phase::Clearing { before, at, durable: true };
                Some(Effect::Discard)
            }
            (Phase::Clearing { before, at, durable: true }, Event::Discarded(Ok(()))) => {
                self.has_leftover = false;
                Some(self.accept(before, at))
            }
            (
                Phase::Accepting { before, .. } | Phase::Clearing { before, durable: false, .. },
                Event::Persisted(Err(_)),
            )
            | (Phase::Clearing { before, durable: true, .. }, Event::Discarded(Err(_))) => {
                // The record in force is still the one before, and so is everything that is shown.
                self.config.clear();
                self.phase = Phase::AtRest(before);
                None
            }
            (Phase::CheckingPaths, Event::PathsChecked(found)) => self.paths_checked(&found, facts, now),
            (Phase::VerifyingLicense, Event::LicenseVerified(result)) => match result {
                Ok(terms) => self.licensed(terms, now),
                Err(violation) => self.unlicensed(violation, now),
            },
            (Phase::CheckingStore { round }, Event::StoreChecked(found)) => self.store_checked(found, round, now),
            (Phase::Founding, Event::Founded(Ok(membership))) => {
                Some(self.step(Phase::Adopting(membership), Effect::Adopt))
            }
            (Phase::Founding, Event::Founded(Err(trouble))) => {
                self.fail(Failure::internal(format_args!("the cluster could not be founded: {trouble}")), now)
            }
            (Phase::Contacting { node, round }, Event::Contacted(contacted)) => {
                self.contacted(node, round, contacted, now)
            }
            (Phase::Waiting { round }, Event::Waited) => Some(self.reach(round.saturating_add(1))),
            (Phase::ReadingRecovery, Event::RecoveryRead(Ok(membership))) => match self.mode {
                Mode::Act => Some(self.step(Phase::Adopting(membership), Effect::Adopt)),
                Mode::Validate => self.valid(),
            },
            (Phase::ReadingRecovery, Event::RecoveryRead(Err(failure))) => self.fail(failure, now),
            (Phase::Adopting(membership), Event::Adopted(Ok(()))) => Some(if self.confirms() {
                self.step(Phase::Keeping(membership), Effect::Persist)
            } else {
                self.complete(membership, now)
            }),
            (Phase::Keeping(membership), Event::Persisted(Ok(()))) => {
                Some(self.step(Phase::Confirming(membership), Effect::Confirm))
            }
            (Phase::Confirming(membership), Event::Confirmed(confirmed)) => match confirmed {
                Confirmed::Done => Some(self.complete(membership, now)),
                Confirmed::Unanswered => Some(Effect::Confirm),
                Confirmed::Unknown => self.fail(self.unknown(), now),
            },
            (Phase::Adopting(_), Event::Adopted(Err(trouble))) => {
                self.fail(Failure::internal(format_args!("the cluster's record could not be saved: {trouble}")), now)
            }
            (Phase::Completing(membership), Event::Persisted(Ok(()))) => {
                self.membership = Some(membership);
                self.home.clone_from(&self.paths);
                self.expelled = false;
                self.rest(Rest::Completed);
                None
            }
            // The cluster counts on this node: it must not give up. A restart would confirm again, and so does this.
            (Phase::Completing(membership), Event::Persisted(Err(_))) if self.confirms() => {
                self.end_time = None;
                Some(self.step(Phase::Confirming(membership), Effect::Confirm))
            }
            (Phase::Completing(_) | Phase::Keeping(_), Event::Persisted(Err(trouble))) => {
                self.fail(Failure::internal(format_args!("the node's record could not be saved: {trouble}")), now)
            }
            (Phase::Disowning, Event::Persisted(Ok(()))) => Some(self.step(Phase::Discarding, Effect::Discard)),
            (Phase::Discarding, Event::Discarded(Ok(()))) => {
                let from = self.state();
                Some(self.step(Phase::Failing { from }, Effect::Persist))
            }
            // What cannot be removed now is removed before another attempt, or by a restart: that finds an attempt cut short.
            (Phase::Disowning, Event::Persisted(Err(_))) | (Phase::Discarding, Event::Discarded(Err(_))) => {
                self.has_leftover = true;
                self.rest(Rest::Failed);
                None
            }
            // A failure that cannot be saved is still a failure. A restart then finds an attempt cut short.
            (Phase::Failing { .. }, Event::Persisted(_)) => {
                self.rest(Rest::Failed);
                None
            }
            (_, _) => None,
        }
    }

    fn accept(&mut self, before: Rest, at: Timestamp) -> Effect {
        self.phase = Phase::Accepting { before, at };
        self.paths.clone_from(&self.config.node.paths);
        Effect::Persist
    }

    fn begin(&mut self, at: Timestamp) {
        self.start_time = Some(at);
        self.end_time = None;
        self.failed = false;
        self.problems.clear();
        self.touch();
    }

    /// Judges paths first, then the address: every wrong path is named.
    fn paths_checked(&mut self, found: &PathsFound, facts: &NodeInfo, now: Timestamp) -> Option<Effect> {
        found.judge(&self.paths, &self.defaults, &mut self.problems);
        if !self.problems.is_empty() {
            return self.fail(Failure::new(Cause::PathError {}, ""), now);
        }
        if let Some(addr) = self.config.node.identity.addr
            && !addr.is_loopback()
            && !facts.addresses.iter().any(|own| own.address == addr)
        {
            let place = Place::member(Object::Identity.path(), "addr");
            self.problems.add(place, format_args!("\"{addr}\" is not an address of this machine"));
            return self.fail(Failure::new(Cause::ConfigError { required_rack_id: None }, ""), now);
        }
        self.flash = found.flash;
        match self.action {
            Action::CreateCluster if license::is_trial(&self.config.license) => self.licensed(Terms::trial(now), now),
            Action::CreateCluster => Some(self.step(Phase::VerifyingLicense, Effect::VerifyLicense)),
            Action::JoinCluster if self.contacts() == 0 => self.fail_to_connect(now),
            Action::JoinCluster | Action::RecoverCluster => Some(self.reach(0)),
        }
    }

    fn licensed(&mut self, terms: Terms, now: Timestamp) -> Option<Effect> {
        let allowed = terms.permit(now, &self.config.cluster.name, 1, self.config.node.flash());
        if let Err(violation) = allowed {
            return self.unlicensed(violation, now);
        }
        self.terms = terms;
        match self.mode {
            // What comes next would change something: the configuration is good.
            Mode::Validate if !self.is_shared => self.valid(),
            Mode::Act | Mode::Validate => Some(self.reach(0)),
        }
    }

    fn step(&mut self, phase: Phase, effect: Effect) -> Effect {
        self.phase = phase;
        self.touch();
        effect
    }

    fn touch(&mut self) {
        self.version = self.version.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests;
