//! Creating a cluster, from the POST to the documents that are served of it afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "whatever fails here fails a test"
)]

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::Duration;

use bootstrapd_tests::body::{self, PASSWORD, TEXT_CREATE, TEXT_JOIN, USER};
use bootstrapd_tests::cluster::recorded;
use bootstrapd_tests::details::{is_completed_or_cut_short, message, pointers, without_times};
use bootstrapd_tests::{Answer, Connection, Node, Request, eventually, licence, machine};
use serde_json::{Value, json};

const CREATE: &str = "/v1/bootstrap/create_cluster";
const VALIDATE: &str = "/v1/bootstrap/validate/create_cluster";

fn accept(node: &Node, target: &str, body: impl AsRef<[u8]>) {
    let answer = node.call(&Request::post(target, body));
    assert_eq!((answer.status, answer.text()), (200, ""), "{target}");
}

/// Asserts that `document` holds every member of `expected`, whatever else it holds.
fn assert_holds(document: &Value, expected: &Value) {
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&document[name], value, "{name} in {document}");
    }
}

/// The text's own create body with what it needs on this machine.
fn text_create_for(node: &Node) -> Value {
    let mut body: Value = serde_json::from_slice(TEXT_CREATE).unwrap();
    for name in ["persistent_path", "ephemeral_path", "bigstore_path"] {
        body["node"]["paths"][name] = node.directory().make(name).into();
    }
    body["node"]["identity"]["addr"] = "127.0.0.1".into();
    body["license"] = "".into();
    body
}

fn with_paths(paths: &[(&str, &str)]) -> Value {
    let mut body = body::create();
    for (name, path) in paths {
        body["node"]["paths"][*name] = (*path).into();
    }
    body
}

#[test]
fn the_texts_own_create_body_is_accepted_and_ends_at_its_paths() {
    let node = Node::start();
    accept(&node, CREATE, TEXT_CREATE);
    let status = node.ended();
    assert!(message(&status, "path_error").contains("\"/path/to/persistent/storage\""), "{status}");
    let expected = ["/node/paths/persistent_path", "/node/paths/ephemeral_path", "/node/paths/bigstore_path"];
    assert_eq!(pointers(&status["error_details"]), expected);
    for path in ["persistent", "ephemeral", "bigredis"] {
        assert!(status["error_details"]["problems"].to_string().contains(&format!("/path/to/{path}/storage")));
    }
}

#[test]
fn the_texts_own_create_body_completes_where_its_paths_exist() {
    let mut node = Node::start();
    let mut body = text_create_for(&node);
    accept(&node, CREATE, body.to_string());
    eventually("completed", || (node.get("/readyz").status == 200).then_some(()));
    let login = |path: &str| node.call(&Request::get(path).login("my_username", "my_password")).json();
    assert_eq!(login("/v1/cluster")["name"], "my.cluster");
    let expected = json!({"addr": "127.0.0.1", "external_addr": ["2001:db8:85a3::8a2e:370:7334", "3.4.5.6"]});
    assert_holds(&login("/v1/nodes/1"), &expected);
    assert_eq!(login("/v1/nodes/1")["bigstore_driver"], "rocksdb");
    let persistent = body["node"]["paths"]["persistent_path"].take();
    for copy in ["cluster.a", "cluster.b"] {
        assert!(std::path::Path::new(persistent.as_str().unwrap()).join("ccs").join(copy).is_file(), "{copy}");
    }
    node.restart();
    assert_eq!(node.get("/readyz").status, 200, "{}", node.output());
}

#[test]
fn the_texts_own_join_is_accepted_and_a_wrong_path_ends_it() {
    let node = Node::start();
    accept(&node, "/v1/bootstrap/join_cluster", TEXT_JOIN);
    let status = node.ended();
    assert!(message(&status, "path_error").contains("/path/to/persistent/storage"), "{status}");
    node.create();
}

#[test]
fn the_record_of_the_cluster_goes_where_it_is_asked_to() {
    let mut node = Node::start();
    let [persistent, ccs] = ["persistent", "records"].map(|name| node.directory().make(name));
    let status = node.attempt(&with_paths(&[("persistent_path", &persistent), ("ccs_persistent_path", &ccs)]));
    assert_eq!(status["state"], "completed", "{status}");
    assert!(std::path::Path::new(&ccs).join("ccs/cluster.a").is_file());
    assert_eq!(std::fs::read_dir(&persistent).unwrap().count(), 0);
    node.restart();
    assert_eq!(node.state_name(), "completed");
}

