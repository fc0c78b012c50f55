//! The slow work: one function for each effect, without any policy. It runs on the worker's thread; only password
//! checks have a thread of their own, so that a disk that hangs keeps nobody from logging in.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use bootstrapd_core::cluster::{Cluster, PasswordHash, Registration};
use bootstrapd_core::failure::{Cause, Failure, Violation};
use bootstrapd_core::license::{self, Terms};
use bootstrapd_core::machine::{Confirmed, FileId, PathTrouble, PathsFound, StoreChecked};
#[cfg(feature = "management")]
use bootstrapd_core::manage::{Change, Refusal, check::has_room};
use bootstrapd_core::peer::Ask;
use bootstrapd_core::record::Id;
#[cfg(feature = "management")]
use bootstrapd_core::record::NodeRecord;
use nix::sys::eventfd::EventFd;
use nix::sys::stat::{FileStat, stat};
use nix::unistd::{AccessFlags, access};
use zeroize::Zeroizing;

use crate::peer::{self, ContactEnd, Errand, Told};
use crate::secret::{self, LicenseKey};
use crate::shared::{Admitted, Beat, Shared};
use crate::store::{self, Found, Pair};
use crate::{node, opaque, tls};

/// How often the sizes of file systems and the memory are looked at.
const REFRESH: Duration = Duration::from_secs(5);
/// Enough for a cluster's record while it is decoded, without optimisation too; only what is touched takes memory.
pub(crate) const STACK_BYTES: usize = 8 * 1024 * 1024;

/// Something slow to do.
pub enum Work {
    /// Replace a record.
    Save(Pair, Vec<u8>),
    /// Remove the cluster's record; where it is in the place of this one, put that back.
    Discard(Pair, Option<(Pair, Vec<u8>)>),
    /// Look at directories.
    CheckPaths([Option<String>; 4], Id),
    /// Open a licence.
    VerifyLicense(String, Option<LicenseKey>),
    /// Hash and register a new password of this user, on a machine with so many bytes of memory.
    Hash(String, Zeroizing<Vec<u8>>, Option<u64>),
    /// Look at directories, and at the copies of these records of this node.
    #[cfg(feature = "management")]
    Examine([Option<String>; 4], Box<[Pair; 2]>, Id),
    /// Read a record to recover from, and check these credentials by it, if there are any.
    ReadRecovery(PathBuf, String, Zeroizing<Vec<u8>>),
}

/// What came of it.
#[expect(clippy::large_enum_variant, reason = "one exists at a time")]
pub enum Outcome {
    /// Of [`Work::Save`].
    Saved(io::Result<()>),
    /// Of [`Work::Discard`].
    Discarded(io::Result<()>),
    /// Of [`Work::CheckPaths`].
    PathsChecked(PathsFound),
    /// Of [`Work::VerifyLicense`].
    LicenseVerified(Result<Terms, Violation>),
    /// Of [`Work::Hash`].
    Hashed(io::Result<(PasswordHash, Registration)>),
    /// Of [`Work::ReadRecovery`].
    RecoveryRead(Result<Box<Cluster>, Box<Failure>>),
    /// Of [`Work::Examine`].
    #[cfg(feature = "management")]
    Examined(Box<Examined>),
}

/// What is wrong on disk.
#[cfg(feature = "management")]
#[derive(Debug, Default)]
pub struct Examined {
    /// A copy of a record, and what is wrong with it.
    pub damage: Option<(String, String)>,
    /// A directory, and what is wrong with it.
    pub path: Option<(String, PathTrouble)>,
    /// A directory of records with too little room, and the bytes that it has.
    pub room: Option<(String, u64)>,
}

/// On whose behalf work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The attempt.
    Attempt,
    /// The validation with this number.
    Validation(u32),
    /// The cluster's record, which changes without any attempt of this node.
    Record,
}

/// A job for the worker.
pub enum Job {
    /// Something slow.
    Work(Who, Work),
    /// Look at the file systems that hold these paths from now on.
    Watch([Option<String>; 3]),
    /// Read certificates again.
    ReadCertificate(tls::Sources),
}

/// A login to be checked.
pub struct LoginJob {
    /// Names the login.
    pub mac: [u8; 32],
    /// The password that was given.
    pub password: Zeroizing<Vec<u8>>,
    /// The hash of the right one.
    pub expected: PasswordHash,
    /// Whether the name was the right one.
    pub name_is_right: bool,
}

