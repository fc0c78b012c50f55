//! Private keys in files: nobody but their owner may read them.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};

use base64ct::{Base64, Encoding as _};
use ed25519_dalek::{SECRET_KEY_LENGTH, SigningKey};
use zeroize::Zeroizing;

use super::bad_file;
use crate::client::Ended;
use crate::secret;

/// Far more than any of the forms has.
const FILE_BYTES_MAX: u64 = 1024;
/// The permission bits of anybody but the owner.
const OTHERS: u32 = 0o077;

const PEM_START: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";
/// What precedes the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410, 7): lengths, version 0, the algorithm.
const PKCS8: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
const PKCS8_BYTES: usize = PKCS8.len() + SECRET_KEY_LENGTH;
const HEX_DIGITS: usize = 2 * SECRET_KEY_LENGTH;

type Seed = Zeroizing<[u8; SECRET_KEY_LENGTH]>;

/// Makes a key in a new file. As PEM, which nothing takes for a public key.
pub(super) fn make(file: &OsStr) -> io::Result<SigningKey> {
    let seed = Seed::new(secret::random()?);
    let der = Zeroizing::new([&PKCS8[..], &*seed].concat());
    let mut base64 = Zeroizing::new([0; 2 * PKCS8_BYTES]);
    let base64 = Base64::encode(&der, &mut *base64).map_err(io::Error::other)?;
    let pem = Zeroizing::new(format!("{PEM_START}\n{base64}\n{PEM_END}\n"));
    // Never over another key: what that one signed would lose its signer.
    let mut opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    opened.write_all(pem.as_bytes())?;
    opened.sync_all()?;
    Ok(SigningKey::from_bytes(&seed))
}

/// Reads a key from a file.
pub(super) fn read(file: &OsStr) -> Result<SigningKey, Ended> {
    let opened = File::open(file).map_err(|error| bad_file(file, error))?;
    let mode = opened.metadata().map_err(|error| bad_file(file, error))?.mode();
    if mode & OTHERS != 0 {
        let why = format!("a private key that others may read or change (mode {:03o}): chmod 600 it", mode & 0o777);
        return Err(bad_file(file, why));
    }
    let mut text = Zeroizing::new(String::new());
    opened.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| bad_file(file, error))?;
    let seed = parse(&text).ok_or_else(|| bad_file(file, "no private key: PEM of PKCS #8, 64 hex digits or base64"))?;
    Ok(SigningKey::from_bytes(&seed))
}

fn parse(text: &str) -> Option<Seed> {
    let text = text.trim_ascii();
    if let Some(pem) = text.strip_prefix(PEM_START) {
        return from_pem(pem.strip_suffix(PEM_END)?);
    }
    let mut seed = Seed::default();
    if text.len() == HEX_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        for (byte, pair) in seed.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        return Some(seed);
    }
    let length = Base64::decode(text, &mut *seed).ok()?.len();
    (length == seed.len()).then_some(seed)
}

fn from_pem(lines: &str) -> Option<Seed> {
    let base64: Zeroizing<String> = Zeroizing::new(lines.split_ascii_whitespace().collect());
    let mut der = Zeroizing::new([0; PKCS8_BYTES]);
    let seed = Base64::decode(&*base64, &mut *der).ok()?.strip_prefix(&PKCS8)?;
    seed.try_into().ok().map(Seed::new)
}
