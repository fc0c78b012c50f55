//! What the loop does not wait for any longer: deadlines that have passed, and bodies that hold a buffer which others
//! need. And what waits for better times: connections that there is no room for.

use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::slot::Slot;
use super::{SCAN_MS, SPECIAL, Server};

impl Server {
    /// Gives body buffers to those that need them. Where there is none, the oldest that was held for a while is
    /// taken away.
    pub(super) fn feed_hungry(&mut self) {
        let now = self.shared.agent.uptime_ms();
        while let Some(token) = self.hungry.front().copied() {
            let index = usize::try_from(token & 0xFFFF_FFFF).unwrap_or(usize::MAX);
            let needs = |slot: &Slot| slot.token == token && slot.connection.needs_body_buffer();
            if !self.slots.get(index).is_some_and(|slot| slot.as_ref().is_some_and(needs)) {
                self.hungry.pop_front();
                continue;
            }
            if !self.shared.has_body_buffer() {
                let held = self.slots.iter().enumerate().filter_map(|(index, slot)| Some((index, slot.as_ref()?)));
                let held = held.filter(|(_, slot)| slot.connection.may_lose_body_buffer(now));
                let oldest = held.map(|(index, slot)| (slot.connection.rank(), index)).min();
                let Some((_, oldest)) = oldest else { return };
                self.expire(oldest);
            }
            self.hungry.pop_front();
            if let Some(Some(slot)) = self.slots.get_mut(index) {
                slot.connection.find_buffer(&mut self.shared);
            }
            self.go_on(index, 0);
        }
    }

    /// Looks through the table for deadlines that have passed.
    pub(super) fn scan(&mut self) {
        let now = self.shared.agent.uptime_ms();
        for index in 0..self.slots.len() {
            if self.slots.get(index).is_some_and(|slot| slot.as_ref().is_some_and(|slot| slot.is_over(now))) {
                self.expire(index);
            }
        }
        self.next_scan = u64::MAX;
        if self.paused {
            self.pause(false);
        }
        self.feed_hungry();
        let deadlines = self.slots.iter().flatten().map(|slot| slot.connection.deadline());
        let soonest = if self.hungry.is_empty() { deadlines.min().unwrap_or(u64::MAX) } else { now };
        self.next_scan = self.next_scan.min(soonest.max(now.saturating_add(SCAN_MS)));
        self.tell_news();
    }

    /// Stops taking connections, until the next look through the table, or begins again.
    pub(super) fn pause(&mut self, paused: bool) {
        let interest = if paused { EpollFlags::empty() } else { EpollFlags::EPOLLIN };
        for (token, listener) in (SPECIAL..).zip(&self.listeners) {
            let _ = self.epoll.modify(listener, &mut EpollEvent::new(interest, token));
        }
        self.paused = paused;
        if paused {
            self.next_scan = self.next_scan.min(self.shared.agent.uptime_ms().saturating_add(SCAN_MS));
        }
    }

    fn expire(&mut self, index: usize) {
        let Some(Some(slot)) = self.slots.get_mut(index) else { return };
        if slot.connection.may_wait_in_vain() && !slot.is_blocked() {
            // What it has waited for in vain is an answer too.
            slot.connection.expire(&mut self.shared);
            return self.go_on(index, 0);
        }
        let can_answer = !slot.is_blocked() && !slot.connection.is_closing();
        if can_answer {
            slot.connection.expire(&mut self.shared);
        }
        if !can_answer || !slot.connection.is_closing() {
            return self.close(index);
        }
        let now = self.shared.agent.uptime_ms();
        let open = slot.flush(&mut self.shared, now);
        self.settle_slot(index, open, true);
    }
}
