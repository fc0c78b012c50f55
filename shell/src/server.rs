//! The loop: one thread that waits for everything that can be ready, and a fixed table of connections. It never
//! touches a file system and never waits for anything but readiness.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::ops::Range;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signalfd::SignalFd;
use nix::sys::socket::{MsgFlags, recv};

use crate::agent::{Agent, News};
use crate::connection::Shared;
use crate::http::HEAD_BYTES_MAX;
use crate::perform::Done;
use crate::secret::wipe;
use crate::tls::{self, Keeper};

mod patience;
mod places;
mod secure;
mod slot;
mod sockets;

use slot::Slot;
use sockets::{connections_max, watch_addresses};
pub use sockets::{listen_on, take_signals};

/// Events taken in one turn.
const EVENTS: usize = 64;
/// Answers to pipelined requests are written out at the latest when they are so long.
const OUT_BYTES_MAX: usize = 32 * 1024;
/// Deadlines are looked at no more often, in milliseconds.
const SCAN_MS: u64 = 100;

/// Tokens of what is no connection; a connection's is its place and its generation.
const SPECIAL: u64 = 1 << 63;
const BELL: u64 = SPECIAL | 1 << 32;
const SIGNALS: u64 = SPECIAL | 2 << 32;
const ADDRESSES: u64 = SPECIAL | 3 << 32;

/// See the module.
pub struct Server {
    epoll: Epoll,
    listeners: Vec<TcpListener>,
    signals: SignalFd,
    keeper: Keeper,
    addresses: Option<OwnedFd>,
    shared: Shared,
    slots: Vec<Option<Slot>>,
    slots_max: usize,
    free: Vec<usize>,
    generation: u32,
    /// The system has no room for another connection, nor has the table one to give up: nobody is let in for a while.
    paused: bool,
    /// One head's length for each slot; it takes memory once it is used.
    inputs: Vec<u8>,
    input: Vec<u8>,
    /// When the table must be looked through next, in milliseconds of uptime.
    next_scan: u64,
    /// Connections that need a body buffer, in the order in which they came.
    hungry: VecDeque<u64>,
}

