//! One place in the table of connections.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;

use nix::sys::epoll::EpollFlags;

use crate::connection::{Connection, Rank, Shared};
use crate::tls::Session;

/// A connection with its socket.
pub(super) struct Slot {
    pub(super) stream: TcpStream,
    /// Whether nothing has come yet.
    pub(super) is_new: bool,
    /// Where it speaks TLS.
    pub(super) session: Option<Session>,
    pub(super) connection: Connection,
    pub(super) token: u64,
    /// What the kernel was told to wait for.
    pub(super) interest: EpollFlags,
    /// Input that could not be used yet: so many bytes of this slot's part of `inputs`.
    pub(super) pending: usize,
    /// Output that the client has not taken yet, nor its session.
    pub(super) backlog: Vec<u8>,
    pub(super) shut: bool,
}

impl Slot {
    pub(super) fn is_over(&self, now: u64) -> bool {
        now >= self.connection.deadline()
    }

    /// In which order connections are given up; see [`Connection::rank`].
    pub(super) fn rank(&self) -> (Rank, u64) {
        let (rank, since) = self.connection.rank();
        // A handshake is part of a request.
        let has_begun = rank == Rank::Idle && self.session.as_ref().is_some_and(Session::is_handshaking);
        (if has_begun { Rank::Unfinished } else { rank }, since)
    }

    /// Whether output waits for the client.
    pub(super) fn is_blocked(&self) -> bool {
        !self.backlog.is_empty() || self.session.as_ref().is_some_and(Session::is_blocked)
    }

    /// Tells a client that speaks TLS that nothing more comes.
    pub(super) fn say_end(&mut self) {
        if let Some(session) = &mut self.session {
            session.end(&mut &self.stream);
        }
    }

    /// Looks at the certificate that the client has shown, if it may have, once the handshake is over.
    pub(super) fn see_guest(&mut self) {
        if let Some(key) = self.session.as_mut().and_then(Session::guest_key) {
            self.connection.is_guest(key);
        }
    }

    /// Writes what is to be written, as much as the client takes; whether the connection is still good.
    pub(super) fn flush(&mut self, shared: &mut Shared, now: u64) -> bool {
        let was_blocked = self.is_blocked();
        if !self.backlog.is_empty() {
            self.backlog.append(&mut shared.out);
            std::mem::swap(&mut self.backlog, &mut shared.out);
            self.backlog.clear();
        }
        let mut at = 0;
        // What a session holds goes first.
        let held = self.session.as_mut().map_or(Ok(()), |session| session.push(&mut &self.stream));
        let good = loop {
            let rest = shared.out.get(at..).unwrap_or_default();
            if rest.is_empty() || held.is_err() {
                break held.is_ok();
            }
            let written = match &mut self.session {
                Some(session) => session.write(rest, &mut &self.stream),
                None => self.stream.write(rest),
            };
            match written {
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
        match (was_blocked, self.is_blocked()) {
            (false, true) => self.connection.is_blocked(now),
            (true, false) => {
                self.backlog = Vec::new();
                self.connection.is_unblocked(now);
            }
            (false, false) | (true, true) => {}
        }
        good
    }
}
