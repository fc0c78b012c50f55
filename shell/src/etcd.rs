//! etcd's v3 API by its JSON gateway, as much of it as a cluster's record needs: one key that changes by
//! compare-and-swap, and a key with a lease for each node that is alive.
//!
//! The gateway leaves out members that are zero or false, writes 64-bit numbers as texts and bytes as base64. Whatever it
//! answers is looked at as if anybody had sent it.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding as _};
use bootstrapd_core::json::{Reader, Token};
use bootstrapd_core::record::Id;
use zeroize::Zeroizing;

use crate::call::{Answer, Server};

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

/// What was found at one moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Who has a lease.
    pub leased: Vec<Id>,
    /// The record, where it is another than the one that was known.
    pub news: News,
}

/// The record, as etcd has it.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum News {
    /// It is the one that was known.
    #[default]
    None,
    /// There is none.
    Absent,
    /// Its bytes, and etcd's number for them.
    Record(Vec<u8>, u64),
}

/// What came of a compare-and-swap.
#[derive(Debug, PartialEq, Eq)]
pub enum Swap {
    /// It is done; etcd's number for what was written.
    Done(u64),
    /// Another record was there.
    Conflict(News),
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

    /// Says that this node is alive.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn stay(&mut self, node: Id) -> Result<(), Fault> {
        if let Some(lease) = self.lease {
            let answer = self.ask("/v3/lease/keepalive", &format!(r#"{{"ID":"{lease}"}}"#))?;
            // One that has run out has no time left, which is not said.
            if number(answer.text(), "result/TTL").is_some_and(|seconds| seconds > 0) {
                return Ok(());
            }
            self.lease = None;
        }
        let answer = self.ask("/v3/lease/grant", &format!(r#"{{"TTL":"{}"}}"#, self.lease_seconds))?;
        let lease = number(answer.text(), "ID").ok_or_else(|| self.garbage())?;
        let (key, value) = (encode(self.alive_key(&node.to_string())), encode("1"));
        self.ask("/v3/kv/put", &format!(r#"{{"key":"{key}","value":"{value}","lease":"{lease}"}}"#))?;
        self.lease = Some(lease);
        Ok(())
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
        let answer = self.ask_any(path, body, end)?;
        if answer.status != 401 || self.place.login.is_none() {
            return self.checked(answer);
        }
        // A token does not live for ever.
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

/// Reads what [`Etcd::look`] was answered.
fn seen(answer: &str, alive: &str, known: u64) -> Option<Seen> {
    let mut leased = Vec::new();
    let found = transaction(answer, &mut |path, text| {
        if let Some(rest) = path.strip_prefix("responses/0/response_range/kvs/")
            && rest.ends_with("/key")
        {
            let key = decode(text)?;
            let name = std::str::from_utf8(&key).ok()?.strip_prefix(alive)?;
            // What somebody else has put there is nobody of us.
            leased.extend(id(name));
        }
        Some(())
    });
    let Found { succeeded, revision: _, record } = found?;
    let news = match record {
        _ if succeeded => News::None,
        Some((_, revision)) if revision == known => News::None,
        Some((value, revision)) => News::Record(value, revision),
        None => News::Absent,
    };
    Some(Seen { leased, news })
}

/// Reads what [`Etcd::swap`] was answered.
fn swapped(answer: &str, known: u64) -> Option<Swap> {
    let Found { succeeded, revision, record } = transaction(answer, &mut |_, _| Some(()))?;
    match record {
        _ if succeeded => Some(Swap::Done(revision)),
        // It was not there and is not: the comparison cannot have failed.
        None if known == 0 => None,
        None => Some(Swap::Conflict(News::Absent)),
        Some((value, revision)) => Some(Swap::Conflict(News::Record(value, revision))),
    }
}

/// What is in every answer to a transaction.
#[derive(Default)]
struct Found {
    succeeded: bool,
    /// Of the whole store, after the transaction.
    revision: u64,
    /// The last range's first value, and its number.
    record: Option<(Vec<u8>, u64)>,
}

/// Reads an answer; `see` is shown every text and number, and whether it can be.
fn transaction(answer: &str, see: &mut dyn FnMut(&str, &str) -> Option<()>) -> Option<Found> {
    let mut found = Found::default();
    let (mut value, mut number, mut is_answered) = (Vec::new(), None, false);
    walk(answer, &mut |path, text| {
        match path {
            "succeeded" => found.succeeded = text == "true",
            "header/revision" => found.revision = text.parse().ok()?,
            // Every part of a transaction has an answer of its own.
            _ if path.starts_with("responses/0/") && path.ends_with("/header/revision") => is_answered = true,
            _ if path.ends_with("/response_range/kvs/0/value") => value = decode(text)?,
            _ if path.ends_with("/response_range/kvs/0/mod_revision") && !path.starts_with("responses/0/") => {
                number = Some(text.parse().ok()?);
            }
            "responses/0/response_range/kvs/0/mod_revision" => number = number.or(Some(text.parse().ok()?)),
            _ => {}
        }
        see(path, text)
    })?;
    // Leases have no value: what has one is the record.
    found.record = number.filter(|_| !value.is_empty()).map(|number| (value, number));
    (is_answered && found.revision > 0).then_some(found)
}

/// Shows `see` every text, number and word of a JSON document, with the path to it; `None` where it is none.
fn walk(document: &str, see: &mut dyn FnMut(&str, &str) -> Option<()>) -> Option<()> {
    bootstrapd_core::json::check(document.as_bytes()).ok()?;
    let mut reader = Reader::new(document.as_bytes()).ok()?;
    let mut path = String::new();
    // For each open level: how long the path was before it, and the next position where it is an array.
    let mut levels: Vec<(usize, Option<u64>)> = Vec::new();
    let mut name = String::new();
    while let Some(token) = reader.token().ok()? {
        if let Token::Name(text) = token {
            name = text.chars().collect();
            continue;
        }
        if matches!(token, Token::ObjectEnd | Token::ArrayEnd) {
            path.truncate(levels.pop()?.0);
            continue;
        }
        let before = path.len();
        match levels.last_mut() {
            Some((_, Some(position))) => {
                name = position.to_string();
                *position = position.checked_add(1)?;
            }
            Some((_, None)) => {}
            None => name.clear(),
        }
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(&name);
        match token {
            Token::ObjectStart => levels.push((before, None)),
            Token::ArrayStart => levels.push((before, Some(0))),
            Token::Text(text) => show(&mut path, before, &text.chars().collect::<String>(), see)?,
            Token::Number(number) => show(&mut path, before, number, see)?,
            Token::Bool(value) => show(&mut path, before, if value { "true" } else { "false" }, see)?,
            Token::Null | Token::Name(_) | Token::ObjectEnd | Token::ArrayEnd => path.truncate(before),
        }
    }
    Some(())
}

fn show(path: &mut String, before: usize, text: &str, see: &mut dyn FnMut(&str, &str) -> Option<()>) -> Option<()> {
    see(path, text)?;
    path.truncate(before);
    Some(())
}

/// The text or number at one path.
fn text(document: &str, at: &str) -> Option<String> {
    let mut found = None;
    walk(document, &mut |path, text| {
        if path == at {
            found = Some(text.to_owned());
        }
        Some(())
    })?;
    found
}

fn number(document: &str, at: &str) -> Option<u64> {
    text(document, at)?.parse().ok()
}

/// The id in a key.
fn id(name: &str) -> Option<Id> {
    let digits = name.as_bytes();
    let mut id = Id([0; 16]);
    if digits.len() != id.0.len().saturating_mul(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in id.0.iter_mut().zip(digits.as_chunks::<2>().0) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(id)
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref();
    let mut buffer = vec![0; bytes.len().div_ceil(3).saturating_mul(4)];
    Base64::encode(bytes, &mut buffer).unwrap_or_default().to_owned()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut buffer = vec![0; text.len()];
    let length = Base64::decode(text, &mut buffer).ok()?.len();
    buffer.truncate(length);
    Some(buffer)
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

/// For fuzzing: reads an answer as each kind of them, and gives its token.
#[must_use]
pub fn read_any(answer: &str) -> Option<String> {
    let _ = (seen(answer, "/b/alive/", 7), swapped(answer, 7), swapped(answer, 0), number(answer, "result/TTL"));
    text(answer, "token")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#""header":{"cluster_id":"1","revision":"9","raft_term":"2"}"#;

    #[test]
    fn a_look_tells_the_record_and_who_has_a_lease() {
        let key = encode(format!("/b/alive/{}", Id([0xAB; 16])));
        let alive = format!(
            r#"{{"response_range":{{{HEADER},"kvs":[{{"key":"{key}","mod_revision":"4","lease":"5"}}],"count":"1"}}}}"#
        );
        let record = format!(
            r#"{{"response_range":{{"kvs":[{{"key":"eA==","mod_revision":"8","value":"{}"}}]}}}}"#,
            encode("new")
        );
        let same = format!(r#"{{{HEADER},"succeeded":true,"responses":[{alive}]}}"#);
        let leased = || vec![Id([0xAB; 16])];
        assert_eq!(seen(&same, "/b/alive/", 8), Some(Seen { leased: leased(), news: News::None }));
        let newer = format!(r#"{{{HEADER},"responses":[{alive},{record}]}}"#);
        let news = News::Record(b"new".to_vec(), 8);
        assert_eq!(seen(&newer, "/b/alive/", 7), Some(Seen { leased: leased(), news }));
        let none = format!(r#"{{"response_range":{{{HEADER}}}}}"#);
        let absent = format!(r#"{{{HEADER},"responses":[{none},{none}]}}"#);
        assert_eq!(seen(&absent, "/b/alive/", 7), Some(Seen { leased: Vec::new(), news: News::Absent }));
        for garbage in
            ["", "{}", "[]", "{\"header\":{\"revision\":\"x\"}}", "<html>", "{\"header\":{\"revision\":\"1\"}"]
        {
            assert_eq!(seen(garbage, "/b/alive/", 7), None, "{garbage}");
        }
    }

    #[test]
    fn a_swap_is_done_or_says_what_was_there() {
        let put = format!(r#"{{{HEADER},"succeeded":true,"responses":[{{"response_put":{{{HEADER}}}}}]}}"#);
        assert_eq!(swapped(&put, 4), Some(Swap::Done(9)));
        let other = format!(
            r#"{{{HEADER},"responses":[{{"response_range":{{{HEADER},"kvs":[{{"key":"eA==","create_revision":"2","mod_revision":"6","version":"2","value":"{}"}}],"count":"1"}}}}]}}"#,
            encode("other")
        );
        assert_eq!(swapped(&other, 4), Some(Swap::Conflict(News::Record(b"other".to_vec(), 6))));
        let gone = format!(r#"{{{HEADER},"responses":[{{"response_range":{{{HEADER}}}}}]}}"#);
        assert_eq!((swapped(&gone, 4), swapped(&gone, 0)), (Some(Swap::Conflict(News::Absent)), None));
        // One that says that it is done and not what is believed by nobody.
        assert_eq!(swapped(&format!(r#"{{{HEADER},"succeeded":true,"responses":[]}}"#), 4), None);
    }

    #[test]
    fn texts_go_out_as_json() {
        assert_eq!(quoted("a\"b\\\n"), r#""a\"b\\\n""#);
        assert_eq!(id(&Id([7; 16]).to_string()), Some(Id([7; 16])));
        assert_eq!((id("07"), id(&"x".repeat(32)), id(&"+1".repeat(16))), (None, None, None));
    }
}
