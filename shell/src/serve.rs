//! The verb `serve`: from options to a node that answers.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use bootstrapd_core::limits::LISTENERS_MAX;
use bootstrapd_core::machine::Machine;
use bootstrapd_core::node::{SOFTWARE_VERSION, Settings, is_reachable};
use nix::sys::resource::{Resource, setrlimit};

use crate::agent::{Agent, Habits};
use crate::boot::{self, Boot, Places};
use crate::gate::{self, Gate};
use crate::options::{self, Values};
use crate::perform::{STACK_BYTES, Threads};
use crate::secret::LicenseKey;
use crate::server::{self, Server};
use crate::shared::Shared;
use crate::tls::{self, Files, Keeper};
use crate::{exit, log, node, store};

/// This process's node. It is a static because it is large and blank: so it takes memory as it is used. The loop's
/// thread holds it as long as it runs.
static MACHINE: Mutex<Machine> = Mutex::new(Machine::blank());

/// How `serve` can fail to start: the exit code and the reason.
type Failed = (u8, String);

/// Runs a node until a signal ends it; the exit code.
#[must_use]
pub fn run(values: &Values) -> u8 {
    match start(values) {
        Ok(()) => exit::DONE,
        Err((code, reason)) => {
            eprintln!("bootstrapd: {reason}");
            code
        }
    }
}

fn start(values: &Values) -> Result<(), Failed> {
    let usage = |problem: String| (exit::USAGE, problem);
    let cannot = |error: std::io::Error| (exit::CONFIG, error.to_string());
    let addresses = addresses(values).map_err(usage)?;
    let files = tls::wanted(values).map_err(usage)?;
    let license_key = license_key(values)?;
    let places = places(values).map_err(usage)?;
    let (mut habits, settings, advertise) =
        (habits(values).map_err(usage)?, settings(values).map_err(usage)?, advertise(values).map_err(usage)?);
    // What reads them is kept out of memory where there is nothing to read.
    let guests = if values.one("client-ca").is_some() { tls::guests(values)? } else { None };
    let is_gated = gate::FLAGS.iter().any(|name| values.one(name).is_some());
    let gate = if is_gated { Some(Box::new(Gate::read(values)?)) } else { None };
    let shared = shared(values, "store", habits)?;
    habits.is_shared = shared.is_some();
    // No secret may end up in a file. A limit of one byte stops dumps to a pipe as well, which one of none does not.
    let _ = setrlimit(Resource::RLIMIT_CORE, 1, 1);
    let signals = server::take_signals().map_err(cannot)?;
    let _lock = store::lock(&places.state).map_err(|refused| match refused {
        Some(error) => cannot(error),
        None => (exit::REFUSED, format!("another agent runs on {}", places.state.display())),
    })?;
    // What is on disk is known before anything listens.
    let mut machine = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    if habits.is_shared {
        machine.share_store();
    }
    let (mut boot, mut keeper) = boot_aside(&places, &mut machine, files).map_err(cannot)?;
    // It would take itself for the only one that writes.
    if !habits.is_shared && !machine.is_expelled() && boot.founds_in_store(machine.node_id()) {
        let why = "the cluster's record is on etcd: say where by --store, take it from there by `bootstrapd move`, or start over by `bootstrapd reset`";
        return Err((exit::CONFIG, why.to_owned()));
    }
    if let Some(guests) = guests {
        keeper.invite(guests);
    }
    let listeners = server::listen_on(&addresses).map_err(cannot)?;
    boot.facts.listeners = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    boot.facts.settings = settings;
    boot.facts.advertise = advertise;
    let threads = Threads::start(shared).map_err(cannot)?;
    let agent = Agent::new(machine, boot, threads, license_key, habits, gate).map_err(cannot)?;
    let mut server = Server::new(agent, listeners, signals, keeper).map_err(cannot)?;
    server.settle();
    announce(&server);
    server.run().map_err(cannot)?;
    log::info("ended by a signal", &[]);
    Ok(())
}

