//! The way of an attempt, drawn on a terminal: one line over itself for what goes on, and lines that stay for what went
//! wrong. Where nobody looks, nothing is drawn and nothing asked.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use super::Asked;
use super::answer::{find, lookup, objects};

const PROGRESS_PATH: &str = "/v1/bootstrap/progress";
/// A question is held so long, so that the seconds go on.
const WAIT: Duration = Duration::from_secs(1);
/// Beyond that an answer comes too late to be waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// The columns of a line that is drawn over itself: where one wraps, its first part stays.
const COLUMNS: usize = 79;
/// Of a line that stays.
const COLUMNS_MAX: usize = 240;
/// Lines that stay: a node names at most so many others, and as many warnings again.
const LINES_MAX: usize = 100;

/// What is drawn.
pub(super) struct Live {
    on: bool,
    start: Instant,
    /// Of the document that was drawn last.
    revision: Option<String>,
    /// What stays, each line once.
    lines: Vec<String>,
}

/// What came of waiting for news.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// Something has changed.
    Some,
    /// Nothing has.
    None,
    /// There is nobody to ask, or nothing that could be.
    Unknown,
}

impl Live {
    pub(super) fn new() -> Self {
        Self { on: io::stderr().is_terminal(), start: Instant::now(), revision: None, lines: Vec::new() }
    }

    /// A word for what goes on, while no more is known.
    pub(super) fn show(&self, word: &str) {
        if self.revision.is_none() {
            self.draw("", word);
        }
    }

    /// Waits until the progress is another than what was drawn last, and draws it.
    pub(super) fn follow(&mut self, asked: &Asked) -> News {
        if !self.on {
            return News::Unknown;
        }
        let wait = WAIT.min(asked.left()).as_secs();
        let path = match &self.revision {
            Some(revision) => format!("{PROGRESS_PATH}?after={revision}&wait={wait}"),
            None => PROGRESS_PATH.to_owned(),
        };
        let answer = asked.server.get(&path, asked.login(), PATIENCE.min(asked.left()));
        let document = answer.ok().filter(|answer| answer.status == 200);
        let document = document.as_ref().map(super::Answer::text).unwrap_or_default();
        // It goes into the next question: a number and nothing else.
        let revision = lookup(document, &["revision"]).filter(|text| text.parse::<u64>().is_ok());
        let Some(revision) = revision else {
            // What was drawn is what was, and may not be any more.
            self.revision = None;
            return News::Unknown;
        };
        let mut new = String::new();
        for line in lasting(document) {
            if self.lines.len() < LINES_MAX && !self.lines.contains(&line) {
                new.push_str(&line);
                new.push('\n');
                self.lines.push(line);
            }
        }
        self.draw(&new, &moving(document));
        if self.revision.replace(revision.clone()) == Some(revision) { News::None } else { News::Some }
    }

    fn draw(&self, new: &str, line: &str) {
        if self.on {
            let seconds = format!(" ({} s)", self.start.elapsed().as_secs());
            let line = cut(line, COLUMNS.saturating_sub(seconds.len()));
            let _ = write!(io::stderr(), "\r\x1b[K{new}{line}{seconds}");
        }
    }

    /// Leaves the terminal to others.
    pub(super) fn end(&mut self) {
        if self.on {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
        self.on = false;
    }
}

/// What goes on, in a line.
fn moving(document: &str) -> String {
    let find = |name: &str| lookup(document, &[name]);
    let mut parts = vec![find("state").unwrap_or_default()];
    if let (Some(step), Some(steps), Some(name)) = (find("step"), find("steps"), find("step_name")) {
        parts.push(format!("step {step} of {steps}: {name}"));
    }
    parts.extend(find("attempt").map(|attempt| format!("attempt {attempt}")));
    parts.extend(find("node").map(|node| format!("asking {node}")));
    parts.extend(find("wait_seconds").map(|seconds| format!("waiting {seconds} s")));
    parts.join(", ")
}

/// What is to stay: each node that could not be joined through and why, and each warning.
fn lasting(document: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for (list, member, before, between) in
        [("warnings", "pointer", "warning: ", " "), ("nodes_tried", "node", "", ": ")]
    {
        let rows =
            find(document, &[list]).and_then(|(mut reader, token)| objects(&mut reader, token, &[member, "reason"]));
        for row in rows.unwrap_or_default().into_iter().take(LINES_MAX) {
            if let [what, why] = &row[..]
                && !what.is_empty()
                && !why.is_empty()
            {
                lines.push(cut(&[before, what, between, why].concat(), COLUMNS_MAX));
            }
        }
    }
    lines
}

/// As much of a line as takes so many columns, and nothing that a terminal would obey.
fn cut(line: &str, columns: usize) -> String {
    let mut left = columns;
    let line = plain(line);
    let shown = line.chars().map_while(|character| {
        // A character of another script may be two columns wide.
        left = left.checked_sub(if character.is_ascii() { 1 } else { 2 })?;
        Some(if character == '\n' { ' ' } else { character })
    });
    shown.collect()
}

/// A text of a server without what a terminal would obey: control characters but line ends, and what turns the direction
/// of a text or cannot be seen.
pub(super) fn plain(text: &str) -> String {
    let is_odd = |character: char| {
        matches!(character, '\u{ad}' | '\u{61c}' | '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(character, '\u{180e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}')
            || matches!(character, '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
            || (character.is_control() && character != '\n')
    };
    text.chars().map(|character| if is_odd(character) { '?' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_is_said_as_far_as_it_is_known() {
        assert_eq!(moving(r#"{"revision":1,"state":"idle"}"#), "idle");
        let steps = r#""state":"joining_cluster","step":3,"steps":6,"step_name":"contact","attempt":2"#;
        let asking = format!(r#"{{{steps},"node":"10.0.0.2"}}"#);
        assert_eq!(moving(&asking), "joining_cluster, step 3 of 6: contact, attempt 2, asking 10.0.0.2");
        let waiting = format!(r#"{{{steps},"wait_seconds":10}}"#);
        let text = "joining_cluster, step 3 of 6: contact, attempt 2, waiting 10 s";
        assert_eq!(moving(&waiting), text);
    }

    #[test]
    fn what_stays_is_every_node_and_every_warning_but_no_more_than_there_may_be() {
        let document = r#"{"nodes_tried":[{"node":"a","reason":"refused"},{"node":"b"}],"warnings":[{"pointer":"/x","reason":"is unknown"}]}"#;
        assert_eq!(lasting(document), ["warning: /x is unknown", "a: refused"]);
        let many = vec![r#"{"node":"a","reason":"b"}"#; LINES_MAX + 1].join(",");
        assert_eq!(lasting(&format!(r#"{{"nodes_tried":[{many}]}}"#)).len(), LINES_MAX);
    }

    #[test]
    fn a_terminal_is_told_nothing_by_a_server() {
        assert_eq!(plain("a\x1b[2J\u{9b}1m\r\x07\u{202e}\u{200b}é\n"), "a?[2J?1m????é\n");
        assert_eq!(plain("\u{180e}\u{2069}\u{fff9}\u{1bca0}\u{1d173}\u{e0001}"), "??????");
        assert_eq!(cut("ab\ncd", 4), "ab c");
        assert_eq!(cut("日本語", 5), "日本");
    }
}
