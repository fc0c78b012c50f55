//! Reads what [`Writer`](crate::write::Writer) wrote, call by call the same: the strict half of a symmetrical codec.

use core::mem;
use core::net::{IpAddr, Ipv4Addr};

use heapless::String;
use heapless::string::StringView;
use heapless::vec::VecView;

use crate::json::{Reader, Text, Token};
use crate::record::Fault;
use crate::time::Timestamp;

/// Reads one JSON value by saying what comes next. Anything else is remembered by [`Fields::finish`], as a writer
/// remembers that it was full: from there on nothing is read, no list has more elements, and the values that were
/// to be filled keep what they had.
#[derive(Debug)]
pub struct Fields<'a> {
    reader: Reader<'a>,
    next: Option<Token<'a>>,
    torn: bool,
}

impl<'a> Fields<'a> {
    /// A reader at the start of `bytes`.
    ///
    /// # Errors
    /// [`Fault::Torn`] where the bytes are not UTF-8.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Fault> {
        let reader = Reader::new(bytes).map_err(|_| Fault::Torn)?;
        let mut fields = Self { reader, next: None, torn: false };
        fields.take();
        Ok(fields)
    }

    /// Whether all that was asked for was there, and nothing behind it.
    ///
    /// # Errors
    /// [`Fault::Torn`] where it was not.
    pub const fn finish(self) -> Result<(), Fault> {
        if self.torn || self.next.is_some() { Err(Fault::Torn) } else { Ok(()) }
    }

    /// The beginning of an object or array: `{` or `[`.
    #[inline(never)]
    pub fn open(&mut self, bracket: char) -> &mut Self {
        let start = if bracket == '{' { Token::ObjectStart } else { Token::ArrayStart };
        let found = self.take() == Some(start);
        self.demand(found)
    }

    /// Its end: `}` or `]`.
    #[inline(never)]
    pub fn close(&mut self, bracket: char) -> &mut Self {
        let end = if bracket == '}' { Token::ObjectEnd } else { Token::ArrayEnd };
        let found = self.take() == Some(end);
        self.demand(found)
    }

    /// A member's name.
    #[inline(never)]
    pub fn name(&mut self, name: &str) -> &mut Self {
        let found = self.has(name);
        self.demand(found)
    }

    /// Whether the next member has this name; only then is the name read.
    #[inline(never)]
    pub fn has(&mut self, name: &str) -> bool {
        let found = matches!(self.next, Some(Token::Name(next)) if next.is(name));
        if found {
            self.take();
        }
        found
    }

    /// A member that may be missing: where to put its value, if it is there.
    pub fn optional<'t, T: Default>(&mut self, name: &str, target: &'t mut Option<T>) -> Option<&'t mut T> {
        *target = self.has(name).then(T::default);
        target.as_mut()
    }

    /// Whatever name the next member has; `None` at the object's end.
    pub fn any_name(&mut self) -> Option<Text<'a>> {
        let Some(Token::Name(name)) = self.next else {
            return None;
        };
        self.take();
        Some(name)
    }

    /// A string, in place of what `target` held.
    #[inline(never)]
    pub fn text(&mut self, target: &mut StringView) -> &mut Self {
        target.clear();
        let copied = matches!(self.take(), Some(Token::Text(text)) if text.copy_to(target).is_ok());
        self.demand(copied)
    }

    /// One of the words that `name` gives to `all`.
    #[inline(never)]
    pub fn word<T: Copy>(&mut self, target: &mut T, all: &[T], name: fn(T) -> &'static str) -> &mut Self {
        let word = self.plain();
        let found = all.iter().find(|one| name(**one) == word);
        self.keep(target, found.copied())
    }

    /// A whole number that `T` can hold.
    #[inline(never)]
    pub fn number<T: TryFrom<u64>>(&mut self, target: &mut T) -> &mut Self {
        let digits = self.digits();
        let number = digits.parse::<u64>().ok().and_then(|number| T::try_from(number).ok());
        self.keep(target, number)
    }

    /// A whole number that may be negative.
    #[inline(never)]
    pub fn signed(&mut self, target: &mut i64) -> &mut Self {
        let number = self.digits().parse().ok();
        self.keep(target, number)
    }

    /// `true` or `false`.
    #[inline(never)]
    pub fn bool(&mut self, target: &mut bool) -> &mut Self {
        let value = if let Some(Token::Bool(value)) = self.take() { Some(value) } else { None };
        self.keep(target, value)
    }

    /// A moment.
    #[inline(never)]
    pub fn time(&mut self, target: &mut Timestamp) -> &mut Self {
        let mut text = String::<20>::new();
        self.text(&mut text);
        self.keep(target, Timestamp::parse(&text))
    }

    /// An IP address.
    #[inline(never)]
    pub fn address(&mut self, target: &mut IpAddr) -> &mut Self {
        self.parsed(target, |text| text.parse().ok())
    }

    /// A string that `parse` makes something of.
    pub fn parsed<T>(&mut self, target: &mut T, parse: fn(&str) -> Option<T>) -> &mut Self {
        let value = parse(self.plain());
        self.keep(target, value)
    }

    /// Exactly as many bytes as `target` has, in hexadecimal digits.
    #[inline(never)]
    pub fn hex(&mut self, target: &mut [u8]) -> &mut Self {
        let (pairs, rest) = self.plain().as_bytes().as_chunks::<2>();
        let mut good = pairs.len() == target.len() && rest.is_empty();
        for (byte, pair) in target.iter_mut().zip(pairs) {
            let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
            let value = high.zip(low).map(|(high, low)| high << 4 | low);
            match value.and_then(|value| u8::try_from(value).ok()) {
                Some(value) => *byte = value,
                None => good = false,
            }
        }
        self.demand(good)
    }

    /// An array in place of what `list` held; `read` reads one element.
    pub fn list<T>(&mut self, list: &mut VecView<T>, read: fn(&mut Self) -> T) -> &mut Self {
        list.clear();
        self.open('[');
        while !self.torn && self.next != Some(Token::ArrayEnd) {
            let element = read(self);
            let pushed = list.push(element).is_ok();
            self.demand(pushed);
        }
        self.close(']')
    }

    /// An array of strings, likewise.
    pub fn texts<const N: usize>(&mut self, list: &mut VecView<String<N>>) -> &mut Self {
        self.list(list, |fields| {
            let mut text = String::new();
            fields.text(&mut text);
            text
        })
    }

    /// An array of IP addresses, likewise.
    pub fn addresses(&mut self, list: &mut VecView<IpAddr>) -> &mut Self {
        self.list(list, |fields| {
            let mut address = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            fields.address(&mut address);
            address
        })
    }

    /// Whether the next value is `null`; only then is it read.
    pub fn null(&mut self) -> bool {
        let found = self.next == Some(Token::Null);
        if found {
            self.take();
        }
        found
    }

    /// Any value, with all that is inside it.
    pub fn skip(&mut self) {
        let mut depth = 0_u32;
        loop {
            match self.take() {
                Some(Token::ObjectStart | Token::ArrayStart) => depth = depth.saturating_add(1),
                Some(Token::ObjectEnd | Token::ArrayEnd) => depth = depth.saturating_sub(1),
                Some(Token::Name(_) | Token::Text(_) | Token::Number(_) | Token::Bool(_) | Token::Null) => {}
                None => return self.tear(),
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// The next token, and steps over it.
    // The reader is big and made to be inlined where speed counts. Here it does not.
    #[inline(never)]
    fn take(&mut self) -> Option<Token<'a>> {
        if self.torn {
            return None;
        }
        let Ok(next) = self.reader.token() else {
            self.tear();
            return None;
        };
        mem::replace(&mut self.next, next)
    }

    /// A string of something that needs no escape; empty where it has one or is no string.
    #[inline(never)]
    fn plain(&mut self) -> &'a str {
        if let Some(Token::Text(text)) = self.take() { text.plain().unwrap_or_default() } else { "" }
    }

    #[inline(never)]
    fn digits(&mut self) -> &'a str {
        if let Some(Token::Number(digits)) = self.take() { digits } else { "" }
    }

    fn keep<T>(&mut self, target: &mut T, value: Option<T>) -> &mut Self {
        match value {
            Some(value) => *target = value,
            None => self.tear(),
        }
        self
    }

    fn demand(&mut self, good: bool) -> &mut Self {
        if !good {
            self.tear();
        }
        self
    }

    fn tear(&mut self) {
        self.torn = true;
        self.next = None;
    }
}
