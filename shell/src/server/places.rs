//! Who gets a place in the table of connections, and who loses it.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};

use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::slot::Slot;
use super::{SPECIAL, Server, part};
use crate::connection::Connection;
use crate::secret::wipe;

impl Server {
    /// Somebody wants to connect to the listener with this token.
    pub(super) fn accept(&mut self, token: u64) {
        let listener = usize::try_from(token & !SPECIAL).ok().and_then(|index| self.listeners.get(index));
        let Some(listener) = listener else { return };
        match listener.accept() {
            Ok((stream, source)) => self.admit(stream, source),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionAborted) => {}
            // No more descriptors or memory: the kernel keeps the connection until there is room.
            Err(_) if self.make_room() => {}
            Err(_) => self.pause(true),
        }
    }

    fn admit(&mut self, stream: TcpStream, source: SocketAddr) {
        if self.free.is_empty() && self.slots.len() >= self.slots_max {
            let _ = self.make_room();
        }
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        let index = self.free.pop().unwrap_or(self.slots.len());
        self.generation = self.generation.wrapping_add(1) & 0x7FFF_FFFF;
        let token = u64::from(self.generation) << 32 | u64::try_from(index).unwrap_or_default();
        let interest = EpollFlags::EPOLLIN;
        if self.epoll.add(&stream, EpollEvent::new(interest, token)).is_err() {
            self.free.push(index);
            return;
        }
        let connection = Connection::new(source.ip(), self.shared.agent.uptime_ms());
        self.next_scan = self.next_scan.min(connection.deadline());
        let slot = Slot {
            stream,
            is_new: true,
            session: None,
            connection,
            token,
            interest,
            pending: 0,
            backlog: Vec::new(),
            shut: false,
        };
        match self.slots.get_mut(index) {
            Some(place) => *place = Some(slot),
            None => self.slots.push(Some(slot)),
        }
    }

    /// Gives up the connection that is missed the least, if there is one.
    fn make_room(&mut self) -> bool {
        let ranked = self.slots.iter().enumerate();
        let ranked = ranked.filter_map(|(index, slot)| slot.as_ref().map(|slot| (slot.rank(), index)));
        let Some((_, index)) = ranked.min() else { return false };
        self.close(index);
        true
    }

    /// Ends a connection and forgets what it has sent.
    pub(super) fn close(&mut self, index: usize) {
        if let Some(place) = self.slots.get_mut(index)
            && let Some(mut slot) = place.take()
        {
            slot.connection.release(&mut self.shared);
            slot.say_end();
            if let Some(kept) = part(&mut self.inputs, index, 0..slot.pending) {
                wipe(kept);
            }
            self.free.push(index);
        }
    }
}
