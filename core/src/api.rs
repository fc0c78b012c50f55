//! The API: which path and method is what, who may call it when, and how a refusal reads.

use crate::config::Action;
use crate::machine::Refusal;
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

/// The media type of Server-Sent Events.
pub const EVENTS: &str = "text/event-stream";

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
        if let Some(uid) = path.strip_prefix("/v1/nodes/").and_then(uid) {
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
        match self {
            Self::Node(uid) => Some(Target::Node(uid)),
            Self::License => Some(Target::License),
            Self::Managed(Managed::Policy) => Some(Target::Policy),
            Self::Status
            | Self::Progress
            | Self::Bootstrap(_)
            | Self::Validate(_)
            | Self::Cluster
            | Self::Nodes
            | Self::Managed(_)
            | Self::Schema(_)
            | Self::OpenApi
            | Self::Health
            | Self::Ready
            | Self::Root
            | Self::Page
            | Self::Peer(_)
            | Self::Server
            | Self::UnknownV1
            | Self::Unknown => None,
        }
    }

    /// What may be done with it where nothing is changed by a PUT.
    #[inline]
    const fn offer(self) -> Offer {
        match self {
            Self::UnknownV1 | Self::Unknown => Offer::Nothing,
            Self::Server => Offer::Options,
            Self::Bootstrap(_)
            | Self::Validate(_)
            | Self::Peer(Peer::Start | Peer::Finish | Peer::Certificate | Peer::Ask) => Offer::Post,
            Self::Peer(Peer::Challenge)
            | Self::Status
            | Self::Progress
            | Self::Cluster
            | Self::Nodes
            | Self::Node(_)
            | Self::License
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
            Offer::Read if is_managed && self.target().is_some() => "GET, HEAD, PUT, OPTIONS",
            Offer::Read => "GET, HEAD, OPTIONS",
        }
    }

    /// Whether `method` is one that it answers to; see [`Resource::allow`].
    #[must_use]
    #[inline]
    pub const fn takes(self, method: Method, is_managed: bool) -> bool {
        match (self.offer(), method) {
            (Offer::Nothing, _) | (_, Method::Other) => false,
            (_, Method::Options) | (Offer::Post, Method::Post) | (Offer::Read, Method::Get | Method::Head) => true,
            (Offer::Read, Method::Put) => is_managed && self.target().is_some(),
            (Offer::Options | Offer::Post | Offer::Read, Method::Get | Method::Head | Method::Post | Method::Put) => {
                false
            }
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
        _ => Managed::NodeCheck(path.strip_prefix("nodes/check/").and_then(uid)?),
    })
}

/// What a request for the progress waits for. It is carried along with every request, so it is small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// The revision that the caller has.
    after: u64,
    /// How long to wait for another one, in seconds; none where the caller has no revision.
    wait: u8,
    is_malformed: bool,
    has_revision: bool,
    is_stream: bool,
}

impl Watch {
    /// The longest wait.
    const SECONDS_MAX: u8 = 30;

    /// Reads `after=REV&wait=SECONDS`, in any order; what it does not know, and an empty value, is ignored.
    #[must_use]
    pub fn from_query(query: &str) -> Self {
        let (mut after, mut wait, mut is_malformed) = (None, None, false);
        for part in query.split('&') {
            let (place, value) = match part.split_once('=') {
                Some(("after", value)) => (&mut after, value),
                Some(("wait", value)) => (&mut wait, value),
                Some(_) | None => continue,
            };
            *place = number(value);
            is_malformed |= place.is_none() && !value.is_empty();
        }
        let seconds = wait.filter(|_| after.is_some()).unwrap_or_default().min(Self::SECONDS_MAX.into());
        let wait = u8::try_from(seconds).unwrap_or_default();
        Self { after: after.unwrap_or_default(), wait, is_malformed, has_revision: after.is_some(), is_stream: false }
    }

    /// The same as a stream of events, where `last_event` is what the caller's `Last-Event-ID` says: it goes before
    /// `after`, which an `EventSource` that connects again sends as at first. One that is none of ours says nothing.
    #[must_use]
    pub fn as_stream(self, last_event: Option<&str>) -> Self {
        let last = last_event.filter(|text| !text.is_empty()).and_then(number);
        Self {
            after: last.unwrap_or(self.after),
            has_revision: self.has_revision || last.is_some(),
            is_stream: true,
            ..self
        }
    }

