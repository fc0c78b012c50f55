//! Checks of nodes: what was found, as the first check that fails says it.

use core::fmt;

use crate::cluster::{Cluster, Member, MemberStatus};
use crate::limits::{FACT_BYTES_MAX, RECORDS_FREE_BYTES_MIN};
use crate::machine::PathTrouble;
use crate::time::Timestamp;
use crate::write::Writer;

/// What was found on the node itself.
#[derive(Clone, Debug)]
pub struct Findings<'a> {
    /// Whether it is a member of its cluster.
    pub is_member: bool,
    /// The first copy of a record that is not as it was saved, and why.
    pub damage: Option<(&'a str, &'a str)>,
    /// The first directory that cannot be used.
    pub path: Option<(&'a str, PathTrouble)>,
    /// The directory of a record that has too little room, and the bytes that it has.
    pub room: Option<(&'a str, u64)>,
    /// The clock.
    pub now: Timestamp,
    /// For how many seconds the founder has been silent, where that is too long.
    pub silence: Option<u64>,
    /// What is wrong with the store that all members share.
    pub store: Option<&'a str>,
    /// Whether the cluster must be recovered.
    pub needs_recovery: bool,
}

/// What is wrong with a node: the first check that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble<'a> {
    /// It is no member.
    SentAway,
    /// A copy of a record is damaged.
    Damage(&'a str, &'a str),
    /// A directory cannot be used.
    Path(&'a str, PathTrouble),
    /// A directory has too little room, in bytes.
    Room(&'a str, u64),
    /// Its clock stands before the cluster's beginning.
    Clock(Timestamp),
    /// The store does not serve.
    Store(&'a str),
    /// The founder is silent, for so many seconds.
    Silence(u64, Option<core::net::SocketAddr>),
    /// Its cluster must be recovered.
    NeedsRecovery,
    /// Another node says nothing.
    Down,
    /// Another node has not confirmed.
    NotConfirmed,
}

impl Findings<'_> {
    /// The first check that fails, in this order: bootstrap, records, directories, room, clock, store, founder.
    #[must_use]
    pub fn judge(&self, cluster: &Cluster) -> Option<Trouble<'_>> {
        let founder = cluster.founder().map(|founder| founder.endpoint);
        (!self.is_member)
            .then_some(Trouble::SentAway)
            .or_else(|| self.damage.map(|(file, why)| Trouble::Damage(file, why)))
            .or_else(|| self.path.map(|(path, trouble)| Trouble::Path(path, trouble)))
            .or_else(|| self.room.map(|(path, bytes)| Trouble::Room(path, bytes)))
            .or_else(|| (self.now < cluster.created_time).then_some(Trouble::Clock(self.now)))
            .or_else(|| self.store.map(Trouble::Store))
            .or_else(|| self.silence.map(|seconds| Trouble::Silence(seconds, founder)))
            .or_else(|| self.needs_recovery.then_some(Trouble::NeedsRecovery))
    }
}

/// Whether a directory of records has room for the next save.
#[must_use]
pub fn has_room(free_bytes: u64) -> bool {
    // What is more than this machine can count is enough.
    usize::try_from(free_bytes).map_or(true, |free| free >= RECORDS_FREE_BYTES_MIN)
}

/// What is known of another node: whether it is there.
#[must_use]
pub fn judge_other(member: &Member, is_down: bool) -> Option<Trouble<'static>> {
    if is_down {
        return Some(Trouble::Down);
    }
    (!member.is_active()).then_some(Trouble::NotConfirmed)
}

impl fmt::Display for Trouble<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SentAway => f.write_str("bootstrap_status: the node was sent away by its cluster"),
            Self::Damage(file, why) => write!(f, "records: \"{file}\" {why}"),
            Self::Path(path, trouble) => write!(f, "paths: \"{path}\" {trouble}"),
            Self::Room(path, bytes) => {
                write!(f, "free_space: \"{path}\" has {bytes} bytes left, records need {RECORDS_FREE_BYTES_MIN}")
            }
            Self::Clock(now) => {
                let mut text = [0; FACT_BYTES_MAX];
                let mut writer = Writer::new(&mut text);
                writer.time(*now);
                let length = writer.length();
                let shown = text.get(..length).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or_default();
                write!(f, "clock: it says {}, which is before the cluster was created", shown.trim_matches('"'))
            }
            Self::Store(why) => write!(f, "store: the store of the cluster's record does not serve: {why}"),
            Self::Silence(seconds, founder) => {
                write!(f, "founder: it has not answered for {seconds} s")?;
                founder.map_or(Ok(()), |founder| write!(f, ", at {founder}"))
            }
            Self::NeedsRecovery => f.write_str("founder: the cluster must be recovered before it admits anybody"),
            Self::Down => f.write_str("the node is down: it does not say that it is there"),
            Self::NotConfirmed => f.write_str("bootstrap_status: the node has not confirmed its admission yet"),
        }
    }
}

/// Writes what was found of one node.
pub fn write_node(uid: u32, trouble: Option<&Trouble<'_>>, writer: &mut Writer<'_>) {
    writer.open('{').name("node_uid").number(u64::from(uid)).name("result").bool(trouble.is_none());
    if let Some(trouble) = trouble {
        writer.name("error").display(trouble);
    }
    writer.close('}');
}

/// Writes what was found of all nodes of `cluster`: of the node `own` its own trouble, of the others whether they are there.
pub fn write_cluster(
    cluster: &Cluster,
    own: u32,
    trouble: Option<&Trouble<'_>>,
    is_down: impl Fn(&Member) -> bool,
    writer: &mut Writer<'_>,
) {
    let other = |member: &Member| judge_other(member, is_down(member));
    // Until it has confirmed, a replacement is not what has the number.
    let members = || cluster.members.iter().filter(|member| member.status != MemberStatus::Replacing);
    let all_good = members().all(|member| if member.uid == own { trouble.is_none() } else { other(member).is_none() });
    writer.open('{').name("cluster_test_result").bool(all_good).name("nodes").open('[');
    for member in members() {
        if member.uid == own {
            write_node(own, trouble, writer);
        } else {
            write_node(member.uid, other(member).as_ref(), writer);
        }
    }
    writer.close(']').close('}');
}
