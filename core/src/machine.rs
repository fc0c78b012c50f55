//! One bootstrap attempt's whole life. Events go in, at most one effect comes out of each; the machine touches
//! nothing itself. Durability cannot be forgotten, because making it so is an effect like any other.
//!
//! ```text
//! start ─▶ Persist ─▶ CheckPaths ─▶ VerifyLicense ─▶ Found ─▶ Adopt ─▶ Persist ─▶ completed
//!            └──────────┴──────────────┴──────────────┴────────┴──────────┴─▶ Persist ─▶ Discard ─▶ error
//! ```

use core::fmt;

use heapless::String;

use crate::cluster::{Cluster, Seed};
use crate::config::table::Object;
use crate::config::{Action, Config, Paths};
use crate::failure::{Cause, Failure, Violation};
use crate::json::TooLong;
use crate::license::{self, Terms};
use crate::limits::PATH_BYTES_MAX;
use crate::node::NodeInfo;
use crate::problems::{Place, Problems};
use crate::record::{Id, Membership, NodeRecord, NodeRecordView, Standing};
use crate::status::State;
use crate::time::Timestamp;

/// What the shell is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make [`Machine::encode`]'s record durable.
    Persist,
    /// Look at the directories of [`Machine::paths_to_check`].
    CheckPaths,
    /// Open the configuration's licence.
    VerifyLicense,
    /// Hash the password and make a [`Seed`]; hand it to [`Machine::found`].
    Found,
    /// Make the cluster's record durable.
    Adopt,
    /// Remove the cluster's record again.
    Discard,
}

/// What came of an effect: exactly one event for each.
#[expect(clippy::large_enum_variant, reason = "there is no heap to box terms into; one event exists at a time")]
#[derive(Clone, Debug)]
pub enum Event {
    /// [`Effect::Persist`] ended.
    Persisted(Result<(), Trouble>),
    /// [`Effect::CheckPaths`] ended.
    PathsChecked(PathsFound),
    /// [`Effect::VerifyLicense`] ended.
    LicenseVerified(Result<Terms, Violation>),
    /// [`Effect::Found`] ended with a cluster.
    Founded(Result<Membership, Trouble>),
    /// [`Effect::Adopt`] ended.
    Adopted(Result<(), Trouble>),
    /// [`Effect::Discard`] ended; what it could not remove, the next start removes.
    Discarded,
}

/// The system's own words for what it refused.
pub type Trouble = String<160>;

/// What was found at each path; `None` where a path is not asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathsFound {
    /// One for each of [`PathRole::ALL`].
    pub found: [Option<Result<FileId, PathTrouble>>; 4],
}

/// A directory's identity, whatever names lead to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// The device's number.
    pub device: u64,
    /// The number on the device.
    pub inode: u64,
}

/// Why a directory cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathTrouble {
    /// Nothing is there.
    Missing,
    /// Something else is there.
    NotADirectory,
    /// The agent may not write there.
    NotWritable,
    /// The record of another node, or one that nobody can read, is there.
    ForeignRecord,
    /// The system could not say.
    Unreadable,
}

impl fmt::Display for PathTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "does not exist",
            Self::NotADirectory => "is not a directory",
            Self::NotWritable => "is not writable for this agent",
            Self::ForeignRecord => "holds the cluster record of another node, or one that cannot be read",
            Self::Unreadable => "cannot be examined",
        })
    }
}

/// What a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathRole {
    /// Data.
    Persistent,
    /// Data that may be lost.
    Ephemeral,
    /// Flash storage.
    Bigstore,
    /// The cluster's record.
    Ccs,
}

impl PathRole {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Persistent, Self::Ephemeral, Self::Bigstore, Self::Ccs];

    const fn member(self) -> &'static str {
        match self {
            Self::Persistent => "persistent_path",
            Self::Ephemeral => "ephemeral_path",
            Self::Bigstore => "bigstore_path",
            Self::Ccs => "ccs_persistent_path",
        }
    }

    fn of(self, paths: &Paths) -> &String<PATH_BYTES_MAX> {
        match self {
            Self::Persistent => &paths.persistent,
            Self::Ephemeral => &paths.ephemeral,
            Self::Bigstore => &paths.bigstore,
            Self::Ccs => &paths.ccs,
        }
    }
}

