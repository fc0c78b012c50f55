//! A node wants to join: its proof of the password, or its certificate, and whether it is admitted.

use std::net::IpAddr;

use bootstrapd_core::cluster::{HashCost, JoinRequest, Key};
use bootstrapd_core::failure::TriedReason;
use bootstrapd_core::fields::Fields;
use bootstrapd_core::peer::JoinAnswer;

use super::{Form, Pending, Sealing, write};
use crate::agent::{Agent, Reply, Step};
use crate::opaque::{self, KE1_BYTES, KE3_BYTES, SessionKey};
use crate::peer::{CERTIFICATE, FINISH, ID_BYTES, PROTOCOL};
use crate::seal::{self, Direction};
use crate::{log, node, secret, store};

impl Agent {
    /// The first message of a proof.
    pub(in crate::agent) fn start_proof(&mut self, body: &[u8], source: IpAddr, reply: &mut Reply<'_>) -> Step {
        let now = self.clock.uptime_ms;
        let Some(cluster) = self.cluster.as_deref() else { return self.nothing(reply) };
        let parts = body.split_first().and_then(|(version, rest)| Some((version, rest.split_at_checked(KE1_BYTES)?)));
        let Some((&PROTOCOL, (ke1, name))) = parts else {
            return self.error(400, "bad_message", "the message is malformed or of another version", reply);
        };
        if !self.others.proofs.may_start(source, now) {
            return self.busy("too many proofs of a password, try again", reply);
        }
        let known = std::str::from_utf8(name).is_ok_and(|name| cluster.is_administrator(name));
        let started = secret::random::<ID_BYTES>()
            .and_then(|id| Ok((id, opaque::Member::start(&cluster.registration, known, name, ke1)?)));
        let Ok((id, (member, ke2))) = started else {
            return self.error(400, "bad_message", "the message is malformed", reply);
        };
        let cost = u8::from(cluster.password.cost == HashCost::Small);
        let number = self.others.proofs.add(id, member, source, now);
        self.bytes(&[&id[..], &[cost], &ke2].concat(), reply);
        Step::Proving(number)
    }

    /// The connection of a proof has ended: one that is unfinished has failed.
    pub fn leave_proof(&mut self, number: u32) {
        self.others.proofs.leave(number, self.clock.uptime_ms);
    }

    /// The last message of a proof, and what its sender wants.
    pub(in crate::agent) fn finish_proof(&mut self, body: &[u8], reply: &mut Reply<'_>) -> Step {
        let now = self.clock.uptime_ms;
        let parts = body.split_first_chunk::<ID_BYTES>();
        let Some((id, (ke3, sealed))) = parts.and_then(|(id, rest)| Some((id, rest.split_at_checked(KE3_BYTES)?)))
        else {
            return self.error(400, "bad_message", "the message is malformed", reply);
        };
        let Some(key) = self.others.proofs.finish(id, ke3, now) else {
            return self.denied("the password was not proved", reply);
        };
        self.requested(Sealing { key: Key(*key), path: FINISH, context: id.to_vec() }, sealed, reply)
    }

    /// What a joiner wants that has shown a certificate instead.
    pub(in crate::agent) fn admit_guest(
        &mut self,
        body: &[u8],
        guest: Option<&SessionKey>,
        reply: &mut Reply<'_>,
    ) -> Step {
        let Some(key) = guest else {
            return self.denied("this takes TLS 1.3 and a client certificate that --client-ca vouches for", reply);
        };
        let Some((id, sealed)) = body.split_first_chunk::<ID_BYTES>() else {
            return self.error(400, "bad_message", "the message is malformed", reply);
        };
        self.requested(Sealing { key: Key(**key), path: CERTIFICATE, context: id.to_vec() }, sealed, reply)
    }

    fn denied(&mut self, why: &str, reply: &mut Reply<'_>) -> Step {
        self.error(403, "access_denied", why, reply)
    }

    /// A sealed request to be admitted.
    fn requested(&mut self, sealing: Sealing, sealed: &[u8], reply: &mut Reply<'_>) -> Step {
        let mut request = JoinRequest::default();
        let opened = seal::open(&sealing.key, sealing.path, Direction::Request, &sealing.context, sealed);
        let read = opened.as_deref().and_then(|text| {
            let mut fields = Fields::new(text).ok()?;
            request.read(&mut fields);
            fields.finish().ok()
        });
        if read.is_none() {
            return self.denied("the request does not open", reply);
        }
        self.join(&request, sealing, reply)
    }

    fn join(&mut self, request: &JoinRequest, sealing: Sealing, reply: &mut Reply<'_>) -> Step {
        let own = self.machine.node_id();
        let not_ready = write_join(&JoinAnswer::NotNow(TriedReason::NotReady));
        if self.others.habits.is_shared {
            return self.join_shared(request, sealing, not_ready, reply);
        }
        let (Some(mut draft), Ok(key)) = (self.draft(), secret::random()) else {
            return self.sealed(&sealing, &not_ready, reply);
        };
        let clocks = (self.clock.uptime_ms, node::clock_ms());
        match self.others.peers.join(&mut draft, own, (request, Key(key)), clocks) {
            Ok(admitted) => {
                let addr = request.member.endpoint;
                log::info("a node is admitted", &[("uid", &admitted.uid), ("endpoint", &addr)]);
                let age = draft.age();
                let Some(text) = store::encode(&draft) else { return self.sealed(&sealing, &not_ready, reply) };
                let step =
                    self.pend(Pending { number: 0, age, form: Form::Sealed(sealing), text, otherwise: not_ready });
                self.stage(Some(draft));
                step
            }
            Err(answer) => {
                if let JoinAnswer::Refused(failure) = &answer {
                    let code = failure.cause.code();
                    log::info("a node is not admitted", &[("error_code", &code), ("message", &failure.message)]);
                }
                self.sealed(&sealing, &write_join(&answer), reply)
            }
        }
    }
}

pub(in crate::agent) fn write_join(answer: &JoinAnswer) -> Vec<u8> {
    write(|writer| answer.write(writer))
}
