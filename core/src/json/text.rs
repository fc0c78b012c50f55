//! The content of a JSON string: its characters behind their escapes.

use heapless::string::StringView;

use super::scan::{ordinary_length, same_bytes};

/// A string's content as it stands between the quotes, its escapes already checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    pub(super) raw: &'a str,
    pub(super) escaped: bool,
}

impl<'a> Text<'a> {
    /// A string's content that was escaped here.
    pub(crate) const fn from_escaped(raw: &'a str) -> Self {
        Self { raw, escaped: true }
    }

    /// The content, when it holds no escape and so needs no copy.
    #[must_use]
    pub const fn plain(self) -> Option<&'a str> {
        if self.escaped { None } else { Some(self.raw) }
    }

    /// The characters, unescaped.
    #[must_use]
    pub const fn chars(self) -> Unescape<'a> {
        Unescape { rest: self.raw }
    }

    /// Whether the unescaped content is `other`.
    #[must_use]
    #[inline(always)]
    pub fn is(self, other: &str) -> bool {
        match self.plain() {
            // Most names differ in length or in their first byte: that much is cheaper than a call.
            Some(plain) => {
                plain.len() == other.len()
                    && plain.as_bytes().first() == other.as_bytes().first()
                    && same_bytes(plain.as_bytes(), other.as_bytes())
            }
            None => self.chars().eq(other.chars()),
        }
    }

    /// Whether two contents are the same once unescaped.
    #[must_use]
    pub fn same(self, other: Text<'_>) -> bool {
        match (self.plain(), other.plain()) {
            (Some(one), Some(two)) => one == two,
            _ => self.chars().eq(other.chars()),
        }
    }

    /// Appends the unescaped content; what does not fit is an error and leaves `target` as it was.
    ///
    /// # Errors
    /// [`TooLong`] when the content is longer than the room left.
    pub fn copy_to(self, target: &mut StringView) -> Result<(), TooLong> {
        if let Some(plain) = self.plain() {
            return target.push_str(plain).map_err(|_| TooLong);
        }
        let before = target.len();
        self.pieces(|piece| target.push_str(piece).map_err(|_| TooLong)).inspect_err(|_| target.truncate(before))
    }

    /// Hands the unescaped content to `put`, piece by piece: what stands between two escapes is one piece.
    ///
    /// # Errors
    /// The first one of `put`.
    pub fn pieces(self, mut put: impl FnMut(&str) -> Result<(), TooLong>) -> Result<(), TooLong> {
        if !self.escaped {
            return put(self.raw);
        }
        let mut rest = self.raw;
        while !rest.is_empty() {
            let (ordinary, escaped) = rest.split_at_checked(ordinary_length(rest.as_bytes())).unwrap_or((rest, ""));
            put(ordinary)?;
            let mut characters = Unescape { rest: escaped };
            if let Some(character) = characters.next() {
                put(character.encode_utf8(&mut [0; 4]))?;
            }
            rest = characters.rest;
        }
        Ok(())
    }
}

/// A text is longer than the place it goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Iterator over a string's characters with its escapes resolved.
#[derive(Clone, Debug)]
pub struct Unescape<'a> {
    rest: &'a str,
}

impl Iterator for Unescape<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let mut rest = self.rest.chars();
        let first = rest.next()?;
        self.rest = rest.as_str();
        if first != '\\' {
            return Some(first);
        }
        let (character, length) = escape(self.rest.as_bytes())?;
        self.rest = self.rest.get(length..)?;
        Some(character)
    }
}

/// Reads what follows a backslash: the character and the escape's length without the backslash.
pub(super) fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let simple = match *bytes.first()? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode_escape(bytes),
        _ => return None,
    };
    Some((simple, 1))
}

/// Reads `uXXXX`, or a surrogate pair of two of them with a backslash between.
fn unicode_escape(bytes: &[u8]) -> Option<(char, usize)> {
    let high = hex4(bytes.get(1..5)?)?;
    if let Some(character) = char::from_u32(high) {
        return Some((character, 5));
    }
    let low = match bytes.get(5..11)? {
        [b'\\', b'u', digits @ ..] => hex4(digits)?,
        _ => return None,
    };
    if !(0xD800..0xDC00).contains(&high) || !(0xDC00..0xE000).contains(&low) {
        return None;
    }
    surrogate_pair(high, low).map(|character| (character, 11))
}

fn surrogate_pair(high: u32, low: u32) -> Option<char> {
    let upper = high.checked_sub(0xD800)?.checked_mul(0x400)?;
    char::from_u32(upper.checked_add(low.checked_sub(0xDC00)?)?.checked_add(0x1_0000)?)
}

fn hex4(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |sum, digit| Some(sum << 4 | char::from(*digit).to_digit(16)?))
}
