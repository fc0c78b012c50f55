//! The log: one logfmt line for each event, on standard error, in one write.

use std::fmt::{Display, Write as _};
use std::io::Write as _;

/// Writes one event. Values are quoted and escaped, whatever they hold.
pub fn event(level: &str, message: &str, fields: &[(&str, &dyn Display)]) {
    let mut line = format!("level={level} msg={message:?}");
    for (name, value) in fields {
        let _ = write!(line, " {name}={:?}", value.to_string());
    }
    line.push('\n');
    // There is nobody to tell that nobody listens.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Something that was expected to happen.
pub fn info(message: &str, fields: &[(&str, &dyn Display)]) {
    event("info", message, fields);
}

/// Something that somebody should look at.
pub fn warn(message: &str, fields: &[(&str, &dyn Display)]) {
    event("warn", message, fields);
}
