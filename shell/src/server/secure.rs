//! What TLS adds to the loop: the first byte of a connection tells whether it is spoken there, and what a session has
//! decrypted is input like any other.

use nix::sys::signal::Signal;

use super::Server;
use super::part;
use crate::log;
use crate::perform::Job;
use crate::secret::wipe;
use crate::tls;

impl Server {
    /// The first bytes of a connection have come: `count` of them, in `input`.
    #[inline(never)]
    pub(super) fn begin(&mut self, index: usize, count: usize) {
        let Some(Some(slot)) = self.slots.get_mut(index) else { return };
        slot.is_new = false;
        let bytes = self.input.get_mut(..count).unwrap_or_default();
        if !tls::is_spoken(bytes) {
            if slot.connection.may_be_plain() || self.shared.agent.allows_plaintext() {
                return self.feed(index, count, 0);
            }
            wipe(bytes);
            slot.connection.is_plain(&mut self.shared);
            let now = self.shared.agent.uptime_ms();
            let open = slot.flush(&mut self.shared, now);
            return self.settle_slot(index, open, true);
        }
        let Some(mut session) = self.keeper.session() else { return self.close(index) };
        slot.connection.is_secure();
        let begun = session.begin(bytes, &mut &slot.stream);
        slot.session = Some(session);
        if begun.is_err() {
            return self.close(index);
        }
        slot.see_guest();
        self.drain(index);
        self.settle_slot(index, true, true);
    }

    /// Something has come on a connection that speaks TLS.
    #[inline(never)]
    pub(super) fn receive(&mut self, index: usize) {
        use std::io::ErrorKind;
        let Some(Some(slot)) = self.slots.get_mut(index) else { return };
        let Some(session) = &mut slot.session else { return };
        match session.take(&mut &slot.stream, &mut &slot.stream) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
            Err(_) => return self.close(index),
        }
        slot.see_guest();
        self.drain(index);
        self.settle_slot(index, true, true);
    }

    /// Hands a connection what its session has decrypted, as long as it takes it.
    pub(super) fn drain(&mut self, index: usize) {
        while let Some(Some(slot)) = self.slots.get_mut(index) {
            let blocked = slot.is_blocked();
            let Some(session) = &mut slot.session else { return };
            if blocked || !slot.connection.is_reading() {
                return;
            }
            let kept = slot.pending;
            if let (Some(kept), Some(place)) = (part(&mut self.inputs, index, 0..kept), self.input.get_mut(..kept)) {
                place.copy_from_slice(kept);
            }
            match session.read(self.input.get_mut(kept..).unwrap_or_default()) {
                Ok(None) => return,
                Ok(Some(0)) | Err(_) => return self.close(index),
                Ok(Some(count)) => self.feed(index, kept.saturating_add(count), kept),
            }
        }
    }

    /// A signal has come: whether the program is to end.
    pub(super) fn is_to_end(&mut self) -> bool {
        let Ok(Some(signal)) = self.signals.read_signal() else { return false };
        if !tls::IS_BUILT_IN || i32::try_from(signal.ssi_signo) != Ok(Signal::SIGHUP as i32) {
            return true;
        }
        match self.keeper.sources() {
            Some(sources) => self.shared.agent.threads().jobs.push(Job::ReadCertificate(sources)),
            None => log::info("nothing to read again: the certificate is the node's own", &[]),
        }
        false
    }
}
