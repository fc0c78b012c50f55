//! The directories of an attempt: which ones there are, and what can be wrong with them.

use core::fmt;

use heapless::String;

use crate::config::Paths;
use crate::config::table::Object;
use crate::limits::PATH_BYTES_MAX;
use crate::problems::{Place, Problems};

/// What was found at each path; `None` where a path is not asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathsFound {
    /// One for each of [`PathRole::ALL`].
    pub found: [Option<Result<FileId, PathTrouble>>; 4],
    /// Bytes of the file system that holds the flash path.
    pub flash: Option<u64>,
}

impl PathsFound {
    /// Adds every path that cannot be used to `problems`. No two may be the same directory, but the record's own may
    /// be any.
    pub(super) fn judge(&self, configured: &Paths, defaults: &Paths, problems: &mut Problems) {
        for (role, result) in PathRole::ALL.into_iter().zip(self.found) {
            let twin = PathRole::ALL.into_iter().zip(self.found).find(|(other, twin)| {
                role != PathRole::Ccs && *other != PathRole::Ccs && (*other as u8) < (role as u8) && *twin == result
            });
            let place = Place::member(Object::Paths.path(), role.member());
            let path = effective(role, configured, defaults);
            match (result, twin) {
                (Some(Err(trouble)), _) => problems.add(place, format_args!("\"{path}\" {trouble}")),
                (Some(Ok(_)), Some((twin, _))) => {
                    problems.add(place, format_args!("\"{path}\" is the same directory as {}", twin.member()));
                }
                (Some(Ok(_)) | None, _) => {}
            }
        }
    }
}

/// A directory's identity, whatever names lead to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// The device's number.
    pub device: u64,
    /// The number on the device.
    pub inode: u64,
}

/// Why a directory cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathTrouble {
    /// Nothing is there.
    Missing,
    /// Something else is there.
    NotADirectory,
    /// The agent may not write there.
    NotWritable,
    /// The record of another node, or one that nobody can read, is there.
    ForeignRecord,
    /// The system could not say.
    Unreadable,
}

impl fmt::Display for PathTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "does not exist",
            Self::NotADirectory => "is not a directory",
            Self::NotWritable => "is not writable for this agent",
            Self::ForeignRecord => "holds the cluster record of another node, or one that cannot be read",
            Self::Unreadable => "cannot be examined",
        })
    }
}

/// What a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathRole {
    /// Data.
    Persistent,
    /// Data that may be lost.
    Ephemeral,
    /// Flash storage.
    Bigstore,
    /// The cluster's record.
    Ccs,
}

impl PathRole {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Persistent, Self::Ephemeral, Self::Bigstore, Self::Ccs];

    const fn member(self) -> &'static str {
        match self {
            Self::Persistent => "persistent_path",
            Self::Ephemeral => "ephemeral_path",
            Self::Bigstore => "bigstore_path",
            Self::Ccs => "ccs_persistent_path",
        }
    }

    fn of(self, paths: &Paths) -> &String<PATH_BYTES_MAX> {
        match self {
            Self::Persistent => &paths.persistent,
            Self::Ephemeral => &paths.ephemeral,
            Self::Bigstore => &paths.bigstore,
            Self::Ccs => &paths.ccs,
        }
    }
}

/// The configured path for `role`, or the agent's own; the cluster's record goes to the persistent path.
pub(super) fn effective<'a>(role: PathRole, configured: &'a Paths, defaults: &'a Paths) -> &'a str {
    let role = if role == PathRole::Ccs && configured.ccs.is_empty() { PathRole::Persistent } else { role };
    let path = role.of(configured);
    if path.is_empty() { role.of(defaults) } else { path }
}
