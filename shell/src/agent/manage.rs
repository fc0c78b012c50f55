//! What clients do with a cluster once it is there: they change it, and have its nodes checked. A change goes the way of an
//! admission: it is made of the newest record, and nobody hears of it before that is durable.

use bootstrapd_core::api::Managed;
use bootstrapd_core::cluster::Cluster;
use bootstrapd_core::failure::Violation;
use bootstrapd_core::license;
use bootstrapd_core::machine::PathRole;
use bootstrapd_core::manage::check::{self, Findings, Trouble};
use bootstrapd_core::manage::{Change, Refusal, Target};
use bootstrapd_core::problems::Problems;
use bootstrapd_core::write::Writer;

use super::peers::{Form, NEVER, Pending, write};
use super::{Agent, Reply, Step};
use crate::http::{self, Answer};
use crate::log;
use crate::peer::Errand;
use crate::perform::{Examined, Job, Who, Work, record_path};

impl Agent {
    /// Answers with a document that only a managed program has.
    pub(super) fn managed(&mut self, managed: Managed, reply: &mut Reply<'_>) -> Step {
        match managed {
            Managed::ClusterCheck => self.check(None, reply),
            Managed::NodeCheck(uid) => self.check(Some(uid), reply),
            Managed::Policy | Managed::Databases | Managed::Modules | Managed::Users => {
                self.document(200, "", reply, |agent, writer| {
                    let Some(cluster) = agent.cluster.as_deref() else { return };
                    match managed {
                        Managed::Policy => cluster.write_policy(writer),
                        Managed::Users => cluster.write_users(writer),
                        Managed::Databases | Managed::Modules | Managed::ClusterCheck | Managed::NodeCheck(_) => {
                            writer.open('[').close(']');
                        }
                    }
                })
            }
        }
    }

    /// Whether a change may be made here, before its body is looked at.
    pub(super) fn may_change(&self) -> Result<(), Refusal> {
        let cluster = self.cluster.as_deref().filter(|_| self.machine.is_member()).ok_or(Refusal::NotAMember)?;
        self.others.peers.may_change(cluster, self.machine.node_id(), self.clock.uptime_ms)
    }

    /// Answers to a PUT that is not acted on.
    pub(super) fn not_changed(&mut self, refusal: &Refusal, reply: &mut Reply<'_>) -> Step {
        self.page(|_, writer| refusal.write(writer));
        self.send_page(refusal.status(), "", refusal.retry_after(), reply)
    }

    /// Goes on with a PUT whose body is complete.
    // Not inlined: the problems are large, and what they take of the loop's stack stays resident.
    #[inline(never)]
    pub(super) fn change(&mut self, target: Target, body: &[u8], reply: &mut Reply<'_>) -> Step {
        let (mut change, mut problems) = (Box::new(Change::new(target)), Box::<Problems>::default());
        change.read(body, &mut problems);
        if !problems.is_empty() {
            return self.document(400, "", reply, |_, writer| problems.write_refusal(writer));
        }
        for warning in &change.warnings {
            log::warn("configuration", &[("pointer", &warning.pointer), ("reason", &warning.reason)]);
        }
        if target == Target::License
            && let Err(violation) = self.open_license(&mut change)
        {
            return self.not_changed(&Refusal::License(violation), reply);
        }
        if let Err(refusal) = self.may_change() {
            return self.not_changed(&refusal, reply);
        }
        if self.others.habits.is_shared {
            let step = self.pend_change(NEVER);
            if let Step::Keeping(number) = step {
                self.threads.errands.push(Errand::Change(number, change));
            }
            return step;
        }
        let (Some(mut draft), now) = (self.draft(), self.clock.now) else {
            return self.not_changed(&Refusal::NotAMember, reply);
        };
        match draft.change(&change, now) {
            Err(refusal) => self.not_changed(&refusal, reply),
            Ok(changed) => {
                let age = draft.age();
                if changed {
                    log_change(&change, &draft);
                    let step = self.pend_change(age);
                    self.stage(Some(draft));
                    return step;
                }
                // It is so already; but that may not be durable yet.
                if Some(age) > self.cluster.as_deref().map(Cluster::age) {
                    return self.pend_change(age);
                }
                self.send(&Answer { status: 200, ..Answer::default() }, reply)
            }
        }
    }

    fn open_license(&self, change: &mut Change) -> Result<(), Violation> {
        let key = self.license_key.as_ref();
        change.terms = license::open(&change.license, |statement, signature| {
            key.is_some_and(|key| key.verify(statement, signature))
        })?;
        Ok(())
    }

    fn pend_change(&mut self, age: (u32, u64)) -> Step {
        let otherwise = write(|writer| Refusal::NotSaved.write(writer));
        self.pend(Pending { number: 0, age, form: Form::Plain(200), text: Vec::new(), otherwise })
    }

