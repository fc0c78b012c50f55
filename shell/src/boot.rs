//! What a start finds on disk, and what it makes of it, before anything listens.
//!
//! It fails closed: whatever cannot be read could be the record of a cluster, and a node of a cluster never comes
//! up open.

use std::io;
use std::path::{Path, PathBuf};

use bootstrapd_core::cluster::Cluster;
use bootstrapd_core::config::Paths;
use bootstrapd_core::limits::NODE_RECORD_BYTES_MAX;
use bootstrapd_core::machine::{Machine, PathRole};
use bootstrapd_core::record::{Id, NodeRecord, Standing};
use bootstrapd_core::status::State;

use crate::log;
use crate::node;
use crate::perform::record_path;
use crate::secret;
use crate::store::{self, Found, Pair};

/// Where the agent keeps what.
#[derive(Clone, Debug)]
pub struct Places {
    /// The agent's own records.
    pub state: PathBuf,
    /// Configured by a flag, or below the state directory.
    pub persistent: Option<PathBuf>,
    /// Likewise.
    pub ephemeral: Option<PathBuf>,
    /// Likewise; shown in the status document where it is configured.
    pub bigstore: Option<PathBuf>,
}

/// The node as a start found it.
pub struct Boot {
    /// Its bootstrap.
    pub machine: Box<Machine>,
    /// The cluster that it is in.
    pub cluster: Option<Box<Cluster>>,
    /// Why nothing can be said of it.
    pub broken: Option<String>,
    /// Its own record.
    pub node_record: Pair,
    /// Whether the status document shows flash storage that no attempt asked for.
    pub shows_bigstore: bool,
}

impl Places {
    /// The agent's own paths. Those below the state directory are made.
    ///
    /// # Errors
    /// What the system refused, or a path that is too long or no text.
    pub fn defaults(&self) -> io::Result<Paths> {
        let place = |configured: &Option<PathBuf>, name: &str| {
            let path = match configured {
                Some(path) => std::path::absolute(path)?,
                None => {
                    let path = std::path::absolute(self.state.join(name))?;
                    store::make(&path)?;
                    path
                }
            };
            let text = path.to_str().and_then(|text| heapless::String::try_from(text).ok());
            text.ok_or_else(|| io::Error::other(format!("{}: the path is too long or no text", path.display())))
        };
        Ok(Paths {
            persistent: place(&self.persistent, "persistent")?,
            ephemeral: place(&self.ephemeral, "ephemeral")?,
            bigstore: place(&self.bigstore, "bigstore")?,
            ccs: heapless::String::new(),
        })
    }
}

/// Reads the records in `places`, whose lock is held, and mends what a crash left.
///
/// # Errors
/// Where a first start cannot make the node's record.
pub fn boot(places: &Places) -> io::Result<Boot> {
    let defaults = places.defaults()?;
    let node_record = Pair::node(&places.state);
    node_record.remove_new();
    let mut boot = match node_record.load::<NodeRecord>() {
        Found::Record { value, bytes, in_step } => restored(*value, &bytes, in_step, &node_record, defaults),
        Found::Unreadable { file, why } => (unknown(defaults), None, Some(remedy(&file, &why))),
        Found::Nothing => first(&node_record, defaults)?,
    };
    if let Some(why) = &boot.2 {
        log::warn("this node's records cannot be read", &[("reason", why)]);
    }
    let (machine, cluster, broken) = (boot.0, boot.1.take(), boot.2);
    Ok(Boot { machine, cluster, broken, node_record, shows_bigstore: places.bigstore.is_some() })
}

type Parts = (Box<Machine>, Option<Box<Cluster>>, Option<String>);

/// The remedies for a record that cannot be read.
fn remedy(file: &Path, why: &str) -> String {
    format!("{} {why}; restore it from a copy, or start over with `bootstrapd reset`", file.display())
}

/// A stand-in where the node's own record cannot be read: nothing of it is shown.
fn unknown(defaults: Paths) -> Box<Machine> {
    Box::new(Machine::new(Id::default(), defaults))
}

/// A first start, if no cluster's record says otherwise.
fn first(node_record: &Pair, defaults: Paths) -> io::Result<Parts> {
    let cluster_record = record_path(&defaults.persistent);
    match cluster_record.load::<Cluster>() {
        Found::Nothing => {}
        Found::Record { .. } => {
            let [file, _] = cluster_record.files();
            let why = "is a cluster's record, but this node's own record is missing";
            return Ok((unknown(defaults), None, Some(remedy(&file, why))));
        }
        Found::Unreadable { file, why } => return Ok((unknown(defaults), None, Some(remedy(&file, &why)))),
    }
    let mut machine = Box::new(Machine::new(Id(secret::random()?), defaults));
    save(&mut machine, node_record)?;
    Ok((machine, None, None))
}

fn save(machine: &mut Machine, node_record: &Pair) -> io::Result<()> {
    let mut buffer = vec![0; NODE_RECORD_BYTES_MAX];
    let length = machine.encode(&mut buffer).map_err(|_| io::Error::other("the record is too long"))?;
    buffer.truncate(length);
    node_record.save(&buffer)
}

fn restored(record: NodeRecord, bytes: &[u8], in_step: bool, node_record: &Pair, defaults: Paths) -> Parts {
    let cut_short = record.standing == Standing::Attempt;
    let membership = record.membership;
    let mut machine = Box::new(Machine::restore(record, defaults, node::now()));
    let mended = if cut_short {
        save(&mut machine, node_record)
    } else if in_step {
        Ok(())
    } else {
        node_record.save(bytes)
    };
    warn_unless_mended(mended);
    let cluster_record = record_path(machine.path(PathRole::Ccs));
    let belongs = machine.is_member() || machine.is_expelled();
    if !belongs {
        let broken = without_cluster(&machine, &cluster_record);
        return (machine, None, broken);
    }
    cluster_record.remove_new();
    let [file, _] = cluster_record.files();
    match cluster_record.load::<Cluster>() {
        Found::Record { value, bytes, in_step } => {
            let id = membership.map(|membership| membership.cluster_id);
            if id != Some(value.cluster_id) || value.membership(machine.node_id()).is_none() {
                return (machine, None, Some(remedy(&file, "is the record of another cluster or node")));
            }
            if !in_step {
                warn_unless_mended(cluster_record.save(&bytes));
            }
            (machine, Some(value), None)
        }
        Found::Unreadable { file, why } => (machine, None, Some(remedy(&file, &why))),
        Found::Nothing => (machine, None, Some(remedy(&file, "is missing, but this node belongs to a cluster"))),
    }
}

fn warn_unless_mended(result: io::Result<()>) {
    if let Err(error) = result {
        log::warn("a record's second copy could not be written", &[("error", &error)]);
    }
}

/// What lies where a cluster's record would be, for a node that is in none: an attempt's remains are removed. Says
/// why the node cannot be trusted to be free, if it cannot.
fn without_cluster(machine: &Machine, cluster_record: &Pair) -> Option<String> {
    let [file, _] = cluster_record.files();
    match (cluster_record.load::<Cluster>(), machine.state()) {
        (Found::Record { value, .. }, State::Idle) if value.membership(machine.node_id()).is_some() => {
            Some(remedy(&file, "says that this node belongs to a cluster, but the node's own record is older"))
        }
        (Found::Record { value, .. }, _) if value.membership(machine.node_id()).is_none() => None,
        (Found::Unreadable { .. }, _) | (_, State::Idle) => None,
        (Found::Record { .. } | Found::Nothing, _) => {
            cluster_record.discard();
            None
        }
    }
}
