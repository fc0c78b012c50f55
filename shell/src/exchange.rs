//! One agent calls another: a connection, a few requests one after the other, one deadline for all of them.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Instant;

use bootstrapd_core::limits::CLUSTER_RECORD_BYTES_MAX;

use crate::http::HEAD_BYTES_MAX;
use crate::line::Line;
use crate::opaque::SessionKey;
use crate::seal;
use crate::tls::{Client, Trust};

/// The longest answer: a record, sealed.
const ANSWER_BYTES_MAX: usize = CLUSTER_RECORD_BYTES_MAX + seal::OVERHEAD_BYTES;
/// The media type of what agents say to each other.
pub const MEDIA_TYPE: &str = "application/octet-stream";

/// A connection to another agent.
pub struct Exchange {
    line: Line,
    host: SocketAddr,
}

impl Exchange {
    /// Connects until `end`, which is for all that follows, too; with TLS, if `tls` says how far to trust the other side and
    /// what it is called.
    ///
    /// # Errors
    /// The system's.
    pub fn connect(address: SocketAddr, end: Instant, tls: Option<(&Trust, &str)>) -> io::Result<Self> {
        Ok(Self { line: Line::open(&[address], end, tls)?, host: address })
    }

    /// What both ends of the TLS session know, where there is one in which this end shows a certificate.
    #[must_use]
    pub fn session_key(&self) -> Option<SessionKey> {
        self.line.session().and_then(Client::session_key)
    }

    /// Sends one request and reads its answer: the status and the body.
    ///
    /// # Errors
    /// The system's; `InvalidData` for what is no answer of an agent.
    pub fn call(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        let (host, length) = (self.host, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {length}\r\n\r\n"
        );
        self.line.send(&[head.as_bytes(), body].concat())?;
        let mut answer = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            if let Some(found) = read(&answer)? {
                return Ok(found);
            }
            match self.line.receive(&mut buffer)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => answer.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            }
        }
    }
}

/// A whole answer, once all of it is there. Agents answer with a length, always.
fn read(bytes: &[u8]) -> io::Result<Option<(u16, Vec<u8>)>> {
    let malformed = || io::Error::from(ErrorKind::InvalidData);
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut answer = httparse::Response::new(&mut fields);
    let head = match answer.parse(bytes).map_err(|_| malformed())? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial if bytes.len() > HEAD_BYTES_MAX => return Err(malformed()),
        httparse::Status::Partial => return Ok(None),
    };
    let status = answer.code.ok_or_else(malformed)?;
    let field = answer.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length = field.and_then(|field| std::str::from_utf8(field.value).ok()?.trim_ascii().parse::<usize>().ok());
    let length = length.filter(|length| *length <= ANSWER_BYTES_MAX).ok_or_else(malformed)?;
    let body = bytes.get(head..).unwrap_or_default();
    Ok(body.get(..length).map(|body| (status, body.to_vec())))
}
