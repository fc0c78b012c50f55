//! The log: one logfmt line for each event, on standard error, in one write.

use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::os::fd::AsFd as _;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// As much as a pipe takes at once (POSIX's `PIPE_BUF` on Linux).
const LINE_BYTES_MAX: usize = 4096;

/// Writes one event; one that nobody reads is dropped. Values are quoted and escaped, whatever they hold.
pub fn event(level: &str, message: &str, fields: &[(&str, &dyn Display)]) {
    let mut line = format!("level={level} msg={message:?}");
    for (name, value) in fields {
        let _ = write!(line, " {name}={:?}", value.to_string());
    }
    line.truncate(line.floor_char_boundary(LINE_BYTES_MAX - 1));
    line.push('\n');
    let mut output = std::io::stderr().lock();
    // Whoever reads the log and stops must not stop the node: a pipe that is ready takes as much as a line has.
    let is_ready = poll(&mut [PollFd::new(output.as_fd(), PollFlags::POLLOUT)], PollTimeout::ZERO);
    if is_ready == Ok(1) {
        // There is nobody to tell that nobody listens.
        let _ = output.write_all(line.as_bytes());
    }
}

/// Something that was expected to happen.
pub fn info(message: &str, fields: &[(&str, &dyn Display)]) {
    event("info", message, fields);
}

/// Something that somebody should look at.
pub fn warn(message: &str, fields: &[(&str, &dyn Display)]) {
    event("warn", message, fields);
}
