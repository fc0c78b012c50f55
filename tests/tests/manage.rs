//! A cluster is changed and checked once it is there: by PUT, durable before the answer, on the founder only; and what a
//! client asks for right after a bootstrap.

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
use std::thread;
use std::time::{Duration, Instant};

use bootstrapd_tests::body::{self, PASSWORD, USER};
use bootstrapd_tests::cluster::{all_list, founder, join, lists, node, node_with, of, sent_away};
use bootstrapd_tests::record::CLUSTER;
use bootstrapd_tests::{Answer, Node, Random, Request, eventually, licence};
use serde_json::{Value, json};

/// What takes a PUT.
const PUTS: [&str; 3] = ["/v1/nodes/1", "/v1/license", "/v1/cluster/policy"];
/// What is there to be read, and only in a managed program.
const GETS: [&str; 6] =
    ["/v1/cluster/check", "/v1/nodes/check/1", "/v1/cluster/policy", "/v1/bdbs", "/v1/modules", "/v1/users"];

#[expect(clippy::needless_pass_by_value, reason = "bodies are made where they are given")]
fn request(target: &str, body: impl ToString) -> Request {
    Request::put(target, body.to_string()).login(USER, PASSWORD)
}

fn put(node: &Node, target: &str, body: impl ToString) -> Answer {
    node.call(&request(target, body))
}

/// A PUT that must be acted on, or be no change.
fn puts(node: &Node, target: &str, body: impl ToString) {
    let answer = put(node, target, body);
    assert_eq!((answer.status, answer.text()), (200, ""), "{}", node.log());
}

fn get(node: &Node, target: &str) -> Value {
    let answer = node.get_as_admin(target);
    assert_eq!(answer.status, 200, "{target}: {answer:?}");
    answer.json()
}

/// How a node's own record reads, wherever it lies.
fn record(node: &Node) -> Vec<Vec<u8>> {
    CLUSTER.map(|name| fs::read(node.state_file(name)).unwrap()).to_vec()
}

#[test]
fn what_a_put_says_is_there_at_once_and_after_a_kill() {
    let mut node = Node::created();
    puts(&node, "/v1/nodes/1", json!({"external_addr": ["192.0.2.24", "2001:db8::1"], "accept_servers": false}));
    puts(&node, "/v1/nodes/1", json!({"rack_id": "rack-1", "somebody": "unknown"}));
    puts(&node, "/v1/cluster/policy", json!({"rack_aware": true}));
    let check = |node: &Node| {
        let found = get(node, "/v1/nodes/1");
        assert_eq!(found["external_addr"], json!(["192.0.2.24", "2001:db8::1"]));
        assert_eq!((&found["accept_servers"], &found["rack_id"]), (&json!(false), &json!("rack-1")));
        assert_eq!(get(node, "/v1/cluster")["rack_aware"], true);
        assert_eq!(get(node, "/v1/cluster/policy")["rack_aware"], true);
    };
    check(&node);
    let [a, b] = &record(&node)[..] else { panic!() };
    assert_eq!(a, b);
    node.kill9();
    node.run();
    check(&node);
    node.assert_tidy();
    assert!(node.log().contains("pointer=\"/somebody\""), "{}", node.log());
}

#[test]
fn what_is_so_already_is_not_written_again() {
    let node = Node::created();
    puts(&node, "/v1/nodes/1", json!({"external_addr": "192.0.2.1", "rack_id": "r", "accept_servers": true}));
    puts(&node, "/v1/cluster/policy", json!({"rack_aware": true}));
    let (record, log) = (record(&node), node.log());
    for body in [
        json!({}),
        json!({"rack_id": null}),
        json!({"external_addr": ["192.0.2.1"], "rack_id": "R", "accept_servers": true}),
    ] {
        puts(&node, "/v1/nodes/1", &body);
    }
    for body in [json!({}), json!({"rack_aware": true})] {
        puts(&node, "/v1/cluster/policy", &body);
    }
    assert_eq!((record, log), (self::record(&node), node.log()));
}

