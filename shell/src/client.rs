//! The verbs that ask a node: `status`, `create` and `wait`. The exit codes are in [`exit`].

use std::ffi::OsStr;
use std::fs;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::time::{Duration, Instant};

use bootstrapd_core::config::{Action, Config};
use bootstrapd_core::limits::BODY_BYTES_MAX;
use bootstrapd_core::problems::Problems;
use bootstrapd_core::status::State;
use zeroize::Zeroizing;

use crate::client::answer::{Answer, lookup};
use crate::client::call::{Failed, Server};
use crate::options::{self, Values, Verb};
use crate::{exit, secret};

mod answer;
mod call;

/// How long a whole verb waits, unless told.
const TIMEOUT_SECONDS: u64 = 300;
/// How long `status` waits for its one answer.
const STATUS_PATIENCE: Duration = Duration::from_secs(10);
/// The least that one poll may take.
const LAST_TRY: Duration = Duration::from_millis(500);
/// Between two polls: soon at first, then less often.
const POLL_FIRST: Duration = Duration::from_millis(50);
const POLL_MAX: Duration = Duration::from_secs(1);

const STATUS_PATH: &str = "/v1/bootstrap";
const CREATE_PATH: &str = "/v1/bootstrap/create_cluster";

/// Why a verb ends other than well: the exit code and what to say.
type Ended = (u8, String);

/// Runs a verb; the exit code.
#[must_use]
pub fn run(verb: &Verb, values: &Values) -> u8 {
    let asked = Asked::read(values);
    let ended = asked.and_then(|asked| match verb.name {
        "status" => status(&asked),
        "create" => create(asked, values.operand.as_deref()),
        _ => follow(&asked),
    });
    match ended {
        Ok(()) => exit::DONE,
        Err((code, message)) => {
            eprintln!("{message}");
            code
        }
    }
}

/// What the command line asks for.
struct Asked {
    server: Server,
    /// The value of `Authorization`.
    login: Option<Zeroizing<String>>,
    json: bool,
    waits: bool,
    end: Instant,
}

impl Asked {
    fn read(values: &Values) -> Result<Self, Ended> {
        let usage = |problem: String| (exit::USAGE, format!("bootstrapd: {problem}"));
        let text = |name: &str, old: &str| -> Result<Option<String>, Ended> {
            Ok(values.text(name).map_err(usage)?.or_else(|| std::env::var(old).ok().filter(|text| !text.is_empty())))
        };
        let url = text("url", "REDIS_ENTERPRISE_URL")?.unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
        let server =
            Server::parse(&url).ok_or_else(|| usage(format!("--url takes http://HOST[:PORT], not {url:?}")))?;
        let seconds = match values.text("timeout").map_err(usage)? {
            None => TIMEOUT_SECONDS,
            Some(text) => text.parse().map_err(|_| usage(format!("--timeout takes whole seconds, not {text:?}")))?,
        };
        let user = text("user", "REDIS_ENTERPRISE_USER")?;
        let login = user.map(|user| password(values).map(|password| basic(&user, &password))).transpose()?;
        let patience = Duration::from_secs(seconds.min(u64::from(u32::MAX)));
        Ok(Self {
            server,
            login,
            json: values.is_on("json"),
            waits: !values.is_on("no-wait"),
            end: Instant::now().checked_add(patience).unwrap_or_else(Instant::now),
        })
    }

    fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    fn ask(&self, patience: Duration) -> Result<Answer, Failed> {
        self.server.get(STATUS_PATH, self.login.as_deref().map(String::as_str), patience)
    }
}

/// The password, from a file or a variable: never from the command line, where others read it.
fn password(values: &Values) -> Result<Zeroizing<Vec<u8>>, Ended> {
    if let Some(file) = values.one("password-file") {
        let mut password =
            Zeroizing::new(fs::read(&file).map_err(|error| (exit::CONFIG, format!("{}: {error}", file.display())))?);
        // What an editor appends is not part of it.
        for end in [b'\n', b'\r'] {
            _ = password.pop_if(|last| *last == end);
        }
        return Ok(password);
    }
    let variables = ["BOOTSTRAPD_PASSWORD", "REDIS_ENTERPRISE_PASSWORD"].into_iter().filter_map(std::env::var_os);
    let password = variables.map(std::os::unix::ffi::OsStringExt::into_vec).find(|password| !password.is_empty());
    Ok(Zeroizing::new(password.unwrap_or_default()))
}

fn basic(user: &str, password: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(secret::basic(user, password))
}

fn status(asked: &Asked) -> Result<(), Ended> {
    let answer = asked.ask(STATUS_PATIENCE).map_err(|failed| failed.ended(&asked.server))?;
    let (document, _) = status_document(&answer)?;
    let text = if asked.json { format!("{document}\n") } else { answer::for_people(document) };
    options::print(&text);
    Ok(())
}

