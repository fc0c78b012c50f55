//! What this node asks of others, on a thread of its own: to be admitted, to be known as a member, whether they are
//! there. It knows the wire; what an answer means is decided elsewhere.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use bootstrapd_core::cluster::{Cluster, HashCost, JoinRequest, Key};
use bootstrapd_core::failure::{Cause, Failure, TriedReason};
use bootstrapd_core::fields::Fields;
use bootstrapd_core::limits::{LISTENERS_MAX, PEER_MESSAGE_BYTES_MAX};
#[cfg(feature = "management")]
use bootstrapd_core::manage::Change;
use bootstrapd_core::node::is_reachable;
use bootstrapd_core::peer::{Answer, Ask, JoinAnswer};
use bootstrapd_core::record::Id;
use bootstrapd_core::write::Writer;
use zeroize::Zeroizing;

use crate::exchange::Exchange;
use crate::line::Mismatch;
use crate::opaque::{Joiner, KE2_BYTES};
use crate::perform::{Done, Queue, Who};
use crate::seal::{self, Direction};
use crate::shared::Shared;
use crate::tls::{self, Trust};
use crate::{secret, store};

mod certified;

/// The first message of a proof: a version, the first message of OPAQUE, and the user's name.
pub const START: &str = "/internal/v1/login/start";
/// The last: the proof's id, the last message of OPAQUE, and the sealed request to be admitted.
pub const FINISH: &str = "/internal/v1/login/finish";
/// The sender's id of this request, and the sealed request to be admitted, over TLS with a client certificate.
pub const CERTIFICATE: &str = "/internal/v1/login/certificate";
/// Where a challenge is had.
pub const CHALLENGE: &str = "/internal/v1/challenge";
/// The sender's id, a challenge, and a sealed message.
pub const ASK: &str = "/internal/v1/ask";
/// The version of all of this.
pub const PROTOCOL: u8 = 1;
/// An id.
pub const ID_BYTES: usize = 16;
/// What ties a message to one moment of one agent.
pub const CHALLENGE_BYTES: usize = 24;
/// How a record begins, and nothing else that is sent in its place.
const RECORD: &[u8] = b"bootstrapd ";

/// A node and a round, look-up included.
const CONTACT: Duration = Duration::from_secs(10);
/// A question between members.
const PATIENCE: Duration = Duration::from_secs(2);

/// Something to ask.
pub enum Errand {
    /// To be admitted, through one node.
    Contact(Who, Box<Contact>),
    /// Something of a member, after a while.
    Ask(Box<Question>),
    /// Whether the store that all members share can be used.
    CheckStore(Who),
    /// This node is a member with this copy of the shared record, or is none.
    Live(Id, Option<Box<Cluster>>),
    /// Have a node admitted by the shared record.
    Admit(Admission),
    /// Change the shared record, for the answer with this number.
    #[cfg(feature = "management")]
    Change(u32, Box<Change>),
    /// After a while, tell the shared record that this one is the node's own.
    Confirm(Id, Box<Cluster>, Duration),
    /// Let time go by.
    Wait(Who, Duration),
    /// Say so every beat from now on, until another length is set; `MAX` for never.
    Tick(Duration),
}

/// A node that has proved the password, and what it wants.
pub struct Admission {
    /// Names the answer that waits.
    pub number: u32,
    /// What it has asked for.
    pub request: Box<JoinRequest>,
    /// What it will confirm by.
    pub key: Key,
    /// When it has asked, and by this node's clock, in milliseconds since 1970.
    pub since: Instant,
    /// See there.
    pub clock_ms: u64,
}

/// What it takes to ask for admission.
pub struct Contact {
    /// The node, as it was given.
    pub node: String,
    /// Its port, where none was given.
    pub default_port: u16,
    /// Whether other machines may be asked in plain HTTP.
    pub allow_plaintext: bool,
    /// Where this agent itself is.
    pub own: heapless::Vec<SocketAddr, LISTENERS_MAX>,
    /// Whom to trust by whose certificate, in PEM; empty where that does not matter.
    pub trusted_ca: String,
    /// The administrator.
    pub username: String,
    /// The administrator's password.
    pub password: Zeroizing<Vec<u8>>,
    /// What this node shows instead, in PEM; empty where it shows none.
    pub client_cert: String,
    /// Its key, in PEM.
    pub client_key: Zeroizing<Vec<u8>>,
    /// What to ask for.
    pub request: JoinRequest,
}

