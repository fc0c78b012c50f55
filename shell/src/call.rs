//! One request to an HTTP server and its answer, within a time: to a node, or to what keeps a cluster's record.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bootstrapd_core::limits::CLUSTER_RECORD_BYTES_MAX;
use zeroize::Zeroizing;

use crate::http::{Chunks, FIELDS_MAX, HEAD_BYTES_MAX, Refused};
use crate::line::{Line, look_up};
use crate::tls::Trust;

/// The longest body of an answer: a record in base64, and something around it.
const BODY_BYTES_MAX: usize = 2 * CLUSTER_RECORD_BYTES_MAX;

/// Whom to ask.
#[derive(Clone, Debug)]
pub struct Server {
    /// `HOST:PORT`, as `Host` says it.
    authority: String,
    /// Whose certificate is good, where TLS is to be spoken.
    trust: Option<Trust>,
}

impl Server {
    /// Reads `http://HOST[:PORT]` with an optional slash; the port is 80 unless it says another. With TLS built in also
    /// `https://`, and 443; then `trust` says whose certificate is good.
    #[must_use]
    pub fn parse(url: &str, trust: Option<&Trust>) -> Option<Self> {
        let (authority, port, trust) = match url.strip_prefix("http://") {
            Some(authority) => (authority, 80, None),
            None => (url.strip_prefix("https://").filter(|_| trust.is_some())?, 443, trust.cloned()),
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let odd = |character: char| character.is_whitespace() || character.is_control() || "/?#@\\".contains(character);
        if authority.is_empty() || authority.contains(odd) {
            return None;
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
        });
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:{port}") };
        Some(Self { authority, trust })
    }

    fn host(&self) -> &str {
        self.authority.rsplit_once(':').map(|(host, _)| host.trim_matches(['[', ']'])).unwrap_or_default()
    }

    fn port(&self) -> io::Result<u16> {
        let port = self.authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        port.ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "there is no such port"))
    }

    /// Whether it is asked in plain HTTP.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.trust.is_none()
    }

    /// Whether it says that it is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|host: IpAddr| host.is_loopback())
    }

    /// Asks for a resource, with this value of `Authorization` where there is one.
    ///
    /// # Errors
    /// The system's, `TimedOut` where the answer takes longer than `patience`, `InvalidData` where there is none that can be
    /// read.
    pub fn get(&self, path: &str, login: Option<&str>, patience: Duration) -> io::Result<Answer> {
        self.call("GET", path, login, None, patience)
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// Likewise.
    pub fn post(&self, path: &str, login: Option<&str>, body: &[u8], patience: Duration) -> io::Result<Answer> {
        self.call("POST", path, login, Some(body), patience)
    }

    fn call(
        &self,
        method: &str,
        path: &str,
        login: Option<&str>,
        body: Option<&[u8]>,
        patience: Duration,
    ) -> io::Result<Answer> {
        let end = Instant::now().checked_add(patience).ok_or(ErrorKind::TimedOut)?;
        let mut request = Zeroizing::new(
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.authority).into_bytes(),
        );
        if let Some(login) = login {
            request.extend_from_slice(format!("Authorization: {login}\r\n").as_bytes());
        }
        if let Some(body) = body {
            let length = body.len();
            let head = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
            request.extend_from_slice(head.as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body.unwrap_or_default());
        let mut line = self.connect(end, self.trust.as_ref())?;
        line.send(&request)?;
        read_answer(&mut line)
    }

    fn connect(&self, end: Instant, trust: Option<&Trust>) -> io::Result<Line> {
        let addresses = look_up(self.host(), self.port()?, end)?;
        Line::open(&addresses, end, trust.map(|trust| (trust, self.host())))
    }

    /// SHA-256 of its certificate, also where it is asked in plain HTTP; `None` where it does not show one in time.
    #[cfg(all(feature = "client", feature = "tls"))]
    #[must_use]
    pub fn fingerprint(&self, patience: Duration) -> Option<String> {
        let trust = self.trust.as_ref().unwrap_or(&Trust::Anybody);
        let line = self.connect(Instant::now().checked_add(patience)?, Some(trust)).ok()?;
        line.session().and_then(crate::tls::Client::fingerprint)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority)
    }
}

fn read_answer(line: &mut Line) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let count = line.receive(&mut buffer)?;
        bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
        match read(&bytes, count == 0) {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) if count > 0 => {}
            Ok(None) => return Err(no_answer("the answer is cut off")),
            Err(why) => return Err(no_answer(why)),
        }
    }
}

fn no_answer(why: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

/// An answer.
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body, where it is text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }
}

const TOO_LONG: &str = "the answer is too long";
const MALFORMED: &str = "that is no HTTP answer";

/// Reads an answer from what has come so far; `None` where more must come. At the `end` nothing more will.
///
/// # Errors
/// Why it is no answer.
fn read(mut bytes: &[u8], end: bool) -> Result<Option<Answer>, &'static str> {
    loop {
        match read_one(bytes, end)? {
            Some(Read::Final(answer)) => return Ok(Some(answer)),
            Some(Read::Interim(rest)) => bytes = rest,
            None => return Ok(None),
        }
    }
}

enum Read<'a> {
    /// A status 1xx, and what comes behind it.
    Interim(&'a [u8]),
    Final(Answer),
}

fn read_one(bytes: &[u8], end: bool) -> Result<Option<Read<'_>>, &'static str> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Response::new(&mut fields);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() <= HEAD_BYTES_MAX => return Ok(None),
        Ok(httparse::Status::Partial) => return Err(TOO_LONG),
        Err(_) => return Err(MALFORMED),
    };
    let rest = bytes.get(length..).unwrap_or_default();
    let status = head.code.ok_or(MALFORMED)?;
    if (100..200).contains(&status) {
        return Ok(Some(Read::Interim(rest)));
    }
    let field = |name: &str| {
        let field = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        field.map(|field| std::str::from_utf8(field.value).unwrap_or_default().trim())
    };
    let body = if field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        unchunk(rest)?
    } else if let Some(length) = field("content-length") {
        let length: usize = length.parse().map_err(|_| MALFORMED)?;
        if length > BODY_BYTES_MAX {
            return Err(TOO_LONG);
        }
        rest.get(..length).map(<[u8]>::to_vec)
    } else {
        end.then(|| rest.to_vec())
    };
    if rest.len() > 2 * BODY_BYTES_MAX {
        return Err(TOO_LONG);
    }
    Ok(body.map(|body| Read::Final(Answer { status, body })))
}

fn unchunk(bytes: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    let mut chunks = Chunks::default();
    let mut body = Vec::new();
    let decoded = chunks.decode(bytes, |piece| {
        body.extend_from_slice(piece);
        if body.len() > BODY_BYTES_MAX { Err(Refused { status: 413, reason: TOO_LONG }) } else { Ok(()) }
    });
    decoded.map_err(|refused| refused.reason)?;
    Ok(chunks.is_done().then_some(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_interim_answers_may_come_first() {
        let mut bytes = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(60_000);
        assert!(read(&bytes, false).unwrap().is_none());
        bytes.extend_from_slice(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(read(&bytes, false).unwrap().unwrap().status, 204);
    }
}