    /// How a change of the record in the store that all members share has ended.
    pub(super) fn changed(&mut self, number: u32, change: &Change, ended: Result<Box<Cluster>, Refusal>) {
        match ended {
            Err(refusal) => {
                let text = write(|writer| refusal.write(writer));
                if let Some(pending) = self.others.waits(number) {
                    pending.form = Form::Plain(refusal.status());
                }
                self.answer(number, text);
            }
            Ok(record) => {
                log_change(change, &record);
                let age = record.age();
                if let Some(pending) = self.others.waits(number) {
                    pending.age = age;
                }
                // Who asks this node next is to see it: the answer waits for the copy.
                self.take_shared(record);
                if self.cluster.as_deref().is_some_and(|durable| durable.age() >= age) {
                    self.answer(number, Vec::new());
                }
            }
        }
    }

    /// Gives an answer that is nobody's secret; one that has no body has said all with its status.
    pub(super) fn plain(&mut self, status: u16, text: &[u8], reply: &mut Reply<'_>) -> Step {
        let media_type = if text.is_empty() { "" } else { "application/json" };
        self.send(&Answer { status, media_type, body: text, ..Answer::default() }, reply)
    }

    /// Checks one node, or all.
    fn check(&mut self, uid: Option<u32>, reply: &mut Reply<'_>) -> Step {
        let own = self.own_uid();
        if let Some(uid) = uid.filter(|uid| Some(*uid) != own) {
            return self.check_other(uid, reply);
        }
        let step = self.pend(Pending {
            number: 0,
            age: NEVER,
            form: Form::Plain(200),
            text: Vec::new(),
            otherwise: write(|writer| Refusal::NotAMember.write(writer)),
        });
        if let Step::Keeping(number) = step {
            // Who asks while one runs gets what the next one finds.
            self.others.checks.push((number, uid));
            if self.others.checks_running == 0 {
                self.examine();
            }
        }
        step
    }

    fn check_other(&mut self, uid: u32, reply: &mut Reply<'_>) -> Step {
        let trouble = self.cluster.as_deref().and_then(|cluster| {
            let member = cluster.member(uid)?;
            Some(check::judge_other(member, self.is_down(cluster)(member)))
        });
        match trouble {
            None => self.error(404, http::error_code(404), "no node has this uid", reply),
            Some(trouble) => {
                self.document(200, "", reply, |_, writer| check::write_node(uid, trouble.as_ref(), writer))
            }
        }
    }

    fn own_uid(&self) -> Option<u32> {
        self.cluster.as_deref()?.member_of(self.machine.node_id()).map(|member| member.uid)
    }

    /// Has the worker look at what is on disk, for all checks that wait.
    fn examine(&mut self) {
        self.others.checks_running = self.others.checks.len();
        let path = |role| Some(self.machine.path(role).to_owned());
        let bigstore = if self.facts.bigstore.is_some() { path(PathRole::Bigstore) } else { None };
        let paths = [path(PathRole::Persistent), path(PathRole::Ephemeral), bigstore, path(PathRole::Ccs)];
        let records = Box::new([self.node_record.clone(), record_path(self.machine.path(PathRole::Ccs))]);
        self.threads.jobs.push(Job::Work(Who::Record, Work::Examine(paths, records, self.machine.node_id())));
    }

    /// What the worker has found, and all else that is known: the answer to the checks that it was for.
    pub(super) fn examined(&mut self, found: &Examined) {
        let running = std::mem::take(&mut self.others.checks_running);
        let rest = self.others.checks.split_off(running.min(self.others.checks.len()));
        for (number, uid) in std::mem::replace(&mut self.others.checks, rest) {
            let text = self.checked(found, uid);
            self.answer(number, text);
        }
        if !self.others.checks.is_empty() {
            self.examine();
        }
    }

    fn checked(&self, found: &Examined, uid: Option<u32>) -> Vec<u8> {
        let Some(cluster) = self.cluster.as_deref() else { return Vec::new() };
        let own = self.machine.node_id();
        let findings = Findings {
            is_member: self.machine.is_member(),
            damage: found.damage.as_ref().map(|(file, why)| (file.as_str(), why.as_str())),
            path: found.path.as_ref().map(|(path, trouble)| (path.as_str(), *trouble)),
            room: found.room.as_ref().map(|(path, bytes)| (path.as_str(), *bytes)),
            now: self.clock.now,
            silence: self.others.peers.silence(cluster, own, self.clock.uptime_ms),
            store: self.others.store_trouble,
            needs_recovery: self.others.peers.bar.is_some(),
        };
        let trouble: Option<Trouble<'_>> = findings.judge(cluster);
        let own = self.own_uid().unwrap_or_default();
        let mut page = super::Page::new(CHECK_BYTES_MAX);
        page.write(|writer: &mut Writer<'_>| match uid {
            Some(uid) => check::write_node(uid, trouble.as_ref(), writer),
            None => check::write_cluster(cluster, own, trouble.as_ref(), self.is_down(cluster), writer),
        });
        page.bytes().to_vec()
    }
}

/// A sentence for each of `MEMBERS_MAX` nodes, one of which names a path.
const CHECK_BYTES_MAX: usize = 64 * 1024;

fn log_change(change: &Change, record: &Cluster) {
    log::info("the cluster is changed", &[("what", &change.target.name()), ("revision", &record.revision)]);
}
