//! A node: the program's `serve` in a directory of its own.

use std::fs::{self, File, OpenOptions};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::body::{self, PASSWORD, USER};
use crate::directory::{Snapshot, snapshot};
use crate::http::{Answer, Connection, Request};
use crate::{AT_ONCE, Directory, eventually, program, tls};

/// Everything that a node's state directory may hold with the agent's own paths.
pub const STATE_FILES: [&str; 10] = [
    "bigstore",
    "ephemeral",
    "lock",
    "node.a",
    "node.b",
    "persistent",
    "persistent/ccs",
    "persistent/ccs/cluster.a",
    "persistent/ccs/cluster.b",
    "tls.pem",
];

/// A node, running unless it was stopped. Dropping it kills the process and removes the directory.
#[derive(Debug)]
pub struct Node {
    directory: Directory,
    listen: String,
    options: Vec<String>,
    wrapper: Vec<String>,
    child: Option<Child>,
    ready: String,
    addresses: Vec<SocketAddr>,
}

impl Node {
    /// Starts one.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with more options.
    pub fn start_with(options: &[&str]) -> Self {
        let mut node = Self::prepare(options);
        node.run();
        node
    }

    /// A node that was never started: what it will find can be put into its directories.
    pub fn prepare(options: &[&str]) -> Self {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let directory = Directory::new();
        let listen = "127.0.0.1:0".to_owned();
        Self {
            directory,
            listen,
            options,
            wrapper: Vec::new(),
            child: None,
            ready: String::new(),
            addresses: Vec::new(),
        }
    }

    /// Has it listen there from the next start on.
    pub fn listen_on(&mut self, address: SocketAddr) {
        self.listen = address.to_string();
    }

    /// Where it was told to listen.
    pub fn listens_on(&self) -> SocketAddr {
        self.listen.parse().unwrap()
    }

    /// Adds options for the next start.
    pub fn add_options(&mut self, options: &[&str]) {
        self.options.extend(options.iter().map(|&option| option.to_owned()));
    }

    /// Starts the program through this command from now on, which must end in executing it.
    pub fn wrap(&mut self, wrapper: &[&str]) {
        self.wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
    }

    /// Starts the program through this command, with a clock on the wall that is off; the one that never goes back is
    /// right. The command `faketime` itself would stay in between and be killed in the node's place.
    pub fn wrap_with_clock(&mut self, wrapper: &[&str], offset: &str) {
        let library = "LD_PRELOAD=/usr/$LIB/faketime/libfaketimeMT.so.1";
        let clock = ["env", "DONT_FAKE_MONOTONIC=1", library, &format!("FAKETIME={offset}")];
        self.wrap(&[wrapper, &clock].concat());
    }