fn everything() -> (Value, Value, Value) {
    let policy = json!({
        "default_fork_evict_ram": true,
        "default_non_sharded_proxy_policy": "all-nodes",
        "default_sharded_proxy_policy": "single",
        "default_shards_placement": "sparse",
        "rack_aware": true,
        "shards_overbooking": false,
    });
    let ports = json!({
        "cnm_https_port": 443,
        "crdb_coordinator_port": 20_001,
        "envoy_admin_port": 20_002,
        "envoy_mgmt_server_port": 20_003,
        "gossip_envoy_admin_port": 65_535,
    });
    let suffixes = json!([
        {
            "name": "a.Example",
            "cluster_default": true,
            "use_aaaa_ns": true,
            "use_internal_addr": true,
            "slaves": ["192.0.2.1", "2001:db8::1"],
        },
        {
            "name": "b.example",
            "cluster_default": false,
            "use_aaaa_ns": false,
            "use_internal_addr": false,
            "slaves": [],
        },
    ]);
    let node = json!({
        "addr": "127.0.0.1",
        "external_addr": ["2001:db8:85a3::8a2e:370:7334", "3.4.5.6"],
        "name": "front \"one\" \u{fc}",
        "accept_servers": false,
        "rack_id": "Rack-1",
        "second_rack_id": "Cage_2",
    });
    let limits = json!({"max_listeners": 7, "max_redis_servers": 4_294_967_295_u32});
    let mut body = json!({
        "action": "create_cluster",
        "cluster": {"name": "Big.Cluster-1", "wait_command": false, "nodes": []},
        "credentials": {"username": USER, "password": PASSWORD},
        "node": {"identity": node, "limits": limits, "bigstore_driver": "speedb", "bigstore_enabled": true},
        "policy": policy,
        "dns_suffixes": suffixes,
    });
    let mut cluster = json!({
        "name": "Big.Cluster-1", "wait_command": false, "dns_suffixes": suffixes, "use_internal_ipv6": false,
    });
    for (name, value) in ports.as_object().unwrap() {
        body[name] = value.clone();
        cluster[name] = value.clone();
    }
    for (name, value) in policy.as_object().unwrap() {
        cluster[name] = value.clone();
    }
    let mut node = node;
    for (name, value) in limits.as_object().unwrap() {
        node[name] = value.clone();
    }
    node["bigstore_driver"] = "speedb".into();
    node["bigstore_enabled"] = true.into();
    (body, cluster, node)
}

#[test]
fn everything_accepted_is_served_afterwards_also_after_a_restart() {
    let mut node = Node::start();
    let (body, cluster, member) = everything();
    let status = node.attempt(&body);
    assert_eq!(status["state"], "completed", "{status}");
    for _ in 0..2 {
        let document = node.get_as_admin("/v1/cluster").json();
        assert_holds(&document, &cluster);
        let created = document["created_time"].as_str().unwrap();
        assert!(status["start_time"].as_str().unwrap() <= created && created <= status["end_time"].as_str().unwrap());
        let document = node.get_as_admin("/v1/nodes/1").json();
        assert_holds(&document, &member);
        let facts = json!({
            "uid": 1,
            "status": "active",
            "total_memory": machine::memory(),
            "cores": machine::cores(),
            "software_version": "0.1.0-1",
        });
        assert_holds(&document, &facts);
        // In one second: the clock is in it.
        eventually("the same in the list", || {
            let document = node.get_as_admin("/v1/nodes/1").json();
            (node.get_as_admin("/v1/nodes").json() == json!([document])).then_some(())
        });
        for unknown in ["/v1/nodes/2", "/v1/nodes/0", "/v1/nodes/4294967295"] {
            let answer = node.get_as_admin(unknown);
            assert_eq!((answer.status, answer.error_code()), (404, "not_found".to_owned()), "{unknown}");
        }
        assert_eq!(node.get_as_admin("/v1/license").json()["cluster_name"], "Big.Cluster-1");
        node.restart();
    }
}

