//! The manual, made from the same table as the flags and the help.

use std::fmt::Write as _;

use bootstrapd_core::node::SOFTWARE_VERSION;

use super::{Ended, usage};
use crate::exit;
use crate::options::{Flag, VERBS, Verb};

/// When what is said here was looked at last: a page has a date, and the same program always the same one.
const DATE: &str = "2026-11-30";

const COLUMNS_MAX: usize = 80;

const EXITS: [(u8, &str); 8] = [
    (exit::DONE, "done"),
    (exit::FAILED, "the bootstrap ended in error, or in a validation would"),
    (exit::USAGE, "the command line is wrong"),
    (exit::UNREACHABLE, "the service cannot be reached, is not trusted, or cannot tell"),
    (exit::REFUSED, "refused: in progress, already in a cluster, or not to be done offline now"),
    (exit::TIMED_OUT, "timed out"),
    (exit::DENIED, "access denied"),
    (exit::CONFIG, "the configuration is wrong"),
];

const DESCRIPTION: &str = "A machine that boots for the first time becomes a node of a cluster: post it a configuration, and \
    it checks that and itself, founds, joins or recovers a cluster, and reports every step and every failure. It speaks the \
    bootstrap REST API; the verbs that ask a node are its client.";
const VARIABLES: &str = "Each flag has a variable, which counts where the flag is not given: --state-dir is \
    BOOTSTRAPD_STATE_DIR. A list in one is separated by commas. A password is in BOOTSTRAPD_PASSWORD, or in the file that \
    --password-file names. Where there is none of these, REDIS_ENTERPRISE_URL, REDIS_ENTERPRISE_USER and \
    REDIS_ENTERPRISE_PASSWORD count.";

/// The page of a verb, or of all of them, for `man -l`.
///
/// # Errors
/// Where there is no such verb.
pub(super) fn page(verb: Option<&str>) -> Result<String, Ended> {
    let Some(name) = verb else { return Ok(whole()) };
    // As its page is called, or as it is typed.
    let verb = VERBS.iter().find(|verb| verb.name == name || verb.name.replace(' ', "-") == name);
    verb.map(|verb| of(verb)).ok_or_else(|| usage(format!("there is no verb {name}")))
}

fn whole() -> String {
    let mut text = head("bootstrapd", "a node bootstraps itself");
    text.push_str(".SH SYNOPSIS\n.B bootstrapd\n.I VERB\n.RI [ FLAGS ]\n.SH DESCRIPTION\n");
    line(&mut text, DESCRIPTION);
    text.push_str(".SH VERBS\n");
    for verb in VERBS {
        let _ = writeln!(text, ".SS {}{}", escape(verb.name), operand(verb));
        line(&mut text, &sentence(verb.help));
        flags(&mut text, verb);
    }
    foot(&mut text);
    text
}

fn of(verb: &Verb) -> String {
    let name = format!("bootstrapd-{}", verb.name.replace(' ', "-"));
    let mut text = head(&name, verb.help);
    let _ = writeln!(text, ".SH SYNOPSIS\n.B bootstrapd {}\n.RI [ FLAGS ]{}", escape(verb.name), operand(verb));
    text.push_str(".SH DESCRIPTION\n");
    line(&mut text, &sentence(verb.help));
    if !verb.flags.is_empty() {
        text.push_str(".SH OPTIONS\n");
        flags(&mut text, verb);
    }
    foot(&mut text);
    text.push_str(".SH SEE ALSO\n.BR bootstrapd (1)\n");
    text
}

fn head(name: &str, what: &str) -> String {
    let title = escape(&name.to_ascii_uppercase());
    let mut text = format!(".TH {title} 1 {DATE} \"bootstrapd {SOFTWARE_VERSION}\" \"User Commands\"\n.SH NAME\n");
    line(&mut text, &format!("{name} - {what}"));
    text
}

fn operand(verb: &Verb) -> String {
    verb.operand.map(|operand| format!(" {}", escape(operand))).unwrap_or_default()
}

fn flags(text: &mut String, verb: &Verb) {
    for Flag { name, value, help } in verb.flags() {
        let value = if value.is_empty() { String::new() } else { format!(" \" {}\"", escape(value)) };
        let font = if value.is_empty() { "B" } else { "BI" };
        let _ = writeln!(text, ".TP\n.{font} \\-\\-{}{value}", escape(name));
        line(text, help);
    }
}

fn foot(text: &mut String) {
    text.push_str(".SH ENVIRONMENT\n");
    line(text, VARIABLES);
    text.push_str(".SH EXIT STATUS\n");
    for (code, meaning) in EXITS {
        let _ = writeln!(text, ".TP\n.B {code}");
        line(text, meaning);
    }
}

/// Text, in lines of a length that people can read; roff fills them anew.
fn line(text: &mut String, words: &str) {
    let mut length = 0_usize;
    for word in words.split(' ').map(escape) {
        let more = length.saturating_add(word.len()).saturating_add(1);
        if length == 0 {
            length = word.len();
        } else if more > COLUMNS_MAX {
            text.push('\n');
            length = word.len();
        } else {
            text.push(' ');
            length = more;
        }
        text.push_str(&word);
    }
    text.push('\n');
}

/// A help text as a sentence.
fn sentence(help: &str) -> String {
    let mut letters = help.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

/// Text as roff takes it: no letter means anything but itself, in a line or in quotes.
fn escape(words: &str) -> String {
    let mut text = String::new();
    for letter in words.chars() {
        match letter {
            '\\' => text.push_str("\\e"),
            '-' => text.push_str("\\-"),
            '\'' => text.push_str("\\(aq"),
            '"' => text.push_str("\\(dq"),
            '`' => text.push_str("\\(ga"),
            '^' => text.push_str("\\(ha"),
            '~' => text.push_str("\\(ti"),
            '.' if text.is_empty() => text.push_str("\\&."),
            _ if letter.is_ascii() => text.push(letter),
            _ => _ = write!(text, "\\[u{:04X}]", u32::from(letter)),
        }
    }
    text
}
