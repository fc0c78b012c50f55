//! etcd's v3 API by its JSON gateway, as much of it as a cluster's record needs: one key that changes by
//! compare-and-swap, and a key with a lease for each node that is alive.
//!
//! The gateway leaves out members that are zero or false, writes 64-bit numbers as texts and bytes as base64. Whatever it
//! answers is looked at as if anybody had sent it.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding as _};
use bootstrapd_core::record::Id;
use zeroize::Zeroizing;

use crate::call::{Answer, Server};

mod answer;

pub use answer::{News, Seen, Swap, read_any};
use answer::{number, seen, swapped, text};

/// One endpoint has so long for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// All of them together.
const PATIENCE_MAX: Duration = Duration::from_secs(5);
/// The shortest lease, in seconds.
const LEASE_SECONDS: u64 = 20;

/// A login that is wrong or missing is a bad request to etcd, which only words tell from another.
const BAD_LOGINS: [&str; 2] = ["authentication failed", "user name is empty"];

/// What `--store` names.
#[derive(Debug)]
pub struct Place {
    /// Any one that answers will do.
    pub endpoints: Vec<Server>,
    /// All keys begin with this.
    pub prefix: String,
    /// Who this node is to etcd, and the password.
    pub login: Option<(String, Zeroizing<String>)>,
}

/// A store, and what this node has there.
#[derive(Debug)]
pub struct Etcd {
    place: Place,
    /// The endpoint that has answered last.
    current: usize,
    token: Option<String>,
    /// This node's, for as many seconds.
    lease: Option<u64>,
    lease_seconds: u64,
}

/// Why etcd has not done something.
#[derive(Debug)]
pub struct Fault {
    /// Whom this node has asked last.
    pub endpoint: String,
    /// What came of it: `PermissionDenied` where etcd does not let this node in.
    pub error: io::Error,
}

impl Etcd {
    /// A store that was not asked yet; `beat` is how often this node says that it is there.
    #[must_use]
    pub fn new(place: Place, beat: Duration) -> Self {
        let lease_seconds = beat.as_secs().saturating_mul(4).max(LEASE_SECONDS);
        Self { place, current: 0, token: None, lease: None, lease_seconds }
    }

    fn record_key(&self) -> String {
        format!("{}cluster", self.place.prefix)
    }

    fn alive_key(&self, node: &str) -> String {
        format!("{}alive/{node}", self.place.prefix)
    }

    /// Looks at the record, unless it is the `known` one, and at the leases; zero is known of one that is absent.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn look(&mut self, known: u64) -> Result<Seen, Fault> {
        let (record, alive) = (encode(self.record_key()), self.alive_key(""));
        // The first key behind all that begin like this.
        let end = encode(self.alive_key("").replace("alive/", "alive0"));
        let alive =
            format!(r#"{{"request_range":{{"key":"{}","range_end":"{end}","keys_only":true}}}}"#, encode(alive));
        let body = format!(
            r#"{{"compare":[{{"key":"{record}","target":"MOD","result":"EQUAL","mod_revision":"{known}"}}],"success":[{alive}],"failure":[{alive},{{"request_range":{{"key":"{record}"}}}}]}}"#
        );
        let answer = self.ask("/v3/kv/txn", &body)?;
        seen(answer.text(), &self.alive_key(""), known).ok_or_else(|| self.garbage())
    }

    /// Writes `value` as the record if etcd's number for it is still `known`; zero for one that is absent.
    ///
    /// # Errors
    /// A [`Fault`]: then nobody knows whether it was written.
    pub fn swap(&mut self, known: u64, value: &[u8]) -> Result<Swap, Fault> {
        let (key, text) = (encode(self.record_key()), encode(value));
        let body = format!(
            r#"{{"compare":[{{"key":"{key}","target":"MOD","result":"EQUAL","mod_revision":"{known}"}}],"success":[{{"request_put":{{"key":"{key}","value":"{text}"}}}}],"failure":[{{"request_range":{{"key":"{key}"}}}}]}}"#
        );
        let answer = self.ask("/v3/kv/txn", &body)?;
        let swap = swapped(answer.text(), known).ok_or_else(|| self.garbage())?;
        // An endpoint may have written it whose answer was lost. No two values are alike: each is sealed anew.
        if let Swap::Conflict(News::Record(found, revision)) = &swap
            && found == value
        {
            return Ok(Swap::Done(*revision));
        }
        Ok(swap)
    }

