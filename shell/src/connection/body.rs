//! Bodies: how much of one is to come, and the buffers that all connections share.

use bootstrapd_core::limits::BODY_BYTES_MAX;

use super::{BODY_HOLD_MS, Connection, Phase};
use crate::agent::Agent;
use crate::http::{Body, Chunks, Refused};
use crate::secret::wipe;

/// Bodies that come in pieces at the same time; one that comes in one piece needs no buffer.
const BODIES: usize = 8;

/// What all connections share.
pub struct Shared {
    /// The node.
    pub agent: Agent,
    /// Where answers are written.
    pub out: Vec<u8>,
    /// The input held a secret and is to be wiped.
    pub secret_seen: bool,
    /// Body buffers that nobody has.
    bodies: Vec<Vec<u8>>,
    /// Body buffers that were not needed yet.
    unmade: usize,
}

impl Shared {
    /// For the connections of one node.
    #[must_use]
    pub const fn new(agent: Agent) -> Self {
        Self { agent, out: Vec::new(), secret_seen: false, bodies: Vec::new(), unmade: BODIES }
    }

    /// Whether a body can have a buffer.
    #[must_use]
    pub const fn has_body_buffer(&self) -> bool {
        !self.bodies.is_empty() || self.unmade > 0
    }

    pub(super) fn take_body_buffer(&mut self) -> Option<Vec<u8>> {
        if let Some(buffer) = self.bodies.pop() {
            return Some(buffer);
        }
        let mut buffer = Vec::new();
        // Made on first use, and kept; where there is no memory, a request waits as if all were taken.
        self.unmade = self.unmade.checked_sub(1)?;
        buffer.try_reserve_exact(BODY_BYTES_MAX).ok()?;
        Some(buffer)
    }

    pub(super) fn give_back(&mut self, mut buffer: Vec<u8>) {
        wipe(&mut buffer);
        buffer.clear();
        self.bodies.push(buffer);
    }
}

impl Connection {
    /// Whether it needs a buffer for its body.
    #[must_use]
    pub const fn needs_body_buffer(&self) -> bool {
        matches!(self.phase, Phase::Keeping(_, _, None))
    }

    /// Whether its body's buffer may be taken away.
    #[must_use]
    pub const fn may_lose_body_buffer(&self, now: u64) -> bool {
        matches!(self.phase, Phase::Keeping(_, _, Some(_))) && now >= self.since.saturating_add(BODY_HOLD_MS)
    }

    /// Takes a buffer for the body, if there is one, and tells a client that asks to send it.
    pub fn find_buffer(&mut self, shared: &mut Shared) {
        let now = shared.agent.uptime_ms();
        if let Phase::Keeping(_, _, place @ None) = &mut self.phase
            && let Some(buffer) = shared.take_body_buffer()
        {
            *place = Some(buffer);
            // From here on the buffer's time runs; the request's deadline stays.
            self.since = now;
            if std::mem::take(&mut self.expects_continue) {
                shared.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
        }
    }
}

/// How much of a body is to come.
pub(super) enum Framing {
    Length(usize),
    Chunked(Chunks, usize),
}

impl Framing {
    pub(super) fn of(body: Body) -> Option<Self> {
        match body {
            Body::None | Body::Length(0) => None,
            Body::Length(length) => Some(Self::Length(length)),
            Body::Chunked => Some(Self::Chunked(Chunks::default(), 0)),
        }
    }

    /// Takes bytes of the body off `input`: how many, and whether the body is complete.
    pub(super) fn take(&mut self, input: &[u8], mut keep: impl FnMut(&[u8])) -> Result<(usize, bool), Refused> {
        match self {
            Self::Length(left) => {
                let taken = input.len().min(*left);
                keep(input.get(..taken).unwrap_or_default());
                *left = left.saturating_sub(taken);
                Ok((taken, *left == 0))
            }
            Self::Chunked(chunks, total) => {
                let taken = chunks.decode(input, |piece| {
                    *total = total.saturating_add(piece.len());
                    if *total > BODY_BYTES_MAX {
                        return Err(Refused { status: 413, reason: "the body is longer than 64 KiB" });
                    }
                    keep(piece);
                    Ok(())
                })?;
                Ok((taken, chunks.is_done()))
            }
        }
    }
}
