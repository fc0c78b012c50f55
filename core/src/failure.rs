//! Why a bootstrap failed: the thirteen error codes of the API, each with exactly its detail fields.

use core::fmt::{self, Write as _};

use heapless::{String, Vec};

use crate::limits::*;
use crate::problems::Problems;
use crate::write::Writer;

mod codec;
mod tried;

pub(crate) use tried::write_tried;
pub use tried::{NodeTried, TriedReason};

/// A rack's name.
pub type RackId = String<RACK_BYTES_MAX>;

/// What went wrong, and the sentence that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The code and its detail fields.
    pub cause: Cause,
    /// For people; empty where the list of problems has the sentence.
    pub message: String<MESSAGE_BYTES_MAX>,
}

/// An error code with its detail fields.
#[expect(clippy::large_enum_variant, reason = "there is no heap to box a list into; one failure exists at a time")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The configuration cannot be used.
    ConfigError {
        /// The dead node's rack, where the replacement must be.
        required_rack_id: Option<RackId>,
    },
    /// No node of the cluster could be reached.
    ConnectError {
        /// Each node with its own reason.
        nodes_tried: Vec<NodeTried, CONTACTS_MAX>,
    },
    /// The credentials are wrong.
    AccessDenied {},
    /// The licence cannot be used.
    InvalidLicense {
        /// What is wrong with it.
        violation: Violation,
    },
    /// A node is down and must be replaced first.
    RepairRequired {
        /// The nodes that are down.
        failed_nodes: Vec<FailedNode, MEMBER_SLOTS_MAX>,
        /// The one to replace.
        replace_candidate: u32,
    },
    /// The replacement has too little memory.
    InsufficientNodeMemory {
        /// In bytes.
        required_memory: u64,
    },
    /// The replacement has too little flash.
    InsufficientNodeFlash {
        /// In bytes.
        required_flash: u64,
    },
    /// The clocks differ.
    TimeNotSync {
        /// This node's clock less the cluster's, in seconds.
        skew_seconds: i64,
    },
    /// A rack-aware cluster needs a rack.
    RackIdRequired {
        /// The racks in use.
        current_rack_ids: Vec<RackId, MEMBER_SLOTS_MAX>,
    },
    /// The socket directories differ.
    SocketDirectoryMismatch {
        /// The cluster's.
        expected: String<PATH_BYTES_MAX>,
        /// This node's.
        actual: String<PATH_BYTES_MAX>,
    },
    /// A setting differs from the cluster's.
    NodeConfigMismatch {
        /// Each of them.
        mismatches: Vec<Mismatch, MISMATCHES_MAX>,
    },
    /// A path cannot be used.
    PathError {},
    /// Anything else.
    InternalError {},
}

/// A node that is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedNode {
    /// Its uid.
    pub uid: u32,
    /// Its rack, where it has one.
    pub rack_id: Option<RackId>,
}

/// A setting that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Its name.
    pub setting: String<FEATURE_BYTES_MAX>,
    /// The cluster's value.
    pub cluster: String<HOST_BYTES_MAX>,
    /// This node's value.
    pub node: String<HOST_BYTES_MAX>,
}

/// What is wrong with a licence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The signature is not by the key that this agent trusts.
    BadSignature,
    /// Not an armoured, signed statement.
    Malformed,
    /// Its time is over.
    Expired,
    /// Its time has not begun.
    NotYetActive,
    /// It is for another cluster.
    ClusterNameMismatch,
    /// It allows fewer nodes.
    NodeLimitExceeded,
    /// It lacks a feature that the configuration needs.
    FeatureMissing,
}

impl Violation {
    /// All violations.
    pub const ALL: [Self; 7] = [
        Self::BadSignature,
        Self::Malformed,
        Self::Expired,
        Self::NotYetActive,
        Self::ClusterNameMismatch,
        Self::NodeLimitExceeded,
        Self::FeatureMissing,
    ];

    /// The wire's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadSignature => "bad_signature",
            Self::Malformed => "malformed",
            Self::Expired => "expired",
            Self::NotYetActive => "not_yet_active",
            Self::ClusterNameMismatch => "cluster_name_mismatch",
            Self::NodeLimitExceeded => "node_limit_exceeded",
            Self::FeatureMissing => "feature_missing",
        }
    }

    /// The sentence for people.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::BadSignature => "the license is not signed by the key that this agent trusts",
            Self::Malformed => "the license is not an armoured, signed statement",
            Self::Expired => "the license has expired",
            Self::NotYetActive => "the license is not active yet",
            Self::ClusterNameMismatch => "the license is for a cluster of another name",
            Self::NodeLimitExceeded => "the license does not allow one more node",
            Self::FeatureMissing => "the license lacks the feature bigstore that flash storage needs",
        }
    }
}

