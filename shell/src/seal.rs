//! Sealing what two nodes say to each other: XChaCha20-Poly1305 under a key that only they know, bound to what it is
//! about.

use std::io;

use blake2::Blake2b;
use blake2::digest::consts::U32;
use blake2::digest::{FixedOutput as _, Update as _};
use bootstrapd_core::cluster::{Cluster, Key};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::secret;

/// What sealing adds: a nonce in front, a tag behind.
pub const OVERHEAD_BYTES: usize = NONCE_BYTES + 16;
const NONCE_BYTES: usize = 24;

/// Which way a message goes, so that none can be sent back as its own answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From who asks.
    Request,
    /// From who is asked.
    Answer,
}

/// What a sealed message is about.
fn about(path: &str, direction: Direction, context: &[u8]) -> Vec<u8> {
    let direction = if direction == Direction::Request { b'>' } else { b'<' };
    let mut about = b"bootstrapd 1 POST ".to_vec();
    about.extend_from_slice(path.as_bytes());
    about.extend_from_slice(&[b' ', direction, b' ']);
    about.extend_from_slice(context);
    about
}

/// What every node that was ever in `cluster` knows: good for nothing but to be told that one is no member.
#[must_use]
pub fn common_key(cluster: &Cluster) -> Key {
    let mut hash = Blake2b::<U32>::default();
    hash.update(b"bootstrapd 1 common key");
    hash.update(&cluster.cluster_id.0);
    hash.update(&cluster.registration.setup);
    Key(hash.finalize_fixed().into())
}

/// Seals `text` for `path`; `context` ties it to this exchange and no other.
///
/// # Errors
/// Where the system has no randomness.
pub fn seal(key: &Key, path: &str, direction: Direction, context: &[u8], text: &[u8]) -> io::Result<Vec<u8>> {
    let nonce: [u8; NONCE_BYTES] = secret::random()?;
    let aad = about(path, direction, context);
    let sealed = XChaCha20Poly1305::new(&key.0.into())
        .encrypt(XNonce::from_slice(&nonce), Payload { msg: text, aad: &aad })
        .map_err(|_| io::Error::other("the message is too long"))?;
    Ok([&nonce[..], &sealed].concat())
}

/// Opens what [`seal`] made of a text under the same key for the same path, direction and context; `None` for anything
/// else.
#[must_use]
pub fn open(key: &Key, path: &str, direction: Direction, context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
    let aad = about(path, direction, context);
    XChaCha20Poly1305::new(&key.0.into()).decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: &aad }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_message_opens() {
        let key = Key([7; 32]);
        let sealed = seal(&key, "/p", Direction::Request, b"c", b"text").unwrap();
        assert_eq!(sealed.len(), 4 + OVERHEAD_BYTES);
        assert_eq!(open(&key, "/p", Direction::Request, b"c", &sealed).as_deref(), Some(&b"text"[..]));
        assert!(open(&Key([8; 32]), "/p", Direction::Request, b"c", &sealed).is_none());
        assert!(open(&key, "/q", Direction::Request, b"c", &sealed).is_none());
        assert!(open(&key, "/p", Direction::Answer, b"c", &sealed).is_none());
        assert!(open(&key, "/p", Direction::Request, b"d", &sealed).is_none());
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(open(&key, "/p", Direction::Request, b"c", &changed).is_none(), "{index}");
            assert!(open(&key, "/p", Direction::Request, b"c", &sealed[..index]).is_none(), "{index}");
        }
    }
}
