//! The node's mind: the only owner of the machine, the facts and the cluster's record. It belongs to the loop's
//! thread, so there is no lock; slow effects go to the worker, and what came of them comes back as [`Done`].

use std::io;
use std::net::IpAddr;
use std::sync::MutexGuard;

use bootstrapd_core::api::{self, Access, Method, Resource, Standing};
use bootstrapd_core::cluster::{Cluster, Seed};
use bootstrapd_core::config::Action;
use bootstrapd_core::limits::{CLUSTER_RECORD_BYTES_MAX, STATUS_BYTES_MAX};
use bootstrapd_core::machine::{Effect, Event, Machine, PathRole, Refusal, Trouble};
use bootstrapd_core::node::NodeInfo;
use bootstrapd_core::record::{self, Id, Membership};
use bootstrapd_core::status;
use bootstrapd_core::time::Timestamp;
use bootstrapd_core::write::Writer;
use zeroize::Zeroizing;

use crate::boot::Boot;
use crate::http::{self, Answer, Delivery, Head, Refused};
use crate::log;
use crate::logins::{Logins, Proof};
use crate::node;
use crate::perform::{Done, Job, Outcome, Threads, Who, Work, record_path};
use crate::secret::{self, LicenseKey};
use crate::store::Pair;

/// What a request asks for, as far as its head tells.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    resource: Resource,
    method: Method,
    foreign: Option<&'static str>,
    acceptable: bool,
    content_type: Result<(), u16>,
    has_length: bool,
}

/// What a body is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An attempt.
    Bootstrap(Action),
    /// A validation.
    Validate(Action),
}

/// How a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its answer is written.
    Answered,
    /// Its body is wanted.
    Read(Purpose),
    /// The login with this MAC is being checked.
    CheckingLogin([u8; 32]),
    /// The attempt is being made durable.
    Accepting,
    /// The validation with this number runs.
    Validating(u32),
}

/// Something that connections wait for.
#[derive(Debug)]
pub enum News {
    /// A login was checked.
    Login([u8; 32], bool),
    /// The attempt is durable, or why it is not.
    Accepted(Result<(), Trouble>),
    /// A validation has ended.
    Validated(u32),
    /// An accepted attempt has put an end to a validation.
    Overtaken(u32),
}

/// Where an answer goes.
#[derive(Debug)]
pub struct Reply<'a> {
    /// Appended to.
    pub out: &'a mut Vec<u8>,
    /// The body is left out.
    pub head_only: bool,
    /// The connection closes behind the answer, which may decide so itself.
    pub close: bool,
    /// The request was HTTP/1.0.
    pub is_1_0: bool,
}

/// The clocks, read once for each turn of the loop.
#[derive(Debug, Default)]
struct Clock {
    now: Timestamp,
    uptime_ms: u64,
    date: String,
}

/// A document, in a buffer that is as large as any and takes memory once it is used.
#[derive(Debug, Default)]
struct Page {
    buffer: Vec<u8>,
    length: usize,
}

impl Page {
    fn new(bytes_max: usize) -> Self {
        Self { buffer: vec![0; bytes_max], length: 0 }
    }

    fn write(&mut self, write: impl FnOnce(&mut Writer<'_>)) {
        let mut writer = Writer::new(&mut self.buffer);
        write(&mut writer);
        self.length = writer.length();
    }

    fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
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
    cluster: Option<Box<Cluster>>,
    /// Why nothing can be answered: a record that cannot be read.
    broken: Option<String>,
    node_record: Pair,
    license_key: Option<LicenseKey>,
    shows_bigstore: bool,
    logins: Logins,
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
}

impl Agent {
    /// The node that a start found, and its machine.
    ///
    /// # Errors
    /// Where the system has no randomness.
    pub fn new(
        machine: MutexGuard<'static, Machine>,
        boot: Boot,
        threads: Threads,
        license_key: Option<LicenseKey>,
    ) -> io::Result<Self> {
        let mut agent = Self {
            machine,
            validator: None,
            validations: 0,
            under_way: None,
            facts: boot.facts,
            facts_version: 0,
            cluster: boot.cluster,
            broken: boot.broken,
            node_record: boot.node_record,
            license_key,
            shows_bigstore: boot.shows_bigstore,
            logins: Logins::new()?,
            threads,
            clock: Clock::default(),
            head: Page::new(STATUS_BYTES_MAX),
            head_of: None,
            tail: Page::new(status::TAIL_BYTES_MAX),
            tail_of: None,
            // The largest is the list of MEMBERS_MAX nodes, which is smaller than the record that it comes from.
            page: Page::new(CLUSTER_RECORD_BYTES_MAX),
            news: Vec::new(),
        };
        agent.watch();
        agent.tick();
        Ok(agent)
    }

