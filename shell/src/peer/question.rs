//! A question between members: sealed, and bound to one moment by a challenge.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bootstrapd_core::cluster::{Cluster, Key};
use bootstrapd_core::fields::Fields;
use bootstrapd_core::peer::{Answer, Ask};
use bootstrapd_core::record::Id;

use super::{ASK, CHALLENGE, CHALLENGE_BYTES, RECORD, connect};
use crate::seal::{self, Direction};
use crate::store;

/// A question between members.
const PATIENCE: Duration = Duration::from_secs(2);

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

/// What came of a question.
pub enum Told {
    /// An answer.
    Answer(Box<Answer>),
    /// The record that was asked for.
    Record(Box<Cluster>),
    /// None, or none that could be trusted.
    Nothing,
}

impl Question {
    // Not inlined: what it needs of the stack stays resident.
    #[inline(never)]
    pub(super) fn run(&self, beat: Duration) -> io::Result<Told> {
        let patience = match self.ask {
            // Who is silent must not keep this node from its own beats.
            Ask::Beat => beat.checked_div(2).unwrap_or(beat).min(PATIENCE),
            Ask::Record | Ask::Confirm | Ask::Follow => PATIENCE,
        };
        let end = Instant::now().checked_add(patience).ok_or(ErrorKind::TimedOut)?;
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
