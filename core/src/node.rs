//! What the shell knows of the machine it runs on: facts that go into decisions and documents.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use heapless::{String, Vec};

use crate::fields::Fields;
use crate::limits::*;
use crate::write::Writer;

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
    /// Where the agent listens.
    pub listeners: Vec<SocketAddr, LISTENERS_MAX>,
    /// Where other nodes are told to reach the agent, where that was configured.
    pub advertise: Option<SocketAddr>,
    /// What every node of a cluster must have alike.
    pub settings: Settings,
}

impl NodeInfo {
    /// Where other nodes reach the agent of a node with the address `addr`: as configured; else `addr` with the port of
    /// a listener that covers it; else the first listener.
    #[must_use]
    pub fn endpoint(&self, addr: IpAddr) -> SocketAddr {
        let covers = |listener: &&SocketAddr| listener.ip() == addr || listener.ip().is_unspecified();
        let covered = self.listeners.iter().find(covers).map(|listener| SocketAddr::new(addr, listener.port()));
        let any = SocketAddr::new(addr, 0);
        self.advertise.or(covered).or(self.listeners.first().copied()).unwrap_or(any)
    }

    /// What leads to this agent.
    #[must_use]
    pub fn own(&self) -> Own {
        let addresses = self.addresses.iter().map(|own| own.address).collect();
        Own { advertise: self.advertise, listeners: self.listeners.clone(), addresses }
    }
}

/// What leads to an agent, as it is at a moment.
#[derive(Clone, Debug)]
pub struct Own {
    advertise: Option<SocketAddr>,
    listeners: Vec<SocketAddr, LISTENERS_MAX>,
    addresses: Vec<IpAddr, ADDRESSES_MAX>,
}

impl Own {
    /// Whether `address` leads to it.
    #[must_use]
    pub fn has(&self, address: SocketAddr) -> bool {
        let own = |ip: IpAddr| ip.is_loopback() || self.addresses.contains(&ip);
        self.advertise == Some(address)
            || self.listeners.iter().any(|listener| {
                listener.port() == address.port()
                    && (listener.ip() == address.ip() || (listener.ip().is_unspecified() && own(address.ip())))
            })
    }
}

/// What every node of a cluster must have alike; compared, and otherwise of no meaning here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where sockets are.
    pub socket_dir: String<PATH_BYTES_MAX>,
    /// Where configuration is.
    pub config_dir: String<PATH_BYTES_MAX>,
    /// Where the software is.
    pub install_dir: String<PATH_BYTES_MAX>,
    /// Who runs it.
    pub user: String<FACT_BYTES_MAX>,
}

impl Settings {
    /// Writes them for a record or a message.
    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        let Self { socket_dir, config_dir, install_dir, user } = self;
        writer.open('{').name("socket_dir").text(socket_dir).name("config_dir").text(config_dir);
        writer.name("install_dir").text(install_dir).name("user").text(user).close('}');
    }

    /// Reads what [`Settings::write`] wrote.
    pub(crate) fn read(&mut self, fields: &mut Fields<'_>) {
        let Self { socket_dir, config_dir, install_dir, user } = self;
        fields.open('{').name("socket_dir").text(socket_dir).name("config_dir").text(config_dir);
        fields.name("install_dir").text(install_dir).name("user").text(user).close('}');
    }
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

/// Whether a node can have this address: no group, no placeholder, nothing that only one link knows.
#[must_use]
pub fn is_reachable(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let broadcast = IpAddr::V4(Ipv4Addr::BROADCAST);
    !(address.is_unspecified() || address.is_multicast() || address == broadcast || is_link_local(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn listening(listeners: &[&str], advertise: Option<&str>) -> NodeInfo {
        let address = Address { address: at("10.0.0.1:0").ip(), interface: String::new() };
        NodeInfo {
            addresses: [address].into_iter().collect(),
            listeners: listeners.iter().map(|text| at(text)).collect(),
            advertise: advertise.map(at),
            ..NodeInfo::default()
        }
    }

    #[test]
    fn others_reach_the_agent_where_that_is_said_or_where_a_listener_covers_the_address_or_at_the_first_listener() {
        for (listeners, advertise, expected) in [
            (&["0.0.0.0:1", "10.0.0.1:2"][..], Some("9.9.9.9:9"), "9.9.9.9:9"),
            (&["127.0.0.1:1", "10.0.0.1:2", "0.0.0.0:3"], None, "10.0.0.1:2"),
            (&["127.0.0.1:1", "0.0.0.0:3"], None, "10.0.0.1:3"),
            (&["127.0.0.1:1", "10.0.0.2:2"], None, "127.0.0.1:1"),
            (&[], None, "10.0.0.1:0"),
        ] {
            let facts = listening(listeners, advertise);
            assert_eq!(facts.endpoint(at("10.0.0.1:0").ip()), at(expected), "{listeners:?}");
        }
    }

    #[test]
    fn an_agent_knows_itself_by_address_and_port() {
        let facts = listening(&["0.0.0.0:1", "127.0.0.1:2"], Some("9.9.9.9:9"));
        for (address, own) in [
            ("9.9.9.9:9", true),
            ("10.0.0.1:1", true),
            ("127.0.0.1:1", true),
            ("127.0.0.1:2", true),
            ("10.0.0.1:2", false),
            ("10.0.0.2:1", false),
            ("9.9.9.9:1", false),
        ] {
            assert_eq!(facts.own().has(at(address)), own, "{address}");
        }
    }

    #[test]
    fn no_node_is_at_an_address_of_nobody_of_many_or_of_one_link_only() {
        for (address, reachable) in [
            ("10.0.0.1", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("2001:db8::1", true),
            ("::ffff:10.0.0.1", true),
            ("0.0.0.0", false),
            ("::", false),
            ("::ffff:0.0.0.0", false),
            ("224.0.0.1", false),
            ("239.255.255.255", false),
            ("ff02::1", false),
            ("::ffff:224.0.0.1", false),
            ("255.255.255.255", false),
            ("::ffff:255.255.255.255", false),
            ("169.254.1.1", false),
            ("fe80::1", false),
            ("::ffff:169.254.1.1", false),
        ] {
            assert_eq!(is_reachable(address.parse().unwrap()), reachable, "{address}");
        }
    }

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
