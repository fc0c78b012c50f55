//! The verb `license`: keys, licences that a node takes, and what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "whatever fails here fails a test"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use bootstrapd_tests::body;
use bootstrapd_tests::exit::*;
use bootstrapd_tests::{Directory, Node, Outcome, licence, run, run_with};
use serde_json::{Value, json};

/// The key of RFC 8410, 10, in its three forms, and its public key.
const PEM: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";
const HEX: &str = "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842";
const BASE64: &str = "1O5y2/kTWErVttjx92n4rTr+fCjL8dT74Jeoj0R1WEI=";
const PUBLIC: &str = "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";

/// The least that a licence needs.
const TERMS: [&str; 4] = ["--expiration-date", "2099-12-31", "--shards-limit", "12"];

/// Writes a key that nobody else can read; its path.
fn key_file(directory: &Directory, text: impl AsRef<[u8]>) -> String {
    let path = directory.write("key", text);
    set_mode(&path, 0o600);
    path
}

fn set_mode(path: &str, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &str) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn issue(key: &str, terms: &[&str]) -> Outcome {
    run(&[&["license", "issue", key], terms].concat())
}

/// Issues a licence, which must succeed.
fn issued(key: &str, terms: &[&str]) -> String {
    let outcome = issue(key, terms);
    assert_exit(&outcome, DONE);
    outcome.output
}

fn show(license: &str, key: &str) -> Outcome {
    run_with(&["license", "show", "--license-key", key], &[], license)
}

#[test]
fn a_made_key_issues_a_licence_that_a_node_takes() {
    let directory = Directory::new();
    let file = directory.join("key");
    let made = run(&["license", "keygen", &file]);
    assert_exit(&made, DONE);
    let public = made.output.trim_end();
    assert!(public.len() == 64 && public.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made:?}");
    assert_eq!(mode(&file), 0o600);

    let terms = [
        "--owner=A \"B\" \u{fc}",
        "--cluster-name=Test.Cluster",
        "--activation-date=2020-02-29T01:02:03Z",
        "--expiration-date=2099-12-31",
        "--shards-limit=12",
        "--node-limit=3",
        "--feature=bigstore",
        "--feature=x",
    ];
    let license = issued(&file, &terms);
    let node = Node::start_with(&["--license-key", public]);
    let status = node.attempt(&body::create_with("/license", license.clone().into()));
    assert_eq!(status["state"], "completed", "{status}");
    let granted = node.get_as_admin("/v1/license").json();
    let expected = json!({
        "license": license,
        "owner": "A \"B\" \u{fc}",
        "cluster_name": "Test.Cluster",
        "activation_date": "2020-02-29T01:02:03Z",
        "expiration_date": "2099-12-31T00:00:00Z",
        "shards_limit": 12,
        "node_limit": 3,
        "features": ["bigstore", "x"],
        "expired": false,
    });
    assert_eq!(granted, expected);
}

#[test]
fn the_least_licence_is_in_force_at_once_and_for_anybody() {
    let directory = Directory::new();
    let key = key_file(&directory, PEM);
    let node = Node::start_with(&["--license-key", PUBLIC]);
    let status = node.attempt(&body::create_with("/license", issued(&key, &TERMS).into()));
    assert_eq!(status["state"], "completed", "{status}");
    let granted = node.get_as_admin("/v1/license").json();
    assert_eq!((&granted["owner"], &granted["features"]), (&json!(""), &json!([])));
    assert_eq!(granted.get("node_limit"), None::<&Value>);
}

#[test]
fn a_key_is_pem_or_hex_or_base64() {
    let directory = Directory::new();
    let [hex_line, upper, spaced] = [format!("{HEX}\n"), HEX.to_uppercase(), PEM.replace('\n', "\r\n")];
    for text in [PEM, HEX, BASE64, &hex_line, &upper, &spaced] {
        let license = issued(&key_file(&directory, text), &TERMS);
        let shown = show(&license, PUBLIC);
        assert_exit(&shown, DONE);
        assert!(shown.output.lines().any(|line| line.starts_with("signature") && line.ends_with("good")), "{shown:?}");
    }
}

