//! Between joiner and member: who listens learns nothing, who changes a byte ends the join, and whoever dies at whichever
//! message, both sides know the node in the end or neither does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "whatever fails here fails a test"
)]

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bootstrapd_tests::body::{PASSWORD, USER};
use bootstrapd_tests::cluster::{
    founder, join, join_body, join_body_with, join_fails, listed, lists, node, of, outcast, prepared, uid,
};
use bootstrapd_tests::{AT_ONCE, Node, Pass, Relay, Request, Way, basic, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

const START: &str = "/internal/v1/login/start";
const FINISH: &str = "/internal/v1/login/finish";
const ASK: &str = "/internal/v1/ask";

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// A node whose others reach it through a relay.
fn behind(watch: impl FnMut(Way, &str, &mut Vec<u8>) -> Pass + Send + 'static) -> (Node, Relay) {
    let mut node = prepared(&[]);
    let relay = Relay::to(node.listens_on(), watch);
    node.add_options(&["--advertise", &relay.address.to_string()]);
    node.run();
    (node, relay)
}

#[test]
fn who_listens_never_hears_the_password_nor_anything_that_the_record_holds() {
    let (member, relay) = behind(|_, _, _| Pass::On);
    member.create();
    let joiner = node();
    joiner.accept("join_cluster", &join_body(&[relay.address]));
    assert_eq!(joiner.ended()["state"], "completed", "{}", joiner.log());
    lists(&joiner, &[(1, "active"), (2, "active")]);
    let seen = relay.seen();
    assert!(holds(&seen, START.as_bytes()) && holds(&seen, FINISH.as_bytes()) && holds(&seen, ASK.as_bytes()));
    let login = basic("", PASSWORD);
    for secret in [PASSWORD.as_bytes(), login.as_bytes(), b"test.cluster", b"registration", b"cluster_id"] {
        assert!(!holds(&seen, secret), "{}", String::from_utf8_lossy(secret));
    }
}

#[test]
fn a_false_cluster_learns_nothing_and_looks_like_a_wrong_password() {
    let (other, relay) = behind(|_, _, _| Pass::On);
    other.accept("create_cluster", &bootstrapd_tests::body::create_with("/credentials/password", json!("another")));
    eventually("the other cluster", || (other.get("/readyz").status == 200).then_some(()));
    let joiner = node();
    join_fails(&joiner, &join_body(&[relay.address]), "access_denied");
    assert!(!holds(&relay.seen(), FINISH.as_bytes()), "the joiner proves nothing to who has not proved itself");
    assert!(!holds(&relay.seen(), PASSWORD.as_bytes()));
}

#[test]
fn any_changed_byte_ends_the_join_and_leaves_nothing_behind() {
    // Which byte of which message, in 64ths of its body.
    let places = [(START, Way::There), (START, Way::Back), (FINISH, Way::There), (FINISH, Way::Back)];
    let mut cases = places.into_iter().flat_map(|place| [0, 1, 9, 21, 32, 47, 55, 63].map(|part| (place, part)));
    // So few failures that nobody has to wait.
    loop {
        let some: Vec<_> = cases.by_ref().take(4).collect();
        if some.is_empty() {
            return;
        }
        let founder = founder();
        let joiner = node();
        for ((path, way), part) in some {
            let relay = Relay::to(founder.address(), move |passing, of, bytes| {
                if passing == way && of == path {
                    let body = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
                    let place = body + (bytes.len() - body - 1) * part / 63;
                    bytes[place] ^= 1 << (part % 8);
                }
                Pass::On
            });
            let mut body = join_body(&[relay.address]);
            body["max_retries"] = json!(0);
            joiner.accept("join_cluster", &body);
            let status = joiner.ended();
            let code = status["error_code"].as_str().unwrap_or_default();
            assert!(["access_denied", "connect_error"].contains(&code), "{path} {way:?} {part}: {status}");
            assert!(!joiner.state_file("persistent/ccs").exists());
            let members = listed(&founder);
            assert!(members.len() == 1 || members[1] == (2, "provisioning".to_owned()), "{members:?}");
        }
        join(&joiner, &founder);
        lists(&founder, &[(1, "active"), (2, "active")]);
    }
}

/// A member whose others reach it through a relay, which passes on what it hears them send there.
fn overheard(at: &'static str) -> (Node, Relay, mpsc::Receiver<Vec<u8>>) {
    let (sender, heard) = mpsc::channel();
    let (member, relay) = behind(move |way, path, bytes| {
        if way == Way::There && path == at {
            let _ = sender.send(bytes.clone());
        }
        Pass::On
    });
    member.create();
    (member, relay, heard)
}

#[test]
fn a_connection_has_one_proof_under_way_and_each_that_is_left_counts() {
    let (member, relay, heard) = overheard(START);
    let joiner = node();
    joiner.accept("join_cluster", &join_body(&[relay.address]));
    assert_eq!(joiner.ended()["state"], "completed");
    let message = heard.recv().unwrap();
    let mut connection = member.connect();
    let statuses: Vec<u16> = (0..30)
        .map(|_| {
            connection.send(&message);
            connection.answer().status
        })
        .collect();
    // The seventh comes behind five that were left, and has to wait.
    assert!(statuses[..6].iter().all(|status| *status == 200) && statuses[6..].contains(&503), "{statuses:?}");
    assert_eq!(member.connect().call(&Request::get("/healthz")).status, 200);
}

#[test]
fn what_a_member_says_cannot_be_said_again() {
    let (member, _relay, heard) = overheard(ASK);
    let joiner = node();
    join(&joiner, &member);
    lists(&joiner, &[(1, "active"), (2, "active")]);
    let message = heard.recv().unwrap();
    let mut connection = member.connect();
    connection.send(&message);
    let answer = connection.answer();
    assert_eq!(answer.status, 403, "{answer:?}");
}

/// Kills one of the two when a message passes for the first time, and brings it back: the end must be the same as if
/// nothing had happened.
fn killed_at(path: &'static str, way: Way, kills_joiner: bool) {
    let victim = Arc::new(AtomicU32::new(0));
    let (sender, killed) = mpsc::channel();
    let passed = AtomicUsize::new(0);
    let pid = Arc::clone(&victim);
    let (mut member, relay) = behind(move |passing, of, _| {
        if passing == way && of == path && passed.fetch_add(1, Ordering::Relaxed) == 0 {
            let _ = kill(Pid::from_raw(pid.load(Ordering::Relaxed).cast_signed()), Signal::SIGKILL);
            sender.send(()).unwrap();
            return Pass::Cut;
        }
        Pass::On
    });
    member.create();
    let mut joiner = node();
    let pid = if kills_joiner { joiner.pid() } else { member.pid() };
    victim.store(pid, Ordering::Relaxed);
    let body = join_body(&[relay.address]);
    joiner.accept("join_cluster", &body);
    killed.recv_timeout(bootstrapd_tests::AT_ONCE).unwrap();
    let case = format!("{path} {way:?} joiner: {kills_joiner}");
    if kills_joiner {
        joiner.kill9();
        joiner.run();
        let status = joiner.ended();
        if status["state"] == "error" {
            assert_eq!(status["error_code"], "internal_error", "{case}");
            joiner.assert_tidy();
            joiner.accept("join_cluster", &body);
        }
    } else {
        member.kill9();
        member.run();
    }
    let status = eventually("the end", || {
        let status = joiner.bootstrap_status();
        matches!(status["state"].as_str(), Some("completed" | "error")).then_some(status)
    });
    assert_eq!(status["state"], "completed", "{case}: {status}\n{}\n{}", joiner.log(), member.log());
    assert_eq!(uid(&joiner), 2, "{case}");
    lists(&member, &[(1, "active"), (2, "active")]);
    lists(&joiner, &[(1, "active"), (2, "active")]);
}

#[test]
fn the_joiner_may_die_at_every_message_of_a_join() {
    for (path, way) in [START, FINISH, ASK].into_iter().flat_map(|path| [(path, Way::There), (path, Way::Back)]) {
        killed_at(path, way, true);
    }
}

#[test]
fn the_member_may_die_at_every_message_of_a_join() {
    for (path, way) in [START, FINISH, ASK].into_iter().flat_map(|path| [(path, Way::There), (path, Way::Back)]) {
        killed_at(path, way, false);
    }
}

fn rejoin(node: &Node, body: &Value) {
    let join = Request::post("/v1/bootstrap/join_cluster", body.to_string());
    assert_eq!(node.call(&join.login(USER, PASSWORD)).status, 200);
}

#[test]
fn an_outcast_that_was_admitted_elsewhere_is_closed_and_usable_also_after_a_restart() {
    let (cuts, (sender, asked)) = (Arc::new(AtomicBool::new(true)), mpsc::channel());
    let cut = Arc::clone(&cuts);
    let (member, relay) = behind(move |_, path, _| {
        if path != ASK || !cut.load(Ordering::Relaxed) {
            return Pass::On;
        }
        let _ = sender.send(());
        Pass::Cut
    });
    member.create();
    let mut node = outcast(|_| {});
    rejoin(&node, &join_body(&[relay.address]));
    // It confirms what is on its disk.
    asked.recv_timeout(AT_ONCE).unwrap();
    lists(&member, &[(1, "active"), (2, "provisioning")]);
    node.restart();
    assert_eq!(node.get("/v1/bootstrap").status, 401);
    assert_eq!(node.get_as_admin("/v1/bootstrap").json()["bootstrap_status"]["state"], "joining_cluster");
    cuts.store(false, Ordering::Relaxed);
    assert_eq!(node.ended()["state"], "completed");
    lists(&member, &[(1, "active"), (2, "active")]);
}

#[test]
fn an_outcast_whose_attempt_fails_has_its_record_again_whatever_it_has_called_its_place() {
    let in_the_way = Arc::new(Mutex::new(PathBuf::new()));
    let place = Arc::clone(&in_the_way);
    let (member, relay) = behind(move |way, path, _| {
        // Once it has made the record its own, it cannot save that it has.
        if way == Way::Back && path == FINISH {
            let _ = fs::create_dir(&*place.lock().unwrap());
        }
        Pass::On
    });
    member.create();
    let mut node = outcast(|_| {});
    in_the_way.lock().unwrap().push(node.state_file("node.a.new"));
    let alias = format!("{}/.", node.state_file("persistent").display());
    rejoin(&node, &join_body_with(&[relay.address], "/node/paths/persistent_path", json!(alias)));
    let status = node.ended();
    assert!(status["error_details"]["message"].as_str().unwrap().contains("could not be saved"), "{status}");
    fs::remove_dir(&*in_the_way.lock().unwrap()).unwrap();
    node.restart();
    assert_eq!((node.get("/v1/bootstrap").status, node.get_as_admin("/v1/bootstrap").status), (401, 200));
}

#[test]
fn a_joiner_that_cannot_save_that_it_is_a_member_asks_again_once_a_second() {
    let asked = Arc::new(AtomicUsize::new(0));
    let in_the_way = Arc::new(Mutex::new(PathBuf::new()));
    let (count, place) = (Arc::clone(&asked), Arc::clone(&in_the_way));
    let (member, relay) = behind(move |way, path, _| {
        // From its first confirmation on the joiner's own record cannot be replaced.
        if way == Way::There && path == ASK && count.fetch_add(1, Ordering::Relaxed) == 0 {
            fs::create_dir(&*place.lock().unwrap()).unwrap();
        }
        Pass::On
    });
    member.create();
    let joiner = node();
    in_the_way.lock().unwrap().push(joiner.state_file("node.a.new"));
    let start = Instant::now();
    joiner.accept("join_cluster", &join_body(&[relay.address]));
    lists(&member, &[(1, "active"), (2, "active")]);
    thread::sleep(Duration::from_secs(4));
    let (asked, seconds) = (asked.load(Ordering::Relaxed) as u64, start.elapsed().as_secs());
    assert!(asked >= 2 && asked <= seconds + 2, "{asked} questions in {seconds} s");
    assert_eq!(joiner.state_name(), "joining_cluster");
    fs::remove_dir(&*in_the_way.lock().unwrap()).unwrap();
    assert_eq!(joiner.ended()["state"], "completed");
    assert_eq!(uid(&joiner), 2);
}

#[test]
fn a_member_that_is_no_founder_may_die_and_the_next_node_is_tried() {
    let mut nodes = of(2);
    let pid = nodes[1].pid().cast_signed();
    let relay = Relay::to(nodes[1].address(), move |_, _, _| {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        Pass::Cut
    });
    let joiner = node();
    joiner.accept("join_cluster", &join_body(&[relay.address, nodes[0].address()]));
    let status = joiner.ended();
    assert_eq!(status["state"], "completed", "{status}");
    nodes[1].kill9();
    nodes[1].run();
    nodes.iter().chain([&joiner]).for_each(|node| lists(node, &[(1, "active"), (2, "active"), (3, "active")]));
}

#[test]
fn an_admitted_node_that_never_confirms_is_provisioning_and_never_down() {
    let relay_of = |founder: &Node| {
        Relay::to(
            founder.address(),
            |way, path, _| {
                if way == Way::Back && path == FINISH { Pass::Cut } else { Pass::On }
            },
        )
    };
    let founder = founder();
    let relay = relay_of(&founder);
    let joiner = node();
    let mut body = join_body_with(&[relay.address], "/max_retries", json!(0));
    join_fails(&joiner, &body, "connect_error");
    lists(&founder, &[(1, "active"), (2, "provisioning")]);
    std::thread::sleep(bootstrapd_tests::cluster::BEAT * 4);
    lists(&founder, &[(1, "active"), (2, "provisioning")]);
    // Asked again it is the same node, with the same number.
    body["cluster"]["nodes"] = json!([founder.address().to_string()]);
    joiner.accept("join_cluster", &body);
    assert_eq!(joiner.ended()["state"], "completed");
    assert_eq!(uid(&joiner), 2);
}
