//! The program under test: built once, run with a given command line.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, thread};

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// The binary, built on first use with the profile of the test itself. `BOOTSTRAPD_TEST_PROGRAM` names another one
/// to test, such as a static build.
pub fn program() -> &'static Path {
    PROGRAM.get_or_init(|| env::var_os("BOOTSTRAPD_TEST_PROGRAM").map_or_else(build, PathBuf::from))
}

/// Takes this one, from its first use on.
pub fn use_program(path: &str) {
    PROGRAM.set(path.into()).unwrap();
}

/// Cargo builds binaries for the tests of their own package only; this one is another package's.
fn build() -> PathBuf {
    // The test is target/PROFILE/deps/NAME.
    let test = env::current_exe().unwrap();
    let directory = test.ancestors().nth(2).unwrap();
    let profile = match directory.file_name().and_then(OsStr::to_str) {
        Some("debug") => "dev",
        other => other.unwrap(),
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--package", "bootstrapd", "--profile", profile, "--target-dir"])
        .arg(directory.parent().unwrap())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(status.success(), "the program under test does not build");
    directory.join("bootstrapd")
}

/// The program, cut off from whatever the caller's environment says to it.
pub(crate) fn command() -> Command {
    let mut command = Command::new(program());
    clear(&mut command);
    command
}

pub(crate) fn clear(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("BOOTSTRAPD_") || text.starts_with("REDIS_ENTERPRISE_") {
            command.env_remove(name);
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub errors: String,
}

/// The program with these arguments, to be run in a way of one's own.
pub fn start(arguments: &[&str]) -> Command {
    let mut command = command();
    command.args(arguments);
    command
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Outcome {
    run_with(arguments, &[], "")
}

/// Runs the program to its end, with more environment variables and with standard input.
pub fn run_with(arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Outcome {
    let mut child = command()
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // A program that does not read its input closes it: nothing to complain about.
    let writer = thread::spawn(move || _ = stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Outcome {
        code: output.status.code(),
        output: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}
