//! How far an attempt has come: the progress document.

use super::{Machine, Phase};
use crate::config::Action;
use crate::failure::{Cause, write_tried};
use crate::write::Writer;

/// The steps of an attempt, as its caller sees them.
const fn steps(action: Action, is_shared: bool) -> &'static [&'static str] {
    match (action, is_shared) {
        (Action::CreateCluster, false) => &["accept", "check_paths", "verify_license", "found", "adopt", "complete"],
        (Action::JoinCluster, false) => &["accept", "check_paths", "contact", "adopt", "confirm", "complete"],
        (Action::RecoverCluster, false) => &["accept", "check_paths", "read_recovery", "adopt", "complete"],
        (Action::CreateCluster, true) => {
            &["accept", "check_paths", "verify_license", "check_store", "found", "adopt", "confirm", "complete"]
        }
        (Action::JoinCluster, true) => {
            &["accept", "check_paths", "check_store", "contact", "adopt", "confirm", "complete"]
        }
        (Action::RecoverCluster, true) => {
            &["accept", "check_paths", "check_store", "read_recovery", "adopt", "confirm", "complete"]
        }
    }
}

impl Machine {
    /// Writes the progress document: the revision, which changes with everything else that is in it, the state, and while
    /// an attempt runs, its step and what hinders it.
    pub fn write_progress(&self, writer: &mut Writer<'_>) {
        writer.open('{').name("revision").number(self.version()).name("state").text(self.state().name());
        if let Some(name) = self.step_name() {
            let steps = steps(self.action, self.is_shared);
            let step = steps.iter().position(|step| *step == name).unwrap_or_default().saturating_add(1);
            let count = |count: usize| u64::try_from(count).unwrap_or_default();
            writer.name("step").number(count(step)).name("steps").number(count(steps.len()));
            writer.name("step_name").text(name);
        }
        if let Phase::Contacting { node, round } = self.phase {
            writer.name("attempt").number(u64::from(round).saturating_add(1));
            writer.name("node").text(self.contact(node).unwrap_or_default());
        }
        if let Phase::Waiting { round } = self.phase {
            writer.name("attempt").number(u64::from(round).saturating_add(1));
            writer.name("wait_seconds").number(u64::from(self.config.retry.seconds));
        }
        writer.name("nodes_tried").open('[');
        if let Cause::ConnectError { nodes_tried } = &self.failure.cause
            && self.failure().is_some()
        {
            nodes_tried.iter().for_each(|tried| write_tried(&tried.node, tried.reason, writer));
        }
        for (node, reason) in (0..).zip(&self.tried) {
            write_tried(self.contact(node).unwrap_or_default(), *reason, writer);
        }
        writer.close(']').name("warnings").open('[');
        for warning in &self.config.warnings {
            writer.open('{').name("pointer").text(&warning.pointer).name("reason").display(warning.reason).close('}');
        }
        writer.close(']').close('}');
    }

    const fn step_name(&self) -> Option<&'static str> {
        Some(match self.phase {
            Phase::CheckingPaths => "check_paths",
            Phase::VerifyingLicense => "verify_license",
            Phase::CheckingStore { .. } => "check_store",
            Phase::Founding => "found",
            Phase::Waiting { .. } if self.is_shared => "check_store",
            Phase::Contacting { .. } | Phase::Waiting { .. } => "contact",
            Phase::ReadingRecovery => "read_recovery",
            Phase::Adopting(_) | Phase::Keeping(_) => "adopt",
            Phase::Confirming(_) => "confirm",
            Phase::Completing(_) => "complete",
            Phase::AtRest(_)
            | Phase::Accepting { .. }
            | Phase::Clearing { .. }
            | Phase::Disowning
            | Phase::Discarding
            | Phase::Failing { .. } => return None,
        })
    }
}
