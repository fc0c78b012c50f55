//! What shells make of the completions, and roff of the manual.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use bootstrapd_tests::{Directory, program, run};

use crate::required;

/// What `shell` prints for this script, with the program in its path and its completions in `completions`.
fn said(shell: &str, arguments: &[&str], script: &str) -> Vec<String> {
    let directory = Directory::new();
    let home = directory.make("home");
    symlink(fs::canonicalize(program()).unwrap(), directory.join("bootstrapd")).unwrap();
    let completions = run(&["completions", shell]).output;
    let file = directory.write("completions", completions);
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
    let mut command = required(shell);
    command.args(arguments).arg(script.replace("COMPLETIONS", &file));
    command.env("PATH", path).env("HOME", &home).env("TERM", "dumb").current_dir(&home);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn bash(line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let script = "source COMPLETIONS; compopt() { echo \"compopt $*\"; }; COMP_WORDS=(WORDS); COMP_CWORD=LAST; \
        _bootstrapd; printf '%s\\n' \"${COMPREPLY[@]}\"; complete -p bootstrapd >/dev/null";
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let script =
        script.replace("WORDS)", &format!("{})", quoted.join(" "))).replace("LAST", &(words.len() - 1).to_string());
    said("bash", &["--norc", "-c"], &script)
}

fn zsh(line: &str) -> Vec<String> {
    let words: Vec<String> = line.split(' ').map(|word| format!("'{word}'")).collect();
    let script = "compdef() { :; }; _files() { print files; }; _describe() { print -rl -- ${(P)2}; }; source COMPLETIONS; \
        words=(WORDS); CURRENT=$#words; _bootstrapd; true";
    said("zsh", &["-f", "-c"], &script.replace("WORDS)", &format!("{})", words.join(" "))))
}

fn fish(line: &str) -> Vec<String> {
    said("fish", &["--no-config", "-c"], &format!("source COMPLETIONS; complete -C '{line}'"))
}

#[test]
fn bash_completes_verbs_flags_and_values() {
    assert_eq!(bash("bootstrapd stat"), ["status"]);
    assert_eq!(bash("bootstrapd validate j"), ["join"]);
    assert_eq!(bash("bootstrapd serve --setup"), ["--setup-token-file"]);
    assert_eq!(bash("bootstrapd serve --store = em"), ["embedded"]);
    assert_eq!(bash("bootstrapd completions "), ["bash", "fish", "zsh"]);
    assert_eq!(bash("bootstrapd create ")[0], "compopt -o default");
    assert!(bash("bootstrapd ").contains(&"recover".to_owned()));
}

#[test]
fn zsh_completes_verbs_flags_and_values() {
    let starts = |found: &[String], words: &[&str]| {
        assert_eq!(found.len(), words.len(), "{found:?}");
        for (line, word) in found.iter().zip(words) {
            assert!(line.starts_with(&format!("{word}:")), "{found:?}");
        }
    };
    starts(&zsh("bootstrapd stat"), &["status"]);
    starts(&zsh("bootstrapd validate j"), &["join"]);
    starts(&zsh("bootstrapd serve --setup"), &["--setup-token-file"]);
    starts(&zsh("bootstrapd serve --store e"), &["embedded", "etcd=http\\://"]);
    starts(&zsh("bootstrapd completions "), &["bash", "fish", "zsh"]);
    assert_eq!(zsh("bootstrapd create "), ["files"]);
}

#[test]
fn fish_completes_verbs_flags_and_values() {
    let first = |lines: Vec<String>| -> Vec<String> {
        lines.iter().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    };
    assert_eq!(first(fish("bootstrapd stat")), ["status"]);
    assert_eq!(first(fish("bootstrapd validate j")), ["join"]);
    assert_eq!(first(fish("bootstrapd serve --setup")), ["--setup-token-file"]);
    assert_eq!(first(fish("bootstrapd serve --store em")), ["embedded"]);
    assert_eq!(first(fish("bootstrapd completions ")), ["bash", "fish", "zsh"]);
    assert!(first(fish("bootstrapd create /et")).contains(&"/etc/".to_owned()));
    assert!(fish("bootstrapd stat")[0].contains("show"), "what it means");
}

#[test]
fn the_manual_is_roff_without_a_fault() {
    let help = run(&["--help"]).output;
    let names =
        help.lines().filter_map(|line| line.strip_prefix("  ")).map(|line| line.split("  ").next().unwrap().trim());
    let pages = names.map(|name| vec!["man", name]).chain([vec!["man"]]);
    for arguments in pages {
        let page = run(&arguments).output;
        let checked = piped(Command::new("mandoc").args(["-T", "lint", "-W", "style"]), &page);
        // That another page exists is not for the linter to know; a list of flags may be empty of paragraphs.
        let faults: Vec<_> = checked.lines().filter(|line| !line.contains("referenced manual not found")).collect();
        assert!(faults.is_empty(), "{arguments:?}: {faults:#?}");
        let shown = piped(Command::new("mandoc").args(["-T", "ascii"]), &page);
        assert!(shown.contains("EXIT STATUS") || shown.contains("E\u{8}EX"), "{shown}");
    }
}

fn piped(command: &mut Command, input: &str) -> String {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("this test needs mandoc, and it is not installed");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}