    /// Reads the clocks.
    pub fn tick(&mut self) {
        self.clock.uptime_ms = node::uptime_ms();
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
        let addresses = node::addresses();
        if addresses != self.facts.addresses {
            self.facts.addresses = addresses;
            self.facts_version = self.facts_version.wrapping_add(1);
        }
    }

    /// What `head` asks for.
    #[must_use]
    pub fn call(&self, head: &Head<'_>) -> Call {
        let resource = Resource::from_path(head.path);
        let own_name = |name: &str| self.is_own_name(name);
        Call {
            resource,
            method: Method::from_name(head.method),
            foreign: api::foreign_origin(head.origin, head.host, head.fetch_site, "http", own_name),
            acceptable: is_acceptable(&head.accept, resource.media_type()),
            content_type: api::content_type(head.content_type, head.origin.is_some()),
            has_length: head.has_length,
        }
    }

    fn is_own_name(&self, name: &str) -> bool {
        let known = |own: &str| own.eq_ignore_ascii_case(name);
        let in_cluster = |cluster: &Cluster| {
            let member = cluster.members.iter().find(|member| member.node_id == self.machine.node_id());
            known(&cluster.name) || member.is_some_and(|member| known(&member.name))
        };
        node::host_name().is_some_and(|own| known(&own))
            || self.cluster.as_deref().filter(|_| self.machine.is_member()).is_some_and(in_cluster)
    }

