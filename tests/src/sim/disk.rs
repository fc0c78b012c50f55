//! What a node finds again: its own record and its cluster's. A save takes time; a crash in between leaves the old record
//! or the new one.

use std::fmt;
use std::rc::Rc;

use bootstrapd_core::cluster::Cluster;
use bootstrapd_core::machine::Machine;
use bootstrapd_core::record;

use super::wire::brief;

/// What a save is of.
#[derive(Clone)]
pub(super) enum Content {
    /// The node's own record, encoded.
    Node(Rc<Vec<u8>>),
    /// The attempt's record of its cluster.
    Adopted(Rc<Cluster>),
    /// A newer record of the cluster that the node is in.
    Newer(Rc<Cluster>),
    /// The record of the cluster that has sent the node away, again.
    Restored(Rc<Cluster>),
    /// No record of a cluster any more.
    Nothing,
}

impl Content {
    /// The cluster's record that it is.
    pub(super) fn cluster(&self) -> Option<&Rc<Cluster>> {
        match self {
            Self::Adopted(cluster) | Self::Newer(cluster) | Self::Restored(cluster) => Some(cluster),
            Self::Node(_) | Self::Nothing => None,
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.cluster()) {
            (Self::Node(_), _) => f.write_str("node"),
            (_, Some(cluster)) => {
                let members = cluster.members.iter().map(|member| (member.uid, member.node_id.0[0], member.status));
                write!(f, "record {} {:?}", brief(&cluster.stamp()), members.collect::<Vec<_>>())
            }
            (_, None) => f.write_str("nothing"),
        }
    }
}

/// See the module.
#[derive(Clone, Default)]
pub(super) struct Disk {
    /// The node's own record, encoded.
    pub(super) node: Option<Rc<Vec<u8>>>,
    /// Its cluster's.
    pub(super) cluster: Option<Rc<Cluster>>,
}

impl Disk {
    /// A save that has come to its end.
    pub(super) fn take(&mut self, content: &Content) {
        match content {
            Content::Node(bytes) => self.node = Some(Rc::clone(bytes)),
            Content::Adopted(cluster) | Content::Newer(cluster) | Content::Restored(cluster) => {
                self.cluster = Some(Rc::clone(cluster));
            }
            Content::Nothing => self.cluster = None,
        }
    }
}

/// A machine's record, encoded.
pub(super) fn encoded(machine: &mut Machine, buffer: &mut [u8]) -> Rc<Vec<u8>> {
    let length = machine.encode(buffer).unwrap();
    Rc::new(buffer[..length].to_vec())
}

/// The record as a restart reads it: through its codec.
pub(super) fn read_again(cluster: &Cluster, buffer: &mut [u8]) -> Box<Cluster> {
    let length = record::encode(cluster, buffer).unwrap();
    let mut again = Box::<Cluster>::default();
    record::decode(&buffer[..length], &mut *again).unwrap();
    assert!(*again == *cluster, "a record changes on its way through its codec");
    again
}
