//! What needs more than Rust: strace, curl, faketime, etcd, ip, Chromium, bash, zsh, fish and mandoc, which must be there, and root.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "whatever fails here fails a test"
)]

mod browser;
mod clients;
mod codes;
mod curl;
mod etcd;
mod hosts;
mod hundred;
mod save;
mod shells;
mod tls;
mod trace;

use std::process::Command;

/// A command that must be installed.
fn required(name: &str) -> Command {
    let found = Command::new(name).arg("--version").output();
    assert!(found.is_ok_and(|output| output.status.success()), "this test needs {name}, and it is not installed");
    Command::new(name)
}
