//! Records on disk: two copies each, replaced as a pair, so that a crash anywhere leaves the old record or the new
//! one, and a failed write leaves the old one.
//!
//! Nothing is ever written in place. A save writes both new copies beside the old ones and syncs them; only then
//! are they renamed, and the directory synced. What fails before the first rename has changed nothing; what fails
//! later is taken back.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bootstrapd_core::cluster::Cluster;
use bootstrapd_core::failure::{Cause, Failure};
use bootstrapd_core::limits::{CLUSTER_RECORD_BYTES_MAX, NODE_RECORD_BYTES_MAX};
use bootstrapd_core::record::{self, Fault, Kind, NodeRecord, Record};

mod lock;

pub use lock::{Lock, lock};

/// The endings of the two copies' names.
const COPIES: [&str; 2] = ["a", "b"];
/// The ending of a copy that is being written. A start removes what a crash left of them.
const NEW: &str = "new";
/// The directory of the cluster's record, below the path that is configured for it.
const CLUSTER_DIRECTORY: &str = "ccs";

/// Both copies of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    directory: PathBuf,
    kind: Kind,
}

/// What a start finds of a record.
#[derive(Debug)]
pub enum Found<T> {
    /// Neither copy exists.
    Nothing,
    /// The newer whole copy.
    Record {
        /// What it says.
        value: Box<T>,
        /// Its bytes.
        bytes: Vec<u8>,
        /// Whether both copies are the same.
        in_step: bool,
    },
    /// At least one copy exists, and none can be read.
    Unreadable {
        /// The first such copy.
        file: PathBuf,
        /// Why, for people.
        why: String,
    },
}

/// A record with an order: of two copies the newer one counts.
pub trait Versioned: Record + Default {
    /// Grows with every change.
    fn version(&self) -> (u32, u64);
}

impl Versioned for NodeRecord {
    fn version(&self) -> (u32, u64) {
        (0, self.revision)
    }
}

impl Versioned for Cluster {
    fn version(&self) -> (u32, u64) {
        (self.epoch, self.revision)
    }
}

impl Pair {
    /// A node's own record, in the state directory.
    #[must_use]
    pub fn node(state: &Path) -> Self {
        Self { directory: state.to_owned(), kind: Kind::Node }
    }

    /// The cluster's record, below the path that is configured for it.
    #[must_use]
    pub fn cluster(path: &Path) -> Self {
        Self { directory: path.join(CLUSTER_DIRECTORY), kind: Kind::Cluster }
    }

