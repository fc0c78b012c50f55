//! What no sequence of requests, restarts and failures can do to a node.

use std::boxed::Box;
use std::string::String as StdString;
use std::vec::Vec as StdVec;

use super::*;

/// What a run of requests can do to a node.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Create,
    BadCreate,
    Join,
    Recover,
    Expel,
    Restart,
    Step,
    /// As far as a joiner has to come to be in the cluster's hands.
    Steps,
    Succeed,
    Fail,
}

const OPERATIONS: [Operation; 10] = [
    Operation::Create,
    Operation::BadCreate,
    Operation::Join,
    Operation::Recover,
    Operation::Expel,
    Operation::Restart,
    Operation::Step,
    Operation::Steps,
    Operation::Succeed,
    Operation::Fail,
];

/// A node: the machine, its disk and a clock that jumps.
struct Node {
    machine: Box<Machine>,
    effect: Option<Effect>,
    disk: StdVec<u8>,
    /// The revision of the record there.
    newest: u64,
    /// The state that a restart must find.
    durable: State,
    /// Whether the cluster's record is there, too.
    kept: bool,
    /// Whether something of an attempt's record may lie there.
    remains: bool,
    ticks: u64,
    facts: NodeInfo,
}

impl Node {
    fn new() -> Self {
        let mut machine = new();
        let disk = encoded(&mut machine);
        let (newest, facts) = (machine.revision, facts());
        Self { machine, effect: None, disk, newest, durable: State::Idle, kept: false, remains: false, ticks: 0, facts }
    }

    /// Forth and back, by more than an attempt takes.
    fn clock(&mut self) -> Timestamp {
        self.ticks += 1;
        at([1_000, 0, 5_000, 10][usize::try_from(self.ticks % 4).unwrap()])
    }

    fn start(&mut self, action: Action, body: &str) {
        let now = self.clock();
        let before = self.machine.state();
        let result = self.machine.start(action, body.as_bytes(), now);
        if self.effect.is_some() {
            assert_eq!(result, Err(Refusal::InProgress));
        } else if before == State::Completed {
            assert_eq!(result, Err(Refusal::Member));
        } else if body == BAD {
            assert_eq!((result, self.machine.state()), (Err(Refusal::Config), State::Error));
            return self.invariants(State::Error);
        } else {
            assert_eq!(result, Ok(Effect::Persist));
            self.effect = result.ok();
        }
        assert_eq!(self.machine.state(), before);
        self.invariants(before);
    }

    fn handle(&mut self, good: bool) {
        let Some(effect) = self.effect else { return };
        let now = self.clock();
        let before = self.machine.state();
        if effect == Effect::Persist && good {
            self.disk = encoded(&mut self.machine);
            assert!(self.machine.revision > self.newest, "a record is newer than the one before");
            self.newest = self.machine.revision;
            self.durable = match self.machine.phase {
                Phase::Completing(_) => State::Completed,
                Phase::Keeping(_) => State::JoiningCluster,
                Phase::AtRest(_)
                | Phase::Accepting { .. }
                | Phase::Clearing { .. }
                | Phase::CheckingPaths
                | Phase::VerifyingLicense
                | Phase::CheckingStore { .. }
                | Phase::Founding
                | Phase::Contacting { .. }
                | Phase::Waiting { .. }
                | Phase::ReadingRecovery
                | Phase::Adopting(_)
                | Phase::Confirming(_)
                | Phase::Disowning
                | Phase::Discarding
                | Phase::Failing { .. } => State::Error,
            };
        }
        match effect {
            // Either may go wrong halfway.
            Effect::Adopt => (self.kept, self.remains) = (good, true),
            Effect::Discard => (self.kept, self.remains) = (false, !good),
            Effect::Persist
            | Effect::CheckPaths
            | Effect::VerifyLicense
            | Effect::CheckStore
            | Effect::Found
            | Effect::Contact { .. }
            | Effect::Wait { .. }
            | Effect::ReadRecovery
            | Effect::Confirm => {}
        }
        let event = if good { success(effect) } else { failure(effect) };
        self.effect = self.machine.handle(event, &self.facts, now);
        let sent_away = before == State::Completed && self.machine.is_expelled();
        assert!(before.leads_to(self.machine.state(), sent_away), "{before:?} -> {:?}", self.machine.state());
        self.invariants(before);
    }

