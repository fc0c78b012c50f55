//! Secrets: randomness, password hashes, the memory of a good login, licence signatures.

use std::sync::Mutex;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64ct::{Base64, Encoding as _};
use blake2::digest::consts::U32;
use blake2::digest::{FixedOutput as _, KeyInit as _, Update as _};
use bootstrapd_core::cluster::{HashCost, PasswordHash};
use ed25519_dalek::{Signature, VerifyingKey};
use zeroize::{Zeroize as _, Zeroizing};

/// Machines with less memory than this hash with the small parameters.
const SMALL_MACHINE_BYTES: u64 = 64 * 1024 * 1024;

/// Random bytes from the system.
///
/// # Errors
/// Where the system has none.
pub fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}

/// Overwrites bytes that live on, in blocks: the compiler must not leave that out.
pub fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    std::hint::black_box(&*bytes);
}

/// One hash at a time in the whole process: each takes megabytes.
static HASHING: Mutex<()> = Mutex::new(());

/// Hashes a new password; `memory` is the machine's, in bytes.
///
/// # Errors
/// Where the system has no randomness or not enough memory.
pub fn hash_password(password: &[u8], memory: Option<u64>) -> std::io::Result<PasswordHash> {
    let small = memory.is_some_and(|bytes| bytes < SMALL_MACHINE_BYTES);
    let cost = if small { HashCost::Small } else { HashCost::Standard };
    let salt = random()?;
    let mut hash = [0; 32];
    argon2id(password, cost, &salt, &mut hash)?;
    Ok(PasswordHash { cost, salt, hash })
}

/// Whether `password` is the one that was hashed.
///
/// # Errors
/// Where there is not enough memory to tell.
pub fn verify_password(password: &[u8], expected: &PasswordHash) -> std::io::Result<bool> {
    let mut hash = [0; 32];
    argon2id(password, expected.cost, &expected.salt, &mut hash)?;
    Ok(equal(&hash, &expected.hash))
}

/// Argon2id, one at a time in the whole process.
///
/// # Errors
/// Where there is not enough memory.
pub(crate) fn argon2id(password: &[u8], cost: HashCost, salt: &[u8; 16], hash: &mut [u8]) -> std::io::Result<()> {
    let (kib, passes) = match cost {
        HashCost::Standard => (19 * 1024, 2),
        HashCost::Small => (7 * 1024, 5),
    };
    let params =
        Params::new(kib, passes, 1, Some(hash.len())).map_err(|error| std::io::Error::other(error.to_string()))?;
    let _one_at_a_time = HASHING.lock();
    let mut memory = Vec::new();
    memory.try_reserve_exact(params.block_count()).map_err(|_| no_memory())?;
    memory.resize(params.block_count(), Block::default());
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password, salt, hash, &mut memory)
        .map_err(|error| std::io::Error::other(error.to_string()))
}

/// What a hash fails with where its memory cannot be had.
pub(crate) fn no_memory() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::OutOfMemory, "not enough memory to hash the password")
}

/// Compares without telling by time where two values differ.
fn equal(one: &[u8; 32], two: &[u8; 32]) -> bool {
    one.iter().zip(two).fold(0, |differences, (one, two)| differences | (one ^ two)) == 0
}

/// Remembers one good login as a keyed MAC, so that polling costs no hash; or a token, so that it is nowhere to be read.
pub struct Memory {
    key: [u8; 64],
    good: Option<[u8; 32]>,
}