impl Cause {
    /// All codes.
    pub const CODES: [&'static str; 13] = [
        "config_error",
        "connect_error",
        "access_denied",
        "invalid_license",
        "repair_required",
        "insufficient_node_memory",
        "insufficient_node_flash",
        "time_not_sync",
        "rack_id_required",
        "socket_directory_mismatch",
        "node_config_mismatch",
        "path_error",
        "internal_error",
    ];

    /// The wire's `error_code`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ConfigError { .. } => "config_error",
            Self::ConnectError { .. } => "connect_error",
            Self::AccessDenied {} => "access_denied",
            Self::InvalidLicense { .. } => "invalid_license",
            Self::RepairRequired { .. } => "repair_required",
            Self::InsufficientNodeMemory { .. } => "insufficient_node_memory",
            Self::InsufficientNodeFlash { .. } => "insufficient_node_flash",
            Self::TimeNotSync { .. } => "time_not_sync",
            Self::RackIdRequired { .. } => "rack_id_required",
            Self::SocketDirectoryMismatch { .. } => "socket_directory_mismatch",
            Self::NodeConfigMismatch { .. } => "node_config_mismatch",
            Self::PathError {} => "path_error",
            Self::InternalError {} => "internal_error",
        }
    }

    /// Writes the detail fields, for the wire and for a record: where this changes, a record's version must.
    fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::ConfigError { required_rack_id } => {
                if let Some(rack) = required_rack_id {
                    writer.name("required_rack_id").text(rack);
                }
            }
            Self::ConnectError { nodes_tried } => {
                writer.name("nodes_tried").open('[');
                for NodeTried { node, reason } in nodes_tried {
                    write_tried(node, *reason, writer);
                }
                writer.close(']');
            }
            Self::InvalidLicense { violation } => _ = writer.name("violation").text(violation.name()),
            Self::RepairRequired { failed_nodes, replace_candidate } => {
                writer.name("failed_nodes").open('[');
                for FailedNode { uid, rack_id } in failed_nodes {
                    writer.open('{').name("uid").number(u64::from(*uid));
                    if let Some(rack) = rack_id {
                        writer.name("rack_id").text(rack);
                    }
                    writer.close('}');
                }
                writer.close(']').name("replace_candidate").number(u64::from(*replace_candidate));
            }
            Self::InsufficientNodeMemory { required_memory } => {
                writer.name("required_memory").number(*required_memory);
            }
            Self::InsufficientNodeFlash { required_flash } => _ = writer.name("required_flash").number(*required_flash),
            Self::TimeNotSync { skew_seconds } => {
                writer.name("skew_seconds").value(if *skew_seconds < 0 { "-" } else { "" });
                writer.raw_number(skew_seconds.unsigned_abs());
            }
            Self::RackIdRequired { current_rack_ids } => {
                writer.name("current_rack_ids").open('[');
                for rack in current_rack_ids {
                    writer.text(rack);
                }
                writer.close(']');
            }
            Self::SocketDirectoryMismatch { expected, actual } => {
                writer.name("expected").text(expected).name("actual").text(actual);
            }
            Self::NodeConfigMismatch { mismatches } => {
                writer.name("mismatches").open('[');
                for Mismatch { setting, cluster, node } in mismatches {
                    writer.open('{').name("setting").text(setting).name("cluster").text(cluster);
                    writer.name("node").text(node).close('}');
                }
                writer.close(']');
            }
            Self::AccessDenied {} | Self::PathError {} | Self::InternalError {} => {}
        }
    }
}

impl Default for Failure {
    fn default() -> Self {
        Self { cause: Cause::InternalError {}, message: String::new() }
    }
}

impl Failure {
    /// Nothing in particular; every byte is zero.
    pub(crate) const BLANK: Self =
        Self { cause: Cause::ConfigError { required_rack_id: None }, message: String::new() };

