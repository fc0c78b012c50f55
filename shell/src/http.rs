//! HTTP/1.1 framing: a request's head, its body's chunks, and answers.
//!
//! Whatever two parsers could frame differently is refused, and the connection with it. Only syntax is decided
//! here; what a request may do is the core's.

use std::fmt::Write as _;
use std::mem::MaybeUninit;
use std::net::Ipv6Addr;

use bootstrapd_core::json::find_byte;
use bootstrapd_core::limits::BODY_BYTES_MAX;

/// A request's head with its final empty line.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Header fields of one request, and trailer fields of one body.
pub const FIELDS_MAX: usize = 32;
/// A chunk's size line or a trailer field.
const LINE_BYTES_MAX: usize = 1024;

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
pub struct Head<'a> {
    /// The method.
    pub method: &'a str,
    /// The target's path, not decoded.
    pub path: &'a str,
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
        Ok(_) => return refused(400, "the head is malformed"),
        Err(httparse::Error::TooManyHeaders) => return refused(431, "more than 32 header fields"),
        Err(httparse::Error::Version) => return Err(version_refusal(bytes)),
        Err(_) => return refused(400, "the head is malformed"),
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return refused(400, "the request line is malformed");
    };
    let is_1_0 = minor == 0;
    let mut collected = Fields::default();
    for field in request.headers.iter() {
        collected.take(field)?;
    }
    let (authority, path) = split_target(method, target)?;
    if !is_1_0 && collected.host.is_none() {
        return refused(400, "Host is missing");
    }
    // An absolute target's authority stands for Host (RFC 9112, 3.2.2).
    let host = authority.or(collected.host).unwrap_or_default();
    let (body, has_length) = collected.body(is_1_0)?;
    Ok(Head {
        method,
        path,
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
                if let Some(free) = self.accept.iter_mut().find(|line| line.is_none()) {
                    *free = Some(accept);
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

/// The authority of an absolute target, and the path without its query.
fn split_target<'a>(method: &str, target: &'a str) -> Result<(Option<&'a str>, &'a str), Refused> {
    if target == "*" {
        return if method == "OPTIONS" { Ok((None, target)) } else { refused(400, "the target is malformed") };
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
    let query = find_byte(rest.as_bytes(), b'?').unwrap_or(rest.len());
    let path = rest.get(..query).unwrap_or_default();
    let rooted = path.starts_with('/') || (authority.is_some() && path.is_empty());
    if !rooted || !rest.bytes().all(is_target_byte) || !percents_are_pairs(rest) {
        return refused(400, "the target is malformed");
    }
    Ok((authority, if path.is_empty() { "/" } else { path }))
}

/// What RFC 3986 lets stand in a path or query; looked up, as every byte of every target is.
const TARGET_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%' | b':' | b'@' | b'/' | b'?')
            || is_sub_delim(byte);
        byte += 1;
    }
    table
};

fn is_target_byte(byte: u8) -> bool {
    TARGET_BYTES.get(usize::from(byte)).copied().unwrap_or_default()
}

const fn is_sub_delim(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
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
    let name_byte = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~')
            || (is_sub_delim(byte) && byte != b',')
    };
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && (port.is_empty() || port.parse::<u16>().is_ok());
    !name.is_empty() && name.bytes().all(name_byte) && port.is_some_and(is_port)
}

/// Decodes a chunked body, in whatever pieces it comes.
#[derive(Debug)]
pub struct Chunks {
    expect: Expect,
    line: Vec<u8>,
    trailers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Size,
    Data(usize),
    DataEnd,
    Trailer,
    Nothing,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { expect: Expect::Size, line: Vec::new(), trailers: 0 }
    }
}

