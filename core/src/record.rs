//! What is kept across a restart, and the envelope that tells a whole record from anything else.
//!
//! A record is a line that names its kind and version, one line of JSON, and a line with the CRC-64 of all that
//! came before. Any flipped bit, any cut and anything appended is noticed; a damaged record never reads as an
//! empty one.
//!
//! Each kind writes its members in one order, and reads back exactly these in exactly this order: another shape is
//! another [`VERSION`].

use core::fmt;

use crc::{CRC_64_XZ, Crc};
use heapless::String;

use crate::config::{Action, Paths};
use crate::failure::Failure;
use crate::fields::Fields;
use crate::json::TooLong;
use crate::limits::PROBLEMS_BYTES_MAX;
use crate::time::Timestamp;
use crate::write::Writer;

/// The version that this code writes, and the newest that it reads.
pub const VERSION: u32 = 1;

const CHECKSUM: Crc<u64> = Crc::<u64>::new(&CRC_64_XZ);
/// A newline, sixteen hexadecimal digits, a newline.
/// The length of a [`trailer`].
pub const TRAILER_BYTES: usize = 18;

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

/// What a record says, and how it is written and read: one JSON value, call by call the same.
pub trait Record {
    /// Which record it is.
    const KIND: Kind;

    /// Writes all of it.
    fn write(&self, writer: &mut Writer<'_>);

    /// Reads what [`Record::write`] wrote, whatever `self` held before.
    fn read(&mut self, fields: &mut Fields<'_>);
}

/// Encodes `record` into `buffer` and returns the length.
///
/// # Errors
/// [`TooLong`] when the buffer is too small.
pub fn encode<R: Record>(record: &R, buffer: &mut [u8]) -> Result<usize, TooLong> {
    envelop(R::KIND, buffer, &|writer| record.write(writer))
}

/// The length of an encoded `record`, also where it would be too long.
pub fn length<R: Record>(record: &R) -> usize {
    let length = Writer::measure(|writer| open(R::KIND, writer, &|writer| record.write(writer)));
    length.saturating_add(TRAILER_BYTES)
}

/// Decodes into `record` in place: the records are too big to be handed around.
///
/// # Errors
/// A [`Fault`] unless `bytes` are exactly what [`encode`] made of an `R`; then `record` holds anything.
pub fn decode<R: Record>(bytes: &[u8], record: &mut R) -> Result<(), Fault> {
    let mut fields = Fields::new(body(R::KIND, bytes)?)?;
    record.read(&mut fields);
    fields.finish()
}

fn envelop(kind: Kind, buffer: &mut [u8], write: &dyn Fn(&mut Writer<'_>)) -> Result<usize, TooLong> {
    let mut writer = Writer::new(buffer);
    open(kind, &mut writer, write);
    let length = writer.finish()?;
    let trailer = trailer(buffer.get(..length).ok_or(TooLong)?);
    let end = length.checked_add(TRAILER_BYTES).ok_or(TooLong)?;
    buffer.get_mut(length..end).ok_or(TooLong)?.copy_from_slice(&trailer);
    Ok(end)
}

/// All of a record but its trailer.
fn open(kind: Kind, writer: &mut Writer<'_>, write: &dyn Fn(&mut Writer<'_>)) {
    writer.raw(kind.header()).raw_number(u64::from(VERSION)).raw("\n");
    write(writer);
}

/// The JSON inside a whole record of this kind and a version that we know.
fn body(kind: Kind, bytes: &[u8]) -> Result<&[u8], Fault> {
    if !bytes.starts_with(b"bootstrapd ") {
        return Err(if bytes.is_empty() { Fault::Torn } else { Fault::Foreign });
    }
    let content = whole(bytes).ok_or(Fault::Torn)?;
    let rest = content.strip_prefix(kind.header().as_bytes()).ok_or(Fault::Foreign)?;
    let line = rest.iter().position(|byte| *byte == b'\n').ok_or(Fault::Torn)?;
    let (version, body) = rest.split_at_checked(line).ok_or(Fault::Torn)?;
    let version = core::str::from_utf8(version).ok().and_then(|version| version.parse().ok()).ok_or(Fault::Torn)?;
    if version > VERSION {
        return Err(Fault::TooNew(version));
    }
    body.get(1..).ok_or(Fault::Torn)
}

/// The content of a file that ends in its [`trailer`]; `None` where it is damaged.
#[must_use]
pub fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let (content, found) = bytes.split_at_checked(bytes.len().checked_sub(TRAILER_BYTES)?)?;
    (found == trailer(content)).then_some(content)
}

/// The checksum that a file of the agent's ends in: a line, behind an empty one.
#[must_use]
pub fn trailer(content: &[u8]) -> [u8; TRAILER_BYTES] {
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
        Hex(&self.0).fmt(f)
    }
}