    /// A failure with a sentence, cut where it is too long.
    #[must_use]
    pub fn new(cause: Cause, message: impl fmt::Display) -> Self {
        let mut failure = Self { cause, message: String::new() };
        // A message that does not fit keeps its beginning.
        let _ = write!(failure.message, "{message}");
        failure
    }

    /// Something that should not have happened, or that the machine refused.
    #[must_use]
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(Cause::InternalError {}, message)
    }

    /// Writes the members `error_code` and `error_details`.
    pub fn write(&self, problems: &Problems, writer: &mut Writer<'_>) {
        writer.name("error_code").text(self.cause.code()).name("error_details").open('{').name("message");
        if self.message.is_empty() {
            writer.escaped_text(problems.first_message());
        } else {
            writer.text(&self.message);
        }
        self.cause.write(writer);
        if !problems.is_empty() {
            writer.name("problems").raw("[").raw(problems.json()).raw("]");
        }
        writer.close('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(cause: Cause) -> std::string::String {
        let mut buffer = [0; 4096];
        let mut writer = Writer::new(&mut buffer);
        writer.open('{');
        Failure::new(cause, "why \"so\"").write(&Problems::new(), &mut writer);
        writer.close('}');
        let length = writer.finish().unwrap();
        crate::json::check(&buffer[..length]).unwrap();
        std::string::String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn text<const N: usize>(text: &str) -> String<N> {
        String::try_from(text).unwrap()
    }

    #[test]
    fn each_code_has_exactly_its_fields() {
        let rack = || text::<RACK_BYTES_MAX>("r1");
        let cases = std::vec![
            (Cause::ConfigError { required_rack_id: None }, "config_error", ""),
            (Cause::ConfigError { required_rack_id: Some(rack()) }, "config_error", r#","required_rack_id":"r1""#),
            (
                Cause::ConnectError {
                    nodes_tried: Vec::from_slice(&[NodeTried { node: text("a:1"), reason: TriedReason::Refused }])
                        .unwrap(),
                },
                "connect_error",
                r#","nodes_tried":[{"node":"a:1","reason":"connection refused"}]"#,
            ),
            (Cause::AccessDenied {}, "access_denied", ""),
            (Cause::InvalidLicense { violation: Violation::Expired }, "invalid_license", r#","violation":"expired""#),
            (
                Cause::RepairRequired {
                    failed_nodes: Vec::from_slice(&[
                        FailedNode { uid: 2, rack_id: None },
                        FailedNode { uid: 3, rack_id: Some(rack()) },
                    ])
                    .unwrap(),
                    replace_candidate: 3,
                },
                "repair_required",
                r#","failed_nodes":[{"uid":2},{"uid":3,"rack_id":"r1"}],"replace_candidate":3"#,
            ),
            (
                Cause::InsufficientNodeMemory { required_memory: 7 },
                "insufficient_node_memory",
                r#","required_memory":7"#,
            ),
            (Cause::InsufficientNodeFlash { required_flash: 8 }, "insufficient_node_flash", r#","required_flash":8"#),
            (Cause::TimeNotSync { skew_seconds: -9 }, "time_not_sync", r#","skew_seconds":-9"#),
            (
                Cause::RackIdRequired { current_rack_ids: Vec::from_slice(&[rack()]).unwrap() },
                "rack_id_required",
                r#","current_rack_ids":["r1"]"#,
            ),
            (
                Cause::SocketDirectoryMismatch { expected: text("/a"), actual: text("/b") },
                "socket_directory_mismatch",
                r#","expected":"/a","actual":"/b""#,
            ),
            (
                Cause::NodeConfigMismatch {
                    mismatches: Vec::from_slice(&[Mismatch {
                        setting: text("s"),
                        cluster: text("c"),
                        node: text("n"),
                    }])
                    .unwrap(),
                },
                "node_config_mismatch",
                r#","mismatches":[{"setting":"s","cluster":"c","node":"n"}]"#,
            ),
            (Cause::PathError {}, "path_error", ""),
            (Cause::InternalError {}, "internal_error", ""),
        ];
        let mut codes: std::vec::Vec<&str> = cases.iter().map(|(_, code, _)| *code).collect();
        codes.dedup();
        assert_eq!(codes, Cause::CODES);
        for (cause, code, fields) in cases {
            let expected =
                std::format!(r#"{{"error_code":"{code}","error_details":{{"message":"why \"so\""{fields}}}}}"#);
            assert_eq!(written(cause), expected);
        }
    }
}
