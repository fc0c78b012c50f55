//! What is kept across a restart, and the envelope that tells a whole record from anything else.
//!
//! A record is a line that names its kind and version, one line of JSON, and a line with the CRC-64 of all that
//! came before. Any flipped bit, any cut and anything appended is noticed; a damaged record never reads as an
//! empty one.

use core::fmt;

use crc::{CRC_64_XZ, Crc};
use heapless::String;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::config::{Action, Paths};
use crate::failure::Failure;
use crate::json::{self, TooLong};
use crate::limits::PROBLEMS_BYTES_MAX;
use crate::time::Timestamp;

/// The version that this code writes, and the newest that it reads.
pub const VERSION: u32 = 1;

const CHECKSUM: Crc<u64> = Crc::<u64>::new(&CRC_64_XZ);
/// A newline, sixteen hexadecimal digits, a newline.
const TRAILER_BYTES: usize = 18;

/// Which record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A node's own.
    Node,
    /// The cluster's.
    Cluster,
}

impl Kind {
    const fn header(self) -> &'static str {
        match self {
            Self::Node => "bootstrapd node record ",
            Self::Cluster => "bootstrapd cluster record ",
        }
    }
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Damaged or cut.
    Torn,
    /// Something else altogether.
    Foreign,
    /// Whole, but of a version that this code does not know.
    TooNew(u32),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Torn => f.write_str("is damaged"),
            Self::Foreign => f.write_str("is not a record of bootstrapd"),
            Self::TooNew(version) => write!(f, "has version {version}, this agent reads up to {VERSION}"),
        }
    }
}

/// Encodes `value` into `buffer` and returns the length.
///
/// # Errors
/// [`TooLong`] when the buffer is too small.
pub fn encode(kind: Kind, value: &impl Serialize, buffer: &mut [u8]) -> Result<usize, TooLong> {
    let mut header = String::<40>::new();
    fmt::Write::write_fmt(&mut header, format_args!("{}{VERSION}\n", kind.header())).map_err(|_| TooLong)?;
    let body = buffer.get_mut(header.len()..).ok_or(TooLong)?;
    let body_length = serde_json_core::to_slice(value, body).map_err(|_| TooLong)?;
    let length = header.len().checked_add(body_length).ok_or(TooLong)?;
    buffer.get_mut(..header.len()).ok_or(TooLong)?.copy_from_slice(header.as_bytes());
    let trailer = trailer(buffer.get(..length).ok_or(TooLong)?);
    let end = length.checked_add(TRAILER_BYTES).ok_or(TooLong)?;
    buffer.get_mut(length..end).ok_or(TooLong)?.copy_from_slice(&trailer);
    Ok(end)
}

/// Decodes a record; `scratch` must hold its longest string.
///
/// # Errors
/// A [`Fault`] unless `bytes` are exactly what [`encode`] made of a `T`.
pub fn decode<T: de::DeserializeOwned>(kind: Kind, bytes: &[u8], scratch: &mut [u8]) -> Result<T, Fault> {
    let body = body(kind, bytes)?;
    json::check(body).map_err(|_| Fault::Torn)?;
    let (value, _) = serde_json_core::from_slice_escaped(body, scratch).map_err(|_| Fault::Torn)?;
    Ok(value)
}

/// The JSON inside a whole record of this kind and a version that we know.
fn body(kind: Kind, bytes: &[u8]) -> Result<&[u8], Fault> {
    if !bytes.starts_with(b"bootstrapd ") {
        return Err(if bytes.is_empty() { Fault::Torn } else { Fault::Foreign });
    }
    let length = bytes.len().checked_sub(TRAILER_BYTES).ok_or(Fault::Torn)?;
    let (content, found) = bytes.split_at_checked(length).ok_or(Fault::Torn)?;
    if found != trailer(content) {
        return Err(Fault::Torn);
    }
    let rest = content.strip_prefix(kind.header().as_bytes()).ok_or(Fault::Foreign)?;
    let line = rest.iter().position(|byte| *byte == b'\n').ok_or(Fault::Torn)?;
    let (version, body) = rest.split_at_checked(line).ok_or(Fault::Torn)?;
    let version = core::str::from_utf8(version).ok().and_then(|version| version.parse().ok()).ok_or(Fault::Torn)?;
    if version > VERSION {
        return Err(Fault::TooNew(version));
    }
    body.get(1..).ok_or(Fault::Torn)
}