/// Boots on a thread of its own, so that the stack which that takes is given back.
fn boot_aside(places: &Places, machine: &mut Machine, files: Option<Files>) -> std::io::Result<(Boot, Keeper)> {
    thread::scope(|scope| {
        let boot = || tls::beside(files, &places.state, || boot::boot(places, machine));
        let aside = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, boot)?;
        // A panic ends the process, so there is always a result.
        aside.join().unwrap_or_else(|_| Err(std::io::Error::other("the start was cut short")))
    })
}

/// One line that says where the node answers and what to do next.
fn announce(server: &Server) {
    let addresses = server.addresses();
    for address in addresses.iter().filter(|address| !address.ip().is_loopback()) {
        let who = server.agent().who_may_bootstrap();
        log::warn(&format!("whoever {who} can bootstrap this node until it is in a cluster"), &[("address", address)]);
    }
    let is_plain =
        |address: &SocketAddr| !tls::IS_BUILT_IN || address.ip().is_loopback() || server.agent().allows_plaintext();
    let scheme = |address| if is_plain(address) { "http" } else { "https" };
    let urls: Vec<String> = addresses.iter().map(|address| format!("{}://{address}", scheme(address))).collect();
    let first = urls.first().map(String::as_str).unwrap_or_default();
    let state = server.agent().state_name();
    options::print(&format!(
        "bootstrapd {SOFTWARE_VERSION} answers on {} (state {state}); next: curl -s{} {first}/v1/bootstrap\n",
        urls.join(" and "),
        if first.starts_with("https") { "k" } else { "" }
    ));
}

fn addresses(values: &Values) -> Result<Vec<SocketAddr>, String> {
    let mut given = values.all("listen");
    if given.is_empty() {
        given.push(OsString::from("127.0.0.1:8080"));
    }
    let parse = |text: OsString| {
        let address = text.to_str().and_then(|text| text.parse().ok());
        address.ok_or_else(|| format!("--listen takes ADDR:PORT with an IP address, not {}", text.display()))
    };
    if given.len() > LISTENERS_MAX {
        return Err(format!("--listen takes at most {LISTENERS_MAX} addresses"));
    }
    given.into_iter().map(parse).collect()
}

pub(crate) fn habits(values: &Values) -> Result<Habits, String> {
    let seconds =
        |name: &str, default: u64, least: u64| values.seconds(name, least..=3600).map(|given| given.unwrap_or(default));
    Ok(Habits {
        beat: Duration::from_secs(seconds("beat", 5, 1)?),
        max_skew_seconds: seconds("max-clock-skew", 5, 0)?,
        allow_plaintext: values.is_on("allow-plaintext"),
        is_shared: false,
    })
}

/// The store that all members share, as the flag `name` says it; `None` where each keeps the record by itself.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn shared(values: &Values, name: &str, habits: Habits) -> Result<Option<Box<Shared>>, Failed> {
    let usage = |problem: String| (exit::USAGE, problem);
    let store = values.text(name).map_err(usage)?.unwrap_or_else(|| "embedded".to_owned());
    match store.split_once('=') {
        None if store == "embedded" => Ok(None),
        #[cfg(feature = "etcd")]
        Some(("etcd", urls)) => etcd(values, urls, habits).map(Some),
        #[cfg(not(feature = "etcd"))]
        Some(("etcd", _)) => {
            let _ = habits;
            Err(usage(format!("--{name}: this program was built without etcd")))
        }
        _ => Err(usage(format!("--{name} takes embedded or etcd=URL,…, not {store}"))),
    }
}

