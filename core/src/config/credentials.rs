//! The administrator's credentials, and texts that nobody may see.

use heapless::{String, Vec};
use zeroize::Zeroize;

use crate::json::{Text, TooLong};
use crate::limits::*;

/// `credentials`
pub struct Credentials {
    /// `username`
    pub username: String<USERNAME_BYTES_MAX>,
    /// `password`
    pub password: Secret<PASSWORD_BYTES_MAX>,
    /// `client_cert`, to join
    pub client_cert: String<PEM_BYTES_MAX>,
    /// `client_key`, to join
    pub client_key: Secret<PEM_BYTES_MAX>,
    /// `trusted_ca`, to join
    pub trusted_ca: String<PEM_BYTES_MAX>,
}

impl Credentials {
    /// Room for one, which means nothing yet: every byte is zero.
    pub(super) const BLANK: Self = Self {
        username: String::new(),
        password: Secret::new(),
        client_cert: String::new(),
        client_key: Secret::new(),
        trusted_ca: String::new(),
    };

    /// Overwrites the secrets and empties the rest.
    pub fn wipe(&mut self) {
        self.username.clear();
        self.password.wipe();
        self.client_cert.clear();
        self.client_key.wipe();
        self.trusted_ca.clear();
    }
}

/// A text that no log, status or record may show: not printable, wiped when it is dropped or replaced.
#[derive(Clone, Default)]
pub struct Secret<const N: usize>(Vec<u8, N>);

impl<const N: usize> Secret<N> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The bytes, UTF-8.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Overwrites and empties it.
    pub fn wipe(&mut self) {
        self.0.as_mut_slice().zeroize();
        self.0.clear();
    }

    /// Replaces the content.
    ///
    /// # Errors
    /// [`TooLong`] when `text` has more than `N` bytes; nothing is kept of it.
    pub fn set(&mut self, text: Text<'_>) -> Result<(), TooLong> {
        self.wipe();
        let copied = text.pieces(|piece| self.0.extend_from_slice(piece.as_bytes()).map_err(|_| TooLong));
        copied.inspect_err(|_| self.wipe())
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.wipe();
    }
}
