//! A chunked body: sizes, extensions, trailers.

use super::{FIELDS_MAX, Refused, refused};

/// A chunk's size line or a trailer field.
const LINE_BYTES_MAX: usize = 1024;

/// Decodes a chunked body, in whatever pieces it comes.
#[derive(Debug)]
pub struct Chunks {
    expect: Expect,
    line: Vec<u8>,
    trailers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Size,
    Data(usize),
    DataEnd,
    Trailer,
    Nothing,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { expect: Expect::Size, line: Vec::new(), trailers: 0 }
    }
}

impl Chunks {
    /// Whether the body is complete.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.expect == Expect::Nothing
    }

    /// Takes bytes off the front of `input` and hands the body's to `keep`, until the body or the input ends.
    /// Returns how many were taken.
    ///
    /// # Errors
    /// A [`Refused`] where the chunks are malformed, or from `keep`.
    pub fn decode(
        &mut self,
        input: &[u8],
        mut keep: impl FnMut(&[u8]) -> Result<(), Refused>,
    ) -> Result<usize, Refused> {
        let mut rest = input;
        while !rest.is_empty() && !self.is_done() {
            if let Expect::Data(left) = self.expect {
                let (data, behind) = rest.split_at_checked(left).unwrap_or((rest, &[]));
                keep(data)?;
                rest = behind;
                let left = left.saturating_sub(data.len());
                self.expect = if left == 0 { Expect::DataEnd } else { Expect::Data(left) };
            } else {
                let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at.saturating_add(1));
                let (piece, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
                self.line.extend_from_slice(piece);
                rest = behind;
                if self.line.len() > LINE_BYTES_MAX {
                    return refused(400, "a chunk's line is too long");
                }
                if self.line.ends_with(b"\n") {
                    self.line_ended()?;
                    self.line.clear();
                }
            }
        }
        Ok(input.len().saturating_sub(rest.len()))
    }

    fn line_ended(&mut self) -> Result<(), Refused> {
        let Some(line) = self.line.strip_suffix(b"\r\n").filter(|line| !line.contains(&b'\r')) else {
            return refused(400, "a chunk's line does not end in CR LF");
        };
        self.expect = match self.expect {
            Expect::Size => match chunk_size(line) {
                Some(0) => Expect::Trailer,
                Some(size) => Expect::Data(size),
                None => return refused(400, "a chunk's size is malformed"),
            },
            Expect::DataEnd if line.is_empty() => Expect::Size,
            Expect::DataEnd => return refused(400, "a chunk is longer than its size"),
            Expect::Trailer if line.is_empty() => Expect::Nothing,
            Expect::Trailer => {
                self.trailers = self.trailers.saturating_add(1);
                if self.trailers > FIELDS_MAX || !is_trailer(line) {
                    return refused(400, "a trailer field is malformed");
                }
                Expect::Trailer
            }
            Expect::Data(_) | Expect::Nothing => return refused(400, "a chunk is malformed"),
        };
        Ok(())
    }
}

/// `chunk-size [ chunk-ext ]`: at most eight hexadecimal digits; extensions are checked and ignored.
fn chunk_size(line: &[u8]) -> Option<usize> {
    let line = std::str::from_utf8(line).ok()?;
    let digits = line.bytes().take_while(u8::is_ascii_hexdigit).count();
    let (size, mut extensions) = line.split_at_checked(digits).filter(|_| (1..=8).contains(&digits))?;
    while !extensions.is_empty() {
        extensions = extension(extensions)?;
    }
    usize::from_str_radix(size, 16).ok()
}

/// One `BWS ";" BWS name [ BWS "=" BWS value ]`, and what follows it.
fn extension(text: &str) -> Option<&str> {
    let spaces: &[char] = &[' ', '\t'];
    let rest = text.trim_start_matches(spaces).strip_prefix(';')?.trim_start_matches(spaces);
    let rest = token(rest)?;
    let Some(value) = rest.trim_start_matches(spaces).strip_prefix('=') else {
        return Some(rest);
    };
    let value = value.trim_start_matches(spaces);
    match value.strip_prefix('"') {
        Some(quoted) => quoted_end(quoted),
        None => token(value),
    }
}

/// What follows a token, which must have at least one character.
fn token(text: &str) -> Option<&str> {
    let end = text.bytes().take_while(|byte| is_token_byte(*byte)).count();
    text.get(end..).filter(|_| end > 0)
}

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// What follows the closing quote.
fn quoted_end(text: &str) -> Option<&str> {
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return Some(characters.as_str()),
            '\\' => _ = characters.next().filter(|character| !character.is_control())?,
            '\t' => {}
            character if character.is_control() => return None,
            _ => {}
        }
    }
}

/// A trailer field that cannot be mistaken for one that frames, routes or authenticates.
fn is_trailer(line: &[u8]) -> bool {
    const FORBIDDEN: [&str; 8] = [
        "content-length",
        "transfer-encoding",
        "host",
        "authorization",
        "content-type",
        "content-encoding",
        "trailer",
        "connection",
    ];
    let Some((name, value)) = line.iter().position(|byte| *byte == b':').and_then(|colon| line.split_at_checked(colon))
    else {
        return false;
    };
    let Ok(name) = std::str::from_utf8(name) else { return false };
    !name.is_empty()
        && name.bytes().all(is_token_byte)
        && value.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7F))
        && !FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden))
}
