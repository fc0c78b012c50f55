//! The API: which path and method is what, who may call it when, and how a refusal reads.

use core::str::FromStr;

use crate::machine::Refusal;

mod header;
mod resource;
mod watch;

pub use header::{EVENTS, accepts, content_type, foreign_origin, prefers_events};
pub use resource::{Described, Managed, Method, Peer, Resource};
pub use watch::Watch;

/// What the node is to its callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In no cluster: open.
    Open,
    /// In a cluster, or sent away by one: closed to strangers.
    Closed {
        /// Sent away: a new attempt may start, with credentials.
        expelled: bool,
    },
    /// Its records cannot be read: nothing is answered but that.
    Broken,
}

/// What a caller must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Open,
    /// Nothing, but credentials that are given must be right.
    CheckIfGiven,
    /// The administrator's credentials.
    Credentials,
    /// It does not matter: there is no cluster to show anything of.
    NoCluster,
    /// It does not matter: the node's records cannot be read.
    Broken,
    /// It does not matter: only the members of a cluster have it.
    Missing,
}

/// Who may call `resource` with `method` now; see [`Resource::allow`].
#[must_use]
pub const fn access(resource: Resource, method: Method, standing: Standing, is_managed: bool) -> Access {
    match (standing, resource) {
        // Members and joiners know each other by other means than Basic credentials.
        (Standing::Closed { expelled: false }, Resource::Peer(_))
        | (_, Resource::Health | Resource::OpenApi | Resource::Server | Resource::Unknown | Resource::Page)
        | (Standing::Open | Standing::Closed { .. }, Resource::Ready | Resource::Schema(_)) => Access::Open,
        (_, Resource::Peer(_)) => Access::Missing,
        (Standing::Broken, _) => Access::Broken,
        (
            Standing::Open,
            Resource::Cluster
            | Resource::Nodes
            | Resource::Node(_)
            | Resource::License
            | Resource::Managed(_)
            | Resource::Root,
        ) if matches!(method, Method::Get | Method::Head)
            || (matches!(method, Method::Put) && resource.takes(method, is_managed)) =>
        {
            Access::NoCluster
        }
        (Standing::Open, _) => Access::Open,
        (Standing::Closed { expelled }, Resource::Bootstrap(_) | Resource::Validate(_)) => {
            if !matches!(method, Method::Post) {
                Access::Open
            } else if expelled {
                Access::Credentials
            } else {
                Access::CheckIfGiven
            }
        }
        (Standing::Closed { .. }, _) => Access::Credentials,
    }
}

/// What an operator has said of callers that show no credentials of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether an attempt needs the setup token as long as the node is in no cluster.
    pub needs_token: bool,
    /// Whether the time is over in which one may begin there, token or not.
    pub is_shut: bool,
    /// Whether everybody may see of a cluster's node that its bootstrap is completed, which `/readyz` tells as well.
    pub says_completed: bool,
}

/// What the rules make of a request, before anything else counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// They do not speak of it.
    None,
    /// It needs the setup token.
    SetupToken,
    /// It comes too late.
    Shut,
    /// Without credentials, all to be seen is that the bootstrap is completed.
    OnlyCompleted,
}

/// What `rules` say of a request. Attempts and validations are theirs to rule before there is a cluster; in one, also in
/// one that has sent the node away, its credentials count.
#[must_use]
pub const fn ruling(resource: Resource, method: Method, standing: Standing, rules: Rules) -> Ruling {
    match (standing, resource, method) {
        (Standing::Open, Resource::Bootstrap(_) | Resource::Validate(_), Method::Post) => {
            if rules.is_shut {
                Ruling::Shut
            } else if rules.needs_token {
                Ruling::SetupToken
            } else {
                Ruling::None
            }
        }
        (Standing::Closed { expelled: false }, Resource::Status, Method::Get | Method::Head)
            if rules.says_completed =>
        {
            Ruling::OnlyCompleted
        }
        _ => Ruling::None,
    }
}

/// How a refused attempt reads: status, error code, description.
#[must_use]
pub const fn refusal(refusal: Refusal) -> (u16, &'static str, &'static str) {
    match refusal {
        Refusal::InProgress => (409, "bootstrap_in_progress", "a bootstrap is already in progress, check its state"),
        Refusal::Member => (409, "already_bootstrapped", "this node is already part of a cluster"),
        Refusal::Config => (400, "config_error", "the configuration is wrong"),
    }
}

/// The number that these digits are.
fn number<N: FromStr>(text: &str) -> Option<N> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