    /// Whether it is a stream of events.
    #[must_use]
    pub const fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Whether the caller has `revision` already.
    #[must_use]
    pub const fn has(&self, revision: u64) -> bool {
        self.has_revision && self.after == revision
    }

    /// Whether a value was no number.
    #[must_use]
    pub const fn is_malformed(&self) -> bool {
        self.is_malformed
    }

    /// For how many milliseconds it has to wait, where `revision` is the present one.
    #[must_use]
    pub fn wait_ms(&self, revision: u64) -> Option<u64> {
        (self.wait > 0 && self.after == revision).then(|| u64::from(self.wait).saturating_mul(1000))
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn uid(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

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

/// Why a browser's request is refused, if it is: a page of another site must not reach a node.
///
/// `origin`, `host` and `fetch_site` are the request's header values, `scheme` what the connection speaks,
/// `own_name` whether the node knows a host name as its own.
#[must_use]
pub fn foreign_origin(
    origin: Option<&str>,
    host: &str,
    fetch_site: Option<&str>,
    scheme: &str,
    own_name: impl FnOnce(&str) -> bool,
) -> Option<&'static str> {
    if fetch_site.is_some_and(|site| site != "same-origin" && site != "none") {
        return Some("requests of other sites are refused");
    }
    let origin = origin?;
    let same = origin
        .strip_prefix(scheme)
        .and_then(|rest| rest.strip_prefix("://"))
        .is_some_and(|authority| authority.eq_ignore_ascii_case(host));
    if !same {
        return Some("the Origin is not this node's own");
    }
    let name = host_name(host);
    let own = name.eq_ignore_ascii_case("localhost") || is_address(name) || own_name(name);
    if own { None } else { Some("the Host is not a name of this node") }
}

/// A host without its port.
fn host_name(host: &str) -> &str {
    if host.starts_with('[') {
        return host.split_inclusive(']').next().unwrap_or(host);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn is_address(name: &str) -> bool {
    let bracketed = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    bracketed
        .map_or_else(|| name.parse::<core::net::Ipv4Addr>().is_ok(), |name| name.parse::<core::net::Ipv6Addr>().is_ok())
}

/// Whether a POST's content type is one that is read as JSON.
///
/// # Errors
/// The status to refuse with: 415, or 403 where a browser's page sent it.
pub fn content_type(value: Option<&str>, has_origin: bool) -> Result<(), u16> {
    if value == Some("application/json") {
        return Ok(());
    }
    let media = value.map(|value| value.split(';').next().unwrap_or_default().trim_ascii());
    let accepted = match media {
        Some(media) if media.eq_ignore_ascii_case("application/json") => true,
        None => !has_origin,
        Some(media) => !has_origin && media.eq_ignore_ascii_case("application/x-www-form-urlencoded"),
    };
    match accepted {
        true => Ok(()),
        false if has_origin => Err(403),
        false => Err(415),
    }
}

/// Whether an `Accept` value allows `media` (RFC 9110, 12.5.1): the most specific range decides.
#[must_use]
pub fn accepts(accept: &str, media: &str) -> bool {
    let kind = media.split('/').next().unwrap_or_default();
    let mut best = (0_u8, false);
    let mut any = false;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim_ascii);
        let Some(name) = parts.next().filter(|name| !name.is_empty()) else { continue };
        any = true;
        let rank = if name.eq_ignore_ascii_case(media) {
            3
        } else if name.split_once('/').is_some_and(|(one, two)| one.eq_ignore_ascii_case(kind) && two == "*") {
            2
        } else {
            u8::from(name == "*/*" || name == "*")
        };
        let zero = parts.any(|part| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight
                .is_some_and(|weight| weight.starts_with('0') && weight.bytes().all(|byte| matches!(byte, b'0' | b'.')))
        });
        if rank > best.0 {
            best = (rank, !zero);
        } else if rank == best.0 && rank > 0 {
            best.1 |= !zero;
        }
    }
    best.1 || !any
}

/// Whether an `Accept` value asks for a stream of events: it takes that and no JSON, or names that and not JSON.
#[must_use]
pub fn prefers_events(accept: &str) -> bool {
    const JSON: &str = "application/json";
    let names = |media: &str| {
        let mut types = accept.split(',').map(|range| range.split(';').next().unwrap_or_default().trim_ascii());
        types.any(|name| name.eq_ignore_ascii_case(media))
    };
    accepts(accept, EVENTS) && (!accepts(accept, JSON) || (names(EVENTS) && !names(JSON)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_and_nothing_else() {
        for path in ["/v1/bootstrap", "/bootstrap", "/v1/boostrap", "/v1/bootstrap/", "/bootstrap/", "/v1/boostrap/"] {
            assert_eq!(Resource::from_path(path), Resource::Status, "{path}");
        }
        for action in Action::ALL {
            for prefix in ["/v1/bootstrap/", "/bootstrap/"] {
                let path = std::format!("{prefix}{}", action.name());
                assert_eq!(Resource::from_path(&path), Resource::Bootstrap(action));
                assert_eq!(Resource::from_path(&std::format!("{path}/")), Resource::Bootstrap(action));
                let path = std::format!("{prefix}validate/{}", action.name());
                assert_eq!(Resource::from_path(&path), Resource::Validate(action));
            }
        }
        assert_eq!(Resource::from_path("/v1/nodes/7"), Resource::Node(7));
        assert_eq!([Resource::from_path("/ui"), Resource::from_path("/ui/")], [Resource::Page; 2]);
        for path in [
            "/v1/bootstrap//",
            "/v1/Bootstrap",
            "/v1/%62ootstrap",
            "/v1/boostrap/create_cluster",
            "/v1/nodes/+1",
            "/v1/nodes/4294967296",
            "/v1/nodes//",
            "/v1",
            "/v1/",
            "/v1/bootstrap/validate",
            "/v1/bootstrap/create",
        ] {
            assert_eq!(Resource::from_path(path), Resource::UnknownV1, "{path}");
        }
        for path in ["///", "/bootstrap/x", "/bootstrap//", "", "/healthz//", "/v1x", "**"] {
            assert_eq!(Resource::from_path(path), Resource::Unknown, "{path}");
        }
        assert_eq!(Resource::from_path("*"), Resource::Server);
        assert!(Resource::Server.takes(Method::Options, true) && !Resource::Server.takes(Method::Get, true));
    }

    #[test]
    fn what_only_a_program_has_that_was_built_to_be_managed() {
        for (path, expected) in [
            ("/v1/cluster/check", Managed::ClusterCheck),
            ("/v1/nodes/check/7", Managed::NodeCheck(7)),
            ("/v1/cluster/policy/", Managed::Policy),
            ("/v1/bdbs", Managed::Databases),
            ("/v1/modules", Managed::Modules),
            ("/v1/users", Managed::Users),
        ] {
            assert_eq!(Resource::from_managed_path(path), Resource::Managed(expected), "{path}");
            assert_eq!(Resource::from_path(path), Resource::UnknownV1, "{path}");
        }
        for path in ["/v1/nodes/check", "/v1/nodes/check/", "/v1/nodes/check/x", "/v1/cluster/", "/v1/users/1", "/bdbs"]
        {
            let found = Resource::from_managed_path(path);
            assert!(!matches!(found, Resource::Managed(_)), "{path}: {found:?}");
        }
    }

    #[test]
    fn allow_names_what_is_taken() {
        let resources = [
            "/v1/bootstrap",
            "/v1/bootstrap/progress",
            "/v1/bootstrap/create_cluster",
            "/v1/bootstrap/validate/create_cluster",
            "/v1/cluster",
            "/v1/nodes",
            "/v1/nodes/1",
            "/v1/license",
            "/v1/cluster/policy",
            "/v1/cluster/check",
            "/v1/users",
            "/internal/v1/login/certificate",
            "/internal/v1/challenge",
            "/internal/v1/ask",
            "/",
            "/healthz",
            "/v1/x",
            "/x",
        ];
        for resource in resources.map(Resource::from_managed_path) {
            for is_managed in [true, false] {
                let allowed = resource.allow(is_managed).split(", ");
                for name in ["GET", "HEAD", "POST", "PUT", "OPTIONS"] {
                    let taken = resource.takes(Method::from_name(name), is_managed);
                    assert_eq!(taken, allowed.clone().any(|allowed| allowed == name), "{resource:?} {name}");
                }
            }
            assert_eq!(resource.takes(Method::Put, true), resource.target().is_some());
            assert!(!resource.takes(Method::Put, false) && !resource.takes(Method::Other, true));
        }
    }

    #[test]
    fn which_schema_is_asked_for() {
        for (query, asked) in [
            ("", Described::Missing),
            ("object", Described::Missing),
            ("object=", Described::Missing),
            ("objects=bootstrap", Described::Missing),
            ("object=bootstrap", Described::Bootstrap),
            ("x=y&object=bootstrap&z", Described::Bootstrap),
            ("object=bdb", Described::Unknown),
            ("object=Bootstrap", Described::Unknown),
            ("object=bootstrap%20", Described::Unknown),
        ] {
            assert_eq!(Described::from_query(query), asked, "{query}");
        }
    }

    #[test]
    fn who_may_call_what() {
        let closed = Standing::Closed { expelled: false };
        let expelled = Standing::Closed { expelled: true };
        let create = Resource::Bootstrap(Action::CreateCluster);
        let cases = [
            (Resource::Status, Method::Get, [Access::Open, Access::Credentials, Access::Credentials, Access::Broken]),
            (create, Method::Post, [Access::Open, Access::CheckIfGiven, Access::Credentials, Access::Broken]),
            (
                Resource::Nodes,
                Method::Get,
                [Access::NoCluster, Access::Credentials, Access::Credentials, Access::Broken],
            ),
            (
                Resource::Root,
                Method::Get,
                [Access::NoCluster, Access::Credentials, Access::Credentials, Access::Broken],
            ),
            (Resource::Nodes, Method::Other, [Access::Open, Access::Credentials, Access::Credentials, Access::Broken]),
            (Resource::Nodes, Method::Put, [Access::Open, Access::Credentials, Access::Credentials, Access::Broken]),
            (
                Resource::Node(1),
                Method::Put,
                [Access::NoCluster, Access::Credentials, Access::Credentials, Access::Broken],
            ),
            (
                Resource::Managed(Managed::Users),
                Method::Get,
                [Access::NoCluster, Access::Credentials, Access::Credentials, Access::Broken],
            ),
            (Resource::Health, Method::Get, [Access::Open; 4]),
            (Resource::Page, Method::Get, [Access::Open; 4]),
            (Resource::Ready, Method::Get, [Access::Open, Access::Open, Access::Open, Access::Broken]),
            (
                Resource::Schema(Described::Bootstrap),
                Method::Get,
                [Access::Open, Access::Open, Access::Open, Access::Broken],
            ),
            (Resource::OpenApi, Method::Get, [Access::Open; 4]),
            (
                Resource::UnknownV1,
                Method::Get,
                [Access::Open, Access::Credentials, Access::Credentials, Access::Broken],
            ),
            (Resource::Unknown, Method::Get, [Access::Open; 4]),
        ];
        for (resource, method, expected) in cases {
            let found = [Standing::Open, closed, expelled, Standing::Broken]
                .map(|standing| access(resource, method, standing, true));
            assert_eq!(found, expected, "{resource:?}");
        }
    }

    #[test]
    fn rules_are_for_posts_before_a_cluster_and_for_the_status_in_one() {
        let posts =
            Action::ALL.into_iter().flat_map(|action| [Resource::Bootstrap(action), Resource::Validate(action)]);
        let others = [Resource::Status, Resource::Progress, Resource::Nodes, Resource::Root, Resource::Health];
        let [closed, expelled] = [false, true].map(|expelled| Standing::Closed { expelled });
        for resource in posts.chain(others) {
            for method in [Method::Get, Method::Head, Method::Post, Method::Options, Method::Other] {
                for standing in [Standing::Open, closed, expelled, Standing::Broken] {
                    let of = |needs_token, is_shut, says_completed| {
                        ruling(resource, method, standing, Rules { needs_token, is_shut, says_completed })
                    };
                    let (mut token, mut shut, mut says) = (Ruling::None, Ruling::None, Ruling::None);
                    if method == Method::Post && standing == Standing::Open && !others.contains(&resource) {
                        (token, shut) = (Ruling::SetupToken, Ruling::Shut);
                    }
                    if matches!(method, Method::Get | Method::Head)
                        && standing == closed
                        && resource == Resource::Status
                    {
                        says = Ruling::OnlyCompleted;
                    }
                    assert_eq!(of(false, false, false), Ruling::None);
                    let found = [of(true, false, false), of(false, true, false), of(true, true, false)];
                    assert_eq!(found, [token, shut, shut], "{resource:?} {method:?} {standing:?}");
                    assert_eq!(of(false, false, true), says, "{resource:?} {method:?} {standing:?}");
                }
            }
        }
    }

    #[test]
    fn every_branch_of_the_origin_rule() {
        fn refused(origin: Option<&str>, host: &str, site: Option<&str>) -> bool {
            foreign_origin(origin, host, site, "http", |name| name == "node-1").is_some()
        }
        // What is no browser's request passes whatever the host.
        assert!(!refused(None, "evil.example", None));
        assert!(!refused(None, "", Some("none")));
        assert!(!refused(None, "a", Some("same-origin")));
        assert!(refused(None, "127.0.0.1", Some("cross-site")));
        assert!(refused(None, "127.0.0.1", Some("same-site")));
        assert!(refused(None, "127.0.0.1", Some("")));
        for host in ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080", "[::1]", "node-1:8080", "10.0.0.1"]
        {
            let origin = std::format!("http://{host}");
            assert!(!refused(Some(&origin), host, None), "{host}");
            assert!(!refused(Some(&origin), host, Some("same-origin")), "{host}");
            assert!(refused(Some(&origin), host, Some("cross-site")), "{host}");
            assert!(refused(Some(&std::format!("https://{host}")), host, None), "{host}");
        }
        assert!(refused(Some("null"), "127.0.0.1", None));
        assert!(refused(Some(""), "", None));
        assert!(refused(Some("http://127.0.0.1"), "127.0.0.1:8080", None));
        assert!(refused(Some("http://evil.example"), "127.0.0.1:8080", None));
        // A name that an attacker points here.
        assert!(refused(Some("http://evil.example"), "evil.example", None));
        assert!(refused(Some("http://::1"), "::1", None));
    }

    #[test]
    fn content_types() {
        assert_eq!(content_type(None, false), Ok(()));
        assert_eq!(content_type(Some("Application/JSON; charset=x"), true), Ok(()));
        assert_eq!(content_type(Some("application/x-www-form-urlencoded"), false), Ok(()));
        assert_eq!(content_type(Some("application/x-www-form-urlencoded"), true), Err(403));
        assert_eq!(content_type(None, true), Err(403));
        assert_eq!(content_type(Some("text/plain"), true), Err(403));
        assert_eq!(content_type(Some("text/plain"), false), Err(415));
        assert_eq!(content_type(Some(""), false), Err(415));
        assert_eq!(content_type(Some("application/jsonx"), false), Err(415));
    }

    #[test]
    fn who_asks_for_events() {
        for good in [
            "text/event-stream",
            "Text/Event-Stream;q=0.1",
            "text/event-stream, */*",
            "*/*;q=0.1,text/event-stream",
            "text/html, text/event-stream",
            "text/*",
            "application/json;q=0, text/event-stream",
        ] {
            assert!(prefers_events(good), "{good}");
        }
        for bad in [
            "",
            "*/*",
            "text/event-stream;q=0",
            "text/event-streams",
            "text/event-stream;q=0, text/*",
            "application/json, text/event-stream",
            "application/json",
        ] {
            assert!(!prefers_events(bad), "{bad}");
        }
    }

    #[test]
    fn which_revision_a_stream_goes_on_from() {
        let stream = |query: &str, last: Option<&str>| Watch::from_query(query).as_stream(last);
        assert!(stream("after=7", None).has(7) && stream("", Some("7")).has(7) && stream("after=6", Some("7")).has(7));
        assert!(stream("after=7", Some("")).has(7) && stream("after=7", Some("x")).has(7));
        assert!(!stream("", None).has(0) && !stream("", Some("")).has(0) && !stream("after=6", Some("7")).has(6));
        assert!(stream("", None).is_stream() && !Watch::from_query("after=7&wait=1").is_stream());
        assert!(stream("after=x", None).is_malformed());
    }

    #[test]
    fn accept_ranges() {
        for good in [
            "",
            "*/*",
            "application/json",
            "application/*",
            "text/html, */*;q=0.1",
            "APPLICATION/JSON",
            "*",
            "text/html,application/json;q=0.5",
            "application/json;q=0.001",
            ", application/json",
        ] {
            assert!(accepts(good, "application/json"), "{good}");
        }
        for bad in [
            "text/html",
            "application/xml",
            "application/json;q=0",
            "*/*;q=0.0",
            "application/json;q=0, */*",
            "text/*",
            "application/*;q=0, */*;q=1",
        ] {
            assert!(!accepts(bad, "application/json"), "{bad}");
        }
    }
}
