//! The verbs for people and scripts: those that ask a node, and `license`, `completions` and `man`, which ask nobody. The exit codes are in
//! [`exit`].

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind, Read as _};
use std::time::{Duration, Instant};

use bootstrapd_core::config::{Action, Config};
use bootstrapd_core::limits::BODY_BYTES_MAX;
use bootstrapd_core::problems::Problems;
use bootstrapd_core::status::State;
use zeroize::Zeroizing;

use crate::call::{Answer, Server};
use crate::client::answer::lookup;
use crate::line::Mismatch;
use crate::options::{self, Values, Verb};
use crate::tls::{self, Trust};
use crate::{exit, gate, secret};

mod answer;
mod complete;
mod follow;
mod license;
mod live;
mod manual;

pub use complete::complete;

/// How long a whole verb waits, unless told.
const TIMEOUT_SECONDS: u64 = 300;
/// How long `status` and `nodes` wait for their one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// What `status` waits for a certificate, which a node that was built without TLS does not have.
#[cfg(feature = "tls")]
const FINGERPRINT_PATIENCE: Duration = Duration::from_secs(2);
/// The same of `validate`: a node may try everything that it was told to contact.
const VALIDATE_PATIENCE: Duration = Duration::from_secs(35);
/// The least that one poll may take.
const LAST_TRY: Duration = Duration::from_millis(500);

const STATUS_PATH: &str = "/v1/bootstrap";
const NODES_PATH: &str = "/v1/nodes";
/// Open to everybody: 200 once the node is in a cluster.
const READY_PATH: &str = "/readyz";

/// Why a verb ends other than well: the exit code and what to say.
type Ended = (u8, String);

/// Runs a verb; the exit code.
#[must_use]
pub fn run(verb: &Verb, values: &Values) -> u8 {
    match perform(verb, values) {
        Ok(()) => exit::DONE,
        Err((code, message)) => {
            eprintln!("{}", live::plain(&message));
            code
        }
    }
}

fn perform(verb: &Verb, values: &Values) -> Result<(), Ended> {
    let file = values.operand.as_deref();
    let (name, of) = verb.name.split_once(' ').unwrap_or((verb.name, verb.name));
    if name == "license" {
        return license::run(of, values);
    }
    if matches!(name, "completions" | "man") {
        let operand = file.map(|word| word.to_str().ok_or_else(|| usage("that is not text"))).transpose()?;
        let text = match name {
            "man" => manual::page(operand)?,
            _ => complete::script(operand.unwrap_or_default())?.to_owned(),
        };
        options::print(&text);
        return Ok(());
    }
    let asked = Asked::read(values)?;
    match name {
        "status" => status(&asked),
        "nodes" => nodes(&asked),
        "wait" => follow::follow(&asked, false),
        "validate" => validate(&asked.with_setup_token(values)?, action(of), file),
        _ => attempt(asked.with_setup_token(values)?, action(of), file),
    }
}

/// The action that a verb's word stands for.
fn action(word: &str) -> Action {
    match word {
        "join" => Action::JoinCluster,
        "recover" => Action::RecoverCluster,
        _ => Action::CreateCluster,
    }
}

fn usage(problem: impl fmt::Display) -> Ended {
    (exit::USAGE, format!("bootstrapd: {problem}"))
}

/// Why there is no answer.
fn unanswered(error: &io::Error, server: &Server) -> Ended {
    if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) {
        return (exit::TIMED_OUT, format!("timed out: {server} does not answer"));
    }
    let mut message = format!("cannot reach {server}: {error}");
    if matches!(Mismatch::of(error), Some(Mismatch::Untrusted(_))) {
        message.push_str("; give --cacert, or --fingerprint once you have compared it with the node's log");
    }
    (exit::UNREACHABLE, message)
}

/// What the command line asks for.
struct Asked {
    server: Server,
    /// The value of `Authorization`.
    login: Option<Zeroizing<String>>,
    /// The same of a POST to a node that is in no cluster yet.
    setup: Option<Zeroizing<String>>,
    json: bool,
    waits: bool,
    end: Instant,
}

