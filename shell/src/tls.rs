//! TLS 1.3 and 1.2 on the listeners: which certificate this node shows, and one connection's session.
//!
//! A connection that speaks TLS owns a session, any other none. A session does not resume others and keeps no ticket: a
//! node that has ended leaves nothing behind that opens what was said to it.

use std::io::{self, ErrorKind, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

use crate::opaque::SessionKey;
use crate::options::{self, Values};
use crate::{exit, log};

pub mod certificate;
mod dial;
mod guests;

use certificate::Certificate;
pub use dial::{Client, Trust};
pub use guests::Guests;

/// Whether this program speaks TLS.
pub const IS_BUILT_IN: bool = true;
/// A handshake takes no more than this of a client, certificates included: so much memory it may hold.
const HANDSHAKE_BYTES_MAX: usize = 16 * 1024;
/// Answers that are encrypted and not sent yet; more stays plain.
const SENDING_BYTES_MAX: usize = 32 * 1024;

/// Where a certificate and its key come from that somebody else has made.
#[derive(Clone, Debug)]
pub struct Files {
    /// The certificate, and those that lead to the one that signed it: PEM.
    pub certificate: PathBuf,
    /// Its key: PEM.
    pub key: PathBuf,
}

/// What can be read again.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The node's certificate, where it is not its own.
    certificate: Option<Files>,
    /// Whose certificates clients may show.
    client_ca: Option<PathBuf>,
}

/// What came of reading them again: all of it, or what is wrong.
pub type Read = Result<(Option<Certificate>, Option<Guests>), String>;

/// The certificate that this node shows, and what it takes to show it, once somebody has asked.
pub struct Keeper {
    files: Option<Files>,
    certificate: Certificate,
    guests: Option<Guests>,
    client_ca: Option<PathBuf>,
    config: Option<Arc<ServerConfig>>,
}

/// The authorities that a flag names by a file, or a variable that others have.
///
/// # Errors
/// What is wrong with the file: the exit code and the words.
pub fn named(values: &Values, flag: &str, variable: Option<&str>) -> Result<Option<Trust>, (u8, String)> {
    let other = || variable.and_then(std::env::var_os).filter(|file| !file.is_empty());
    let Some(file) = values.one(flag).or_else(other) else { return Ok(None) };
    let trust = Trust::in_authorities(&options::read_file(&file)?);
    trust.map(Some).ok_or_else(|| (exit::CONFIG, format!("{} holds no certificate in PEM", file.display())))
}

/// Whose certificates clients may show.
///
/// # Errors
/// What is wrong with the file that names them: the exit code and the words.
#[inline(never)]
pub fn guests(values: &Values) -> Result<Option<(PathBuf, Guests)>, (u8, String)> {
    let Some(file) = values.one("client-ca").map(PathBuf::from) else { return Ok(None) };
    let guests = Guests::read(&file).map_err(|why| (exit::CONFIG, why))?;
    Ok(Some((file, guests)))
}

/// The files that flags name.
///
/// # Errors
/// Where one of the two is missing.
pub fn wanted(values: &Values) -> Result<Option<Files>, String> {
    match (values.one("tls-cert"), values.one("tls-key")) {
        (Some(certificate), Some(key)) => Ok(Some(Files { certificate: certificate.into(), key: key.into() })),
        (None, None) => Ok(None),
        (Some(_), None) => Err("--tls-cert needs --tls-key".to_owned()),
        (None, Some(_)) => Err("--tls-key needs --tls-cert".to_owned()),
    }
}

/// Boots, and has a certificate: the one that `files` hold, or the node's own in `state`, which is made meanwhile.
///
/// # Errors
/// Those of `boot`, and what is wrong with the certificate.
pub fn beside<T>(files: Option<Files>, state: &Path, boot: impl FnOnce() -> io::Result<T>) -> io::Result<(T, Keeper)> {
    let (certificate, booted) = match &files {
        Some(files) => (Certificate::read(files).map_err(io::Error::other)?, boot()?),
        None => match certificate::own(state)? {
            Ok(certificate) => (certificate, boot()?),
            Err(making) => {
                let booted = boot();
                (making.end(state)?, booted?)
            }
        },
    };
    log::info("certificate", &[("sha256", &certificate.fingerprint)]);
    Ok((booted, Keeper { files, certificate, guests: None, client_ca: None, config: None }))
}

/// Reads them again.
///
/// # Errors
/// What is wrong with one of them.
#[inline(never)]
pub fn read(sources: &Sources) -> Read {
    let certificate = sources.certificate.as_ref().map(Certificate::read).transpose()?;
    Ok((certificate, sources.client_ca.as_deref().map(Guests::read).transpose()?))
}

impl Keeper {
    /// What can be read again; `None` where there is nothing.
    #[must_use]
    pub fn sources(&self) -> Option<Sources> {
        let sources = Sources { certificate: self.files.clone(), client_ca: self.client_ca.clone() };
        (sources.certificate.is_some() || sources.client_ca.is_some()).then_some(sources)
    }