#[test]
fn what_is_not_given_has_its_documented_default() {
    let node = Node::created();
    let policy = json!({
        "name": "test.cluster",
        "wait_command": true,
        "rack_aware": false,
        "dns_suffixes": [],
        "cnm_https_port": 9443,
        "crdb_coordinator_port": 9081,
        "envoy_admin_port": 8002,
        "envoy_mgmt_server_port": 8004,
        "gossip_envoy_admin_port": 8006,
    });
    assert_holds(&node.get_as_admin("/v1/cluster").json(), &policy);
    let own = machine::addresses().into_iter().map(|(address, _)| address).find(|address| match address {
        std::net::IpAddr::V4(address) => !address.is_link_local(),
        std::net::IpAddr::V6(address) => !address.is_unicast_link_local(),
    });
    let own = own.map_or_else(|| "127.0.0.1".to_owned(), |address| address.to_string());
    let member = json!({
        "addr": own,
        "external_addr": [],
        "accept_servers": true,
        "max_listeners": 100,
        "max_redis_servers": 100,
        "bigstore_enabled": false,
    });
    let document = node.get_as_admin("/v1/nodes/1").json();
    assert_holds(&document, &member);
    assert!(document.get("rack_id").is_none(), "{document}");
}

#[test]
fn an_ipv6_address_makes_an_ipv6_cluster() {
    let node = Node::start();
    let mut body = body::create_with("/node/identity/addr", json!("::1"));
    body["node"]["identity"]["use_internal_ipv6"] = true.into();
    let status = node.attempt(&body);
    assert_eq!(status["state"], "completed", "{status}");
    assert_eq!(node.get_as_admin("/v1/nodes/1").json()["addr"], "::1");
    assert_eq!(node.get_as_admin("/v1/cluster").json()["use_internal_ipv6"], true);
}

#[test]
fn each_address_of_this_machine_will_do() {
    for (address, _) in machine::addresses() {
        let node = Node::start();
        let status = node.attempt(&body::create_with("/node/identity/addr", address.to_string().into()));
        assert_eq!(status["state"], "completed", "{status}");
        assert_eq!(node.get_as_admin("/v1/nodes/1").json()["addr"], address.to_string());
    }
}

#[test]
fn the_status_tells_an_attempt_from_its_first_moment_to_its_last() {
    let node = Node::start();
    let time = |answer: &Answer| answer.json()["local_node_info"]["system_time"].as_str().unwrap().to_owned();
    let get = Request::get("/v1/bootstrap").login(USER, PASSWORD);
    let requests = [get.clone(), Request::create(&body::create()), get.clone(), get.clone(), get.clone()];
    let answers = node.connect().pipeline(&requests);
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200; 5]);
    assert_eq!(answers[0].json()["bootstrap_status"], json!({"state": "idle"}));
    assert_eq!(answers[1].text(), "");

    let before = time(&answers[0]);
    let document = answers[2].json();
    let during = &document["bootstrap_status"];
    assert!(matches!(during["state"].as_str(), Some("initiated" | "creating_cluster")), "{during}");
    assert_eq!(during.as_object().unwrap().len(), 2, "nothing but the state and its start: {during}");
    assert!(document["local_node_info"].get("uid").is_none(), "{document}");
    let start = during["start_time"].as_str().unwrap();
    assert!(*before <= *start && *start <= *time(&answers[2]), "{before} {during}");

    let status = node.ended();
    let answer = node.get_as_admin("/v1/bootstrap");
    let end = status["end_time"].as_str().unwrap();
    assert_eq!(status, json!({"state": "completed", "start_time": start, "end_time": end}));
    assert!(start <= end && *end <= *time(&answer), "{status}");
    assert_eq!(answer.json()["local_node_info"]["uid"], 1);
    assert!(answer.text().contains("\"state\":\"completed\""));
    assert_eq!(answer.text().matches("\"state\":\"").count(), 1);
}

/// Polls as fast as it can until the attempt has ended; every status seen, without repetitions.
fn watch(node: &Node) -> Vec<Value> {
    let mut connection = node.connect();
    let get = Request::get("/v1/bootstrap").login(USER, PASSWORD);
    let mut seen: Vec<Value> = Vec::new();
    eventually("the end of the attempt", || {
        let status = connection.call(&get).json()["bootstrap_status"].take();
        if seen.last() != Some(&status) {
            seen.push(status);
        }
        matches!(seen.last().unwrap()["state"].as_str(), Some("completed" | "error")).then_some(())
    });
    seen
}

