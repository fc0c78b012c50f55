//! What the fields of a request's head say: where it comes from, what it brings and what it takes.

/// The media type of Server-Sent Events.
pub const EVENTS: &str = "text/event-stream";

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
