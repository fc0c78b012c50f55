//! The bootstrap object as a JSON Schema (2020-12), written from the parser's own table: what the schema refuses, the
//! parser refuses. It is laxer where no schema can say it: lengths in bytes (`x-max-bytes` names them), a member given
//! twice, two equal ports, sixty-five unknown members.

use heapless::Vec;

use crate::config::Action;
use crate::config::demands;
use crate::config::form::Like;
use crate::config::table::{Kind, Member, Object};
use crate::write::Writer;

mod words;

/// Objects of the table inside each other: the body, `node`, `identity`.
const FRAMES_MAX: usize = 3;

/// An object whose members are being written.
struct Frame {
    object: Object,
    /// The members still to be written.
    members: &'static [Member],
}

/// Writes the schema as a document of its own. With `action` given in the body, it says what that action demands.
pub fn write(writer: &mut Writer<'_>) {
    writer
        .open('{')
        .name("$schema")
        .text("https://json-schema.org/draft/2020-12/schema")
        .name("title")
        .text("bootstrap");
    write_members(writer);
    writer.name("allOf").open('[');
    for action in Action::ALL {
        writer.open('{').name("if").open('{').name("required").value("[\"action\"]");
        writer.name("properties").open('{').name("action").open('{').name("const").text(action.name());
        writer.close('}').close('}').close('}').name("then");
        write_demands(action, writer);
        writer.close('}');
    }
    writer.close(']').close('}');
}

/// Writes the schema without what only one action demands.
pub fn write_object(writer: &mut Writer<'_>) {
    writer.open('{');
    write_members(writer);
    writer.close('}');
}

/// Writes what one action demands, as a schema.
pub fn write_demands(action: Action, writer: &mut Writer<'_>) {
    writer.value("{").raw(demands::schema(action)).raw("}");
}

fn write_members(writer: &mut Writer<'_>) {
    let mut frames = Vec::<Frame, FRAMES_MAX>::new();
    begin(Object::Root, writer, &mut frames);
    while let Some(frame) = frames.last_mut() {
        let object = frame.object;
        let Some((member, rest)) = frame.members.split_first() else {
            frames.pop();
            // The body itself stays open for what its writer adds.
            writer.close('}');
            if object != Object::Root {
                end(object, writer);
            }
            continue;
        };
        frame.members = rest;
        writer.name(member.name).open('{');
        let words = words::of(object, member.name);
        if !words.is_empty() {
            writer.name("description").text(words);
        }
        match member.kind {
            Kind::Object(inner) => begin(inner, writer, &mut frames),
            Kind::Objects(max, inner, _) => {
                write_type("array", true, writer);
                write_number("maxItems", max, writer);
                write_raw(demands::schema_of(inner), writer);
                writer.name("items").open('{');
                begin(inner, writer, &mut frames);
            }
            kind @ (Kind::Bool(_)
            | Kind::Integer(..)
            | Kind::Text(..)
            | Kind::Quoted(..)
            | Kind::Choice(..)
            | Kind::Texts(..)
            | Kind::Unused) => {
                write_value(kind, object.demanded() != Some(member.name), writer);
                writer.close('}');
            }
        }
    }
}

/// Opens the members of an object whose schema is open.
fn begin(object: Object, writer: &mut Writer<'_>, frames: &mut Vec<Frame, FRAMES_MAX>) {
    let demanded = object.demanded();
    write_type("object", object != Object::Root && demanded.is_none(), writer);
    match demanded {
        Some(name) => _ = writer.name("required").open('[').text(name).close(']'),
        None => write_raw(demands::schema_of(object), writer),
    }
    writer.name("properties").open('{');
    // FRAMES_MAX is the table's depth.
    let _ = frames.push(Frame { object, members: object.members() });
}

/// Closes the schema of an object, and of the array that it is an element of.
fn end(object: Object, writer: &mut Writer<'_>) {
    writer.close('}');
    if object.demanded().is_some() {
        writer.close('}');
    }
}

/// Writes what a value may be. Null is the same as absent, but for a member that must be there.
fn write_value(kind: Kind, is_nullable: bool, writer: &mut Writer<'_>) {
    match kind {
        Kind::Bool(_) => write_type("boolean", is_nullable, writer),
        Kind::Integer(min, max, _) => {
            write_type("integer", is_nullable, writer);
            writer.name("minimum").number(min).name("maximum").number(max);
        }
        Kind::Text(like, _) | Kind::Quoted(like, _) => write_text(like, is_nullable, writer),
        Kind::Choice(choices, _) => {
            writer.name("enum").open('[');
            for choice in choices {
                writer.text(choice);
            }
            writer.value("null").close(']');
        }
        Kind::Texts(max, like, _) => write_texts(max, like, is_nullable, writer),
        Kind::Object(_) | Kind::Objects(..) | Kind::Unused => {}
    }
}

/// Writes what a list of texts may be, which one text is as well.
pub(crate) fn write_texts(max: usize, like: Like, is_nullable: bool, writer: &mut Writer<'_>) {
    writer.name("anyOf").open('[').open('{');
    write_type("array", is_nullable, writer);
    write_number("maxItems", max, writer);
    if like.is_once {
        writer.name("uniqueItems").bool(true);
    }
    writer.name("items").open('{');
    write_text(like, false, writer);
    writer.close('}').close('}').open('{');
    write_text(like, false, writer);
    writer.close('}').close(']');
}

/// Writes what a text may be.
pub(crate) fn write_text(like: Like, is_nullable: bool, writer: &mut Writer<'_>) {
    write_type("string", is_nullable, writer);
    // No text has more characters than bytes.
    write_number("maxLength", like.bytes_max.into(), writer);
    if !like.form.is_ascii() {
        write_number("x-max-bytes", like.bytes_max.into(), writer);
    }
    write_raw(like.form.schema(), writer);
}

fn write_type(name: &str, is_nullable: bool, writer: &mut Writer<'_>) {
    writer.name("type");
    if is_nullable {
        writer.open('[').text(name).text("null").close(']');
    } else {
        writer.text(name);
    }
}

fn write_number(name: &str, number: usize, writer: &mut Writer<'_>) {
    writer.name(name).number(u64::try_from(number).unwrap_or(u64::MAX));
}

/// Writes members that are JSON already.
fn write_raw(members: &str, writer: &mut Writer<'_>) {
    if !members.is_empty() {
        writer.value(members);
    }
}

#[cfg(test)]
mod tests;
