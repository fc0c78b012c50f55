//! The walk over a body: tokens in, members kept, problems and warnings noted. Iterative; one frame for each open
//! object that the table knows.

use core::fmt;

use heapless::Vec;

use super::table::{KeepText, Kind, Object, Reason};
use super::{Action, Config, Warning, WarningReason, demands};
use crate::json::{Fault, Reader, Text, Token};
use crate::limits::UNKNOWN_MEMBERS_MAX;
use crate::problems::{Name, Place, Problems};

/// Objects of the table inside each other: the body, `node`, `identity`.
const FRAMES_MAX: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Frame {
    object: Object,
    /// Which element of its array this object is. A byte, as no array here has more, and frames are copied a lot.
    element: Option<u8>,
}

/// Where the walk is, as little as tells it; a [`Place`] is made of it where something is wrong.
#[derive(Clone, Copy)]
struct Spot {
    frame: Frame,
    name: &'static str,
    index: Option<u8>,
}

impl Spot {
    #[cold]
    fn place(self) -> Place<'static> {
        let Self { frame: Frame { object, element }, name, index } = self;
        let [element, index] = [element, index].map(|position| position.map(usize::from));
        Place { element, index, ..Place::member(object.path(), name) }
    }
}

/// A member that the table does not know, and the object that it stands in.
#[derive(Clone, Copy)]
struct Unknown<'a> {
    parent: Frame,
    name: Text<'a>,
}

/// Which members of each object were given, null or not, and which of them hold a value.
#[derive(Clone, Copy, Default)]
pub(super) struct Seen {
    names: [u32; Object::COUNT],
    values: [u32; Object::COUNT],
}

impl Seen {
    /// Whether the member holds a value, right or wrong.
    pub(super) fn value(&self, object: Object, name: &str) -> bool {
        let bit = object.members().iter().position(|member| member.name == name).map_or(0, bit);
        self.values.get(object as usize).is_some_and(|values| values & bit != 0)
    }
}

fn bit(index: usize) -> u32 {
    u32::try_from(index).ok().and_then(|index| 1_u32.checked_shl(index)).unwrap_or_default()
}

struct Walk<'a, 'b> {
    reader: Reader<'a>,
    config: &'b mut Config,
    problems: &'b mut Problems,
    action: Action,
    frames: Vec<Frame, FRAMES_MAX>,
    unknown: Vec<Unknown<'a>, UNKNOWN_MEMBERS_MAX>,
    seen: Seen,
}

/// Reads `body` into a cleared `config`.
pub(super) fn read(config: &mut Config, body: &[u8], action: Action, problems: &mut Problems) {
    let walked = Reader::new(body).and_then(|reader| {
        let mut walk =
            Walk { reader, config, problems, action, frames: Vec::new(), unknown: Vec::new(), seen: Seen::default() };
        walk.document()?;
        Ok(walk.seen)
    });
    match walked {
        Ok(seen) => demands::check(config, action, &seen, problems),
        Err(fault) => {
            // What was found before means little in a text that is not JSON.
            problems.clear();
            problems.add(Place::DOCUMENT, format_args!("is {fault}"));
        }
    }
}

