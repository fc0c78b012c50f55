//! A join by client certificate: both ends of a TLS session know a key, and each has seen the other's certificate. That
//! key takes the place of the one that the proof of a password ends in; all else is the same.

use std::net::SocketAddr;
use std::time::Instant;

use bootstrapd_core::cluster::Key;
use bootstrapd_core::failure::TriedReason;

use super::contact::{Joined, Stop};
use super::{CERTIFICATE, CHALLENGE, Contact, ID_BYTES, connect};
use crate::secret;
use crate::tls::Trust;

impl Contact {
    /// Whom to trust, and what to show; `None` where a password is proved instead.
    ///
    /// # Errors
    /// Why the certificate cannot be shown, or may not be.
    pub(super) fn shown(&self) -> Result<Option<Trust>, String> {
        if self.client_cert.is_empty() && self.client_key.is_empty() {
            return Ok(None);
        }
        if self.trusted_ca.is_empty() {
            // Who shows a certificate to anybody is admitted by anybody, to whatever that one calls the cluster.
            let why = "credentials.trusted_ca is required with a client certificate: whose cluster is it";
            return Err(why.to_owned());
        }
        Trust::mutual(self.trusted_ca.as_bytes(), self.client_cert.as_bytes(), &self.client_key).map(Some)
    }

    /// Shows the certificate to one node, and has it show its own; then asks to be admitted. Always over TLS.
    #[inline(never)]
    pub(super) fn join_certified(
        &self,
        address: SocketAddr,
        name: &str,
        end: Instant,
        shown: &Trust,
    ) -> Result<Joined, Stop> {
        let mut exchange = connect(address, end, false, Some((shown, name)))?;
        let key = exchange.session_key().map(|key| Key(*key)).ok_or(Stop::Unknown)?;
        let id: [u8; ID_BYTES] = secret::random()?;
        // How long a round trip takes, for the clocks to be compared.
        let sent = Instant::now();
        let (status, _) = exchange.call("GET", CHALLENGE, b"")?;
        if status != 200 {
            return Err(Stop::Reason(TriedReason::NotAMember));
        }
        let round_trip = sent.elapsed();
        let asked = self.ask(&mut exchange, (CERTIFICATE, &key, &id, b""), round_trip);
        asked.map_err(|stop| if matches!(stop, Stop::Denied) { Stop::Unknown } else { stop })
    }
}
