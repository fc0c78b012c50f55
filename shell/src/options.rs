//! The command line: what it says, and what the variables say instead, read by the table of verbs and flags.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::RangeInclusive;

use bootstrapd_core::node::SOFTWARE_VERSION;
use lexopt::Arg;

mod verbs;

use verbs::IN_PLACE;
pub(crate) use verbs::VERBS;
pub use verbs::{Flag, Verb};

/// What a command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Text for standard output.
    Print(String),
    /// `serve`
    Serve(Values),
    /// `reset`
    Reset(Values),
    /// `recover --in-place`
    RecoverInPlace(Values),
    /// `move`
    #[cfg(feature = "etcd")]
    Move(Values),
    /// Any other verb: it asks a node, or is about licences.
    #[cfg(feature = "client")]
    Client(&'static Verb, Values),
    /// A shell asks what may stand in the place of the last of these words.
    #[cfg(feature = "client")]
    Complete(Vec<OsString>),
}

/// What the file holds that a flag names.
///
/// # Errors
/// The exit code, and what the system says of which file.
pub fn read_file(file: &OsStr) -> Result<Vec<u8>, (u8, String)> {
    std::fs::read(file).map_err(|error| (crate::exit::CONFIG, format!("{}: {error}", file.display())))
}

/// What was given, by flags first and by variables then.
#[derive(Debug, Default)]
pub struct Values {
    given: Vec<(&'static str, OsString)>,
    /// What stands beside the flags.
    pub operand: Option<OsString>,
}

impl Values {
    /// Every value of a flag. A variable may hold several, separated by commas.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<OsString> {
        let flags: Vec<_> =
            self.given.iter().filter(|(given, _)| *given == name).map(|(_, value)| value.clone()).collect();
        if flags.is_empty() {
            let list = variable(name).and_then(|value| value.into_string().ok()).unwrap_or_default();
            return list.split(',').map(str::trim).filter(|value| !value.is_empty()).map(Into::into).collect();
        }
        flags
    }

    /// A flag's value; the last one counts.
    #[must_use]
    pub fn one(&self, name: &str) -> Option<OsString> {
        let last = self.given.iter().rev().find(|(given, _)| *given == name).map(|(_, value)| value.clone());
        last.or_else(|| variable(name))
    }

    /// A flag's value as text.
    ///
    /// # Errors
    /// Where it is no text.
    pub fn text(&self, name: &str) -> Result<Option<String>, String> {
        self.one(name).map(|value| value.into_string().map_err(|_| format!("--{name} is not text"))).transpose()
    }

    /// A flag's value as a number of seconds.
    ///
    /// # Errors
    /// Where it is none of `range`.
    pub fn seconds(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, String> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        let (least, most) = (range.start(), range.end());
        let problem = || format!("--{name} takes a number of seconds from {least} to {most}, not {text}");
        number.map(Some).ok_or_else(problem)
    }

    /// Whether a switch is on.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        // What is neither on nor off was refused with the command line.
        self.one(name).is_some_and(|value| switch(&value) == Some(true))
    }
}

/// Whether a variable of this value switches something on; `None` where nobody can tell.
pub(crate) fn switch(value: &OsStr) -> Option<bool> {
    let is = |word: &&str| value.eq_ignore_ascii_case(word);
    if ["1", "true", "yes", "on"].iter().any(is) {
        return Some(true);
    }
    ["", "0", "false", "no", "off"].iter().any(is).then_some(false)
}

/// The variable `BOOTSTRAPD_…` of a flag; an empty one counts as none.
fn variable(flag: &str) -> Option<OsString> {
    std::env::var_os(variable_name(flag)).filter(|value| !value.is_empty())
}

fn variable_name(flag: &str) -> String {
    format!("BOOTSTRAPD_{}", flag.replace('-', "_").to_ascii_uppercase())
}

