//! The verb `reset`: a node forgets what it was. Offline, and only after a yes.

use std::io::{self, IsTerminal as _, Write as _};

use bootstrapd_core::machine::{Machine, PathRole};
use bootstrapd_core::record::NodeRecord;

use crate::options::Values;
use crate::perform::record_path;
use crate::store::{self, Found, Pair};
use crate::{exit, node, serve};

/// Removes this node's records; the exit code.
#[must_use]
pub fn run(values: &Values) -> u8 {
    let places = match serve::places(values) {
        Ok(places) => places,
        Err(problem) => return complain(exit::USAGE, &problem),
    };
    if !places.state.is_dir() {
        return complain(exit::CONFIG, &format!("{} is no directory: nothing was removed", places.state.display()));
    }
    let defaults = match places.paths() {
        Ok(defaults) => defaults,
        Err(error) => return complain(exit::CONFIG, &error.to_string()),
    };
    let _lock = match store::lock(&places.state) {
        Ok(lock) => lock,
        Err(None) => {
            return complain(exit::REFUSED, &format!("an agent runs on {}: end it first", places.state.display()));
        }
        Err(Some(error)) => return complain(exit::CONFIG, &error.to_string()),
    };
    let own = Pair::node(&places.state);
    // The cluster's record may lie where an attempt said, or under the agent's own path.
    let mut pairs = vec![record_path(&defaults.persistent)];
    let mut is_lost = false;
    if let Found::Record { value, .. } = own.load::<NodeRecord>() {
        let mut machine = Box::<Machine>::default();
        machine.restore(&value, &defaults, node::now());
        pairs.push(record_path(machine.path(PathRole::Ccs)));
        is_lost = value.membership.is_some() && !pairs.iter().flat_map(Pair::files).any(|file| file.exists());
    }
    // Last, so that a reset that is cut short leaves a node that is closed, not one that is open.
    pairs.push(own);
    pairs.dedup();
    if !values.is_on("yes") && !agrees(&pairs) {
        return complain(exit::REFUSED, "nothing was removed");
    }
    if is_lost {
        eprintln!("bootstrapd: the cluster's record is not there; if serve has --persistent-path, say it here too");
    }
    match pairs.iter().try_for_each(Pair::discard) {
        Ok(()) => exit::DONE,
        Err(error) => complain(exit::CONFIG, &format!("not everything was removed: {error}")),
    }
}

fn agrees(pairs: &[Pair]) -> bool {
    if !io::stdin().is_terminal() {
        eprintln!("bootstrapd: without a terminal, say --yes");
        return false;
    }
    for file in pairs.iter().flat_map(Pair::files).filter(|file| file.exists()) {
        println!("{}", file.display());
    }
    print!("Remove these files? This node forgets its cluster for good. Type yes: ");
    let _ = io::stdout().flush();
    let mut line = String::new();
    io::stdin().read_line(&mut line).is_ok() && line.trim() == "yes"
}

fn complain(code: u8, problem: &str) -> u8 {
    eprintln!("bootstrapd: {problem}");
    code
}
