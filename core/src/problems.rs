//! Everything that is wrong with one configuration, as the wire shows it: a JSON pointer and a sentence each.

use core::fmt::{self, Write as _};

use heapless::String;

use crate::json::{Text, TooLong, ordinary_length};
use crate::limits::{PATH_BYTES_MAX, PROBLEMS_BYTES_MAX};
use crate::write::{Writer, escape};

/// Where in a bootstrap object something is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Names of the objects around it, outermost first.
    pub path: &'a [&'a str],
    /// The element, where the innermost object is one of an array.
    pub element: Option<usize>,
    /// The member's own name; `None` for the object itself.
    pub name: Option<Name<'a>>,
    /// The element of the member's array.
    pub index: Option<usize>,
}

/// A member's name: ours, or one that a client made up.
#[derive(Clone, Copy, Debug)]
pub enum Name<'a> {
    /// A name from the table.
    Known(&'a str),
    /// A name from the body.
    Foreign(Text<'a>),
}

impl<'a> Place<'a> {
    /// The document as a whole.
    pub const DOCUMENT: Place<'static> = Place { path: &[], element: None, name: None, index: None };

    /// A known member of the object at `path`.
    #[must_use]
    pub const fn member(path: &'a [&'a str], name: &'a str) -> Self {
        Self { path, element: None, name: Some(Name::Known(name)), index: None }
    }

    /// The JSON pointer (RFC 6901).
    #[must_use]
    pub const fn pointer(self) -> impl fmt::Display + use<'a> {
        Pointer(self)
    }

    /// The path as people write it: `cluster.nodes[3]`.
    #[must_use]
    pub const fn dotted(self) -> impl fmt::Display + use<'a> {
        Dotted(self)
    }
}

struct Pointer<'a>(Place<'a>);

impl fmt::Display for Pointer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { path, element, name, index } = self.0;
        for object in path {
            f.write_str("/")?;
            f.write_str(object)?;
        }
        if let Some(element) = element {
            write!(f, "/{element}")?;
        }
        match name {
            Some(Name::Known(name)) => write!(f, "/{name}")?,
            Some(Name::Foreign(name)) => {
                f.write_str("/")?;
                write_pieces(name, |piece| {
                    for (position, part) in piece.split('~').enumerate() {
                        f.write_str(if position == 0 { "" } else { "~0" })?;
                        for (position, part) in part.split('/').enumerate() {
                            f.write_str(if position == 0 { "" } else { "~1" })?;
                            f.write_str(part)?;
                        }
                    }
                    Ok(())
                })?;
            }
            None => {}
        }
        index.map_or(Ok(()), |index| write!(f, "/{index}"))
    }
}

struct Dotted<'a>(Place<'a>);

impl fmt::Display for Dotted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { path, element, name, index } = self.0;
        if path.is_empty() && name.is_none() {
            return f.write_str("the body");
        }
        for (position, object) in path.iter().enumerate() {
            f.write_str(if position == 0 { "" } else { "." })?;
            f.write_str(object)?;
        }
        if let Some(element) = element {
            write!(f, "[{element}]")?;
        }
        let dot = if path.is_empty() { "" } else { "." };
        match name {
            Some(Name::Known(name)) => write!(f, "{dot}{name}")?,
            Some(Name::Foreign(name)) => {
                f.write_str(dot)?;
                write_pieces(name, |piece| f.write_str(piece))?;
            }
            None => {}
        }
        index.map_or(Ok(()), |index| write!(f, "[{index}]"))
    }
}

/// Hands an unescaped text to `write`, in pieces as long as it has them.
fn write_pieces(text: Text<'_>, mut write: impl FnMut(&str) -> fmt::Result) -> fmt::Result {
    text.pieces(|piece| write(piece).map_err(|fmt::Error| TooLong)).map_err(|TooLong| fmt::Error)
}

/// A text of a client quoted in a message: no longer than a path may be.
#[derive(Clone, Copy)]
struct Quoted<'a>(Text<'a>);

impl Quoted<'_> {
    fn write(&self, f: &mut impl fmt::Write) -> fmt::Result {
        f.write_str("\"")?;
        let mut room = PATH_BYTES_MAX;
        let mut written = Ok(());
        let whole = self.0.pieces(|piece| {
            let kept = piece.get(..piece.floor_char_boundary(room)).unwrap_or_default();
            written = written.and_then(|()| f.write_str(kept));
            room = room.saturating_sub(piece.len());
            if kept.len() == piece.len() { Ok(()) } else { Err(TooLong) }
        });
        written?;
        f.write_str(if whole.is_ok() { "\"" } else { "...\"" })
    }
}

