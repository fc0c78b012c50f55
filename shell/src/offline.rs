//! The verbs that need no agent, and want none to run: `reset`, by which a node forgets what it was,
//! `recover --in-place`, by which a survivor becomes its cluster's founder, and `move`, by which it takes the cluster's
//! record to another store. All of them ask first.

use std::io::{self, IsTerminal as _, Write as _};

use bootstrapd_core::cluster::Cluster;
use bootstrapd_core::config::Paths;
use bootstrapd_core::machine::{Machine, PathRole};
use bootstrapd_core::record::{Id, NodeRecord};

use crate::options::Values;
use crate::perform::record_path;
use crate::store::{self, Found, Lock, Pair};
use crate::{exit, node, secret, serve};

/// Why a verb ends other than well.
type Ended = (u8, String);

/// What the verbs work on, as long as no agent does.
struct Offline {
    defaults: Paths,
    own: Pair,
    _lock: Lock,
}

impl Offline {
    fn open(values: &Values) -> Result<Self, Ended> {
        let places = serve::places(values).map_err(|problem| (exit::USAGE, problem))?;
        let state = places.state.display();
        if !places.state.is_dir() {
            return Err((exit::CONFIG, format!("{state} is no directory: nothing was changed")));
        }
        let defaults = places.paths().map_err(|error| (exit::CONFIG, error.to_string()))?;
        let lock = store::lock(&places.state).map_err(|error| match error {
            None => (exit::REFUSED, format!("an agent runs on {state}: end it first")),
            Some(error) => (exit::CONFIG, error.to_string()),
        })?;
        Ok(Self { defaults, own: Pair::node(&places.state), _lock: lock })
    }

    /// This node, if its record can be read, and where its cluster's record is.
    fn node(&self) -> Option<(Box<NodeRecord>, Box<Machine>, Pair)> {
        let Found::Record { value, .. } = self.own.load::<NodeRecord>() else { return None };
        let mut machine = Box::<Machine>::default();
        machine.restore(&value, &self.defaults, node::now());
        let pair = record_path(machine.path(PathRole::Ccs));
        Some((value, machine, pair))
    }
}

/// Removes this node's records; the exit code.
#[must_use]
pub fn reset(values: &Values) -> u8 {
    complain(remove(values))
}

/// Makes this node its cluster's founder; the exit code.
#[must_use]
pub fn recover_in_place(values: &Values) -> u8 {
    complain(found_again(values))
}

fn remove(values: &Values) -> Result<(), Ended> {
    let offline = Offline::open(values)?;
    // The cluster's record may lie where an attempt said, or under the agent's own path.
    let mut pairs = vec![record_path(&offline.defaults.persistent)];
    let mut is_lost = false;
    if let Some((record, _, pair)) = offline.node() {
        pairs.push(pair);
        is_lost = record.membership.is_some() && !pairs.iter().flat_map(Pair::files).any(|file| file.exists());
    }
    // Last, so that a reset that is cut short leaves a node that is closed, not one that is open.
    pairs.push(offline.own);
    pairs.dedup();
    let files = pairs.iter().flat_map(Pair::files).filter(|file| file.exists());
    let files: Vec<String> = files.map(|file| file.display().to_string()).collect();
    agree(values, &files.join("\n"), "Remove these files? This node forgets its cluster for good.")?;
    if is_lost {
        eprintln!("bootstrapd: the cluster's record is not there; if serve has --persistent-path, say it here too");
    }
    let removed = pairs.iter().try_for_each(Pair::discard);
    removed.map_err(|error| (exit::CONFIG, format!("not everything was removed: {error}")))
}

/// Takes the cluster's record from one store to another; the exit code.
#[cfg(feature = "etcd")]
#[must_use]
pub fn move_record(values: &Values) -> u8 {
    complain(take_along(values))
}

fn refused(why: &str) -> Ended {
    (exit::REFUSED, format!("{why}: nothing was changed"))
}

/// A member, and its cluster's record on its disk.
struct Member {
    machine: Box<Machine>,
    cluster: Box<Cluster>,
    pair: Pair,
}

impl Member {
    fn load(offline: &Offline) -> Result<Self, Ended> {
        let Some((_, machine, pair)) = offline.node().filter(|(_, machine, _)| machine.is_member()) else {
            return Err(refused("this node is in no cluster, or its record cannot be read"));
        };
        let Found::Record { value: cluster, .. } = pair.load::<Cluster>() else {
            return Err(refused("the cluster's record cannot be read"));
        };
        Ok(Self { machine, cluster, pair })
    }

