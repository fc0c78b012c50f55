//! One connection to another program, with TLS around it or none, and one deadline for all that happens on it.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::tls::{Client, Trust};

/// See the module.
pub struct Line {
    way: Way,
    session: Option<Client>,
}

/// A socket that is waited for until the deadline, and no longer.
pub struct Way {
    stream: TcpStream,
    end: Instant,
}

impl Line {
    /// Connects to the first of some addresses that takes it; with TLS, if `tls` says how far to trust the other side and what
    /// it is called.
    ///
    /// # Errors
    /// The system's; `TimedOut` behind `end`; a [`Mismatch`] inside.
    pub fn open(addresses: &[SocketAddr], end: Instant, tls: Option<(&Trust, &str)>) -> io::Result<Self> {
        let stream = connect(addresses, end)?;
        stream.set_nodelay(true)?;
        let mut way = Way { stream, end };
        let session = tls.map(|(trust, name)| Client::start(trust, name, &mut way)).transpose()?;
        Ok(Self { way, session })
    }

    /// The session, where there is TLS.
    #[must_use]
    pub const fn session(&self) -> Option<&Client> {
        self.session.as_ref()
    }

    /// Sends all of it.
    ///
    /// # Errors
    /// Likewise.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.session {
            Some(session) => session.send(bytes, &mut self.way),
            None => self.way.write_all(bytes),
        }
    }

    /// Receives something: how much, nothing at the end.
    ///
    /// # Errors
    /// Likewise.
    pub fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.session {
            Some(session) => session.receive(buffer, &mut self.way),
            None => self.way.read(buffer),
        }
    }
}

/// The addresses of a host, which may be one itself.
///
/// # Errors
/// The system's; `TimedOut` behind `end`.
pub fn look_up(host: &str, port: u16, end: Instant) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    // The system's resolver has patience of its own, and cannot be stopped: it is left behind where it takes longer.
    let (found, wait) = mpsc::channel();
    let name = host.to_owned();
    thread::Builder::new().name("lookup".to_owned()).spawn(move || {
        let addresses = (name.as_str(), port).to_socket_addrs();
        let _ = found.send(addresses.map(Iterator::collect));
    })?;
    wait.recv_timeout(left(end)?).unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

/// When the first of so many has had its share of the time until `end`: one that swallows what is sent to it leaves the
/// others theirs.
#[must_use]
pub fn share(end: Instant, of: usize) -> Instant {
    let now = Instant::now();
    let left = end.saturating_duration_since(now).checked_div(u32::try_from(of).unwrap_or(u32::MAX));
    left.and_then(|share| now.checked_add(share)).unwrap_or(end)
}

fn connect(mut addresses: &[SocketAddr], end: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    while let Some((address, rest)) = addresses.split_first() {
        match TcpStream::connect_timeout(address, left(share(end, addresses.len()))?) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
        addresses = rest;
    }
    Err(last)
}

impl Read for Way {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.end)?))?;
        self.stream.read(buffer)
    }
}

impl Write for Way {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.end)?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is left of the time; none is an error, as sockets take no time of zero.
fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Why TLS came to nothing, as far as it matters to somebody.
#[derive(Debug)]
pub enum Mismatch {
    /// The other side's certificate is not trusted: why, for people.
    Untrusted(String),
    /// The other side does not speak TLS.
    Plain,
}

impl Mismatch {
    /// What is inside an error, if it is such a one.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref())
    }

    /// Whether all that is wrong is that the certificate is not good yet, by this machine's clock.
    #[cfg(feature = "client")]
    #[must_use]
    pub fn is_early(&self) -> bool {
        match self {
            // As rustls calls it.
            Self::Untrusted(why) => why.starts_with("NotValidYet"),
            Self::Plain => false,
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted(why) => write!(f, "its certificate is not trusted: {why}"),
            Self::Plain => f.write_str("it does not speak TLS"),
        }
    }
}

impl Error for Mismatch {}

impl From<Mismatch> for io::Error {
    fn from(mismatch: Mismatch) -> Self {
        Self::new(ErrorKind::InvalidData, mismatch)
    }
}
