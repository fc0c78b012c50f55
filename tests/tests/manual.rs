//! The manual and what completes command lines are made from the table that `--help` shows: nothing is missing in them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "whatever fails here fails a test"
)]

use std::fs;
use std::path::Path;

use bootstrapd_tests::exit::*;
use bootstrapd_tests::run;

/// Every verb of `--help`, with its flags as `VERB --help` lists them, dashes and all.
fn verbs() -> Vec<(String, Vec<String>)> {
    let help = run(&["--help"]).output;
    let lines = help.lines().filter_map(|line| line.strip_prefix("  "));
    let names: Vec<String> = lines.map(|line| line.split("  ").next().unwrap().to_owned()).collect();
    assert!(names.len() > 15, "{names:?}");
    let with_flags = |name: String| {
        let help = run(&[&name.split(' ').collect::<Vec<_>>()[..], &["--help"]].concat()).output;
        let flags = help.lines().filter_map(|line| line.strip_prefix("  --"));
        let flags = flags.map(|line| format!("--{}", line.split(' ').next().unwrap())).collect();
        (name, flags)
    };
    let verbs: Vec<(String, Vec<String>)> = names.into_iter().map(with_flags).collect();
    let serve = &verbs.iter().find(|(name, _)| name == "serve").unwrap().1;
    assert!(serve.contains(&"--setup-token-file".to_owned()) && serve.len() > 15, "{serve:?}");
    verbs
}

/// What may stand in the place of the last word.
fn complete(words: &[&str]) -> Vec<String> {
    let outcome = run(&[&["complete"], words].concat());
    assert_exit(&outcome, DONE);
    outcome.output.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

/// A manual page as it was meant, without what roff needs.
fn plain(page: &str) -> String {
    page.replace("\\-", "-").replace("\\(aq", "'").replace("\\(ga", "`").replace("\\[u2026]", "\u{2026}")
}

fn page(arguments: &[&str]) -> String {
    let outcome = run(&[&["man"], arguments].concat());
    assert_exit(&outcome, DONE);
    outcome.output
}

/// Asserts what every page has; its plain text.
fn assert_page(page: &str) -> String {
    assert!(page.starts_with(".TH BOOTSTRAPD"), "{page}");
    for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "ENVIRONMENT", "EXIT STATUS"] {
        assert_eq!(page.matches(&format!("\n.SH {section}\n")).count(), 1, "{section}: {page}");
    }
    assert!(page.is_ascii() && page.ends_with('\n'), "{page}");
    for line in page.lines() {
        // A dash that is no minus, an empty line, a macro that nobody meant.
        assert!(!line.is_empty() && !line.starts_with('\''), "{line:?}");
        assert!(line.starts_with(".TH") || !line.replace("\\-", "").contains('-'), "{line:?}");
        let known = [".TH ", ".SH ", ".SS ", ".TP", ".B ", ".BI ", ".RI ", ".I ", ".BR "];
        assert!(!line.starts_with('.') || known.iter().any(|macro_| line.starts_with(macro_)), "{line:?}");
    }
    plain(page)
}

#[test]
fn the_manual_has_every_verb_and_every_flag() {
    let whole = assert_page(&page(&[]));
    for (verb, flags) in verbs() {
        let (_, section) = whole.split_once(&format!("\n.SS {verb}")).unwrap_or_else(|| panic!("{verb}: {whole}"));
        let section = section.split("\n.S").next().unwrap();
        for flag in flags {
            let lines: Vec<_> = section.lines().filter_map(|line| line.strip_prefix(".B")).collect();
            assert!(lines.iter().any(|line| line.split(' ').nth(1) == Some(&flag)), "{verb} {flag}: {section}");
        }
    }
    for variable in
        ["BOOTSTRAPD_STATE_DIR", "REDIS_ENTERPRISE_URL", "REDIS_ENTERPRISE_USER", "REDIS_ENTERPRISE_PASSWORD"]
    {
        assert!(whole.contains(variable), "{variable}");
    }
    for code in [0, 1, 64, 69, 73, 75, 77, 78] {
        assert!(whole.contains(&format!("\n.B {code}\n")), "{code}");
    }
}