impl Chunks {
    /// Whether the body is complete.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.expect == Expect::Nothing
    }

    /// Takes bytes off the front of `input` and hands the body's to `keep`, until the body or the input ends.
    /// Returns how many were taken.
    ///
    /// # Errors
    /// A [`Refused`] where the chunks are malformed, or from `keep`.
    pub fn decode(
        &mut self,
        input: &[u8],
        mut keep: impl FnMut(&[u8]) -> Result<(), Refused>,
    ) -> Result<usize, Refused> {
        let mut rest = input;
        while !rest.is_empty() && !self.is_done() {
            if let Expect::Data(left) = self.expect {
                let (data, behind) = rest.split_at_checked(left).unwrap_or((rest, &[]));
                keep(data)?;
                rest = behind;
                let left = left.saturating_sub(data.len());
                self.expect = if left == 0 { Expect::DataEnd } else { Expect::Data(left) };
            } else {
                let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at.saturating_add(1));
                let (piece, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
                self.line.extend_from_slice(piece);
                rest = behind;
                if self.line.len() > LINE_BYTES_MAX {
                    return refused(400, "a chunk's line is too long");
                }
                if self.line.ends_with(b"\n") {
                    self.line_ended()?;
                    self.line.clear();
                }
            }
        }
        Ok(input.len().saturating_sub(rest.len()))
    }

    fn line_ended(&mut self) -> Result<(), Refused> {
        let Some(line) = self.line.strip_suffix(b"\r\n").filter(|line| !line.contains(&b'\r')) else {
            return refused(400, "a chunk's line does not end in CR LF");
        };
        self.expect = match self.expect {
            Expect::Size => match chunk_size(line) {
                Some(0) => Expect::Trailer,
                Some(size) => Expect::Data(size),
                None => return refused(400, "a chunk's size is malformed"),
            },
            Expect::DataEnd if line.is_empty() => Expect::Size,
            Expect::DataEnd => return refused(400, "a chunk is longer than its size"),
            Expect::Trailer if line.is_empty() => Expect::Nothing,
            Expect::Trailer => {
                self.trailers = self.trailers.saturating_add(1);
                if self.trailers > FIELDS_MAX || !is_trailer(line) {
                    return refused(400, "a trailer field is malformed");
                }
                Expect::Trailer
            }
            Expect::Data(_) | Expect::Nothing => return refused(400, "a chunk is malformed"),
        };
        Ok(())
    }
}

/// `chunk-size [ chunk-ext ]`: at most eight hexadecimal digits; extensions are checked and ignored.
fn chunk_size(line: &[u8]) -> Option<usize> {
    let line = std::str::from_utf8(line).ok()?;
    let digits = line.bytes().take_while(u8::is_ascii_hexdigit).count();
    let (size, mut extensions) = line.split_at_checked(digits).filter(|_| (1..=8).contains(&digits))?;
    while !extensions.is_empty() {
        let (_, rest) = extension(extensions)?;
        extensions = rest;
    }
    usize::from_str_radix(size, 16).ok()
}

/// One `BWS ";" BWS name [ BWS "=" BWS value ]`, and what follows it.
fn extension(text: &str) -> Option<((), &str)> {
    let spaces: &[char] = &[' ', '\t'];
    let rest = text.trim_start_matches(spaces).strip_prefix(';')?.trim_start_matches(spaces);
    let rest = token(rest)?;
    let Some(value) = rest.trim_start_matches(spaces).strip_prefix('=') else {
        return Some(((), rest));
    };
    let value = value.trim_start_matches(spaces);
    match value.strip_prefix('"') {
        Some(quoted) => quoted_end(quoted).map(|rest| ((), rest)),
        None => token(value).map(|rest| ((), rest)),
    }
}

/// What follows a token, which must have at least one character.
fn token(text: &str) -> Option<&str> {
    let end = text.bytes().take_while(|byte| is_token_byte(*byte)).count();
    text.get(end..).filter(|_| end > 0)
}

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// What follows the closing quote.
fn quoted_end(text: &str) -> Option<&str> {
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return Some(characters.as_str()),
            '\\' => _ = characters.next().filter(|character| !character.is_control())?,
            '\t' => {}
            character if character.is_control() => return None,
            _ => {}
        }
    }
}

/// A trailer field that cannot be mistaken for one that frames, routes or authenticates.
fn is_trailer(line: &[u8]) -> bool {
    const FORBIDDEN: [&str; 8] = [
        "content-length",
        "transfer-encoding",
        "host",
        "authorization",
        "content-type",
        "content-encoding",
        "trailer",
        "connection",
    ];
    let Some((name, value)) = line.iter().position(|byte| *byte == b':').and_then(|colon| line.split_at_checked(colon))
    else {
        return false;
    };
    let Ok(name) = std::str::from_utf8(name) else { return false };
    !name.is_empty()
        && name.bytes().all(is_token_byte)
        && value.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7F))
        && !FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden))
}

