//! What survives: kills at any moment, damaged records, a disk that takes no more.

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
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bootstrapd_tests::body;
use bootstrapd_tests::details::{is_completed_or_cut_short, message, pointers};
use bootstrapd_tests::record::{CLUSTER, OWN, resealed};
use bootstrapd_tests::{Answer, Node, Random, Request, run};
use serde_json::{Value, json};

/// Tries of [`a_kill_at_any_moment_leaves_the_old_state_or_the_new_one`], and how many threads share them.
const KILLS: u32 = 240;
const KILLERS: u32 = 4;

/// What one try came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Untouched,
    CutShort,
    Completed,
}

/// Polls without credentials until `moment` is over; whether the node was seen to ask for them.
fn is_seen_closed(node: &Node, moment: Duration) -> bool {
    let start = Instant::now();
    let mut connection = node.connect();
    let mut closed = false;
    while start.elapsed() < moment {
        closed |= connection.call(&Request::get("/v1/bootstrap")).status == 401;
        thread::sleep(Duration::from_millis(1));
    }
    closed
}

/// Starts an attempt and kills the node `moment` later, and perhaps once more while it starts again.
fn kill_in_an_attempt(node: &mut Node, moment: Duration, random: &mut Random) -> End {
    let document = node.get("/v1/bootstrap").json();
    let before = &document["bootstrap_status"];
    let mut client = node.connect();
    client.send(Request::create(&body::create()).bytes("localhost"));
    let closed = if random.below(2) == 0 {
        thread::sleep(moment);
        false
    } else {
        is_seen_closed(node, moment)
    };
    node.kill9();
    let acknowledged = client.try_answer().is_ok_and(|answer| {
        assert_eq!((answer.status, answer.text()), (200, ""));
        true
    });
    if random.below(4) == 0 {
        node.spawn();
        thread::sleep(Duration::from_micros(random.below(8000) as u64));
        node.kill9();
    }
    node.run();
    node.assert_tidy();

    let status = node.bootstrap_status();
    if status == *before && !acknowledged && !closed {
        return End::Untouched;
    }
    let since = document["local_node_info"]["system_time"].as_str();
    assert!(status["start_time"].as_str() >= since, "an acknowledged attempt is gone: {status}");
    if is_completed_or_cut_short(&status) {
        assert_eq!(node.get("/v1/bootstrap").status, 401, "completed, but open");
        assert_eq!(node.get_as_admin("/v1/cluster").json()["name"], "test.cluster");
        return End::Completed;
    }
    assert!(!closed, "it was completed before: {status}");
    assert_eq!(node.get("/v1/cluster").status, 503);
    End::CutShort
}

