//! What the agent answers: who may call, what a request needs, and what is known of the node and its cluster.

use std::net::IpAddr;

use bootstrapd_core::api::{self, Access, Method, Peer, Resource, Standing, Watch};
use bootstrapd_core::cluster::{Cluster, Local};
use bootstrapd_core::config::Action;
use bootstrapd_core::machine::{Refusal, Trouble};
use bootstrapd_core::status;

use super::page::{Reply, deliver, write_error, write_root};
use super::{Agent, Clock, News};
use crate::http::{self, Answer, Head};
use crate::logins::Proof;
use crate::node;
use crate::opaque::SessionKey;
use crate::perform::Who;
#[cfg(feature = "management")]
use bootstrapd_core::manage::Target;

/// What a request asks for, as far as its head tells.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub(super) resource: Resource,
    pub(super) method: Method,
    foreign: Option<&'static str>,
    pub(super) acceptable: bool,
    content_type: Result<(), u16>,
    has_length: bool,
    /// Of a request for the progress.
    watch: Watch,
}

/// Whether this program was built to be managed: see [`Resource::from_managed_path`].
const IS_MANAGED: bool = cfg!(feature = "management");

/// What a body is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An attempt.
    Bootstrap(Action),
    /// A validation.
    Validate(Action),
    /// A change of the cluster.
    #[cfg(feature = "management")]
    Change(Target),
    /// A message of another agent.
    Peer(Peer),
}

/// How a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its answer is written.
    Answered,
    /// The same; and the proof of a password with this number was begun.
    Proving(u32),
    /// Its body is wanted.
    Read(Purpose),
    /// The login with this MAC is being checked.
    CheckingLogin([u8; 32]),
    /// The attempt is being made durable.
    Accepting,
    /// The validation with this number runs.
    Validating(u32),
    /// The record that the answer with this number speaks of is being made durable.
    Keeping(u32),
    /// The progress is to change first from this revision, or so many milliseconds to pass.
    Watching(u64, u64),
    /// Its answer has begun, and goes on with an event for each change from this revision on.
    #[cfg(feature = "ui")]
    Streaming(u64),
}

impl Agent {
    /// What `head` asks for, on a connection of this URL scheme.
    #[must_use]
    pub fn call(&self, head: &Head<'_>, scheme: &str) -> Call {
        let from_path = if IS_MANAGED { Resource::from_managed_path } else { Resource::from_path };
        let resource = from_path(head.path);
        #[cfg(not(feature = "ui"))]
        let resource = if resource == Resource::Page { Resource::Unknown } else { resource };
        let resource = resource.asked(head.query);
        let watch = if resource == Resource::Progress { watch(head) } else { Watch::default() };
        let own_name = |name: &str| self.is_own_name(name);
        Call {
            resource,
            method: Method::from_name(head.method),
            foreign: api::foreign_origin(head.origin, head.host, head.fetch_site, scheme, own_name),
            acceptable: watch.is_stream() || is_acceptable(&head.accept, resource.media_type()),
            content_type: api::content_type(head.content_type, head.origin.is_some()),
            has_length: head.has_length,
            watch,
        }
    }

    fn is_own_name(&self, name: &str) -> bool {
        let known = |own: &str| own.eq_ignore_ascii_case(name);
        let in_cluster = |cluster: &Cluster| {
            let member = cluster.member_of(self.machine.node_id());
            known(&cluster.name) || member.is_some_and(|member| known(&member.name))
        };
        node::host_name().is_some_and(|own| known(&own))
            || self.cluster.as_deref().filter(|_| self.machine.is_member()).is_some_and(in_cluster)
    }

    pub(super) fn standing(&self) -> Standing {
        if self.broken.is_some() {
            Standing::Broken
        } else if self.machine.is_member() || self.machine.is_expelled() {
            Standing::Closed { expelled: self.machine.is_expelled() }
        } else {
            Standing::Open
        }
    }

    /// Goes on with a request whose head is known: who may call, what there is, what it needs.
    pub fn begin(&mut self, call: &Call, authorization: Option<&str>, source: IpAddr, reply: &mut Reply<'_>) -> Step {
        if let Some(reason) = call.foreign {
            return self.error(403, http::error_code(403), reason, reply);
        }
        if self.gate.is_some()
            && let Some(step) = self.pass_gate(call, authorization, source, reply)
        {
            return step;
        }
        match api::access(call.resource, call.method, self.standing(), IS_MANAGED) {
            Access::Open => self.permitted(call, reply),
            Access::Missing => self.nothing(reply),
            Access::NoCluster => self.error(503, "no_cluster", "No cluster bootstrapped", reply),
            Access::Broken => {
                let why = self.broken.clone().unwrap_or_default();
                self.error(503, "internal_error", &why, reply)
            }
            Access::CheckIfGiven if authorization.is_none() => self.permitted(call, reply),
            Access::Credentials | Access::CheckIfGiven => {
                let Some(cluster) = self.cluster.as_deref() else { return self.unauthorized(reply) };
                match self.logins.prove(authorization, source, cluster, &self.threads.logins) {
                    Proof::Good => self.permitted(call, reply),
                    Proof::Wrong => self.unauthorized(reply),
                    Proof::Checking(mac) => Step::CheckingLogin(mac),
                    Proof::Busy => self.busy("too many logins are being checked, try again", reply),
                }
            }
        }
    }

