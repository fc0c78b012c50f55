//! HTTP/1.1 framing: a request's head, its body's chunks, and answers.
//!
//! Whatever two parsers could frame differently is refused, and the connection with it. Only syntax is decided
//! here; what a request may do is the core's.

use std::mem::MaybeUninit;
use std::net::Ipv6Addr;

use bootstrapd_core::json::find_byte;
use bootstrapd_core::limits::BODY_BYTES_MAX;

mod answer;
mod chunks;

#[cfg(feature = "ui")]
pub use answer::write_head;
pub use answer::{Answer, Delivery, date, error_code};
pub use chunks::Chunks;

/// A request's head with its final empty line.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Header fields of one request, and trailer fields of one body.
pub const FIELDS_MAX: usize = 32;

/// What most bodies are, told without looking at every byte.
const JSON: &str = "application/json";

/// A message that is refused: the status and the reason. The connection closes behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The status code.
    pub status: u16,
    /// Why, for people.
    pub reason: &'static str,
}

const fn refused<T>(status: u16, reason: &'static str) -> Result<T, Refused> {
    Err(Refused { status, reason })
}

/// How a request's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none.
    None,
    /// So many bytes, at most [`BODY_BYTES_MAX`].
    Length(usize),
    /// Chunks.
    Chunked,
}

