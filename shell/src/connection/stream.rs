//! A connection that gets events: what it has, and that it gets no more while it has not taken the last one.

use super::{Connection, LINGER_MS, Phase, Shared, Wait};
use crate::agent::Agent;

/// A stream that has nothing to tell says so each time, in milliseconds: proxies cut what is silent for long, and a client
/// that is gone is noticed.
const HEARTBEAT_MS: u64 = 15_000;

/// A stream of events.
#[derive(Clone, Copy)]
pub(super) struct Stream {
    /// The revision that was written last.
    revision: u64,
    /// The client has not taken all that was written.
    is_blocked: bool,
}

impl Connection {
    /// The head and the first event are written; from now on it waits for other revisions.
    pub(super) fn begin_stream(&mut self, revision: u64, now: u64) {
        self.enter(Phase::Waiting(Wait::Streaming(Stream { revision, is_blocked: false })), HEARTBEAT_MS, now);
    }

    pub(super) const fn block_stream(&mut self, is_blocked: bool) {
        if let Phase::Waiting(Wait::Streaming(stream)) = &mut self.phase {
            stream.is_blocked = is_blocked;
        }
    }

    /// Writes the present revision, if it is another one and the client takes it; whether something was written. The last
    /// one ends the stream.
    pub fn catch_up(&mut self, shared: &mut Shared) -> bool {
        let now = shared.agent.uptime_ms();
        let revision = shared.agent.revision();
        let Phase::Waiting(Wait::Streaming(stream)) = &mut self.phase else { return false };
        if stream.is_blocked || stream.revision == revision {
            return false;
        }
        stream.revision = revision;
        shared.agent.write_event(&mut shared.out);
        if shared.agent.streams_end() {
            self.release(shared);
            self.enter(Phase::Closing { lingers: true }, LINGER_MS, now);
        } else {
            self.deadline = now.saturating_add(HEARTBEAT_MS);
        }
        true
    }

    /// Nothing was written for a while.
    pub(super) fn beat_stream(&mut self, shared: &mut Shared) {
        Agent::write_heartbeat(&mut shared.out);
        self.deadline = shared.agent.uptime_ms().saturating_add(HEARTBEAT_MS);
    }
}
