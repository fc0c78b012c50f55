//! The exit codes, which scripts rely on and which never change.

/// Done.
pub const DONE: u8 = 0;
/// The bootstrap ended in `error`.
pub const FAILED: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 64;
/// The service cannot be reached.
pub const UNREACHABLE: u8 = 69;
/// Refused: in progress, already in a cluster, or another agent has the state directory.
pub const REFUSED: u8 = 73;
/// Timed out.
pub const TIMED_OUT: u8 = 75;
/// Access denied.
pub const DENIED: u8 = 77;
/// The configuration is wrong.
pub const CONFIG: u8 = 78;
