//! The cluster's record on etcd: the same cluster, and what befalls its store.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bootstrapd_core::cluster::{Cluster, MemberStatus};
use bootstrapd_tests::body::{self, PASSWORD, USER};
use bootstrapd_tests::cluster::{
    free_address, join, join_body, join_body_with, join_fails, listed, lists, node, sent_away, uid,
};
use bootstrapd_tests::etcd::{Etcd, Manner, door, node_with, prepared_with, store};
use bootstrapd_tests::{Node, Random, Request, eventually, run, within};
use serde_json::{Value, json};

use super::required;

/// A lease runs out in 20 seconds, and is looked at each second.
const LEASE: Duration = Duration::from_secs(40);

fn etcd(members: usize) -> Etcd {
    required("etcd");
    Etcd::start(members)
}

/// A cluster of so many nodes on this store.
fn of(count: usize, endpoints: &[SocketAddr], prefix: &str) -> Vec<Node> {
    let founder = node_with(endpoints, prefix);
    founder.create();
    let mut nodes = vec![founder];
    while nodes.len() < count {
        let joiner = node_with(endpoints, prefix);
        join(&joiner, nodes.last().unwrap());
        nodes.push(joiner);
    }
    nodes
}

/// Waits until `node` lists this one as down.
fn is_down(node: &Node, uid: u64) {
    within(LEASE, "down", || listed(node).contains(&(uid, "down".to_owned())).then_some(()));
}

fn replacing(through: &Node, uid: u64) -> Value {
    join_body_with(&[through.address()], "/node/identity/uid", json!(uid))
}

fn message(status: &Value) -> &str {
    status["error_details"]["message"].as_str().unwrap()
}

#[test]
fn nodes_join_at_once_through_any_member_and_the_founder_need_not_be_there() {
    let etcd = etcd(1);
    let mut nodes = of(3, &etcd.addresses(), "/a/");
    for node in &nodes {
        lists(node, &[(1, "active"), (2, "active"), (3, "active")]);
    }
    nodes[0].kill9();
    // Within its lease nobody misses it.
    let joiners: Vec<Node> = (0..10).map(|_| node_with(&etcd.addresses(), "/a/")).collect();
    for (index, joiner) in joiners.iter().enumerate() {
        joiner.accept("join_cluster", &join_body(&[nodes[1 + index % 2].address()]));
    }
    let mut uids: Vec<u64> = Vec::new();
    for joiner in &joiners {
        let status = joiner.ended();
        assert_eq!(status["state"], "completed", "{status}\n{}", joiner.log());
        uids.push(uid(joiner));
    }
    uids.sort_unstable();
    assert_eq!(uids, (4..=13).collect::<Vec<_>>());
    // Dead it is as any other: named, and replaced.
    is_down(&nodes[1], 1);
    let fresh = node_with(&etcd.addresses(), "/a/");
    let status = join_fails(&fresh, &join_body(&[nodes[2].address()]), "repair_required");
    assert_eq!(status["error_details"]["failed_nodes"], json!([{"uid": 1}]));
    fresh.accept("join_cluster", &replacing(&joiners[3], 1));
    assert_eq!(fresh.ended()["state"], "completed", "{}", fresh.log());
    let all: Vec<(u64, &str)> = (1..=13).map(|uid| (uid, "active")).collect();
    lists(&fresh, &all);
    nodes[0].run();
    assert!(sent_away(&nodes[0]).contains("replaced"));
}

