//! The bodies of PUTs as JSON Schemas, written from the table that they are read by: what a schema refuses is a problem.
//! It is laxer where no schema can say it; see [`crate::schema`].

use super::table::{Kind, members};
use super::{ADDRESS_BYTES_MAX, Target};
use crate::config::form::{Form, Like};
use crate::limits::{EXTERNAL_ADDRESSES_MAX, LICENSE_BYTES_MAX, RACK_BYTES_MAX};
use crate::schema;
use crate::write::Writer;

const ADDRESS: Like = Like::new(Form::Address, ADDRESS_BYTES_MAX).once();
const RACK: Like = Like::new(Form::Rack, RACK_BYTES_MAX);
const LICENSE: Like = Like::new(Form::Anything, LICENSE_BYTES_MAX);

/// Writes the schema of a PUT's body. Null is the same as absent, and all that may be said of what a PUT leaves as it is.
pub fn write(target: Target, writer: &mut Writer<'_>) {
    writer.open('{').name("type").text("object");
    if target == Target::License {
        writer.name("required").value(r#"["license"]"#);
    }
    writer.name("properties").open('{');
    for member in members(target) {
        writer.name(member.name).open('{');
        match member.kind {
            Kind::AcceptServers => _ = writer.name("type").value(r#"["boolean","null"]"#),
            Kind::ExternalAddr => schema::write_texts(EXTERNAL_ADDRESSES_MAX, ADDRESS, true, writer),
            Kind::RackId => schema::write_text(RACK, true, writer),
            Kind::License => {
                schema::write_text(LICENSE, false, writer);
                // Not blank: that would ask for a trial.
                writer.name("pattern").text("[^\\t\\n\\f\\r ]");
            }
            Kind::RackAware => _ = writer.name("enum").value("[true,null]"),
            Kind::Fixed => _ = writer.name("type").text("null"),
        }
        writer.close('}');
    }
    writer.close('}').close('}');
}
