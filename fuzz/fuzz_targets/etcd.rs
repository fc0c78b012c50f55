//! No answer of a store makes its reader panic, and what it finds in one is what any reader of JSON finds.

#![no_main]

use bootstrapd_shell::etcd;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let token = etcd::read_any(text);
    if let (Some(token), Ok(answer)) = (token, serde_json::from_str::<Value>(text)) {
        match &answer["token"] {
            Value::String(known) => assert_eq!(*known, token),
            other => assert!(other.is_number() || other.is_boolean(), "{other}"),
        }
    }
});
