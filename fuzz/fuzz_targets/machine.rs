//! No list of requests, answers, failures, restarts and clocks makes the machine panic or leave the documented ways. The
//! first byte of each operation picks it, the second one its details; a body of the input's own takes the rest.

#![no_main]

use bootstrapd_core::cluster::{Cluster, Seed};
use bootstrapd_core::config::{Action, Paths};
use bootstrapd_core::failure::{Cause, Failure, NodeTried, TriedReason, Violation};
use bootstrapd_core::license::Terms;
use bootstrapd_core::limits::{NODE_RECORD_BYTES_MAX, STATUS_BYTES_MAX};
use bootstrapd_core::machine::{
    Confirmed, Contacted, Effect, Event, FileId, Machine, PathsFound, StoreChecked, Trouble,
};
use bootstrapd_core::node::NodeInfo;
use bootstrapd_core::record::{self, Id, Membership, NodeRecord};
use bootstrapd_core::status::{self, State};
use bootstrapd_core::time::Timestamp;
use bootstrapd_core::write::Writer;
use libfuzzer_sys::fuzz_target;

const BODIES: [(Action, &str); 5] = [
    (Action::CreateCluster, r#"{"cluster":{"name":"a.b"},"credentials":{"username":"u","password":"p"}}"#),
    (
        Action::CreateCluster,
        r#"{"cluster":{"name":"a.b"},"credentials":{"username":"u","password":"p"},"license":"x"}"#,
    ),
    (
        Action::JoinCluster,
        r#"{"cluster":{"nodes":["10.0.0.9","b.c"]},"credentials":{"username":"u","password":"p"},"max_retries":2}"#,
    ),
    (
        Action::JoinCluster,
        r#"{"cluster":{"name":"a.b"},"node":{"identity":{"uid":2}},"credentials":{"username":"u","password":"p"}}"#,
    ),
    (Action::RecoverCluster, r#"{"recovery_filename":"f"}"#),
];
const ACTIONS: [Action; 3] = [Action::CreateCluster, Action::JoinCluster, Action::RecoverCluster];
const MEMBERSHIP: Membership = Membership { cluster_id: Id([1; 16]), epoch: 3, uid: 2 };

/// A machine, what is asked of the shell, and what a restart finds.
struct Node {
    machine: Box<Machine>,
    effect: Option<Effect>,
    disk: Vec<u8>,
    now: Timestamp,
    facts: NodeInfo,
    /// Whether the record is in a store that all members share.
    is_shared: bool,
}

impl Node {
    fn new(is_shared: bool) -> Self {
        let mut machine = Box::<Machine>::default();
        if is_shared {
            machine.share_store();
        }
        machine.identify(Id([7; 16]), &Paths::default());
        let disk = encoded(&mut machine);
        Self { machine, effect: None, disk, now: Timestamp::from_seconds(1_000), facts: NodeInfo::default(), is_shared }
    }

    fn start(&mut self, action: Action, body: &[u8]) {
        let (before, free) = (self.machine.state(), self.machine.check_free().is_ok());
        assert_eq!(free, self.effect.is_none() && before != State::Completed);
        match self.machine.start(action, body, self.now) {
            Ok(effect) => {
                assert!(free && effect == Effect::Persist);
                // Until it is durable nobody hears of it.
                assert_eq!(self.machine.state(), before);
                self.effect = Some(effect);
            }
            Err(_) if free => assert_eq!(self.machine.state(), State::Error),
            Err(_) => assert_eq!(self.machine.state(), before),
        }
    }

    /// The event that belongs to the effect under way.
    fn answer(&mut self, detail: u8) {
        let Some(effect) = self.effect else { return };
        let good = detail & 1 == 0;
        if effect == Effect::Persist && good {
            self.disk = encoded(&mut self.machine);
        }
        let before = (self.machine.state(), self.machine.version());
        let event = event(effect, detail, &self.machine, &self.facts);
        self.effect = self.machine.handle(event, &self.facts, self.now);
        let state = self.machine.state();
        assert!(before.0.leads_to(state, self.machine.is_expelled()), "{before:?} {state:?}");
        assert!(before.0 == state || before.1 != self.machine.version(), "who waits for a change hears of it");
    }

    /// An event of another effect changes nothing.
    fn mistake(&mut self, detail: u8) {
        let other = [
            Effect::Persist,
            Effect::CheckPaths,
            Effect::VerifyLicense,
            Effect::CheckStore,
            Effect::Found,
            Effect::Adopt,
            Effect::Confirm,
            Effect::Discard,
        ][usize::from(detail >> 4) % 8];
        if self.effect == Some(other) {
            return;
        }
        let before = (self.machine.state(), self.machine.version(), self.machine.check_free().is_ok());
        let event = event(other, detail, &self.machine, &self.facts);
        assert_eq!(self.machine.handle(event, &self.facts, self.now), None);
        assert_eq!((self.machine.state(), self.machine.version(), self.machine.check_free().is_ok()), before);
    }

    fn restart(&mut self) {
        let (was_member, was_expelled) = (self.machine.is_member(), self.machine.is_expelled());
        let mut record = Box::<NodeRecord>::default();
        record::decode(&self.disk, &mut *record).unwrap();
        self.machine = Box::default();
        if self.is_shared {
            self.machine.share_store();
        }
        self.machine.restore(&record, &Paths::default(), self.now);
        self.effect = self.machine.resume();
        assert_eq!(self.effect.is_some(), self.machine.adopted().is_some());
        assert!(!was_member || self.machine.is_member(), "a member stays one");
        // It may become a member again, or not have heard of it yet; it is never open.
        assert!(!was_expelled || self.machine.is_expelled() || self.machine.state() != State::Idle);
    }

    fn holds(&self) {
        let state = self.machine.state();
        assert_eq!(self.machine.is_member(), state == State::Completed && self.effect.is_none());
        assert_eq!(self.machine.failure().is_some(), state == State::Error);
        assert!(!state.is_running() || self.effect.is_some(), "an attempt that nothing drives");
        if let (Some(start), Some(end)) = (self.machine.start_time(), self.machine.end_time()) {
            assert!(start <= end);
        }
        if self.effect.is_none() {
            assert!(self.machine.config().credentials.password.expose().is_empty(), "secrets go with the attempt");
        }
    }
}

/// Whatever came of it can be shown.
fn show(node: &Node) {
    let mut buffer = vec![0; STATUS_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer);
    status::write_head(&node.machine, &node.facts, &mut writer);
    assert!(writer.finish().is_ok());
}

fn encoded(machine: &mut Machine) -> Vec<u8> {
    let mut buffer = vec![0; NODE_RECORD_BYTES_MAX];
    let length = machine.encode(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

fn event(effect: Effect, detail: u8, machine: &Machine, facts: &NodeInfo) -> Event {
    let good = detail & 1 == 0;
    let result = if good { Ok(()) } else { Err(Trouble::try_from("no").unwrap()) };
    let file = |inode| Some(Ok(FileId { device: 1, inode }));
    match effect {
        Effect::Persist => Event::Persisted(result),
        Effect::Adopt => Event::Adopted(result),
        Effect::Discard => Event::Discarded(result),
        Effect::CheckPaths => Event::PathsChecked(PathsFound {
            found: [file(1), file(if good { 2 } else { 1 }), None, None],
            flash: None,
        }),
        Effect::VerifyLicense if good => Event::LicenseVerified(Ok(Terms::trial(Timestamp::from_seconds(1)))),
        Effect::VerifyLicense => {
            Event::LicenseVerified(Err(Violation::ALL[usize::from(detail >> 1) % Violation::ALL.len()]))
        }
        Effect::CheckStore => Event::StoreChecked(match detail % 3 {
            0 => StoreChecked::Empty,
            1 => StoreChecked::Taken,
            _ => StoreChecked::Failed(NodeTried {
                node: Default::default(),
                reason: TriedReason::ALL[usize::from(detail >> 2) % TriedReason::ALL.len()],
            }),
        }),
        Effect::Found => Event::Founded(result.map(|()| founded(machine, facts))),
        Effect::Wait { .. } => Event::Waited,
        Effect::ReadRecovery if good => Event::RecoveryRead(Ok(MEMBERSHIP)),
        Effect::ReadRecovery => Event::RecoveryRead(Err(Failure::new(Cause::PathError {}, "no"))),
        Effect::Confirm => {
            Event::Confirmed([Confirmed::Done, Confirmed::Unanswered, Confirmed::Unknown][usize::from(detail) % 3])
        }
        Effect::Contact { .. } => Event::Contacted(match detail % 3 {
            0 => Contacted::Admitted(MEMBERSHIP),
            1 => Contacted::Refused(Failure::new(Cause::AccessDenied {}, "no")),
            _ => Contacted::Failed(TriedReason::ALL[usize::from(detail >> 2) % TriedReason::ALL.len()]),
        }),
    }
}

fn founded(machine: &Machine, facts: &NodeInfo) -> Membership {
    let seed = Seed {
        cluster_id: Id([1; 16]),
        epoch_tag: Id([2; 16]),
        key: Default::default(),
        password: Default::default(),
        registration: Default::default(),
    };
    let cluster: Box<Cluster> = Box::new(machine.found(seed, facts, Timestamp::from_seconds(1)));
    cluster.membership(machine.node_id()).unwrap()
}

fuzz_target!(|input: &[u8]| {
    let mut node = Node::new(input.len() % 2 == 1);
    let mut rest = input;
    while let [operation, detail, more @ ..] = rest {
        rest = more;
        match operation % 7 {
            0 => {
                let (action, body) = BODIES[usize::from(*detail) % BODIES.len()];
                node.start(action, body.as_bytes());
            }
            // Most of what happens is that something comes to its end.
            1 | 2 => node.answer(*detail),
            3 => node.mistake(*detail),
            4 => node.restart(),
            5 => {
                let effect = node.machine.expel("sent away", node.now);
                assert!(effect.is_none() || node.effect.is_none());
                node.effect = effect.or(node.effect);
            }
            _ if detail & 1 == 0 => node.now = Timestamp::from_seconds(u64::from(*detail) * 100),
            _ => {
                let action = ACTIONS[usize::from(detail >> 1) % ACTIONS.len()];
                node.start(action, rest);
                rest = &[];
            }
        }
        node.holds();
    }
    show(&node);
});