    fn standing(&self) -> Standing {
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
        match api::access(call.resource, call.method, self.standing()) {
            Access::Open => self.permitted(call, reply),
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
    pub fn logged_in(&mut self, call: &Call, good: bool, reply: &mut Reply<'_>) -> Step {
        if good { self.permitted(call, reply) } else { self.unauthorized(reply) }
    }

    /// Goes on with a request whose caller may make it.
    fn permitted(&mut self, call: &Call, reply: &mut Reply<'_>) -> Step {
        let allow = call.resource.allow();
        if allow.is_empty() {
            return self.error(404, http::error_code(404), "there is nothing here", reply);
        }
        if !call.resource.takes(call.method) {
            return self.document(405, allow, reply, |_, writer| {
                write_error(http::error_code(405), "the method is not one of Allow", writer);
            });
        }
        if call.method == Method::Options {
            return self.send(&Answer { status: 200, allow, ..Answer::default() }, reply);
        }
        match call.resource {
            Resource::Bootstrap(action) => self.wants_body(call, Purpose::Bootstrap(action), reply),
            Resource::Validate(action) => self.wants_body(call, Purpose::Validate(action), reply),
            _ if !call.acceptable => self.error(406, http::error_code(406), "nothing here is of that type", reply),
            Resource::Status => self.status(reply),
            Resource::Health => self.word(200, "ok", reply),
            Resource::Ready if self.machine.is_member() => self.word(200, "ready", reply),
            Resource::Ready => self.word(503, "waiting", reply),
            Resource::Cluster | Resource::Nodes | Resource::Node(_) | Resource::License | Resource::Root => {
                self.cluster_document(call.resource, reply)
            }
            Resource::UnknownV1 | Resource::Unknown => Step::Answered,
        }
    }

    fn wants_body(&mut self, call: &Call, purpose: Purpose, reply: &mut Reply<'_>) -> Step {
        if let Err(status) = call.content_type {
            return self.error(status, http::error_code(status), "the content type must be application/json", reply);
        }
        if !call.has_length {
            // What its sender took for a body would be read as the next request.
            reply.close = true;
            return self.error(411, http::error_code(411), "a POST needs Content-Length or chunks", reply);
        }
        match (self.machine.check_free(), purpose) {
            (Err(refusal), _) => self.refused(refusal, reply),
            (Ok(()), Purpose::Validate(_)) if self.validator.is_some() => {
                self.busy("another validation is under way, try again", reply)
            }
            (Ok(()), Purpose::Bootstrap(_) | Purpose::Validate(_)) => Step::Read(purpose),
        }
    }

    /// Goes on with a request whose body is complete.
    pub fn post(&mut self, purpose: Purpose, body: &[u8], reply: &mut Reply<'_>) -> Step {
        match purpose {
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

    fn validate(&mut self, action: Action, body: &[u8], reply: &mut Reply<'_>) -> Step {
        if let Err(refusal) = self.machine.check_free() {
            return self.refused(refusal, reply);
        }
        if self.validator.is_some() {
            return self.busy("another validation is under way, try again", reply);
        }
        let mut validator = Box::<Machine>::default();
        validator.validate_for(&self.machine);
        let started = validator.start(action, body, self.clock.now);
        self.validations = self.validations.wrapping_add(1);
        let number = self.validations;
        self.validator = Some((number, validator));
        match started {
            Ok(effect) => {
                self.drive(Who::Validation(number), Some(effect));
                Step::Validating(number)
            }
            Err(_) => self.validated(number, reply),
        }
    }

    /// Answers with what the validation with this number found, and forgets it; an accepted attempt has overtaken one
    /// that is gone.
    pub fn validated(&mut self, number: u32, reply: &mut Reply<'_>) -> Step {
        let Some((_, validator)) = self.validator.take_if(|(running, _)| *running == number) else {
            return self.refused(Refusal::InProgress, reply);
        };
        if validator.failure().is_none() {
            return self.document(200, "", reply, |_, writer| _ = writer.open('{').close('}'));
        }
        self.document(406, "", reply, |_, writer| status::write_bootstrap_status(&validator, writer))
    }

    /// Gives up on the validation with this number.
    pub fn abandon(&mut self, number: u32) {
        _ = self.validator.take_if(|(running, _)| *running == number);
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
            match resource {
                Resource::Cluster => cluster.write(writer),
                Resource::Nodes => cluster.write_nodes(writer),
                Resource::Node(uid) => _ = cluster.member(uid).map(|member| member.write(writer)),
                Resource::License => cluster.write_license(agent.clock.now, writer),
                Resource::Root => write_root(cluster, writer),
                Resource::Status
                | Resource::Bootstrap(_)
                | Resource::Validate(_)
                | Resource::Health
                | Resource::Ready
                | Resource::UnknownV1
                | Resource::Unknown => {}
            }
        })
    }

    fn refused(&mut self, refusal: Refusal, reply: &mut Reply<'_>) -> Step {
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

    fn unauthorized(&mut self, reply: &mut Reply<'_>) -> Step {
        self.send(&Answer { status: 401, challenge: true, ..Answer::default() }, reply)
    }

    fn busy(&mut self, why: &str, reply: &mut Reply<'_>) -> Step {
        self.page(|_, writer| write_error("busy", why, writer));
        self.send_page(503, "", Some(1), reply)
    }

    /// Answers to a message that is refused.
    pub fn refuse(&mut self, refused: Refused, reply: &mut Reply<'_>) {
        self.error(refused.status, http::error_code(refused.status), refused.reason, reply);
    }

    /// Answers to a request that has waited too long for a disk that hangs.
    pub fn stalled(&mut self, reply: &mut Reply<'_>) {
        self.error(503, "internal_error", "a file system of this node does not answer", reply);
    }

    fn error(&mut self, status: u16, code: &str, description: &str, reply: &mut Reply<'_>) -> Step {
        self.document(status, "", reply, |_, writer| write_error(code, description, writer))
    }

    fn word(&mut self, status: u16, word: &str, reply: &mut Reply<'_>) -> Step {
        let media_type = Resource::Health.media_type();
        self.send(&Answer { status, media_type, body: word.as_bytes(), ..Answer::default() }, reply)
    }

    fn document(
        &mut self,
        status: u16,
        allow: &'static str,
        reply: &mut Reply<'_>,
        write: impl FnOnce(&Self, &mut Writer<'_>),
    ) -> Step {
        self.page(write);
        self.send_page(status, allow, None, reply)
    }

    /// Writes a document into the page.
    fn page(&mut self, write: impl FnOnce(&Self, &mut Writer<'_>)) {
        let mut page = std::mem::take(&mut self.page);
        page.write(|writer| write(self, writer));
        self.page = page;
    }

    fn send_page(&mut self, status: u16, allow: &'static str, retry_after: Option<u16>, reply: &mut Reply<'_>) -> Step {
        let media_type = Resource::Status.media_type();
        let answer = Answer { status, media_type, body: self.page.bytes(), allow, retry_after, ..Answer::default() };
        deliver(&answer, &self.clock.date, reply)
    }

    fn send(&self, answer: &Answer<'_>, reply: &mut Reply<'_>) -> Step {
        deliver(answer, &self.clock.date, reply)
    }

    /// Hands the next effect to the worker. What cannot even be handed over is an event at once.
    fn drive(&mut self, who: Who, mut next: Option<Effect>) {
        while let Some(effect) = next {
            if who == Who::Attempt {
                self.under_way = Some(effect);
            }
            match self.work(who, effect) {
                Ok(work) => return self.threads.jobs.push(Job::Work(who, work)),
                Err(event) => next = self.handle(who, event),
            }
        }
        if who == Who::Attempt {
            self.under_way = None;
            self.attempt_ended();
        }
    }

    fn machine(&self, who: Who) -> &Machine {
        match (who, &self.validator) {
            (Who::Validation(number), Some((running, validator))) if number == *running => validator,
            (Who::Attempt | Who::Validation(_), _) => &self.machine,
        }
    }

    fn work(&mut self, who: Who, effect: Effect) -> Result<Work, Event> {
        let cluster_record = record_path(self.machine(who).path(PathRole::Ccs));
        Ok(match effect {
            Effect::Persist => {
                let mut buffer = vec![0; bootstrapd_core::limits::NODE_RECORD_BYTES_MAX];
                match self.machine.encode(&mut buffer) {
                    Ok(length) => buffer.truncate(length),
                    Err(_) => return Err(Event::Persisted(Err(trouble("the record is too long")))),
                }
                Work::Save(self.node_record.clone(), buffer)
            }
            Effect::CheckPaths => {
                let paths = self.machine(who).paths_to_check().map(|path| path.map(str::to_owned));
                Work::CheckPaths(paths, self.machine.node_id())
            }
            Effect::VerifyLicense => {
                Work::VerifyLicense(self.machine(who).config().license.as_str().to_owned(), self.license_key.clone())
            }
            Effect::Found => {
                let password = self.machine.config().credentials.password.expose();
                Work::Hash(Zeroizing::new(password.to_vec()), self.facts.total_memory)
            }
            Effect::Adopt => {
                let mut buffer = vec![0; CLUSTER_RECORD_BYTES_MAX];
                let encoded = self.cluster.as_deref().and_then(|cluster| record::encode(cluster, &mut buffer).ok());
                let Some(length) = encoded else {
                    return Err(Event::Adopted(Err(trouble("the record is too long"))));
                };
                buffer.truncate(length);
                Work::Save(cluster_record, buffer)
            }
            Effect::Discard => Work::Discard(cluster_record),
        })
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
            (Who::Validation(_), _) => None,
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
            Done::Work(who, outcome) => {
                let event = self.event(who, outcome);
                let accepting = who == Who::Attempt && self.machine.is_accepting();
                let result = match &event {
                    Event::Persisted(result) => result.clone(),
                    _ => Ok(()),
                };
                let next = self.handle(who, event);
                if accepting {
                    self.attempt_accepted(&result);
                    self.news.push(News::Accepted(result));
                }
                self.drive(who, next);
            }
        }
    }

    /// The event that an outcome means to the machine.
    fn event(&mut self, who: Who, outcome: Outcome) -> Event {
        match outcome {
            Outcome::Saved(result) => {
                let result = result.map_err(|error| trouble(&error.to_string()));
                let adopting = who == Who::Attempt && self.under_way == Some(Effect::Adopt);
                if adopting { Event::Adopted(result) } else { Event::Persisted(result) }
            }
            Outcome::Discarded => Event::Discarded,
            Outcome::PathsChecked(found) => Event::PathsChecked(found),
            Outcome::LicenseVerified(result) => Event::LicenseVerified(result),
            Outcome::Hashed(result) => {
                let founded = result.and_then(|password| self.found(password));
                Event::Founded(founded.map_err(|error| trouble(&error.to_string())))
            }
        }
    }

    fn found(&mut self, password: bootstrapd_core::cluster::PasswordHash) -> io::Result<Membership> {
        let seed = Seed { cluster_id: Id(secret::random()?), epoch_tag: Id(secret::random()?), password };
        let cluster = Box::new(self.machine.found(seed, &self.facts, self.clock.now));
        let membership = cluster.membership(self.machine.node_id());
        self.cluster = Some(cluster);
        membership.ok_or_else(|| io::Error::other("the node is not in its own cluster"))
    }

    fn attempt_accepted(&mut self, result: &Result<(), Trouble>) {
        let action = self.machine.action().name();
        match result {
            Ok(()) => {
                log::info("attempt accepted", &[("action", &action)]);
                for warning in &self.machine.config().warnings {
                    log::warn("configuration", &[("pointer", &warning.pointer), ("reason", &warning.reason)]);
                }
                self.watch();
            }
            Err(trouble) => log::warn("attempt not accepted", &[("action", &action), ("error", trouble)]),
        }
    }

    fn attempt_ended(&mut self) {
        if let Some(membership) = self.machine.membership() {
            let name = self.cluster.as_ref().map(|cluster| cluster.name.as_str()).unwrap_or_default();
            log::info("bootstrap completed", &[("cluster", &name), ("uid", &membership.uid)]);
        } else if let Some(failure) = self.machine.failure() {
            let first: String = self.machine.problems().first().chars().collect();
            let message = if failure.message.is_empty() { &first } else { failure.message.as_str() };
            log::warn("bootstrap failed", &[("error_code", &failure.cause.code()), ("message", &message)]);
            if !self.machine.is_expelled() {
                self.cluster = None;
            }
        }
    }

    /// Tells the worker which file systems to look at, and shows their paths.
    fn watch(&mut self) {
        let path = |role| self.machine.path(role);
        let bigstore = self.machine.paths_to_check()[PathRole::Bigstore as usize]
            .or_else(|| self.shows_bigstore.then(|| path(PathRole::Bigstore)));
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
        std::mem::take(&mut self.news)
    }

    /// The threads.
    #[must_use]
    pub const fn threads(&self) -> &Threads {
        &self.threads
    }
}

fn deliver(answer: &Answer<'_>, date: &str, reply: &mut Reply<'_>) -> Step {
    let delivery = Delivery { head_only: reply.head_only, close: reply.close, is_1_0: reply.is_1_0, date };
    answer.write(delivery, reply.out);
    Step::Answered
}

/// The system's words, as many as fit.
fn trouble(words: &str) -> Trouble {
    let mut kept = Trouble::new();
    let _ = words.chars().try_for_each(|character| kept.push(character));
    kept
}

fn write_error(code: &str, description: &str, writer: &mut Writer<'_>) {
    writer.open('{').name("error_code").text(code).name("description").text(description).close('}');
}

fn write_root(cluster: &Cluster, writer: &mut Writer<'_>) {
    writer.open('{').name("cluster_name").text(&cluster.name);
    writer.name("software_version").text(bootstrapd_core::node::SOFTWARE_VERSION).close('}');
}

fn is_acceptable(accept: &[Option<&str>], media_type: &str) -> bool {
    let mut lines = accept.iter().flatten();
    match (lines.next(), lines.next()) {
        (None, _) => true,
        (Some(line), None) => api::accepts(line, media_type),
        // Several lines are one list (RFC 9110, 5.3).
        (Some(_), Some(_)) => {
            let all: Vec<&str> = accept.iter().flatten().copied().collect();
            api::accepts(&all.join(","), media_type)
        }
    }
}
