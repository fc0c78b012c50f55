//! A contact: one node is asked to admit this one, once the password is proved on both sides.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bootstrapd_core::cluster::{Cluster, HashCost, JoinRequest, Key};
use bootstrapd_core::failure::{Cause, Failure, TriedReason};
use bootstrapd_core::fields::Fields;
use bootstrapd_core::limits::PEER_MESSAGE_BYTES_MAX;
use bootstrapd_core::node::{Own, is_reachable};
use bootstrapd_core::peer::JoinAnswer;
use bootstrapd_core::write::Writer;
use zeroize::Zeroizing;

use super::{CONTACT, FINISH, ID_BYTES, PROTOCOL, RECORD, START, connect, reason};
use crate::exchange::Exchange;
use crate::line::{look_up, share};
use crate::opaque::{Joiner, KE2_BYTES};
use crate::seal::{self, Direction};
use crate::tls::{self, Trust};
use crate::{node, store};

/// What it takes to ask for admission.
pub struct Contact {
    /// The node, as it was given.
    pub node: String,
    /// Its port, where none was given.
    pub default_port: u16,
    /// Whether other machines may be asked in plain HTTP.
    pub allow_plaintext: bool,
    /// Where this agent itself is.
    pub own: Own,
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

impl Contact {
    // Not inlined: what it needs of the stack stays resident.
    #[inline(never)]
    pub(super) fn run(&self) -> ContactEnd {
        let Some(end) = Instant::now().checked_add(CONTACT) else { return ContactEnd::Failed(TriedReason::TimedOut) };
        let (name, _) = split(&self.node, self.default_port);
        let shown = match self.shown() {
            Ok(shown) => shown,
            Err(why) => {
                let cause = Cause::ConfigError { required_rack_id: None };
                return ContactEnd::Refused(Box::new(Failure::new(cause, why)));
            }
        };
        let join = |address, name: &str, end| match &shown {
            Some(shown) => self.join_certified(address, name, end, shown),
            None => self.join(address, name, end),
        };
        let try_one = |address, end| self.check(address).and_then(|address| join(address, name, end));
        let found = self.look_up(end).and_then(|addresses| first_of(&addresses, end, try_one));
        let joined = match found {
            // Only the founder admits. It is asked in the same way: it must prove itself, too.
            Ok(Joined::Elsewhere(address)) => {
                let name = address.ip().to_string();
                self.check(address).and_then(|address| join(address, &name, end)).map_err(Stop::of_founder)
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

    /// The node's addresses.
    fn look_up(&self, end: Instant) -> Result<Vec<SocketAddr>, Stop> {
        let (host, port) = split(&self.node, self.default_port);
        look_up(host, port, end).map_err(|error| {
            let is_late = error.kind() == ErrorKind::TimedOut;
            Stop::Reason(if is_late { TriedReason::TimedOut } else { TriedReason::NotFound })
        })
    }

    /// Whether an address may be contacted at all.
    fn check(&self, address: SocketAddr) -> Result<SocketAddr, Stop> {
        if !is_reachable(address.ip()) {
            return Err(Stop::Reason(TriedReason::BadAddress));
        }
        if self.own.has(address) || self.request.member.endpoint == address {
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
    fn join(&self, address: SocketAddr, name: &str, end: Instant) -> Result<Joined, Stop> {
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
    pub(super) fn ask(
        &self,
        exchange: &mut Exchange,
        (path, key, id, proof): (&str, &Key, &[u8], &[u8]),
        round_trip: Duration,
    ) -> Result<Joined, Stop> {
        let request =
            JoinRequest { clock_ms: node::clock_ms(), round_trip_ms: node::millis(round_trip), ..self.request.clone() };
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

/// Tries the addresses of a name in turn, each with its share of the time: more than one machine may have it. Where none
/// leads anywhere, the last reason counts that is not about this node itself.
fn first_of<T>(
    mut addresses: &[SocketAddr],
    end: Instant,
    mut try_one: impl FnMut(SocketAddr, Instant) -> Result<T, Stop>,
) -> Result<T, Stop> {
    let mut why = TriedReason::NotFound;
    while let Some((address, rest)) = addresses.split_first() {
        match try_one(*address, share(end, addresses.len())) {
            Err(Stop::Reason(TriedReason::Itself)) if why != TriedReason::NotFound => {}
            Err(Stop::Reason(reason)) => why = reason,
            other => return other,
        }
        addresses = rest;
    }
    Err(Stop::Reason(why))
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

pub(super) enum Joined {
    End(ContactEnd),
    Elsewhere(SocketAddr),
}

/// Why a contact came to nothing.
pub(super) enum Stop {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_of_a_name_is_tried_in_its_share_of_the_time() {
        let addresses: Vec<SocketAddr> =
            ["192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"].map(|text| text.parse().unwrap()).to_vec();
        let end = Instant::now().checked_add(Duration::from_secs(9)).unwrap();
        let tried = |reasons: [Result<u8, TriedReason>; 3]| {
            let mut asked = Vec::new();
            let found = first_of(&addresses, end, |address, until| {
                let left = until.saturating_duration_since(Instant::now());
                let index = asked.len();
                asked.push(address);
                assert!(left <= Duration::from_secs([3, 5, 9][index]), "{left:?}");
                reasons[index].map_err(Stop::Reason)
            });
            (found.map_err(|stop| if let Stop::Reason(reason) = stop { Some(reason) } else { None }), asked.len())
        };
        let [own, refused, late] = [TriedReason::Itself, TriedReason::Refused, TriedReason::TimedOut].map(Err);
        assert_eq!(tried([own, refused, Ok(7)]), (Ok(7), 3));
        assert_eq!(tried([Ok(7), own, own]), (Ok(7), 1));
        assert_eq!(tried([refused, late, own]), (Err(Some(TriedReason::TimedOut)), 3));
        assert_eq!(tried([own, own, own]), (Err(Some(TriedReason::Itself)), 3));
        // A wrong password is one everywhere.
        let denied = first_of(&addresses, end, |_, _| Err::<(), _>(Stop::Denied));
        assert!(matches!(denied, Err(Stop::Denied)));
        assert!(matches!(first_of(&[], end, |_, _| Ok(())), Err(Stop::Reason(TriedReason::NotFound))));
    }

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
