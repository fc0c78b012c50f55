//! The command line: one table of verbs and flags, which the parser, the variables and the help are made from.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;

use bootstrapd_core::node::SOFTWARE_VERSION;
use lexopt::Arg;

/// A flag: it takes a value unless its value has no name.
#[derive(Debug)]
pub struct Flag {
    /// Without its dashes.
    pub name: &'static str,
    /// What its value is called; empty for a switch.
    pub value: &'static str,
    /// For people.
    pub help: &'static str,
}

/// A verb.
#[derive(Debug)]
pub struct Verb {
    /// The word.
    pub name: &'static str,
    /// What may follow besides flags.
    pub operand: Option<&'static str>,
    /// For people.
    pub help: &'static str,
    /// Its flags.
    pub flags: &'static [Flag],
}

const fn flag(name: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { name, value, help }
}

const STATE_DIR: Flag =
    flag("state-dir", "DIR", "the node's records [/var/lib/bootstrapd as root, else the user's state directory]");
const PERSISTENT_PATH: Flag = flag("persistent-path", "DIR", "where data lives [persistent in the state directory]");

/// `serve`
pub const SERVE: Verb = Verb {
    name: "serve",
    operand: None,
    help: "run this machine's node",
    flags: &[
        flag("listen", "ADDR:PORT", "where to answer; repeatable [127.0.0.1:8080]"),
        STATE_DIR,
        PERSISTENT_PATH,
        flag("ephemeral-path", "DIR", "where data lives that may be lost [ephemeral in the state directory]"),
        flag("bigstore-path", "DIR", "flash storage [bigstore in the state directory]"),
        flag(
            "advertise",
            "ADDR:PORT",
            "where other nodes reach this one [the node's address and the port of a listener]",
        ),
        flag("allow-plaintext", "", "talk to other machines in plain HTTP"),
        flag("beat", "SECONDS", "how often members say that they are there [5]"),
        flag("max-clock-skew", "SECONDS", "how far the clock of a joiner may be off [5]"),
        flag("socket-dir", "DIR", "compared when a node joins [/run/bootstrapd]"),
        flag("config-dir", "DIR", "likewise [/etc/bootstrapd]"),
        flag("install-dir", "DIR", "likewise [/opt/bootstrapd]"),
        flag("license-key", "KEY", "the public key of licences: 64 hex digits, base64, or a file that holds either"),
    ],
};

/// `reset`
pub const RESET: Verb = Verb {
    name: "reset",
    operand: None,
    help: "forget this node's records, offline; asks first",
    flags: &[STATE_DIR, PERSISTENT_PATH, flag("yes", "", "do not ask")],
};

#[cfg(feature = "client")]
mod client {
    use super::{Flag, Verb, flag};

    const URL: Flag = flag("url", "URL", "the node [http://127.0.0.1:8080]");
    const USER: Flag = flag("user", "NAME", "the administrator, once the node is in a cluster");
    const PASSWORD_FILE: Flag = flag("password-file", "FILE", "a file with the password, or BOOTSTRAPD_PASSWORD");
    const JSON: Flag = flag("json", "", "print JSON");
    const TIMEOUT: Flag = flag("timeout", "SECONDS", "how long to wait [300]");

    /// `status`
    pub const STATUS: Verb = Verb {
        name: "status",
        operand: None,
        help: "show a node's bootstrap status",
        flags: &[URL, USER, PASSWORD_FILE, JSON],
    };
    /// `create`
    pub const CREATE: Verb = Verb {
        name: "create",
        operand: Some("FILE"),
        help: "create a cluster from a bootstrap object in FILE (`-` or none: standard input), and wait",
        flags: &[URL, USER, PASSWORD_FILE, JSON, TIMEOUT, flag("no-wait", "", "return once the attempt is accepted")],
    };
    /// `wait`
    pub const WAIT: Verb = Verb {
        name: "wait",
        operand: None,
        help: "wait until a node's bootstrap has ended",
        flags: &[URL, USER, PASSWORD_FILE, JSON, TIMEOUT],
    };
}
#[cfg(feature = "client")]
pub use client::{CREATE, STATUS, WAIT};

#[cfg(feature = "client")]
const VERBS: [&Verb; 5] = [&SERVE, &STATUS, &CREATE, &WAIT, &RESET];
#[cfg(not(feature = "client"))]
const VERBS: [&Verb; 2] = [&SERVE, &RESET];

/// What a command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Text for standard output.
    Print(String),
    /// `serve`
    Serve(Values),
    /// `reset`
    Reset(Values),
    /// A verb that asks a node.
    #[cfg(feature = "client")]
    Client(&'static Verb, Values),
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

    /// Whether a switch is on.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.one(name).is_some_and(|value| value != "0" && value != "false")
    }
}

/// The variable `BOOTSTRAPD_…` of a flag; an empty one counts as none.
fn variable(flag: &str) -> Option<OsString> {
    let name = format!("BOOTSTRAPD_{}", flag.replace('-', "_").to_ascii_uppercase());
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Reads a command line, without the program's name.
///
/// # Errors
/// What is wrong with it.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let verb = match next(&mut parser)? {
        Some(Arg::Value(word)) => {
            let verb = VERBS.into_iter().find(|verb| word == verb.name);
            verb.ok_or_else(|| format!("there is no verb {}", word.display()))?
        }
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
                let flag = verb.flags.iter().find(|flag| flag.name == name);
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
    Ok(match verb.name {
        "serve" => Command::Serve(values),
        #[cfg(feature = "client")]
        "status" | "create" | "wait" => Command::Client(verb, values),
        _ => Command::Reset(values),
    })
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
        let _ = writeln!(text, "  {:<8} {}", verb.name, verb.help);
    }
    text.push_str(
        "\n`bootstrapd VERB --help` lists a verb's flags. Each has a variable: --state-dir is BOOTSTRAPD_STATE_DIR.\n",
    );
    text
}

fn verb_help(verb: &Verb) -> String {
    let operand = verb.operand.map(|operand| format!(" [{operand}]")).unwrap_or_default();
    let mut text = format!("bootstrapd {}: {}\n\nUsage: bootstrapd {0} [FLAGS]{operand}\n\n", verb.name, verb.help);
    for flag in verb.flags {
        let _ = writeln!(text, "  {:<28} {}", format!("--{} {}", flag.name, flag.value), flag.help);
    }
    text
}

/// Prints text; a reader that has gone away is no error.
pub fn print(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}
