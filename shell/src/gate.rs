//! What an operator has put before a node that is in no cluster: a token to show, a time after which nothing may begin.
//! What follows from it is the core's to say ([`Rules`]).

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::ops::RangeInclusive;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use bootstrapd_core::api::Rules;
use zeroize::Zeroizing;

use crate::exit;
use crate::options::Values;
use crate::secret::{Login, Memory};

const TOKEN: &str = "setup-token-file";
const WINDOW: &str = "bootstrap-window";
const STATUS: &str = "open-status";
/// The flags of `serve` that there is a gate for.
pub const FLAGS: [&str; 3] = [TOKEN, WINDOW, STATUS];

/// Whose password the token is.
pub const USER: &str = "setup";
/// The longest token.
pub const TOKEN_BYTES_MAX: usize = 256;
/// A window: at most a day.
const WINDOW_SECONDS: RangeInclusive<u64> = 1..=86_400;
/// What is not the owner's to do with a token's file.
const OTHERS: u32 = 0o077;

/// Why there is none: the exit code and the reason.
type Failed = (u8, String);

/// See the module. The token itself is not kept.
pub struct Gate {
    token: Option<Memory>,
    window_ms: Option<u64>,
    /// In milliseconds of uptime.
    shuts_at: u64,
    says_completed: bool,
}

impl Gate {
    /// What the [`FLAGS`] ask for.
    ///
    /// # Errors
    /// What is wrong with them, or with the token's file.
    #[inline(never)]
    pub fn read(values: &Values) -> Result<Self, Failed> {
        let mut memory = None;
        if let Some(token) = token(values)? {
            let blank = Memory::new().map_err(|error| (exit::CONFIG, error.to_string()))?;
            let mac = blank.mac(b"", &token);
            memory.insert(blank).remember(mac);
        }
        let token = memory;
        let window = values.seconds(WINDOW, WINDOW_SECONDS).map_err(|problem| (exit::USAGE, problem))?;
        let window_ms = window.map(|seconds| seconds.saturating_mul(1000));
        Ok(Self { token, window_ms, shuts_at: u64::MAX, says_completed: values.is_on(STATUS) })
    }

    /// The node listens from now on.
    pub const fn open(&mut self, now: u64) {
        if let Some(window_ms) = self.window_ms {
            self.shuts_at = now.saturating_add(window_ms);
        }
    }

    /// What counts at this moment.
    #[must_use]
    pub const fn rules(&self, now: u64) -> Rules {
        Rules { needs_token: self.token.is_some(), is_shut: now >= self.shuts_at, says_completed: self.says_completed }
    }

    /// Whether there is a token.
    #[must_use]
    pub const fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether an `Authorization` value shows the token. How long that takes tells nothing of it.
    #[must_use]
    pub fn knows(&self, authorization: &str) -> bool {
        let login = Login::token(authorization).and_then(Login::read).filter(|login| login.name() == Some(USER));
        let (Some(login), Some(token)) = (login, &self.token) else { return false };
        token.knows(&token.mac(b"", login.password()))
    }
}

/// The setup token, from a regular file that only its owner can use, without the line end that an editor leaves.
///
/// # Errors
/// Why it cannot be had; the file's name is in it, what it holds is not.
pub fn token(values: &Values) -> Result<Option<Zeroizing<Vec<u8>>>, Failed> {
    let Some(file) = values.one(TOKEN) else { return Ok(None) };
    read_token(Path::new(&file)).map(Some).map_err(|why| (exit::CONFIG, format!("{}: {why}", file.display())))
}

fn read_token(file: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let refused = |why: &'static str| Err(io::Error::other(why));
    // Nobody has to wait for whoever writes to a pipe.
    let mut opened = OpenOptions::new().read(true).custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits()).open(file)?;
    let metadata = opened.metadata()?;
    if !metadata.is_file() {
        return refused("the setup token is not in a regular file");
    }
    if metadata.mode() & OTHERS != 0 {
        return refused("others can read or change the setup token: give the file mode 600");
    }
    // A regular file comes in one piece; what is too long shows by the first bytes that are too many.
    let mut bytes = Zeroizing::new([0; 2 * TOKEN_BYTES_MAX]);
    let length = opened.read(bytes.as_mut_slice())?;
    let token = trim(bytes.get(..length).unwrap_or_default());
    match token.len() {
        0 => refused("the setup token is empty"),
        1..=TOKEN_BYTES_MAX => Ok(Zeroizing::new(token.to_vec())),
        _ => refused("the setup token is longer than 256 bytes"),
    }
}

/// What is left of a secret's file without the line end that an editor leaves.
#[must_use]
pub fn trim(secret: &[u8]) -> &[u8] {
    let line = secret.strip_suffix(b"\n").unwrap_or(secret);
    line.strip_suffix(b"\r").unwrap_or(line)
}