#[test]
fn no_key_is_written_over_another_file() {
    let directory = Directory::new();
    let file = directory.write("key", "precious");
    for path in [&*file, &directory.join("no/such/directory"), directory.path().to_str().unwrap()] {
        let outcome = run(&["license", "keygen", path]);
        assert_exit(&outcome, CONFIG);
        assert!(outcome.errors.contains(path) && outcome.output.is_empty(), "{outcome:?}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn no_two_keys_are_the_same() {
    let directory = Directory::new();
    let [one, two] = ["one", "two"].map(|name| run(&["license", "keygen", &directory.join(name)]).output);
    assert_ne!(one, two);
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let directory = Directory::new();
    let key = key_file(&directory, PEM);
    for bad in [0o640, 0o604, 0o644, 0o620, 0o602, 0o601] {
        set_mode(&key, bad);
        let outcome = issue(&key, &TERMS);
        assert_exit(&outcome, CONFIG);
        assert!(outcome.errors.contains(&key) && outcome.errors.contains(&format!("{bad:o}")), "{outcome:?}");
        assert_eq!(outcome.output, "");
    }
    for good in [0o600, 0o400] {
        set_mode(&key, good);
        assert_exit(&issue(&key, &TERMS), DONE);
    }
}

#[test]
fn what_is_no_private_key_is_refused_and_never_shown() {
    let directory = Directory::new();
    // A public key and a key of another kind, each whole.
    let spki = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    let x25519 = PEM.replace("K2VwBCIE", "K2VuBCIE");
    let plus = format!("+{}", &HEX[1..]);
    let long = format!("{HEX}{}", "\n".repeat(2000));
    for text in [
        "",
        "\n",
        "key",
        &HEX[1..],
        &plus,
        &BASE64[1..],
        &PEM[..80],
        &PEM.replace("MC4", "MC5"),
        spki,
        &x25519,
        "\u{e9}",
    ] {
        let outcome = issue(&key_file(&directory, text), &TERMS);
        assert_exit(&outcome, CONFIG);
        assert!(outcome.output.is_empty() && outcome.errors.contains("no private key"), "{text}: {outcome:?}");
        assert!(text.len() < 8 || !outcome.errors.contains(text), "{outcome:?}");
    }
    assert_exit(&issue(&key_file(&directory, b"\xff\xfe"), &TERMS), CONFIG);
    // Only what stands at its beginning counts.
    assert_exit(&issue(&key_file(&directory, long), &TERMS), DONE);
    let there = directory.make("directory");
    set_mode(&there, 0o700);
    for path in ["/no/such/file", &there] {
        let outcome = issue(path, &TERMS);
        assert_exit(&outcome, CONFIG);
        assert!(outcome.errors.contains(path), "{outcome:?}");
    }
}

#[test]
fn terms_that_cannot_be_are_64() {
    let directory = Directory::new();
    let key = key_file(&directory, PEM);
    let long = |bytes: usize| "x".repeat(bytes);
    let [owner, name, feature] = [long(129), long(65), long(33)];
    let many = ["--feature", "x"].repeat(17);
    // Each within its limit, and six bytes for each of theirs once they are escaped.
    let [control, controls] = [32, 128].map(|bytes| "\u{1}".repeat(bytes));
    let escaped = [vec!["--owner", &controls], ["--feature", &control].repeat(16)].concat();
    for (terms, word) in [
        (&[][..], "--expiration-date"),
        (&["--shards-limit", "1"], "--expiration-date"),
        (&["--expiration-date", "2099-12-31"], "--shards-limit"),
        (&["--expiration-date", "tomorrow", "--shards-limit", "1"], "tomorrow"),
        (&["--expiration-date", "2099-02-29", "--shards-limit", "1"], "2099-02-29"),
        (&["--expiration-date", "2099-12-31T00:00:00+01:00", "--shards-limit", "1"], "--expiration-date"),
        // Before it begins, and when it begins.
        (&["--expiration-date", "2000-01-01", "--shards-limit", "1"], "later"),
        (&[&TERMS[..], &["--activation-date", "2099-12-31"]].concat(), "later"),
        (&[&TERMS[..], &["--activation-date", "soon"]].concat(), "soon"),
        (&[&TERMS[..], &["--shards-limit", "-1"]].concat(), "-1"),
        (&[&TERMS[..], &["--shards-limit", "4294967296"]].concat(), "4294967296"),
        (&[&TERMS[..], &["--node-limit", "two"]].concat(), "two"),
        (&[&TERMS[..], &["--owner", &owner]].concat(), "128"),
        (&[&TERMS[..], &["--cluster-name", &name]].concat(), "64"),
        (&[&TERMS[..], &["--feature", &feature]].concat(), "32"),
        (&[&TERMS[..], &many].concat(), "16"),
        (&[&TERMS[..], &escaped].concat(), "too long"),
    ] {
        let outcome = issue(&key, terms);
        assert_exit(&outcome, USAGE);
        assert!(outcome.errors.contains(word), "{terms:?}: {outcome:?}");
        assert_eq!(outcome.output, "");
    }
}

#[test]
fn show_says_what_a_licence_grants() {
    let directory = Directory::new();
    let file = directory.write("license", licence::signed(&licence::statement()));
    let outcome = run(&["license", "show", &file]);
    assert_exit(&outcome, DONE);
    let expected = "\
owner      Tests
cluster    test.cluster
active     2020-01-01T00:00:00Z
expires    2099-12-31T00:00:00Z
shards     12
nodes      3
features   bigstore
signature  not checked, for want of --license-key
";
    assert_eq!(outcome.output, expected);

    let other = json!({"activation_date": "2098-01-01T00:00:00Z", "expiration_date": "2001-01-01T00:00:00Z",
        "shards_limit": 0, "features": []});
    let outcome = run_with(&["license", "show", "-"], &[], &licence::signed(&other));
    assert_exit(&outcome, DONE);
    for line in [
        "owner      -",
        "cluster    any",
        "active     2098-01-01T00:00:00Z (not yet)",
        "expires    2001-01-01T00:00:00Z (expired)",
        "nodes      any number",
        "features   -",
    ] {
        assert!(outcome.output.lines().any(|found| found == line), "{line}: {outcome:?}");
    }
}

#[test]
fn show_says_whether_the_signature_is_good() {
    let directory = Directory::new();
    let keys = [licence::public_key(), licence::public_key_base64(), directory.write("key", licence::public_key())];
    for key in &keys {
        let good = show(&licence::signed(&licence::statement()), key);
        assert_exit(&good, DONE);
        assert!(good.output.ends_with("signature  good\n"), "{good:?}");
        let bad = show(&licence::forged(&licence::statement()), key);
        assert_exit(&bad, CONFIG);
        assert!(bad.output.ends_with("signature  bad\n") && bad.errors.contains("not signed"), "{bad:?}");
    }
    // As a node has it: from its variable, too.
    let environment = [("BOOTSTRAPD_LICENSE_KEY", &*keys[0])];
    let outcome = run_with(&["license", "show"], &environment, &licence::signed(&licence::statement()));
    assert_exit(&outcome, DONE);
    assert!(outcome.output.ends_with("signature  good\n"), "{outcome:?}");
}

#[test]
fn show_refuses_what_is_no_licence_and_no_key() {
    let armour = |base64: &str| format!("----- LICENSE START -----\n{base64}\n----- LICENSE END -----\n");
    for text in
        ["", "no licence", &armour(""), &armour("AAAA"), &licence::signed(&json!([])), &armour(&"A".repeat(9000))]
    {
        let outcome = show(text, &licence::public_key());
        assert_exit(&outcome, CONFIG);
        assert!(
            outcome.errors.contains("not an armoured, signed statement") && outcome.output.is_empty(),
            "{outcome:?}"
        );
    }
    let directory = Directory::new();
    let empty = directory.write("empty", "");
    for key in ["key", "/no/such/file", &empty] {
        let outcome = show(&licence::signed(&licence::statement()), key);
        assert_exit(&outcome, CONFIG);
        assert!(outcome.errors.contains(key) && outcome.output.is_empty(), "{outcome:?}");
    }
    let outcome = run(&["license", "show", "/no/such/file"]);
    assert_exit(&outcome, CONFIG);
    assert!(outcome.errors.contains("/no/such/file"), "{outcome:?}");
}

#[test]
fn nobody_takes_a_private_key_for_a_public_one() {
    let directory = Directory::new();
    let file = directory.join("key");
    assert_exit(&run(&["license", "keygen", &file]), DONE);
    assert_exit(&show(&licence::signed(&licence::statement()), &file), CONFIG);
    let outcome = run(&["serve", "--state-dir", &directory.join("state"), "--license-key", &file]);
    assert_exit(&outcome, CONFIG);
    let key = fs::read_to_string(&file).unwrap();
    assert!(!outcome.errors.contains(key.lines().nth(1).unwrap()), "{outcome:?}");
}