    const fn name(&self) -> &'static str {
        match self.kind {
            Kind::Node => "node",
            Kind::Cluster => "cluster",
        }
    }

    const fn bytes_max(&self) -> usize {
        match self.kind {
            Kind::Node => NODE_RECORD_BYTES_MAX,
            Kind::Cluster => CLUSTER_RECORD_BYTES_MAX,
        }
    }

    /// Where the copies are.
    #[must_use]
    pub fn files(&self) -> [PathBuf; 2] {
        COPIES.map(|copy| self.directory.join(format!("{}.{copy}", self.name())))
    }

    fn new_files(&self) -> [PathBuf; 2] {
        COPIES.map(|copy| self.directory.join(format!("{}.{copy}.{NEW}", self.name())))
    }

    /// Where the copies are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The first copy that is not as a save leaves it, and what is wrong with it.
    #[cfg(feature = "management")]
    #[must_use]
    pub fn damage<T: Versioned>(&self) -> Option<(String, String)> {
        let mut first: Option<Vec<u8>> = None;
        for file in self.files() {
            let why = match read::<T>(&file, self.bytes_max()) {
                Ok((_, bytes)) if first.as_ref().is_none_or(|first| *first == bytes) => {
                    first = Some(bytes);
                    continue;
                }
                Ok(_) => "differs from the other copy".to_owned(),
                Err(Unread::Missing) => "is missing".to_owned(),
                Err(Unread::Because(why) | Unread::Refused(why)) => why,
            };
            return Some((file.display().to_string(), why));
        }
        None
    }

    /// Reads both copies and picks the newer whole one.
    #[must_use]
    pub fn load<T: Versioned>(&self) -> Found<T> {
        let mut best: Option<(Box<T>, Vec<u8>)> = None;
        let mut in_step = 0_usize;
        let mut unreadable = None;
        for file in self.files() {
            match read::<T>(&file, self.bytes_max()) {
                Ok((value, bytes)) => {
                    let same = best.as_ref().is_some_and(|(_, other)| *other == bytes);
                    in_step = in_step.saturating_add(usize::from(best.is_none() || same));
                    if best.as_ref().is_none_or(|(other, _)| value.version() > other.version()) {
                        best = Some((value, bytes));
                    }
                }
                Err(Unread::Missing) => {}
                Err(Unread::Because(why) | Unread::Refused(why)) => _ = unreadable.get_or_insert((file, why)),
            }
        }
        match (best, unreadable) {
            (Some((value, bytes)), _) => Found::Record { value, bytes, in_step: in_step == COPIES.len() },
            (None, Some((file, why))) => Found::Unreadable { file, why },
            (None, None) => Found::Nothing,
        }
    }

    /// Makes `bytes` the record, in both copies, durably. The cluster's directory is made where it is missing.
    ///
    /// # Errors
    /// What the system refused, with the file's name; then the record is the one before.
    pub fn save(&self, bytes: &[u8]) -> io::Result<()> {
        let made = self.make_directory()?;
        let before = self.files().map(fs::read);
        let saved = self.write_new(bytes).and_then(|()| self.rename_new());
        if saved.is_err() {
            self.take_back(bytes, &before, made);
        }
        saved
    }

    /// Makes the cluster's directory; whether it was missing.
    fn make_directory(&self) -> io::Result<bool> {
        if self.kind == Kind::Node {
            return Ok(false);
        }
        match fs::DirBuilder::new().mode(0o700).create(&self.directory) {
            Ok(()) => {
                let parent = self.directory.parent().unwrap_or(&self.directory);
                let synced = sync_directory(parent);
                if synced.is_err() {
                    let _ = fs::remove_dir(&self.directory);
                }
                synced.map(|()| true)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists && self.directory.is_dir() => Ok(false),
            Err(error) => Err(named(&self.directory, &error)),
        }
    }

    fn write_new(&self, bytes: &[u8]) -> io::Result<()> {
        self.new_files().iter().try_for_each(|file| write(file, bytes).map_err(|error| named(file, &error)))
    }

    fn rename_new(&self) -> io::Result<()> {
        for (new, file) in self.new_files().iter().zip(&self.files()) {
            fs::rename(new, file).map_err(|error| named(file, &error))?;
        }
        sync_directory(&self.directory)
    }

    /// Leaves the record that was in force before a save of `bytes` that failed.
    fn take_back(&self, bytes: &[u8], before: &[io::Result<Vec<u8>>; 2], made: bool) {
        self.remove_new();
        for (file, before) in self.files().iter().zip(before) {
            let renamed = fs::read(file).is_ok_and(|found| found == bytes);
            match before {
                Ok(before) if renamed && before != bytes => {
                    let new = file.with_added_extension(NEW);
                    if write(&new, before).and_then(|()| fs::rename(&new, file)).is_err() {
                        let _ = fs::remove_file(new);
                    }
                }
                Err(error) if renamed && error.kind() == ErrorKind::NotFound => _ = fs::remove_file(file),
                // What was there and could not be read cannot be put back: the new copy is better than none.
                Ok(_) | Err(_) => {}
            }
        }
        let _ = sync_directory(&self.directory);
        if made {
            let _ = fs::remove_dir(&self.directory);
        }
    }

    /// Removes what a crash left of a save.
    pub fn remove_new(&self) {
        for file in self.new_files() {
            let _ = fs::remove_file(file);
        }
    }

    /// Removes the record, and the directory that only it needs, durably as far as the system will.
    ///
    /// # Errors
    /// A copy that is still there, and why.
    pub fn discard(&self) -> io::Result<()> {
        self.remove_new();
        let mut removed = Ok(());
        for file in self.files() {
            match fs::remove_file(&file) {
                Err(error) if !is_missing(&error) => removed = Err(named(&file, &error)),
                Ok(()) | Err(_) => {}
            }
        }
        // A directory with anything else in it stays.
        if self.kind == Kind::Cluster
            && fs::remove_dir(&self.directory).is_ok()
            && let Some(parent) = self.directory.parent()
        {
            let _ = sync_directory(parent);
        } else {
            let _ = sync_directory(&self.directory);
        }
        removed
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

enum Unread {
    Missing,
    /// The system does not give it.
    Refused(String),
    /// It is no such record.
    Because(String),
}

fn read<T: Versioned>(file: &Path, bytes_max: usize) -> Result<(Box<T>, Vec<u8>), Unread> {
    let because = |error: io::Error| {
        if is_missing(&error) { Unread::Missing } else { Unread::Refused(format!("cannot be read: {error}")) }
    };
    let opened = OpenOptions::new().read(true).custom_flags(libc_flags()).open(file).map_err(because)?;
    if !opened.metadata().map_err(because)?.is_file() {
        return Err(Unread::Refused("is not a regular file".to_owned()));
    }
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    opened.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(because)?;
    if bytes.len() > bytes_max {
        return Err(Unread::Because(Fault::Foreign.to_string()));
    }
    match decode(&bytes) {
        Ok(value) => Ok((value, bytes)),
        Err(fault) => Err(Unread::Because(fault.to_string())),
    }
}

/// The bytes of a cluster's record; `None` where it is too long to be kept.
#[must_use]
pub fn encode(cluster: &Cluster) -> Option<Vec<u8>> {
    let mut buffer = vec![0; CLUSTER_RECORD_BYTES_MAX];
    let length = record::encode(cluster, &mut buffer).ok()?;
    buffer.truncate(length);
    Some(buffer)
}

/// Reads a record. A record is large, and is made on the stack of whoever calls this: never the loop's.
///
/// # Errors
/// The [`Fault`] that it has.
#[inline(never)]
pub fn decode<T: Versioned>(bytes: &[u8]) -> Result<Box<T>, Fault> {
    let mut value = Box::<T>::default();
    record::decode(bytes, &mut *value).map(|()| value)
}

/// Reads one copy of a cluster's record, wherever it lies, to recover from it.
///
/// # Errors
/// A failure that names the file: of a path where it cannot be read, of the configuration where it is no such record.
pub fn read_recovery(file: &Path) -> Result<Box<Cluster>, Failure> {
    let shown = file.display();
    let (cause, why) = match read::<Cluster>(file, CLUSTER_RECORD_BYTES_MAX) {
        Ok((cluster, _)) => return Ok(cluster),
        Err(Unread::Missing) => (Cause::PathError {}, "does not exist".to_owned()),
        Err(Unread::Refused(why)) => (Cause::PathError {}, why),
        Err(Unread::Because(why)) => (Cause::ConfigError { required_rack_id: None }, why),
    };
    Err(Failure::new(cause, format_args!("\"{shown}\" {why}")))
}

/// A record behind a link could be anybody's.
const fn libc_flags() -> i32 {
    nix::fcntl::OFlag::O_NOFOLLOW.bits() | nix::fcntl::OFlag::O_NONBLOCK.bits()
}

/// Makes `bytes` all that a file of the agent's holds, durably; one that fails leaves what there was.
///
/// # Errors
/// What the system refused, with the file's name.
#[cfg(feature = "tls")]
pub fn keep(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = file.with_added_extension(NEW);
    let kept = write(&new, bytes).and_then(|()| fs::rename(&new, file));
    if kept.is_err() {
        let _ = fs::remove_file(&new);
    }
    kept.map_err(|error| named(file, &error))?;
    sync_directory(file.parent().unwrap_or(file))
}

fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    // Left over, or not ours: either way it goes, so that the new file has our mode.
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(bytes)?;
    // After a failed sync the descriptor's word counts for nothing: the caller starts from memory again.
    file.sync_all()
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory).and_then(|opened| opened.sync_all()).map_err(|error| named(directory, &error))
}

/// The same error with the file's name in front.
fn named(file: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", file.display()))
}

/// Makes a directory of the agent's own, for nobody else to read.
///
/// # Errors
/// What the system refused, with the directory's name.
pub fn make(directory: &Path) -> io::Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| named(directory, &error))
}

#[cfg(test)]
mod tests;