/// An answer, to be written by [`Answer::write`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    /// The body's type; empty where there is no body.
    pub media_type: &'static str,
    /// The body.
    pub body: &'a [u8],
    /// More of it: what moves behind what is kept ready.
    pub tail: &'a [u8],
    /// `Allow`
    pub allow: &'static str,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u16>,
    /// Whether to ask for Basic credentials.
    pub challenge: bool,
}

/// What the answer's connection and request make of it.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The body is left out, its length is not.
    pub head_only: bool,
    /// The connection closes behind the answer.
    pub close: bool,
    /// The request was HTTP/1.0, which must be told that the connection stays.
    pub is_1_0: bool,
    /// The value of `Date`.
    pub date: &'a str,
}

impl Answer<'_> {
    /// Appends the answer to `out`.
    pub fn write(&self, delivery: Delivery<'_>, out: &mut Vec<u8>) {
        put(out, "HTTP/1.1 ");
        put(out, status_line(self.status));
        put(out, "\r\nDate: ");
        put(out, delivery.date);
        match self.media_type {
            "" => put(out, "\r\nContent-Length: "),
            JSON => put(out, "\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nContent-Length: "),
            other => {
                put(out, "\r\nContent-Type: ");
                put(out, other);
                put(out, "\r\nCache-Control: no-store\r\nContent-Length: ");
            }
        }
        put_number(out, self.body.len().saturating_add(self.tail.len()));
        if !self.allow.is_empty() {
            put(out, "\r\nAllow: ");
            put(out, self.allow);
        }
        if let Some(seconds) = self.retry_after {
            put(out, "\r\nRetry-After: ");
            put_number(out, usize::from(seconds));
        }
        if self.challenge {
            put(out, "\r\nWWW-Authenticate: Basic realm=\"bootstrapd\", charset=\"UTF-8\"");
        }
        if delivery.close {
            put(out, "\r\nConnection: close");
        } else if delivery.is_1_0 {
            put(out, "\r\nConnection: keep-alive");
        }
        put(out, "\r\n\r\n");
        if !delivery.head_only {
            out.extend_from_slice(self.body);
            out.extend_from_slice(self.tail);
        }
    }
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn put_number(out: &mut Vec<u8>, number: usize) {
    let mut digits = [0; 20];
    let mut rest = number;
    let mut first = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0'.saturating_add(u8::try_from(rest % 10).unwrap_or_default());
        first = first.saturating_sub(1);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

const fn status_line(status: u16) -> &'static str {
    match status {
        200 => "200 OK",
        400 => "400 Bad Request",
        401 => "401 Unauthorized",
        403 => "403 Forbidden",
        404 => "404 Not Found",
        405 => "405 Method Not Allowed",
        406 => "406 Not Acceptable",
        408 => "408 Request Timeout",
        409 => "409 Conflict",
        411 => "411 Length Required",
        413 => "413 Content Too Large",
        414 => "414 URI Too Long",
        415 => "415 Unsupported Media Type",
        417 => "417 Expectation Failed",
        431 => "431 Request Header Fields Too Large",
        501 => "501 Not Implemented",
        503 => "503 Service Unavailable",
        505 => "505 HTTP Version Not Supported",
        _ => "500 Internal Server Error",
    }
}

/// The `error_code` of a refused message's answer.
#[must_use]
pub const fn error_code(status: u16) -> &'static str {
    match status {
        403 => "forbidden_origin",
        404 => "not_found",
        405 => "method_not_allowed",
        406 => "not_acceptable",
        408 => "request_timeout",
        411 => "length_required",
        413 => "body_too_large",
        414 => "uri_too_long",
        415 => "unsupported_media_type",
        417 => "expectation_failed",
        431 => "head_too_large",
        501 => "not_implemented",
        505 => "http_version",
        _ => "bad_request",
    }
}

/// The value of `Date` for a moment (RFC 9110, 5.6.7).
#[must_use]
pub fn date(now: bootstrapd_core::time::Timestamp) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let bootstrapd_core::time::Civil { year, month, day, time: [hour, minute, second], weekday } = now.civil();
    let name = |names: &[&'static str], index: u64| {
        usize::try_from(index).ok().and_then(|index| names.get(index).copied()).unwrap_or_default()
    };
    let (weekday, month) = (name(&DAYS, weekday), name(&MONTHS, month.saturating_sub(1)));
    let mut text = String::with_capacity(29);
    // Writing to a String cannot fail.
    let _ = write!(text, "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT");
    text
}
