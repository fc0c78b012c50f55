//! What an operator has put before a node that is in no cluster: a token to show, a time after which nothing may begin.
//! What follows from it is the core's to say ([`Rules`]).

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};

use bootstrapd_core::api::{Door, Rules};
use zeroize::Zeroizing;

use crate::exit;
use crate::options::Values;
use crate::secret::{Login, Memory};

/// Whose password the token is.
pub const USER: &str = "setup";
/// The longest token.
pub const TOKEN_BYTES_MAX: usize = 256;
/// The longest window, a day.
const WINDOW_SECONDS_MAX: u64 = 86_400;
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
    /// What the flags ask for; `None` where that is nothing.
    ///
    /// # Errors
    /// What is wrong with them, or with the token's file.
    #[inline(never)]
    pub fn read(values: &Values) -> Result<Option<Box<Self>>, Failed> {
        let remember = |token: Zeroizing<Vec<u8>>| {
            let mut memory = Memory::new().map_err(|error| (exit::CONFIG, error.to_string()))?;
            let mac = memory.mac(&token);
            memory.remember(mac);
            Ok(memory)
        };
        let token = token(values)?.map(remember).transpose()?;
        let window_ms = window_ms(values).map_err(|problem| (exit::USAGE, problem))?;
        let says_completed = values.is_on("open-status");
        let is_some = token.is_some() || window_ms.is_some() || says_completed;
        Ok(is_some.then(|| Box::new(Self { token, window_ms, shuts_at: u64::MAX, says_completed })))
    }

    /// The node listens from now on.
    pub const fn open(&mut self, now: u64) {
        if let Some(window_ms) = self.window_ms {
            self.shuts_at = now.saturating_add(window_ms);
        }
    }

    /// What counts at this moment. Whose time is over has no token that would help.
    #[must_use]
    pub const fn rules(&self, now: u64) -> Rules {
        let door = if now >= self.shuts_at {
            Door::Shut
        } else if self.token.is_some() {
            Door::Token
        } else {
            Door::Open
        };
        Rules { door, says_completed: self.says_completed }
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
        token.knows(&token.mac(login.password()))
    }
}

fn window_ms(values: &Values) -> Result<Option<u64>, String> {
    let Some(text) = values.text("bootstrap-window")? else { return Ok(None) };
    let seconds = text.parse().ok().filter(|seconds| (1..=WINDOW_SECONDS_MAX).contains(seconds));
    let seconds = seconds.ok_or_else(|| {
        format!("--bootstrap-window takes a number of seconds from 1 to {WINDOW_SECONDS_MAX}, not {text}")
    })?;
    Ok(Some(seconds.saturating_mul(1000)))
}

/// The setup token, from a regular file that only its owner can use, without the line end that an editor leaves.
///
/// # Errors
/// Why it cannot be had; the file's name is in it, what it holds is not.
pub fn token(values: &Values) -> Result<Option<Zeroizing<Vec<u8>>>, Failed> {
    let Some(file) = values.one("setup-token-file") else { return Ok(None) };
    let why = |why: &str| (exit::CONFIG, format!("{}: {why}", file.display()));
    let refused = |error: std::io::Error| why(&error.to_string());
    let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(&file).map_err(refused)?;
    let metadata = opened.metadata().map_err(refused)?;
    if !metadata.is_file() {
        return Err(why("the setup token is not in a regular file"));
    }
    if metadata.mode() & OTHERS != 0 {
        return Err(why("others can read or change the setup token: give the file mode 600"));
    }
    // One byte more than a token and a line end, so that what is too long shows.
    let mut token = Zeroizing::new(Vec::with_capacity(TOKEN_BYTES_MAX.saturating_add(3)));
    let limit = u64::try_from(token.capacity()).unwrap_or(u64::MAX);
    opened.take(limit).read_to_end(&mut token).map_err(refused)?;
    trim(&mut token);
    match token.len() {
        0 => Err(why("the setup token is empty")),
        1..=TOKEN_BYTES_MAX => Ok(Some(token)),
        _ => Err(why("the setup token is longer than 256 bytes")),
    }
}

/// Takes off the line end that an editor leaves.
pub fn trim(secret: &mut Vec<u8>) {
    for end in [b'\n', b'\r'] {
        _ = secret.pop_if(|last| *last == end);
    }
}
