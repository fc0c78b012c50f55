use std::path::Path;
use std::string::String as StdString;
use std::vec::Vec;
use std::{format, fs, vec};

use super::*;
use crate::few;

/// Each document of a directory with its name; those that are few enough for miri are listed in the tests.
fn corpus(directory: &str) -> Vec<(StdString, Vec<u8>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/documents/json").join(directory);
    let mut files: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
        .into_iter()
        .map(|path| (path.file_name().unwrap().to_str().unwrap().into(), fs::read(&path).unwrap()))
        .collect()
}

/// Both readers must agree, except where ours stops at its nesting and theirs at the largest double.
fn agrees_with_serde_json(document: &[u8]) {
    let ours = check(document);
    let theirs = serde_json::from_slice::<serde_json::Value>(document);
    let excused = matches!(ours, Err(Fault { kind: FaultKind::Nesting, .. }))
        || theirs.as_ref().is_err_and(|error| format!("{error}").contains("number out of range"));
    let text = StdString::from_utf8_lossy(document);
    assert!(excused || ours.is_ok() == theirs.is_ok(), "{text:?}: {ours:?} {theirs:?}");
    if let (Ok(()), Ok(value)) = (ours, theirs) {
        strings_are_the_same(document, &value);
    }
}

/// Every string of the document, names included, in its order where names do not repeat.
fn strings_are_the_same(document: &[u8], value: &serde_json::Value) {
    fn collect(value: &serde_json::Value, strings: &mut Vec<StdString>) {
        match value {
            serde_json::Value::String(text) => strings.push(text.clone()),
            serde_json::Value::Array(values) => values.iter().for_each(|value| collect(value, strings)),
            serde_json::Value::Object(members) => {
                for (name, value) in members {
                    strings.push(name.clone());
                    collect(value, strings);
                }
            }
            serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
        }
    }
    let mut theirs = Vec::new();
    collect(value, &mut theirs);
    theirs.sort();
    let mut ours = Vec::new();
    let mut reader = Reader::new(document).unwrap();
    while let Some(token) = reader.token().unwrap() {
        if let Token::Name(text) | Token::Text(text) = token {
            ours.push(text.chars().collect::<StdString>());
        }
    }
    ours.sort();
    // A map keeps only the last of repeated names.
    if ours.len() == theirs.len() {
        assert_eq!(ours, theirs);
    }
}

#[test]
fn the_corpus_is_accepted_and_refused() {
    let (accept, refuse) = (corpus("accept"), corpus("refuse"));
    assert!(accept.len() >= 60 && refuse.len() >= 140, "the corpus is not whole");
    for (name, document) in few(&accept, 9) {
        assert_eq!(check(document), Ok(()), "{name}");
        agrees_with_serde_json(document);
    }
    for (name, document) in few(&refuse, 19) {
        assert!(check(document).is_err(), "{name}");
        agrees_with_serde_json(document);
    }
}