impl Memory {
    /// Remembers nothing yet.
    ///
    /// # Errors
    /// Where the system has no randomness.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { key: random()?, good: None })
    }

    /// The MAC of a token; with another `salt`, which always has the same length, it is another one.
    #[must_use]
    pub fn mac(&self, salt: &[u8], token: &[u8]) -> [u8; 32] {
        let mut mac = blake2::Blake2bMac::<U32>::new(&self.key.into());
        mac.update(salt);
        mac.update(token);
        mac.finalize_fixed().into()
    }

    /// Whether what has this MAC was good before.
    #[must_use]
    pub fn knows(&self, mac: &[u8; 32]) -> bool {
        self.good.as_ref().is_some_and(|good| equal(good, mac))
    }

    /// Remembers a login as good.
    pub fn remember(&mut self, mac: [u8; 32]) {
        self.good = Some(mac);
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// The longest `Authorization` value that is looked at.
const AUTHORIZATION_BYTES_MAX: usize = 1024;

/// The `Authorization` value of a name and a password.
#[cfg(feature = "client")]
#[must_use]
pub fn basic(name: &str, password: &[u8]) -> String {
    let login = Zeroizing::new([name.as_bytes(), b":", password].concat());
    let mut text = Zeroizing::new(vec![0; login.len().saturating_mul(2).saturating_add(4)]);
    let token = Base64::encode(&login, &mut text).unwrap_or_default();
    format!("Basic {token}")
}

/// A name and a password, wiped when dropped.
pub struct Login {
    text: Zeroizing<Vec<u8>>,
    colon: usize,
}

impl Login {
    /// The token of a `Basic` authorization, however that is spelt; `None` where it is another or longer than 1 KiB.
    #[must_use]
    pub fn token(authorization: &str) -> Option<&str> {
        let (scheme, token) = authorization.split_once(' ')?;
        let is_basic = scheme.eq_ignore_ascii_case("basic") && authorization.len() <= AUTHORIZATION_BYTES_MAX;
        is_basic.then(|| token.trim_ascii())
    }

    /// Reads a token; `None` where it is malformed.
    #[must_use]
    pub fn read(token: &str) -> Option<Self> {
        let mut text = Zeroizing::new(vec![0; AUTHORIZATION_BYTES_MAX]);
        let length = Base64::decode(token, &mut text).ok()?.len();
        text.truncate(length);
        let colon = text.iter().position(|byte| *byte == b':')?;
        Some(Self { text, colon })
    }

    /// The user's name, where it is text.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        std::str::from_utf8(self.text.get(..self.colon)?).ok()
    }

    /// The password.
    #[must_use]
    pub fn password(&self) -> &[u8] {
        self.text.get(self.colon.saturating_add(1)..).unwrap_or_default()
    }

    /// The password, to be kept.
    #[must_use]
    pub fn into_password(self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.password().to_vec())
    }
}

/// The key that licences are signed with.
#[derive(Clone, Debug)]
pub struct LicenseKey(VerifyingKey);

impl LicenseKey {
    /// Reads a public key: 64 hexadecimal digits, or base64 of 32 bytes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        let mut key = [0; 32];
        if text.len() == 64 {
            for (byte, pair) in key.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
                *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
            }
        } else if Base64::decode(text, &mut key).ok()?.len() != key.len() {
            return None;
        }
        VerifyingKey::from_bytes(&key).ok().map(Self)
    }

    /// The key that this program was built with, from `BOOTSTRAPD_BUILD_LICENSE_KEY`.
    #[must_use]
    pub fn built_in() -> Option<Self> {
        option_env!("BOOTSTRAPD_BUILD_LICENSE_KEY").and_then(Self::parse)
    }

    /// Whether `signature` is this key's, over `statement`.
    #[must_use]
    pub fn verify(&self, statement: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(statement, &Signature::from_bytes(signature)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_verified_with_either_cost() {
        for memory in [None, Some(SMALL_MACHINE_BYTES), Some(SMALL_MACHINE_BYTES - 1)] {
            let hash = hash_password(b"right", memory).unwrap();
            let small = memory == Some(SMALL_MACHINE_BYTES - 1);
            assert_eq!(hash.cost, if small { HashCost::Small } else { HashCost::Standard });
            assert!(verify_password(b"right", &hash).unwrap());
            assert!(!verify_password(b"wrong", &hash).unwrap());
        }
    }

    #[test]
    fn only_the_same_login_is_remembered() {
        let mut memory = Memory::new().unwrap();
        let mac = memory.mac(b"salt", b"Basic YTpi");
        assert!(!memory.knows(&mac));
        memory.remember(mac);
        assert!(memory.knows(&memory.mac(b"salt", b"Basic YTpi")));
        assert!(!memory.knows(&memory.mac(b"salt", b"Basic YTpj")));
    }

    #[test]
    fn basic_credentials() {
        let read = |authorization| Login::token(authorization).and_then(Login::read);
        let login = read("bAsIc   ZMO8OmE6Yg==").unwrap();
        assert_eq!((login.name(), login.password()), (Some("dü"), &b"a:b"[..]));
        let long = format!("Basic {}", "A".repeat(1024));
        for bad in ["", "Basic", "Basic ", "Bearer YTpi", "Basic YTpi=", "Basic YWI=", "Basic Y%3D", &long] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
