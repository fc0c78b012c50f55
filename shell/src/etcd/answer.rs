//! What etcd answers, looked at as if anybody had sent it.

use base64ct::{Base64, Encoding as _};
use bootstrapd_core::json::{Reader, Token};
use bootstrapd_core::record::Id;

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

/// Reads what a look was answered.
pub(super) fn seen(answer: &str, alive: &str, known: u64) -> Option<Seen> {
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

/// Reads what a swap was answered.
pub(super) fn swapped(answer: &str, known: u64) -> Option<Swap> {
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
            // As in a JSON pointer: a name with a slash is no path.
            name = text.chars().collect::<String>().replace('/', "~1");
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
        // A name may be empty: it is the levels that tell whether this is one below another.
        if levels.len() > 1 {
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
pub(super) fn text(document: &str, at: &str) -> Option<String> {
    let mut found = None;
    walk(document, &mut |path, text| {
        if path == at {
            found = Some(text.to_owned());
        }
        Some(())
    })?;
    found
}

pub(super) fn number(document: &str, at: &str) -> Option<u64> {
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

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut buffer = vec![0; text.len()];
    let length = Base64::decode(text, &mut buffer).ok()?.len();
    buffer.truncate(length);
    Some(buffer)
}

/// For fuzzing: reads an answer as each kind of them, and gives its token.
#[must_use]
pub fn read_any(answer: &str) -> Option<String> {
    let _ = (seen(answer, "/b/alive/", 7), swapped(answer, 7), swapped(answer, 0), number(answer, "result/TTL"));
    text(answer, "token")
}

#[cfg(test)]
mod tests {
    use super::super::{encode, quoted};
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
    fn what_is_at_a_path_is_nowhere_else() {
        let there = |document| text(document, "result/TTL");
        assert_eq!(there(r#"{"result":{"TTL":"19"}}"#).as_deref(), Some("19"));
        for elsewhere in [
            r#"{"":{"result":{"TTL":"19"}}}"#,
            r#"{"result":{"":{"TTL":"19"}}}"#,
            r#"{"result/TTL":"19"}"#,
            r#"{"result":[{"TTL":"19"}]}"#,
            r#"[{"result":{"TTL":"19"}}]"#,
        ] {
            assert_eq!(there(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn texts_go_out_as_json() {
        assert_eq!(quoted("a\"b\\\n"), r#""a\"b\\\n""#);
        assert_eq!(id(&Id([7; 16]).to_string()), Some(Id([7; 16])));
        assert_eq!((id("07"), id(&"x".repeat(32)), id(&"+1".repeat(16))), (None, None, None));
    }
}