/// The status document in an answer, which must be one, and its state.
fn status_document(answer: &Answer) -> Result<(&str, State), Ended> {
    if matches!(answer.status, 401 | 403) {
        let why = "access denied: give --user and --password-file";
        return Err((exit::DENIED, why.to_owned()));
    }
    let document = std::str::from_utf8(&answer.body).unwrap_or_default();
    let state = lookup(document, &["bootstrap_status", "state"]).and_then(|name| State::from_name(&name));
    if let (200, Some(state)) = (answer.status, state) {
        return Ok((document, state));
    }
    Err((exit::UNREACHABLE, format!("no status, but {}", answer.describe())))
}

fn create(mut asked: Asked, file: Option<&OsStr>) -> Result<(), Ended> {
    let body = read_body(file)?;
    let login = asked.login.as_deref().map(String::as_str);
    let answer = asked.server.post(CREATE_PATH, login, &body, asked.left());
    let answer = answer.map_err(|failed| failed.ended(&asked.server))?;
    match answer.status {
        200 => {}
        400 | 413 => return Err((exit::CONFIG, answer.problems())),
        401 | 403 => return Err((exit::DENIED, format!("access denied: {}", answer.describe()))),
        409 => return Err((exit::REFUSED, format!("refused: {}", answer.describe()))),
        _ => return Err((exit::UNREACHABLE, format!("not accepted: {}", answer.describe()))),
    }
    if !asked.waits {
        return Ok(());
    }
    asked.login = credentials(&body).or(asked.login);
    follow(&asked)
}

fn read_body(file: Option<&OsStr>) -> Result<Zeroizing<Vec<u8>>, Ended> {
    let mut body = Zeroizing::new(Vec::new());
    let name = file.filter(|file| *file != "-");
    let read = match name {
        Some(file) => fs::File::open(file).and_then(|opened| read_some(opened, &mut body)),
        None => read_some(io::stdin().lock(), &mut body),
    };
    let name = name.unwrap_or_else(|| OsStr::new("standard input"));
    read.map_err(|error| (exit::CONFIG, format!("{}: {error}", name.display())))?;
    Ok(body)
}

/// One byte more than a node takes, so that it is the node that says so.
fn read_some(from: impl io::Read, body: &mut Vec<u8>) -> io::Result<()> {
    let limit = u64::try_from(BODY_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    from.take(limit).read_to_end(body).map(|_| ())
}

/// The login that a bootstrap object is about to create.
fn credentials(body: &[u8]) -> Option<Zeroizing<String>> {
    let mut config = Box::<Config>::default();
    config.read(body, Action::CreateCluster, &mut Problems::new());
    let credentials = &config.credentials;
    (!credentials.username.is_empty()).then(|| basic(&credentials.username, credentials.password.expose()))
}

/// Polls until the bootstrap has ended, and shows the way there on a terminal.
fn follow(asked: &Asked) -> Result<(), Ended> {
    let mut progress = Progress::new();
    let mut pause = POLL_FIRST;
    loop {
        // The last try, which may be the first, has time for an answer.
        let last = match asked.ask(asked.left().max(LAST_TRY)) {
            Ok(answer) => match status_document(&answer) {
                Ok((document, state @ (State::Completed | State::Error))) => {
                    progress.end();
                    return finish(asked, document, state);
                }
                Ok((_, state)) => {
                    progress.show(state.name());
                    (exit::TIMED_OUT, format!("timed out, the state is {}", state.name()))
                }
                Err((exit::DENIED, message)) => {
                    progress.end();
                    return Err((exit::DENIED, message));
                }
                Err((_, message)) => (exit::TIMED_OUT, format!("timed out: {message}")),
            },
            Err(failed) => {
                progress.show("no answer");
                failed.ended(&asked.server)
            }
        };
        std::thread::sleep(pause.min(asked.left()));
        // A last try that has no time left would only hide what the one before it found.
        if asked.left().is_zero() {
            progress.end();
            return Err(last);
        }
        pause = pause.saturating_mul(2).min(POLL_MAX);
    }
}

fn finish(asked: &Asked, document: &str, state: State) -> Result<(), Ended> {
    if asked.json {
        options::print(&format!("{document}\n"));
    }
    if state == State::Completed {
        if !asked.json {
            options::print(&answer::for_people(document));
        }
        return Ok(());
    }
    Err((exit::FAILED, answer::failure(document)))
}

/// The state and the seconds so far, drawn over itself; nothing where nobody looks.
struct Progress {
    on: bool,
    start: Instant,
}

impl Progress {
    fn new() -> Self {
        Self { on: io::stderr().is_terminal(), start: Instant::now() }
    }

    fn show(&self, state: &str) {
        if self.on {
            let seconds = self.start.elapsed().as_secs();
            let _ = write!(io::stderr(), "\r\x1b[K{state} ({seconds} s)");
        }
    }

    fn end(&mut self) {
        if self.on {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
        self.on = false;
    }
}