impl<'a> Walk<'a, '_> {
    fn document(&mut self) -> Result<(), Fault> {
        match self.reader.token()? {
            Some(Token::ObjectStart) => self.push(Object::Root, None),
            Some(token) => {
                self.problems.add(Place::DOCUMENT, "must be an object");
                self.reader.skip_rest(token)?;
            }
            None => {}
        }
        while let Some(frame) = self.frames.last().copied() {
            match self.reader.next_name()? {
                Some(name) => self.name(frame, name)?,
                None => self.pop(frame)?,
            }
        }
        // Nothing may follow.
        self.reader.token().map(|_| ())
    }

    fn push(&mut self, object: Object, element: Option<u8>) {
        if let Some(seen) = self.seen.names.get_mut(object as usize) {
            *seen = 0;
        }
        // FRAMES_MAX is the table's depth.
        let _ = self.frames.push(Frame { object, element });
    }

    fn pop(&mut self, frame: Frame) -> Result<(), Fault> {
        self.frames.pop();
        if let Some(element) = frame.element {
            self.demand_member(frame);
            return self.element(frame.object, element.saturating_add(1));
        }
        Ok(())
    }

    fn demand_member(&mut self, frame: Frame) {
        if let Some(name) = frame.object.demanded()
            && !self.seen.value(frame.object, name)
        {
            self.problems.add(Spot { frame, name, index: None }.place(), "is required");
        }
        if let Some(values) = self.seen.values.get_mut(frame.object as usize) {
            *values = 0;
        }
    }

    fn name(&mut self, frame: Frame, name: Text<'a>) -> Result<(), Fault> {
        let members = frame.object.members();
        let Some((index, member)) = members.iter().enumerate().find(|(_, member)| name.is(member.name)) else {
            return self.unknown(frame, name);
        };
        let object = frame.object as usize;
        let spot = Spot { frame, name: member.name, index: None };
        let bit = bit(index);
        let Some(seen) = self.seen.names.get_mut(object) else { return Ok(()) };
        if *seen & bit != 0 {
            self.problems.add(spot.place(), "is given twice");
            return self.reader.skip_value();
        }
        *seen |= bit;
        let token = self.reader.next_value()?;
        if matches!(token, Token::Null) {
            return Ok(());
        }
        if let Some(values) = self.seen.values.get_mut(object) {
            *values |= bit;
        }
        self.value(member.kind, spot, token)
    }

    fn unknown(&mut self, frame: Frame, name: Text<'a>) -> Result<(), Fault> {
        let element = frame.element.map(usize::from);
        let place = Place { path: frame.object.path(), element, name: Some(Name::Foreign(name)), index: None };
        if self.unknown.iter().any(|other| other.parent == frame && other.name.same(name)) {
            self.problems.add(place, "is given twice");
        } else if self.unknown.push(Unknown { parent: frame, name }).is_err() {
            self.problems.add(place, format_args!("is one unknown member too many (at most {UNKNOWN_MEMBERS_MAX})"));
        } else {
            self.warn(place, WarningReason::Unknown);
        }
        self.reader.skip_value()
    }

    fn warn(&mut self, place: Place<'_>, reason: WarningReason) {
        // WARNINGS_MAX has room for every kind; unknown members are counted before they come here.
        let _ = self.config.warnings.push(Warning::new(place, reason));
    }

    fn value(&mut self, kind: Kind, spot: Spot, token: Token<'a>) -> Result<(), Fault> {
        match (kind, token) {
            (Kind::Bool(keep), Token::Bool(value)) => keep(self.config, value),
            (Kind::Integer(min, max, keep), Token::Number(number)) => match number.parse::<u64>() {
                Ok(value) if (min..=max).contains(&value) => keep(self.config, value),
                _ => self.problems.add(spot.place(), Whole(min, max)),
            },
            (Kind::Text(_, keep), Token::Text(text)) => self.text(keep, text, spot, false),
            (Kind::Choice(choices, keep), Token::Text(text)) => {
                match choices.iter().position(|choice| text.is(choice)) {
                    Some(choice) => {
                        keep(self.config, choice);
                        self.compare_action(spot, text);
                    }
                    None => self.problems.add(spot.place(), OneOf(choices)),
                }
            }
            (Kind::Quoted(_, keep) | Kind::Texts(_, _, keep), Token::Text(text)) => self.text(keep, text, spot, true),
            (Kind::Texts(max, _, keep), Token::ArrayStart) => return self.texts(max, keep, spot),
            (Kind::Object(object), Token::ObjectStart) => self.push(object, None),
            (Kind::Objects(_, object, _), Token::ArrayStart) => return self.element(object, 0),
            (Kind::Unused, token) => {
                self.warn(spot.place(), WarningReason::Unused);
                return self.reader.skip_rest(token);
            }
            (kind, token) => {
                self.problems.add(spot.place(), expected(kind));
                return self.reader.skip_rest(token);
            }
        }
        Ok(())
    }

    fn compare_action(&mut self, spot: Spot, given: Text<'a>) {
        let is_action = spot.frame.object == Object::Root;
        let asked = self.action.name();
        if is_action && !given.is(asked) {
            self.problems.add(spot.place(), format_args!("must be the path's own action, {asked}"));
        }
    }

    fn text(&mut self, keep: KeepText, text: Text<'a>, spot: Spot, quote: bool) {
        match keep(self.config, text) {
            Ok(()) => {}
            Err(Reason::TooLong(max)) => {
                self.problems.add(spot.place(), format_args!("must be at most {max} bytes long"));
            }
            Err(Reason::Rule(rule)) if quote => self.problems.add_quoted(spot.place(), text, rule),
            Err(Reason::Rule(rule)) => self.problems.add(spot.place(), rule),
        }
    }

    /// The strings of an array, to its end.
    fn texts(&mut self, max: usize, keep: KeepText, spot: Spot) -> Result<(), Fault> {
        let mut index = 0_u8;
        loop {
            let spot = Spot { index: Some(index), ..spot };
            match self.reader.token()? {
                Some(Token::ArrayEnd) | None => return Ok(()),
                Some(token) if usize::from(index) >= max => {
                    if usize::from(index) == max {
                        let whole = Spot { index: None, ..spot };
                        self.problems.add(whole.place(), format_args!("must have at most {max} elements"));
                    }
                    self.reader.skip_rest(token)?;
                }
                Some(Token::Text(text)) => self.text(keep, text, spot, true),
                Some(token) => {
                    self.problems.add(spot.place(), "must be a string");
                    self.reader.skip_rest(token)?;
                }
            }
            index = index.saturating_add(1);
        }
    }

    /// Goes on in an array of objects: opens the next one that is an object, or ends the array.
    fn element(&mut self, object: Object, from: u8) -> Result<(), Fault> {
        let kind = Object::Root.members().iter().map(|member| member.kind);
        let kind = kind.into_iter().find(|kind| matches!(kind, Kind::Objects(_, inner, _) if *inner == object));
        let Some(Kind::Objects(max, _, begin)) = kind else { return Ok(()) };
        let mut index = from;
        loop {
            let place = Place { path: object.path(), element: Some(index.into()), name: None, index: None };
            match self.reader.token()? {
                Some(Token::ArrayEnd) | None => return Ok(()),
                Some(token) if usize::from(index) >= max => {
                    if usize::from(index) == max {
                        let whole = Place { element: None, ..place };
                        self.problems.add(whole, format_args!("must have at most {max} elements"));
                    }
                    self.reader.skip_rest(token)?;
                }
                Some(Token::ObjectStart) => {
                    begin(self.config);
                    self.push(object, Some(index));
                    return Ok(());
                }
                Some(token) => {
                    self.problems.add(place, "must be an object");
                    self.reader.skip_rest(token)?;
                    // What comes behind it keeps its place.
                    begin(self.config);
                }
            }
            index = index.saturating_add(1);
        }
    }
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool(_) => "must be true or false",
        Kind::Integer(..) => "must be a whole number",
        Kind::Text(..) | Kind::Quoted(..) | Kind::Choice(..) => "must be a string",
        Kind::Texts(..) => "must be an array of strings, or one string",
        Kind::Object(_) => "must be an object",
        Kind::Objects(..) => "must be an array of objects",
        Kind::Unused => "may be anything",
    }
}

struct Whole(u64, u64);

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be a whole number between {} and {}", self.0, self.1)
    }
}

struct OneOf(&'static [&'static str]);

impl fmt::Display for OneOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be one of")?;
        self.0.iter().try_for_each(|choice| write!(f, " {choice}"))
    }
}
