//! A client that sends exact bytes and is strict about what comes back.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use serde_json::Value;

use crate::{AT_ONCE, tls};

/// The value of `Authorization` for a user and a password.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", Base64::encode_string(format!("{user}:{password}").as_bytes()))
}

/// A request to be written: HTTP/1.1 with a `Host`, and a `Content-Length` where there is a body.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request {
    /// Any method.
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.into(), target: target.into(), headers: Vec::new(), body: None }
    }

    /// A GET.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST of JSON.
    pub fn post(target: &str, body: impl AsRef<[u8]>) -> Self {
        Self::typeless_post(target, body).header("Content-Type", "application/json")
    }

    /// A POST that does not say what it is.
    pub fn typeless_post(target: &str, body: impl AsRef<[u8]>) -> Self {
        Self::typeless("POST", target, body)
    }

    /// A PUT of JSON.
    pub fn put(target: &str, body: impl AsRef<[u8]>) -> Self {
        Self::typeless("PUT", target, body).header("Content-Type", "application/json")
    }

    /// Any method with a body that does not say what it is.
    pub fn typeless(method: &str, target: &str, body: impl AsRef<[u8]>) -> Self {
        Self { body: Some(body.as_ref().to_vec()), ..Self::new(method, target) }
    }

    /// The POST of a JSON document that creates a cluster.
    pub fn create(body: &Value) -> Self {
        Self::post("/v1/bootstrap/create_cluster", body.to_string())
    }

    /// The POST that validates what [`Request::create`] would do.
    pub fn validate(body: &Value) -> Self {
        Self::post("/v1/bootstrap/validate/create_cluster", body.to_string())
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds Basic credentials.
    #[must_use]
    pub fn login(self, user: &str, password: &str) -> Self {
        self.header("Authorization", &basic(user, password))
    }

    /// The bytes, for a server at `host`; a `Host` field of its own goes before.
    pub fn bytes(&self, host: &str) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text.extend(["Host: ", host, "\r\n"]);
        }
        for (name, value) in &self.headers {
            text.extend([name, ": ", value, "\r\n"]);
        }
        if let Some(body) = &self.body {
            text.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
        }
        text += "\r\n";
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }

    pub(crate) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header fields, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header field's value; there must not be two.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name));
        let value = values.next();
        assert!(values.next().is_none(), "{name} is given twice: {self:?}");
        value.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON, which it must be: typed so, compact, on one line.
    pub fn json(&self) -> Value {
        assert_eq!(self.header("Content-Type"), Some("application/json"), "{self:?}");
        let text = self.text();
        let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert!(is_compact(text), "not compact: {text}");
        value
    }

    /// The error code of an error answer, which must also describe itself.
    pub fn error_code(&self) -> String {
        let json = self.json();
        assert!(json["description"].as_str().is_some_and(|text| !text.is_empty()), "{json}");
        json["error_code"].as_str().unwrap_or_else(|| panic!("no error_code: {json}")).to_owned()
    }

    /// The description of an error answer.
    pub fn description(&self) -> String {
        self.json()["description"].as_str().unwrap().to_owned()
    }
}

/// Whether no white space stands outside the strings.
fn is_compact(json: &str) -> bool {
    let mut in_string = false;
    let mut escaped = false;
    json.bytes().all(|byte| {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            return true;
        }
        in_string = byte == b'"';
        !byte.is_ascii_whitespace()
    })
}

