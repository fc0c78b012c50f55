//! The program under strace: which system calls touch the state directory, and what if one of them fails.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::{fs, thread, time::Duration};

use bootstrapd_tests::{Node, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::required;

/// Everything that can change what a disk holds, and `close`, which can be told of it late.
const CALLS: [&str; 24] = [
    "open",
    "openat",
    "openat2",
    "creat",
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "fsync",
    "fdatasync",
    "sync_file_range",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "ftruncate",
    "fallocate",
    "mkdir",
    "mkdirat",
    "close",
];

/// One call to be tampered with: the `number`th of its name, in any thread, that touches the state directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) call: &'static str,
    pub(crate) number: usize,
}

/// What is done to it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Error(&'static str),
    Kill,
}

/// Every place on the way, once with each fault that it may meet there.
pub(crate) fn faults(counts: &BTreeMap<&'static str, usize>) -> Vec<(Place, Fault)> {
    let places = counts.iter().flat_map(|(call, count)| (1..=*count).map(|number| Place { call, number }));
    let faults = |place: Place| {
        let errors = errors(place.call).iter().map(|error| Fault::Error(error));
        errors.chain([Fault::Kill]).map(move |fault| (place, fault))
    };
    places.flat_map(faults).collect()
}

const fn errors(call: &str) -> &'static [&'static str] {
    match call.as_bytes() {
        b"open" | b"openat" | b"openat2" | b"creat" => &["ENOSPC", "EIO", "EROFS", "EDQUOT", "EACCES", "EMFILE"],
        b"write" | b"writev" | b"pwrite64" | b"pwritev" | b"pwritev2" => &["ENOSPC", "EIO", "EDQUOT", "EINTR"],
        b"fsync" | b"fdatasync" | b"sync_file_range" | b"close" => &["EIO", "ENOSPC", "EDQUOT"],
        b"unlink" | b"unlinkat" | b"ftruncate" => &["EIO", "EROFS", "EACCES"],
        _ => &["ENOSPC", "EIO", "EROFS", "EDQUOT", "EACCES"],
    }
}

/// The options of strace that pick the calls on these paths, of every thread.
fn options(paths: &[PathBuf], calls: &str, output: &str) -> Vec<String> {
    let mut options = ["-f", "-qq", "-y", "-o", output, "-e"].map(str::to_owned).to_vec();
    options.push(format!("trace={calls}"));
    for path in paths {
        options.extend(["-P".to_owned(), path.to_str().unwrap().to_owned()]);
    }
    options
}

/// The option of strace for one fault.
fn injection(place: Place, fault: Fault) -> String {
    let Place { call, number } = place;
    match fault {
        Fault::Error(error) => format!("inject={call}:error={error}:when={number}"),
        Fault::Kill => format!("inject={call}:signal=KILL:when={number}"),
    }
}

/// Traces every start of the node from now on; strace is its sibling, so that the node stays the test's own child.
pub(crate) fn trace_starts(node: &mut Node, output: &str, fault: Option<(Place, Fault, &[PathBuf])>) {
    drop(required("strace"));
    let mut command = vec!["strace".to_owned(), "-D".to_owned()];
    match fault {
        Some((place, fault, paths)) => {
            command.extend(options(paths, place.call, output));
            command.extend(["-e".to_owned(), injection(place, fault)]);
        }
        None => command.extend(options(&[], &CALLS.map(|call| format!("?{call}")).join(","), output)),
    }
    node.wrap(&command.iter().map(String::as_str).collect::<Vec<_>>());
}

/// An strace that looks at a running node.
pub(crate) struct Attached(Child);

impl Attached {
    /// Attaches to all threads of the node.
    pub(crate) fn new(node: &Node, output: &str, fault: Option<(Place, Fault, &[PathBuf])>) -> Self {
        let mut command = required("strace");
        match fault {
            Some((place, fault, paths)) => {
                command.args(options(paths, place.call, output)).args(["-e", &injection(place, fault)]);
            }
            None => _ = command.args(options(&[], &CALLS.map(|call| format!("?{call}")).join(","), output)),
        }
        command.args(["-p", &node.pid().to_string()]);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let tracer = child.id();
        eventually("strace to attach to every thread", || {
            if let Some(status) = child.try_wait().unwrap() {
                let mut errors = String::new();
                std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut errors).unwrap();
                panic!("strace ended with {status}: {errors}");
            }
            traced_by(node.pid(), tracer).then_some(())
        });
        Self(child)
    }

    /// Lets the node go, which lives.
    pub(crate) fn detach(mut self) {
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), Signal::SIGINT).unwrap();
        eventually("the end of strace", || self.0.try_wait().unwrap());
    }

    /// Waits for the node's end, which is that of strace too. A dying process must not be let go: strace would wait
    /// for itself.
    pub(crate) fn wait(mut self) {
        eventually("the end of the node under strace", || self.0.try_wait().unwrap());
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether every thread of the process has this tracer and runs or waits as it likes.
fn traced_by(pid: u32, tracer: u32) -> bool {
    let line = format!("\nTracerPid:\t{tracer}\n");
    fs::read_dir(format!("/proc/{pid}/task")).unwrap().all(|thread| {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        status.contains(&line) && !status.contains("\nState:\tt")
    })
}

/// What a trace says of the state directory.
pub(crate) struct Seen {
    /// The calls that touched it, and how often the busiest thread made each.
    pub(crate) counts: BTreeMap<&'static str, usize>,
    /// The paths in it, and itself.
    pub(crate) paths: Vec<PathBuf>,
}

/// Reads a trace, once nothing more is written to it.
pub(crate) fn seen(output: &str, node: &Node) -> Seen {
    let text = eventually("the end of the trace", || {
        let text = fs::read_to_string(output).unwrap();
        thread::sleep(Duration::from_millis(50));
        (fs::read_to_string(output).unwrap() == text).then_some(text)
    });
    let state = node.state().into_os_string().into_string().unwrap();
    let mut by_thread = BTreeMap::<(&str, &'static str), usize>::new();
    let mut paths = vec![node.state()];
    for line in text.lines().filter(|line| !line.contains(" resumed>")) {
        let (thread, rest) = line.split_once(' ').unwrap();
        let (name, arguments) = rest.trim_start().split_once('(').unwrap_or_default();
        let Some(call) = CALLS.into_iter().find(|call| *call == name) else { continue };
        // What is written may mention a path, too.
        let line = if call.contains("write") { arguments.split(", ").next().unwrap() } else { arguments };
        if !line.contains(&state) {
            continue;
        }
        *by_thread.entry((thread, call)).or_default() += 1;
        for (at, _) in line.match_indices(&state) {
            let path = line[at..].split(['"', '>', ',', ' ']).next().unwrap();
            if !paths.iter().any(|known| known.as_os_str() == path) {
                paths.push(PathBuf::from(path));
            }
        }
    }
    let mut counts = BTreeMap::new();
    for ((_, call), count) in by_thread {
        let most = counts.entry(call).or_default();
        *most = count.max(*most);
    }
    Seen { counts, paths }
}

/// Whether the trace shows that the fault happened.
pub(crate) fn happened(output: &str, fault: Fault) -> bool {
    let text = fs::read_to_string(output).unwrap_or_default();
    match fault {
        Fault::Error(_) => text.contains("(INJECTED)"),
        Fault::Kill => text.contains("killed by SIGKILL"),
    }
}
