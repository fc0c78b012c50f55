//! The reader agrees with another one on what JSON is and what its strings say; the writer is read back.

#![no_main]

use bootstrapd_core::json::{self, Fault, FaultKind, Reader, Token};
use bootstrapd_core::write::Writer;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|document: &[u8]| {
    let ours = json::check(document);
    let theirs = serde_json::from_slice::<Value>(document);
    match (&ours, &theirs) {
        (Ok(()), Ok(value)) => {
            let written = rewritten(document);
            assert_eq!(serde_json::from_slice::<Value>(&written).ok().as_ref(), Some(value));
        }
        // Our nesting is smaller, their numbers are doubles.
        (Err(Fault { kind: FaultKind::Nesting, .. }), _) => {}
        (Ok(()), Err(error)) => assert!(error.to_string().contains("number out of range"), "{error}"),
        (Err(fault), theirs) => {
            assert!(fault.at <= document.len());
            assert!(theirs.is_err(), "{fault}");
        }
    }
});

/// The document again, token by token through the writer.
fn rewritten(document: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; 6 * document.len() + 16];
    let mut writer = Writer::new(&mut buffer);
    let mut reader = Reader::new(document).unwrap();
    let text = |text: json::Text<'_>| text.chars().collect::<String>();
    while let Some(token) = reader.token().unwrap() {
        match token {
            Token::ObjectStart => writer.open('{'),
            Token::ObjectEnd => writer.close('}'),
            Token::ArrayStart => writer.open('['),
            Token::ArrayEnd => writer.close(']'),
            // A name is written as it stands; the writer's own names need no escape.
            Token::Name(name) => {
                let name = Value::from(text(name)).to_string();
                writer.name(&name[1..name.len() - 1])
            }
            Token::Text(value) if value.plain().is_some() => writer.text(value.plain().unwrap()),
            Token::Text(value) => writer.display(text(value)),
            Token::Number(number) => writer.value(number),
            Token::Bool(value) => writer.bool(value),
            Token::Null => writer.value("null"),
        };
    }
    let length = writer.finish().unwrap();
    buffer.truncate(length);
    buffer
}
