//! The progress document, and how many wait for it to change.

use bootstrapd_core::api::Watch;

use super::{Agent, Reply, Step};
use crate::http;

/// Connections that wait for the progress to change, at the same time, streams of events among them; further ones are
/// answered at once.
const WATCHERS_MAX: usize = 32;

impl Agent {
    /// What a request for the progress gets: the document, at once or once it has changed, or a stream of it.
    pub(super) fn follow_progress(&mut self, watch: Watch, reply: &mut Reply<'_>) -> Step {
        if watch.is_malformed() {
            return self.error(400, http::error_code(400), "after and wait are whole numbers", reply);
        }
        #[cfg(feature = "ui")]
        if watch.is_stream() {
            return self.stream_progress(watch, reply);
        }
        match watch.wait_ms(self.machine.version()) {
            Some(wait_ms) if self.start_watching() => Step::Watching(self.machine.version(), wait_ms),
            Some(_) | None => self.progress(reply),
        }
    }

    /// One more connection waits for the progress to change, if it may.
    pub(super) fn start_watching(&mut self) -> bool {
        if self.watchers == 0 {
            // Others may still have to hear of the last change.
            self.watched = self.machine.version();
        }
        let may = self.watchers < WATCHERS_MAX;
        self.watchers = self.watchers.saturating_add(usize::from(may));
        may
    }

    /// The revision of the progress.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.machine.version()
    }

    /// Answers with the progress document.
    pub fn progress(&mut self, reply: &mut Reply<'_>) -> Step {
        self.document(200, "", reply, |agent, writer| agent.machine.write_progress(writer))
    }

    /// Whether a connection waits for the progress to change.
    #[must_use]
    pub const fn has_watchers(&self) -> bool {
        self.watchers > 0
    }

    /// A connection waits no more for the progress to change.
    pub const fn stop_watching(&mut self) {
        self.watchers = self.watchers.saturating_sub(1);
    }
}