fn kill_again_and_again(tries: &AtomicU32) -> Vec<End> {
    let mut random = Random::new();
    let mut node = Node::start();
    let mut ends = Vec::new();
    // How long an attempt takes is found out by the way, so that kills fall before its end and after.
    let mut longest = Duration::from_millis(100);
    while tries.fetch_add(1, Ordering::Relaxed) < KILLS {
        let moment = longest * u32::try_from(random.below(1000)).unwrap() / 1000;
        let end = kill_in_an_attempt(&mut node, moment, &mut random);
        ends.push(end);
        longest = if end == End::Completed { longest * 9 / 10 } else { longest * 21 / 20 };
        if end == End::Completed {
            node = Node::start();
        }
    }
    ends
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_state_or_the_new_one() {
    let tries = AtomicU32::new(0);
    let ends = thread::scope(|scope| {
        let killers: Vec<_> = (0..KILLERS).map(|_| scope.spawn(|| kill_again_and_again(&tries))).collect();
        killers.into_iter().flat_map(|killer| killer.join().unwrap()).collect::<Vec<_>>()
    });
    let count = |kind: End| ends.iter().filter(|end| **end == kind).count();
    assert!(ends.len() >= 200, "only {} tries", ends.len());
    assert!(count(End::CutShort) >= 20, "too few kills fell into an attempt");
    assert!(count(End::Completed) >= 10, "too few kills fell behind an attempt");
}

#[test]
fn a_kill_during_the_first_start_leaves_an_idle_node() {
    let mut random = Random::new();
    for _ in 0..30 {
        let mut node = Node::prepare(&[]);
        node.spawn();
        thread::sleep(Duration::from_micros(random.below(15_000) as u64));
        node.kill9();
        node.run();
        node.assert_tidy();
        assert_eq!(node.bootstrap_status(), json!({"state": "idle"}));
    }
}

#[test]
fn a_kill_before_any_attempt_changes_nothing() {
    let mut node = Node::start();
    for _ in 0..3 {
        node.kill9();
        node.run();
        assert!(node.output().contains("(state idle)"), "{}", node.output());
        assert_eq!(node.bootstrap_status(), json!({"state": "idle"}));
    }
    node.assert_tidy();
    node.create();
}

fn status_text(node: &Node) -> String {
    let answer = node.get_as_admin("/v1/bootstrap");
    let text = answer.text();
    text[..text.find(",\"local_node_info\":").unwrap()].to_owned()
}

#[test]
fn the_status_survives_a_restart_to_the_byte() {
    let mut node = Node::start();
    let paths = json!({"persistent_path": "/no\"where\n\u{fc}", "ephemeral_path": "/nor/here", "bigstore_path": "/x"});
    let failures = [
        (body::create_with("/node/paths", paths), "path_error", 3),
        (body::create_with("/node/identity/addr", "192.0.2.1".into()), "config_error", 1),
        (body::create_with("/license", "x".into()), "invalid_license", 0),
    ];
    let restart = |node: &mut Node| {
        let before = status_text(node);
        node.restart();
        assert_eq!(status_text(node), before);
        node.kill9();
        node.run();
        assert_eq!(status_text(node), before);
    };
    for (body, code, problems) in failures {
        let status = node.attempt(&body);
        let _ = message(&status, code);
        if problems > 0 {
            assert_eq!(pointers(&status["error_details"]).len(), problems);
        }
        restart(&mut node);
    }
    node.create();
    restart(&mut node);
}

#[test]
fn after_an_error_and_a_restart_another_attempt_may_start() {
    let mut node = Node::start();
    assert_eq!(node.attempt(&body::create_with("/license", "x".into()))["state"], "error");
    node.kill9();
    node.run();
    assert!(node.output().contains("(state error)"), "{}", node.output());
    node.create();
    node.kill9();
    node.run();
    assert_eq!(node.state_name(), "completed");
    node.assert_tidy();
}

/// What can happen to a file. Each always changes it.
type Damage = fn(&[u8], &mut Random) -> Option<Vec<u8>>;

const DAMAGES: [(&str, Damage); 9] = [
    ("a bit flipped", flipped),
    ("a bit flipped", flipped),
    ("a bit flipped", flipped),
    ("cut somewhere", |bytes, random| Some(bytes[..random.below(bytes.len())].to_vec())),
    ("cut by one byte", |bytes, _| Some(bytes[..bytes.len() - 1].to_vec())),
    ("emptied", |_, _| Some(Vec::new())),
    ("zeroed", |bytes, _| Some(vec![0; bytes.len()])),
    ("appended to", |bytes, _| Some([bytes, b"\n"].concat())),
    ("deleted", |_, _| None),
];

#[expect(clippy::unnecessary_wraps, reason = "it stands among damages")]
fn flipped(bytes: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    let place = random.below(bytes.len());
    bytes[place] ^= 1 << random.below(8);
    Some(bytes)
}

fn damage(file: &Path, damage: Damage, random: &mut Random) {
    match damage(&fs::read(file).unwrap(), random) {
        Some(bytes) => fs::write(file, bytes).unwrap(),
        None => fs::remove_file(file).unwrap(),
    }
}

#[test]
fn one_damaged_copy_does_no_harm_and_is_repaired_at_the_next_start() {
    let mut random = Random::new();
    let mut node = Node::created();
    node.kill9();
    for pair in [OWN, CLUSTER] {
        for (file, twin) in [(pair[0], pair[1]), (pair[1], pair[0])] {
            let [file, twin] = [file, twin].map(|name| node.state_file(name));
            for (what, how) in DAMAGES {
                damage(&file, how, &mut random);
                let what = format!("{} {what}", file.display());
                node.run();
                assert!(node.output().contains("(state completed)"), "{what}: {}", node.output());
                assert_eq!(node.get("/v1/bootstrap").status, 401, "{what}");
                node.kill9();
                assert_eq!(fs::read(&file).unwrap(), fs::read(&twin).unwrap(), "{what}: not repaired");
                assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{what}");
            }
        }
    }
    node.run();
    node.assert_tidy();
    assert_eq!(node.state_name(), "completed");
    assert_eq!(node.get_as_admin("/v1/cluster").json()["name"], "test.cluster");
}

#[test]
fn one_damaged_copy_of_an_error_does_no_harm() {
    let mut random = Random::new();
    let mut node = Node::start();
    let before = node.attempt(&body::create_with("/node/paths/persistent_path", "/nowhere".into()));
    for name in OWN {
        for (what, how) in DAMAGES {
            node.kill9();
            damage(&node.state_file(name), how, &mut random);
            node.run();
            assert_eq!(node.bootstrap_status(), before, "{name} {what}");
        }
    }
}

/// Asserts that the node answers nothing but that `named` cannot be read and what to do about it.
fn assert_broken(node: &Node, named: &str, what: &str) {
    assert!(node.output().contains("(state unknown)"), "{what}: {}", node.output());
    let assert_refused = |answer: &Answer, path: &str| {
        assert_eq!((answer.status, answer.error_code()), (503, "internal_error".to_owned()), "{what}: {path}");
        let description = answer.description();
        assert!(description.contains(named) && description.contains("bootstrapd reset"), "{what}: {description}");
    };
    for path in ["/v1/bootstrap", "/bootstrap", "/v1/nodes", "/v1/cluster", "/v1/license", "/v1/what", "/"] {
        assert_refused(&node.get(path), path);
        assert_refused(&node.get_as_admin(path), path);
    }
    for request in [Request::create(&body::create()), Request::validate(&body::create())] {
        assert_refused(&node.call(&request), "POST");
    }
    assert_eq!(node.get("/healthz").status, 200, "{what}");
    assert_eq!(node.get("/readyz").status, 503, "{what}");
}

fn contents(files: &[PathBuf]) -> Vec<Option<Vec<u8>>> {
    files.iter().map(|file| fs::read(file).ok()).collect()
}

#[test]
fn two_damaged_copies_never_read_as_no_cluster_and_are_left_as_they_are() {
    let mut random = Random::new();
    let mut node = Node::created();
    node.kill9();
    for pair in [OWN, CLUSTER] {
        let files = pair.map(|name| node.state_file(name));
        let good = contents(&files);
        let named = node.state_file(pair[0]).into_os_string().into_string().unwrap();
        // Without its last letter the name covers both copies.
        let named = &named[..named.len() - 1];
        for (what, how) in DAMAGES {
            for file in &files {
                damage(file, how, &mut random);
            }
            let bad = contents(&files);
            let what = format!("{named}* {what}");
            node.run();
            // Where the own record is gone, the cluster's is what speaks of it.
            let gone = pair == OWN && bad == [None, None];
            let state = node.state().into_os_string().into_string().unwrap();
            assert_broken(&node, if gone { &state } else { named }, &what);
            node.kill9();
            assert_eq!(contents(&files), bad, "{what}: touched");
            for (file, content) in files.iter().zip(&good) {
                fs::write(file, content.as_ref().unwrap()).unwrap();
            }
        }
    }
    node.run();
    assert_eq!(node.state_name(), "completed", "restored, it is what it was");
}

/// The record with another version in its first line, and whole.
fn of_version(record: &[u8], version: &str) -> Vec<u8> {
    resealed(record, |text| {
        let (header, body) = text.split_once('\n').unwrap();
        format!("{} {version}\n{body}", header.rsplit_once(' ').unwrap().0)
    })
}

#[test]
fn a_record_of_a_newer_agent_is_not_taken_for_none() {
    let mut node = Node::created();
    node.kill9();
    for pair in [OWN, CLUSTER] {
        let files = pair.map(|name| node.state_file(name));
        let good = fs::read(&files[0]).unwrap();
        assert_eq!(of_version(&good, "1"), good, "the test knows how a record is made");
        let newer = of_version(&good, "2");
        for file in &files {
            fs::write(file, &newer).unwrap();
        }
        node.run();
        let named = files[0].to_str().unwrap();
        assert_broken(&node, &named[..named.len() - 1], "newer");
        assert!(node.get("/v1/bootstrap").description().contains("version 2"));
        node.kill9();
        for file in &files {
            assert_eq!(fs::read(file).unwrap(), newer, "touched");
            fs::write(file, &good).unwrap();
        }
    }
    node.run();
    assert_eq!(node.state_name(), "completed");
}

#[test]
fn a_cluster_record_that_is_gone_with_its_directory_never_reads_as_no_cluster() {
    let mut node = Node::start();
    let elsewhere = node.directory().make("elsewhere");
    let status = node.attempt(&body::create_with("/node/paths/persistent_path", elsewhere.clone().into()));
    assert_eq!(status["state"], "completed", "{status}");
    node.kill9();
    // As if the volume were not mounted.
    let away = node.directory().join("away");
    fs::rename(&elsewhere, &away).unwrap();
    node.run();
    assert_broken(&node, &elsewhere, "not there");
    node.kill9();
    fs::create_dir(&elsewhere).unwrap();
    node.run();
    assert_broken(&node, &elsewhere, "empty");
    node.kill9();
    fs::remove_dir(&elsewhere).unwrap();
    fs::rename(&away, &elsewhere).unwrap();
    node.run();
    assert_eq!(node.state_name(), "completed");
}

#[test]
fn a_record_of_an_older_state_beside_the_newest_does_not_count() {
    let mut node = Node::start();
    let older = fs::read(node.state_file("node.a")).unwrap();
    node.create();
    for name in OWN {
        node.kill9();
        fs::write(node.state_file(name), &older).unwrap();
        node.run();
        assert_eq!(node.get("/v1/bootstrap").status, 401, "{name}");
        assert_eq!(node.state_name(), "completed", "{name}");
        let [a, b] = OWN.map(|name| fs::read(node.state_file(name)).unwrap());
        assert_eq!(a, b, "{name}: not brought up");
    }
}

#[test]
fn both_copies_of_a_record_are_the_same() {
    let node = Node::start();
    let assert_same = |pair: [&str; 2]| {
        let [a, b] = pair.map(|name| fs::read(node.state_file(name)).unwrap());
        assert_eq!(a, b);
        assert!(a.starts_with(b"bootstrapd "), "{}", String::from_utf8_lossy(&a));
    };
    assert_same(OWN);
    assert_eq!(node.attempt(&body::create_with("/license", "x".into()))["state"], "error");
    assert_same(OWN);
    node.create();
    assert_same(OWN);
    assert_same(CLUSTER);
}

#[test]
fn files_are_private_whatever_the_umask() {
    let mut node = Node::prepare(&[]);
    node.wrap(&["sh", "-c", "umask 0 && exec \"$0\" \"$@\""]);
    node.run();
    node.create();
    for name in [&OWN[..], &CLUSTER, &["lock"]].concat() {
        let mode = fs::metadata(node.state_file(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    node.assert_tidy();
}

/// A node that cannot write a file longer than so many half kibibytes.
fn limited(blocks: u32) -> Node {
    let mut node = Node::prepare(&[]);
    node.wrap(&["sh", "-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
    node.run();
    node
}

#[test]
fn an_attempt_that_cannot_be_saved_is_not_accepted() {
    let mut node = limited(2);
    let before = node.snapshot();
    let long = node.directory().make("p") + &"/.".repeat(400);
    let body = body::create_with("/node/paths/persistent_path", long.into());
    for _ in 0..2 {
        let answer = node.call(&Request::create(&body));
        assert!((500..600).contains(&answer.status), "{answer:?}");
        assert_eq!(answer.error_code(), "internal_error");
        assert_eq!(node.bootstrap_status(), json!({"state": "idle"}));
        assert_eq!(node.snapshot(), before, "the old record is in force, and nothing lies beside it");
    }
    node.wrap(&["env"]);
    node.restart();
    assert_eq!(node.bootstrap_status(), json!({"state": "idle"}));
    assert_eq!(node.attempt(&body)["state"], "completed");
}

#[test]
fn a_cluster_that_cannot_be_saved_is_none() {
    let mut node = limited(2);
    let status = node.attempt(&body::create_with("/license", " ".repeat(1500).into()));
    assert!(message(&status, "internal_error").contains("could not be saved"), "{status}");
    assert_eq!(node.get("/v1/cluster").status, 503);
    node.assert_tidy();
    node.wrap(&["env"]);
    node.restart();
    node.assert_tidy();
    assert_eq!(node.bootstrap_status()["error_code"], "internal_error");
    assert_eq!(node.get("/v1/cluster").status, 503);
    node.create();
}

#[test]
fn a_state_directory_that_became_read_only_is_noticed_at_the_next_attempt() {
    let mut node = Node::start();
    let before = node.snapshot();
    let set_mode = |node: &Node, mode: u32| fs::set_permissions(node.state(), PermissionsExt::from_mode(mode)).unwrap();
    set_mode(&node, 0o500);
    // Root writes there all the same.
    let writes = fs::write(node.state_file("probe"), "").is_ok();
    fs::remove_file(node.state_file("probe")).ok();
    node.restart();
    let answer = node.call(&Request::create(&body::create()));
    if writes {
        assert_eq!(answer.status, 200);
        assert_eq!(node.ended()["state"], "completed");
    } else {
        assert_eq!((answer.status, answer.error_code()), (503, "internal_error".to_owned()));
        assert_eq!(node.bootstrap_status(), json!({"state": "idle"}));
        assert_eq!(node.snapshot(), before);
    }
    set_mode(&node, 0o700);
}

#[test]
fn a_place_for_the_record_that_cannot_be_used_ends_the_attempt() {
    let node = Node::start();
    fs::remove_dir_all(node.state_file("persistent/ccs")).ok();
    fs::write(node.state_file("persistent/ccs"), "in the way").unwrap();
    let status: Value = node.attempt(&body::create());
    assert_eq!(status["state"], "error", "{status}");
    assert!(matches!(status["error_code"].as_str(), Some("path_error" | "internal_error")), "{status}");
    assert_eq!(fs::read(node.state_file("persistent/ccs")).unwrap(), b"in the way");
    fs::remove_file(node.state_file("persistent/ccs")).unwrap();
    node.create();
}

#[test]
fn a_state_directory_that_cannot_be_used_is_named_and_ends_with_78() {
    let node = Node::prepare(&[]);
    let file = node.directory().write("file", "");
    for state in [file.clone(), file + "/below", "/proc/nowhere/at/all".into(), "/dev/null/x".into()] {
        let outcome = run(&["serve", "--listen", "127.0.0.1:0", "--state-dir", &state]);
        assert_eq!((outcome.code, &*outcome.output), (Some(78), ""), "{state}: {outcome:?}");
        assert!(outcome.errors.contains(&state), "{state}: {outcome:?}");
    }
}