/// What the threads tell the loop.
#[expect(clippy::large_enum_variant, reason = "few exist at a time")]
pub enum Done {
    /// A job's end.
    Work(Who, Outcome),
    /// Sizes in bytes, in the order of [`Job::Watch`], and the memory.
    Facts([Option<u64>; 3], Option<u64>),
    /// A login was checked, or there was no memory to do so.
    Login([u8; 32], Option<bool>),
    /// [`Errand::Contact`] ended.
    Contacted(Who, ContactEnd),
    /// [`Errand::Wait`] ended.
    Waited(Who),
    /// What a member said to a question.
    Told(Id, Ask, Told),
    /// It is time for a beat.
    Beat,
    /// What a beat has found in the store that all members share.
    Stored(Beat),
    /// [`Errand::CheckStore`] ended.
    StoreChecked(Who, StoreChecked),
    /// Each [`Errand::Admit`] ended.
    Admitted(Admitted),
    /// [`Errand::Confirm`] ended.
    Confirmed(Confirmed),
    /// [`Errand::Change`] ended.
    #[cfg(feature = "management")]
    Changed(u32, Box<Change>, Result<Box<Cluster>, Refusal>),
    /// [`Job::ReadCertificate`] ended.
    Certificate(tls::Read),
}

/// Work that waits for a thread.
pub struct Queue<T> {
    waiting: Mutex<VecDeque<T>>,
    arrived: Condvar,
}

