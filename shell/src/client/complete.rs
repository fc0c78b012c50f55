//! What completes a command line: a few lines for each shell, which ask the program itself, and what it answers them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;

use super::{Ended, usage};
use crate::options::{self, VERBS, Verb};

/// The line that stands for the names of files.
const FILES: &str = ":files";
const SHELLS: [(&str, &str); 3] = [("bash", BASH), ("zsh", ZSH), ("fish", FISH)];

const BASH: &str = r#"_bootstrapd() {
    local word help
    COMPREPLY=()
    while IFS=$'\t' read -r word help; do
        if [[ $word == :files ]]; then compopt -o default; else COMPREPLY+=("$word"); fi
    done < <("${COMP_WORDS[0]}" complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _bootstrapd bootstrapd
"#;

const ZSH: &str = r#"#compdef bootstrapd
_bootstrapd() {
    local word help
    local -a found
    while IFS=$'\t' read -r word help; do
        if [[ $word == :files ]]; then _files; else found+=("${word//:/\\:}:$help"); fi
    done < <("${(Q)words[1]}" complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)
    (( $#found )) && _describe bootstrapd found
}
if [[ $funcstack[1] == _bootstrapd ]]; then _bootstrapd "$@"; else compdef _bootstrapd bootstrapd; fi
"#;

const FISH: &str = r#"function __bootstrapd
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] complete $words[2..] "$current" 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path "$current"
        else
            echo $line
        end
    end
end
complete -c bootstrapd -f -a '(__bootstrapd)'
"#;

/// What a shell is to read at its start.
///
/// # Errors
/// Where it is none of those that are known here.
pub(super) fn script(shell: &str) -> Result<&'static str, Ended> {
    let found = SHELLS.iter().find(|(name, _)| *name == shell);
    found.map(|(_, script)| *script).ok_or_else(|| usage(format!("completions takes bash, zsh or fish, not {shell:?}")))
}

/// What may stand in the place of a line's last word, and what it means.
type Found = BTreeMap<String, &'static str>;

/// Prints what may stand in the place of the last of these words, a line for each: the word, and
/// behind a tab what it means.
pub fn complete(words: &[OsString]) {
    // What bash takes for a word of its own is part of a flag.
    let words: Vec<&str> =
        words.iter().map(|word| word.to_str().unwrap_or_default()).filter(|word| *word != "=").collect();
    let (current, before) = words.split_last().map_or(("", &[][..]), |(current, before)| (*current, before));
    let mut text = String::new();
    for (word, help) in find(before, current) {
        if word == FILES || word.starts_with(current) {
            let tab = if help.is_empty() { "" } else { "\t" };
            let _ = writeln!(text, "{word}{tab}{help}");
        }
    }
    options::print(&text);
}

fn find(before: &[&str], current: &str) -> Found {
    let Some((first, rest)) = before.split_first() else { return first_words() };
    if let Some(verb) = VERBS.iter().find(|verb| verb.name == *first) {
        return of_verb(verb, rest, current);
    }
    let seconds = || VERBS.iter().filter_map(|verb| Some((verb, verb.name.strip_prefix(first)?.strip_prefix(' ')?)));
    match rest.split_first() {
        None => seconds().map(|(verb, second)| (second.to_owned(), verb.help)).collect(),
        Some((given, rest)) => {
            let verb = seconds().find(|(_, second)| second == given);
            verb.map(|(verb, _)| of_verb(verb, rest, current)).unwrap_or_default()
        }
    }
}

fn first_words() -> Found {
    let mut found =
        Found::from([("--help".to_owned(), "show every verb"), ("--version".to_owned(), "show the version")]);
    for verb in VERBS {
        let word = verb.name.split(' ').next().unwrap_or_default();
        found.entry(word.to_owned()).or_insert(verb.help);
    }
    found
}

fn of_verb(verb: &Verb, before: &[&str], current: &str) -> Found {
    let flag = |word: &str| word.strip_prefix("--").and_then(|name| verb.flags().find(|flag| flag.name == name));
    if let Some(flag) = before.last().and_then(|word| flag(word)).filter(|flag| !flag.value.is_empty()) {
        return values(flag.name, flag.value);
    }
    let takes_operand = verb.operand.is_some() && !current.starts_with('-');
    if takes_operand {
        let operand = verb.operand.unwrap_or_default().trim_matches(['[', ']']);
        return values("", operand);
    }
    let mut found = Found::from([("--help".to_owned(), "show this verb's flags")]);
    found.extend(verb.flags().map(|flag| (format!("--{}", flag.name), flag.help)));
    found
}

/// What the value of a flag, or what stands beside the flags, may be; none where it is for the user to know.
fn values(flag: &str, value: &str) -> Found {
    match (flag, value) {
        ("store" | "to", _) => Found::from([
            ("embedded".to_owned(), "on every node"),
            ("etcd=http://".to_owned(), "in an etcd that somebody runs"),
        ]),
        (_, "FILE" | "DIR" | "KEY") => Found::from([(FILES.to_owned(), "")]),
        (_, "SHELL") => SHELLS.into_iter().map(|(name, _)| (name.to_owned(), "")).collect(),
        (_, "VERB") => VERBS.iter().map(|verb| (verb.name.replace(' ', "-"), verb.help)).collect(),
        _ => Found::new(),
    }
}