/// A connection. Reading never waits longer than [`AT_ONCE`].
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    session: Option<Box<ClientConnection>>,
    received: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Self {
        Self::try_open(address).unwrap()
    }

    /// Connects, if somebody is there.
    ///
    /// # Errors
    /// The system's.
    pub fn try_open(address: SocketAddr) -> io::Result<Self> {
        TcpStream::connect_timeout(&address, AT_ONCE).map(Self::over)
    }

    /// Connects from a loopback address of the caller's choice.
    pub fn open_from(source: Ipv4Addr, address: SocketAddr) -> Self {
        let SocketAddr::V4(address) = address else { panic!("{address} is not IPv4") };
        let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(source, 0))).unwrap();
        connect(socket.as_raw_fd(), &SockaddrIn::from(address)).unwrap();
        Self::over(TcpStream::from(socket))
    }

    /// Connects, and speaks TLS from the first byte that is sent on.
    pub fn secure(address: SocketAddr, config: &Arc<ClientConfig>) -> Self {
        let name = ServerName::IpAddress(address.ip().into());
        let session = ClientConnection::new(Arc::clone(config), name).unwrap();
        Self { session: Some(Box::new(session)), ..Self::open(address) }
    }

    /// The session of a connection that speaks TLS.
    pub fn session(&self) -> &ClientConnection {
        self.session.as_ref().unwrap()
    }

    /// Goes through the handshake.
    ///
    /// # Errors
    /// Where it fails.
    pub fn handshake(&mut self) -> io::Result<()> {
        let session = self.session.as_mut().unwrap();
        while session.is_handshaking() {
            session.complete_io(&mut self.stream)?;
        }
        Ok(())
    }

    /// What a session makes of bytes, to be sent in a way of one's own.
    pub fn encrypt(&mut self, bytes: &[u8]) -> Vec<u8> {
        let session = self.session.as_mut().unwrap();
        session.set_buffer_limit(None);
        session.writer().write_all(bytes).unwrap();
        let mut encrypted = Vec::new();
        while session.wants_write() {
            session.write_tls(&mut encrypted).unwrap();
        }
        encrypted
    }

    /// SHA-256 of the certificate that the server has shown.
    pub fn fingerprint(&self) -> String {
        tls::fingerprint(&self.session().peer_certificates().unwrap()[0])
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(AT_ONCE)).unwrap();
        stream.set_write_timeout(Some(AT_ONCE)).unwrap();
        Self { stream, session: None, received: Vec::new() }
    }

    /// The socket.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends bytes. A server that has closed already is noticed when its answer is read.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = match &mut self.session {
            Some(session) => rustls::Stream::new(&mut **session, &mut self.stream).write_all(bytes.as_ref()),
            None => self.stream.write_all(bytes.as_ref()),
        };
    }

    /// Sends a request and reads its answer.
    pub fn call(&mut self, request: &Request) -> Answer {
        let host = self.stream.peer_addr().unwrap().to_string();
        self.send(request.bytes(&host));
        self.read(request.is_head()).unwrap()
    }

    /// Sends requests in one piece and reads their answers.
    pub fn pipeline(&mut self, requests: &[Request]) -> Vec<Answer> {
        let host = self.stream.peer_addr().unwrap().to_string();
        self.send(requests.iter().flat_map(|request| request.bytes(&host)).collect::<Vec<_>>());
        requests.iter().map(|request| self.read(request.is_head()).unwrap()).collect()
    }

    /// Reads the next answer.
    pub fn answer(&mut self) -> Answer {
        self.read(false).unwrap()
    }

    /// Reads the next answer, if one comes before the connection ends.
    ///
    /// # Errors
    /// Where the connection ends, or nothing comes in time.
    pub fn try_answer(&mut self) -> io::Result<Answer> {
        self.read(false)
    }

    /// Reads the next answer to a HEAD.
    pub fn answer_to_head(&mut self) -> Answer {
        self.read(true).unwrap()
    }

    /// Whether the server ends the connection without another byte.
    pub fn is_closed(&mut self) -> bool {
        self.received.is_empty() && matches!(self.fill(), Ok(0))
    }

    /// Whether nothing comes for a moment and the connection stays.
    pub fn is_quiet(&mut self) -> bool {
        self.stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let waits = matches!(self.fill(), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        self.stream.set_read_timeout(Some(AT_ONCE)).unwrap();
        self.received.is_empty() && waits
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        // A read with a time limit is not begun anew by itself after a signal.
        let length = loop {
            let read = match &mut self.session {
                Some(session) => rustls::Stream::new(&mut **session, &mut self.stream).read(&mut buffer),
                None => self.stream.read(&mut buffer),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.received.extend_from_slice(&buffer[..length]);
        Ok(length)
    }

    fn fill_more(&mut self) -> io::Result<()> {
        if self.fill()? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn read(&mut self, to_head: bool) -> io::Result<Answer> {
        let head = loop {
            if let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.fill_more()?;
        };
        let text = String::from_utf8(self.received[..head].to_vec()).unwrap();
        let (status, headers) = parse_head(&text);
        let mut answer = Answer { status, headers, body: Vec::new() };
        let length = if matches!(answer.status, 100 | 204) {
            0
        } else {
            let length = answer.header("Content-Length").unwrap_or_else(|| panic!("no length: {answer:?}"));
            if to_head { 0 } else { length.parse().unwrap() }
        };
        while self.received.len() < head + length {
            self.fill_more()?;
        }
        answer.body = self.received[head..head + length].to_vec();
        self.received.drain(..head + length);
        Ok(answer)
    }
}

fn parse_head(text: &str) -> (u16, Vec<(String, String)>) {
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let status_line = lines.next().unwrap();
    let rest = status_line.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("{status_line}"));
    let (status, reason) = rest.split_once(' ').unwrap_or_else(|| panic!("{status_line}"));
    assert!(!reason.is_empty() && status.len() == 3, "{status_line}");
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("{line}"));
        assert!(!name.to_ascii_lowercase().starts_with("access-control"), "a CORS header: {text}");
        (name.to_owned(), value.trim().to_owned())
    });
    (status.parse().unwrap(), headers.collect())
}