impl<T> Queue<T> {
    fn new() -> Self {
        Self { waiting: Mutex::new(VecDeque::new()), arrived: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        // No code panics while it holds the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends something.
    pub fn push(&self, item: T) {
        self.lock().push_back(item);
        self.arrived.notify_one();
    }

    /// Everything that is there.
    pub fn take(&self) -> VecDeque<T> {
        std::mem::take(&mut *self.lock())
    }

    /// What `pick` takes of all that is there, in its order.
    pub(crate) fn pick<P>(&self, mut pick: impl FnMut(T) -> Result<P, T>) -> Vec<P> {
        let mut picked = Vec::new();
        let mut waiting = self.lock();
        for item in std::mem::take(&mut *waiting) {
            match pick(item) {
                Ok(item) => picked.push(item),
                Err(item) => waiting.push_back(item),
            }
        }
        picked
    }

    /// The next one, after a wait; `None` where `patience` ends first.
    pub(crate) fn next(&self, patience: Duration) -> Option<T> {
        let waiting = self.arrived.wait_timeout_while(self.lock(), patience, |waiting| waiting.is_empty());
        waiting.unwrap_or_else(PoisonError::into_inner).0.pop_front()
    }
}

/// The threads and the ways to and from them.
pub struct Threads {
    /// To the worker.
    pub jobs: Arc<Queue<Job>>,
    /// To the hasher.
    pub logins: Arc<Queue<LoginJob>>,
    /// To the one that talks to other nodes.
    pub errands: Arc<Queue<Errand>>,
    /// From all of them.
    pub done: Arc<Queue<Done>>,
    /// Readable when something is in `done`.
    pub bell: Arc<EventFd>,
}

impl Threads {
    /// Starts them; `shared` is the store of the cluster's record, where it has one. They live as long as the process.
    ///
    /// # Errors
    /// Where the system has no more threads or descriptors.
    pub fn start(shared: Option<Box<Shared>>) -> io::Result<Self> {
        use nix::sys::eventfd::EfdFlags;
        let bell = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        let threads = Self {
            jobs: Arc::new(Queue::new()),
            logins: Arc::new(Queue::new()),
            errands: Arc::new(Queue::new()),
            done: Arc::new(Queue::new()),
            bell: Arc::new(bell),
        };
        let tell = || {
            let (done, bell) = (Arc::clone(&threads.done), Arc::clone(&threads.bell));
            move |item| {
                done.push(item);
                // A bell that cannot be rung rings already.
                let _ = bell.write(1);
            }
        };
        let (jobs, logins, errands) =
            (Arc::clone(&threads.jobs), Arc::clone(&threads.logins), Arc::clone(&threads.errands));
        let (tell_work, tell_login, tell_end) = (tell(), tell(), tell());
        spawn("worker", move || work(&jobs, tell_work))?;
        spawn("hasher", move || check_logins(&logins, tell_login))?;
        spawn("peer", move || peer::run(&errands, shared, tell_end))?;
        Ok(threads)
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(body).map(|_| ())
}

fn work(jobs: &Queue<Job>, tell: impl Fn(Done)) {
    let mut watched = [None, None, None];
    let mut told = None;
    loop {
        match jobs.next(REFRESH) {
            Some(Job::Work(who, work)) => {
                tell(Done::Work(who, perform(work)));
                continue;
            }
            Some(Job::ReadCertificate(files)) => {
                tell(Done::Certificate(tls::read(&files)));
                continue;
            }
            Some(Job::Watch(paths)) => {
                watched = paths;
                told = None;
            }
            None => {}
        }
        let sizes = watched.each_ref().map(|path| path.as_deref().and_then(node::size));
        let facts = (sizes, node::memory());
        if told != Some(facts) {
            told = Some(facts);
            tell(Done::Facts(facts.0, facts.1));
        }
    }
}

fn check_logins(logins: &Queue<LoginJob>, tell: impl Fn(Done)) {
    loop {
        if let Some(LoginJob { mac, password, expected, name_is_right }) = logins.next(Duration::MAX) {
            // The hash is made whatever the name is: time must not tell which of the two was wrong.
            let right = secret::verify_password(&password, &expected).ok();
            tell(Done::Login(mac, right.map(|right| right && name_is_right)));
        }
    }
}

// Not inlined: what it needs of the stack stays resident.
#[inline(never)]
fn perform(work: Work) -> Outcome {
    match work {
        Work::Save(pair, bytes) => Outcome::Saved(pair.save(&bytes)),
        Work::Discard(pair, before) => {
            let before = before.filter(|(home, _)| is_same(home.directory(), pair.directory()));
            Outcome::Discarded(before.map_or_else(|| pair.discard(), |(home, bytes)| home.save(&bytes)))
        }
        Work::CheckPaths(paths, node_id) => {
            let [_, _, flash, _] = &paths;
            let flash = flash.as_deref().and_then(node::size);
            let found = paths.map(|path| path.map(|path| check_path(Path::new(&path), node_id)));
            Outcome::PathsChecked(PathsFound { found, flash })
        }
        Work::VerifyLicense(text, key) => {
            let verify =
                |statement: &[u8], signature: &[u8; 64]| key.is_some_and(|key| key.verify(statement, signature));
            Outcome::LicenseVerified(license::open(&text, verify))
        }
        #[cfg(feature = "management")]
        Work::Examine(paths, records, node_id) => Outcome::Examined(Box::new(examine(paths, &records, node_id))),
        Work::Hash(user, password, memory) => {
            Outcome::Hashed(secret::hash_password(&password, memory).and_then(|hash| {
                let registration = opaque::register(user.as_bytes(), &password, hash.cost)?;
                Ok((hash, registration))
            }))
        }
        Work::ReadRecovery(file, user, password) => {
            Outcome::RecoveryRead(read_recovery(&file, &user, &password).map_err(Box::new))
        }
    }
}

#[cfg(feature = "management")]
fn examine(paths: [Option<String>; 4], [node, cluster]: &[Pair; 2], node_id: Id) -> Examined {
    let damage = node.damage::<NodeRecord>().or_else(|| cluster.damage::<Cluster>());
    let trouble = |path: String| Some((check_path(Path::new(&path), node_id).err()?, path));
    let path = paths.into_iter().flatten().find_map(trouble).map(|(trouble, path)| (path, trouble));
    let room = [node, cluster].into_iter().find_map(|pair| {
        let free = node::free(pair.directory()).filter(|free| !has_room(*free))?;
        Some((pair.directory().display().to_string(), free))
    });
    Examined { damage, path, room }
}

/// Whoever names the administrator must know the password; whoever names nobody has the record, which is as good.
fn read_recovery(file: &Path, user: &str, password: &[u8]) -> Result<Box<Cluster>, Failure> {
    let cluster = store::read_recovery(file)?;
    if user.is_empty() {
        return Ok(cluster);
    }
    let right = secret::verify_password(password, &cluster.password).map_err(Failure::internal)?;
    if !right || !cluster.is_administrator(user) {
        return Err(Failure::new(Cause::AccessDenied {}, "the credentials are not those of the recovered cluster"));
    }
    Ok(cluster)
}

/// Whether both are one directory, whatever they are called.
fn is_same(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| stat(path).ok().as_ref().map(file_id);
    one == other || file(one).is_some_and(|one| file(other) == Some(one))
}

fn check_path(path: &Path, node_id: Id) -> Result<FileId, PathTrouble> {
    use nix::errno::Errno;
    use nix::sys::stat::SFlag;
    let is_missing = |errno| matches!(errno, Errno::ENOENT | Errno::ENOTDIR);
    let why = |errno| if is_missing(errno) { PathTrouble::Missing } else { PathTrouble::Unreadable };
    let found = stat(path).map_err(why)?;
    if SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT != SFlag::S_IFDIR {
        return Err(PathTrouble::NotADirectory);
    }
    // A read-only file system and a foreign owner are both found here; nothing is written to find out.
    access(path, AccessFlags::W_OK | AccessFlags::X_OK | AccessFlags::R_OK).map_err(|_| PathTrouble::NotWritable)?;
    match Pair::cluster(path).load::<Cluster>() {
        Found::Nothing => {}
        Found::Record { value, .. } if value.membership(node_id).is_some() => {}
        Found::Record { .. } | Found::Unreadable { .. } => return Err(PathTrouble::ForeignRecord),
    }
    Ok(file_id(&found))
}

const fn file_id(found: &FileStat) -> FileId {
    FileId { device: found.st_dev, inode: found.st_ino }
}

/// The path that a cluster's record lies below, as the machine names it.
#[must_use]
pub fn record_path(path: &str) -> Pair {
    Pair::cluster(&PathBuf::from(path))
}