/// What it takes to ask a member something.
pub struct Question {
    /// Wait so long first.
    pub after: Duration,
    /// Whom.
    pub to: Id,
    /// Where it is.
    pub endpoint: SocketAddr,
    /// Whether other machines may be asked in plain HTTP.
    pub allow_plaintext: bool,
    /// Who asks.
    pub from: Id,
    /// What both may share, to be tried in turn.
    pub keys: Vec<Key>,
    /// What the answer is about.
    pub ask: Ask,
    /// The message.
    pub text: Vec<u8>,
}

/// What came of a contact.
pub enum ContactEnd {
    /// The record with this node in it.
    Admitted(Box<Cluster>),
    /// It would be admitted.
    Welcome,
    /// It is not.
    Refused(Box<Failure>),
    /// There is no talking to it.
    Failed(TriedReason),
}

/// What came of a question.
pub enum Told {
    /// An answer.
    Answer(Box<Answer>),
    /// The record that was asked for.
    Record(Box<Cluster>),
    /// None, or none that could be trusted.
    Nothing,
}

/// Asks, one thing after the other, as long as the process lives; `shared` is the record's store, where it has one.
pub fn run(errands: &Queue<Errand>, mut shared: Option<Box<Shared>>, tell: impl Fn(Done)) {
    let mut beat = Duration::MAX;
    let mut last = Instant::now();
    loop {
        let patience = beat.saturating_sub(last.elapsed());
        match errands.next(patience) {
            Some(Errand::Contact(who, contact)) => tell(Done::Contacted(who, contact.run())),
            Some(Errand::Ask(question)) => {
                thread::sleep(question.after);
                let told = question.run().unwrap_or(Told::Nothing);
                tell(Done::Told(question.to, question.ask, told));
            }
            Some(Errand::Wait(who, time)) => {
                thread::sleep(time);
                tell(Done::Waited(who));
            }
            Some(Errand::Tick(length)) => beat = length,
            Some(errand) => {
                if let Some(done) = shared.as_mut().and_then(|shared| share(errand, errands, shared)) {
                    tell(done);
                }
            }
            None => {}
        }
        if last.elapsed() >= beat {
            last = Instant::now();
            tell(shared.as_mut().map_or(Done::Beat, |shared| Done::Stored(shared.beat())));
        }
    }
}

/// What is to be done in the store that all members share.
// Not inlined: what it needs of the stack stays resident.
#[inline(never)]
fn share(errand: Errand, errands: &Queue<Errand>, shared: &mut Shared) -> Option<Done> {
    match errand {
        Errand::CheckStore(who) => Some(Done::StoreChecked(who, shared.check())),
        Errand::Live(own, copy) => {
            let lives = copy.is_some();
            shared.live(own, copy);
            lives.then(|| Done::Stored(shared.beat()))
        }
        Errand::Admit(first) => {
            // Those that wait share one change of the record.
            let mut all = errands.pick(|errand| if let Errand::Admit(next) = errand { Ok(next) } else { Err(errand) });
            all.insert(0, first);
            // Whoever has waited for so long is not there any more.
            all.retain(|admission| admission.since.elapsed() < CONTACT);
            Some(Done::Admitted(shared.admit(all)))
        }
        Errand::Confirm(own, adopted, after) => {
            // Many who try again at the same moment would again be in each other's way.
            let [random] = secret::random().unwrap_or_default();
            thread::sleep(after.mul_f32(f32::from(random) / 128.0));
            Some(Done::Confirmed(shared.confirm(own, &adopted)))
        }
        #[cfg(feature = "management")]
        Errand::Change(number, change) => {
            let ended = shared.change(&change);
            Some(Done::Changed(number, change, ended))
        }
        Errand::Contact(..) | Errand::Ask(_) | Errand::Wait(..) | Errand::Tick(_) => None,
    }
}

