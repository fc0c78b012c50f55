//! What the machine says of itself, read by other ways than the program's where there are others.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use nix::ifaddrs::getifaddrs;
use nix::sys::statvfs::statvfs;

/// Processors that this process may run on.
pub fn cores() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let ranges = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let count = |range: &str| match range.split_once('-') {
        Some((first, last)) => last.parse::<u64>().unwrap() - first.parse::<u64>().unwrap() + 1,
        None => 1,
    };
    ranges.trim().split(',').map(count).sum()
}

/// Memory in bytes: the machine's, or a control group's limit where that is lower.
pub fn memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap();
    let total = line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024;
    control_group_limits().into_iter().fold(total, u64::min)
}

/// The limits of this process's control group and of those around it, version 2 and version 1.
fn control_group_limits() -> Vec<u64> {
    let mut limits = Vec::new();
    for line in fs::read_to_string("/proc/self/cgroup").unwrap_or_default().lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next().unwrap(), fields.next().unwrap());
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        for group in Path::new(path).ancestors() {
            let file = Path::new(root).join(group.strip_prefix("/").unwrap()).join(file);
            limits.extend(fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<u64>().ok()));
        }
    }
    limits
}

/// Seconds since the machine started.
pub fn uptime() -> u64 {
    let text = fs::read_to_string("/proc/uptime").unwrap();
    text.split('.').next().unwrap().parse().unwrap()
}

/// A field of `/etc/os-release`, if there is such a file.
pub fn os_release(name: &str) -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

/// The host name.
pub fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned()
}

/// The size in bytes of the file system that holds `path`.
pub fn file_system_size(path: &Path) -> u64 {
    let found = statvfs(path).unwrap();
    found.blocks() * found.fragment_size()
}

/// Every address but loopback with its interface, in the kernel's order.
pub fn addresses() -> Vec<(IpAddr, String)> {
    let found = getifaddrs().unwrap().filter_map(|interface| {
        let address = interface.address?;
        let address = match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
            (Some(v4), _) => IpAddr::V4(v4.ip()),
            (_, Some(v6)) => IpAddr::V6(v6.ip()),
            _ => return None,
        };
        (!address.is_loopback()).then_some((address, interface.interface_name))
    });
    found.collect()
}