    /// Removes the record if etcd's number for it is still `known`. Whether it is gone.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn remove(&mut self, known: u64) -> Result<bool, Fault> {
        let key = encode(self.record_key());
        let body = format!(
            r#"{{"compare":[{{"key":"{key}","target":"MOD","result":"EQUAL","mod_revision":"{known}"}}],"success":[{{"request_delete_range":{{"key":"{key}"}}}}],"failure":[{{"request_range":{{"key":"{key}"}}}}]}}"#
        );
        let answer = self.ask("/v3/kv/txn", &body)?;
        let swap = swapped(answer.text(), known).ok_or_else(|| self.garbage())?;
        Ok(matches!(swap, Swap::Done(_) | Swap::Conflict(News::Absent)))
    }

    /// Says that this node is alive. Whether etcd knew it by the lease that it had.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn stay(&mut self, node: Id) -> Result<bool, Fault> {
        if let Some(lease) = self.lease {
            let answer = self.ask("/v3/lease/keepalive", &format!(r#"{{"ID":"{lease}"}}"#))?;
            // One that has run out has no time left, which is not said.
            if number(answer.text(), "result/TTL").is_some_and(|seconds| seconds > 0) {
                return Ok(true);
            }
            self.lease = None;
        }
        let answer = self.ask("/v3/lease/grant", &format!(r#"{{"TTL":"{}"}}"#, self.lease_seconds))?;
        let lease = number(answer.text(), "ID").ok_or_else(|| self.garbage())?;
        let (key, value) = (encode(self.alive_key(&node.to_string())), encode("1"));
        self.ask("/v3/kv/put", &format!(r#"{{"key":"{key}","value":"{value}","lease":"{lease}"}}"#))?;
        self.lease = Some(lease);
        Ok(false)
    }

    /// This node's key is not there: another lease is asked for next time.
    pub const fn lost(&mut self) {
        self.lease = None;
    }

    /// Gives this node's lease up, as far as that can be done.
    pub fn leave(&mut self) {
        if let Some(lease) = self.lease.take() {
            let _ = self.ask("/v3/lease/revoke", &format!(r#"{{"ID":"{lease}"}}"#));
        }
    }

    fn garbage(&self) -> Fault {
        self.fault(io::Error::new(ErrorKind::InvalidData, "that is no answer of etcd"))
    }

    fn fault(&self, error: io::Error) -> Fault {
        let endpoint = self.place.endpoints.get(self.current).map(Server::to_string).unwrap_or_default();
        Fault { endpoint, error }
    }

    fn ask(&mut self, path: &str, body: &str) -> Result<Answer, Fault> {
        let end = Instant::now().checked_add(PATIENCE_MAX);
        if self.token.is_none() {
            self.log_in(end)?;
        }
        let answer = self.ask_any(path, body, end);
        let is_good = answer.as_ref().is_ok_and(|answer| answer.status == 200);
        if is_good || self.place.login.is_none() {
            return self.checked(answer?);
        }
        // A token does not live for ever, and is old once there is another user: there are many words for that.
        self.log_in(end)?;
        let answer = self.ask_any(path, body, end)?;
        self.checked(answer)
    }

    fn log_in(&mut self, end: Option<Instant>) -> Result<(), Fault> {
        let Some((name, password)) = &self.place.login else { return Ok(()) };
        let (name, password) = (quoted(name), Zeroizing::new(quoted(password)));
        let body = Zeroizing::new(format!(r#"{{"name":{name},"password":{}}}"#, *password));
        self.token = None;
        let answer = self.ask_any("/v3/auth/authenticate", &body, end)?;
        let answer = self.checked(answer)?;
        self.token = text(answer.text(), "token").filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic()));
        if self.token.is_some() { Ok(()) } else { Err(self.garbage()) }
    }

    /// Asks the endpoints in turn, beginning with the one that has answered last, until one can say something.
    fn ask_any(&mut self, path: &str, body: &str, end: Option<Instant>) -> Result<Answer, Fault> {
        let mut last = io::Error::from(ErrorKind::TimedOut);
        for _ in 0..self.place.endpoints.len() {
            let left = end.map(|end| end.saturating_duration_since(Instant::now())).unwrap_or_default();
            let Some(server) = self.place.endpoints.get(self.current).filter(|_| !left.is_zero()) else { break };
            match server.post(path, self.token.as_deref(), body.as_bytes(), left.min(PATIENCE)) {
                // Without a quorum, or on its way up or down.
                Ok(answer) if answer.status >= 500 => {
                    last = io::Error::new(ErrorKind::TimedOut, "etcd has no leader, or no time");
                }
                Ok(answer) => return Ok(answer),
                Err(error) => last = error,
            }
            self.current = self.current.saturating_add(1).checked_rem(self.place.endpoints.len()).unwrap_or_default();
        }
        Err(self.fault(last))
    }

    fn checked(&self, answer: Answer) -> Result<Answer, Fault> {
        match answer.status {
            200 => Ok(answer),
            401 | 403 => Err(self.fault(ErrorKind::PermissionDenied.into())),
            400 if text(answer.text(), "error")
                .is_some_and(|error| BAD_LOGINS.iter().any(|bad| error.contains(bad))) =>
            {
                Err(self.fault(ErrorKind::PermissionDenied.into()))
            }
            _ => Err(self.garbage()),
        }
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref();
    let mut buffer = vec![0; bytes.len().div_ceil(3).saturating_mul(4)];
    Base64::encode(bytes, &mut buffer).unwrap_or_default().to_owned()
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    let mut buffer = vec![0; text.len().saturating_mul(6).saturating_add(2)];
    let mut writer = bootstrapd_core::write::Writer::new(&mut buffer);
    writer.text(text);
    let length = writer.finish().unwrap_or_default();
    buffer.truncate(length);
    String::from_utf8(buffer).unwrap_or_default()
}
