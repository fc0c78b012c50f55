//! Answers, as bytes.

use std::fmt::Write as _;

use super::JSON;

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
        // Few and long pieces: each costs a call.
        put(out, status_line(self.status));
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
        put(
            out,
            match (delivery.close, delivery.is_1_0) {
                (true, _) => "\r\nConnection: close\r\n\r\n",
                (false, true) => "\r\nConnection: keep-alive\r\n\r\n",
                (false, false) => "\r\n\r\n",
            },
        );
        if !delivery.head_only {
            out.extend_from_slice(self.body);
            if !self.tail.is_empty() {
                out.extend_from_slice(self.tail);
            }
        }
    }
}

/// Appends the head of an answer with `fields` of its own, each with a line end behind it; its body is the caller's.
#[cfg(feature = "ui")]
pub fn write_head(status: u16, fields: &[&str], delivery: Delivery<'_>, out: &mut Vec<u8>) {
    put(out, status_line(status));
    put(out, delivery.date);
    put(out, "\r\n");
    for field in fields {
        put(out, field);
    }
    put(
        out,
        match (delivery.close, delivery.is_1_0) {
            (true, _) => "Connection: close\r\n\r\n",
            (false, true) => "Connection: keep-alive\r\n\r\n",
            (false, false) => "\r\n",
        },
    );
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

/// The status line, and the name of the field behind it.
const fn status_line(status: u16) -> &'static str {
    macro_rules! line {
        ($status:literal) => {
            concat!("HTTP/1.1 ", $status, "\r\nDate: ")
        };
    }
    match status {
        200 => line!("200 OK"),
        #[cfg(feature = "ui")]
        204 => line!("204 No Content"),
        400 => line!("400 Bad Request"),
        401 => line!("401 Unauthorized"),
        403 => line!("403 Forbidden"),
        404 => line!("404 Not Found"),
        405 => line!("405 Method Not Allowed"),
        406 => line!("406 Not Acceptable"),
        408 => line!("408 Request Timeout"),
        409 => line!("409 Conflict"),
        411 => line!("411 Length Required"),
        413 => line!("413 Content Too Large"),
        414 => line!("414 URI Too Long"),
        415 => line!("415 Unsupported Media Type"),
        417 => line!("417 Expectation Failed"),
        431 => line!("431 Request Header Fields Too Large"),
        501 => line!("501 Not Implemented"),
        503 => line!("503 Service Unavailable"),
        505 => line!("505 HTTP Version Not Supported"),
        _ => line!("500 Internal Server Error"),
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
