//! How strangers are met, where the operator has said something about that.

use std::net::IpAddr;

use bootstrapd_core::api::{self, Resource, Ruling};

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

    /// What anybody needs to do who wants to bootstrap this node, for a line of the log.
    #[must_use]
    pub fn who_may_bootstrap(&self) -> &'static str {
        match &self.gate {
            Some(gate) if gate.has_token() => "reaches this address and has the setup token",
            Some(_) | None => "reaches this address",
        }
    }

    /// What the operator's rules make of a request; `None` where it goes on as without them.
    #[inline(never)]
    pub(super) fn pass_gate(
        &mut self,
        call: &Call,
        authorization: Option<&str>,
        source: IpAddr,
        reply: &mut Reply<'_>,
    ) -> Option<Step> {
        let now = self.clock.uptime_ms;
        let rules = self.gate.as_ref()?.rules(now);
        match (api::ruling(call.resource, call.method, self.standing(), rules), authorization) {
            (Ruling::None, _) | (Ruling::OnlyCompleted, Some(_)) => None,
            (Ruling::Shut, _) => Some(self.error(403, "bootstrap_window_closed", TOO_LATE, reply)),
            (Ruling::SetupToken, None) => Some(self.unauthorized(reply)),
            (Ruling::SetupToken, Some(authorization)) => {
                // Whoever shows wrong ones is slowed like one who cannot prove the password.
                self.others.proofs.expire(now);
                if self.others.proofs.waits(source, now) {
                    return Some(self.busy("too many wrong setup tokens, try again", reply));
                }
                if self.gate.as_ref()?.knows(authorization) {
                    return None;
                }
                self.others.proofs.fail(source, now);
                Some(self.unauthorized(reply))
            }
            (Ruling::OnlyCompleted, None) if !call.acceptable => Some(self.unacceptable(reply)),
            (Ruling::OnlyCompleted, None) => {
                let (media_type, body) = (Resource::Status.media_type(), COMPLETED);
                Some(self.send(&Answer { status: 200, media_type, body, ..Answer::default() }, reply))
            }
        }
    }
}

const TOO_LATE: &str = "the time in which this node could be bootstrapped is over: restart its agent to begin it anew";
const COMPLETED: &[u8] = br#"{"bootstrap_status":{"state":"completed"}}"#;
