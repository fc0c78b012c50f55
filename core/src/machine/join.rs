//! How a joiner goes from node to node.

use heapless::Vec;

use super::{Contacted, Effect, Machine, Mode, Phase};
use crate::cluster::JoinRequest;
use crate::failure::{Cause, Failure, NodeTried, TriedReason};
use crate::limits::CONTACTS_MAX;
use crate::node::NodeInfo;
use crate::time::Timestamp;

impl Machine {
    pub(super) fn contact_next(&mut self, node: u8, round: u8) -> Effect {
        self.tried.truncate(usize::from(node));
        self.step(Phase::Contacting { node, round }, Effect::Contact { node })
    }

    pub(super) fn contacted(&mut self, node: u8, round: u8, contacted: Contacted, now: Timestamp) -> Option<Effect> {
        let reason = match (contacted, self.mode) {
            (Contacted::Admitted(membership), Mode::Act) => {
                return Some(self.step(Phase::Adopting(membership), Effect::Adopt));
            }
            (Contacted::Admitted(_), Mode::Validate) => return self.valid(),
            (Contacted::Refused(failure), _) => return self.fail(failure, now),
            (Contacted::Failed(reason), _) => reason,
        };
        let _ = self.tried.push(reason);
        let next = node.saturating_add(1);
        if next < self.contacts() {
            return Some(self.contact_next(next, round));
        }
        // Validation makes one round.
        let may_change = self.tried.iter().any(|reason| reason.may_change());
        if self.mode == Mode::Validate || round >= self.config.retry.max || !may_change {
            return self.fail_to_connect(now);
        }
        let seconds = self.config.retry.seconds;
        Some(self.step(Phase::Waiting { round }, Effect::Wait { seconds }))
    }

    /// The time of a validation is over. Whether it ends by that: it does where another node has not answered yet.
    pub fn run_out(&mut self, now: Timestamp) -> bool {
        let Phase::Contacting { node, .. } = self.phase else { return false };
        if self.mode == Mode::Act {
            return false;
        }
        self.tried.truncate(usize::from(node));
        let _ = self.tried.push(TriedReason::TimedOut);
        let _ = self.fail_to_connect(now);
        true
    }

    pub(super) fn fail_to_connect(&mut self, now: Timestamp) -> Option<Effect> {
        let named = |(node, reason): (u8, &TriedReason)| {
            Some(NodeTried { node: heapless::String::try_from(self.contact(node)?).ok()?, reason: *reason })
        };
        let nodes_tried: Vec<NodeTried, CONTACTS_MAX> = (0..).zip(&self.tried).filter_map(named).collect();
        let message = if nodes_tried.is_empty() {
            "there is no node to contact"
        } else {
            "no node of the cluster could be joined"
        };
        self.fail(Failure::new(Cause::ConnectError { nodes_tried }, message), now)
    }

    /// How many nodes there are to contact: the configured ones; where there are none, the cluster's name.
    pub(super) fn contacts(&self) -> u8 {
        let cluster = &self.config.cluster;
        let nodes = u8::try_from(cluster.nodes.len()).unwrap_or(u8::MAX);
        if nodes == 0 { u8::from(!cluster.name.is_empty()) } else { nodes }
    }

    /// A node to contact, as it was given.
    #[must_use]
    pub fn contact(&self, node: u8) -> Option<&str> {
        let cluster = &self.config.cluster;
        if cluster.nodes.is_empty() {
            return (node == 0 && !cluster.name.is_empty()).then_some(&*cluster.name);
        }
        cluster.nodes.get(usize::from(node)).map(|node| &**node)
    }

    /// What [`Effect::Contact`] asks for; the clock is the shell's to fill in when it sends it.
    pub fn join_request(&self, facts: &NodeInfo) -> JoinRequest {
        JoinRequest {
            validate: self.mode == Mode::Validate,
            clock_ms: 0,
            round_trip_ms: 0,
            required_version: self.config.required_version.clone(),
            // Alone it is a name to find nodes by, and need not be the cluster's.
            cluster_name: if self.config.cluster.nodes.is_empty() {
                heapless::String::new()
            } else {
                self.config.cluster.name.clone()
            },
            uid: self.config.node.identity.uid.map(core::num::NonZero::get),
            override_rack_id: self.config.node.identity.override_rack_id,
            is_shared: self.is_shared,
            settings: facts.settings.clone(),
            member: self.member(facts),
        }
    }
}