impl Server {
    /// Gets everything ready.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn new(agent: Agent, listeners: Vec<TcpListener>, signals: SignalFd, keeper: Keeper) -> io::Result<Self> {
        let slots_max = connections_max();
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let readable = |token| EpollEvent::new(EpollFlags::EPOLLIN, token);
        for (token, listener) in (SPECIAL..).zip(&listeners) {
            epoll.add(listener, readable(token))?;
        }
        epoll.add(&*agent.threads().bell, readable(BELL))?;
        epoll.add(&signals, readable(SIGNALS))?;
        let addresses = watch_addresses();
        if let Some(socket) = &addresses {
            epoll.add(socket, readable(ADDRESSES))?;
        }
        Ok(Self {
            epoll,
            listeners,
            signals,
            keeper,
            addresses,
            shared: Shared::new(agent),
            slots: Vec::with_capacity(slots_max),
            slots_max,
            free: Vec::with_capacity(slots_max),
            generation: 0,
            paused: false,
            inputs: vec![0; slots_max.saturating_mul(HEAD_BYTES_MAX)],
            input: vec![0; HEAD_BYTES_MAX],
            next_scan: u64::MAX,
            hungry: VecDeque::new(),
        })
    }

    /// Where it answers.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// The node.
    #[must_use]
    pub const fn agent(&self) -> &Agent {
        &self.shared.agent
    }

    /// Answers until a signal ends the program.
    ///
    /// # Errors
    /// Where the system will not even wait.
    pub fn run(&mut self) -> io::Result<()> {
        let mut events = [EpollEvent::empty(); EVENTS];
        loop {
            let count = match self.epoll.wait(&mut events, self.patience()) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => 0,
                Err(errno) => return Err(errno.into()),
            };
            self.shared.agent.tick();
            for event in events.iter().take(count) {
                match event.data() {
                    BELL => self.hear_threads(),
                    SIGNALS => {
                        if self.is_to_end() {
                            return Ok(());
                        }
                    }
                    ADDRESSES => self.addresses_changed(),
                    listener if listener & SPECIAL != 0 => self.accept(listener),
                    token => self.ready(token, event.events()),
                }
            }
            if self.shared.agent.has_watchers() {
                self.tell_news();
            }
            if self.shared.agent.uptime_ms() >= self.next_scan {
                self.scan();
            }
        }
    }

    /// Waits for the first facts of the file systems, but not for a dead one.
    pub fn settle(&mut self) {
        let mut events = [EpollEvent::empty()];
        let patience = EpollTimeout::from(200_u8);
        if matches!(self.epoll.wait(&mut events, patience), Ok(1)) && events.iter().any(|event| event.data() == BELL) {
            self.hear_threads();
        }
    }

    fn patience(&self) -> EpollTimeout {
        if self.next_scan == u64::MAX {
            return EpollTimeout::NONE;
        }
        let left = self.next_scan.saturating_sub(self.shared.agent.uptime_ms()).saturating_add(1);
        EpollTimeout::try_from(i32::try_from(left).unwrap_or(i32::MAX)).unwrap_or(EpollTimeout::NONE)
    }

    fn hear_threads(&mut self) {
        let _ = self.shared.agent.threads().bell.read();
        let done = std::sync::Arc::clone(&self.shared.agent.threads().done);
        for done in done.take() {
            if let Done::Certificate(read) = done {
                self.keeper.replace(read);
            } else {
                self.shared.agent.done(done);
            }
        }
        self.tell_news();
    }

    /// Tells the connections that wait. Going on may bring more news.
    fn tell_news(&mut self) {
        loop {
            let all = self.shared.agent.take_news();
            if all.is_empty() {
                return;
            }
            for news in &all {
                for index in 0..self.slots.len() {
                    self.tell(index, news);
                }
            }
        }
    }

    fn tell(&mut self, index: usize, news: &News) {
        let Some(Some(slot)) = self.slots.get_mut(index) else { return };
        if slot.connection.hear(news, &mut self.shared) {
            self.go_on(index, 0);
        }
    }

    fn addresses_changed(&mut self) {
        let Some(socket) = &self.addresses else { return };
        let mut buffer = [0; 512];
        // What the messages say does not matter, nor that some were lost: something has changed.
        while recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT).is_ok() {}
        self.shared.agent.read_addresses();
    }

    fn ready(&mut self, token: u64, events: EpollFlags) {
        let index = usize::try_from(token & 0xFFFF_FFFF).unwrap_or(usize::MAX);
        let Some(Some(slot)) = self.slots.get_mut(index) else { return };
        if slot.token != token {
            // The connection that this was about is gone.
            return;
        }
        if slot.is_blocked() {
            return self.go_on(index, 0);
        }
        if !slot.connection.is_reading() {
            // Nothing is waited for but the end.
            if events.intersects(EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP) {
                self.close(index);
            }
            return;
        }
        if slot.session.is_some() {
            return self.receive(index);
        }
        let kept = slot.pending;
        if let (Some(kept), Some(place)) = (part(&mut self.inputs, index, 0..kept), self.input.get_mut(..kept)) {
            place.copy_from_slice(kept);
        }
        match slot.stream.read(self.input.get_mut(kept..).unwrap_or_default()) {
            Ok(0) => self.close(index),
            Ok(count) if tls::IS_BUILT_IN && slot.is_new => self.begin(index, count),
            Ok(count) => self.feed(index, kept.saturating_add(count), kept),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.close(index),
        }
    }

    /// Goes on with a connection whose input is the first `length` bytes of `input`, or kept where that is 0.
    fn go_on(&mut self, index: usize, length: usize) {
        let Some(Some(slot)) = self.slots.get_mut(index) else { return };
        let mut length = length;
        if length == 0 && slot.pending > 0 {
            length = slot.pending;
            if let (Some(kept), Some(place)) = (part(&mut self.inputs, index, 0..length), self.input.get_mut(..length))
            {
                place.copy_from_slice(kept);
            }
        }
        self.feed(index, length, 0);
        self.drain(index);
    }

    /// Hands input to a connection, as much as it takes, and writes what it answers. The first `scanned` bytes were
    /// handed to it before.
    fn feed(&mut self, index: usize, length: usize, scanned: usize) {
        let Some(Some(slot)) = self.slots.get_mut(index) else { return };
        let shared = &mut self.shared;
        let now = shared.agent.uptime_ms();
        let input = self.input.get(..length).unwrap_or_default();
        let mut at = 0_usize;
        let mut scanned = scanned;
        let mut open = true;
        // An answer that was left over goes first.
        if slot.is_blocked() {
            open = slot.flush(shared, now);
            #[cfg(feature = "ui")]
            if open && !slot.is_blocked() {
                slot.connection.catch_up(shared);
            }
        }
        while open && !slot.is_blocked() {
            let rest = input.get(at..).unwrap_or_default();
            if rest.is_empty() || slot.connection.is_closing() {
                break;
            }
            let taken = slot.connection.advance(rest, scanned, shared);
            at = at.saturating_add(taken);
            if taken == 0 {
                break;
            }
            scanned = 0;
            if shared.out.len() > OUT_BYTES_MAX {
                open = slot.flush(shared, now);
            }
        }
        open = open && slot.flush(shared, now);
        let rest = input.get(at..).unwrap_or_default();
        let is_left = !rest.is_empty();
        let keeps = if slot.connection.is_closing() { &[] } else { rest };
        let kept_before = std::mem::replace(&mut slot.pending, keeps.len());
        if let Some(place) = part(&mut self.inputs, index, 0..keeps.len()) {
            place.copy_from_slice(keeps);
        }
        if kept_before > keeps.len()
            && let Some(gone) = part(&mut self.inputs, index, keeps.len()..kept_before)
        {
            wipe(gone);
        }
        // What a connection that closes was still sent may be the body that it was refused for.
        let closing_unread = is_left && slot.connection.is_closing();
        if (std::mem::take(&mut shared.secret_seen) || closing_unread)
            && let Some(used) = self.input.get_mut(..length)
        {
            wipe(used);
        }
        self.settle_slot(index, open, is_left);
    }

    /// Closes a connection that is done, or tells the kernel what to wait for.
    fn settle_slot(&mut self, index: usize, open: bool, is_left: bool) {
        let Some(Some(slot)) = self.slots.get_mut(index) else { return };
        let flushed = !slot.is_blocked();
        let done = slot.connection.is_closing() && flushed;
        if !open || (done && !is_left && !slot.connection.lingers()) {
            return self.close(index);
        }
        if done && !slot.shut {
            slot.shut = true;
            slot.say_end();
            // The client reads the end behind the answer, and what it still sends is read until it closes.
            if slot.stream.shutdown(Shutdown::Write).is_err() {
                return self.close(index);
            }
        }
        let interest = match (flushed, slot.connection.is_reading()) {
            (false, _) => EpollFlags::EPOLLOUT,
            (true, true) => EpollFlags::EPOLLIN,
            (true, false) => EpollFlags::empty(),
        };
        if interest != slot.interest {
            slot.interest = interest;
            let mut event = EpollEvent::new(interest, slot.token);
            if self.epoll.modify(&slot.stream, &mut event).is_err() {
                return self.close(index);
            }
        }
        self.next_scan = self.next_scan.min(slot.connection.deadline());
        if slot.connection.needs_body_buffer() {
            self.hungry.push_back(slot.token);
            self.feed_hungry();
        }
        if !self.hungry.is_empty() {
            self.next_scan = self.next_scan.min(self.shared.agent.uptime_ms().saturating_add(SCAN_MS));
        }
    }
}

/// Bytes of the part of `inputs` that a slot has.
fn part(inputs: &mut [u8], index: usize, bytes: Range<usize>) -> Option<&mut [u8]> {
    let offset = index.saturating_mul(HEAD_BYTES_MAX);
    inputs.get_mut(offset.saturating_add(bytes.start)..offset.saturating_add(bytes.end))
}