    /// A node that holds at most so many file descriptors.
    pub fn limit_descriptors(&mut self, limit: u32) {
        self.wrap(&["sh", "-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\"")]);
    }

    /// Starts the process and waits until it is ready.
    pub fn run(&mut self) {
        self.spawn();
        self.wait_ready();
    }

    /// Starts the process.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "the node runs already");
        let mut command = match self.wrapper.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program());
                crate::program::clear(&mut command);
                command
            }
            None => crate::program::command(),
        };
        command.arg("serve").args(["--listen", &self.listen, "--state-dir"]).arg(self.state());
        command.args(&self.options).stdin(Stdio::null());
        command.stdout(File::create(self.directory.path().join("output")).unwrap());
        let log = OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        self.child = Some(command.stderr(log).spawn().unwrap());
    }

    /// Waits for the line that says where it answers.
    pub fn wait_ready(&mut self) {
        let output = self.directory.path().join("output");
        let log = self.log_path();
        let child = self.child.as_mut().unwrap();
        self.ready = eventually("the ready line", || {
            let text = fs::read_to_string(&output).unwrap();
            if text.ends_with('\n') {
                return Some(text);
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the node ended with {status}: {}", fs::read_to_string(&log).unwrap());
            }
            None
        });
        let words = self.ready.split(" (state").next().unwrap_or_default().split_whitespace();
        let addresses = words.filter_map(|word| word.strip_prefix("http://").or(word.strip_prefix("https://")));
        self.addresses = addresses.map(|address| address.parse().unwrap()).collect();
        assert!(!self.addresses.is_empty(), "no address: {}", self.ready);
    }

    /// Waits until it is ready, or has ended by itself: then its exit code, `None` where a signal ended it.
    ///
    /// # Errors
    /// The exit code.
    pub fn ready_or_ended(&mut self) -> Result<(), Option<i32>> {
        let output = self.directory.path().join("output");
        let child = self.child.as_mut().unwrap();
        let ended = eventually("the ready line or the end", || {
            let ended = child.try_wait().unwrap();
            let ready = fs::read_to_string(&output).unwrap().ends_with('\n');
            ended.map(Some).or_else(|| ready.then_some(None))
        });
        if let Some(status) = ended {
            self.child = None;
            return Err(status.code());
        }
        self.wait_ready();
        Ok(())
    }

    /// The first address that it answers on.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Every address that it answers on.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// What it printed when it was ready, and since.
    pub fn output(&self) -> String {
        fs::read_to_string(self.directory.path().join("output")).unwrap()
    }

    /// Its log, of all its runs.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap()
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// The test's directory around the state directory.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// A file in the state directory.
    pub fn state_file(&self, name: &str) -> PathBuf {
        self.state().join(name)
    }

    /// Everything in the state directory.
    pub fn snapshot(&self) -> Snapshot {
        snapshot(&self.state())
    }

    /// Asserts that the state directory holds nothing but what belongs there; what is just being saved may pass.
    pub fn assert_tidy(&self) {
        let start = Instant::now();
        loop {
            let names: Vec<_> =
                self.snapshot().into_keys().map(|name| name.into_os_string().into_string().unwrap()).collect();
            let Some(odd) = names.iter().find(|name| !STATE_FILES.contains(&name.as_str())) else { return };
            assert!(start.elapsed() < Duration::from_secs(5), "{odd} was left lying");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills the process at once.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    /// Asks the process to end; its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        eventually("the end after SIGTERM", || child.try_wait().unwrap()).code()
    }

    /// Waits for the process to end by itself; its exit code.
    pub fn wait_exit(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        eventually("the end", || child.try_wait().unwrap()).code()
    }

    /// Ends the process as an operator would and starts it again.
    pub fn restart(&mut self) {
        assert_eq!(self.terminate(), Some(0), "{}", self.log());
        self.run();
    }

    /// Connects.
    pub fn connect(&self) -> Connection {
        Connection::open(self.address())
    }

    /// Connects with TLS.
    pub fn connect_tls(&self) -> Connection {
        Connection::secure(self.address(), &tls::client())
    }

    /// What the log says of the certificate that it shows.
    pub fn fingerprint(&self) -> String {
        let log = self.log();
        let mut lines = log.lines().rev().filter(|line| line.contains("certificate") && line.contains("sha256="));
        let (_, quoted) =
            lines.next().unwrap_or_else(|| panic!("no fingerprint: {log}")).split_once("sha256=\"").unwrap();
        quoted.split('"').next().unwrap().to_owned()
    }

    /// Sends one request over a connection of its own.
    pub fn call(&self, request: &Request) -> Answer {
        self.connect().call(&request.clone().header("Connection", "close"))
    }

    /// GET without credentials.
    pub fn get(&self, target: &str) -> Answer {
        self.call(&Request::get(target))
    }

    /// GET with the usual credentials, which a node outside a cluster ignores.
    pub fn get_as_admin(&self, target: &str) -> Answer {
        self.call(&Request::get(target).login(USER, PASSWORD))
    }

    /// The `bootstrap_status` of now.
    pub fn bootstrap_status(&self) -> Value {
        let answer = self.get_as_admin("/v1/bootstrap");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["bootstrap_status"].take()
    }

    /// The state of now.
    pub fn state_name(&self) -> String {
        self.bootstrap_status()["state"].as_str().unwrap().to_owned()
    }

    /// Waits for the end of an attempt and returns its `bootstrap_status`.
    pub fn ended(&self) -> Value {
        let start = Instant::now();
        loop {
            let status = self.bootstrap_status();
            if matches!(status["state"].as_str(), Some("completed" | "error")) {
                return status;
            }
            assert!(start.elapsed() < AT_ONCE, "the attempt does not end: {status}\n{}", self.log());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Posts a create body, which must be accepted, and waits for the attempt's end.
    pub fn attempt(&self, body: &Value) -> Value {
        self.accept("create_cluster", body);
        self.ended()
    }

    /// Posts a body for `action`, which must be accepted.
    pub fn accept(&self, action: &str, body: &Value) {
        let answer = self.call(&Request::post(&format!("/v1/bootstrap/{action}"), body.to_string()));
        assert_eq!((answer.status, answer.text()), (200, ""));
    }

    /// Makes it a cluster of one.
    pub fn create(&self) {
        let status = self.attempt(&body::create());
        assert_eq!(status["state"], "completed", "{status}");
    }

    /// A node that is a cluster of one.
    pub fn created() -> Self {
        let node = Self::start();
        node.create();
        node
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill9();
    }
}