impl Question {
    // Not inlined: what it needs of the stack stays resident.
    #[inline(never)]
    fn run(&self) -> io::Result<Told> {
        let end = Instant::now().checked_add(PATIENCE).ok_or(ErrorKind::TimedOut)?;
        let mut exchange = connect(self.endpoint, end, self.allow_plaintext, None)?;
        let (status, challenge) = exchange.call("GET", CHALLENGE, b"")?;
        if status != 200 || challenge.len() != CHALLENGE_BYTES {
            return Ok(Told::Nothing);
        }
        let context = [&self.from.0[..], &challenge].concat();
        // Who does not know this node at all says so in the only way that it can prove.
        for key in &self.keys {
            let sealed = seal::seal(key, ASK, Direction::Request, &context, &self.text)?;
            let (status, sealed) = exchange.call("POST", ASK, &[&context[..], &sealed].concat())?;
            if status != 403 {
                let opened =
                    if status == 200 { seal::open(key, ASK, Direction::Answer, &context, &sealed) } else { None };
                return Ok(opened.map_or(Told::Nothing, |text| told(&text)));
            }
        }
        Ok(Told::Nothing)
    }
}

fn told(text: &[u8]) -> Told {
    if text.starts_with(RECORD) {
        return store::decode(text).map_or(Told::Nothing, Told::Record);
    }
    let Ok(mut fields) = Fields::new(text) else { return Told::Nothing };
    let mut answer = Box::<Answer>::default();
    answer.read(&mut fields);
    if fields.finish().is_ok() { Told::Answer(answer) } else { Told::Nothing }
}

impl Contact {
    // Likewise.
    #[inline(never)]
    fn run(&self) -> ContactEnd {
        let end = Instant::now().checked_add(CONTACT);
        let (name, _) = split(&self.node, self.default_port);
        let shown = match self.shown() {
            Ok(shown) => shown,
            Err(why) => {
                let cause = Cause::ConfigError { required_rack_id: None };
                return ContactEnd::Refused(Box::new(Failure::new(cause, why)));
            }
        };
        let join = |address, name: &str| match &shown {
            Some(shown) => self.join_certified(address, name, end, shown),
            None => self.join(address, name, end),
        };
        let found = self.look_up().and_then(|address| join(address, name));
        let joined = match found {
            // Only the founder admits. It is asked in the same way: it must prove itself, too.
            Ok(Joined::Elsewhere(address)) => {
                let name = address.ip().to_string();
                self.check(address).and_then(|address| join(address, &name)).map_err(Stop::of_founder)
            }
            other => other,
        };
        match joined {
            Ok(Joined::End(end)) => end,
            Ok(Joined::Elsewhere(_)) => ContactEnd::Failed(TriedReason::NoFounder),
            Err(Stop::Reason(reason)) => ContactEnd::Failed(reason),
            Err(Stop::NoMemory(error)) => ContactEnd::Refused(Box::new(Failure::internal(error))),
            Err(Stop::Denied) => ContactEnd::Refused(Box::new(Failure::new(
                Cause::AccessDenied {},
                "the credentials are wrong, or that node is no member of the cluster that they are for",
            ))),
            Err(Stop::Unknown) => ContactEnd::Refused(Box::new(Failure::new(
                Cause::AccessDenied {},
                "that node does not take the client certificate: it is not by what its --client-ca names, or it has none",
            ))),
        }
    }

    /// The node's address: the first that its name has.
    fn look_up(&self) -> Result<SocketAddr, Stop> {
        let (host, port) = split(&self.node, self.default_port);
        if let Ok(ip) = host.parse::<IpAddr>() {
            return self.check(SocketAddr::new(ip, port));
        }
        // The system's resolver has patience of its own, and cannot be stopped: it is left behind where it takes longer.
        let (found, wait) = mpsc::channel();
        let name = host.to_owned();
        let looking = thread::Builder::new().name("lookup".to_owned()).spawn(move || {
            let first = (name.as_str(), port).to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
            let _ = found.send(first);
        });
        looking.map_err(|_| Stop::Reason(TriedReason::NotFound))?;
        match wait.recv_timeout(CONTACT) {
            Ok(Some(address)) => self.check(address),
            Ok(None) => Err(Stop::Reason(TriedReason::NotFound)),
            Err(_) => Err(Stop::Reason(TriedReason::TimedOut)),
        }
    }

    /// Whether an address may be contacted at all.
    fn check(&self, address: SocketAddr) -> Result<SocketAddr, Stop> {
        if !is_reachable(address.ip()) {
            return Err(Stop::Reason(TriedReason::BadAddress));
        }
        if self.own.contains(&address) {
            return Err(Stop::Reason(TriedReason::Itself));
        }
        let is_alone = address.ip().to_canonical().is_loopback();
        if !tls::IS_BUILT_IN && !self.trusted_ca.is_empty() {
            return Err(Stop::Reason(TriedReason::Untrusted));
        }
        if !tls::IS_BUILT_IN && !is_alone && !self.allow_plaintext {
            return Err(Stop::Reason(TriedReason::Plaintext));
        }
        Ok(address)
    }