#[test]
fn any_member_changes_the_cluster_and_all_see_it_whoever_else_does() {
    let mut etcd = etcd(1);
    let mut nodes = of(3, &etcd.addresses(), "/a/");
    let put = |node: &Node, target: &str, body: &Value| {
        node.call(&Request::put(target, body.to_string()).login(USER, PASSWORD))
    };
    let get = |node: &Node, target: &str| node.get_as_admin(target).json();
    // All change it at once: none of it is lost, and each sees its own at once.
    thread::scope(|scope| {
        for (index, node) in nodes.iter().enumerate() {
            scope.spawn(move || {
                for round in 0..8 {
                    let target = format!("/v1/nodes/{}", index + 1);
                    let addresses = json!([format!("192.0.2.{index}"), format!("198.51.100.{round}")]);
                    let answer = put(node, &target, &json!({"external_addr": addresses}));
                    assert_eq!((answer.status, answer.text()), (200, ""), "{}", node.log());
                    assert_eq!(get(node, &target)["external_addr"], addresses);
                }
                let answer = put(node, "/v1/nodes/1", &json!({"rack_id": format!("r{index}")}));
                assert!(answer.status == 200 || answer.error_code() == "node_already_has_rack_id", "{answer:?}");
            });
        }
    });
    for uid in [2, 3] {
        assert_eq!(put(&nodes[2], &format!("/v1/nodes/{uid}"), &json!({"rack_id": "r"})).status, 200);
    }
    // Who founded it need not be there.
    nodes[0].kill9();
    let aware = json!({"rack_aware": true});
    for _ in 0..2 {
        assert_eq!(put(&nodes[1], "/v1/cluster/policy", &aware).status, 200);
    }
    nodes[0].run();
    for node in &nodes {
        eventually("the change", || (get(node, "/v1/cluster")["rack_aware"] == true).then_some(()));
        for (index, found) in get(node, "/v1/nodes").as_array().unwrap().iter().enumerate() {
            assert_eq!(found["external_addr"], json!([format!("192.0.2.{index}"), "198.51.100.7"]), "{found}");
        }
    }
    assert_eq!(get(&nodes[2], "/v1/nodes/check/3"), json!({"node_uid": 3, "result": true}));
    // Without its store it changes nothing, and says so.
    etcd.kill(0);
    let answer = put(&nodes[1], "/v1/nodes/2", &json!({"accept_servers": false}));
    assert_eq!((answer.status, answer.error_code()), (503, "no_store".to_owned()));
    let check = |node: &Node| get(node, "/v1/nodes/check/2")["error"].as_str().map(str::to_owned);
    let error = eventually("the store is missed", || check(&nodes[1]));
    assert!(error.contains("store"), "{error}");
    etcd.spawn(0);
    etcd.wait_ready();
    eventually("the store is back", || check(&nodes[1]).is_none().then_some(()));
    assert_eq!(get(&nodes[1], "/v1/nodes/2")["accept_servers"], true);
}

#[test]
fn a_member_that_comes_back_keeps_its_number_whoever_was_about_to_take_it() {
    let etcd = etcd(1);
    let mut nodes = of(2, &etcd.addresses(), "/a/");
    nodes[1].kill9();
    // A restart within the lease is not even seen.
    nodes[1].run();
    lists(&nodes[0], &[(1, "active"), (2, "active")]);
    nodes[1].kill9();
    is_down(&nodes[0], 2);
    // Who replaces it gets stuck before it confirms, and meanwhile it returns.
    let joiner = node_with(&etcd.addresses(), "/a/");
    joiner.accept("join_cluster", &replacing(&nodes[0], 2));
    eventually("confirm or more", || (joiner.get("/v1/bootstrap/progress").status != 0).then_some(()));
    let status = joiner.ended();
    nodes[1].run();
    if status["state"] == "completed" {
        sent_away(&nodes[1]);
    }
    lists(&nodes[0], &[(1, "active"), (2, "active")]);
}

#[test]
fn a_member_takes_the_record_that_it_saw_first_when_it_refused_a_joiner() {
    let etcd = etcd(1);
    let mut member = Node::prepare(&["--beat", "8", "--store", &store(&etcd.addresses()), "--store-prefix", "/a/"]);
    member.listen_on(free_address());
    member.run();
    member.create();
    let second = node_with(&etcd.addresses(), "/a/");
    join(&second, &member);
    // It has just looked, and does so again in eight seconds.
    lists(&member, &[(1, "active"), (2, "active")]);
    let third = node_with(&etcd.addresses(), "/a/");
    join(&third, &second);
    let stranger = node_with(&etcd.addresses(), "/a/");
    let body = join_body_with(&[member.address()], "/cluster/name", json!("another.cluster"));
    join_fails(&stranger, &body, "node_config_mismatch");
    lists(&member, &[(1, "active"), (2, "active"), (3, "active")]);
}

