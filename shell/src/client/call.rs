//! One request to a node and its answer, within a time.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::answer::{self, Answer};
use crate::exit;

/// Whom to ask.
pub(super) struct Server {
    /// `HOST:PORT`, as `Host` says it.
    authority: String,
}

/// Why there is no answer.
pub(super) enum Failed {
    /// It came too late.
    TimedOut,
    /// There is nobody, or nobody who speaks HTTP.
    Unreachable(String),
}

impl Failed {
    pub(super) fn ended(self, server: &Server) -> (u8, String) {
        match self {
            Self::TimedOut => (exit::TIMED_OUT, format!("timed out: {} does not answer", server.authority)),
            Self::Unreachable(why) => (exit::UNREACHABLE, format!("cannot reach {}: {why}", server.authority)),
        }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) {
            Self::TimedOut
        } else {
            Self::Unreachable(error.to_string())
        }
    }
}

impl Server {
    /// Reads `http://HOST[:PORT]` with an optional slash.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let authority = url.strip_prefix("http://")?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let odd = |character: char| character.is_whitespace() || character.is_control() || "/?#@\\".contains(character);
        if authority.is_empty() || authority.contains(odd) {
            return None;
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
        });
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        Some(Self { authority })
    }

    pub(super) fn get(&self, path: &str, login: Option<&str>, patience: Duration) -> Result<Answer, Failed> {
        self.call("GET", path, login, None, patience)
    }

    pub(super) fn post(
        &self,
        path: &str,
        login: Option<&str>,
        body: &[u8],
        patience: Duration,
    ) -> Result<Answer, Failed> {
        self.call("POST", path, login, Some(body), patience)
    }

    fn call(
        &self,
        method: &str,
        path: &str,
        login: Option<&str>,
        body: Option<&[u8]>,
        patience: Duration,
    ) -> Result<Answer, Failed> {
        let end = Instant::now().checked_add(patience).ok_or(Failed::TimedOut)?;
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
        let mut stream = self.connect(end)?;
        stream.set_write_timeout(Some(left(end)?))?;
        stream.write_all(&request)?;
        read_answer(&mut stream, end)
    }

    fn connect(&self, end: Instant) -> Result<TcpStream, Failed> {
        let mut last = Failed::Unreachable("the name has no address".to_owned());
        for address in self.authority.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, left(end)?) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }
}

/// What is left of the time; none is an error, as sockets take no time of zero.
fn left(end: Instant) -> Result<Duration, Failed> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(Failed::TimedOut) } else { Ok(left) }
}

fn read_answer(stream: &mut TcpStream, end: Instant) -> Result<Answer, Failed> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        stream.set_read_timeout(Some(left(end)?))?;
        let count = stream.read(&mut buffer)?;
        bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
        match answer::read(&bytes, count == 0) {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) if count > 0 => {}
            Ok(None) => return Err(Failed::Unreachable("the answer is cut off".to_owned())),
            Err(why) => return Err(Failed::Unreachable(why.to_owned())),
        }
    }
}
