//! Runs the real binary and talks to it in exact bytes. It needs nothing but Rust: no root, no other software, no
//! network but loopback. Every test has a node of its own, in a directory of its own, on a port of the kernel's
//! choice, so all run at once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "whatever fails here fails a test"
)]

use std::thread;
use std::time::{Duration, Instant};

pub mod body;
pub mod cluster;
pub mod details;
mod directory;
pub mod etcd;
pub mod exit;
pub mod fake;
mod http;
pub mod licence;
pub mod machine;
mod node;
mod program;
mod random;
pub mod record;
mod relay;
pub mod schema;
pub mod sim;
pub mod tls;

pub use directory::{Directory, Snapshot};
pub use http::{Answer, Connection, Request, basic};
pub use node::{Node, STATE_FILES};
pub use program::{Outcome, program, run, run_with, start, use_program};
pub use random::Random;
pub use relay::{Pass, Relay, Way};

/// How long anything may take that should happen at once. Only a test that fails waits that long.
pub const AT_ONCE: Duration = Duration::from_secs(20);

/// Asks `probe` until it answers.
///
/// # Panics
/// When it has not within [`AT_ONCE`].
pub fn eventually<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    within(AT_ONCE, what, probe)
}

/// Asks `probe` until it answers.
///
/// # Panics
/// When it has not in time.
pub fn within<T>(time: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(start.elapsed() < time, "{what}: not within {time:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The middle one of some measurements.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
