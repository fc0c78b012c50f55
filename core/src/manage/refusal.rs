//! Why a change is not made, and how that reads: the vendor's statuses and codes where there are any.

use core::net::SocketAddr;

use heapless::Vec;

use super::RACK_BYTES_MAX;
use crate::failure::Violation;
use crate::limits::{CLUSTER_RECORD_BYTES_MAX, MEMBER_SLOTS_MAX};
use crate::write::Writer;

/// Why a change is not made. Nothing has changed then.
#[expect(clippy::large_enum_variant, reason = "there is no heap to box a list into; one refusal exists at a time")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No node has this uid.
    NoNode(u32),
    /// The node has not confirmed its admission yet.
    NotActive(u32),
    /// The node has a rack, which is another one.
    HasRack(u32, heapless::String<RACK_BYTES_MAX>),
    /// These nodes have no rack.
    RackRequired(Vec<u32, MEMBER_SLOTS_MAX>),
    /// The licence cannot be used.
    License(Violation),
    /// The record would be longer than it may be.
    Full,
    /// This node is no member of the cluster any more.
    NotAMember,
    /// Only the founder changes the record, and it is there.
    NotFounder(Option<SocketAddr>),
    /// The record may not be changed before the cluster is recovered.
    NeedsRecovery,
    /// The founder has just started and has not heard all members yet.
    NotReady,
    /// The store that all members share does not serve, or is changed by others all the time.
    NoStore,
    /// The record could not be made durable.
    NotSaved,
}

impl Refusal {
    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::RackRequired(_) | Self::License(Violation::BadSignature | Violation::Malformed) => 400,
            Self::NoNode(_) => 404,
            Self::NotActive(_) | Self::HasRack(..) | Self::License(_) | Self::Full => 406,
            Self::NotAMember | Self::NotFounder(_) => 409,
            Self::NeedsRecovery | Self::NotReady | Self::NoStore | Self::NotSaved => 503,
        }
    }

    /// The wire's `error_code`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoNode(_) => "node_not_found",
            Self::NotActive(_) => "node_not_active",
            Self::HasRack(..) => "node_already_has_rack_id",
            Self::RackRequired(_) => "rack_id_required",
            Self::License(_) => "invalid_license",
            Self::Full => "record_full",
            Self::NotAMember => "not_a_member",
            Self::NotFounder(_) => "not_founder",
            Self::NeedsRecovery => "needs_recovery",
            Self::NotReady => "not_ready",
            Self::NoStore => "no_store",
            Self::NotSaved => "internal_error",
        }
    }

    /// Whether, and in how many seconds, it is worth to try again.
    #[must_use]
    pub const fn retry_after(&self) -> Option<u16> {
        if let Self::NotReady | Self::NoStore = self { Some(1) } else { None }
    }

    /// Writes the answer's document.
    pub fn write(&self, writer: &mut Writer<'_>) {
        writer.open('{').name("error_code").text(self.code()).name("description");
        match self {
            Self::NoNode(uid) => _ = writer.display(format_args!("no node has the uid {uid}")),
            Self::NotActive(uid) => {
                writer.display(format_args!("the node with the uid {uid} has not confirmed its admission yet"));
            }
            Self::HasRack(uid, rack) => {
                writer.display(format_args!("the node with the uid {uid} is in the rack \"{rack}\", for good"));
            }
            Self::RackRequired(uids) => {
                const SENTENCE: &str = "every node needs a rack_id before the cluster can be rack-aware";
                writer.text(SENTENCE).name("error_details").open('{').name("message").text(SENTENCE);
                writer.name("uids").open('[');
                for uid in uids {
                    writer.number(u64::from(*uid));
                }
                writer.close(']').close('}');
            }
            Self::License(violation) => {
                writer.text(sentence(*violation)).name("error_details").open('{');
                writer.name("message").text(sentence(*violation)).name("violation").text(violation.name()).close('}');
            }
            Self::Full => {
                let kib = CLUSTER_RECORD_BYTES_MAX / 1024;
                writer.display(format_args!("the cluster's record would be longer than {kib} KiB"));
            }
            Self::NotAMember => _ = writer.text("this node was sent away by its cluster"),
            Self::NotFounder(Some(endpoint)) => {
                writer.display(format_args!("only the cluster's founder changes it, which is at {endpoint}"));
            }
            Self::NotFounder(None) => _ = writer.text("only the cluster's founder changes it, and there is none"),
            Self::NeedsRecovery => _ = writer.text("the cluster must be recovered before it can be changed"),
            Self::NotReady => {
                writer.text("the founder has just started and has not heard of all members yet, try again");
            }
            Self::NoStore => _ = writer.text("the store of the cluster's record does not serve, try again"),
            Self::NotSaved => _ = writer.text("the cluster's record could not be saved, see the log"),
        }
        writer.close('}');
    }
}

/// What is wrong with the licence of a cluster that exists.
const fn sentence(violation: Violation) -> &'static str {
    match violation {
        Violation::NodeLimitExceeded => "the license allows fewer nodes than the cluster has",
        Violation::FeatureMissing => "the license lacks the feature bigstore that nodes of the cluster use",
        Violation::BadSignature
        | Violation::Malformed
        | Violation::Expired
        | Violation::NotYetActive
        | Violation::ClusterNameMismatch => violation.message(),
    }
}
