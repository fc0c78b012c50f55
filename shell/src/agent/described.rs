//! What describes the API to machines: the schema of the bootstrap object and the document of all paths.

use bootstrapd_core::api::Described;
use bootstrapd_core::{openapi, schema};

use super::page::Reply;
use super::{Agent, Step};
use crate::http;

impl Agent {
    /// Answers with the schema of an object.
    // Not inlined: what it needs of the stack stays resident.
    #[inline(never)]
    pub(super) fn schema(&mut self, described: Described, reply: &mut Reply<'_>) -> Step {
        match described {
            Described::Bootstrap => self.document(200, "", reply, |_, writer| schema::write(writer)),
            Described::Missing => self.error(400, http::error_code(400), "object is missing: ?object=bootstrap", reply),
            Described::Unknown => {
                self.error(404, http::error_code(404), "there is a schema of no object but bootstrap", reply)
            }
        }
    }

    /// Answers with the document of all paths.
    #[inline(never)]
    pub(super) fn openapi(&mut self, reply: &mut Reply<'_>) -> Step {
        self.document(200, "", reply, |_, writer| openapi::write(writer))
    }
}