#[test]
fn each_verb_has_a_page_of_its_own_by_either_name() {
    for (verb, flags) in verbs() {
        let dashed = verb.replace(' ', "-");
        let page = page(&[&verb]);
        assert_eq!(run(&["man", &dashed]).output, page);
        let plain = assert_page(&page);
        assert!(plain.contains(&format!("\nbootstrapd-{dashed} - ")), "{plain}");
        assert_eq!(plain.contains("\n.SH OPTIONS\n"), !flags.is_empty(), "{plain}");
        for flag in flags {
            assert!(plain.lines().any(|line| line.split(' ').nth(1) == Some(&flag)), "{flag}: {plain}");
        }
    }
}

#[test]
fn every_verb_and_every_flag_is_completed() {
    let firsts = complete(&[""]);
    for (verb, flags) in verbs() {
        let words: Vec<&str> = verb.split(' ').collect();
        assert!(firsts.contains(&words[0].to_owned()), "{verb}: {firsts:?}");
        assert_eq!(complete(&[words[0]]).iter().filter(|found| *found == words[0]).count(), 1, "{verb}");
        if let [first, second] = words[..] {
            assert!(complete(&[first, ""]).contains(&second.to_owned()), "{verb}");
        }
        let found = complete(&[&words[..], &["--"]].concat());
        let mut expected = [flags.clone(), vec!["--help".to_owned()]].concat();
        expected.sort();
        assert_eq!(found, expected, "{verb}");
        for flag in flags {
            assert!(complete(&[&words[..], &[&flag[..flag.len() - 1]]].concat()).contains(&flag), "{verb} {flag}");
        }
    }
}

#[test]
fn values_are_completed_where_they_are_known() {
    let of = |words: &[&str]| complete(words).join(" ");
    assert_eq!(of(&["st"]), "status");
    assert_eq!(of(&["val"]), "validate");
    assert_eq!(of(&["validate", "j"]), "join");
    assert_eq!(of(&["serve", "--store", "e"]), "embedded etcd=http://");
    // As bash hands over what stands around an equals sign.
    assert_eq!(of(&["serve", "--store", "=", "em"]), "embedded");
    assert_eq!(of(&["serve", "--state-dir", "/t"]), ":files");
    assert_eq!(of(&["create", ""]), ":files");
    assert_eq!(of(&["create", "--json", "--no-w"]), "--no-wait");
    assert_eq!(of(&["completions", ""]), "bash fish zsh");
    assert!(of(&["man", "license"]).contains("license-issue"));
    assert!(of(&["status", ""]).contains("--json"), "where nothing else can follow");
    // What is for the user to know, and what nobody knows.
    for words in
        [&["status", "--user", ""][..], &["wait", "--timeout", "1"], &["frob", ""], &["validate", "x", ""], &["x"]]
    {
        assert_eq!(of(words), "", "{words:?}");
    }
    assert!(complete(&[]).contains(&"serve".to_owned()));
    // Each has a word of what it means, and shells split at the tab.
    let outcome = run(&["complete", "serve", "--"]);
    assert!(outcome.output.lines().all(|line| line.split('\t').count() == 2 && !line.ends_with('\t')), "{outcome:?}");
}

#[test]
fn scripts_are_for_three_shells_and_no_other() {
    for (shell, part) in [("bash", "complete -F"), ("zsh", "#compdef bootstrapd"), ("fish", "complete -c bootstrapd")] {
        let outcome = run(&["completions", shell]);
        assert_exit(&outcome, DONE);
        assert!(outcome.output.contains(part) && outcome.output.lines().count() < 20, "{outcome:?}");
    }
    for arguments in [
        &["completions"][..],
        &["completions", "tcsh"],
        &["completions", ""],
        &["man", "frobnicate"],
        &["man", ""],
        &["man", "a", "b"],
    ] {
        let outcome = run(arguments);
        assert_exit(&outcome, USAGE);
        assert_eq!(outcome.output, "");
    }
    assert!(!run(&["--help"]).output.contains("complete "), "what shells ask is for nobody else");
}

#[test]
fn the_readme_names_every_verb() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    for (verb, _) in verbs() {
        assert!(readme.contains(verb.split(' ').next().unwrap()), "{verb}");
    }
    for flag in ["--setup-token-file", "--bootstrap-window", "--open-status"] {
        assert!(readme.contains(flag), "{flag}");
    }
}
