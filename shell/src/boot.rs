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
use bootstrapd_core::node::NodeInfo;
use bootstrapd_core::record::{Id, Membership, NodeRecord, Standing};

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
    /// What the machine says of itself.
    pub facts: Box<NodeInfo>,
    /// The cluster that it is in.
    pub cluster: Option<Box<Cluster>>,
    /// The one that has admitted it and may not know that it has got there.
    pub adopted: Option<Box<Cluster>>,
    /// Why nothing can be said of it.
    pub broken: Option<String>,
    /// Its own record.
    pub node_record: Pair,
    /// Whether the status document shows flash storage that no attempt asked for.
    pub shows_bigstore: bool,
}

impl Places {
    /// Makes those of the agent's own `paths` that lie below the state directory.
    fn make(&self, paths: &Paths) -> io::Result<()> {
        let Paths { persistent, ephemeral, bigstore, ccs: _ } = paths;
        let places = [(&self.persistent, persistent), (&self.ephemeral, ephemeral), (&self.bigstore, bigstore)];
        let own = places.into_iter().filter(|(configured, _)| configured.is_none());
        own.map(|(_, path)| Path::new(path.as_str())).try_for_each(store::make)
    }

    /// The agent's own paths.
    ///
    /// # Errors
    /// A path that is too long or no text.
    pub fn paths(&self) -> io::Result<Paths> {
        let place = |configured: &Option<PathBuf>, name: &str| {
            let path = configured.clone().unwrap_or_else(|| self.state.join(name));
            let path = std::path::absolute(path)?;
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

impl Boot {
    /// Whether the node `own` is the founder of a cluster whose record is in a store that all members share.
    #[must_use]
    pub fn founds_in_store(&self, own: Id) -> bool {
        let founds = |copy: &Cluster| copy.is_shared && copy.is_founder(own);
        [&self.cluster, &self.adopted].into_iter().flatten().any(|copy| founds(copy))
    }
}

/// Reads the records in `places`, whose lock is held, makes `machine` the node that they tell of, and mends what a
/// crash left. Where nothing can be said of the node, the machine stays blank.
///
/// # Errors
/// Where a first start cannot make the node's record.
pub fn boot(places: &Places, machine: &mut Machine) -> io::Result<Boot> {
    let defaults = places.paths()?;
    places.make(&defaults)?;
    let node_record = Pair::node(&places.state);
    node_record.remove_new();
    let found = match node_record.load::<NodeRecord>() {
        Found::Record { value, bytes, in_step } => {
            machine.restore(&value, &defaults, node::now());
            let found = match value.membership {
                Some(membership) if machine.is_member() || machine.is_expelled() || machine.adopted().is_some() => {
                    belonging(machine, membership)
                }
                _ => without_cluster(&value, &defaults, machine).map_or(Ok(None), Err),
            };
            // Last, and only when all is well: as long as the record says "in an attempt", the next start clears what
            // this one could not.
            if found.is_ok() {
                mend_own(&value, &bytes, in_step, &node_record, machine);
            }
            found
        }
        Found::Unreadable { file, why } => Err(remedy(&file, &why)),
        Found::Nothing => first(&node_record, &defaults, machine)?.map_or(Ok(None), Err),
    };
    let (cluster, broken) = match found {
        Ok(cluster) => (cluster, None),
        Err(why) => {
            log::warn("this node's records cannot be read", &[("reason", &why)]);
            (None, Some(why))
        }
    };
    let (cluster, adopted) = match cluster {
        // Until it is a member it is closed by the copy that is there, where another cluster has sent it away.
        Some(adopted) if machine.adopted().is_some() => (machine.is_expelled().then(|| adopted.clone()), Some(adopted)),
        cluster => (cluster, None),
    };
    let shows_bigstore = places.bigstore.is_some();
    Ok(Boot { facts: node::read(), cluster, adopted, broken, node_record, shows_bigstore })
}

/// The remedies for a record that cannot be read.
fn remedy(file: &Path, why: &str) -> String {
    format!(
        "{} {why}; restore it from a copy, or start over with `bootstrapd reset` and the same path flags",
        file.display()
    )
}

/// A first start, unless a cluster's record says otherwise: then why the node cannot be trusted to be new.
fn first(node_record: &Pair, defaults: &Paths, machine: &mut Machine) -> io::Result<Option<String>> {
    let cluster_record = record_path(&defaults.persistent);
    match cluster_record.load::<Cluster>() {
        Found::Nothing => {
            machine.identify(Id(secret::random()?), defaults);
            save(machine, node_record).map(|()| None)
        }
        Found::Record { .. } => {
            let [file, _] = cluster_record.files();
            Ok(Some(remedy(&file, "is a cluster's record, but this node's own record is missing")))
        }
        Found::Unreadable { file, why } => Ok(Some(remedy(&file, &why))),
    }
}

fn save(machine: &mut Machine, node_record: &Pair) -> io::Result<()> {
    let mut buffer = vec![0; NODE_RECORD_BYTES_MAX];
    let length = machine.encode(&mut buffer).map_err(|_| io::Error::other("the record is too long"))?;
    buffer.truncate(length);
    node_record.save(&buffer)
}

/// Makes the end of an attempt that was cut short durable, and brings up a copy that a crash left behind.
fn mend_own(record: &NodeRecord, bytes: &[u8], in_step: bool, node_record: &Pair, machine: &mut Machine) {
    // A joiner that has made the record its own goes on as it is.
    if record.standing.is_attempt() && machine.adopted().is_none() {
        warn_unless_mended(save(machine, node_record));
    } else if !in_step {
        warn_unless_mended(node_record.save(bytes));
    }
}

/// The record of the cluster that the node belongs to, or why it cannot be had.
fn belonging(machine: &Machine, membership: Membership) -> Result<Option<Box<Cluster>>, String> {
    let cluster_record = record_path(machine.path(PathRole::Ccs));
    cluster_record.remove_new();
    let [file, _] = cluster_record.files();
    match cluster_record.load::<Cluster>() {
        Found::Record { value, bytes, in_step } => {
            // A node that was sent away, and was cut short on its way into another cluster, is closed by either's record.
            let is_it = machine.is_expelled() || membership.cluster_id == value.cluster_id;
            if !is_it || value.membership(machine.node_id()).is_none() {
                return Err(remedy(&file, "is the record of another cluster or node"));
            }
            if !in_step {
                warn_unless_mended(cluster_record.save(&bytes));
            }
            Ok(Some(value))
        }
        Found::Unreadable { file, why } => Err(remedy(&file, &why)),
        Found::Nothing => Err(remedy(&file, "is missing, but this node belongs to a cluster")),
    }
}

fn warn_unless_mended(result: io::Result<()>) {
    if let Err(error) = result {
        log::warn("a record could not be mended", &[("error", &error)]);
    }
}

/// What lies where a cluster's record would be, for a node that is in none: only the remains of an attempt that was cut
/// short are removed. Says why the node cannot be trusted to be free, if it cannot.
fn without_cluster(own: &NodeRecord, defaults: &Paths, machine: &Machine) -> Option<String> {
    let default = record_path(&defaults.persistent);
    let configured = record_path(machine.path(PathRole::Ccs));
    let was_cut_short = own.standing == Standing::Attempt;
    let elsewhere = (configured != default).then_some(&configured);
    for pair in elsewhere.into_iter().chain([&default]) {
        let [file, _] = pair.files();
        match pair.load::<Cluster>() {
            Found::Record { value, .. } if value.membership(machine.node_id()).is_none() => {}
            Found::Record { .. } if was_cut_short && *pair == configured => {
                log::warn("the record of an attempt that was cut short is removed", &[("file", &file.display())]);
                if let Err(error) = pair.discard() {
                    return Some(remedy(&file, &format!("is an attempt's remains and cannot be removed: {error}")));
                }
            }
            Found::Record { .. } => {
                return Some(remedy(
                    &file,
                    "says that this node belongs to a cluster, but the node's own record is older",
                ));
            }
            // Where a stranger's attempt pointed to may lie anything.
            Found::Unreadable { .. } if *pair != default => {}
            Found::Unreadable { file, why } => return Some(remedy(&file, &why)),
            // An attempt that was cut short may have made the directory.
            Found::Nothing if was_cut_short => _ = pair.discard(),
            Found::Nothing => {}
        }
    }
    None
}
