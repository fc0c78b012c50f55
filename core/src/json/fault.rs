//! What can be wrong with a text that is to be JSON.

use core::fmt;

/// Why a text is not JSON, and the offset of the byte that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub kind: FaultKind,
    /// Offset in bytes.
    pub at: usize,
}

/// What is wrong with a text that is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The text ends inside a value, or is empty.
    Ends,
    /// A byte that cannot stand here.
    Unexpected,
    /// Not UTF-8.
    Encoding,
    /// An escape that JSON does not have, or half a surrogate pair.
    Escape,
    /// A control character inside a string.
    Control,
    /// A number that JSON would write otherwise.
    Number,
    /// Deeper than [`NESTING_MAX`](crate::limits::NESTING_MAX).
    Nesting,
    /// Something after the value.
    Trailing,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            FaultKind::Ends => "the text ends too early",
            FaultKind::Unexpected => "unexpected character",
            FaultKind::Encoding => "not UTF-8",
            FaultKind::Escape => "bad escape in a string",
            FaultKind::Control => "control character in a string",
            FaultKind::Number => "bad number",
            FaultKind::Nesting => "nested too deep",
            FaultKind::Trailing => "something follows the value",
        };
        write!(f, "not JSON: {what}, at byte {}", self.at)
    }
}
