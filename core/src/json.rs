//! JSON as RFC 8259 has it: the reader of everything that comes from outside.
//!
//! It is iterative, bounded in depth, borrows everything and copies nothing. It accepts exactly the
//! grammar: no byte-order mark, no lone surrogate, no control character in a string, nothing after the value.
//! Whether names repeat is not grammar; whoever walks the tokens decides that.

use core::fmt;
use core::str;

use heapless::String;

use crate::limits::NESTING_MAX;

/// One token of a document, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// `{`
    ObjectStart,
    /// `}`
    ObjectEnd,
    /// `[`
    ArrayStart,
    /// `]`
    ArrayEnd,
    /// A member's name; its value follows.
    Name(Text<'a>),
    /// A string.
    Text(Text<'a>),
    /// A number, as written.
    Number(&'a str),
    /// `true` or `false`.
    Bool(bool),
    /// `null`
    Null,
}

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
    /// Deeper than [`NESTING_MAX`].
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

/// A string's content as it stands between the quotes, its escapes already checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    raw: &'a str,
    escaped: bool,
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
    pub fn is(self, other: &str) -> bool {
        match self.plain() {
            Some(plain) => plain == other,
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
    pub fn copy_to<const N: usize>(self, target: &mut String<N>) -> Result<(), TooLong> {
        let before = target.len();
        let copied = match self.plain() {
            Some(plain) => target.push_str(plain),
            None => self.chars().try_for_each(|character| target.push(character)),
        };
        copied.map_err(|_| {
            target.truncate(before);
            TooLong
        })
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
fn escape(bytes: &[u8]) -> Option<(char, usize)> {
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

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Value,
    ValueOrEnd,
    NameOrEnd,
    CommaOrEnd,
    End,
}

/// Reads one document token by token.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
    /// One bit per open level, the innermost lowest: 1 for an object.
    objects: u32,
    expect: Expect,
}

const _: () = assert!(NESTING_MAX <= u32::BITS);

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    ///
    /// # Errors
    /// [`FaultKind::Encoding`] where the bytes are not UTF-8.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Fault> {
        let text =
            str::from_utf8(bytes).map_err(|error| Fault { kind: FaultKind::Encoding, at: error.valid_up_to() })?;
        Ok(Self { text, at: 0, depth: 0, objects: 0, expect: Expect::Value })
    }

    /// Arrays and objects open at the moment.
    #[must_use]
    pub const fn depth(&self) -> u32 {
        self.depth
    }

    /// The next token; `None` once the one value is complete and nothing but white space follows it.
    ///
    /// # Errors
    /// A [`Fault`] where the text is not JSON.
    pub fn token(&mut self) -> Result<Option<Token<'a>>, Fault> {
        let byte = self.skip_space();
        match self.expect {
            Expect::ValueOrEnd if byte == Some(b']') => Ok(Some(self.close())),
            Expect::Value | Expect::ValueOrEnd => self.value(byte).map(Some),
            Expect::NameOrEnd if byte == Some(b'}') => Ok(Some(self.close())),
            Expect::NameOrEnd => self.name(byte).map(Some),
            Expect::CommaOrEnd => self.comma_or_end(byte).map(Some),
            Expect::End => match byte {
                None => Ok(None),
                Some(_) => Err(self.fault(FaultKind::Trailing)),
            },
        }
    }

    /// Steps over one value, whatever it holds. To be called where a value is next.
    ///
    /// # Errors
    /// A [`Fault`] where the text is not JSON.
    pub fn skip_value(&mut self) -> Result<(), Fault> {
        let outside = self.depth;
        loop {
            self.token()?;
            if self.depth <= outside {
                return Ok(());
            }
        }
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    fn comma_or_end(&mut self, byte: Option<u8>) -> Result<Token<'a>, Fault> {
        let close = if self.in_object() { b'}' } else { b']' };
        match byte {
            Some(b',') => {
                self.step(1);
                let byte = self.skip_space();
                if self.in_object() { self.name(byte) } else { self.value(byte) }
            }
            Some(byte) if byte == close => Ok(self.close()),
            Some(_) => Err(self.fault(FaultKind::Unexpected)),
            None => Err(self.fault(FaultKind::Ends)),
        }
    }

    fn name(&mut self, byte: Option<u8>) -> Result<Token<'a>, Fault> {
        self.demand(byte, b'"')?;
        let name = self.string()?;
        let colon = self.skip_space();
        self.demand(colon, b':')?;
        self.step(1);
        self.expect = Expect::Value;
        Ok(Token::Name(name))
    }

    fn value(&mut self, byte: Option<u8>) -> Result<Token<'a>, Fault> {
        let Some(byte) = byte else {
            return Err(self.fault(FaultKind::Ends));
        };
        let token = match byte {
            b'{' => return self.open(true),
            b'[' => return self.open(false),
            b'"' => Token::Text(self.string()?),
            b'-' | b'0'..=b'9' => Token::Number(self.number()?),
            b't' => self.word("true", Token::Bool(true))?,
            b'f' => self.word("false", Token::Bool(false))?,
            b'n' => self.word("null", Token::Null)?,
            _ => return Err(self.fault(FaultKind::Unexpected)),
        };
        self.after_value();
        Ok(token)
    }

    fn open(&mut self, object: bool) -> Result<Token<'a>, Fault> {
        if self.depth >= NESTING_MAX {
            return Err(self.fault(FaultKind::Nesting));
        }
        self.step(1);
        self.depth = self.depth.saturating_add(1);
        self.objects = self.objects << 1 | u32::from(object);
        self.expect = if object { Expect::NameOrEnd } else { Expect::ValueOrEnd };
        Ok(if object { Token::ObjectStart } else { Token::ArrayStart })
    }

    fn close(&mut self) -> Token<'a> {
        let object = self.in_object();
        self.step(1);
        self.depth = self.depth.saturating_sub(1);
        self.objects >>= 1;
        self.after_value();
        if object { Token::ObjectEnd } else { Token::ArrayEnd }
    }

    fn after_value(&mut self) {
        self.expect = if self.depth == 0 { Expect::End } else { Expect::CommaOrEnd };
    }

    fn word(&mut self, word: &str, token: Token<'a>) -> Result<Token<'a>, Fault> {
        for expected in word.bytes() {
            let byte = self.peek();
            self.demand(byte, expected)?;
            self.step(1);
        }
        Ok(token)
    }

    fn string(&mut self) -> Result<Text<'a>, Fault> {
        self.step(1);
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = self.at.saturating_add(ordinary_length(self.rest()));
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    let length = escape(self.text.as_bytes().get(self.at.saturating_add(1)..).unwrap_or_default());
                    let Some((_, length)) = length else {
                        return Err(self.fault(FaultKind::Escape));
                    };
                    self.step(length.saturating_add(1));
                }
                Some(_) => return Err(self.fault(FaultKind::Control)),
                None => return Err(self.fault(FaultKind::Ends)),
            }
        }
        // Both ends are at ASCII quotes, so this is always a whole piece of the text.
        let raw = self.text.get(start..self.at).unwrap_or_default();
        self.step(1);
        Ok(Text { raw, escaped })
    }

    fn number(&mut self) -> Result<&'a str, Fault> {
        let start = self.at;
        self.step(usize::from(self.peek() == Some(b'-')));
        if self.peek() == Some(b'0') {
            self.step(1);
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.step(1);
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.step(1);
            self.step(usize::from(matches!(self.peek(), Some(b'+' | b'-'))));
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.fault(FaultKind::Number));
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.fault(FaultKind::Number));
        }
        self.step(count);
        Ok(())
    }

    fn skip_space(&mut self) -> Option<u8> {
        loop {
            let byte = self.peek();
            if !matches!(byte, Some(b' ' | b'\n' | b'\r' | b'\t')) {
                return byte;
            }
            self.step(1);
        }
    }

    fn demand(&self, byte: Option<u8>, expected: u8) -> Result<(), Fault> {
        match byte {
            Some(byte) if byte == expected => Ok(()),
            Some(_) => Err(self.fault(FaultKind::Unexpected)),
            None => Err(self.fault(FaultKind::Ends)),
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn step(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    fn fault(&self, kind: FaultKind) -> Fault {
        Fault { kind, at: self.at }
    }
}

/// How many bytes at the start of `bytes` are neither quote, backslash nor control: eight at a time.
pub(crate) fn ordinary_length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    // The classic "does this word have a zero byte" test; exact up to the first hit, and that is all we use.
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & TOPS;
    let (words, _) = bytes.as_chunks::<8>();
    let mut length = 0_usize;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES.wrapping_mul(0x20)) & !word & TOPS;
        let hits = control | has_zero(word ^ ONES.wrapping_mul(0x22)) | has_zero(word ^ ONES.wrapping_mul(0x5C));
        if hits != 0 {
            return length.saturating_add(hits.trailing_zeros() as usize / 8);
        }
        length = length.saturating_add(8);
    }
    let rest = bytes.get(length..).unwrap_or_default();
    length.saturating_add(rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count())
}

/// Checks that `bytes` are one JSON value that this crate would read.
///
/// # Errors
/// The first [`Fault`].
pub fn check(bytes: &[u8]) -> Result<(), Fault> {
    let mut reader = Reader::new(bytes)?;
    while reader.token()?.is_some() {}
    Ok(())
}

#[cfg(test)]
mod tests;