    /// Goes on with a request whose login was checked.
    pub fn logged_in(&mut self, call: &Call, good: Option<bool>, reply: &mut Reply<'_>) -> Step {
        match good {
            Some(true) => self.permitted(call, reply),
            Some(false) => self.unauthorized(reply),
            None => self.busy("there is not enough memory to check a login, try again", reply),
        }
    }

    /// Goes on with a request whose caller may make it.
    pub(super) fn permitted(&mut self, call: &Call, reply: &mut Reply<'_>) -> Step {
        if !call.resource.takes(call.method, IS_MANAGED) {
            let allow = call.resource.allow(IS_MANAGED);
            if allow.is_empty() {
                return self.nothing(reply);
            }
            return self.document(405, allow, reply, |_, writer| {
                write_error(http::error_code(405), "the method is not one of Allow", writer);
            });
        }
        if call.method == Method::Options {
            let allow = call.resource.allow(IS_MANAGED);
            return self.send(&Answer { status: 200, allow, ..Answer::default() }, reply);
        }
        match call.resource {
            Resource::Bootstrap(action) => self.wants_body(call, Purpose::Bootstrap(action), reply),
            Resource::Validate(action) => self.wants_body(call, Purpose::Validate(action), reply),
            Resource::Peer(Peer::Challenge) => self.challenge(reply),
            Resource::Peer(peer) => self.wants_body(call, Purpose::Peer(peer), reply),
            #[cfg(feature = "management")]
            resource if let (Method::Put, Some(target)) = (call.method, resource.target()) => {
                self.wants_body(call, Purpose::Change(target), reply)
            }
            _ if !call.acceptable => self.unacceptable(reply),
            Resource::Status => self.status(reply),
            Resource::Progress => self.follow_progress(call.watch, reply),
            #[cfg(feature = "ui")]
            Resource::Page => self.show_page(reply),
            #[cfg(not(feature = "ui"))]
            Resource::Page => Step::Answered,
            Resource::Health => self.word(200, "ok", reply),
            Resource::Ready if self.machine.is_member() => self.word(200, "ready", reply),
            Resource::Ready => self.word(503, "waiting", reply),
            Resource::Cluster | Resource::Nodes | Resource::Node(_) | Resource::License | Resource::Root => {
                self.cluster_document(call.resource, reply)
            }
            #[cfg(feature = "management")]
            Resource::Managed(managed) => self.managed(managed, reply),
            #[cfg(feature = "management")]
            Resource::Schema(described) => self.schema(described, reply),
            #[cfg(feature = "management")]
            Resource::OpenApi => self.openapi(reply),
            #[cfg(not(feature = "management"))]
            Resource::Managed(_) | Resource::Schema(_) | Resource::OpenApi => Step::Answered,
            Resource::Server | Resource::UnknownV1 | Resource::Unknown => Step::Answered,
        }
    }

    fn wants_body(&mut self, call: &Call, purpose: Purpose, reply: &mut Reply<'_>) -> Step {
        if let Err(status) = call.content_type
            && !matches!(purpose, Purpose::Peer(_))
        {
            return self.error(status, http::error_code(status), "the content type must be application/json", reply);
        }
        if !call.has_length {
            // What its sender took for a body would be read as the next request.
            reply.close = true;
            return self.error(411, http::error_code(411), "a body needs Content-Length or chunks", reply);
        }
        match purpose {
            Purpose::Peer(_) => Step::Read(purpose),
            #[cfg(feature = "management")]
            Purpose::Change(_) => match self.may_change() {
                Ok(()) => Step::Read(purpose),
                Err(refusal) => self.not_changed(&refusal, reply),
            },
            Purpose::Bootstrap(_) | Purpose::Validate(_) => match self.machine.check_free() {
                Err(refusal) => self.refused(refusal, reply),
                Ok(()) if matches!(purpose, Purpose::Validate(_)) && self.validator.is_some() => {
                    self.busy("another validation is under way, try again", reply)
                }
                Ok(()) => Step::Read(purpose),
            },
        }
    }

