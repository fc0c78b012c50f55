//! How strangers are met, where the operator has said something about that.

use std::net::IpAddr;

use bootstrapd_core::api::{Resource, Rules};

use super::{Agent, Call, Reply, Step};
use crate::http::Answer;

impl Agent {
    /// From now on the node listens.
    pub(super) fn open_gate(&mut self) {
        let now = self.clock.uptime_ms;
        if let Some(gate) = &mut self.gate {
            gate.open(now);
        }
    }

    #[inline]
    pub(super) fn rules(&self) -> Rules {
        self.gate.as_ref().map_or_else(Rules::default, |gate| gate.rules(self.clock.uptime_ms))
    }

    /// What anybody needs to do who wants to bootstrap this node, for a line of the log.
    #[must_use]
    pub fn who_may_bootstrap(&self) -> &'static str {
        match &self.gate {
            Some(gate) if gate.has_token() => "reaches this address and has the setup token",
            Some(_) | None => "reaches this address",
        }
    }

    /// Goes on with a request that needs the setup token. Whoever shows wrong ones is slowed like one who cannot prove
    /// the password.
    pub(super) fn show_token(
        &mut self,
        call: &Call,
        authorization: Option<&str>,
        source: IpAddr,
        reply: &mut Reply<'_>,
    ) -> Step {
        let (Some(gate), Some(authorization)) = (&self.gate, authorization) else { return self.unauthorized(reply) };
        let now = self.clock.uptime_ms;
        self.others.proofs.expire(now);
        if self.others.proofs.waits(source, now) {
            return self.busy("too many wrong setup tokens, try again", reply);
        }
        if gate.knows(authorization) {
            return self.permitted(call, reply);
        }
        self.others.proofs.fail(source, now);
        self.unauthorized(reply)
    }

    /// Answers to who comes when the time to bootstrap this node is over.
    pub(super) fn shut(&mut self, reply: &mut Reply<'_>) -> Step {
        let why = "the time in which this node could be bootstrapped is over: restart its agent to begin it anew";
        self.error(403, "bootstrap_window_closed", why, reply)
    }

    /// Says no more of the status than that.
    pub(super) fn say_completed(&mut self, call: &Call, reply: &mut Reply<'_>) -> Step {
        if !call.acceptable {
            return self.unacceptable(reply);
        }
        let body = br#"{"bootstrap_status":{"state":"completed"}}"#;
        self.send(&Answer { status: 200, media_type: Resource::Status.media_type(), body, ..Answer::default() }, reply)
    }
}
