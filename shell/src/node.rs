//! Facts about this machine, as far as it gives them. What it will not say is left out; nothing here fails.
//!
//! Only the addresses are read on the loop's thread: the kernel answers from memory. Whatever touches a file system
//! is the worker's.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bootstrapd_core::limits::{ADDRESSES_MAX, FACT_BYTES_MAX};
use bootstrapd_core::node::{Address, NodeInfo};
use bootstrapd_core::time::Timestamp;
use heapless::{String as Text, Vec as List};
use nix::ifaddrs::getifaddrs;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::statvfs::statvfs;
use nix::sys::sysinfo::sysinfo;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// The facts that stay, and the addresses of now.
#[must_use]
pub fn read() -> Box<NodeInfo> {
    let mut facts = Box::<NodeInfo>::default();
    facts.architecture = text(std::env::consts::ARCH);
    facts.cores = cores();
    read_os(&mut facts);
    facts.total_memory = memory();
    facts.addresses = addresses().unwrap_or_default();
    facts
}

/// Processors that this process may run on.
fn cores() -> Option<u32> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).ok()?;
    let count = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or_default()).count();
    u32::try_from(count).ok()
}

fn read_os(facts: &mut NodeInfo) {
    let read = |path: &str| fs::read_to_string(path).ok();
    let Some(release) = read("/etc/os-release").or_else(|| read("/usr/lib/os-release")) else { return };
    let field = |name: &str| {
        let mut lines = release.lines().rev().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let value = lines.next().unwrap_or_default().trim();
        text(value.trim_matches(['"', '\'']))
    };
    facts.os_version = field("PRETTY_NAME");
    facts.os_name = field("ID");
    let like = field("ID_LIKE");
    // A system that is like no other is a family of its own.
    facts.os_family = text(like.split_whitespace().next().unwrap_or(&facts.os_name));
}

/// As much of a fact as fits.
fn text(value: &str) -> Text<FACT_BYTES_MAX> {
    let mut kept = Text::new();
    let _ = value.chars().try_for_each(|character| kept.push(character));
    kept
}

/// Memory in bytes: the machine's, or the control group's limit where that is lower.
#[must_use]
pub fn memory() -> Option<u64> {
    let total = sysinfo().ok()?.ram_total();
    Some(control_group_limits().into_iter().fold(total, u64::min))
}

/// The limits of this process's control group and of those around it, version 2 and version 1.
fn control_group_limits() -> Vec<u64> {
    let mut limits = Vec::new();
    for line in fs::read_to_string("/proc/self/cgroup").unwrap_or_default().lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (root, file) = match fields.next() {
            Some("") => ("/sys/fs/cgroup", "memory.max"),
            Some(controllers) if controllers.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            Some(_) | None => continue,
        };
        for group in Path::new(fields.next().unwrap_or("/")).ancestors() {
            let file = Path::new(root).join(group.strip_prefix("/").unwrap_or(group)).join(file);
            // "max" is no number, and no limit.
            limits.extend(fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<u64>().ok()));
        }
    }
    limits
}

/// Every address but loopback, in the kernel's order; as many as a status document shows. `None` where the kernel will
/// not say.
#[must_use]
pub fn addresses() -> Option<List<Address, ADDRESSES_MAX>> {
    let mut found = List::new();
    for interface in getifaddrs().ok()? {
        let Some(storage) = interface.address else { continue };
        let v4 = storage.as_sockaddr_in().map(|address| address.ip().into());
        let v6 = storage.as_sockaddr_in6().map(|address| address.ip().into());
        let Some(address) = v4.or(v6).filter(|address: &std::net::IpAddr| !address.is_loopback()) else { continue };
        let Ok(interface) = Text::try_from(interface.interface_name.as_str()) else { continue };
        if found.push(Address { address, interface }).is_err() {
            break;
        }
    }
    Some(found)
}

/// The size in bytes of the file system that holds `path`.
#[must_use]
pub fn size(path: &str) -> Option<u64> {
    let found = statvfs(path).ok()?;
    found.blocks().checked_mul(found.fragment_size())
}

/// Bytes that this process may still write to the file system that holds `path`.
#[cfg(feature = "management")]
#[must_use]
pub fn free(path: &Path) -> Option<u64> {
    let found = statvfs(path).ok()?;
    found.blocks_available().checked_mul(found.fragment_size())
}

/// The wall clock.
#[must_use]
pub fn now() -> Timestamp {
    let seconds = clock_gettime(ClockId::CLOCK_REALTIME).map(|time| time.tv_sec()).unwrap_or_default();
    Timestamp::from_seconds(u64::try_from(seconds).unwrap_or_default())
}

/// Milliseconds since the machine started, sleep included: the uptime, and the clock of every deadline.
#[must_use]
pub fn uptime_ms() -> u64 {
    read_ms(ClockId::CLOCK_BOOTTIME)
}

/// The wall clock, in milliseconds since 1970.
#[must_use]
pub fn clock_ms() -> u64 {
    read_ms(ClockId::CLOCK_REALTIME)
}

fn read_ms(clock: ClockId) -> u64 {
    let Ok(time) = clock_gettime(clock) else { return 0 };
    let [seconds, nanoseconds] = [time.tv_sec(), time.tv_nsec()].map(|part| u64::try_from(part).unwrap_or_default());
    seconds.saturating_mul(1000).saturating_add(nanoseconds / 1_000_000)
}

/// A time in whole milliseconds.
#[must_use]
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Who runs this process: the user's name, or the number where it has none.
#[must_use]
pub fn user() -> Text<FACT_BYTES_MAX> {
    let uid = nix::unistd::geteuid();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let number = uid.to_string();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1) == Some(number.as_str())).then_some(name)
    });
    text(name.unwrap_or(&number))
}

/// The machine's own name; a system call, no look-up.
#[must_use]
pub fn host_name() -> Option<String> {
    nix::unistd::gethostname().ok()?.into_string().ok()
}
