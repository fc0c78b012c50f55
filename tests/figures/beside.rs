//! What only a comparison in one run can tell: this program beside nginx, which answers with a text that stands in its
//! configuration. Both take turns, so that whatever else the machine does befalls both.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use bootstrapd_tests::cluster::free_address;
use bootstrapd_tests::{Directory, median};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const REQUEST: &[u8] = b"GET /v1/bootstrap HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// Starts of each.
const STARTS: usize = 20;
/// Connections at the same time, and requests on each.
const CONNECTIONS: usize = 32;
const REQUESTS: usize = 1_000;
/// Turns of that.
const TURNS: usize = 5;

/// A server that can be started.
struct Side {
    directory: Directory,
    address: SocketAddr,
    command: Vec<String>,
}

impl Side {
    fn ours(program: &str) -> Self {
        let (directory, address) = (Directory::new(), free_address());
        let state = directory.join("state");
        let words = [program, "serve", "--listen", &address.to_string(), "--state-dir", &state];
        let command = words.map(str::to_owned).to_vec();
        Self { directory, address, command }
    }

    fn nginx() -> Self {
        let (directory, address) = (Directory::new(), free_address());
        let text = format!(
            "daemon off; pid pid; error_log stderr crit; events {{}} http {{ access_log off; server {{ listen {address}; \
             keepalive_requests 1000000; location / {{ default_type application/json; return 200 '{{}}'; }} }} }}"
        );
        let configuration = directory.write("nginx.conf", text);
        let words = ["nginx", "-p", &directory.join(""), "-c", &configuration];
        let command = words.map(str::to_owned).to_vec();
        Self { directory, address, command }
    }

    /// Starts it; how long that took, up to the end of the first answer.
    fn start(&self) -> (Running, Duration) {
        let start = Instant::now();
        let mut command = Command::new(&self.command[0]);
        let child = command.args(&self.command[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let running = Running(child.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.command[0])));
        // Not asked again at an interval: that would be what is measured.
        let mut stream = loop {
            match TcpStream::connect(self.address) {
                Ok(stream) => break stream,
                Err(_) if start.elapsed() < Duration::from_secs(10) => std::thread::yield_now(),
                Err(error) => panic!("{}: {error}", self.command[0]),
            }
        };
        ask(&mut stream);
        (running, start.elapsed())
    }

    /// Forgets what the last start left.
    fn forget(&self) {
        let _ = fs::remove_dir_all(self.directory.join("state"));
    }
}

/// A server that runs; it is ended when this is dropped.
struct Running(Child);

impl Running {
    /// The nanoseconds that it and its children have had a processor.
    fn processor_time(&self) -> u64 {
        let pid = self.0.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let processes = children.split_whitespace().map(str::to_owned).chain([pid.to_string()]);
        let tasks = processes.flat_map(|process| fs::read_dir(format!("/proc/{process}/task")).unwrap());
        let time = |task: std::io::Result<fs::DirEntry>| {
            let text = fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
            text.split_whitespace().next().unwrap().parse::<u64>().unwrap()
        };
        tasks.map(time).sum()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // nginx ends its workers where it is asked to end.
        let _ = kill(Pid::from_raw(self.0.id().try_into().unwrap()), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

/// Sends the request and takes one answer of 200.
fn ask(stream: &mut TcpStream) {
    stream.write_all(REQUEST).unwrap();
    take(stream);
}

fn take(stream: &mut TcpStream) {
    let mut answer = [0; 8_192];
    let mut taken = 0;
    loop {
        let count = stream.read(&mut answer[taken..]).unwrap();
        assert_ne!(count, 0, "the answer is cut off, or too long");
        taken += count;
        let text = std::str::from_utf8(&answer[..taken]).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        if body.len() >= length.unwrap().parse().unwrap() {
            return;
        }
    }
}

/// The nanoseconds of processor time that one request takes where many clients ask at once.
fn cost(side: &Side) -> Duration {
    let (running, _) = side.start();
    let mut streams: Vec<_> = (0..CONNECTIONS).map(|_| TcpStream::connect(side.address).unwrap()).collect();
    let mut turn = || {
        for stream in &mut streams {
            stream.write_all(REQUEST).unwrap();
        }
        for stream in &mut streams {
            take(stream);
        }
    };
    turn();
    let before = running.processor_time();
    for _ in 0..REQUESTS {
        turn();
    }
    Duration::from_nanos((running.processor_time() - before) / (CONNECTIONS * REQUESTS) as u64)
}

/// Prints the comparison; ends with 1 where a ratio is over what it must be.
pub(crate) fn measure(program: &str) -> ExitCode {
    let (ours, theirs) = (Side::ours(program), Side::nginx());
    let [mut first, mut again, mut nginx] = [const { Vec::new() }; 3];
    for _ in 0..STARTS {
        ours.forget();
        first.push(ours.start().1);
        again.push(ours.start().1);
        nginx.push(theirs.start().1);
    }
    let nginx = median(nginx);
    let costs: Vec<_> = (0..TURNS).map(|_| (cost(&ours), cost(&theirs))).collect();
    let (our_cost, their_cost): (Vec<_>, Vec<_>) = costs.into_iter().unzip();
    println!("{:<50} {:>10} {:>10} {:>6} {:>6}", "figure", "found", "nginx", "ratio", "must");
    let rows = [
        // Most of it is the disk's: the node's identity is synced.
        ("exec to first 200, a first start", median(first), nginx, None),
        ("exec to first 200, a later start", median(again), nginx, Some(0.35)),
        ("processor time of one GET, 32 connections", median(our_cost), median(their_cost), Some(2.0)),
    ];
    let mut good = true;
    for (name, found, beside, must) in rows {
        let ratio = found.as_secs_f64() / beside.as_secs_f64();
        good &= must.is_none_or(|must| ratio <= must);
        let must = must.map(|must| format!("{must:.2}")).unwrap_or_default();
        println!("{name:<50} {found:>10.2?} {beside:>10.2?} {ratio:>6.2} {must:>6}");
    }
    ExitCode::from(u8::from(!good))
}
