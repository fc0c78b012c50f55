//! Where documents are written, and how an answer leaves.

use bootstrapd_core::api::Resource;
use bootstrapd_core::cluster::Cluster;
use bootstrapd_core::node::SOFTWARE_VERSION;
use bootstrapd_core::write::Writer;

use super::{Agent, Step};
use crate::http::{self, Answer, Delivery, Refused};

/// Where an answer goes.
#[derive(Debug)]
pub struct Reply<'a> {
    /// Appended to.
    pub out: &'a mut Vec<u8>,
    /// The body is left out.
    pub head_only: bool,
    /// The connection closes behind the answer, which may decide so itself.
    pub close: bool,
    /// The request was HTTP/1.0.
    pub is_1_0: bool,
}

/// A document, in a buffer that is as large as any and takes memory once it is used.
#[derive(Debug, Default)]
pub(super) struct Page {
    buffer: Vec<u8>,
    length: usize,
}

impl Page {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { buffer: vec![0; bytes_max], length: 0 }
    }

    pub(super) fn write(&mut self, write: impl FnOnce(&mut Writer<'_>)) {
        let mut writer = Writer::new(&mut self.buffer);
        write(&mut writer);
        self.length = writer.length();
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
}

impl Agent {
    pub(super) fn unacceptable(&mut self, reply: &mut Reply<'_>) -> Step {
        self.error(406, http::error_code(406), "nothing here is of that type", reply)
    }

    pub(super) fn nothing(&mut self, reply: &mut Reply<'_>) -> Step {
        self.error(404, http::error_code(404), "there is nothing here", reply)
    }

    pub(super) fn unauthorized(&mut self, reply: &mut Reply<'_>) -> Step {
        self.send(&Answer { status: 401, challenge: true, ..Answer::default() }, reply)
    }

    pub(super) fn busy(&mut self, why: &str, reply: &mut Reply<'_>) -> Step {
        self.page(|_, writer| write_error("busy", why, writer));
        self.send_page(503, "", Some(1), reply)
    }

    /// Answers to a message that is refused.
    pub fn refuse(&mut self, refused: Refused, reply: &mut Reply<'_>) {
        self.error(refused.status, http::error_code(refused.status), refused.reason, reply);
    }

    /// Answers to a request that has waited too long for a disk that hangs.
    pub fn stalled(&mut self, reply: &mut Reply<'_>) {
        self.error(503, "internal_error", "a file system of this node does not answer", reply);
    }

    pub(super) fn error(&mut self, status: u16, code: &str, description: &str, reply: &mut Reply<'_>) -> Step {
        self.document(status, "", reply, |_, writer| write_error(code, description, writer))
    }

    pub(super) fn word(&mut self, status: u16, word: &str, reply: &mut Reply<'_>) -> Step {
        let media_type = Resource::Health.media_type();
        self.send(&Answer { status, media_type, body: word.as_bytes(), ..Answer::default() }, reply)
    }

    pub(super) fn document(
        &mut self,
        status: u16,
        allow: &'static str,
        reply: &mut Reply<'_>,
        write: impl FnOnce(&Self, &mut Writer<'_>),
    ) -> Step {
        self.page(write);
        self.send_page(status, allow, None, reply)
    }

    /// Writes a document into the page.
    pub(super) fn page(&mut self, write: impl FnOnce(&Self, &mut Writer<'_>)) {
        let mut page = std::mem::take(&mut self.page);
        page.write(|writer| write(self, writer));
        self.page = page;
    }

    pub(super) fn send_page(
        &mut self,
        status: u16,
        allow: &'static str,
        retry_after: Option<u16>,
        reply: &mut Reply<'_>,
    ) -> Step {
        let media_type = Resource::Status.media_type();
        let answer = Answer { status, media_type, body: self.page.bytes(), allow, retry_after, ..Answer::default() };
        deliver(&answer, &self.clock.date, reply)
    }

    pub(super) fn send(&self, answer: &Answer<'_>, reply: &mut Reply<'_>) -> Step {
        deliver(answer, &self.clock.date, reply)
    }
}

pub(super) fn deliver(answer: &Answer<'_>, date: &str, reply: &mut Reply<'_>) -> Step {
    let delivery = Delivery { head_only: reply.head_only, close: reply.close, is_1_0: reply.is_1_0, date };
    answer.write(delivery, reply.out);
    Step::Answered
}

pub(super) fn write_error(code: &str, description: &str, writer: &mut Writer<'_>) {
    writer.open('{').name("error_code").text(code).name("description").text(description).close('}');
}

pub(super) fn write_root(cluster: &Cluster, writer: &mut Writer<'_>) {
    writer.open('{').name("cluster_name").text(&cluster.name);
    writer.name("software_version").text(SOFTWARE_VERSION).close('}');
}
