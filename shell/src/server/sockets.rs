//! The descriptors that the loop waits for, made ready, and how many there may be.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{
    AddressFamily, Backlog, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, listen, setsockopt, socket, sockopt,
};

use crate::log;

/// Connections at once, where the limit of descriptors allows so many.
const CONNECTIONS_MAX: usize = 1024;
/// Descriptors for everything else.
const RESERVED_DESCRIPTORS: u64 = 32;
/// How long a client may leave an answer that the kernel holds for it, in milliseconds.
const ANSWER_MS: u32 = 10_000;

/// Opens listening sockets.
///
/// # Errors
/// The address that could not be had, and why.
pub fn listen_on(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let open = |address: &SocketAddr| {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        // Connections inherit these. Answers that the kernel took and the client does not are its to give up.
        setsockopt(&listener, sockopt::TcpNoDelay, &true)?;
        setsockopt(&listener, sockopt::TcpUserTimeout, &ANSWER_MS)?;
        listen(&listener, Backlog::MAXALLOWABLE)?;
        Ok(listener)
    };
    let named = |address: &SocketAddr, error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
    addresses.iter().map(|address| open(address).map_err(|error| named(address, error))).collect()
}

/// Takes the signals that end the program, or that mean something else to it, in this thread and those that it starts.
///
/// # Errors
/// Where the system refuses.
pub fn take_signals() -> io::Result<SignalFd> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    set.add(Signal::SIGINT);
    if crate::tls::IS_BUILT_IN {
        // It means that the certificate is to be read again.
        set.add(Signal::SIGHUP);
    }
    set.thread_block()?;
    Ok(SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)
}

/// As many connections as the limit of descriptors allows, after it was raised as far as it goes.
pub(super) fn connections_max() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return CONNECTIONS_MAX };
    let limit = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    let room = usize::try_from(limit.saturating_sub(RESERVED_DESCRIPTORS)).unwrap_or(CONNECTIONS_MAX);
    room.clamp(1, CONNECTIONS_MAX)
}

/// A socket that is readable when an address or an interface of the machine has changed.
pub(super) fn watch_addresses() -> Option<OwnedFd> {
    const LINK: u32 = 1;
    const IPV4_ADDRESS: u32 = 0x10;
    const IPV6_ADDRESS: u32 = 0x100;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let opened = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute);
    let bound = opened.and_then(|socket| {
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, LINK | IPV4_ADDRESS | IPV6_ADDRESS)).map(|()| socket)
    });
    match bound {
        Ok(socket) => Some(socket),
        Err(errno) => {
            log::warn("address changes will not be noticed", &[("error", &errno)]);
            None
        }
    }
}
