//! The state directory is one agent's at a time.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::{libc_flags, make, named};

/// How long the agent before may take to let the state directory go: a killed one still ends the write it was in.
pub(super) const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks at whether it has.
const LOCK_POLL: Duration = Duration::from_millis(10);

/// Holds the state directory for one agent.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<File>,
}

/// Makes the state directory and takes it. Waits for a second at most for an agent that is ending.
///
/// # Errors
/// `None` where another agent keeps it; else what the system refused, with the file's name.
pub fn lock(state: &Path) -> Result<Lock, Option<io::Error>> {
    make(state).map_err(Some)?;
    let path = state.join("lock");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(libc_flags());
    let mut file = options.open(&path).map_err(|error| Some(named(&path, &error)))?;
    let start = Instant::now();
    loop {
        file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => return Ok(Lock { _file: file }),
            Err((_, Errno::EWOULDBLOCK)) if start.elapsed() >= LOCK_PATIENCE => return Err(None),
            Err((file, Errno::EWOULDBLOCK)) => file,
            Err((_, errno)) => return Err(Some(named(&path, &errno.into()))),
        };
        thread::sleep(LOCK_POLL);
    }
}
