//! What a path names, and which methods that answers to.

use super::number;
use crate::config::Action;
use crate::manage::Target;

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// `/v1/bootstrap`: the status document.
    Status,
    /// `/v1/bootstrap/progress`: how far an attempt has come.
    Progress,
    /// `/v1/bootstrap/{action}`
    Bootstrap(Action),
    /// `/v1/bootstrap/validate/{action}`
    Validate(Action),
    /// `/v1/cluster`
    Cluster,
    /// `/v1/nodes`
    Nodes,
    /// `/v1/nodes/{uid}`
    Node(u32),
    /// `/v1/license`
    License,
    /// `/v1/jsonschema`: the schema of an object.
    Schema(Described),
    /// `/openapi.json`: this API.
    OpenApi,
    /// `/healthz`: the agent answers.
    Health,
    /// `/readyz`: the node is in a cluster.
    Ready,
    /// `/`
    Root,
    /// `/ui`: the page for people, where it is built in.
    Page,
    /// What only programs have that were built to be managed.
    Managed(Managed),
    /// Below `/internal/v1/`: what agents say to each other.
    Peer(Peer),
    /// `*`: the agent as a whole (RFC 9110, 9.3.7).
    Server,
    /// Anything else below `/v1/`.
    UnknownV1,
    /// Anything else.
    Unknown,
}

/// What a cluster offers beside the facts of its bootstrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Managed {
    /// `/v1/cluster/check`
    ClusterCheck,
    /// `/v1/nodes/check/{uid}`
    NodeCheck(u32),
    /// `/v1/cluster/policy`
    Policy,
    /// `/v1/bdbs`: there is none.
    Databases,
    /// `/v1/modules`: there is none.
    Modules,
    /// `/v1/users`
    Users,
}

/// What agents say to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// `login/start`: the first message of a proof of the password.
    Start,
    /// `login/finish`: the last one, with a joiner's request.
    Finish,
    /// `login/certificate`: a joiner's request, from one that has shown a certificate.
    Certificate,
    /// `challenge`: what ties a message to this moment.
    Challenge,
    /// `ask`: a member's message.
    Ask,
}

/// Which object's schema is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Described {
    /// The query names none.
    Missing,
    /// The bootstrap object's.
    Bootstrap,
    /// One that there is no schema of.
    Unknown,
}

impl Described {
    /// Reads `object=NAME`; what it does not know is ignored.
    #[must_use]
    pub fn from_query(query: &str) -> Self {
        match query.split('&').find_map(|part| part.strip_prefix("object=")) {
            None | Some("") => Self::Missing,
            Some("bootstrap") => Self::Bootstrap,
            Some(_) => Self::Unknown,
        }
    }
}

/// A request method, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `OPTIONS`
    Options,
    /// Any other.
    Other,
}

impl Method {
    /// The method that `name` names.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }
}

/// What may be done with a resource.
#[derive(Clone, Copy)]
enum Offer {
    Nothing,
    /// The server as a whole, which only says what it answers to.
    Options,
    Post,
    Read,
    /// To be read, and what a PUT changes where the program was built to be managed.
    Change(Target),
}

impl Resource {
    /// The resource that a path names. One trailing slash is ignored, `%` is not decoded.
    #[must_use]
    pub fn from_path(path: &str) -> Self {
        let path = match path.strip_suffix('/') {
            Some("") | None => path,
            Some(shorter) => shorter,
        };
        match path {
            "/" => return Self::Root,
            "*" => return Self::Server,
            "/healthz" => return Self::Health,
            "/readyz" => return Self::Ready,
            "/ui" => return Self::Page,
            "/v1/bootstrap" | "/bootstrap" | "/v1/boostrap" => return Self::Status,
            "/v1/cluster" => return Self::Cluster,
            "/v1/nodes" => return Self::Nodes,
            "/v1/license" => return Self::License,
            "/internal/v1/login/start" => return Self::Peer(Peer::Start),
            "/internal/v1/login/finish" => return Self::Peer(Peer::Finish),
            "/internal/v1/login/certificate" => return Self::Peer(Peer::Certificate),
            "/internal/v1/challenge" => return Self::Peer(Peer::Challenge),
            "/internal/v1/ask" => return Self::Peer(Peer::Ask),
            _ => {}
        }
        if let Some(rest) = path.strip_prefix("/v1/bootstrap/").or_else(|| path.strip_prefix("/bootstrap/"))
            && let Some(resource) = bootstrap(rest)
        {
            return resource;
        }
        if let Some(uid) = path.strip_prefix("/v1/nodes/").and_then(number) {
            return Self::Node(uid);
        }
        if path == "/v1" || path.starts_with("/v1/") { Self::UnknownV1 } else { Self::Unknown }
    }