/// A request's head, borrowed from the connection's bytes.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of the head by itself")]
pub struct Head<'a> {
    /// The method.
    pub method: &'a str,
    /// The target's path, not decoded.
    pub path: &'a str,
    /// Its query, without the question mark; may be empty.
    pub query: &'a str,
    /// The host that the request is for; empty where HTTP/1.0 leaves it out.
    pub host: &'a str,
    /// Whether the request is HTTP/1.0.
    pub is_1_0: bool,
    /// Whether the connection stays after the answer.
    pub keep_alive: bool,
    /// The body's framing.
    pub body: Body,
    /// Whether `Content-Length` or `Transfer-Encoding` was given.
    pub has_length: bool,
    /// Whether the client waits for `100 Continue`.
    pub expects_continue: bool,
    /// `Origin`
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site`
    pub fetch_site: Option<&'a str>,
    /// `Content-Type`
    pub content_type: Option<&'a str>,
    /// `Authorization`
    pub authorization: Option<&'a str>,
    /// `Accept`, each line of it.
    pub accept: [Option<&'a str>; 4],
    /// `Last-Event-ID`
    #[cfg(feature = "ui")]
    pub last_event_id: Option<&'a str>,
}

/// Looks for the end of the head in `bytes`, of which the first `scanned` were looked at before without finding it.
/// Returns the head's length; `None` when more must come.
///
/// # Errors
/// A [`Refused`] as soon as a line ends otherwise than in CR LF, or the head is too long.
pub fn head_length(bytes: &[u8], scanned: usize) -> Result<Option<usize>, Refused> {
    // The last three bytes may be the beginning of the end.
    let mut at = scanned.saturating_sub(3);
    while let Some(offset) = bytes.get(at..).and_then(|rest| find_byte(rest, b'\n')) {
        let line_end = at.saturating_add(offset);
        let before = bytes.get(..line_end).unwrap_or_default();
        if before.last() != Some(&b'\r') {
            return refused(400, "a line does not end in CR LF");
        }
        at = line_end.saturating_add(1);
        if at > HEAD_BYTES_MAX {
            break;
        }
        if before.ends_with(b"\r\n\r") {
            return Ok(Some(at));
        }
    }
    if bytes.len() < HEAD_BYTES_MAX && at <= HEAD_BYTES_MAX {
        return Ok(None);
    }
    if bytes.iter().take(HEAD_BYTES_MAX).any(|byte| *byte == b'\n') {
        refused(431, "the head is longer than 8 KiB")
    } else {
        refused(414, "the request line is longer than 8 KiB")
    }
}

/// Reads a whole head, as long as [`head_length`] said.
///
/// # Errors
/// A [`Refused`] where the head is not to be trusted.
pub fn read_head(bytes: &[u8]) -> Result<Head<'_>, Refused> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Err(httparse::Error::TooManyHeaders) => return refused(431, "more than 32 header fields"),
        Err(httparse::Error::Version) => return Err(version_refusal(bytes)),
        Ok(_) | Err(_) => return refused(400, "the head is malformed"),
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return refused(400, "the request line is malformed");
    };
    let is_1_0 = minor == 0;
    let mut collected = Fields::default();
    for field in request.headers.iter() {
        collected.take(field)?;
    }
    let (authority, path, query) = split_target(method, target)?;
    if !is_1_0 && collected.host.is_none() {
        return refused(400, "Host is missing");
    }
    // An absolute target's authority stands for Host (RFC 9112, 3.2.2).
    let host = authority.or(collected.host).unwrap_or_default();
    let (body, has_length) = collected.body(is_1_0)?;
    Ok(Head {
        method,
        path,
        query,
        host,
        is_1_0,
        keep_alive: !collected.close && (!is_1_0 || collected.keep_alive),
        body,
        has_length,
        expects_continue: collected.expects_continue && !is_1_0,
        origin: collected.origin,
        fetch_site: collected.fetch_site,
        content_type: collected.content_type,
        authorization: collected.authorization,
        accept: collected.accept,
        #[cfg(feature = "ui")]
        last_event_id: collected.last_event_id,
    })
}

/// A version that is well formed but not ours is a 505, anything else malformed.
fn version_refusal(bytes: &[u8]) -> Refused {
    let line = bytes.split(|byte| *byte == b'\r').find(|line| !line.is_empty()).unwrap_or_default();
    let version = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    match version {
        // Ours, so it is the line around it that is wrong.
        b"HTTP/1.0" | b"HTTP/1.1" => Refused { status: 400, reason: "the request line is malformed" },
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            Refused { status: 505, reason: "only HTTP/1.1 and HTTP/1.0 are spoken here" }
        }
        _ => Refused { status: 400, reason: "the HTTP version is malformed" },
    }
}

#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a str>,
    length: Option<&'a str>,
    coding: Option<&'a str>,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
    origin: Option<&'a str>,
    fetch_site: Option<&'a str>,
    content_type: Option<&'a str>,
    authorization: Option<&'a str>,
    accept: [Option<&'a str>; 4],
    #[cfg(feature = "ui")]
    last_event_id: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn take(&mut self, field: &httparse::Header<'a>) -> Result<(), Refused> {
        // Compared as most clients write it first: that is cheaper than without case.
        let is = |name: &str| field.name == name || field.name.eq_ignore_ascii_case(name);
        // Most fields of most requests are none of ours: the length tells them apart cheaply.
        match field.name.len() {
            4 if is("Host") => {
                let host = text(field)?;
                if !is_host(host) {
                    return refused(400, "Host is malformed");
                }
                once(&mut self.host, host)
            }
            6 if is("Accept") => {
                let accept = text(field)?;
                match self.accept.iter_mut().find(|line| line.is_none()) {
                    Some(free) => *free = Some(accept),
                    // More than anybody sends: a server may answer as if nothing were asked for (RFC 9110, 12.5.1).
                    None => self.accept = [Some("*/*"); 4],
                }
                Ok(())
            }
            6 if is("Origin") => once(&mut self.origin, text(field)?),
            6 if is("Expect") => {
                if !text(field)?.eq_ignore_ascii_case("100-continue") {
                    return refused(417, "the only expectation met here is 100-continue");
                }
                self.expects_continue = true;
                Ok(())
            }
            10 if is("Connection") => {
                let options = text(field)?.split(',').map(str::trim_ascii);
                for option in options {
                    self.close |= option.eq_ignore_ascii_case("close");
                    self.keep_alive |= option.eq_ignore_ascii_case("keep-alive");
                }
                Ok(())
            }
            12 if is("Content-Type") => once(&mut self.content_type, text(field)?),
            13 if is("Authorization") => once(&mut self.authorization, text(field)?),
            #[cfg(feature = "ui")]
            13 if is("Last-Event-ID") => once(&mut self.last_event_id, text(field)?),
            14 if is("Content-Length") => once(&mut self.length, text(field)?),
            14 if is("Sec-Fetch-Site") => once(&mut self.fetch_site, text(field)?),
            17 if is("Transfer-Encoding") => once(&mut self.coding, text(field)?),
            _ => Ok(()),
        }
    }

    fn body(&self, is_1_0: bool) -> Result<(Body, bool), Refused> {
        match (self.length, self.coding) {
            (Some(_), Some(_)) => refused(400, "Content-Length and Transfer-Encoding together"),
            (None, None) => Ok((Body::None, false)),
            (Some(length), None) => Ok((Body::Length(content_length(length)?), true)),
            (None, Some(_)) if is_1_0 => refused(400, "Transfer-Encoding in HTTP/1.0"),
            (None, Some(coding)) if coding.eq_ignore_ascii_case("chunked") => Ok((Body::Chunked, true)),
            (None, Some(coding)) => {
                let mut codings = coding.split(',').map(str::trim_ascii);
                let known = |coding: &str| coding.is_empty() || coding.eq_ignore_ascii_case("chunked");
                if codings.all(known) {
                    refused(400, "Transfer-Encoding is malformed")
                } else {
                    refused(501, "the only transfer coding known here is chunked")
                }
            }
        }
    }
}

/// A field that may stand once: which of two would count is a matter of taste, and tastes differ.
fn once<'a>(place: &mut Option<&'a str>, value: &'a str) -> Result<(), Refused> {
    if place.replace(value).is_some() { refused(400, "a header field is repeated") } else { Ok(()) }
}

fn text<'a>(field: &httparse::Header<'a>) -> Result<&'a str, Refused> {
    if field.value == JSON.as_bytes() {
        return Ok(JSON);
    }
    match std::str::from_utf8(field.value) {
        Ok(value) => Ok(value.trim_ascii()),
        Err(_) => refused(400, "a header field is not text"),
    }
}

/// Digits and nothing else; a leading zero could be read as octal.
fn content_length(text: &str) -> Result<usize, Refused> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return refused(400, "Content-Length is malformed");
    }
    match text.parse() {
        Ok(length) if length <= BODY_BYTES_MAX => Ok(length),
        _ => refused(413, "the body is longer than 64 KiB"),
    }
}

/// The authority of an absolute target, the path and the query.
fn split_target<'a>(method: &str, target: &'a str) -> Result<(Option<&'a str>, &'a str, &'a str), Refused> {
    if target == "*" {
        return if method == "OPTIONS" { Ok((None, target, "")) } else { refused(400, "the target is malformed") };
    }
    let behind = |scheme: &str| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let absolute = if target.starts_with('/') { None } else { behind("http://").or_else(|| behind("https://")) };
    let (authority, rest) = match absolute {
        Some(rest) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
            if !is_host(authority) {
                return refused(400, "the target is malformed");
            }
            (Some(authority), rest)
        }
        None => (None, target),
    };
    let end = find_byte(rest.as_bytes(), b'?').unwrap_or(rest.len());
    let (path, query) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let rooted = path.starts_with('/') || (authority.is_some() && path.is_empty());
    if !rooted || !rest.bytes().all(|byte| is_one_of(&TARGET_BYTES, byte)) || !percents_are_pairs(rest) {
        return refused(400, "the target is malformed");
    }
    Ok((authority, if path.is_empty() { "/" } else { path }, query.get(1..).unwrap_or_default()))
}

/// What RFC 3986 lets stand in a path or query, and in the name of a host; looked up, as every byte of every target and
/// host is.
const TARGET_BYTES: [bool; 256] = table(b"-._~%:@/?!$&'()*+,;=");
const HOST_BYTES: [bool; 256] = table(b"-._~!$&'()*+;=");

/// Letters, digits and `others`.
const fn table(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        #[expect(clippy::indexing_slicing, reason = "the compiler runs this, and would say so")]
        {
            table[byte as usize] = byte.is_ascii_alphanumeric();
        }
        byte = byte.saturating_add(1);
    }
    let mut rest = others;
    while let Some((byte, more)) = rest.split_first() {
        #[expect(clippy::indexing_slicing, reason = "likewise")]
        {
            table[*byte as usize] = true;
        }
        rest = more;
    }
    table
}

fn is_one_of(table: &[bool; 256], byte: u8) -> bool {
    table.get(usize::from(byte)).copied().unwrap_or_default()
}

fn percents_are_pairs(text: &str) -> bool {
    find_byte(text.as_bytes(), b'%').is_none()
        || text.split('%').skip(1).all(|rest| {
            let pair = rest.as_bytes().get(..2).unwrap_or_default();
            pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit)
        })
}

/// `uri-host [ ":" port ]`, not empty. A comma is legal there, but a list of hosts is not, so it is refused.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(bracketed) => match bracketed.split_once(']') {
            Some((name, rest)) if name.parse::<Ipv6Addr>().is_ok() => {
                ("ipv6", rest.strip_prefix(':').or(rest.is_empty().then_some("0")))
            }
            _ => return false,
        },
        None => match find_byte(host.as_bytes(), b':').and_then(|colon| host.split_at_checked(colon)) {
            Some((name, port)) => (name, port.get(1..)),
            None => (host, Some("0")),
        },
    };
    // A sign is all that `parse` takes besides digits.
    let is_port = |port: &str| port.is_empty() || (!port.starts_with('+') && port.parse::<u16>().is_ok());
    !name.is_empty() && name.bytes().all(|byte| is_one_of(&HOST_BYTES, byte)) && port.is_some_and(is_port)
}