#[test]
fn states_change_only_along_the_arrows() {
    let arrows = [
        ("idle", "initiated"),
        ("idle", "creating_cluster"),
        ("idle", "completed"),
        ("idle", "error"),
        ("initiated", "creating_cluster"),
        ("initiated", "completed"),
        ("initiated", "error"),
        ("creating_cluster", "completed"),
    ];
    let path_error = with_paths(&[("persistent_path", "/nowhere/at/all")]);
    for body in [body::create(), path_error] {
        let node = Node::start();
        let seen = thread::scope(|scope| {
            let watchers: Vec<_> = (0..3).map(|_| scope.spawn(|| watch(&node))).collect();
            accept(&node, CREATE, body.to_string());
            watchers.into_iter().map(|watcher| watcher.join().unwrap()).collect::<Vec<_>>()
        });
        for seen in seen {
            for pair in seen.windows(2) {
                // A poll may miss a state; it never sees one come back.
                let states = [&pair[0], &pair[1]].map(|status| status["state"].as_str().unwrap());
                assert!(arrows.contains(&states.into()), "{seen:?}");
                assert!(pair[0]["start_time"].is_null() || pair[0]["start_time"] == pair[1]["start_time"], "{seen:?}");
            }
        }
    }
}

#[test]
fn of_64_at_once_exactly_one_is_accepted() {
    let node = Node::start();
    let mut connections: Vec<Connection> = (0..64).map(|_| node.connect()).collect();
    let name = |index: usize| format!("cluster-{index}");
    let host = node.address().to_string();
    for (index, connection) in connections.iter_mut().enumerate() {
        let body = body::create_with("/cluster/name", name(index).into());
        connection.send(Request::create(&body).bytes(&host));
    }
    let answers: Vec<Answer> = connections.iter_mut().map(Connection::answer).collect();
    let accepted: Vec<usize> = (0..64).filter(|index| answers[*index].status == 200).collect();
    assert_eq!(accepted.len(), 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(answer.status, 409);
        match &*answer.error_code() {
            "bootstrap_in_progress" => {
                assert!(answer.description().contains("already in progress"), "{answer:?}");
                assert_eq!(answer.header("Retry-After"), Some("1"));
            }
            "already_bootstrapped" => {
                assert!(answer.description().contains("already part of a cluster"), "{answer:?}");
                assert_eq!(answer.header("Retry-After"), None);
            }
            other => panic!("{other}: {answer:?}"),
        }
    }
    assert_eq!(node.ended()["state"], "completed");
    assert_eq!(node.get_as_admin("/v1/cluster").json()["name"], name(accepted[0]));
}

#[test]
fn while_an_attempt_runs_the_next_has_to_wait_whatever_it_says() {
    let node = Node::start();
    let validate = Request::validate(&body::create());
    let others = [
        Request::create(&body::create()),
        Request::post(CREATE, "[not JSON"),
        Request::post("/v1/bootstrap/join_cluster", TEXT_JOIN),
        validate,
    ];
    let first = [Request::create(&body::create())];
    let answers = node.connect().pipeline(&[&first[..], &others[..]].concat());
    assert_eq!(answers[0].status, 200);
    for answer in &answers[1..] {
        assert_eq!((answer.status, answer.error_code()), (409, "bootstrap_in_progress".to_owned()));
        assert!(answer.description().contains("already in progress"), "{answer:?}");
        assert_eq!(answer.header("Retry-After"), Some("1"));
    }
    assert_eq!(node.ended()["state"], "completed");
}

#[test]
fn a_client_that_hangs_up_changes_nothing() {
    let node = Node::start();
    let mut connection = node.connect();
    connection.send(Request::create(&body::create()).bytes("localhost"));
    drop(connection);
    eventually("completed without anybody waiting", || (node.get("/readyz").status == 200).then_some(()));
    assert_eq!(node.get_as_admin("/v1/cluster").json()["name"], "test.cluster");
}

#[test]
fn half_a_post_is_no_attempt() {
    let node = Node::start();
    let mut connection = node.connect();
    let bytes = Request::create(&body::create()).bytes("localhost");
    connection.send(&bytes[..bytes.len() - 1]);
    assert!(connection.is_quiet());
    drop(connection);
    thread::sleep(Duration::from_millis(50));
    assert_eq!(node.bootstrap_status(), json!({"state": "idle"}));
}

