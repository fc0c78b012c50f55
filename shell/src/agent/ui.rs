//! The page for people: one embedded file, which asks for nothing but this API.

use super::{Agent, Reply, Step};
use crate::http::{Delivery, write_head};

const SOURCE: &[u8] = include_bytes!("../ui.html");
/// By a name of its own, so that the static build can keep it out of an idle node's memory.
static PAGE: [u8; SOURCE.len()] = *include_bytes!("../ui.html");

/// The page's own script and style run, by their SHA-256, and nothing else; it speaks with this node only, and nobody
/// shows it in a frame. No form of it is ever sent by the browser itself, so a password cannot end up in a URL.
const POLICY: &str = "Content-Type: text/html; charset=utf-8\r\n\
    Cache-Control: no-store\r\n\
    Content-Security-Policy: default-src 'none'; connect-src 'self'; img-src data:; \
    script-src 'sha256-7eBS0YJO9K5RLUaqCjoY9MOTfxSZ2t9oUXyJx6VLXz0='; \
    style-src 'sha256-KBpkR9HVjX8tL00U8dbZFxHHKss4ietnxKkO43m5IcA='; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'\r\n\
    Referrer-Policy: no-referrer\r\n\
    X-Content-Type-Options: nosniff\r\n";

impl Agent {
    /// Answers with the page. It holds nothing of this node, so it is open in a cluster too, and logs in by itself.
    pub(super) fn show_page(&self, reply: &mut Reply<'_>) -> Step {
        let delivery =
            Delivery { head_only: reply.head_only, close: reply.close, is_1_0: reply.is_1_0, date: &self.clock.date };
        let length = format!("Content-Length: {}\r\n", PAGE.len());
        write_head(200, &[POLICY, &length], delivery, reply.out);
        if !reply.head_only {
            reply.out.extend_from_slice(&PAGE);
        }
        Step::Answered
    }
}
