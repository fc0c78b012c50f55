//! What this node asks of others, on a thread of its own: to be admitted, to be known as a member, whether they are
//! there. It knows the wire; what an answer means is decided elsewhere.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use bootstrapd_core::cluster::{Cluster, JoinRequest, Key};
use bootstrapd_core::failure::TriedReason;
#[cfg(feature = "management")]
use bootstrapd_core::manage::Change;
use bootstrapd_core::record::Id;

use crate::exchange::Exchange;
use crate::line::Mismatch;
use crate::perform::{Done, Queue, Who};
use crate::secret;
use crate::shared::Shared;
use crate::tls::{self, Trust};

mod certified;
mod contact;
mod question;

pub use contact::{Contact, ContactEnd};
pub use question::{Question, Told};

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
                let told = question.run(beat).unwrap_or(Told::Nothing);
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
