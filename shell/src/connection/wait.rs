//! What a request waits for, and how it goes on once that has happened, or its time is over.

#[cfg(feature = "ui")]
use super::stream::Stream;
use super::{Connection, LINGER_MS, Phase, REQUEST_MS, Shared};
use crate::agent::{Agent, Call, News, Reply};
use crate::http::{Body, Refused};

/// What a request waits for.
#[derive(Clone, Copy)]
pub(super) enum Wait {
    Login([u8; 32], Call),
    Accepting,
    Validating(u32),
    Keeping(u32),
    /// For another revision of the progress than this one.
    Watching(u64),
    /// For another revision than this one, again and again.
    #[cfg(feature = "ui")]
    Streaming(Stream),
}

impl Connection {
    /// Whether it waits for something that is an answer, too, where it has not come in time.
    #[must_use]
    pub const fn may_wait_in_vain(&self) -> bool {
        #[cfg(feature = "ui")]
        if matches!(self.phase, Phase::Waiting(Wait::Streaming(_))) {
            return true;
        }
        matches!(self.phase, Phase::Waiting(Wait::Watching(_) | Wait::Validating(_)))
    }

    /// Something has happened: whether that was what the connection waits for.
    pub fn hear(&mut self, news: &News, shared: &mut Shared) -> bool {
        let Phase::Waiting(wait) = self.phase else { return false };
        match (wait, news) {
            (Wait::Login(mac, call), News::Login(checked, good)) if mac == *checked => {
                self.started = true;
                // The node has taken its time; what is left of the request has as much as any.
                self.deadline = shared.agent.uptime_ms().saturating_add(REQUEST_MS);
                self.step(shared, Some(&call), |agent, reply| agent.logged_in(&call, *good, reply));
                // A body of no bytes is complete already: nothing comes that would say so.
                if let (Phase::Keeping(_, purpose, _), Body::None | Body::Length(0)) = (&self.phase, &self.body) {
                    self.post(*purpose, &[], shared);
                }
            }
            (Wait::Accepting, News::Accepted(result)) => {
                self.step(shared, None, |agent, reply| agent.accepted(result, reply));
            }
            (Wait::Validating(number), News::Validated(ended) | News::Overtaken(ended)) if number == *ended => {
                self.step(shared, None, |agent, reply| agent.validated(number, reply));
            }
            (Wait::Keeping(number), News::Kept(kept, good)) if number == *kept => {
                self.step(shared, None, |agent, reply| agent.record_kept(number, *good, reply));
            }
            (Wait::Watching(revision), News::Progress) if revision != shared.agent.revision() => self.watched(shared),
            #[cfg(feature = "ui")]
            (Wait::Streaming(_), News::Progress) => return self.catch_up(shared),
            #[cfg(feature = "ui")]
            (Wait::Streaming(_), _) => return false,
            (Wait::Login(..) | Wait::Accepting | Wait::Validating(_) | Wait::Keeping(_) | Wait::Watching(_), _) => {
                return false;
            }
        }
        true
    }

    /// The progress has changed, or has not for as long as was to be waited.
    fn watched(&mut self, shared: &mut Shared) {
        shared.agent.stop_watching();
        self.step(shared, None, Agent::progress);
    }

    /// Its time is over. It may leave a last answer; then it is closing.
    pub fn expire(&mut self, shared: &mut Shared) {
        match self.phase {
            Phase::Head if !self.started => {}
            Phase::Head | Phase::Keeping(..) | Phase::Dropping(..) => {
                self.refuse(Refused { status: 408, reason: "the request took too long" }, shared);
            }
            Phase::Waiting(Wait::Watching(_)) => self.watched(shared),
            #[cfg(feature = "ui")]
            Phase::Waiting(Wait::Streaming(_)) => self.beat_stream(shared),
            Phase::Waiting(Wait::Validating(number)) if shared.agent.run_out(number) => {
                self.step(shared, None, |agent, reply| agent.validated(number, reply));
            }
            Phase::Waiting(_) => {
                self.release(shared);
                let mut reply = Reply { out: &mut shared.out, head_only: self.head_only, close: true, is_1_0: false };
                shared.agent.stalled(&mut reply);
                self.enter(Phase::Closing { lingers: true }, LINGER_MS, shared.agent.uptime_ms());
            }
            Phase::Closing { .. } => {}
        }
    }
}