    fn restart(&mut self) {
        let now = self.clock();
        let disk = StdString::from_utf8_lossy(&self.disk);
        let cut = [r#""standing":"attempt""#, r#""standing":"expelled attempt""#].iter().any(|cut| disk.contains(cut));
        self.machine = restored(&self.disk, now);
        assert_eq!(self.machine.revision, self.newest);
        self.effect = self.machine.resume();
        assert_eq!(self.machine.state(), self.durable);
        assert_eq!(self.effect, (self.durable == State::JoiningCluster).then_some(Effect::Confirm));
        if cut {
            (self.kept, self.remains) = (false, false);
            assert_eq!(code(&self.machine), Some("internal_error"));
            assert!(self.machine.failure().unwrap().message.contains("restarted"));
            assert!(self.machine.end_time().is_some());
        }
        self.invariants(self.durable);
    }

    fn invariants(&mut self, before: State) {
        let machine = &mut self.machine;
        let state = machine.state();
        assert_eq!(machine.is_member(), state == State::Completed && self.effect.is_none());
        assert_eq!(machine.membership().is_some(), state == State::Completed);
        assert_eq!(machine.failure().is_some(), state == State::Error);
        assert!(!state.is_running() || self.effect.is_some());
        let in_cluster = matches!(self.durable, State::Completed | State::JoiningCluster);
        assert!(self.kept || !in_cluster, "whenever a restart comes, it finds the record of the node's cluster");
        let disk = StdString::from_utf8_lossy(&self.disk);
        let is_removed = |standing| disk.contains(&std::format!(r#""standing":"{standing}""#));
        assert!(
            !self.remains || !is_removed("failed"),
            "no start takes what an attempt has left for a member's record"
        );
        assert!(before == State::Idle || state != State::Idle, "never back to idle");
        assert!(before != State::Completed || state == State::Completed || machine.is_expelled(), "completed stays");
        if let (Some(start), Some(end)) = (machine.start_time(), machine.end_time()) {
            assert!(start <= end);
        }
        if self.effect.is_none() {
            assert!(machine.config().credentials.password.is_empty());
        }
        let record = encoded(machine);
        let id = r#""node_id":"07070707070707070707070707070707""#.as_bytes();
        assert!(record.windows(id.len()).any(|found| found == id));
    }

    /// Whether an operation is to change nothing at all.
    fn is_idle(&self, operation: Operation) -> bool {
        match operation {
            Operation::Create | Operation::BadCreate | Operation::Join | Operation::Recover => {
                self.machine.check_free().is_err()
            }
            Operation::Expel => !self.machine.is_member(),
            Operation::Restart => false,
            Operation::Step | Operation::Steps | Operation::Succeed | Operation::Fail => self.effect.is_none(),
        }
    }

    fn run(&mut self, operation: Operation) {
        match operation {
            Operation::Create => self.start(Action::CreateCluster, CREATE),
            Operation::BadCreate => self.start(Action::CreateCluster, BAD),
            Operation::Join => self.start(Action::JoinCluster, JOIN),
            Operation::Recover => self.start(Action::RecoverCluster, RECOVER),
            Operation::Expel => {
                let (member, before) = (self.machine.is_member(), self.machine.state());
                let now = self.clock();
                let effect = self.machine.expel("why", now);
                assert_eq!(effect.is_some(), member);
                self.effect = effect.or(self.effect);
                assert_eq!(self.machine.state(), before);
                self.invariants(before);
            }
            Operation::Restart => self.restart(),
            Operation::Step => self.handle(true),
            Operation::Steps => (0..5).for_each(|_| self.handle(true)),
            Operation::Succeed => {
                let running = self.effect.is_some();
                let doomed = matches!(self.machine.phase, Phase::Failing { .. } | Phase::Disowning | Phase::Discarding);
                while self.effect.is_some() {
                    self.handle(true);
                }
                assert!(!running || self.machine.is_member() != doomed);
            }
            Operation::Fail => {
                let running = self.effect.is_some();
                self.handle(false);
                while self.effect.is_some() {
                    self.handle(true);
                }
                // A joiner tries again.
                assert!(!running || !self.machine.is_member() || self.machine.action() == JOINING);
            }
        }
    }
}

#[test]
fn every_sequence_of_five_requests_keeps_the_promises() {
    let length = if cfg!(miri) { 1 } else { 5 };
    let count = OPERATIONS.len().pow(length);
    let (mut number, mut completed) = (0, 0);
    while number < count {
        let mut node = Node::new();
        // How many sequences begin as this one does so far.
        let mut alike = count;
        while alike > 1 {
            alike /= OPERATIONS.len();
            let operation = OPERATIONS[number / alike % OPERATIONS.len()];
            let idle = node.is_idle(operation);
            node.run(operation);
            // Where it does nothing, what follows is what follows a shorter sequence.
            if idle {
                break;
            }
        }
        completed += usize::from(node.machine.is_member());
        number = (number / alike + 1) * alike;
    }
    assert!(completed > 0 || cfg!(miri));
}

#[test]
fn a_refused_configuration_is_gone_after_a_restart() {
    let mut node = Node::new();
    node.run(Operation::BadCreate);
    assert_eq!(code(&node.machine), Some("config_error"));
    assert!(!node.machine.problems().is_empty());
    node.run(Operation::Restart);
    assert_eq!(node.machine.state(), State::Idle);
    for operation in [Operation::Create, Operation::Step, Operation::Fail] {
        node.run(operation);
    }
    assert_eq!(code(&node.machine), Some("path_error"));
    node.run(Operation::BadCreate);
    assert_eq!((code(&node.machine), node.machine.start_time()), (Some("config_error"), None));
    node.run(Operation::Restart);
    assert_eq!(code(&node.machine), Some("path_error"), "the durable failure is back");
}