impl Asked {
    fn read(values: &Values) -> Result<Self, Ended> {
        let text = |name: &str, old: &str| -> Result<Option<String>, Ended> {
            Ok(values.text(name).map_err(usage)?.or_else(|| std::env::var(old).ok().filter(|text| !text.is_empty())))
        };
        let url = text("url", "REDIS_ENTERPRISE_URL")?.unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
        let trust = trust(values, &url)?;
        let takes = if tls::IS_BUILT_IN { "http[s]" } else { "http" };
        let server = Server::parse(&url, trust.as_ref());
        let server = server.ok_or_else(|| usage(format!("--url takes {takes}://HOST[:PORT], not {url:?}")))?;
        let seconds = match values.text("timeout").map_err(usage)? {
            None => TIMEOUT_SECONDS,
            Some(text) => text.parse().map_err(|_| usage(format!("--timeout takes whole seconds, not {text:?}")))?,
        };
        let user = text("user", "REDIS_ENTERPRISE_USER")?;
        if user.as_deref().is_some_and(|user| user.contains(':')) {
            return Err(usage("--user takes a name without a colon"));
        }
        let login = user.map(|user| password(values).map(|password| basic(&user, &password))).transpose()?;
        let patience = Duration::from_secs(seconds.min(u64::from(u32::MAX)));
        Ok(Self {
            server,
            login,
            setup: None,
            json: values.is_on("json"),
            waits: !values.is_on("no-wait"),
            end: Instant::now().checked_add(patience).unwrap_or_else(Instant::now),
        })
    }

    fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    fn login(&self) -> Option<&str> {
        self.login.as_deref().map(String::as_str)
    }

    fn ask(&self, patience: Duration) -> io::Result<Answer> {
        self.server.get(STATUS_PATH, self.login(), patience)
    }

    fn get(&self, path: &str) -> Result<Answer, Ended> {
        self.server.get(path, self.login(), PATIENCE).map_err(|error| unanswered(&error, &self.server))
    }

    /// Whether the node is in a cluster.
    fn is_ready(&self) -> bool {
        let answer = self.server.get(READY_PATH, None, self.left().max(LAST_TRY));
        answer.is_ok_and(|answer| answer.status == 200)
    }

    fn post(&self, path: &str, body: &[u8], patience: Duration) -> Result<Answer, Ended> {
        let post = |login: Option<&str>| {
            let answer = self.server.post(path, login, body, patience);
            answer.map_err(|error| unanswered(&error, &self.server))
        };
        let Some(setup) = self.setup.as_deref() else { return post(self.login()) };
        let answer = post(Some(setup))?;
        if answer.status != 401 {
            return Ok(answer);
        }
        // To a cluster the setup token is a wrong login; what it means is that there is a cluster already.
        if self.is_ready() {
            return Err((exit::REFUSED, "refused: this node is already part of a cluster".to_owned()));
        }
        // One that has sent the node away has left its credentials in force.
        if self.login.is_some() { post(self.login()) } else { Ok(answer) }
    }

    /// Takes the setup token, if one is given.
    fn with_setup_token(mut self, values: &Values) -> Result<Self, Ended> {
        self.setup = gate::token(values)?.map(|token| basic(gate::USER, &token));
        Ok(self)
    }

    /// Prints a document as the server sent it, or what people see of it: nothing where there is an error to read.
    fn print(&self, document: &str, people: impl FnOnce(&str) -> String) {
        options::print(&if self.json { format!("{document}\n") } else { live::plain(&people(document)) });
    }
}

/// Whose certificate is good. What the system trusts is not asked: a node's certificate is its own.
#[cfg(feature = "tls")]
fn trust(values: &Values, url: &str) -> Result<Option<Trust>, Ended> {
    if let Some(text) = values.text("fingerprint").map_err(usage)? {
        let trust = Trust::in_fingerprint(&text);
        let problem = || usage(format!("--fingerprint takes 64 hexadecimal digits, not {text:?}"));
        return trust.map(Some).ok_or_else(problem);
    }
    let authorities = tls::named(values, "cacert", Some("REDIS_ENTERPRISE_CA_CERT"));
    if let Some(trust) = authorities.map_err(|(code, why)| (code, format!("bootstrapd: {why}")))? {
        return Ok(Some(trust));
    }
    let insecure = std::env::var_os("REDIS_ENTERPRISE_INSECURE").unwrap_or_default();
    let problem = || usage(format!("REDIS_ENTERPRISE_INSECURE takes 1 or 0, not {}", insecure.display()));
    let is_insecure = values.is_on("insecure") || options::switch(&insecure).ok_or_else(problem)?;
    let server = Server::parse(url, Some(&Trust::Anybody));
    let is_alone = server.is_some_and(|server| server.is_loopback());
    Ok(Some(if is_insecure || is_alone { Trust::Anybody } else { Trust::Nobody }))
}

#[cfg(not(feature = "tls"))]
#[expect(clippy::unnecessary_wraps, reason = "as with TLS")]
const fn trust(_: &Values, _: &str) -> Result<Option<Trust>, Ended> {
    Ok(None)
}