    /// Asks clients for a certificate from now on.
    pub fn invite(&mut self, (client_ca, guests): (PathBuf, Guests)) {
        self.client_ca = Some(client_ca);
        self.guests = Some(guests);
    }

    /// Shows another certificate from now on; one that is no good leaves the old one.
    #[inline(never)]
    pub fn replace(&mut self, read: Read) {
        let read = read.and_then(|(certificate, guests)| {
            let shown = certificate.as_ref().unwrap_or(&self.certificate);
            Ok((shown.config(guests.as_ref())?, certificate, guests))
        });
        match read {
            Ok((config, certificate, guests)) => {
                if let Some(certificate) = certificate {
                    log::info("another certificate", &[("sha256", &certificate.fingerprint)]);
                    self.certificate = certificate;
                }
                if guests.is_some() {
                    log::info("joiners' certificates are judged anew", &[]);
                }
                self.guests = guests;
                self.config = Some(config);
            }
            Err(why) => log::warn("the certificate stays the old one, so does --client-ca", &[("reason", &why)]),
        }
    }

    /// A session for a connection that begins to speak TLS; `None` where the certificate is no good.
    // Not inlined, as all that needs the stack only for TLS.
    #[inline(never)]
    pub fn session(&mut self) -> Option<Session> {
        if self.config.is_none() {
            match self.certificate.config(self.guests.as_ref()) {
                Ok(config) => self.config = Some(config),
                Err(why) => log::warn("the certificate is no good", &[("reason", &why)]),
            }
        }
        let mut session = ServerConnection::new(Arc::clone(self.config.as_ref()?)).ok()?;
        session.set_buffer_limit(Some(SENDING_BYTES_MAX));
        Some(Session(Box::new(State { session, handshake_bytes: 0, guests: self.guests.clone() })))
    }
}

/// Whether a connection that begins with these bytes speaks TLS: with a record of a handshake.
#[must_use]
pub fn is_spoken(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0x16)
}

/// One connection's side of TLS.
pub struct Session(Box<State>);

struct State {
    session: ServerConnection,
    /// How much has come before the handshake was over.
    handshake_bytes: usize,
    /// Who judges the client's certificate, until that is done.
    guests: Option<Guests>,
}

impl Session {
    /// Takes what has come before it was clear that this is TLS, and answers to it.
    ///
    /// # Errors
    /// Where that is no TLS, or too much of it; the client was told so.
    #[inline(never)]
    pub fn begin(&mut self, mut bytes: &[u8], output: &mut dyn Write) -> io::Result<()> {
        while !bytes.is_empty() {
            self.take(&mut bytes, output)?;
        }
        Ok(())
    }

    /// Reads once, and answers where the protocol wants it.
    ///
    /// # Errors
    /// Likewise, and the system's; `UnexpectedEof` where the connection has ended.
    #[inline(never)]
    pub fn take(&mut self, input: &mut dyn io::Read, output: &mut dyn Write) -> io::Result<()> {
        let handshakes = self.0.session.is_handshaking();
        let count = self.0.session.read_tls(input)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if handshakes {
            self.0.handshake_bytes = self.0.handshake_bytes.saturating_add(count);
        }
        let processed = self.0.session.process_new_packets();
        self.push(output)?;
        if processed.is_err() || (self.0.session.is_handshaking() && self.0.handshake_bytes > HANDSHAKE_BYTES_MAX) {
            return Err(ErrorKind::InvalidData.into());
        }
        Ok(())
    }

    /// Whether the handshake is not over.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.0.session.is_handshaking()
    }

    /// What both ends know, where the client has shown a good certificate: once, when the handshake is over.
    #[inline(never)]
    pub fn guest_key(&mut self) -> Option<Box<SessionKey>> {
        if self.0.guests.is_none() || self.0.session.is_handshaking() {
            return None;
        }
        self.0.guests.take()?.key(&self.0.session)
    }

    /// What was sent to this node, as far as it is known already: `None` where nothing is, zero bytes at the end.
    ///
    /// # Errors
    /// Where the connection was cut off.
    #[inline(never)]
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.0.session.reader().read(buffer) {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends bytes: how many were taken, which may be sent later.
    ///
    /// # Errors
    /// The system's; `WouldBlock` where too much waits already.
    #[inline(never)]
    pub fn write(&mut self, bytes: &[u8], output: &mut dyn Write) -> io::Result<usize> {
        let taken = self.0.session.writer().write(bytes)?;
        self.push(output)?;
        if taken == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(taken) }
    }

    /// Whether something waits to be sent.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.0.session.wants_write()
    }

    /// Sends what waits, as much as the connection takes.
    ///
    /// # Errors
    /// The system's.
    #[inline(never)]
    pub fn push(&mut self, output: &mut dyn Write) -> io::Result<()> {
        while self.0.session.wants_write() {
            match self.0.session.write_tls(output) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Says that nothing more comes, if the connection still takes it.
    #[inline(never)]
    pub fn end(&mut self, output: &mut dyn Write) {
        self.0.session.send_close_notify();
        let _ = self.push(output);
    }
}
