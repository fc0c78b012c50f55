//! No `Authorization` makes the reader panic, and what it reads is what was written.

#![no_main]

use bootstrapd_shell::secret::{Login, basic};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some(login) = Login::token(text).and_then(Login::read) else { return };
    let Some(name) = login.name() else { return };
    let again = basic(name, login.password());
    if let Some(again) = Login::token(&again).and_then(Login::read) {
        assert_eq!((again.name(), again.password()), (login.name(), login.password()));
    }
});