/// The password, from a file or a variable: never from the command line, where others read it.
fn password(values: &Values) -> Result<Zeroizing<Vec<u8>>, Ended> {
    if let Some(file) = values.one("password-file") {
        return Ok(Zeroizing::new(gate::trim(&Zeroizing::new(options::read_file(&file)?)).to_vec()));
    }
    let variables = ["BOOTSTRAPD_PASSWORD", "REDIS_ENTERPRISE_PASSWORD"].into_iter().filter_map(std::env::var_os);
    let password = variables.map(std::os::unix::ffi::OsStringExt::into_vec).find(|password| !password.is_empty());
    Ok(Zeroizing::new(password.unwrap_or_default()))
}

fn basic(user: &str, password: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(secret::basic(user, password))
}

fn status(asked: &Asked) -> Result<(), Ended> {
    let answer = asked.get(STATUS_PATH)?;
    let (document, _) = status_document(&answer)?;
    asked.print(document, |document| {
        let text = answer::for_people(document);
        #[cfg(feature = "tls")]
        if let Some(fingerprint) = asked.server.fingerprint(FINGERPRINT_PATIENCE) {
            return format!("{text}{:<10} SHA-256 {fingerprint}\n", "tls");
        }
        text
    });
    Ok(())
}

fn nodes(asked: &Asked) -> Result<(), Ended> {
    let answer = asked.get(NODES_PATH)?;
    check_access(&answer)?;
    match (answer.status, answer::nodes(answer.text())) {
        (200, Some(table)) => asked.print(answer.text(), |_| table),
        (503, _) if answer.error_code() == "no_cluster" => {
            return Err((exit::UNREACHABLE, "the node is in no cluster: it has no list of nodes".to_owned()));
        }
        _ => return Err((exit::UNREACHABLE, format!("no list of nodes, but {}", answer.describe()))),
    }
    Ok(())
}

fn check_access(answer: &Answer) -> Result<(), Ended> {
    if matches!(answer.status, 401 | 403) {
        let why = "access denied: give --user and --password-file, the right ones";
        return Err((exit::DENIED, why.to_owned()));
    }
    Ok(())
}

/// The status document in an answer, which must be one, and its state.
fn status_document(answer: &Answer) -> Result<(&str, State), Ended> {
    check_access(answer)?;
    let document = answer.text();
    let state = lookup(document, &["bootstrap_status", "state"]).and_then(|name| State::from_name(&name));
    if let (200, Some(state)) = (answer.status, state) {
        return Ok((document, state));
    }
    Err((exit::UNREACHABLE, format!("no status, but {}", answer.describe())))
}

fn attempt(mut asked: Asked, action: Action, file: Option<&OsStr>) -> Result<(), Ended> {
    let body = read_input(file)?;
    let answer = asked.post(&format!("{STATUS_PATH}/{}", action.name()), &body, asked.left())?;
    if answer.status != 200 {
        return Err(refusal(&answer));
    }
    if !asked.waits {
        return Ok(());
    }
    asked.login = credentials(&body, action).or(asked.login);
    follow::follow(&asked, true)
}

fn validate(asked: &Asked, action: Action, file: Option<&OsStr>) -> Result<(), Ended> {
    let body = read_input(file)?;
    let answer = asked.post(&format!("{STATUS_PATH}/validate/{}", action.name()), &body, VALIDATE_PATIENCE)?;
    let code = match (answer.status, &*answer.error_code()) {
        (200, _) => {
            asked.print(answer.text(), |_| "the configuration is good\n".to_owned());
            return Ok(());
        }
        // How the attempt would end, if it says so.
        (406, "config_error") => exit::CONFIG,
        (406, code) if !code.is_empty() => exit::FAILED,
        _ => return Err(refusal(&answer)),
    };
    asked.print(answer.text(), |_| String::new());
    Err((code, answer::failure(answer.text())))
}

/// Why an answer to a bootstrap object is not the one that was hoped for.
fn refusal(answer: &Answer) -> Ended {
    match answer.status {
        400 | 413 => (exit::CONFIG, answer.problems()),
        401 => {
            let why = "access denied: give --setup-token-file, or in a cluster --user and --password-file";
            (exit::DENIED, why.to_owned())
        }
        403 => (exit::DENIED, format!("access denied: {}", answer.describe())),
        409 => (exit::REFUSED, format!("refused: {}", answer.describe())),
        _ => (exit::UNREACHABLE, format!("not accepted: {}", answer.describe())),
    }
}

/// A file, or standard input.
fn read_input(file: Option<&OsStr>) -> Result<Zeroizing<Vec<u8>>, Ended> {
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

/// The login that will be good once a bootstrap object was carried out; to create needs one, the rest may have none.
fn credentials(body: &[u8], action: Action) -> Option<Zeroizing<String>> {
    let mut config = Box::<Config>::default();
    config.read(body, action, &mut Problems::new());
    let credentials = &config.credentials;
    (!credentials.username.is_empty()).then(|| basic(&credentials.username, credentials.password.expose()))
}