#[test]
fn config_error_connect_error_and_node_config_mismatch_say_what_is_wrong_with_a_store() {
    let etcd = etcd(1);
    let nodes = of(1, &etcd.addresses(), "/a/");
    let other = node_with(&etcd.addresses(), "/a/");
    let status = other.attempt(&body::create());
    assert_eq!(status["error_code"], "config_error", "{status}");
    assert!(message(&status).contains("has a cluster's record already"), "{status}");
    let answer = other.call(&Request::validate(&body::create()));
    assert_eq!((answer.status, answer.json()["error_code"].as_str()), (406, Some("config_error")), "{answer:?}");
    other.assert_tidy();

    let elsewhere = node_with(&etcd.addresses(), "/b/");
    assert_eq!(elsewhere.call(&Request::validate(&body::create())).status, 200);
    let status = join_fails(&elsewhere, &join_body(&[nodes[0].address()]), "config_error");
    assert!(message(&status).contains("no cluster's record"), "{status}");

    let mismatch = |setting: &Value| setting["mismatches"][0].clone();
    let status = join_fails(&node(), &join_body(&[nodes[0].address()]), "node_config_mismatch");
    let expected = json!({"setting": "store", "cluster": "etcd", "node": "embedded"});
    assert_eq!(mismatch(&status["error_details"]), expected);

    let nobody = free_address();
    let lost = node_with(&[nobody], "/a/");
    let mut create = body::create();
    create["max_retries"] = json!(1);
    create["retry_time"] = json!(1);
    let start = Instant::now();
    let status = lost.attempt(&create);
    assert!(start.elapsed() >= Duration::from_secs(1), "there is another try");
    assert_eq!(status["error_code"], "connect_error", "{status}");
    let tried = json!([{"node": nobody.to_string(), "reason": "connection refused"}]);
    assert_eq!(status["error_details"]["nodes_tried"], tried);
    // The cluster is still what it was.
    lists(&nodes[0], &[(1, "active")]);
}

#[test]
fn one_of_three_members_of_etcd_may_be_lost_and_where_all_are_members_serve_what_they_know() {
    let mut etcd = etcd(3);
    let nodes = of(2, &etcd.addresses(), "/a/");
    etcd.kill(0);
    let third = node_with(&etcd.addresses(), "/a/");
    join(&third, &nodes[1]);
    lists(&nodes[0], &[(1, "active"), (2, "active"), (3, "active")]);

    etcd.kill(1);
    etcd.kill(2);
    // Its own store does not answer the joiner: it does not even begin.
    let joiner = node_with(&etcd.addresses(), "/a/");
    let mut body = join_body(&[nodes[1].address()]);
    body["max_retries"] = json!(0);
    let status = join_fails(&joiner, &body, "connect_error");
    assert_eq!(status["error_details"]["nodes_tried"][0]["reason"], "connection refused", "{status}");
    for node in &nodes {
        assert_eq!(node.get("/readyz").status, 200);
        assert_eq!(listed(node).iter().map(|(uid, _)| *uid).collect::<Vec<_>>(), [1, 2, 3]);
        eventually("a line about the store", || node.log().contains("the store does not serve").then_some(()));
    }
    // A member that starts then is a member.
    let mut nodes = nodes;
    nodes[1].restart();
    assert_eq!(listed(&nodes[1]).len(), 3);
    for member in 0..3 {
        etcd.spawn(member);
    }
    etcd.wait_ready();
    join(&joiner, &nodes[1]);
    for node in &nodes {
        let all = [(1, "active"), (2, "active"), (3, "active"), (4, "active")];
        within(LEASE, "all four", || listed(node).iter().map(|(uid, status)| (*uid, &**status)).eq(all).then_some(()));
    }
    let said = nodes[0].log().matches("the store does not serve").count();
    assert!((1..=3).contains(&said), "once for each reason, not at each beat: {said} times in {}", nodes[0].log());
}

/// Of a member whose store is behind a door that is told what to do.
fn behind(etcd: &Etcd, choose: impl FnMut(&str) -> Manner + Send + 'static) -> (Node, SocketAddr) {
    let address = door(etcd.addresses()[0], choose);
    (node_with(&[address], "/a/"), address)
}

