//! One connection, without its socket: bytes come in, answers go out, in the order of their requests.
//!
//! It keeps no byte of an idle connection, gives every request one deadline, and never reads on while a request
//! waits for something.

use std::net::IpAddr;

use bootstrapd_core::api::Peer;

use crate::agent::{Agent, Call, Purpose, Reply, Step};
use crate::http::{self, Body, Head, Refused};
use crate::opaque::SessionKey;
use crate::tls;

mod body;
mod rank;
#[cfg(feature = "ui")]
mod stream;
mod wait;

use body::Framing;
pub use body::Shared;
pub use rank::Rank;
use wait::Wait;

/// A whole request, from its first byte; also a whole answer, until the client has taken it.
const REQUEST_MS: u64 = 10_000;
/// A connection between two requests.
const IDLE_MS: u64 = 75_000;
/// What a request may wait for: a disk, a login, a validation.
const WAIT_MS: u64 = 30_000;
/// A connection that is closing, until its client has noticed.
const LINGER_MS: u64 = 2_000;
/// A body's buffer is its own for so long, even where others need it.
const BODY_HOLD_MS: u64 = 1_000;

/// What a connection is about.
enum Phase {
    /// A head, of which nothing may have come yet.
    Head,
    /// A body to be acted on; without a buffer where none was free.
    Keeping(Framing, Purpose, Option<Vec<u8>>),
    /// A body to be dropped; the answer waits behind it.
    Dropping(Framing, Vec<u8>),
    /// Nothing is read until this has happened.
    Waiting(Wait),
    /// The last answer is written. Where input may still come that nobody wants, it is read, so that the answer is
    /// not lost in a reset.
    Closing { lingers: bool },
}

/// See the module.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of the request or of the connection by itself")]
pub struct Connection {
    source: IpAddr,
    /// How a URL that leads here begins.
    scheme: &'static str,
    phase: Phase,
    /// The current request's body, until its phase takes it.
    body: Body,
    head_only: bool,
    keep_alive: bool,
    is_1_0: bool,
    expects_continue: bool,
    /// Whether its first request is not answered yet.
    is_new: bool,
    /// Whether a byte of the next request has come.
    started: bool,
    /// The proof of the password that was begun last.
    proof: Option<u32>,
    /// What both ends of its TLS session know, where the client has shown a good certificate.
    guest: Option<Box<SessionKey>>,
    /// When the phase began, in milliseconds of uptime.
    since: u64,
    deadline: u64,
}

impl Connection {
    /// A new one, from an address.
    #[must_use]
    pub const fn new(source: IpAddr, now: u64) -> Self {
        Self {
            source,
            scheme: "http",
            phase: Phase::Head,
            body: Body::None,
            head_only: false,
            keep_alive: true,
            is_1_0: false,
            expects_continue: false,
            is_new: true,
            started: false,
            proof: None,
            guest: None,
            since: now,
            deadline: now.saturating_add(REQUEST_MS),
        }
    }

    /// Whether nobody else can listen to it.
    #[must_use]
    pub const fn may_be_plain(&self) -> bool {
        self.source.to_canonical().is_loopback()
    }

    /// It speaks TLS.
    pub const fn is_secure(&mut self) {
        self.scheme = "https";
    }

    /// Its client has shown a good certificate; both ends of the TLS session know this.
    pub fn is_guest(&mut self, key: Box<SessionKey>) {
        self.guest = Some(key);
    }

    /// It speaks plain HTTP, which is not answered.
    pub fn is_plain(&mut self, shared: &mut Shared) {
        // Whatever it has sent was for other ears.
        shared.secret_seen = true;
        self.refuse(
            Refused { status: 400, reason: "plain HTTP from another machine is not answered: use https" },
            shared,
        );
    }

    /// When it has waited long enough, in milliseconds of uptime.
    #[must_use]
    pub const fn deadline(&self) -> u64 {
        self.deadline
    }