#[test]
fn what_plain_curl_sends_is_read_as_json() {
    for content_type in [None, Some("application/x-www-form-urlencoded"), Some("Application/JSON; charset=UTF-8")] {
        let node = Node::start();
        let mut request = Request::typeless_post("/bootstrap/create_cluster/?x", body::create().to_string());
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        let answer = node.call(&request.header("User-Agent", "curl/8.5.0").header("Accept", "*/*"));
        assert_eq!((answer.status, answer.text()), (200, ""), "{content_type:?}");
        assert_eq!(node.ended()["state"], "completed", "{content_type:?}");
    }
}

#[test]
fn path_error_names_every_wrong_path() {
    let node = Node::start();
    let file = node.directory().write("file", "");
    let missing = node.directory().join("missing");
    let deeper = node.directory().join("file/x");
    let paths = [
        ("persistent_path", &*file, "is not a directory"),
        ("ephemeral_path", &*missing, "does not exist"),
        ("bigstore_path", &*deeper, ""),
        ("ccs_persistent_path", &*missing, "does not exist"),
    ];
    let status = node.attempt(&with_paths(&paths.map(|(name, path, _)| (name, path))));
    assert!(message(&status, "path_error").contains(&file), "{status}");
    let problems = status["error_details"]["problems"].as_array().unwrap();
    assert_eq!(pointers(&status["error_details"]), paths.map(|(name, ..)| format!("/node/paths/{name}")));
    for (problem, (_, path, why)) in problems.iter().zip(paths) {
        let message = problem["message"].as_str().unwrap();
        assert!(message.contains(&format!("\"{path}\"")) && message.contains(why), "{message}");
    }
    assert!(!std::path::Path::new(&missing).exists(), "nothing is created");
}

#[test]
fn the_log_tells_each_end_in_the_words_of_the_status() {
    let node = Node::start();
    for body in failures(&node) {
        let status = node.attempt(&body);
        let code = format!("error_code={}", status["error_code"]);
        let message = status["error_details"]["message"].as_str().unwrap();
        // A poller may be told a moment earlier.
        let log = eventually(&code, || Some(node.log()).filter(|log| log.contains(&code)));
        assert!(log.contains(&format!("message={message:?}")), "{message}: {log}");
    }
    node.create();
    eventually("a line in the log", || node.log().contains("cluster=\"test.cluster\"").then_some(()));
}

#[test]
fn two_names_of_one_directory_are_one_directory() {
    let node = Node::start();
    let real = node.directory().make("real");
    let link = node.directory().join("link");
    symlink(&real, &link).unwrap();
    let status = node.attempt(&with_paths(&[("persistent_path", &real), ("ephemeral_path", &link)]));
    assert!(message(&status, "path_error").contains(&link), "{status}");
    assert_eq!(pointers(&status["error_details"]), ["/node/paths/ephemeral_path"]);
    // The cluster's record may well lie beside the data.
    let status = node.attempt(&with_paths(&[("persistent_path", &link), ("ccs_persistent_path", &real)]));
    assert_eq!(status["state"], "completed", "{status}");
}

#[test]
fn a_path_that_holds_a_record_of_another_node_is_refused_and_left_alone() {
    let other = Node::start();
    let taken = other.directory().make("taken");
    assert_eq!(other.attempt(&with_paths(&[("persistent_path", &taken)]))["state"], "completed");
    let read = |name: &str| std::fs::read(std::path::Path::new(&taken).join("ccs").join(name)).unwrap();
    let before = ["cluster.a", "cluster.b"].map(read);

    let node = Node::start();
    for member in ["persistent_path", "ccs_persistent_path"] {
        let status = node.attempt(&with_paths(&[(member, &taken)]));
        assert!(message(&status, "path_error").contains(&taken), "{status}");
        assert_eq!(pointers(&status["error_details"]), [format!("/node/paths/{member}")]);
    }
    let torn = node.directory().make("torn/ccs");
    std::fs::write(std::path::Path::new(&torn).join("cluster.b"), "half a rec").unwrap();
    let status = node.attempt(&with_paths(&[("persistent_path", &node.directory().join("torn"))]));
    assert!(message(&status, "path_error").contains("torn"), "{status}");
    assert_eq!(["cluster.a", "cluster.b"].map(read), before);
}

