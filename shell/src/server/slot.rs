//! One place in the table of connections.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;

use nix::sys::epoll::EpollFlags;

use crate::connection::{Connection, Shared};

/// A connection with its socket.
pub(super) struct Slot {
    pub(super) stream: TcpStream,
    pub(super) connection: Connection,
    pub(super) token: u64,
    /// What the kernel was told to wait for.
    pub(super) interest: EpollFlags,
    /// Input that could not be used yet: so many bytes of this slot's part of `inputs`.
    pub(super) pending: usize,
    /// Output that the client has not taken yet.
    pub(super) backlog: Vec<u8>,
    pub(super) shut: bool,
}

impl Slot {
    pub(super) fn is_over(&self, now: u64) -> bool {
        now >= self.connection.deadline()
    }

    /// Writes what is to be written, as much as the client takes; whether the connection is still good.
    pub(super) fn flush(&mut self, shared: &mut Shared, now: u64) -> bool {
        let was_blocked = !self.backlog.is_empty();
        if was_blocked {
            self.backlog.append(&mut shared.out);
            std::mem::swap(&mut self.backlog, &mut shared.out);
            self.backlog.clear();
        }
        let mut at = 0;
        let good = loop {
            let rest = shared.out.get(at..).unwrap_or_default();
            if rest.is_empty() {
                break true;
            }
            match self.stream.write(rest) {
                Ok(0) => break false,
                Ok(count) => at = at.saturating_add(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.backlog.extend_from_slice(rest);
                    break true;
                }
                Err(_) => break false,
            }
        };
        shared.out.clear();
        match (was_blocked, self.backlog.is_empty()) {
            (false, false) => self.connection.is_blocked(now),
            (true, true) => {
                self.backlog = Vec::new();
                self.connection.is_unblocked(now);
            }
            (false, true) | (true, false) => {}
        }
        good
    }
}
