//! Writes JSON into a fixed buffer.

use core::fmt::{self, Write as _};

use crate::json::{TooLong, ordinary_length};
use crate::time::{Civil, Timestamp};

/// Writes JSON into a fixed buffer, commas and escapes included. What does not fit is remembered by
/// [`Writer::finish`], never written in part and taken for whole.
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    length: usize,
    /// What did not fit, and whatever came after that.
    lost: usize,
    full: bool,
    comma: bool,
}

impl<'a> Writer<'a> {
    /// A writer at the start of `buffer`.
    pub const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, length: 0, lost: 0, full: false, comma: false }
    }

    /// How long something would be, in bytes, without writing it anywhere.
    pub fn measure(write: impl FnOnce(&mut Writer<'_>)) -> usize {
        let mut nowhere = Writer::new(&mut []);
        write(&mut nowhere);
        nowhere.lost
    }

    /// The length so far, in bytes.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// The length written, in bytes.
    ///
    /// # Errors
    /// [`TooLong`] when something did not fit.
    pub const fn finish(self) -> Result<usize, TooLong> {
        if self.full { Err(TooLong) } else { Ok(self.length) }
    }

    /// Opens an object or array: `{` or `[`.
    #[inline(never)]
    pub fn open(&mut self, bracket: char) -> &mut Self {
        self.separate();
        self.comma = false;
        self.character(bracket)
    }

    /// Closes what was opened: `}` or `]`.
    #[inline(never)]
    pub fn close(&mut self, bracket: char) -> &mut Self {
        self.comma = true;
        self.character(bracket)
    }

    /// A member's name, which must need no escape.
    #[inline(never)]
    pub fn name(&mut self, name: &str) -> &mut Self {
        self.separate();
        self.comma = false;
        let end = self.length.saturating_add(name.len()).saturating_add("\"\":".len());
        // In one piece: a document is names for the most part.
        match self.buffer.get_mut(self.length..end) {
            Some([first, room @ .., last, colon]) if !self.full => {
                (*first, *last, *colon) = (b'"', b'"', b':');
                room.copy_from_slice(name.as_bytes());
                self.length = end;
            }
            _ => self.lose(end.saturating_sub(self.length)),
        }
        self
    }

    /// A string.
    #[inline(never)]
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.separate();
        self.raw("\"");
        self.escaped(text);
        self.raw("\"")
    }

    /// A string from anything that can be displayed.
    pub fn display(&mut self, value: impl fmt::Display) -> &mut Self {
        self.separate();
        self.raw("\"");
        // The writer itself never fails; a Display that does only shortens its own text.
        let _ = write!(Escaped(self), "{value}");
        self.raw("\"")
    }

    /// A whole number.
    #[inline(never)]
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.separate();
        self.digits(number, 1)
    }

    /// The digits of a number whose sign was just written as a value.
    pub(crate) fn raw_number(&mut self, number: u64) -> &mut Self {
        self.digits(number, 1)
    }

    /// `true` or `false`.
    #[inline(never)]
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.separate();
        self.raw(if value { "true" } else { "false" })
    }

    /// A value that is JSON already.
    pub fn value(&mut self, json: &str) -> &mut Self {
        self.separate();
        self.raw(json)
    }

    /// A string whose content is escaped already.
    pub fn escaped_text(&mut self, content: &str) -> &mut Self {
        self.separate();
        self.raw("\"").raw(content).raw("\"")
    }

    /// A moment. Written by hand: the status document does this on every answer.
    pub fn time(&mut self, time: Timestamp) -> &mut Self {
        let Civil { year, month, day, time: [hour, minute, second], .. } = time.civil();
        self.separate();
        self.raw("\"").digits(year, 4).raw("-").digits(month, 2).raw("-").digits(day, 2);
        self.raw("T").digits(hour, 2).raw(":").digits(minute, 2).raw(":").digits(second, 2).raw("Z\"")
    }

    /// Bytes as they are, outside the comma rule.
    pub fn raw(&mut self, text: &str) -> &mut Self {
        self.raw_bytes(text.as_bytes())
    }

    /// The same, of bytes that are text.
    #[inline(never)]
    fn raw_bytes(&mut self, text: &[u8]) -> &mut Self {
        let end = self.length.saturating_add(text.len());
        match self.buffer.get_mut(self.length..end) {
            Some(room) if !self.full => {
                room.copy_from_slice(text);
                self.length = end;
            }
            _ => self.lose(text.len()),
        }
        self
    }

    #[cold]
    fn lose(&mut self, bytes: usize) {
        self.full = true;
        self.lost = self.lost.saturating_add(bytes);
    }

    fn character(&mut self, character: char) -> &mut Self {
        self.raw(character.encode_utf8(&mut [0; 4]))
    }

    fn separate(&mut self) {
        if self.comma {
            self.raw(",");
        }
        self.comma = true;
    }

    fn digits(&mut self, number: u64, width: usize) -> &mut Self {
        let mut digits = [b'0'; 20];
        let mut first = digits.len();
        let mut rest = number;
        for digit in digits.iter_mut().rev() {
            if rest == 0 && first <= 20_usize.saturating_sub(width) {
                break;
            }
            // A remainder below ten always fits a byte.
            *digit = b'0'.saturating_add(u8::try_from(rest % 10).unwrap_or_default());
            rest /= 10;
            first = first.saturating_sub(1);
        }
        self.raw_bytes(digits.get(first..).unwrap_or_default())
    }

    fn escaped(&mut self, text: &str) {
        escape(text, |piece| _ = self.raw(piece));
    }
}

/// Hands `text` to `put` piece by piece, with everything escaped that a JSON string must escape.
pub(crate) fn escape(text: &str, mut put: impl FnMut(&str)) {
    let mut rest = text;
    while !rest.is_empty() {
        let (ordinary, special) = rest.split_at_checked(ordinary_length(rest.as_bytes())).unwrap_or((rest, ""));
        put(ordinary);
        let mut characters = special.chars();
        match characters.next() {
            None => {}
            Some('"') => put("\\\""),
            Some('\\') => put("\\\\"),
            Some('\n') => put("\\n"),
            Some('\r') => put("\\r"),
            Some('\t') => put("\\t"),
            Some(control) => {
                let digit = |nibble: u32| char::from_digit(nibble & 15, 16).unwrap_or('0');
                let code = u32::from(control);
                put("\\u00");
                put(digit(code >> 4).encode_utf8(&mut [0; 4]));
                put(digit(code).encode_utf8(&mut [0; 4]));
            }
        }
        rest = characters.as_str();
    }
}

/// Escapes whatever is written through it.
struct Escaped<'a, 'b>(&'a mut Writer<'b>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.escaped(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