/// What is written when the list is full; its room is kept free.
const MORE: &str = r#",{"pointer":"","message":"there are more problems than fit into this list"}"#;
/// What stands around its message.
const MORE_FRAME: (&str, &str) = (r#"{"pointer":"","message":""#, r#""}"#);

/// The problems found so far, written as JSON objects separated by commas.
#[derive(Debug, Default)]
pub struct Problems {
    json: String<PROBLEMS_BYTES_MAX>,
    /// Where the first message's content lies in `json`.
    first: (usize, usize),
    full: bool,
}

impl Problems {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { json: String::new(), first: (0, 0), full: false }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.json.is_empty()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.json.clear();
        self.first = (0, 0);
        self.full = false;
    }

    /// Adds one: the message is the place's dotted name and `what` behind it. A problem that does not fit is
    /// replaced, once, by an entry that says so.
    pub fn add(&mut self, place: Place<'_>, what: impl fmt::Display) {
        self.add_what(place, What::Words(&what));
    }

    /// The same, for a text that breaks a rule: the message names it.
    pub(crate) fn add_quoted(&mut self, place: Place<'_>, text: Text<'_>, rule: &str) {
        self.add_what(place, What::Quoted(Quoted(text), rule));
    }

    fn add_what(&mut self, place: Place<'_>, what: What<'_>) {
        if self.full {
            return;
        }
        let before = self.json.len();
        let first = self.is_empty();
        if self.write(place, what, first).is_err() {
            self.json.truncate(before);
            let more = if first { MORE.get(1..).unwrap_or_default() } else { MORE };
            // Every other write leaves this room.
            let _ = self.json.push_str(more);
            if first {
                self.first = (MORE_FRAME.0.len(), more.len().saturating_sub(MORE_FRAME.1.len()));
            }
            self.full = true;
        }
    }

    fn write(&mut self, place: Place<'_>, what: What<'_>, first: bool) -> fmt::Result {
        let json = &mut self.json;
        json.write_str(if first { "{\"pointer\":\"" } else { ",{\"pointer\":\"" })?;
        write_joined(json, place, "/", |json| write!(Escaped(json), "{}", place.pointer()))?;
        json.write_str("\",\"message\":\"")?;
        let message = json.len();
        write_joined(json, place, ".", |json| write!(Escaped(json), "{}", place.dotted()))?;
        json.write_str(" ")?;
        match what {
            What::Words(words) => write!(Escaped(json), "{words}")?,
            What::Quoted(quoted, rule) => {
                quoted.write(&mut Escaped(json))?;
                json.write_str(" ")?;
                json.write_str(rule)?;
            }
        }
        if first {
            self.first = (message, json.len());
        }
        json.write_str("\"}")
    }

    /// The list's elements, JSON objects separated by commas.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The first message's content, escaped for JSON.
    #[must_use]
    pub fn first_message(&self) -> &str {
        self.json.get(self.first.0..self.first.1).unwrap_or_default()
    }

    /// Writes the answer to a configuration that was refused because of them. In few large pieces: this is what a
    /// wrong body costs.
    pub fn write_refusal(&self, writer: &mut Writer<'_>) {
        let first = self.first_message();
        writer.raw("{\"error_code\":\"config_error\",\"description\":\"invalid_schema: ").raw(first);
        writer.raw("\",\"error_details\":{\"message\":\"").raw(first).raw("\",\"problems\":[");
        writer.raw(&self.json).raw("]}}");
    }

    /// The first message, to be unescaped by whoever shows it elsewhere.
    #[must_use]
    pub fn first(&self) -> Text<'_> {
        Text::from_escaped(self.first_message())
    }

    /// Takes over what `other` holds.
    pub fn copy_from(&mut self, other: &Self) {
        self.restore(&other.json, other.first, other.full);
    }

    /// The list as a record keeps it: the text and where its first message lies.
    pub(crate) fn kept(&self) -> (&str, (usize, usize)) {
        (&self.json, self.first)
    }

    /// Takes over what [`Problems::kept`] gave.
    pub(crate) fn restore(&mut self, json: &str, first: (usize, usize), full: bool) {
        self.clear();
        if self.json.push_str(json).is_ok() {
            self.first = first;
            self.full = full;
        }
    }
}

/// What is wrong somewhere.
#[derive(Clone, Copy)]
enum What<'a> {
    Words(&'a dyn fmt::Display),
    /// A text and the rule that it breaks, which needs no escape.
    Quoted(Quoted<'a>, &'a str),
}

/// Writes the names on the way to `place` with `mark` between them, where all are ours and so need no escape; this is
/// what nearly every problem takes. Other places are written by `otherwise`.
fn write_joined(
    json: &mut String<PROBLEMS_BYTES_MAX>,
    place: Place<'_>,
    mark: &str,
    otherwise: impl FnOnce(&mut String<PROBLEMS_BYTES_MAX>) -> fmt::Result,
) -> fmt::Result {
    let Place { path, element: None, name: Some(Name::Known(name)), index: None } = place else {
        return otherwise(json);
    };
    for (position, object) in path.iter().chain([&name]).enumerate() {
        // A pointer begins with its mark, a dotted name does not.
        if position > 0 || mark == "/" {
            json.write_str(mark)?;
        }
        json.write_str(object)?;
    }
    Ok(())
}

/// Escapes what is written through it, and keeps the last entry's room free.
struct Escaped<'a>(&'a mut String<PROBLEMS_BYTES_MAX>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut written = Ok(());
        if ordinary_length(text.as_bytes()) == text.len() {
            written = self.0.push_str(text).map_err(|_| fmt::Error);
        } else {
            escape(text, |piece| written = written.and_then(|()| self.0.write_str(piece)));
        }
        let limit = PROBLEMS_BYTES_MAX.saturating_sub(MORE.len()).saturating_sub("\",\"message\":\"\"}".len());
        if self.0.len() > limit { Err(fmt::Error) } else { written }
    }
}