#[test]
fn the_agents_own_path_is_checked_too() {
    let mut node = Node::prepare(&[]);
    let gone = node.directory().make("gone");
    node.add_options(&["--ephemeral-path", &gone]);
    node.run();
    std::fs::remove_dir(&gone).unwrap();
    let status = node.attempt(&body::create());
    assert!(message(&status, "path_error").contains(&gone), "{status}");
    std::fs::create_dir(&gone).unwrap();
    node.create();
}

#[test]
fn an_address_of_another_machine_is_refused_by_name() {
    let node = Node::start();
    for address in ["1.2.3.4", "2001:db8::5", "0.0.0.0"] {
        let status = node.attempt(&body::create_with("/node/identity/addr", address.into()));
        assert!(message(&status, "config_error").contains(&format!("\"{address}\"")), "{status}");
        assert_eq!(pointers(&status["error_details"]), ["/node/identity/addr"]);
    }
}

#[test]
fn paths_come_before_the_address_and_the_address_before_the_licence() {
    let node = Node::start();
    let mut body = text_create_for(&node);
    let reference: Value = serde_json::from_slice(TEXT_CREATE).unwrap();
    body["credentials"] = body::create()["credentials"].take();
    for (pointer, code) in
        [("/license", "invalid_license"), ("/node/identity/addr", "config_error"), ("/node/paths", "path_error")]
    {
        *body.pointer_mut(pointer).unwrap() = reference.pointer(pointer).unwrap().clone();
        let _ = message(&node.attempt(&body), code);
    }
}

#[test]
fn a_failed_attempt_changes_nothing_but_the_nodes_own_record() {
    let node = Node::start();
    let before = node.snapshot();
    for body in failures(&node) {
        let _ = node.attempt(&body);
        let mut after = node.snapshot();
        for name in ["node.a", "node.b"] {
            after.insert(name.into(), before[std::path::Path::new(name)].clone());
        }
        assert_eq!(after, before);
    }
}

#[test]
fn after_an_error_a_new_attempt_may_start() {
    let mut node = Node::start();
    for body in failures(&node) {
        assert_eq!(node.attempt(&body)["state"], "error");
    }
    node.restart();
    assert_eq!(node.call(&Request::create(&body::refused())).status, 400);
    node.create();
    assert_eq!(node.call(&Request::create(&body::create())).status, 409);
}

/// Bodies that are accepted and end in an error: of the paths, the address, the licence.
fn failures(node: &Node) -> Vec<Value> {
    let file = node.directory().write("in the way", "");
    vec![
        with_paths(&[("persistent_path", &file), ("ephemeral_path", "/nowhere/at/all")]),
        body::create_with("/node/identity/addr", "192.0.2.7".into()),
        body::create_with("/license", "no licence".into()),
        body::create_with("/license", licence::signed(&licence::statement()).into()),
    ]
}

#[test]
fn validation_says_what_the_action_would() {
    let node = Node::start();
    for body in failures(&node) {
        let validated = node.call(&Request::validate(&body));
        assert_eq!(validated.status, 406);
        let ended = node.attempt(&body);
        assert_eq!(without_times(&validated.json()), without_times(&ended));
        assert!(validated.json()["start_time"].is_string() && validated.json()["end_time"].is_string());
    }
    for action in ["join_cluster", "recover_cluster"] {
        let body = json!({"recovery_filename": "/tmp/x", "credentials": {"username": "a", "password": "b"}});
        let validated = node.call(&Request::post(&format!("/v1/bootstrap/validate/{action}"), body.to_string()));
        assert_eq!(validated.status, 406, "{action}");
        accept(&node, &format!("/v1/bootstrap/{action}"), body.to_string());
        assert_eq!(without_times(&validated.json()), without_times(&node.ended()));
    }
}