    /// Proves the password to one node, and has it prove itself; then asks to be admitted.
    fn join(&self, address: SocketAddr, name: &str, end: Option<Instant>) -> Result<Joined, Stop> {
        let end = end.ok_or(Stop::Reason(TriedReason::TimedOut))?;
        let trusted = match &*self.trusted_ca {
            "" => None,
            pem => Some(Trust::in_authorities(pem.as_bytes()).ok_or(Stop::Reason(TriedReason::Untrusted))?),
        };
        let trusted = trusted.as_ref().map(|trust| (trust, name));
        let mut exchange = connect(address, end, self.allow_plaintext, trusted)?;
        let (name, password) = (self.username.as_bytes(), &self.password[..]);
        let (joiner, ke1) = Joiner::start(password)?;
        let sent = Instant::now();
        let start = exchange.call("POST", START, &[&[PROTOCOL][..], &ke1, name].concat())?;
        let round_trip = sent.elapsed();
        let (id, cost, ke2) = started(&start)?;
        let (key, ke3) = joiner.finish(name, password, ke2, cost).map_err(Stop::of_proof)?;
        self.ask(&mut exchange, (FINISH, &Key(*key), id, &ke3), round_trip)
    }

    /// Asks to be admitted, by a message sealed with a key that both ends know, behind its id and what else is wanted
    /// there.
    fn ask(
        &self,
        exchange: &mut Exchange,
        (path, key, id, proof): (&str, &Key, &[u8], &[u8]),
        round_trip: Duration,
    ) -> Result<Joined, Stop> {
        let request = JoinRequest {
            clock_ms: SystemTime::UNIX_EPOCH.elapsed().map_or(0, millis),
            round_trip_ms: millis(round_trip),
            ..self.request.clone()
        };
        let mut text = vec![0; PEER_MESSAGE_BYTES_MAX];
        let mut writer = Writer::new(&mut text);
        request.write(&mut writer);
        let length = writer.finish().map_err(|_| Stop::Reason(TriedReason::NotAMember))?;
        let text = text.get(..length).unwrap_or_default();
        let sealed = seal::seal(key, path, Direction::Request, id, text)?;
        let (status, answer) = exchange.call("POST", path, &[id, proof, &sealed].concat())?;
        match status {
            200 => {}
            403 => return Err(Stop::Denied),
            503 => return Err(Stop::Reason(TriedReason::NotReady)),
            _ => return Err(Stop::Reason(TriedReason::NotAMember)),
        }
        let answer = seal::open(key, path, Direction::Answer, id, &answer).ok_or(Stop::Denied)?;
        joined(&answer)
    }
}

/// Connects to a node: with TLS, but in plain HTTP on this machine, and where the other side has nothing else and that is
/// allowed. Whoever is trusted by a certificate must show it, in any case; else none is looked at: what nodes say to each
/// other is sealed.
fn connect(
    address: SocketAddr,
    end: Instant,
    allow_plaintext: bool,
    trusted: Option<(&Trust, &str)>,
) -> io::Result<Exchange> {
    let is_alone = address.ip().to_canonical().is_loopback();
    let Some(anybody) = Trust::anybody().filter(|_| trusted.is_some() || !is_alone) else {
        return Exchange::connect(address, end, None);
    };
    let name = address.ip().to_string();
    match Exchange::connect(address, end, trusted.or(Some((&anybody, &name)))) {
        Err(error) if trusted.is_none() && allow_plaintext && matches!(Mismatch::of(&error), Some(Mismatch::Plain)) => {
            Exchange::connect(address, end, None)
        }
        Err(error) if trusted.is_some() && matches!(Mismatch::of(&error), Some(Mismatch::Plain)) => {
            Err(Mismatch::Untrusted("it shows none".to_owned()).into())
        }
        connected => connected,
    }
}

