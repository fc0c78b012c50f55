//! Server-Sent Events: the progress as a stream, an event for each revision that the client has room for. A client that
//! takes none gets the newest one later, and no queue of them in the meantime.

use bootstrapd_core::api::Watch;

use super::{Agent, Reply, Step};
use crate::http::{Delivery, write_head};

/// How long a client is to wait before it connects again, in milliseconds: the first lines of each stream.
const RETRY: &[u8] = b"retry: 3000\n\n";
/// What keeps a stream alive of which nothing is to be told.
const HEARTBEAT: &[u8] = b":\n\n";

impl Agent {
    /// Begins a stream: the present document, unless the client has it, and then every change. In a cluster nothing
    /// will change: then the stream ends at once, and a client that comes back for more is told to stay away (204).
    pub(super) fn stream_progress(&mut self, watch: Watch, reply: &mut Reply<'_>) -> Step {
        let (revision, is_over) = (self.machine.version(), self.streams_end());
        let has = watch.has(revision);
        // Only its end says how long the answer is.
        reply.close = true;
        let delivery =
            Delivery { head_only: reply.head_only, close: true, is_1_0: reply.is_1_0, date: &self.clock.date };
        if is_over && has {
            write_head(204, &["Cache-Control: no-store\r\n"], delivery, reply.out);
            return Step::Answered;
        }
        let fields = ["Content-Type: text/event-stream\r\nCache-Control: no-store\r\n"];
        write_head(200, &fields, delivery, reply.out);
        if reply.head_only {
            return Step::Answered;
        }
        reply.out.extend_from_slice(RETRY);
        if !has {
            self.write_event(reply.out);
        }
        if !is_over && self.start_watching() { Step::Streaming(revision) } else { Step::Answered }
    }

    /// Whether a stream ends behind the present document.
    #[must_use]
    pub fn streams_end(&self) -> bool {
        self.machine.is_member()
    }

    /// Appends the present document as an event.
    pub fn write_event(&mut self, out: &mut Vec<u8>) {
        self.page(|agent, writer| agent.machine.write_progress(writer));
        out.extend_from_slice(format!("id: {}\nevent: progress\ndata: ", self.machine.version()).as_bytes());
        // One line, as JSON that has no white space of its own.
        out.extend_from_slice(self.page.bytes());
        out.extend_from_slice(b"\n\n");
    }

    /// Appends what says that the stream lives.
    pub fn write_heartbeat(out: &mut Vec<u8>) {
        out.extend_from_slice(HEARTBEAT);
    }
}