fn is_swap(request: &str) -> bool {
    request.contains("request_put")
}

#[test]
fn a_write_whose_answer_was_lost_is_found_again_and_gives_no_second_number() {
    let etcd = etcd(1);
    let lost = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&lost);
    let (founder, _) = behind(&etcd, move |request| {
        // Every other write: also that of the founder itself.
        let loses = is_swap(request) && count.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        if loses { Manner::Lose } else { Manner::Pass }
    });
    founder.create();
    for expected in 2..=4 {
        let joiner = node_with(&etcd.addresses(), "/a/");
        join(&joiner, &founder);
        assert_eq!(uid(&joiner), expected);
    }
    assert!(lost.load(Ordering::Relaxed) >= 4);
    lists(&founder, &[(1, "active"), (2, "active"), (3, "active"), (4, "active")]);
}

#[test]
fn a_joiner_whose_confirmation_was_lost_is_a_member_all_the_same() {
    let etcd = etcd(1);
    let nodes = of(1, &etcd.addresses(), "/a/");
    let is_first = AtomicBool::new(true);
    let (joiner, _) = behind(&etcd, move |request| {
        let loses = is_swap(request) && is_first.swap(false, Ordering::Relaxed);
        if loses { Manner::Lose } else { Manner::Pass }
    });
    join(&joiner, &nodes[0]);
    lists(&nodes[0], &[(1, "active"), (2, "active")]);
}