#[test]
fn a_body_that_is_wrong_says_where_and_changes_nothing() {
    let node = Node::created();
    let before = record(&node);
    let cases = [
        ("/v1/nodes/1", "", ""),
        ("/v1/nodes/1", "[]", ""),
        ("/v1/nodes/1", "{\"rack_id\":}", ""),
        ("/v1/nodes/1", r#"{"rack_id":"1"}"#, "/rack_id"),
        ("/v1/nodes/1", r#"{"rack_id":7}"#, "/rack_id"),
        ("/v1/nodes/1", r#"{"external_addr":["::1","x"]}"#, "/external_addr/1"),
        ("/v1/nodes/1", r#"{"accept_servers":"no"}"#, "/accept_servers"),
        ("/v1/nodes/1", r#"{"addr":"10.0.0.1"}"#, "/addr"),
        ("/v1/nodes/1", r#"{"rack_id":"r","max_listeners":5}"#, "/max_listeners"),
        ("/v1/cluster/policy", r#"{"rack_aware":false}"#, "/rack_aware"),
        ("/v1/cluster/policy", r#"{"default_shards_placement":"sparse"}"#, "/default_shards_placement"),
        ("/v1/license", "{}", "/license"),
        ("/v1/license", r#"{"license":""}"#, "/license"),
    ];
    for (target, body, pointer) in cases {
        let answer = put(&node, target, body);
        assert_eq!((answer.status, answer.error_code()), (400, "config_error".to_owned()), "{target} {body}");
        assert!(answer.description().starts_with("invalid_schema: "), "{answer:?}");
        assert_eq!(answer.json()["error_details"]["problems"][0]["pointer"], pointer, "{target} {body}");
    }
    // What is well formed, and cannot be.
    let answer = put(&node, "/v1/nodes/2", json!({"rack_id": "r"}));
    assert_eq!((answer.status, answer.error_code()), (404, "node_not_found".to_owned()));
    let answer = put(&node, "/v1/cluster/policy", json!({"rack_aware": true}));
    assert_eq!((answer.status, answer.error_code()), (400, "rack_id_required".to_owned()));
    assert_eq!(answer.json()["error_details"]["uids"], json!([1]));
    assert_eq!(before, record(&node));
    puts(&node, "/v1/nodes/1", json!({"rack_id": "r"}));
    let answer = put(&node, "/v1/nodes/1", json!({"rack_id": "s", "accept_servers": false}));
    assert_eq!((answer.status, answer.error_code()), (406, "node_already_has_rack_id".to_owned()));
    assert_eq!(get(&node, "/v1/nodes/1")["accept_servers"], true);
}

#[test]
fn an_empty_body_that_waits_for_its_login_is_refused_at_once() {
    let mut node = Node::created();
    for target in PUTS {
        // No login is known after a start: each has to be checked.
        node.restart();
        let mut connection = node.connect();
        let asked = Instant::now();
        let answer = connection.call(&request(target, ""));
        assert_eq!((answer.status, answer.error_code()), (400, "config_error".to_owned()), "{target}");
        // A body that is missing is waited for for 10 s.
        assert!(asked.elapsed() < Duration::from_secs(8), "{target}");
        // The connection goes on.
        assert_eq!(connection.call(&request("/v1/nodes/1", "{}")).status, 200, "{target}");
    }
}

#[test]
fn a_put_is_judged_like_a_post() {
    let node = Node::created();
    let own = format!("http://{}", node.address());
    let body = r#"{"accept_servers":false}"#;
    for target in PUTS {
        for denied in [Request::put(target, body), Request::put(target, body).login(USER, "wrong")] {
            let answer = node.call(&denied);
            assert_eq!((answer.status, answer.text()), (401, ""), "{target}");
        }
        for (name, value) in [("Origin", "http://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")] {
            assert_eq!(node.call(&request(target, body).header(name, value)).status, 403, "{target} {name}: {value}");
        }
        let typed =
            |value: &str| Request::typeless("PUT", target, body).login(USER, PASSWORD).header("Content-Type", value);
        assert_eq!(node.call(&typed("text/plain")).status, 415, "{target}");
        let typeless = Request::typeless("PUT", target, body).login(USER, PASSWORD).header("Origin", &own);
        assert_eq!(node.call(&typeless).status, 403, "{target}");
        let answer = node.call(&Request::new("PUT", target).login(USER, PASSWORD));
        assert_eq!((answer.status, answer.error_code()), (411, "length_required".to_owned()), "{target}");
        let long = " ".repeat(64 * 1024 + 1);
        assert_eq!(node.call(&request(target, long)).status, 413, "{target}");
        for method in ["POST", "DELETE", "PATCH"] {
            let answer = node.call(&Request::typeless(method, target, body).login(USER, PASSWORD));
            assert_eq!(answer.status, 405, "{method} {target}");
            assert_eq!(answer.header("Allow"), Some("GET, HEAD, PUT, OPTIONS"));
        }
    }
    for target in ["/v1/nodes", "/v1/cluster", "/v1/users", "/v1/bdbs", "/v1/modules", "/v1/cluster/check"] {
        let answer = put(&node, target, body);
        assert_eq!((answer.status, answer.header("Allow")), (405, Some("GET, HEAD, OPTIONS")), "{target}");
    }
    assert_eq!(get(&node, "/v1/nodes/1")["accept_servers"], true);
    // What plain `curl -d` sends, in pieces, and of the longest.
    let form =
        Request::typeless("PUT", "/v1/nodes/1", body).header("Content-Type", "application/x-www-form-urlencoded");
    assert_eq!(node.call(&form.login(USER, PASSWORD).header("Origin", "")).status, 403);
    let form =
        Request::typeless("PUT", "/v1/nodes/1", body).header("Content-Type", "application/x-www-form-urlencoded");
    assert_eq!(node.call(&form.login(USER, PASSWORD)).status, 200);
    let longest = format!("{}{body}", " ".repeat(64 * 1024 - body.len()));
    assert_eq!(node.call(&request("/v1/nodes/1", longest).header("Origin", &own)).status, 200);
    assert_eq!(get(&node, "/v1/nodes/1")["accept_servers"], false);
    let mut connection = node.connect();
    let chunked = Request::new("PUT", "/v1/nodes/1").login(USER, PASSWORD);
    let chunked = chunked.header("Transfer-Encoding", "chunked").header("Expect", "100-continue");
    connection.send(chunked.bytes("localhost"));
    assert_eq!(connection.answer().status, 100);
    connection.send("2\r\n{}\r\n0\r\n\r\n");
    assert_eq!(connection.answer().status, 200);
    // The connection goes on.
    assert_eq!(connection.call(&Request::get("/healthz")).status, 200);
}

#[test]
fn before_a_cluster_there_is_nothing_to_change_or_to_see() {
    let node = Node::start();
    for target in PUTS {
        let answer = node.call(&Request::put(target, "{}"));
        assert_eq!((answer.status, answer.error_code()), (503, "no_cluster".to_owned()), "{target}");
    }
    for target in GETS {
        for method in ["GET", "HEAD"] {
            assert_eq!(node.call(&Request::new(method, target)).status, 503, "{method} {target}");
        }
        assert_eq!(node.get(target).error_code(), "no_cluster", "{target}");
        assert_eq!(node.call(&Request::new("OPTIONS", target)).status, 200, "{target}");
    }
    assert_eq!(node.state_name(), "idle");
}

#[test]
fn what_clients_ask_for_right_after_a_bootstrap_is_there() {
    let node = Node::created();
    for target in GETS {
        assert_eq!(node.get(target).status, 401, "{target}");
        let _ = get(&node, target);
    }
    for target in ["/v1/bdbs", "/v1/modules"] {
        assert_eq!(get(&node, target), json!([]), "{target}");
    }
    let users = get(&node, "/v1/users");
    assert_eq!(users.as_array().unwrap().len(), 1);
    let created = get(&node, "/v1/cluster")["created_time"].clone();
    let user = json!({
        "uid": 1, "email": USER, "name": USER, "role": "admin", "auth_method": "regular", "status": "active",
        "email_alerts": false, "password_issue_date": created
    });
    assert_eq!(users[0], user);
    assert_eq!(get(&node, "/v1/cluster/policy")["default_shards_placement"], "dense");
    assert_eq!(get(&node, "/v1/nodes/check/1"), json!({"node_uid": 1, "result": true}));
    let all = json!({"cluster_test_result": true, "nodes": [{"node_uid": 1, "result": true}]});
    assert_eq!(get(&node, "/v1/cluster/check"), all);
    assert_eq!(node.get_as_admin("/v1/nodes/check/2").status, 404);
    let (local, own) = (get(&node, "/v1/bootstrap")["local_node_info"].clone(), get(&node, "/v1/nodes/1"));
    for name in [
        "uid",
        "architecture",
        "cores",
        "os_version",
        "total_memory",
        "software_version",
        "ephemeral_storage_path",
        "ephemeral_storage_size",
        "persistent_storage_path",
        "persistent_storage_size",
    ] {
        assert_eq!(local[name], own[name], "{name}");
    }
    assert!(own["uptime"].is_u64() && own["system_time"].is_string(), "{own}");
    assert_eq!((&own["shard_count"], &own["shard_list"]), (&json!(0), &json!([])));
}

#[test]
fn the_founder_changes_the_record_and_the_members_have_it_with_the_next_beat() {
    let mut nodes = of(3);
    all_list(&nodes, 3);
    for (index, uid) in [1, 2, 3].into_iter().enumerate() {
        let rack = format!("r{index}");
        puts(
            &nodes[0],
            &format!("/v1/nodes/{uid}"),
            json!({"rack_id": rack, "external_addr": [format!("192.0.2.{uid}")]}),
        );
    }
    puts(&nodes[0], "/v1/cluster/policy", json!({"rack_aware": true}));
    for node in &nodes {
        eventually("the change", || (get(node, "/v1/cluster")["rack_aware"] == true).then_some(()));
        let found = get(node, "/v1/nodes");
        assert_eq!((&found[2]["rack_id"], &found[2]["external_addr"]), (&json!("r2"), &json!(["192.0.2.3"])));
        let check = get(node, "/v1/cluster/check");
        assert_eq!(check["cluster_test_result"], true, "{check}");
    }
    // A member says who does it.
    for member in &nodes[1..] {
        for target in PUTS {
            let answer = put(member, target, "{}");
            assert_eq!((answer.status, answer.error_code()), (409, "not_founder".to_owned()), "{target}");
            assert!(answer.description().contains(&nodes[0].address().to_string()), "{answer:?}");
        }
    }
    // It stays so, whoever is killed; a founder that comes back first hears all.
    for node in &mut nodes {
        node.kill9();
        node.run();
    }
    for node in &nodes {
        assert_eq!(get(node, "/v1/nodes/2")["rack_id"], "r1");
        assert_eq!(get(node, "/v1/cluster")["rack_aware"], true);
    }
    eventually("the founder is ready", || {
        let answer = put(&nodes[0], "/v1/nodes/3", json!({"accept_servers": false}));
        assert!(answer.status == 200 || answer.error_code() == "not_ready", "{answer:?}");
        (answer.status == 200).then_some(())
    });
    eventually("the change", || (get(&nodes[1], "/v1/nodes/3")["accept_servers"] == false).then_some(()));
    // And it counts: who comes without a rack is not let in.
    let joiner = node();
    let body = bootstrapd_tests::cluster::join_body(&[nodes[1].address()]);
    joiner.accept("join_cluster", &body);
    assert_eq!(joiner.ended()["error_code"], "rack_id_required");
}

#[test]
fn checks_say_who_is_down_and_what_is_broken() {
    let mut nodes = of(3);
    all_list(&nodes, 3);
    assert_eq!(get(&nodes[1], "/v1/nodes/check/3"), json!({"node_uid": 3, "result": true}));
    nodes[2].kill9();
    lists(&nodes[0], &[(1, "active"), (2, "active"), (3, "down")]);
    let check = get(&nodes[0], "/v1/cluster/check");
    assert_eq!(check["cluster_test_result"], false);
    let results: Vec<_> = check["nodes"].as_array().unwrap().iter().map(|node| node["result"].clone()).collect();
    assert_eq!(results, [json!(true), json!(true), json!(false)]);
    assert!(get(&nodes[0], "/v1/nodes/check/3")["error"].as_str().unwrap().contains("down"));
    // The founder is missed.
    nodes[0].kill9();
    let error = eventually("the founder is missed", || {
        get(&nodes[1], "/v1/nodes/check/2")["error"].as_str().map(str::to_owned)
    });
    assert!(error.contains("founder") && error.contains(&nodes[0].address().to_string()), "{error}");
    let missed = get(&nodes[1], "/v1/nodes/check/1");
    assert!(missed["error"].as_str().is_some_and(|error| error.contains("is down")), "{missed}");
    nodes[0].run();
    eventually("the founder is back", || (get(&nodes[1], "/v1/nodes/check/2")["result"] == true).then_some(()));
    let own = |expected: &str, name: &str| {
        let error = get(&nodes[0], "/v1/nodes/check/1")["error"].as_str().map(str::to_owned);
        let error = error.unwrap_or_default();
        assert!(error.contains(expected) && error.contains(name), "{error}");
    };
    // A copy that is gone, or damaged, or another.
    for (name, other) in
        [(CLUSTER[0], CLUSTER[1]), (CLUSTER[1], CLUSTER[0]), ("node.a", "node.b"), ("node.b", "node.a")]
    {
        let (file, whole) = (nodes[0].state_file(name), fs::read(nodes[0].state_file(other)).unwrap());
        fs::remove_file(&file).unwrap();
        own("is missing", name);
        fs::write(&file, &whole[1..]).unwrap();
        own("bootstrapd", name);
        fs::write(&file, &whole).unwrap();
        assert_eq!(get(&nodes[0], "/v1/nodes/check/1")["result"], true);
    }
    // A directory that is gone.
    let ephemeral = nodes[0].state_file("ephemeral");
    fs::remove_dir_all(&ephemeral).unwrap();
    own("does not exist", "ephemeral");
    assert_eq!(get(&nodes[0], "/v1/cluster/check")["nodes"][0]["result"], false);
    fs::create_dir(&ephemeral).unwrap();
    assert_eq!(get(&nodes[0], "/v1/nodes/check/1")["result"], true);
}

#[test]
fn many_checks_at_once_are_all_answered() {
    let node = Node::created();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for target in ["/v1/cluster/check", "/v1/nodes/check/1"] {
                    let _ = get(&node, target);
                }
            });
        }
    });
}

#[test]
fn racing_puts_are_all_made_and_each_answer_is_true() {
    let node = founder();
    // Beside them nodes join.
    let joiners: Vec<Node> = (0..3).map(|_| self::node()).collect();
    let body = bootstrapd_tests::cluster::join_body(&[node.address()]);
    for joiner in &joiners {
        joiner.accept("join_cluster", &body);
    }
    let taken: Vec<bool> = thread::scope(|scope| {
        let tries: Vec<_> = (0..12)
            .map(|number| {
                let node = &node;
                scope.spawn(move || {
                    let answer = put(node, "/v1/nodes/1", json!({"rack_id": format!("r{number}")}));
                    assert!(matches!(answer.status, 200 | 406), "{answer:?}");
                    puts(node, "/v1/nodes/1", json!({"external_addr": [format!("192.0.2.{number}")]}));
                    answer.status == 200
                })
            })
            .collect();
        tries.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 1, "{taken:?}");
    let winner = taken.iter().position(|taken| *taken).unwrap();
    assert_eq!(get(&node, "/v1/nodes/1")["rack_id"], format!("r{winner}"));
    for joiner in &joiners {
        assert_eq!(joiner.ended()["state"], "completed", "{}", joiner.log());
    }
    lists(&node, &[(1, "active"), (2, "active"), (3, "active"), (4, "active")]);
}

#[test]
fn a_kill_between_leaves_the_old_record_or_the_new_one() {
    let mut node = Node::created();
    let mut random = Random::new();
    let mut known = json!([]);
    for round in 0..40 {
        let wanted = json!([format!("192.0.2.{round}")]);
        let mut client = node.connect();
        client.send(request("/v1/nodes/1", json!({"external_addr": wanted})).bytes("localhost"));
        thread::sleep(Duration::from_micros(random.below(40_000) as u64));
        node.kill9();
        let acknowledged = client.try_answer().is_ok_and(|answer| answer.status == 200);
        node.run();
        let found = get(&node, "/v1/nodes/1")["external_addr"].clone();
        assert!(found == wanted || (!acknowledged && found == known), "{known} {wanted} {found} {acknowledged}");
        assert_eq!(get(&node, "/v1/nodes/check/1")["result"], true);
        node.assert_tidy();
        known = found;
    }
}

#[test]
fn a_record_that_cannot_be_saved_is_a_503_and_the_old_one_stays() {
    let node = Node::created();
    let directory = node.state_file("persistent/ccs");
    let aside = node.state_file("persistent/aside");
    fs::rename(&directory, &aside).unwrap();
    fs::write(&directory, "in the way").unwrap();
    let answer = put(&node, "/v1/nodes/1", json!({"accept_servers": false}));
    assert_eq!((answer.status, answer.error_code()), (503, "internal_error".to_owned()));
    assert_eq!(get(&node, "/v1/nodes/1")["accept_servers"], true);
    fs::remove_file(&directory).unwrap();
    fs::rename(&aside, &directory).unwrap();
    puts(&node, "/v1/nodes/1", json!({"accept_servers": false}));
    assert_eq!(get(&node, "/v1/nodes/1")["accept_servers"], false);
}

#[test]
fn a_licence_is_installed_or_says_what_is_wrong_with_it() {
    let key = ["--license-key", &licence::public_key()];
    let (mut founder, joiner) = (node_with(&key), node_with(&key));
    founder.create();
    join(&joiner, &founder);
    let signed = |name: &str, value: Value| {
        let mut statement = licence::statement();
        statement[name] = value;
        licence::signed(&statement)
    };
    let cases = [
        (400, "malformed", "no licence".to_owned()),
        (400, "malformed", "----- LICENSE START -----\ndi+iK...KniI9\n----- LICENSE END -----\n".to_owned()),
        (400, "bad_signature", licence::forged(&licence::statement())),
        (406, "expired", signed("expiration_date", "2021-01-01T00:00:00Z".into())),
        (406, "not_yet_active", signed("activation_date", "2098-12-31T23:59:59Z".into())),
        (406, "cluster_name_mismatch", signed("cluster_name", "other.cluster".into())),
        (406, "node_limit_exceeded", signed("node_limit", 1.into())),
    ];
    let before = record(&founder);
    for (status, violation, license) in cases {
        let answer = put(&founder, "/v1/license", json!({"license": license}));
        assert_eq!((answer.status, answer.error_code()), (status, "invalid_license".to_owned()), "{violation}");
        assert_eq!(answer.json()["error_details"]["violation"], violation, "{answer:?}");
    }
    assert_eq!(before, record(&founder));
    let license = licence::signed(&licence::statement());
    puts(&founder, "/v1/license", json!({"license": license}));
    let installed = |node: &Node| {
        let found = get(node, "/v1/license");
        (found["license"] == json!(license) && found["shards_limit"] == 12 && found["owner"] == "Tests").then_some(())
    };
    installed(&founder).unwrap();
    eventually("the member has it", || installed(&joiner));
    founder.kill9();
    founder.run();
    installed(&founder).unwrap();
    assert!(!founder.log().contains("LICENSE"), "{}", founder.log());
}

#[test]
fn who_was_sent_away_changes_nothing_and_its_check_says_so() {
    let mut nodes = of(2);
    nodes[1].kill9();
    lists(&nodes[0], &[(1, "active"), (2, "down")]);
    let fresh = node();
    let body = bootstrapd_tests::cluster::join_body_with(&[nodes[0].address()], "/node/identity/uid", json!(2));
    fresh.accept("join_cluster", &body);
    assert_eq!(fresh.ended()["state"], "completed");
    nodes[1].run();
    sent_away(&nodes[1]);
    let answer = put(&nodes[1], "/v1/nodes/2", "{}");
    assert_eq!((answer.status, answer.error_code()), (409, "not_a_member".to_owned()));
    assert_eq!(nodes[1].call(&Request::put("/v1/nodes/2", "{}")).status, 401);
    let error = get(&nodes[1], "/v1/nodes/check/2")["error"].as_str().unwrap().to_owned();
    assert!(error.contains("sent away"), "{error}");
}

#[test]
fn a_bootstrap_goes_on_as_ever_after_changes() {
    let node = Node::created();
    puts(&node, "/v1/nodes/1", json!({"rack_id": "r"}));
    assert_eq!(node.call(&Request::create(&body::create())).status, 409);
}
