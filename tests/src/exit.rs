//! The exit codes, and what must be true of every run that has one.

use serde_json::Value;

use crate::Outcome;
use crate::body::PASSWORD;

/// Done.
pub const DONE: Option<i32> = Some(0);
/// The bootstrap ended in `error`.
pub const FAILED: Option<i32> = Some(1);
/// The command line is wrong.
pub const USAGE: Option<i32> = Some(64);
/// The service cannot be reached.
pub const UNREACHABLE: Option<i32> = Some(69);
/// Refused: in progress, or already in a cluster.
pub const REFUSED: Option<i32> = Some(73);
/// Timed out.
pub const TIMED_OUT: Option<i32> = Some(75);
/// Access denied.
pub const DENIED: Option<i32> = Some(77);
/// The configuration is wrong.
pub const CONFIG: Option<i32> = Some(78);

/// Asserts that a verb ended with this code, and with nothing on standard error that should not be there.
pub fn assert_exit(outcome: &Outcome, code: Option<i32>) {
    assert_eq!(outcome.code, code, "{outcome:?}");
    assert_eq!(outcome.errors.is_empty(), code == DONE, "what goes wrong is said on standard error: {outcome:?}");
    assert!(!outcome.output.contains(PASSWORD) && !outcome.errors.contains(PASSWORD), "{outcome:?}");
}

/// The output, which must be JSON on one line.
pub fn one_line_of_json(outcome: &Outcome) -> Value {
    assert_eq!(outcome.output.matches('\n').count(), 1, "{outcome:?}");
    serde_json::from_str(&outcome.output).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
}