#[test]
fn a_store_that_is_slow_or_talks_nonsense_keeps_nobody_from_being_answered() {
    let etcd = etcd(1);
    let manner = Arc::new(Mutex::new(Manner::Pass));
    let chosen = Arc::clone(&manner);
    let (founder, _) = behind(&etcd, move |_| chosen.lock().unwrap().clone());
    founder.create();
    let say = |status: &str, body: &str| {
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        Manner::Say([head.as_bytes(), body.as_bytes()].concat())
    };
    let deep = "[".repeat(70_000);
    for manner_now in [
        Manner::Late(Duration::from_secs(30)),
        Manner::Say(b"\0\xff not HTTP".to_vec()),
        say("200 OK", ""),
        say("200 OK", "{}"),
        say("200 OK", &deep),
        say("200 OK", r#"{"header":{"revision":"99"},"succeeded":true,"responses":[]}"#),
        say(
            "200 OK",
            r#"{"header":{"revision":"99"},"responses":[{},{"response_range":{"kvs":[{"key":"eA==","mod_revision":"98","value":"Z2FyYmFnZQ=="}]}}]}"#,
        ),
        say("503 Service Unavailable", r#"{"error":"etcdserver: leader changed","code":14}"#),
        say("403 Forbidden", "{}"),
    ] {
        *manner.lock().unwrap() = manner_now.clone();
        thread::sleep(Duration::from_millis(1_200));
        let start = Instant::now();
        assert_eq!(founder.get_as_admin("/v1/nodes").status, 200);
        assert!(start.elapsed() < Duration::from_secs(1), "{manner_now:?}");
        let joiner = node_with(&etcd.addresses(), "/a/");
        let mut body = join_body(&[founder.address()]);
        body["max_retries"] = json!(0);
        let status = join_fails(&joiner, &body, "connect_error");
        let reason = status["error_details"]["nodes_tried"][0]["reason"].as_str().unwrap();
        let expected = [
            "the store of its cluster's record does not answer, nobody can join",
            "its cluster must be recovered before anybody can join",
            "no answer in time",
        ];
        assert!(expected.contains(&reason), "{manner_now:?}: {reason}");
        *manner.lock().unwrap() = Manner::Pass;
    }
    eventually("the store again", || founder.log().contains("the store serves again").then_some(()));
    join(&node_with(&etcd.addresses(), "/a/"), &founder);
}

#[test]
fn a_store_that_went_back_in_time_admits_nobody_until_a_survivor_is_recovered_in_place() {
    let etcd = etcd(1);
    let mut nodes = of(2, &etcd.addresses(), "/a/");
    let key = "L2EvY2x1c3Rlcg==";
    let range = format!(r#"{{"key":"{key}"}}"#);
    let old: Value = serde_json::from_str(&etcd.ask("/v3/kv/range", &range).unwrap()).unwrap();
    let value = old["kvs"][0]["value"].as_str().unwrap();
    join(&node_with(&etcd.addresses(), "/a/"), &nodes[0]);
    lists(&nodes[1], &[(1, "active"), (2, "active"), (3, "active")]);
    etcd.ask("/v3/kv/put", &format!(r#"{{"key":"{key}","value":"{value}"}}"#)).unwrap();
    let joiner = node_with(&etcd.addresses(), "/a/");
    let mut body = join_body(&[nodes[0].address()]);
    body["max_retries"] = json!(0);
    let status = join_fails(&joiner, &body, "connect_error");
    let reason = "its cluster must be recovered before anybody can join";
    assert_eq!(status["error_details"]["nodes_tried"][0]["reason"], reason);
    // Nobody forgets what it knows.
    assert_eq!(listed(&nodes[1]).len(), 3);

    nodes[1].kill9();
    let state = nodes[1].state();
    let endpoints = store(&etcd.addresses());
    let outcome = run(&[
        "recover",
        "--in-place",
        "--yes",
        "--state-dir",
        state.to_str().unwrap(),
        "--store",
        &endpoints,
        "--store-prefix",
        "/a/",
    ]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    nodes[1].run();
    lists(&nodes[0], &[(1, "active"), (2, "active"), (3, "active")]);
    join(&joiner, &nodes[0]);
    assert_eq!(uid(&joiner), 1_004);
}

#[test]
fn a_store_that_was_emptied_is_not_taken_for_what_it_was_because_it_has_come_to_the_same_number() {
    let (mut old, new) = (etcd(1), etcd(1));
    let is_open = Arc::new(AtomicBool::new(false));
    let opened = Arc::clone(&is_open);
    let closed = || Manner::Say(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec());
    let behind =
        door(new.addresses()[0], move |_| if opened.load(Ordering::Relaxed) { Manner::Pass } else { closed() });
    let founder = node_with(&[old.addresses()[0], behind], "/a/");
    founder.create();
    // It knows the record by the number that it has there, and will find another one by that.
    let key = "L2EvY2x1c3Rlcg==";
    let number = |etcd: &Etcd| {
        let answer = etcd.ask("/v3/kv/range", &format!(r#"{{"key":"{key}"}}"#)).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["kvs"][0]["mod_revision"].as_str().unwrap_or_default().parse::<u64>().unwrap_or_default()
    };
    let put = |key: &str| new.ask("/v3/kv/put", &format!(r#"{{"key":"{key}","value":"eA=="}}"#)).unwrap();
    let known = number(&old);
    thread::sleep(Duration::from_secs(6));
    old.kill(0);
    // The first number that a store gives is 2.
    for _ in 2..known {
        put("eA==");
    }
    put(key);
    assert_eq!(number(&new), known);
    is_open.store(true, Ordering::Relaxed);
    let joiner = node_with(&new.addresses(), "/a/");
    let mut body = join_body(&[founder.address()]);
    body["max_retries"] = json!(0);
    let status = join_fails(&joiner, &body, "connect_error");
    let reason = "its cluster must be recovered before anybody can join";
    assert_eq!(status["error_details"]["nodes_tried"][0]["reason"], reason, "{}", founder.log());
}

#[test]
fn a_cluster_is_recovered_from_a_file_onto_an_empty_prefix_and_no_other() {
    let etcd = etcd(1);
    let nodes = of(2, &etcd.addresses(), "/a/");
    lists(&nodes[0], &[(1, "active"), (2, "active")]);
    let file = nodes[0].directory().path().join("backup");
    fs::copy(nodes[0].state_file("persistent/ccs/cluster.a"), &file).unwrap();
    let body = json!({"recovery_filename": file});
    let fresh = node_with(&etcd.addresses(), "/a/");
    fresh.accept("recover_cluster", &body);
    let status = fresh.ended();
    assert_eq!(status["error_code"], "config_error", "{status}");
    let fresh = node_with(&etcd.addresses(), "/b/");
    fresh.accept("recover_cluster", &body);
    assert_eq!(fresh.ended()["state"], "completed", "{}", fresh.log());
    is_down(&fresh, 2);
}

#[test]
fn a_running_cluster_moves_to_etcd_and_back() {
    let etcd = etcd(1);
    let endpoints = store(&etcd.addresses());
    let mut nodes = bootstrapd_tests::cluster::of(3);
    let all = [(1, "active"), (2, "active"), (3, "active")];
    lists(&nodes[0], &all);
    for node in &mut nodes {
        node.terminate();
    }
    let moved = |node: &Node, from: &str, to: &str| {
        let state = node.state();
        run(&[
            "move",
            "--yes",
            "--state-dir",
            state.to_str().unwrap(),
            "--store",
            from,
            "--to",
            to,
            "--store-prefix",
            "/m/",
        ])
    };
    let refused = moved(&nodes[1], "embedded", &endpoints);
    assert!(refused.code == Some(73) && refused.errors.contains("not the founder"), "{refused:?}");
    assert_eq!(moved(&nodes[0], "embedded", "embedded").code, Some(64));
    let copies = ["cluster.a", "cluster.b"].map(|name| {
        let file = nodes[0].state_file("persistent/ccs").join(name);
        let content = fs::read(&file).unwrap();
        (file, content)
    });
    let outcome = moved(&nodes[0], "embedded", &endpoints);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let again = moved(&nodes[0], "embedded", &endpoints);
    assert_eq!(again.code, Some(73), "it is there already: {again:?}");
    // As if it had been cut short when the store had the record, and the disk had not.
    for (file, content) in &copies {
        fs::write(file, content).unwrap();
    }
    let again = moved(&nodes[0], "embedded", &endpoints);
    assert_eq!(again.code, Some(0), "{again:?}");
    // A founder that does not look there would admit nodes by itself, with numbers that others are given too.
    nodes[0].spawn();
    assert_eq!(nodes[0].wait_exit(), Some(78));
    assert!(nodes[0].log().contains("record is on etcd"), "{}", nodes[0].log());
    for node in &mut nodes {
        node.add_options(&["--store", &endpoints, "--store-prefix", "/m/"]);
        node.run();
    }
    for node in &nodes {
        lists(node, &all);
    }
    let fourth = node_with(&etcd.addresses(), "/m/");
    join(&fourth, &nodes[2]);
    assert_eq!(uid(&fourth), 1_004);
    nodes.push(fourth);

    for node in &mut nodes {
        node.terminate();
    }
    assert_eq!(moved(&nodes[2], &endpoints, "embedded").code, Some(73));
    let outcome = moved(&nodes[0], &endpoints, "embedded");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(
        etcd.ask("/v3/kv/range", r#"{"key":"L20vY2x1c3Rlcg=="}"#).unwrap().find("kvs").is_none(),
        "the key is gone"
    );
    for node in &mut nodes {
        node.add_options(&["--store", "embedded"]);
        node.run();
    }
    let all = [(1, "active"), (2, "active"), (3, "active"), (1_004, "active")];
    for node in &nodes {
        lists(node, &all);
    }
    join(&node(), &nodes[0]);
}

#[test]
fn who_reads_etcd_learns_who_is_alive_and_no_secret() {
    let etcd = etcd(1);
    let nodes = of(2, &etcd.addresses(), "/a/");
    lists(&nodes[0], &[(1, "active"), (2, "active")]);
    let all: Value =
        serde_json::from_str(&etcd.ask("/v3/kv/range", r#"{"key":"AA==","range_end":"AA=="}"#).unwrap()).unwrap();
    let mut seen = 0;
    for entry in all["kvs"].as_array().unwrap() {
        for member in ["key", "value"] {
            let bytes = bootstrapd_tests::etcd::decoded(entry[member].as_str().unwrap());
            seen += bytes.len();
            for secret in [PASSWORD.as_bytes(), USER.as_bytes(), b"test.cluster", b"registration", b"127.0.0.1"] {
                assert!(!bytes.windows(secret.len()).any(|window| window == secret));
            }
        }
    }
    assert!(seen > 2_000, "{seen}");
}

/// What a version of the record may be after the one before it: nothing that somebody has written is lost.
fn follows(before: &Cluster, after: &Cluster) {
    assert_eq!(before.epoch_tag, after.epoch_tag);
    assert!(after.revision > before.revision && after.next_uid >= before.next_uid);
    for member in &after.members {
        let is_known = before.members.iter().any(|known| (known.uid, known.node_id) == (member.uid, member.node_id));
        let is_new = (before.next_uid..after.next_uid).contains(&member.uid);
        let replaces = member.status == MemberStatus::Replacing && before.member(member.uid).is_some();
        assert!(is_known || is_new || replaces, "{} changes hands", member.uid);
    }
    for member in before.members.iter().filter(|member| member.is_active()) {
        let kept = after.member_of(member.node_id).is_some_and(|kept| kept.uid == member.uid && kept.is_active());
        let replaced = before.members.iter().any(|new| new.uid == member.uid && !new.is_active());
        assert!(kept || replaced, "{} is lost", member.uid);
    }
}

#[test]
fn many_members_admit_replace_and_are_killed_and_every_number_is_given_once() {
    let etcd = etcd(1);
    let mut nodes = of(3, &etcd.addresses(), "/a/");
    let copy = nodes[0].state_file("persistent/ccs/cluster.a");
    let mut random = Random::new();
    let seconds = std::env::var("BOOTSTRAPD_TEST_SECONDS").map_or(60, |text| text.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut dead: Vec<Node> = Vec::new();
    while Instant::now() < end {
        // Several at once, each through a member of its own.
        let joiners: Vec<Node> = (0..3).map(|_| node_with(&etcd.addresses(), "/a/")).collect();
        let place = random.below(nodes.len());
        nodes[place].kill9();
        for joiner in &joiners {
            let through = [nodes[random.below(nodes.len())].address(), nodes[random.below(nodes.len())].address()];
            joiner.accept("join_cluster", &join_body(&through));
        }
        thread::sleep(Duration::from_millis(random.below(300) as u64));
        if random.below(4) == 0 && nodes.len() > 4 {
            dead.push(nodes.remove(place));
        } else {
            nodes[place].run();
        }
        for joiner in joiners {
            let mut status = joiner.ended();
            for _ in 0..40 {
                let named = status["error_details"]["replace_candidate"].as_u64();
                let body = named.map_or_else(|| join_body(&[nodes[0].address()]), |uid| replacing(&nodes[0], uid));
                if status["state"] == "completed" || Instant::now() > end + LEASE {
                    break;
                }
                joiner.accept("join_cluster", &body);
                status = joiner.ended();
                thread::sleep(Duration::from_millis(200));
            }
            assert_eq!(status["state"], "completed", "{status}");
            nodes.push(joiner);
        }
    }
    let mut record = Box::<Cluster>::default();
    bootstrapd_core::record::decode(&fs::read(copy).unwrap(), &mut *record).unwrap();
    let versions = bootstrapd_tests::etcd::history(&etcd, "/a/", &record);
    for pair in versions.windows(2) {
        follows(&pair[0], &pair[1]);
    }
    let last = versions.last().unwrap();
    let replaced = versions.iter().flat_map(|version| &version.members);
    let replaced = replaced.filter(|member| member.status == MemberStatus::Replacing).count();
    println!(
        "{} versions, {} members, {replaced} of them seen replacing, {} dead",
        versions.len(),
        last.members.len(),
        dead.len()
    );
    for node in &nodes {
        let member = last.members.iter().find(|member| u64::from(member.uid) == uid(node) && member.is_active());
        assert!(
            member.is_some_and(|member| member.endpoint == node.address()),
            "an acknowledged join is lost: {}",
            node.log()
        );
    }
}

#[test]
fn a_store_with_users_lets_in_who_has_the_password() {
    required("etcd");
    let keys = bootstrapd_tests::Directory::new();
    let (private, public) = (keys.join("private.pem"), keys.join("public.pem"));
    for arguments in [&["genrsa", "-out", &private, "2048"][..], &["rsa", "-in", &private, "-pubout", "-out", &public]]
    {
        assert!(Command::new("openssl").args(arguments).stderr(Stdio::null()).status().unwrap().success());
    }
    // Tokens of this kind are good until anything changes of etcd's users.
    let kind = format!("jwt,pub-key={public},priv-key={private},sign-method=RS256,ttl=10m");
    let etcd = Etcd::start_with(1, &["--auth-token", &kind]);
    etcd.ask("/v3/auth/user/add", r#"{"name":"root","password":"r"}"#).unwrap();
    etcd.ask("/v3/auth/user/grant", r#"{"user":"root","role":"root"}"#).unwrap();
    etcd.ask("/v3/auth/enable", "{}").unwrap();
    let secret = bootstrapd_tests::Directory::new();
    let file = |name: &str, password: &str| {
        let file = secret.path().join(name);
        fs::write(&file, password).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let with = |options: &[&str]| {
        let mut node = prepared_with(&etcd.addresses(), "/a/");
        node.add_options(options);
        node.run();
        node
    };
    let (right, wrong) = (file("right", "r\n"), file("wrong", "w"));
    for options in [&[][..], &["--store-user", "root", "--store-password-file", &wrong]] {
        let node = with(options);
        let mut body = body::create();
        body["max_retries"] = json!(0);
        let status = node.attempt(&body);
        assert_eq!(status["error_code"], "connect_error", "{status}");
        assert_eq!(status["error_details"]["nodes_tried"][0]["reason"], "the store does not let this node in");
    }
    let login = ["--store-user", "root", "--store-password-file", &right];
    let founder = with(&login);
    founder.create();
    join(&with(&login), &founder);
    lists(&founder, &[(1, "active"), (2, "active")]);
    let token = etcd.ask("/v3/auth/authenticate", r#"{"name":"root","password":"r"}"#).unwrap();
    let token: Value = serde_json::from_str(&token).unwrap();
    etcd.ask_as(token["token"].as_str().unwrap(), "/v3/auth/user/add", r#"{"name":"other","password":"o"}"#).unwrap();
    join(&with(&login), &founder);
    lists(&founder, &[(1, "active"), (2, "active"), (3, "active")]);
}

#[test]
fn whoever_is_killed_at_a_join_both_know_the_node_in_the_end_or_neither_does() {
    let etcd = etcd(1);
    let mut nodes = of(2, &etcd.addresses(), "/a/");
    let mut random = Random::new();
    let seconds = std::env::var("BOOTSTRAPD_TEST_SECONDS").map_or(15, |text| text.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let mut joiner = prepared_with(&etcd.addresses(), "/a/");
        joiner.run();
        let through = nodes.len() - 1 - random.below(2);
        joiner.accept("join_cluster", &join_body(&[nodes[through].address(), nodes[0].address()]));
        thread::sleep(Duration::from_millis(random.below(120) as u64));
        if random.below(2) == 0 {
            joiner.kill9();
            joiner.run();
        } else {
            nodes[through].kill9();
            nodes[through].run();
        }
        // It may have to be told again.
        for _ in 0..20 {
            let state = joiner.get_as_admin("/v1/bootstrap").json()["bootstrap_status"]["state"].clone();
            match state.as_str().unwrap() {
                "completed" => break,
                "error" | "idle" => {
                    joiner.accept("join_cluster", &join_body(&[nodes[0].address(), nodes[through].address()]));
                }
                _ => {}
            }
            thread::sleep(Duration::from_millis(500));
        }
        assert_eq!(
            joiner.get_as_admin("/v1/bootstrap").json()["bootstrap_status"]["state"],
            "completed",
            "{}",
            joiner.log()
        );
        nodes.push(joiner);
    }
    let uids: BTreeSet<u64> = nodes.iter().map(uid).collect();
    assert_eq!(uids.len(), nodes.len(), "no number twice: {uids:?}");
    for node in &nodes {
        within(LEASE, "all of them active", || {
            let listed = listed(node);
            (listed.len() == uids.len() && listed.iter().all(|(uid, status)| uids.contains(uid) && status == "active"))
                .then_some(())
        });
    }
}