fn trailer(content: &[u8]) -> [u8; TRAILER_BYTES] {
    let mut trailer = [b'\n'; TRAILER_BYTES];
    let checksum = CHECKSUM.checksum(content);
    for (index, digit) in trailer.iter_mut().skip(1).take(16).enumerate() {
        let shift = u32::try_from(index).unwrap_or_default().saturating_mul(4);
        let nibble = checksum.rotate_left(shift.saturating_add(4)) & 15;
        *digit = b"0123456789abcdef".get(usize::try_from(nibble).unwrap_or_default()).copied().unwrap_or(b'0');
    }
    trailer
}

/// Sixteen random bytes that name a node or a cluster; 32 hexadecimal digits in text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Id(pub [u8; 16]);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_hex(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_hex(deserializer).map(Self)
    }
}

/// Writes bytes as hexadecimal digits, for `#[serde(serialize_with)]`; at most 64 bytes.
pub(crate) fn serialize_hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = String::<128>::new();
    for byte in bytes {
        fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}")).map_err(serde::ser::Error::custom)?;
    }
    serializer.serialize_str(&text)
}

/// Reads exactly `N` bytes from hexadecimal digits, for `#[serde(deserialize_with)]`.
pub(crate) fn deserialize_hex<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
    struct Hex<const N: usize>;
    impl<const N: usize> de::Visitor<'_> for Hex<N> {
        type Value = [u8; N];

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{N} bytes in hexadecimal")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<[u8; N], E> {
            let bad = || E::custom("not hexadecimal");
            let mut bytes = [0; N];
            let (pairs, rest) = text.as_bytes().as_chunks::<2>();
            if pairs.len() != N || !rest.is_empty() {
                return Err(bad());
            }
            for (byte, pair) in bytes.iter_mut().zip(pairs) {
                let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
                let value = high.zip(low).map(|(high, low)| high << 4 | low);
                *byte = value.and_then(|value| u8::try_from(value).ok()).ok_or_else(bad)?;
            }
            Ok(bytes)
        }
    }
    deserializer.deserialize_str(Hex)
}

/// What a node's own record says of its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// No attempt yet.
    Idle,
    /// An attempt was accepted and had not ended.
    Attempt,
    /// The last attempt failed.
    Failed,
    /// In a cluster.
    Member,
    /// Was in a cluster, which told it that it is no more.
    Expelled,
}

/// A node's place in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The cluster.
    pub cluster_id: Id,
    /// Its epoch when this was written.
    pub epoch: u32,
    /// This node's number.
    pub uid: u32,
}

/// A node's own record, as it is read back.
#[derive(Debug, Deserialize)]
pub struct NodeRecord {
    /// Names this node for its whole life.
    pub node_id: Id,
    /// Grows with every change; of two copies the higher one counts.
    pub revision: u64,
    /// What the node is.
    pub standing: Standing,
    /// The last accepted attempt's action.
    pub action: Action,
    /// When it was accepted.
    pub start_time: Option<Timestamp>,
    /// When it ended.
    pub end_time: Option<Timestamp>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// What was wrong, ready JSON.
    pub problems: String<PROBLEMS_BYTES_MAX>,
    /// Where the first message lies in `problems`.
    pub first_problem: (usize, usize),
    /// The cluster that the node is in.
    pub membership: Option<Membership>,
    /// The paths of the last accepted attempt, as configured.
    pub paths: Paths,
}

/// The same, borrowed from a machine for writing.
#[derive(Serialize)]
pub(crate) struct NodeRecordView<'a> {
    pub(crate) node_id: Id,
    pub(crate) revision: u64,
    pub(crate) standing: Standing,
    pub(crate) action: Action,
    pub(crate) start_time: Option<Timestamp>,
    pub(crate) end_time: Option<Timestamp>,
    pub(crate) failure: Option<&'a Failure>,
    pub(crate) problems: &'a str,
    pub(crate) first_problem: (usize, usize),
    pub(crate) membership: Option<Membership>,
    pub(crate) paths: &'a Paths,
}

#[cfg(test)]
mod tests;
