//! A failure in a node's record: its detail fields as the wire shows them, and the mirror that reads them.

use core::iter;

use heapless::String;

use super::{Cause, FailedNode, Failure, Mismatch, NodeTried, TriedReason, Violation};
use crate::fields::Fields;
use crate::write::Writer;

impl Failure {
    /// Writes it for a record.
    pub(crate) fn write_record(&self, writer: &mut Writer<'_>) {
        writer.open('{').name("code").text(self.cause.code()).name("message").text(&self.message);
        self.cause.write(writer);
        writer.close('}');
    }

    /// Reads what [`Failure::write_record`] wrote.
    pub(crate) fn read_record(&mut self, fields: &mut Fields<'_>) {
        fields.open('{').name("code").parsed(&mut self.cause, Cause::from_code);
        fields.name("message").text(&mut self.message);
        self.cause.read(fields);
        fields.close('}');
    }
}

/// An empty list or text. Of a constant the compiler would keep all its kilobytes in the program, to be copied.
fn empty<T, C: FromIterator<T>>() -> C {
    iter::empty().collect()
}

impl Cause {
    /// The cause of this code, its fields still empty.
    fn from_code(code: &str) -> Option<Self> {
        Some(match code {
            "config_error" => Self::ConfigError { required_rack_id: None },
            "connect_error" => Self::ConnectError { nodes_tried: empty() },
            "access_denied" => Self::AccessDenied {},
            "invalid_license" => Self::InvalidLicense { violation: Violation::Malformed },
            "repair_required" => Self::RepairRequired { failed_nodes: empty(), replace_candidate: 0 },
            "insufficient_node_memory" => Self::InsufficientNodeMemory { required_memory: 0 },
            "insufficient_node_flash" => Self::InsufficientNodeFlash { required_flash: 0 },
            "time_not_sync" => Self::TimeNotSync { skew_seconds: 0 },
            "rack_id_required" => Self::RackIdRequired { current_rack_ids: empty() },
            "socket_directory_mismatch" => {
                Self::SocketDirectoryMismatch { expected: empty::<char, _>(), actual: empty::<char, _>() }
            }
            "node_config_mismatch" => Self::NodeConfigMismatch { mismatches: empty() },
            "path_error" => Self::PathError {},
            "internal_error" => Self::InternalError {},
            _ => return None,
        })
    }

    /// Reads what [`Cause::write`] wrote of a cause of the same code.
    fn read(&mut self, fields: &mut Fields<'_>) {
        match self {
            Self::ConfigError { required_rack_id } => {
                if let Some(rack) = fields.optional("required_rack_id", required_rack_id) {
                    fields.text(rack);
                }
            }
            Self::ConnectError { nodes_tried } => _ = fields.name("nodes_tried").list(nodes_tried, NodeTried::read),
            Self::InvalidLicense { violation } => {
                fields.name("violation").word(violation, &Violation::ALL, Violation::name);
            }
            Self::RepairRequired { failed_nodes, replace_candidate } => {
                fields.name("failed_nodes").list(failed_nodes, FailedNode::read);
                fields.name("replace_candidate").number(replace_candidate);
            }
            Self::InsufficientNodeMemory { required_memory } => {
                fields.name("required_memory").number(required_memory);
            }
            Self::InsufficientNodeFlash { required_flash } => _ = fields.name("required_flash").number(required_flash),
            Self::TimeNotSync { skew_seconds } => _ = fields.name("skew_seconds").signed(skew_seconds),
            Self::RackIdRequired { current_rack_ids } => _ = fields.name("current_rack_ids").texts(current_rack_ids),
            Self::SocketDirectoryMismatch { expected, actual } => {
                fields.name("expected").text(expected).name("actual").text(actual);
            }
            Self::NodeConfigMismatch { mismatches } => _ = fields.name("mismatches").list(mismatches, Mismatch::read),
            Self::AccessDenied {} | Self::PathError {} | Self::InternalError {} => {}
        }
    }
}

impl NodeTried {
    fn read(fields: &mut Fields<'_>) -> Self {
        let mut tried = Self { node: String::new(), reason: TriedReason::NotFound };
        fields.open('{').name("node").text(&mut tried.node);
        fields.name("reason").word(&mut tried.reason, &TriedReason::ALL, TriedReason::name).close('}');
        tried
    }
}

impl FailedNode {
    fn read(fields: &mut Fields<'_>) -> Self {
        let mut failed = Self { uid: 0, rack_id: None };
        fields.open('{').name("uid").number(&mut failed.uid);
        if let Some(rack) = fields.optional("rack_id", &mut failed.rack_id) {
            fields.text(rack);
        }
        fields.close('}');
        failed
    }
}

impl Mismatch {
    fn read(fields: &mut Fields<'_>) -> Self {
        let mut mismatch = Self { setting: String::new(), cluster: String::new(), node: String::new() };
        fields.open('{').name("setting").text(&mut mismatch.setting).name("cluster").text(&mut mismatch.cluster);
        fields.name("node").text(&mut mismatch.node).close('}');
        mismatch
    }
}