#[test]
fn some_of_everything_is_accepted_and_refused() {
    for good in ["{}", " [1 , -0.5e+3]\n", r#""\ud83d\udd11\n""#, r#"{"a":{"b":[null,true]}}"#, "\"\u{10ffff}\""] {
        assert_eq!(check(good.as_bytes()), Ok(()), "{good}");
    }
    let bad: [(&[u8], FaultKind, usize); 13] = [
        (b"", FaultKind::Ends, 0),
        (b"[1,]", FaultKind::Unexpected, 3),
        (b"[1", FaultKind::Ends, 2),
        (b"\"\xff\"", FaultKind::Encoding, 1),
        (b"\xef\xbb\xbf{}", FaultKind::Unexpected, 0),
        (br#""\ud83d""#, FaultKind::Escape, 1),
        (br#""ab\x""#, FaultKind::Escape, 3),
        (b"\"a\0\"", FaultKind::Control, 2),
        (b"01", FaultKind::Number, 1),
        (b"-", FaultKind::Number, 1),
        (b"{} x", FaultKind::Trailing, 3),
        (b"[[[[[[[[[[[[[[[[[", FaultKind::Nesting, 16),
        (br#"{"a"1}"#, FaultKind::Unexpected, 4),
    ];
    for (document, kind, at) in bad {
        assert_eq!(check(document), Err(Fault { kind, at }), "{}", StdString::from_utf8_lossy(document));
    }
}

#[test]
fn every_byte_may_stand_in_a_string_or_is_refused_there() {
    // At each offset from the word boundary, because the reader looks at eight bytes at a time.
    for before in 0..9 {
        for byte in few(0..0x80_u8, 5) {
            let document = format!("[\"{}{}456789abcdef\"]", "-".repeat(before), char::from(byte));
            let good = !matches!(byte, 0..0x20 | b'"' | b'\\');
            assert_eq!(check(document.as_bytes()).is_ok(), good, "{document:?}");
        }
    }
}

#[test]
fn a_value_is_skipped_whole() {
    let mut reader = Reader::new(br#"{"a":[{"b":[1,"]"]},{}],"c":2}"#).unwrap();
    assert_eq!(reader.token(), Ok(Some(Token::ObjectStart)));
    assert!(matches!(reader.token(), Ok(Some(Token::Name(name))) if name.is("a")));
    reader.skip_value().unwrap();
    assert!(matches!(reader.token(), Ok(Some(Token::Name(name))) if name.is("c")));
    reader.skip_value().unwrap();
    assert_eq!(reader.token(), Ok(Some(Token::ObjectEnd)));
    assert_eq!(reader.token(), Ok(None));
    assert_eq!(reader.token(), Ok(None));
}

#[test]
fn a_string_that_does_not_fit_leaves_its_target_alone() {
    for (document, length) in [(&b"\"abcd\""[..], 4), (b"\"abc\\u00e9\"", 5), (b"\"\\ud83d\\udd11\"", 4)] {
        let mut reader = Reader::new(document).unwrap();
        let Ok(Some(Token::Text(text))) = reader.token() else { panic!() };
        let mut room = heapless::String::<7>::new();
        room.push_str(&"x".repeat(7 - length)).unwrap();
        assert_eq!(text.copy_to(&mut room), Ok(()));
        assert_eq!(room.len(), 7);
        let full = "x".repeat(8 - length);
        room.clear();
        room.push_str(&full).unwrap();
        assert_eq!(text.copy_to(&mut room), Err(TooLong));
        assert_eq!(room.as_str(), full);
    }
}

/// A small generator with a fixed seed: a failure comes back on every run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

#[test]
fn mutated_documents_are_judged_as_serde_json_judges_them() {
    const SEEDS: [&str; 7] = [
        r#"{"a":[1,-2.5e3,"x\n\u00e9\ud83d\udd11"],"b":{"c":null,"d":true}}"#,
        r#"[false,0,"",{},[],[[]],{"":"\\\"\/\b\f\r\t"}]"#,
        r#"  { "action" : "create_cluster" , "nodes" : [ ] }  "#,
        r#""\u0000\ud800\udc00 plain text 12345678""#,
        "-0.0E-10",
        "[\"\u{e9}\u{20ac}\u{1f511}\"]",
        include_str!("../../../tests/documents/bootstrap/join.json"),
    ];
    const PIECES: [&[u8]; 24] = [
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b"\"",
        b"\\",
        b"\\u",
        b"d83d",
        b"\\udd11",
        b"0",
        b"1",
        b"-",
        b"+",
        b".",
        b"e",
        b" ",
        b"\n",
        b"\0",
        b"\xff",
        b"\xc3\xa9",
        b"null",
        b"/",
    ];
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let rounds = if cfg!(miri) { 30 } else { 20_000 };
    let mut accepted = 0;
    for round in 0..rounds {
        let mut document = SEEDS[round % SEEDS.len()].as_bytes().to_vec();
        for _ in 0..=random.next(3) {
            let at = random.next(document.len() + 1);
            match random.next(4) {
                0 => {
                    let end = (at + 1 + random.next(4)).min(document.len());
                    document.drain(at..end.max(at));
                }
                1 => {
                    let piece = PIECES[random.next(PIECES.len())];
                    document.splice(at..at, piece.iter().copied());
                }
                2 if at < document.len() => document[at] = u8::try_from(random.next(256)).unwrap(),
                _ => {
                    let end = (at + random.next(12)).min(document.len());
                    let copy = document[at..end].to_vec();
                    let to = random.next(document.len() + 1);
                    document.splice(to..to, copy);
                }
            }
        }
        accepted += usize::from(check(&document).is_ok());
        agrees_with_serde_json(&document);
    }
    // Both verdicts must occur often, or the comparison says nothing.
    assert!(cfg!(miri) || (rounds / 20..rounds * 19 / 20).contains(&accepted), "{accepted}");
    agrees_with_serde_json(b"1e999");
    agrees_with_serde_json(&vec![b'['; 65_536]);
}

#[test]
fn a_name_is_told_from_another_by_any_of_its_bytes() {
    let name = "abcdefghijklmnopqrstuvwxyz";
    for length in 0..=name.len() {
        let text = Text { raw: &name[..length], escaped: false };
        assert!(text.is(&name[..length]));
        assert!(!text.is(&name[..length.saturating_sub(1)]) || length == 0);
        for at in 0..length {
            let mut other = name.as_bytes()[..length].to_vec();
            other[at] = b'.';
            assert!(!text.is(str::from_utf8(&other).unwrap()), "{length} {at}");
        }
    }
}