    /// The same with what the query asks for.
    #[must_use]
    pub fn asked(self, query: &str) -> Self {
        if let Self::Schema(_) = self { Self::Schema(Described::from_query(query)) } else { self }
    }

    /// The same in a program that was built to be managed.
    #[must_use]
    pub fn from_managed_path(path: &str) -> Self {
        let resource = Self::from_path(path);
        if !matches!(resource, Self::UnknownV1 | Self::Unknown) {
            return resource;
        }
        match path.strip_suffix('/').unwrap_or(path) {
            "/v1/jsonschema" => Self::Schema(Described::Missing),
            "/openapi.json" => Self::OpenApi,
            path => managed(path).map_or(resource, Self::Managed),
        }
    }

    /// What a PUT changes, where it takes one.
    #[must_use]
    pub const fn target(self) -> Option<Target> {
        match self.offer() {
            Offer::Change(target) => Some(target),
            Offer::Nothing | Offer::Options | Offer::Post | Offer::Read => None,
        }
    }

    #[inline]
    const fn offer(self) -> Offer {
        match self {
            Self::UnknownV1 | Self::Unknown => Offer::Nothing,
            Self::Server => Offer::Options,
            Self::Bootstrap(_)
            | Self::Validate(_)
            | Self::Peer(Peer::Start | Peer::Finish | Peer::Certificate | Peer::Ask) => Offer::Post,
            Self::Node(uid) => Offer::Change(Target::Node(uid)),
            Self::License => Offer::Change(Target::License),
            Self::Managed(Managed::Policy) => Offer::Change(Target::Policy),
            Self::Peer(Peer::Challenge)
            | Self::Status
            | Self::Progress
            | Self::Cluster
            | Self::Nodes
            | Self::Managed(_)
            | Self::Schema(_)
            | Self::OpenApi
            | Self::Health
            | Self::Ready
            | Self::Root
            | Self::Page => Offer::Read,
        }
    }

    /// The methods that it answers to, for `Allow`; empty where there is no such resource. Where the program was not built to
    /// be managed nothing takes a PUT.
    #[must_use]
    pub const fn allow(self, is_managed: bool) -> &'static str {
        match self.offer() {
            Offer::Nothing => "",
            Offer::Options => "GET, HEAD, POST, OPTIONS",
            Offer::Post => "POST, OPTIONS",
            Offer::Change(_) if is_managed => "GET, HEAD, PUT, OPTIONS",
            Offer::Read | Offer::Change(_) => "GET, HEAD, OPTIONS",
        }
    }

    /// Whether `method` is one that it answers to; see [`Resource::allow`].
    #[must_use]
    #[inline]
    pub const fn takes(self, method: Method, is_managed: bool) -> bool {
        match (self.offer(), method) {
            (Offer::Nothing, _) | (_, Method::Other) => false,
            (_, Method::Options)
            | (Offer::Post, Method::Post)
            | (Offer::Read | Offer::Change(_), Method::Get | Method::Head) => true,
            (Offer::Change(_), Method::Put) => is_managed,
            (
                Offer::Options | Offer::Post | Offer::Read | Offer::Change(_),
                Method::Get | Method::Head | Method::Post | Method::Put,
            ) => false,
        }
    }

    /// The media type that it offers.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Health | Self::Ready => "text/plain",
            Self::Page => "text/html",
            Self::Peer(_) => "application/octet-stream",
            Self::Status
            | Self::Progress
            | Self::Bootstrap(_)
            | Self::Validate(_)
            | Self::Cluster
            | Self::Nodes
            | Self::Node(_)
            | Self::License
            | Self::Managed(_)
            | Self::Schema(_)
            | Self::OpenApi
            | Self::Root
            | Self::Server
            | Self::UnknownV1
            | Self::Unknown => "application/json",
        }
    }
}

fn bootstrap(rest: &str) -> Option<Resource> {
    if rest == "progress" {
        return Some(Resource::Progress);
    }
    match rest.strip_prefix("validate/") {
        Some(action) => Action::from_name(action).map(Resource::Validate),
        None => Action::from_name(rest).map(Resource::Bootstrap),
    }
}

fn managed(path: &str) -> Option<Managed> {
    let path = path.strip_prefix("/v1/")?;
    Some(match path {
        "cluster/check" => Managed::ClusterCheck,
        "cluster/policy" => Managed::Policy,
        "bdbs" => Managed::Databases,
        "modules" => Managed::Modules,
        "users" => Managed::Users,
        _ => Managed::NodeCheck(path.strip_prefix("nodes/check/").and_then(number)?),
    })
}