/// Reads a command line, without the program's name.
///
/// # Errors
/// What is wrong with it.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let verb = match next(&mut parser)? {
        #[cfg(feature = "client")]
        Some(Arg::Value(word)) if word == "complete" => {
            let words = parser.raw_args().map_err(|error| error.to_string())?;
            return Ok(Command::Complete(words.collect()));
        }
        Some(Arg::Value(word)) => match find_verb(&word, &mut parser)? {
            Some(verb) => verb,
            None => return Ok(Command::Print(help())),
        },
        Some(Arg::Long("help") | Arg::Short('h')) => return Ok(Command::Print(help())),
        Some(Arg::Long("version") | Arg::Short('V')) => {
            return Ok(Command::Print(format!("bootstrapd {SOFTWARE_VERSION}\n")));
        }
        Some(other) => return Err(unexpected(&other)),
        None => return Err("a verb is missing".to_owned()),
    };
    let mut values = Values::default();
    while let Some(argument) = next(&mut parser)? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Print(verb_help(verb))),
            Arg::Long(name) => {
                let flag = verb.flags().find(|flag| flag.name == name);
                let flag = flag.ok_or_else(|| unexpected(&Arg::Long(name)))?;
                let value = if flag.value.is_empty() {
                    OsString::from("1")
                } else {
                    parser.value().map_err(|error| error.to_string())?
                };
                values.given.push((flag.name, value));
            }
            Arg::Value(value) if verb.operand.is_some() && values.operand.is_none() => values.operand = Some(value),
            other @ (Arg::Short(_) | Arg::Value(_)) => return Err(unexpected(&other)),
        }
    }
    for flag in verb.flags().filter(|flag| flag.value.is_empty()) {
        if let Some(value) = variable(flag.name).filter(|value| switch(value).is_none()) {
            return Err(format!("{} takes 1 or 0, not {}", variable_name(flag.name), value.display()));
        }
    }
    if let Some(operand) = verb.operand.filter(|operand| !operand.starts_with('['))
        && values.operand.is_none()
    {
        return Err(format!("{operand} is missing"));
    }
    Ok(match verb.name {
        "serve" => Command::Serve(values),
        "reset" => Command::Reset(values),
        #[cfg(feature = "etcd")]
        "move" => Command::Move(values),
        "recover" if values.is_on(IN_PLACE.name) => Command::RecoverInPlace(values),
        #[cfg(feature = "client")]
        _ => Command::Client(verb, values),
        #[cfg(not(feature = "client"))]
        _ => Command::Print(help()),
    })
}

/// The verb that begins with `word`: some have two. `None` where help is asked for in the place of the second.
fn find_verb(word: &OsStr, parser: &mut lexopt::Parser) -> Result<Option<&'static Verb>, String> {
    if let Some(verb) = VERBS.iter().copied().find(|verb| word == verb.name) {
        return Ok(Some(verb));
    }
    let two = VERBS.iter().copied().filter_map(|verb| Some((verb, verb.name.split_once(' ')?)));
    let seconds: Vec<_> =
        two.filter(|(_, (first, _))| word == *first).map(|(verb, (_, second))| (second, verb)).collect();
    if seconds.is_empty() {
        return Err(format!("there is no verb {}", word.display()));
    }
    let found = match next(parser)? {
        Some(Arg::Long("help") | Arg::Short('h')) => return Ok(None),
        Some(Arg::Value(given)) => seconds.iter().find(|(second, _)| given == *second),
        Some(Arg::Long(_) | Arg::Short(_)) | None => None,
    };
    let names: Vec<&str> = seconds.iter().map(|(second, _)| *second).collect();
    found.map(|(_, verb)| Some(*verb)).ok_or_else(|| format!("{} takes {}", word.display(), names.join(" or ")))
}

fn next(parser: &mut lexopt::Parser) -> Result<Option<Arg<'_>>, String> {
    parser.next().map_err(|error| error.to_string())
}

fn unexpected(argument: &Arg<'_>) -> String {
    match argument {
        Arg::Long(name) => format!("--{name} is not known here"),
        Arg::Short(name) => format!("-{name} is not known here"),
        Arg::Value(value) => format!("{} is one word too many", value.display()),
    }
}

fn help() -> String {
    let mut text = "bootstrapd: a node bootstraps itself\n\nUsage: bootstrapd VERB [FLAGS]\n\n".to_owned();
    for verb in VERBS {
        let _ = writeln!(text, "  {:<16}  {}", verb.name, verb.help);
    }
    text.push_str(
        "\n`bootstrapd VERB --help` lists a verb's flags. Each has a variable: --state-dir is BOOTSTRAPD_STATE_DIR.\n",
    );
    text
}

fn verb_help(verb: &Verb) -> String {
    let operand = verb.operand.map(|operand| format!(" {operand}")).unwrap_or_default();
    let mut text = format!("bootstrapd {}: {}\n\nUsage: bootstrapd {0} [FLAGS]{operand}\n\n", verb.name, verb.help);
    for flag in verb.flags() {
        let _ = writeln!(text, "  {:<28} {}", format!("--{} {}", flag.name, flag.value), flag.help);
    }
    text
}

/// Prints text; a reader that has gone away is no error.
pub fn print(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}
