//! The API as an `OpenAPI` 3.1 document: which paths there are stands in [`paths`], what each takes and who may call
//! it is asked of [`api`], and the bootstrap object is the parser's own [`crate::schema`].

use core::fmt::Write as _;

use crate::api::{self, Access, Method, Resource, Standing};
use crate::node::SOFTWARE_VERSION;
use crate::write::Writer;

pub mod paths;
mod schemas;

use paths::{Answer, Operation, PATHS, Path, Shows};

/// What any request can be answered with, because of the message that it is or of the state of the node.
const REFUSALS: [u16; 10] = [400, 403, 408, 413, 414, 417, 431, 501, 503, 505];

const ABOUT: &str = "The bootstrap API of a node. Before the node is in a cluster it is open, afterwards it asks for the \
                     cluster's credentials. /bootstrap and /v1/boostrap are /v1/bootstrap, /bootstrap/{action} is \
                     /v1/bootstrap/{action}; one trailing slash is accepted.";

/// What the components begin with: how to log in, and answers that many operations share.
const COMPONENTS: &str = concat!(
    r#""securitySchemes":{"basic":{"type":"http","scheme":"basic"}},"responses":{"#,
    r#""refused":{"description":"Refused, or not possible now","content":{"application/json":{"schema":"#,
    r##"{"$ref":"#/components/schemas/error"}}}},"##,
    r#""unauthorized":{"description":"The credentials are missing or wrong","headers":{"WWW-Authenticate":"#,
    r#"{"required":true,"schema":{"type":"string"}}}},"head":{"description":"What GET answers, without the body"},"#,
    r#""options":{"description":"The methods","headers":{"Allow":{"required":true,"schema":{"type":"string"}}}}}"#,
);

/// Writes the document.
pub fn write(writer: &mut Writer<'_>) {
    writer.open('{').name("openapi").text("3.1.0").name("info").open('{').name("title").text("bootstrapd");
    writer.name("version").text(SOFTWARE_VERSION).name("description").text(ABOUT).close('}');
    writer.name("paths").open('{');
    for path in PATHS {
        write_path(path, writer);
    }
    writer.close('}').name("components").open('{').value(COMPONENTS).name("schemas").open('{');
    schemas::write(writer);
    writer.close('}').close('}').close('}');
}

fn write_path(path: &Path, writer: &mut Writer<'_>) {
    let resource = path.resource();
    writer.name(path.template).open('{');
    if !path.parameters.is_empty() {
        writer.name("parameters").value(path.parameters);
    }
    for operation in path.operations {
        write_operation(operation, resource, writer);
        if operation.method == Method::Get && resource.takes(Method::Head, true) {
            writer.name("head").open('{');
            write_parameters(operation, writer);
            write_security(resource, Method::Head, writer);
            writer.name("responses").open('{').name("default");
            write_shared("head", writer);
            writer.close('}').close('}');
        }
    }
    if resource.takes(Method::Options, true) {
        writer.name("options").open('{');
        write_security(resource, Method::Options, writer);
        writer.name("responses").open('{').name("200");
        write_shared("options", writer);
        if needs_login(resource, Method::Options) {
            writer.name("401");
            write_shared("unauthorized", writer);
        }
        writer.name("default");
        write_shared("refused", writer);
        writer.close('}').close('}');
    }
    writer.close('}');
}

fn write_operation(operation: &Operation, resource: Resource, writer: &mut Writer<'_>) {
    writer.name(method_name(operation.method)).open('{').name("operationId").text(operation.id);
    writer.name("summary").text(operation.summary);
    write_parameters(operation, writer);
    write_security(resource, operation.method, writer);
    if let Some(body) = operation.body {
        writer.name("requestBody").open('{').name("required").bool(true).name("content").open('{');
        write_content(resource.media_type(), Some(body), writer);
        writer.close('}').close('}');
    }
    writer.name("responses").open('{');
    for answer in operation.answers {
        write_answer(answer, resource, writer);
    }
    if needs_login(resource, operation.method) {
        writer.name("401");
        write_shared("unauthorized", writer);
    }
    let of_method: &[u16] = if operation.body.is_some() { &[409, 411, 415] } else { &[406] };
    for status in REFUSALS.iter().chain(of_method).chain(operation.refusals) {
        if operation.answers.iter().all(|answer| answer.status != *status) {
            write_status(*status, writer);
            write_shared("refused", writer);
        }
    }
    writer.close('}').close('}');
}

fn write_parameters(operation: &Operation, writer: &mut Writer<'_>) {
    if !operation.parameters.is_empty() {
        writer.name("parameters").value(operation.parameters);
    }
}

/// Says who may call: strangers, until the node is in a cluster; or nobody without credentials.
fn write_security(resource: Resource, method: Method, writer: &mut Writer<'_>) {
    if needs_login(resource, method) {
        let has_cluster = matches!(api::access(resource, method, Standing::Open, true), Access::NoCluster);
        writer.name("security").value(if has_cluster { r#"[{"basic":[]}]"# } else { r#"[{"basic":[]},{}]"# });
    }
}

/// Whether a node in a cluster, or sent away by one, asks for credentials or checks them.
fn needs_login(resource: Resource, method: Method) -> bool {
    matches!(
        api::access(resource, method, Standing::Closed { expelled: false }, true),
        Access::Credentials | Access::CheckIfGiven
    )
}

fn write_answer(answer: &Answer, resource: Resource, writer: &mut Writer<'_>) {
    write_status(answer.status, writer);
    writer.open('{').name("description").text(answer.means);
    match answer.shows {
        Shows::Nothing => {}
        Shows::Word => {
            writer.name("content").open('{');
            write_content(resource.media_type(), None, writer);
            writer.close('}');
        }
        Shows::WordOrError => {
            writer.name("content").open('{');
            write_content(resource.media_type(), None, writer);
            write_content("application/json", Some("error"), writer);
            writer.close('}');
        }
        Shows::Document(name) => {
            writer.name("content").open('{');
            write_content(resource.media_type(), Some(name), writer);
            writer.close('}');
        }
        Shows::DocumentOrEvents(name) => {
            writer.name("content").open('{');
            write_content(resource.media_type(), Some(name), writer);
            write_content(api::EVENTS, None, writer);
            writer.close('}');
        }
    }
    writer.close('}');
}

fn write_content(media_type: &str, schema: Option<&str>, writer: &mut Writer<'_>) {
    writer.name(media_type).open('{').name("schema").open('{');
    match schema {
        Some(name) => write_reference("schemas", name, writer),
        None => _ = writer.name("type").text("string"),
    }
    writer.close('}').close('}');
}

fn write_shared(name: &str, writer: &mut Writer<'_>) {
    writer.open('{');
    write_reference("responses", name, writer);
    writer.close('}');
}

fn write_reference(kind: &str, name: &str, writer: &mut Writer<'_>) {
    writer.name("$ref").display(format_args!("#/components/{kind}/{name}"));
}

/// Writes a status code as a member's name.
fn write_status(status: u16, writer: &mut Writer<'_>) {
    let mut name = heapless::String::<5>::new();
    // The digits of any number of sixteen bits fit.
    let _ = write!(name, "{status}");
    writer.name(&name);
}

const fn method_name(method: Method) -> &'static str {
    match method {
        Method::Get => "get",
        Method::Head => "head",
        Method::Post => "post",
        Method::Put => "put",
        Method::Options => "options",
        Method::Other => "",
    }
}

#[cfg(test)]
mod tests;
