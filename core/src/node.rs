//! What the shell knows of the machine it runs on: facts that go into decisions and documents.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::{String, Vec};

use crate::limits::*;

/// The agent's version, as `X.Y.Z-N`.
pub const SOFTWARE_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "-1");

/// Facts about this machine. What the machine will not tell is `None` or empty, and is left out of documents.
#[derive(Clone, Debug, Default)]
pub struct NodeInfo {
    /// The processor's architecture.
    pub architecture: String<FACT_BYTES_MAX>,
    /// Processors that this process may run on.
    pub cores: Option<u32>,
    /// The operating system, for people.
    pub os_version: String<FACT_BYTES_MAX>,
    /// Its short name.
    pub os_name: String<FACT_BYTES_MAX>,
    /// Its family's short name.
    pub os_family: String<FACT_BYTES_MAX>,
    /// Memory in bytes: the machine's, or the control group's limit where that is lower.
    pub total_memory: Option<u64>,
    /// Where data lives.
    pub persistent: Storage,
    /// Where data lives that may be lost.
    pub ephemeral: Storage,
    /// Flash storage, where configured.
    pub bigstore: Option<Storage>,
    /// Every address but loopback, in the kernel's order.
    pub addresses: Vec<Address, ADDRESSES_MAX>,
}

/// A directory and the size of the file system that holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Storage {
    /// Absolute path.
    pub path: String<PATH_BYTES_MAX>,
    /// In bytes.
    pub size: Option<u64>,
}

/// An address of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub address: IpAddr,
    /// The interface that has it.
    pub interface: String<INTERFACE_BYTES_MAX>,
}

impl Address {
    /// Whether the address is only reachable from nearby: RFC 1918, RFC 4193, RFC 6598 or link-local.
    #[must_use]
    pub const fn is_private(&self) -> bool {
        match self.address {
            IpAddr::V4(address) => is_private_v4(address),
            IpAddr::V6(address) => is_private_v6(address),
        }
    }
}

const fn is_private_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    address.is_private() || address.is_link_local() || (first == 100 && second & 0xC0 == 64)
}

const fn is_private_v6(address: Ipv6Addr) -> bool {
    address.is_unique_local() || address.is_unicast_link_local()
}

/// Whether an address only means something on its own link.
#[must_use]
pub const fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses() {
        let private = |text: &str| Address { address: text.parse().unwrap(), interface: String::new() }.is_private();
        for text in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.0",
            "100.127.255.255",
            "169.254.1.1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
        ] {
            assert!(private(text), "{text}");
        }
        for text in ["172.15.0.1", "172.32.0.1", "100.63.255.255", "100.128.0.0", "8.8.8.8", "2001:db8::1", "fec0::1"] {
            assert!(!private(text), "{text}");
        }
    }
}