/// Why an attempt was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another one is under way.
    InProgress,
    /// The node is in a cluster.
    Member,
    /// The configuration is wrong: see [`Machine::problems`].
    Config,
}

/// Whether an attempt changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The action itself.
    Act,
    /// Only what the action would run up to its first change.
    Validate,
}

/// Where a node is while no attempt runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Idle,
    Failed,
    Expelled,
    Completed,
}

/// Which effect is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    AtRest(Rest),
    /// The attempt of this moment is being made durable; until then nobody hears of it.
    Accepting {
        before: Rest,
        at: Timestamp,
    },
    CheckingPaths,
    VerifyingLicense,
    Founding,
    Adopting,
    Completing,
    /// The failure is being made durable.
    Failing {
        working: bool,
        adopted: bool,
    },
    Discarding,
}

/// A node's bootstrap: at rest, or in an attempt.
pub struct Machine {
    node_id: Id,
    revision: u64,
    version: u64,
    mode: Mode,
    phase: Phase,
    action: Action,
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    failed: bool,
    /// Only where `failed`.
    failure: Failure,
    problems: Problems,
    membership: Option<Membership>,
    /// Of the licence, once it was looked at.
    terms: Terms,
    defaults: Paths,
    paths: Paths,
    config: Config,
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
            terms: Terms::BLANK,
            defaults: Paths::BLANK,
            paths: Paths::BLANK,
            config: Config::blank(),
            config_problems: Problems::new(),
        }
    }

    /// Becomes the node `node_id`, which never tried; `defaults` are the agent's own paths.
    pub fn identify(&mut self, node_id: Id, defaults: &Paths) {
        self.node_id = node_id;
        self.defaults.clone_from(defaults);
    }

    /// Becomes the node that `record` tells of. An attempt that a restart cut short has failed.
    pub fn restore(&mut self, record: &NodeRecord, defaults: &Paths, now: Timestamp) {
        self.identify(record.node_id, defaults);
        self.revision = record.revision;
        self.action = record.action;
        self.start_time = record.start_time;
        self.end_time = record.end_time;
        if let Some(failure) = &record.failure {
            self.set_failure(failure.clone());
        }
        self.problems.restore(&record.problems, record.first_problem, false);
        self.membership = record.membership;
        self.paths.clone_from(&record.paths);
        self.phase = Phase::AtRest(match record.standing {
            Standing::Idle => Rest::Idle,
            Standing::Failed => Rest::Failed,
            Standing::Member => Rest::Completed,
            Standing::Expelled => Rest::Expelled,
            Standing::Attempt => {
                self.end_time = Some(self.not_before_start(now));
                self.set_failure(Failure::internal("the agent was restarted during this attempt; start it again"));
                Rest::Failed
            }
        });
    }

    /// Becomes a machine beside `other` that validates configurations against the same node.
    pub fn validate_for(&mut self, other: &Self) {
        self.identify(other.node_id, &other.defaults);
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
            self.refuse(before);
            return Err(Refusal::Config);
        }
        self.action = action;
        self.paths = self.config.node.paths.clone();
        match self.mode {
            Mode::Act => {
                self.phase = Phase::Accepting { before, at: now };
                Ok(Effect::Persist)
            }
            Mode::Validate => {
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
            | Phase::CheckingPaths
            | Phase::VerifyingLicense
            | Phase::Founding
            | Phase::Adopting
            | Phase::Completing
            | Phase::Failing { .. }
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

    fn refuse(&mut self, before: Rest) {
        self.config.clear();
        self.problems.copy_from(&self.config_problems);
        // In place: a failure is twelve kilobytes, of which this one uses a few bytes.
        self.failed = true;
        self.failure.cause = Cause::ConfigError { required_rack_id: None };
        self.failure.message.clear();
        self.start_time = None;
        self.end_time = None;
        self.phase = Phase::AtRest(if before == Rest::Expelled { before } else { Rest::Failed });
        self.touch();
    }

    /// Takes what came of the last effect and says what is next; `None` when the attempt has ended. An event that
    /// does not belong to the effect under way changes nothing.
    pub fn handle(&mut self, event: Event, facts: &NodeInfo, now: Timestamp) -> Option<Effect> {
        match (self.phase, event) {
            (Phase::Accepting { at, .. }, Event::Persisted(Ok(()))) => {
                self.begin(at);
                Some(self.step(Phase::CheckingPaths, Effect::CheckPaths))
            }
            (Phase::Accepting { before, .. }, Event::Persisted(Err(_))) => {
                // The record in force is still the one before, and so is everything that is shown.
                self.config.clear();
                self.phase = Phase::AtRest(before);
                None
            }
            (Phase::CheckingPaths, Event::PathsChecked(found)) => match self.action {
                Action::CreateCluster => self.paths_checked(&found, facts, now),
                // Here, where validation comes by as well, so that both say the same.
                action @ (Action::JoinCluster | Action::RecoverCluster) => {
                    let name = action.name();
                    self.fail(Failure::internal(format_args!("this version of the agent cannot run {name} yet")), now)
                }
            },
            (Phase::VerifyingLicense, Event::LicenseVerified(result)) => match result {
                Ok(terms) => self.licensed(terms, now),
                Err(violation) => self.unlicensed(violation, now),
            },
            (Phase::Founding, Event::Founded(Ok(membership))) => {
                self.membership = Some(membership);
                Some(self.step(Phase::Adopting, Effect::Adopt))
            }
            (Phase::Founding, Event::Founded(Err(trouble))) => {
                self.fail(Failure::internal(format_args!("the cluster could not be founded: {trouble}")), now)
            }
            (Phase::Adopting, Event::Adopted(Ok(()))) => {
                self.end_time = Some(self.not_before_start(now));
                Some(self.step(Phase::Completing, Effect::Persist))
            }
            (Phase::Adopting, Event::Adopted(Err(trouble))) => {
                self.fail(Failure::internal(format_args!("the cluster's record could not be saved: {trouble}")), now)
            }
            (Phase::Completing, Event::Persisted(Ok(()))) => {
                self.rest(Rest::Completed);
                None
            }
            (Phase::Completing, Event::Persisted(Err(trouble))) => {
                self.fail(Failure::internal(format_args!("the node's record could not be saved: {trouble}")), now)
            }
            // A failure that cannot be saved is still a failure; a restart then finds an attempt cut short.
            (Phase::Failing { adopted: true, .. }, Event::Persisted(_)) => {
                Some(self.step(Phase::Discarding, Effect::Discard))
            }
            (Phase::Failing { adopted: false, .. }, Event::Persisted(_)) | (Phase::Discarding, Event::Discarded) => {
                self.rest(Rest::Failed);
                None
            }
            (_, _) => None,
        }
    }

    fn begin(&mut self, at: Timestamp) {
        self.start_time = Some(at);
        self.end_time = None;
        self.failed = false;
        self.problems.clear();
        self.membership = None;
        self.touch();
    }

    /// Judges paths first, then the address: every wrong path is named.
    fn paths_checked(&mut self, found: &PathsFound, facts: &NodeInfo, now: Timestamp) -> Option<Effect> {
        for (role, result) in PathRole::ALL.into_iter().zip(found.found) {
            let twin = PathRole::ALL.into_iter().zip(found.found).find(|(other, twin)| {
                role != PathRole::Ccs && *other != PathRole::Ccs && (*other as u8) < (role as u8) && *twin == result
            });
            let place = Place::member(Object::Paths.path(), role.member());
            let path = effective(role, &self.paths, &self.defaults);
            match (result, twin) {
                (Some(Err(trouble)), _) => self.problems.add(place, format_args!("\"{path}\" {trouble}")),
                (Some(Ok(_)), Some((twin, _))) => {
                    self.problems.add(place, format_args!("\"{path}\" is the same directory as {}", twin.member()));
                }
                (Some(Ok(_)) | None, _) => {}
            }
        }
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
        if license::is_trial(&self.config.license) {
            self.licensed(Terms::trial(now), now)
        } else {
            Some(self.step(Phase::VerifyingLicense, Effect::VerifyLicense))
        }
    }

    fn licensed(&mut self, terms: Terms, now: Timestamp) -> Option<Effect> {
        let allowed = terms.permit(now, &self.config.cluster.name, 1, self.config.node.flash());
        if let Err(violation) = allowed {
            return self.unlicensed(violation, now);
        }
        self.terms = terms;
        match self.mode {
            Mode::Act => Some(self.step(Phase::Founding, Effect::Found)),
            // What comes next would change something: the configuration is good.
            Mode::Validate => {
                self.rest(Rest::Idle);
                None
            }
        }
    }

    fn unlicensed(&mut self, violation: Violation, now: Timestamp) -> Option<Effect> {
        self.fail(Failure::new(Cause::InvalidLicense { violation }, violation.message()), now)
    }

    fn fail(&mut self, failure: Failure, now: Timestamp) -> Option<Effect> {
        let working = matches!(self.phase, Phase::Founding | Phase::Adopting | Phase::Completing);
        let adopted = matches!(self.phase, Phase::Adopting | Phase::Completing);
        self.set_failure(failure);
        self.end_time = Some(self.not_before_start(now));
        self.membership = None;
        match self.mode {
            Mode::Act => Some(self.step(Phase::Failing { working, adopted }, Effect::Persist)),
            Mode::Validate => {
                self.rest(Rest::Failed);
                None
            }
        }
    }

    fn set_failure(&mut self, failure: Failure) {
        self.failure = failure;
        self.failed = true;
    }

    fn step(&mut self, phase: Phase, effect: Effect) -> Effect {
        self.phase = phase;
        self.touch();
        effect
    }

    fn rest(&mut self, rest: Rest) {
        self.config.clear();
        self.phase = Phase::AtRest(rest);
        self.touch();
    }

    fn touch(&mut self) {
        self.version = self.version.wrapping_add(1);
    }

    /// A clock that was set back must not end an attempt before its start.
    fn not_before_start(&self, now: Timestamp) -> Timestamp {
        self.start_time.map_or(now, |start| now.max(start))
    }

    /// The cluster that [`Effect::Found`] is about, from the seed that the shell made.
    #[must_use]
    pub fn found(&self, seed: Seed, facts: &NodeInfo, now: Timestamp) -> Cluster {
        Cluster::found(seed, self.node_id, &self.config, self.terms.clone(), facts, now)
    }

    /// Encodes what must survive a restart, as the state stands now. Each record is newer than the one before.
    ///
    /// # Errors
    /// [`TooLong`] when the buffer is too small.
    pub fn encode(&mut self, buffer: &mut [u8]) -> Result<usize, TooLong> {
        self.revision = self.revision.saturating_add(1);
        let (standing, start_time) = match self.phase {
            Phase::AtRest(Rest::Idle) => (Standing::Idle, self.start_time),
            Phase::AtRest(Rest::Failed) | Phase::Failing { .. } | Phase::Discarding => {
                (Standing::Failed, self.start_time)
            }
            Phase::AtRest(Rest::Expelled) => (Standing::Expelled, self.start_time),
            Phase::AtRest(Rest::Completed) | Phase::Completing => (Standing::Member, self.start_time),
            Phase::Accepting { at, .. } => (Standing::Attempt, Some(at)),
            Phase::CheckingPaths | Phase::VerifyingLicense | Phase::Founding | Phase::Adopting => {
                (Standing::Attempt, self.start_time)
            }
        };
        let ended = standing != Standing::Attempt;
        let (problems, first_problem) = if ended { self.problems.kept() } else { ("", (0, 0)) };
        let view = NodeRecordView {
            node_id: self.node_id,
            revision: self.revision,
            standing,
            action: self.action,
            start_time,
            end_time: self.end_time.filter(|_| ended),
            failure: (self.failed && ended).then_some(&self.failure),
            problems,
            first_problem,
            membership: self.membership.filter(|_| ended),
            paths: &self.paths,
        };
        view.encode(buffer)
    }

    /// The public state, derived from the phase.
    #[must_use]
    pub fn state(&self) -> State {
        match self.phase {
            Phase::AtRest(rest) | Phase::Accepting { before: rest, .. } => match rest {
                Rest::Idle => State::Idle,
                Rest::Failed | Rest::Expelled => State::Error,
                Rest::Completed => State::Completed,
            },
            Phase::CheckingPaths | Phase::VerifyingLicense | Phase::Failing { working: false, .. } => State::Initiated,
            Phase::Founding | Phase::Adopting | Phase::Completing | Phase::Failing { .. } | Phase::Discarding => {
                match self.action {
                    Action::CreateCluster => State::CreatingCluster,
                    Action::JoinCluster => State::JoiningCluster,
                    Action::RecoverCluster => State::RecoveringCluster,
                }
            }
        }
    }

    /// Whether an attempt is being made durable, so that its caller still waits for an answer.
    #[must_use]
    pub fn is_accepting(&self) -> bool {
        matches!(self.phase, Phase::Accepting { .. })
    }

    /// Whether the node is in a cluster and asks for credentials.
    #[must_use]
    pub fn is_member(&self) -> bool {
        self.phase == Phase::AtRest(Rest::Completed)
    }

    /// Whether the node was in a cluster that has sent it away: it still asks for credentials.
    #[must_use]
    pub fn is_expelled(&self) -> bool {
        matches!(self.phase, Phase::AtRest(Rest::Expelled) | Phase::Accepting { before: Rest::Expelled, .. })
    }

    /// Changes with everything that a status document shows of the machine.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// When the shown attempt was accepted.
    #[must_use]
    pub const fn start_time(&self) -> Option<Timestamp> {
        self.start_time
    }

    /// When the shown attempt ended; only for one that has.
    #[must_use]
    pub fn end_time(&self) -> Option<Timestamp> {
        self.end_time.filter(|_| matches!(self.state(), State::Completed | State::Error))
    }

    /// Why the shown attempt failed; only for one that has.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        (self.failed && self.state() == State::Error).then_some(&self.failure)
    }

    /// What was wrong with the shown attempt's configuration.
    #[must_use]
    pub const fn problems(&self) -> &Problems {
        &self.problems
    }

    /// This node's place in its cluster, once it has one.
    #[must_use]
    pub fn membership(&self) -> Option<Membership> {
        self.membership.filter(|_| self.is_member())
    }

    /// The configuration of the attempt under way.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Names this node for its whole life.
    #[must_use]
    pub const fn node_id(&self) -> Id {
        self.node_id
    }

    /// The last attempt's action.
    #[must_use]
    pub const fn action(&self) -> Action {
        self.action
    }

    /// The path of the last attempt for `role`, or the agent's own.
    #[must_use]
    pub fn path(&self, role: PathRole) -> &str {
        effective(role, &self.paths, &self.defaults)
    }

    /// The directories that [`Effect::CheckPaths`] is about: flash only where it is on or asked for, the record's
    /// own only where it is not the persistent one.
    #[must_use]
    pub fn paths_to_check(&self) -> [Option<&str>; 4] {
        PathRole::ALL.map(|role| {
            let asked = match role {
                PathRole::Persistent | PathRole::Ephemeral => true,
                PathRole::Bigstore => self.config.node.flash() || !self.paths.bigstore.is_empty(),
                PathRole::Ccs => !self.paths.ccs.is_empty(),
            };
            asked.then(|| self.path(role))
        })
    }
}

/// The configured path for `role`, or the agent's own; the cluster's record goes to the persistent path.
fn effective<'a>(role: PathRole, configured: &'a Paths, defaults: &'a Paths) -> &'a str {
    match (role, role.of(configured)) {
        (_, path) if !path.is_empty() => path,
        (PathRole::Ccs, _) => effective(PathRole::Persistent, configured, defaults),
        (_, _) => role.of(defaults),
    }
}

#[cfg(test)]
mod tests;