    /// Whether it closes once its answers are written.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. })
    }

    /// Whether it is closing, but should read on until its client has noticed.
    #[must_use]
    pub const fn lingers(&self) -> bool {
        matches!(self.phase, Phase::Closing { lingers: true })
    }

    /// Whether it takes input now.
    #[must_use]
    pub const fn is_reading(&self) -> bool {
        matches!(self.phase, Phase::Head | Phase::Keeping(_, _, Some(_)) | Phase::Dropping(..) | Phase::Closing { .. })
    }

    /// The answer could not be written at once.
    pub const fn is_blocked(&mut self, now: u64) {
        #[cfg(feature = "ui")]
        self.block_stream(true);
        self.started = true;
        self.since = now;
        self.deadline = now.saturating_add(REQUEST_MS);
    }

    /// The answer that could not be written at once has gone out.
    pub const fn is_unblocked(&mut self, now: u64) {
        #[cfg(feature = "ui")]
        self.block_stream(false);
        // A handshake's output is no answer: its deadline stands.
        if matches!(self.phase, Phase::Head) && self.started {
            self.rest(now);
        }
    }

    /// Something of a request is there.
    const fn start(&mut self, now: u64) {
        if self.started {
            return;
        }
        self.started = true;
        self.since = now;
        // A new connection's deadline stands since it was opened.
        if !self.is_new {
            self.deadline = now.saturating_add(REQUEST_MS);
        }
    }

    const fn rest(&mut self, now: u64) {
        self.started = false;
        self.is_new = false;
        self.since = now;
        self.deadline = now.saturating_add(IDLE_MS);
    }

    fn enter(&mut self, phase: Phase, patience: u64, now: u64) {
        self.phase = phase;
        self.since = now;
        self.deadline = now.saturating_add(patience);
    }

    /// Takes a request, or a piece of one, off the front of `input`; how many bytes were taken. With nothing taken
    /// and the phase as before, more must come. The first `scanned` bytes were here before.
    pub fn advance(&mut self, input: &[u8], scanned: usize, shared: &mut Shared) -> usize {
        let now = shared.agent.uptime_ms();
        if self.needs_body_buffer() {
            self.find_buffer(shared);
        }
        match &mut self.phase {
            Phase::Head => self.head(input, scanned, shared),
            Phase::Keeping(framing, _, Some(buffer)) => {
                shared.secret_seen = true;
                let taken = framing.take(input, |piece| buffer.extend_from_slice(piece));
                let (taken, done) = self.taken(taken, shared);
                if done {
                    self.kept(shared);
                }
                taken
            }
            Phase::Dropping(framing, _) => {
                shared.secret_seen = true;
                let taken = framing.take(input, |_| {});
                let (taken, done) = self.taken(taken, shared);
                if let (true, Phase::Dropping(_, answer)) = (done, &mut self.phase) {
                    shared.out.append(answer);
                    self.answered(now);
                }
                taken
            }
            Phase::Waiting(_) | Phase::Keeping(_, _, None) => 0,
            Phase::Closing { .. } => input.len(),
        }
    }

    fn head(&mut self, input: &[u8], scanned: usize, shared: &mut Shared) -> usize {
        let now = shared.agent.uptime_ms();
        match http::head_length(input, scanned).and_then(|length| {
            let head = length.and_then(|length| input.split_at_checked(length));
            head.map(|(head, rest)| http::read_head(head).map(|read| (head.len(), read, rest))).transpose()
        }) {
            Ok(Some((length, head, rest))) => {
                self.start(now);
                self.begin(&head, shared);
                match (&mut self.phase, &self.body) {
                    // A body in one piece behind its head needs no buffer.
                    (Phase::Keeping(Framing::Length(_), purpose, _), Body::Length(body)) if rest.len() >= *body => {
                        let (purpose, body) = (*purpose, *body);
                        shared.secret_seen = true;
                        self.post(purpose, rest.get(..body).unwrap_or_default(), shared);
                        length.saturating_add(body)
                    }
                    (Phase::Keeping(..), _) => {
                        self.expects_continue &= rest.is_empty();
                        self.find_buffer(shared);
                        length
                    }
                    _ => length,
                }
            }
            // Who would speak TLS waits for an answer, and would not send the end of any line.
            Ok(None) if !tls::IS_BUILT_IN && input.first() == Some(&0x16) => {
                self.refuse(Refused { status: 400, reason: "TLS is not built in" }, shared);
                0
            }
            Ok(None) => {
                if !self.started && !input.is_empty() {
                    self.head_only = input.starts_with(b"HEAD ");
                    self.start(now);
                }
                0
            }
            Err(refused) => {
                self.head_only = input.starts_with(b"HEAD ");
                // What was refused may have held credentials.
                shared.secret_seen = true;
                self.refuse(refused, shared);
                0
            }
        }
    }

    fn begin(&mut self, head: &Head<'_>, shared: &mut Shared) {
        self.body = head.body;
        self.head_only = head.method == "HEAD";
        self.keep_alive = head.keep_alive;
        self.is_1_0 = head.is_1_0;
        self.expects_continue = head.expects_continue && Framing::of(head.body).is_some();
        shared.secret_seen |= head.authorization.is_some();
        let call = shared.agent.call(head, self.scheme);
        let source = self.source;
        self.step(shared, Some(&call), |agent, reply| agent.begin(&call, head.authorization, source, reply));
    }

    /// Runs one step of a request and enters the phase that it leads to.
    fn step(&mut self, shared: &mut Shared, call: Option<&Call>, run: impl FnOnce(&mut Agent, &mut Reply<'_>) -> Step) {
        let now = shared.agent.uptime_ms();
        let before = shared.out.len();
        // Whoever asks before sending a body, and is answered instead of told to go on, may send it or not: the
        // connection cannot be used again.
        let asks = self.expects_continue;
        let close = !self.keep_alive || asks;
        let mut reply = Reply { out: &mut shared.out, head_only: self.head_only, close, is_1_0: self.is_1_0 };
        let step = run(&mut shared.agent, &mut reply);
        let cuts = asks || reply.close != close;
        match step {
            Step::Answered if cuts => self.enter(Phase::Closing { lingers: true }, LINGER_MS, now),
            Step::Proving(number) => {
                // Whoever begins another one has not finished the last.
                if let Some(left) = self.proof.replace(number) {
                    shared.agent.leave_proof(left);
                }
                self.answered(now);
            }
            Step::Answered => match Framing::of(self.body) {
                Some(framing) => {
                    let answer = shared.out.split_off(before);
                    self.phase = Phase::Dropping(framing, answer);
                }
                None => self.answered(now),
            },
            Step::Read(purpose) => {
                // A body of no bytes is one too.
                let framing = Framing::of(self.body).unwrap_or(Framing::Length(0));
                self.phase = Phase::Keeping(framing, purpose, None);
            }
            Step::CheckingLogin(mac) => {
                if let Some(call) = call {
                    self.enter(Phase::Waiting(Wait::Login(mac, *call)), WAIT_MS, now);
                }
            }
            Step::Accepting => self.enter(Phase::Waiting(Wait::Accepting), WAIT_MS, now),
            Step::Validating(number) => self.enter(Phase::Waiting(Wait::Validating(number)), WAIT_MS, now),
            Step::Keeping(number) => self.enter(Phase::Waiting(Wait::Keeping(number)), WAIT_MS, now),
            Step::Watching(revision, patience) => {
                self.enter(Phase::Waiting(Wait::Watching(revision)), patience, now);
            }
            #[cfg(feature = "ui")]
            Step::Streaming(revision) => self.begin_stream(revision, now),
        }
    }

    fn answered(&mut self, now: u64) {
        self.body = Body::None;
        if self.keep_alive {
            self.phase = Phase::Head;
            self.rest(now);
        } else {
            self.enter(Phase::Closing { lingers: false }, LINGER_MS, now);
        }
    }

    /// How much of a body was taken, and whether that was all of it.
    fn taken(&mut self, taken: Result<(usize, bool), Refused>, shared: &mut Shared) -> (usize, bool) {
        taken.unwrap_or_else(|refused| {
            self.refuse(refused, shared);
            (0, false)
        })
    }

    fn kept(&mut self, shared: &mut Shared) {
        if let Phase::Keeping(_, purpose, Some(buffer)) = &mut self.phase {
            let (purpose, buffer) = (*purpose, std::mem::take(buffer));
            // The buffer is taken already: the phase that follows needs none.
            self.phase = Phase::Head;
            self.post(purpose, &buffer, shared);
            shared.give_back(buffer);
        }
    }

    fn post(&mut self, purpose: Purpose, body: &[u8], shared: &mut Shared) {
        self.body = Body::None;
        self.expects_continue = false;
        let source = self.source;
        // It admits once.
        let guest = if purpose == Purpose::Peer(Peer::Certificate) { self.guest.take() } else { None };
        self.step(shared, None, |agent, reply| agent.post(purpose, body, (source, guest.as_deref()), reply));
    }

    /// Answers to a message that is refused, and closes behind the answer.
    fn refuse(&mut self, refused: Refused, shared: &mut Shared) {
        self.release(shared);
        let mut reply = Reply { out: &mut shared.out, head_only: self.head_only, close: true, is_1_0: false };
        shared.agent.refuse(refused, &mut reply);
        self.enter(Phase::Closing { lingers: true }, LINGER_MS, shared.agent.uptime_ms());
    }

    /// Gives back what it holds.
    pub fn release(&mut self, shared: &mut Shared) {
        if let Some(number) = self.proof.take() {
            shared.agent.leave_proof(number);
        }
        match &mut self.phase {
            Phase::Keeping(_, _, buffer) => {
                if let Some(buffer) = buffer.take() {
                    shared.give_back(buffer);
                }
            }
            Phase::Waiting(Wait::Validating(number)) => shared.agent.abandon(*number),
            Phase::Waiting(Wait::Keeping(number)) => shared.agent.forget(*number),
            Phase::Waiting(Wait::Watching(_)) => shared.agent.stop_watching(),
            #[cfg(feature = "ui")]
            Phase::Waiting(Wait::Streaming(_)) => shared.agent.stop_watching(),
            Phase::Head | Phase::Dropping(..) | Phase::Waiting(_) | Phase::Closing { .. } => {}
        }
    }
}