/// Bytes as two hexadecimal digits each.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a node's own record says of its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// No attempt yet.
    #[default]
    Idle,
    /// An attempt was accepted and had not ended.
    Attempt,
    /// The last attempt failed.
    Failed,
    /// In a cluster.
    Member,
    /// Was in a cluster, which told it that it is no more.
    Expelled,
    /// Both: an attempt of a node that a cluster sent away.
    ExpelledAttempt,
    /// Admitted to a cluster, whose record is here, and not confirmed as far as this node knows.
    Adopted,
    /// The same of a node that another cluster sent away.
    ExpelledAdopted,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Idle,
        Self::Attempt,
        Self::Failed,
        Self::Member,
        Self::Expelled,
        Self::ExpelledAttempt,
        Self::Adopted,
        Self::ExpelledAdopted,
    ];

    /// Whether an attempt was under way.
    #[must_use]
    pub const fn is_attempt(self) -> bool {
        match self {
            Self::Attempt | Self::ExpelledAttempt | Self::Adopted | Self::ExpelledAdopted => true,
            Self::Idle | Self::Failed | Self::Member | Self::Expelled => false,
        }
    }

    /// The record's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Attempt => "attempt",
            Self::Failed => "failed",
            Self::Member => "member",
            Self::Expelled => "expelled",
            Self::ExpelledAttempt => "expelled attempt",
            Self::Adopted => "adopted",
            Self::ExpelledAdopted => "expelled adopted",
        }
    }
}

/// A node's place in a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// The cluster.
    pub cluster_id: Id,
    /// Its epoch when this was written.
    pub epoch: u32,
    /// This node's number.
    pub uid: u32,
}

/// A node's own record, as it is read back.
#[derive(Debug, Default)]
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

impl NodeRecordView<'_> {
    /// As [`encode`] does.
    pub(crate) fn encode(&self, buffer: &mut [u8]) -> Result<usize, TooLong> {
        envelop(Kind::Node, buffer, &|writer| self.write(writer))
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.open('{').name("node_id").display(self.node_id).name("revision").number(self.revision);
        writer.name("standing").text(self.standing.name()).name("action").text(self.action.name());
        if let Some(time) = self.start_time {
            writer.name("start_time").time(time);
        }
        if let Some(time) = self.end_time {
            writer.name("end_time").time(time);
        }
        if let Some(failure) = self.failure {
            failure.write_record(writer.name("failure"));
        }
        let (start, end) = self.first_problem;
        writer.name("problems").text(self.problems);
        writer.name("first_problem").open('[').number(start as u64).number(end as u64).close(']');
        if let Some(Membership { cluster_id, epoch, uid }) = self.membership {
            writer.name("membership").open('{').name("cluster_id").display(cluster_id);
            writer.name("epoch").number(u64::from(epoch)).name("uid").number(u64::from(uid)).close('}');
        }
        let Paths { persistent, ephemeral, bigstore, ccs } = self.paths;
        writer.name("paths").open('{').name("persistent").text(persistent).name("ephemeral").text(ephemeral);
        writer.name("bigstore").text(bigstore).name("ccs").text(ccs).close('}').close('}');
    }
}

impl Record for NodeRecord {
    const KIND: Kind = Kind::Node;

    fn write(&self, writer: &mut Writer<'_>) {
        let view = NodeRecordView {
            node_id: self.node_id,
            revision: self.revision,
            standing: self.standing,
            action: self.action,
            start_time: self.start_time,
            end_time: self.end_time,
            failure: self.failure.as_ref(),
            problems: &self.problems,
            first_problem: self.first_problem,
            membership: self.membership,
            paths: &self.paths,
        };
        view.write(writer);
    }

    fn read(&mut self, fields: &mut Fields<'_>) {
        fields.open('{').name("node_id").hex(&mut self.node_id.0).name("revision").number(&mut self.revision);
        fields.name("standing").word(&mut self.standing, &Standing::ALL, Standing::name);
        fields.name("action").word(&mut self.action, &Action::ALL, Action::name);
        if let Some(time) = fields.optional("start_time", &mut self.start_time) {
            fields.time(time);
        }
        if let Some(time) = fields.optional("end_time", &mut self.end_time) {
            fields.time(time);
        }
        if let Some(failure) = fields.optional("failure", &mut self.failure) {
            failure.read_record(fields);
        }
        let (start, end) = &mut self.first_problem;
        fields.name("problems").text(&mut self.problems);
        fields.name("first_problem").open('[').number(start).number(end).close(']');
        if let Some(Membership { cluster_id, epoch, uid }) = fields.optional("membership", &mut self.membership) {
            fields.open('{').name("cluster_id").hex(&mut cluster_id.0);
            fields.name("epoch").number(epoch).name("uid").number(uid).close('}');
        }
        let Paths { persistent, ephemeral, bigstore, ccs } = &mut self.paths;
        fields.name("paths").open('{').name("persistent").text(persistent).name("ephemeral").text(ephemeral);
        fields.name("bigstore").text(bigstore).name("ccs").text(ccs).close('}').close('}');
    }
}

#[cfg(test)]
mod tests;
