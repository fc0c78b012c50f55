use std::string::String;
use std::vec;
use std::vec::Vec;

use serde_json::{Value, json};

use super::*;
use crate::json;

fn written(write: impl Fn(&mut Writer<'_>)) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    let length = writer.finish().unwrap();
    buffer.truncate(length);
    buffer
}

fn read_back(write: impl Fn(&mut Writer<'_>)) -> Value {
    let document = written(write);
    assert_eq!(json::check(&document), Ok(()), "{}", String::from_utf8_lossy(&document));
    serde_json::from_slice(&document).unwrap()
}

fn everything(writer: &mut Writer<'_>) {
    writer.open('{').name("empty").open('{').close('}').name("list").open('[').number(0).number(u64::MAX);
    writer.text("a\"\\\n\u{1}\u{7f}\u{e9}\u{1f511}").bool(true).bool(false).open('[').close(']').open('{').close('}');
    writer.close(']').name("time").time(Timestamp::from_seconds(1_409_311_189)).name("value").value("[1,2]");
    writer.name("shown").display(format_args!("{}\t{}", 1, '"')).name("ready").escaped_text("\\n").close('}');
}

#[test]
fn what_is_written_is_read_back() {
    let expected = json!({
        "empty": {},
        "list": [0, u64::MAX, "a\"\\\n\u{1}\u{7f}\u{e9}\u{1f511}", true, false, [], {}],
        "time": "2014-08-29T11:19:49Z",
        "value": [1, 2],
        "shown": "1\t\"",
        "ready": "\n",
    });
    assert_eq!(read_back(everything), expected);
}

#[test]
fn every_character_survives() {
    let last = if cfg!(miri) { 0x180 } else { 0x1_1000 };
    let all: String = (0..last).filter_map(char::from_u32).collect();
    for chunk in all.chars().collect::<Vec<_>>().chunks(300) {
        let text: String = chunk.iter().collect();
        assert_eq!(read_back(|writer| _ = writer.text(&text)), Value::from(text.as_str()));
        assert_eq!(read_back(|writer| _ = writer.display(&text)), Value::from(text.as_str()));
    }
}

#[test]
fn numbers_and_times_are_written_in_full() {
    for number in [0, 1, 9, 10, 99, 100, 12_345, 10_000_000_000_000_000_000, u64::MAX] {
        assert_eq!(written(|writer| _ = writer.number(number)), std::format!("{number}").into_bytes());
    }
    for seconds in [0, 59, 86_399, 951_782_400, u64::MAX] {
        let time = Timestamp::from_seconds(seconds);
        assert_eq!(written(|writer| _ = writer.time(time)), std::format!("\"{time}\"").into_bytes());
    }
}

#[test]
fn overflow_is_reported_exactly_when_something_does_not_fit() {
    let whole = written(everything);
    for room in 0..=whole.len() + 1 {
        let mut buffer = vec![0; room];
        let mut writer = Writer::new(&mut buffer);
        everything(&mut writer);
        let expected = if room < whole.len() { Err(TooLong) } else { Ok(whole.len()) };
        assert_eq!(writer.finish(), expected, "{room}");
        if room >= whole.len() {
            assert_eq!(&buffer[..whole.len()], whole);
        }
    }
}

#[test]
fn nothing_is_written_after_what_did_not_fit() {
    let mut buffer = [0; 4];
    let mut writer = Writer::new(&mut buffer);
    writer.open('[').text("long").number(1);
    assert!(writer.length() <= 4);
    assert_eq!(writer.finish(), Err(TooLong));
}