// Not inlined: what it needs of the stack stays resident.
#[cfg(feature = "etcd")]
#[inline(never)]
fn etcd(values: &Values, urls: &str, habits: Habits) -> Result<Box<Shared>, Failed> {
    use crate::call::Server;
    use crate::etcd::Place;
    let usage = |problem: String| (exit::USAGE, problem);
    let mut endpoints = Vec::new();
    let trust = tls::named(values, "store-ca", None)?;
    for url in urls.split(',') {
        if tls::IS_BUILT_IN && trust.is_none() && url.starts_with("https://") {
            return Err(usage(format!("{url} needs --store-ca: whose certificate is good")));
        }
        let takes = if tls::IS_BUILT_IN { "http[s]" } else { "http" };
        let server = Server::parse(url, trust.as_ref());
        let server = server.ok_or_else(|| usage(format!("etcd takes {takes}://HOST[:PORT],…, not {url:?}")))?;
        if server.is_plain() && !server.is_loopback() && !habits.allow_plaintext {
            return Err(usage(format!(
                "{url} is another machine: talking to it in plain HTTP needs --allow-plaintext"
            )));
        }
        endpoints.push(server);
    }
    let prefix = values.text("store-prefix").map_err(usage)?.unwrap_or_else(|| "/bootstrapd/".to_owned());
    let user = values.text("store-user").map_err(usage)?;
    let login = user.map(|user| Ok((user, store_password(values)?))).transpose()?;
    Ok(Shared::new(Place { endpoints, prefix, login }, habits.beat, habits.max_skew_seconds))
}

/// From a file: never from the command line, where others read it.
#[cfg(feature = "etcd")]
fn store_password(values: &Values) -> Result<zeroize::Zeroizing<String>, Failed> {
    let Some(file) = values.one("store-password-file") else {
        return Err((exit::USAGE, "--store-user needs --store-password-file".to_owned()));
    };
    let text =
        std::fs::read_to_string(&file).map_err(|error| (exit::CONFIG, format!("{}: {error}", file.display())))?;
    Ok(zeroize::Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// What every node of a cluster must have alike.
fn settings(values: &Values) -> Result<Settings, String> {
    let path = |name: &str, default: &str| {
        let text = values.text(name)?.unwrap_or_else(|| default.to_owned());
        heapless::String::try_from(text.as_str()).map_err(|_| format!("--{name} is too long"))
    };
    Ok(Settings {
        socket_dir: path("socket-dir", "/run/bootstrapd")?,
        config_dir: path("config-dir", "/etc/bootstrapd")?,
        install_dir: path("install-dir", "/opt/bootstrapd")?,
        user: node::user(),
    })
}

fn advertise(values: &Values) -> Result<Option<SocketAddr>, String> {
    let Some(text) = values.text("advertise")? else { return Ok(None) };
    let address = text.parse().ok().filter(|address: &SocketAddr| is_reachable(address.ip()) && address.port() != 0);
    address.map(Some).ok_or_else(|| format!("--advertise takes ADDR:PORT of an address that others reach, not {text}"))
}

fn license_key(values: &Values) -> Result<Option<LicenseKey>, Failed> {
    let Some(text) = values.text("license-key").map_err(|problem| (exit::USAGE, problem))? else {
        return Ok(LicenseKey::built_in());
    };
    if let Some(key) = LicenseKey::parse(&text) {
        return Ok(Some(key));
    }
    let file = std::fs::read_to_string(&text);
    let file =
        file.map_err(|error| (exit::CONFIG, format!("--license-key is no key, and as a file {text}: {error}")))?;
    let key = LicenseKey::parse(&file);
    key.map(Some).ok_or_else(|| (exit::CONFIG, format!("{text} holds no public key")))
}

/// The directories that the flags name.
///
/// # Errors
/// Where there is no state directory.
pub fn places(values: &Values) -> Result<Places, String> {
    let path = |name: &str| values.one(name).map(PathBuf::from);
    let state = path("state-dir").or_else(default_state).ok_or("--state-dir is missing, and there is no HOME")?;
    let state = std::path::absolute(state).map_err(|error| error.to_string())?;
    Ok(Places {
        state,
        persistent: path("persistent-path"),
        ephemeral: path("ephemeral-path"),
        bigstore: path("bigstore-path"),
    })
}

fn default_state() -> Option<PathBuf> {
    if nix::unistd::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/bootstrapd"));
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    state.or_else(home).map(|state| state.join("bootstrapd"))
}
