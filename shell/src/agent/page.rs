//! Where documents are written, and how an answer leaves.

use bootstrapd_core::cluster::Cluster;
use bootstrapd_core::node::SOFTWARE_VERSION;
use bootstrapd_core::write::Writer;

use super::Step;
use crate::http::{Answer, Delivery};

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
