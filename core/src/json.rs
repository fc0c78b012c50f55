//! JSON as RFC 8259 has it: the reader of everything that comes from outside.
//!
//! It is iterative, bounded in depth, borrows everything and copies nothing. It accepts exactly the
//! grammar: no byte-order mark, no lone surrogate, no control character in a string, nothing after the value.
//! Whether names repeat is not grammar; whoever walks the tokens decides that.

#![expect(clippy::inline_always, reason = "measured: without it a body costs 15 % more instructions")]

use core::str;

use crate::limits::NESTING_MAX;

mod fault;
mod scan;
mod text;

pub use fault::{Fault, FaultKind};
pub use scan::find_byte;
pub(crate) use scan::{has_either, ordinary_length};
pub use text::{Text, TooLong, Unescape};

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
            Expect::NameOrEnd => self.name(byte).map(|name| Some(Token::Name(name))),
            Expect::CommaOrEnd => self.comma_or_end(byte).map(Some),
            Expect::End => match byte {
                None => Ok(None),
                Some(_) => Err(self.fault(FaultKind::Trailing)),
            },
        }
    }

    /// The next member's name, inside an object; `None` at the object's end. The same as [`Reader::token`], for a
    /// caller that knows where it is.
    ///
    /// # Errors
    /// A [`Fault`] where the text is not JSON.
    #[inline(always)]
    pub fn next_name(&mut self) -> Result<Option<Text<'a>>, Fault> {
        let mut byte = self.skip_space();
        if byte == Some(b'}') {
            self.close();
            return Ok(None);
        }
        if self.expect == Expect::CommaOrEnd {
            self.demand(byte, b',')?;
            self.step(1);
            byte = self.skip_space();
        }
        self.name(byte).map(Some)
    }

    /// The first token of a member's value. The same as [`Reader::token`], for a caller that has just read its name.
    ///
    /// # Errors
    /// A [`Fault`] where the text is not JSON.
    #[inline(always)]
    pub fn next_value(&mut self) -> Result<Token<'a>, Fault> {
        let byte = self.skip_space();
        self.value(byte)
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

    /// Steps over what is left of a value whose first token was `token`.
    ///
    /// # Errors
    /// A [`Fault`] where the text is not JSON.
    pub fn skip_rest(&mut self, token: Token<'a>) -> Result<(), Fault> {
        if matches!(token, Token::ObjectStart | Token::ArrayStart) {
            let outside = self.depth.saturating_sub(1);
            while self.depth > outside {
                self.token()?;
            }
        }
        Ok(())
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    #[inline(always)]
    fn comma_or_end(&mut self, byte: Option<u8>) -> Result<Token<'a>, Fault> {
        let close = if self.in_object() { b'}' } else { b']' };
        match byte {
            Some(b',') => {
                self.step(1);
                let byte = self.skip_space();
                if self.in_object() { self.name(byte).map(Token::Name) } else { self.value(byte) }
            }
            Some(byte) if byte == close => Ok(self.close()),
            Some(_) => Err(self.fault(FaultKind::Unexpected)),
            None => Err(self.fault(FaultKind::Ends)),
        }
    }

    #[inline(always)]
    fn name(&mut self, byte: Option<u8>) -> Result<Text<'a>, Fault> {
        self.demand(byte, b'"')?;
        let name = self.string()?;
        let colon = self.skip_space();
        self.demand(colon, b':')?;
        self.step(1);
        self.expect = Expect::Value;
        Ok(name)
    }

    #[inline(always)]
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

    #[inline(always)]
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

    #[inline(always)]
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

    #[inline(always)]
    fn string(&mut self) -> Result<Text<'a>, Fault> {
        self.step(1);
        let start = self.at;
        let mut escaped = false;
        loop {
            self.step(ordinary_length(self.rest()));
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
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

    #[inline(never)]
    fn escape(&mut self) -> Result<(), Fault> {
        let behind = self.rest().get(1..).unwrap_or_default();
        let Some((_, length)) = text::escape(behind) else { return Err(self.fault(FaultKind::Escape)) };
        self.step(length.wrapping_add(1));
        Ok(())
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

    #[inline(always)]
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
        // Never past the text's end by more than a byte, so this cannot wrap; a check would cost on every byte.
        self.at = self.at.wrapping_add(bytes);
    }

    #[cold]
    #[inline(never)]
    fn fault(&self, kind: FaultKind) -> Fault {
        Fault { kind, at: self.at }
    }
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