/// A member's answer to the first message: the proof's id, the stretching's cost, the second message of OPAQUE.
fn started((status, answer): &(u16, Vec<u8>)) -> Result<(&[u8], HashCost, &[u8]), Stop> {
    match status {
        200 => {}
        503 => return Err(Stop::Reason(TriedReason::NotReady)),
        _ => return Err(Stop::Reason(TriedReason::NotAMember)),
    }
    let parts = answer.split_at_checked(ID_BYTES).and_then(|(id, rest)| {
        let (cost, ke2) = rest.split_first()?;
        let cost = HashCost::ALL.get(usize::from(*cost))?;
        (ke2.len() == KE2_BYTES).then_some((id, *cost, ke2))
    });
    parts.ok_or(Stop::Reason(TriedReason::NotAMember))
}

fn joined(answer: &[u8]) -> Result<Joined, Stop> {
    if answer.starts_with(RECORD) {
        let admitted = store::decode(answer).map(ContactEnd::Admitted);
        return admitted.map(Joined::End).map_err(|_| Stop::Reason(TriedReason::NotAMember));
    }
    let malformed = |_| Stop::Reason(TriedReason::NotAMember);
    let mut fields = Fields::new(answer).map_err(malformed)?;
    let read = JoinAnswer::read(&mut fields);
    fields.finish().map_err(malformed)?;
    Ok(match read {
        JoinAnswer::Founder(address) => Joined::Elsewhere(address),
        JoinAnswer::Welcome => Joined::End(ContactEnd::Welcome),
        JoinAnswer::NotNow(reason) => Joined::End(ContactEnd::Failed(reason)),
        JoinAnswer::Refused(failure) => Joined::End(ContactEnd::Refused(Box::new(failure))),
    })
}

enum Joined {
    End(ContactEnd),
    Elsewhere(SocketAddr),
}

/// Why a contact came to nothing.
enum Stop {
    Reason(TriedReason),
    Denied,
    /// The certificate that this node shows is good for nothing there.
    Unknown,
    /// This node could not even tell whether the other one knows the password.
    NoMemory(io::Error),
}

impl Stop {
    /// Of a proof that came to nothing.
    fn of_proof(error: io::Error) -> Self {
        if error.kind() == ErrorKind::OutOfMemory { Self::NoMemory(error) } else { Self::Denied }
    }

    /// The same, for the node that the founder was learnt from.
    fn of_founder(self) -> Self {
        match self {
            Self::Reason(
                TriedReason::Itself | TriedReason::Plaintext | TriedReason::Untrusted | TriedReason::NotReady,
            )
            | Self::Denied
            | Self::Unknown
            | Self::NoMemory(_) => self,
            Self::Reason(_) => Self::Reason(TriedReason::NoFounder),
        }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Reason(reason(&error))
    }
}

/// Why there is no talking to somebody.
#[expect(clippy::wildcard_enum_match_arm, reason = "the system's kinds are many and grow")]
pub(crate) fn reason(error: &io::Error) -> TriedReason {
    match Mismatch::of(error).filter(|_| tls::IS_BUILT_IN) {
        Some(Mismatch::Untrusted(_)) => return TriedReason::Untrusted,
        Some(Mismatch::Plain) => return TriedReason::Plaintext,
        None => {}
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => TriedReason::Refused,
        ErrorKind::TimedOut | ErrorKind::WouldBlock => TriedReason::TimedOut,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable => {
            TriedReason::Unreachable
        }
        _ => TriedReason::NotAMember,
    }
}

/// A host and a port, of what `HOST`, `HOST:PORT`, `[V6]` or `[V6]:PORT` says; a bare IPv6 address has no port.
fn split(node: &str, default_port: u16) -> (&str, u16) {
    let port = |text: Option<&str>| text.and_then(|text| text.parse().ok()).unwrap_or(default_port);
    if let Some((host, rest)) = node.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, port(rest.strip_prefix(':')));
    }
    match node.split_once(':') {
        Some((host, rest)) if !rest.contains(':') => (host, port(Some(rest))),
        Some(_) | None => (node, default_port),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_may_have_a_port() {
        assert_eq!(split("a.b", 1), ("a.b", 1));
        assert_eq!(split("a.b:2", 1), ("a.b", 2));
        assert_eq!(split("10.0.0.1:2", 1), ("10.0.0.1", 2));
        assert_eq!(split("::1", 1), ("::1", 1));
        assert_eq!(split("[::1]", 1), ("::1", 1));
        assert_eq!(split("[::1]:2", 1), ("::1", 2));
    }
}