#[test]
fn validation_of_a_refused_body_says_what_the_action_would() {
    let node = Node::start();
    let several = json!({"cluster": {"name": "-", "nodes": 1}, "cnm_https_port": 0, "action": "join_cluster"});
    for body in ["", "[", "{}", "null", "{\"a\":1,\"a\":2}", &body::refused().to_string(), &several.to_string()] {
        let validated = node.call(&Request::post(VALIDATE, body));
        assert_eq!(validated.status, 406, "{body}");
        let answer = node.call(&Request::post(CREATE, body));
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(validated.json(), node.bootstrap_status(), "{body}");
        assert_eq!(validated.json()["error_details"], answer.json()["error_details"], "{body}");
        assert!(!pointers(&validated.json()["error_details"]).is_empty());
    }
}

#[test]
fn validation_changes_nothing() {
    let mut node = Node::start();
    let mut states = vec![node.bootstrap_status()];
    for round in 0..2 {
        let before = node.snapshot();
        for body in failures(&node).iter().chain([&body::refused()]) {
            assert_eq!(node.call(&Request::validate(body)).status, 406);
        }
        assert_eq!(node.call(&Request::post(VALIDATE, "[\0")).status, 406);
        for body in [body::create(), everything().0, text_create_for(&node)] {
            let answer = node.call(&Request::validate(&body));
            assert_eq!((answer.status, answer.text()), (200, "{}"), "{answer:?}");
            assert_eq!(answer.header("Content-Type"), Some("application/json"));
        }
        assert_eq!(node.snapshot(), before);
        assert_eq!(node.bootstrap_status(), states[round]);
        states.push(node.attempt(&failures(&node)[0]));
    }
    node.restart();
    assert_eq!(node.bootstrap_status(), states[2]);
    node.create();
}

#[test]
fn what_validation_finds_good_completes() {
    let node = Node::start();
    let body = everything().0;
    assert_eq!(node.call(&Request::validate(&body)).status, 200);
    assert_eq!(node.attempt(&body)["state"], "completed");
    let answer = node.call(&Request::validate(&body));
    assert_eq!((answer.status, answer.error_code()), (409, "already_bootstrapped".to_owned()));
}

#[test]
fn validations_at_once_are_answered_or_told_to_come_again() {
    let node = Node::start();
    let host = node.address().to_string();
    let mut connections: Vec<Connection> = (0..32).map(|_| node.connect()).collect();
    for connection in &mut connections {
        connection.send(Request::validate(&body::create()).bytes(&host));
    }
    let mut statuses = BTreeSet::new();
    for connection in &mut connections {
        let answer = connection.answer();
        statuses.insert(answer.status);
        match answer.status {
            200 => assert_eq!(answer.text(), "{}"),
            503 => {
                assert_eq!(answer.error_code(), "busy");
                assert!(answer.header("Retry-After").is_some());
            }
            other => panic!("{other}: {answer:?}"),
        }
    }
    assert!(statuses.contains(&200), "{statuses:?}");
    assert_eq!(node.bootstrap_status(), json!({"state": "idle"}));
}

#[test]
fn internal_error_a_restart_ends_a_running_attempt_and_says_so() {
    let mut cut_short = 0;
    for index in 0..8 {
        let mut node = Node::start();
        let answer = node.call(&Request::create(&body::create()));
        assert_eq!(answer.status, 200);
        thread::sleep(Duration::from_millis(index * 5));
        if index % 2 == 0 {
            node.kill9();
            node.run();
        } else {
            // It must not hold the operator up either.
            node.restart();
        }
        node.assert_tidy();
        let status = node.bootstrap_status();
        if is_completed_or_cut_short(&status) {
            assert_eq!(node.get("/v1/bootstrap").status, 401);
        } else {
            cut_short += 1;
            assert_eq!(node.get("/v1/cluster").status, 503);
            node.create();
        }
    }
    assert!(cut_short > 0, "no attempt was cut short: this tests nothing");
}

#[test]
fn a_completed_cluster_survives_restarts() {
    let mut node = Node::created();
    let documents = |node: &Node| {
        let status = node.bootstrap_status().to_string();
        let others = ["/v1/cluster", "/v1/license"].map(|path| node.get_as_admin(path).text().to_owned());
        (status, recorded(node, 1), others)
    };
    let before = documents(&node);
    for _ in 0..3 {
        node.restart();
        assert!(node.output().contains("(state completed)"), "{}", node.output());
        assert_eq!(documents(&node), before);
        node.kill9();
        node.run();
        assert_eq!(documents(&node), before);
    }
    node.assert_tidy();
}