    /// Goes on with a request whose body is complete; `guest` is what both ends of its TLS session know, where the client
    /// has shown a good certificate.
    pub fn post(
        &mut self,
        purpose: Purpose,
        body: &[u8],
        (source, guest): (IpAddr, Option<&SessionKey>),
        reply: &mut Reply<'_>,
    ) -> Step {
        match purpose {
            #[cfg(feature = "management")]
            Purpose::Change(target) => self.change(target, body, reply),
            Purpose::Peer(_) if !self.machine.is_member() => self.nothing(reply),
            Purpose::Peer(Peer::Start) => self.start_proof(body, source, reply),
            Purpose::Peer(Peer::Finish) => self.finish_proof(body, reply),
            Purpose::Peer(Peer::Certificate) => self.admit_guest(body, guest, reply),
            Purpose::Peer(Peer::Ask) => self.asked(body, reply),
            Purpose::Peer(Peer::Challenge) => self.challenge(reply),
            Purpose::Bootstrap(action) => match self.machine.start(action, body, self.clock.now) {
                Ok(effect) => {
                    if let Some((number, _)) = self.validator.take() {
                        self.news.push(News::Overtaken(number));
                    }
                    self.drive(Who::Attempt, Some(effect));
                    Step::Accepting
                }
                Err(refusal) => self.refused(refusal, reply),
            },
            Purpose::Validate(action) => self.validate(action, body, reply),
        }
    }

    /// Answers a POST whose attempt is durable, or could not be made so.
    pub fn accepted(&mut self, result: &Result<(), Trouble>, reply: &mut Reply<'_>) -> Step {
        match result {
            Ok(()) => self.send(&Answer { status: 200, ..Answer::default() }, reply),
            Err(trouble) => {
                let why = format!("the attempt could not be saved and was not started: {trouble}");
                self.error(503, "internal_error", &why, reply)
            }
        }
    }

    /// Answers with the status document.
    fn status(&mut self, reply: &mut Reply<'_>) -> Step {
        let of = (self.machine.version(), self.facts_version);
        if self.head_of != Some(of) {
            self.head.write(|writer| status::write_head(&self.machine, &self.facts, writer));
            self.head_of = Some(of);
        }
        let of = (self.clock.now, self.clock.uptime_ms / 1000);
        if self.tail_of != Some(of) {
            self.tail.write(|writer| status::write_tail(of.0, Some(of.1), writer));
            self.tail_of = Some(of);
        }
        let answer = Answer {
            status: 200,
            media_type: Resource::Status.media_type(),
            body: self.head.bytes(),
            tail: self.tail.bytes(),
            ..Answer::default()
        };
        deliver(&answer, &self.clock.date, reply)
    }

    fn cluster_document(&mut self, resource: Resource, reply: &mut Reply<'_>) -> Step {
        if let Resource::Node(uid) = resource
            && self.cluster.as_ref().is_none_or(|cluster| cluster.member(uid).is_none())
        {
            return self.error(404, http::error_code(404), "no node has this uid", reply);
        }
        self.document(200, "", reply, |agent, writer| {
            let Some(cluster) = agent.cluster.as_deref() else { return };
            let Clock { now, uptime_ms, .. } = &agent.clock;
            let (node_id, facts) = (agent.machine.node_id(), &*agent.facts);
            let local = Local { node_id, facts, now: *now, uptime: uptime_ms / 1000 };
            match resource {
                Resource::Cluster => cluster.write(writer),
                Resource::Nodes => cluster.write_nodes(agent.is_down(cluster), &local, writer),
                Resource::Node(uid) => cluster.write_node(uid, agent.is_down(cluster), &local, writer),
                Resource::License => cluster.write_license(agent.clock.now, writer),
                Resource::Root => write_root(cluster, writer),
                Resource::Status
                | Resource::Progress
                | Resource::Bootstrap(_)
                | Resource::Validate(_)
                | Resource::Managed(_)
                | Resource::Schema(_)
                | Resource::OpenApi
                | Resource::Health
                | Resource::Ready
                | Resource::Page
                | Resource::Peer(_)
                | Resource::Server
                | Resource::UnknownV1
                | Resource::Unknown => {}
            }
        })
    }

    pub(super) fn refused(&mut self, refusal: Refusal, reply: &mut Reply<'_>) -> Step {
        let (status, code, description) = api::refusal(refusal);
        match refusal {
            Refusal::InProgress | Refusal::Member => {
                let retry_after = (refusal == Refusal::InProgress).then_some(1);
                self.page(|_, writer| write_error(code, description, writer));
                self.send_page(status, "", retry_after, reply)
            }
            Refusal::Config => self.document(status, "", reply, |agent, writer| {
                agent.machine.problems().write_refusal(writer);
            }),
        }
    }
}

/// What a request for the progress waits for.
fn watch(head: &Head<'_>) -> Watch {
    let watch = Watch::from_query(head.query);
    #[cfg(feature = "ui")]
    if head.accept.iter().flatten().count() > 0 && api::prefers_events(&every(&head.accept)) {
        return watch.as_stream(head.last_event_id);
    }
    watch
}

/// Several lines are one list (RFC 9110, 5.3).
fn every(accept: &[Option<&str>]) -> String {
    accept.iter().flatten().copied().collect::<Vec<_>>().join(",")
}

fn is_acceptable(accept: &[Option<&str>], media_type: &str) -> bool {
    let mut lines = accept.iter().flatten();
    match (lines.next(), lines.next()) {
        (None, _) => true,
        (Some(line), None) => api::accepts(line, media_type),
        (Some(_), Some(_)) => api::accepts(&every(accept), media_type),
    }
}