    /// Begins a new epoch, of which this node is the founder, in a store that all members share or not.
    fn begin_epoch(&mut self, is_shared: bool) -> Result<(), Ended> {
        let tag = secret::random().map_err(|error| (exit::CONFIG, error.to_string()))?;
        let begun = self.cluster.recover_in_place(self.machine.node_id(), Id(tag));
        self.cluster.is_shared = is_shared;
        begun.map_err(|failure| refused(&failure.message))
    }

    fn about(&self) -> String {
        let Cluster { name, epoch, members, .. } = &*self.cluster;
        format!("cluster {name}, epoch {epoch}, {} members", members.len())
    }

    fn save(&self) -> Result<(), Ended> {
        let bytes = store::encode(&self.cluster).ok_or_else(|| refused("the record is too long"))?;
        self.pair.save(&bytes).map_err(|error| (exit::CONFIG, format!("the record could not be saved: {error}")))
    }
}

fn found_again(values: &Values) -> Result<(), Ended> {
    let shared = serve::shared(values, "store", serve::habits(values).map_err(|problem| (exit::USAGE, problem))?)?;
    let offline = Offline::open(values)?;
    let mut member = Member::load(&offline)?;
    member.begin_epoch(shared.is_some())?;
    let uid = member.cluster.founder_uid;
    let question = format!(
        "Make this node, uid {uid}, the founder of a new epoch? What was changed since this copy, and by others only, is lost."
    );
    agree(values, &member.about(), &question)?;
    // The store first: what it has counts, and this node follows it.
    if let Some(mut shared) = shared {
        shared.found_again(&mut member.cluster, false).map_err(|why| (exit::REFUSED, why))?;
    }
    member.save()
}

/// All agents of the cluster are at rest, and this node's copy is the newest, or the store's that it is taken from is.
#[cfg(feature = "etcd")]
fn take_along(values: &Values) -> Result<(), Ended> {
    let habits = serve::habits(values).map_err(|problem| (exit::USAGE, problem))?;
    let (from, to) = (serve::shared(values, "store", habits)?, serve::shared(values, "to", habits)?);
    if from.is_some() == to.is_some() {
        return Err((exit::USAGE, "one of --store and --to is embedded, the other one is not".to_owned()));
    }
    let offline = Offline::open(values)?;
    let mut member = Member::load(&offline)?;
    let mut emptied = None;
    let mut is_there = false;
    if let Some(mut from) = from {
        let (stored, revision) = from.fetch(&member.cluster).map_err(|why| refused(&why))?;
        // This was done before, up to its last step: what is here has gone on since.
        is_there = !member.cluster.is_shared && stored.is_succeeded_by(&member.cluster);
        if !is_there {
            member.cluster = stored;
        }
        emptied = Some((from, revision));
    }
    // Its copy is the newest where there is no store; and a founder that finds another one takes itself for overtaken.
    if !member.cluster.is_founder(member.machine.node_id()) {
        return Err(refused("this node is not the founder: move the record there, or recover in place here first"));
    }
    if !is_there {
        member.begin_epoch(to.is_some())?;
    }
    let question = "Take the record to its other store? All agents of the cluster must be at rest, and find it by their flags when they start again.";
    agree(values, &member.about(), question)?;
    if let Some(mut to) = to {
        to.found_again(&mut member.cluster, true).map_err(|why| (exit::REFUSED, why))?;
    }
    member.save()?;
    // Last: what is cut short before can be done again.
    if let Some((mut from, revision)) = emptied {
        from.remove(revision).map_err(|why| (exit::CONFIG, format!("the record was taken along, but {why}")))?;
    }
    Ok(())
}

/// Shows what it is about, and asks.
fn agree(values: &Values, about: &str, question: &str) -> Result<(), Ended> {
    let refused = |why: &str| (exit::REFUSED, why.to_owned());
    if values.is_on("yes") {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(refused("without a terminal, say --yes: nothing was changed"));
    }
    print!("{about}\n{question} Type yes: ");
    let _ = io::stdout().flush();
    let mut line = String::new();
    let agrees = io::stdin().read_line(&mut line).is_ok() && line.trim() == "yes";
    if agrees { Ok(()) } else { Err(refused("nothing was changed")) }
}

fn complain(result: Result<(), Ended>) -> u8 {
    match result {
        Ok(()) => exit::DONE,
        Err((code, problem)) => {
            eprintln!("bootstrapd: {problem}");
            code
        }
    }
}
