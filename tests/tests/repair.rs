//! Members that die: noticed, replaced, and told so when they wake up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "whatever fails here fails a test"
)]

use std::time::{Duration, Instant};

use bootstrapd_tests::cluster::{
    BEAT, founder, join, join_body, join_body_with, join_fails, lists, node, node_with, of, outcast, prepared, replace,
    sent_away, uid,
};
use bootstrapd_tests::{body, eventually, run_with};
use serde_json::{Value, json};

#[test]
fn a_killed_member_is_down_after_three_beats_and_active_again_when_it_is_back() {
    let mut nodes = of(3);
    bootstrapd_tests::cluster::all_list(&nodes, 3);
    let killed = Instant::now();
    nodes[1].kill9();
    let expected = [(1, "active"), (2, "down"), (3, "active")];
    lists(&nodes[0], &expected);
    let took = killed.elapsed();
    assert!(took > BEAT * 2 && took < BEAT * 6, "{took:?}");
    lists(&nodes[2], &expected);
    nodes[1].run();
    bootstrapd_tests::cluster::all_list(&nodes, 3);
}

#[test]
fn the_others_see_that_the_founder_is_down_and_that_it_is_back() {
    let mut nodes = of(3);
    bootstrapd_tests::cluster::all_list(&nodes, 3);
    nodes[0].kill9();
    for member in &nodes[1..] {
        lists(member, &[(1, "down"), (2, "active"), (3, "active")]);
    }
    nodes[0].run();
    bootstrapd_tests::cluster::all_list(&nodes, 3);
}

#[test]
fn a_member_that_swallows_what_it_is_sent_keeps_nobody_from_being_seen_or_admitted() {
    let mut nodes = of(3);
    nodes[2].kill9();
    // It takes connections and says nothing, as an address without a machine does.
    let silent = std::net::TcpListener::bind(nodes[2].address()).unwrap();
    lists(&nodes[0], &[(1, "active"), (2, "active"), (3, "down")]);
    let start = Instant::now();
    while start.elapsed() < BEAT * 8 {
        let listed = bootstrapd_tests::cluster::listed(&nodes[0]);
        assert_eq!(listed.iter().map(|(_, status)| &**status).collect::<Vec<_>>(), ["active", "active", "down"]);
        std::thread::sleep(Duration::from_millis(50));
    }
    // A founder that was started waits for three beats, and no longer.
    nodes[0].restart();
    assert_eq!(replace(&node(), &nodes[0], 3)["state"], "completed");
    drop(silent);
}

#[test]
fn a_founder_that_comes_back_takes_nobody_for_dead() {
    let mut nodes = of(3);
    nodes[0].kill9();
    std::thread::sleep(BEAT * 5);
    nodes[0].run();
    let start = Instant::now();
    while start.elapsed() < BEAT * 5 {
        let listed = bootstrapd_tests::cluster::listed(&nodes[0]);
        assert!(listed.iter().all(|(_, status)| status == "active"), "{listed:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn repair_required_names_the_dead_and_whom_to_replace_and_the_replacement_gets_the_number() {
    let mut nodes = of(3);
    nodes[1].kill9();
    lists(&nodes[0], &[(1, "active"), (2, "down"), (3, "active")]);
    let joiner = node();
    let status = join_fails(&joiner, &join_body(&[nodes[2].address()]), "repair_required");
    assert_eq!(status["error_details"]["failed_nodes"], json!([{"uid": 2}]));
    assert_eq!(status["error_details"]["replace_candidate"], 2);

    let status = replace(&joiner, &nodes[2], 2);
    assert_eq!(status["state"], "completed", "{status}");
    assert_eq!(uid(&joiner), 2);
    lists(&nodes[0], &[(1, "active"), (2, "active"), (3, "active")]);

    // The replaced one wakes up: told so by the first member that it reaches, it shows nothing to strangers.
    nodes[1].run();
    let message = sent_away(&nodes[1]);
    assert!(message.contains("replaced"), "{message}");
    assert_eq!(nodes[1].get("/v1/bootstrap").status, 401);
    nodes[1].restart();
    sent_away(&nodes[1]);
    lists(&nodes[2], &[(1, "active"), (2, "active"), (3, "active")]);

    // And may join again, as somebody else.
    let body = join_body(&[nodes[0].address()]);
    let request = bootstrapd_tests::Request::post("/v1/bootstrap/join_cluster", body.to_string());
    assert_eq!(nodes[1].call(&request).status, 401);
    assert_eq!(nodes[1].call(&request.login(body::USER, body::PASSWORD)).status, 200);
    let status = nodes[1].ended();
    assert_eq!(status["state"], "completed", "{status}");
    assert_eq!(uid(&nodes[1]), 4);
}

#[test]
fn a_node_that_was_sent_away_and_cut_short_on_its_way_into_another_cluster_stays_closed_and_usable() {
    let mut node = outcast(|_| {});
    let own = ["node.a", "node.b"].map(|name| (node.state_file(name), std::fs::read(node.state_file(name)).unwrap()));

    let other = founder();
    let body = join_body(&[other.address()]);
    let join = bootstrapd_tests::Request::post("/v1/bootstrap/join_cluster", body.to_string());
    let join = join.login(body::USER, body::PASSWORD);
    assert_eq!(node.call(&join).status, 200);
    assert_eq!(node.ended()["state"], "completed");
    // As if the plug had been pulled when the other cluster's record was there, and before the node's own said so.
    node.kill9();
    for (file, content) in own {
        std::fs::write(file, content).unwrap();
    }
    node.run();
    sent_away(&node);
    assert_eq!(node.get("/v1/bootstrap").status, 401);
    assert_eq!(node.get_as_admin("/v1/bootstrap").status, 200);
}

#[test]
fn whoever_administered_the_cluster_that_sent_a_node_away_is_nobody_in_its_next_one() {
    // Before a cluster it asks for a token, which the verbs go on to show.
    let node = outcast(|node| {
        let token = node.directory().write("token", "a token");
        std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        node.add_options(&["--setup-token-file", &token]);
    });
    let token = node.directory().join("token");

    let create = body::create_with("/credentials/password", json!("another"));
    let url = node.url();
    let words = ["create", "--url", &url, "--setup-token-file", &token];
    assert_eq!(run_with(&words, &[], &create.to_string()).code, Some(77));
    let logged_in = [&words[..], &["--user", body::USER]].concat();
    let outcome = run_with(&logged_in, &[("BOOTSTRAPD_PASSWORD", "wrong")], &create.to_string());
    assert_eq!(outcome.code, Some(77), "{outcome:?}");
    // The login is remembered.
    assert_eq!(node.get_as_admin("/v1/bootstrap").status, 200);
    let outcome = run_with(
        &[&logged_in[..], &["--no-wait"]].concat(),
        &[("BOOTSTRAPD_PASSWORD", body::PASSWORD)],
        &create.to_string(),
    );
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    eventually("the end", || (node.get("/readyz").status == 200).then_some(()));
    assert_eq!(node.get_as_admin("/v1/nodes").status, 401);
    let another = bootstrapd_tests::Request::get("/v1/nodes").login(body::USER, "another");
    assert_eq!(node.call(&another).status, 200);
}

#[test]
fn only_a_dead_node_can_be_replaced_and_only_by_one() {
    let mut nodes = of(2);
    let joiner = node();
    let message = |status: &Value| status["error_details"]["message"].as_str().unwrap().to_owned();
    let at = |uid: u64| join_body_with(&[nodes[0].address()], "/node/identity/uid", json!(uid));
    assert!(message(&join_fails(&joiner, &at(9), "config_error")).contains("no node with the uid 9"));
    assert!(message(&join_fails(&joiner, &at(2), "config_error")).contains("is not down"));
    assert!(message(&join_fails(&joiner, &at(1), "config_error")).contains("is not down"));
    nodes[1].kill9();
    lists(&nodes[0], &[(1, "active"), (2, "down")]);
    assert_eq!(replace(&joiner, &nodes[0], 2)["state"], "completed");
    let late = node();
    let status = replace(&late, &nodes[0], 2);
    assert!(message(&status).contains("is not down"), "{status}");
}

#[test]
fn a_dead_node_may_come_back_with_its_own_number_from_an_empty_disk() {
    let mut nodes = of(2);
    let place = nodes[1].address();
    nodes[1].kill9();
    lists(&nodes[0], &[(1, "active"), (2, "down")]);
    let mut again = prepared(&[]);
    again.listen_on(place);
    again.run();
    assert_eq!(replace(&again, &nodes[0], 2)["state"], "completed");
    lists(&nodes[0], &[(1, "active"), (2, "active")]);
}

#[test]
fn rack_id_required_names_the_racks_and_a_replacement_keeps_the_dead_ones() {
    let founder = node();
    let mut create = body::create_with("/policy/rack_aware", json!(true));
    body::set(&mut create, "/node/identity/rack_id", json!("rack-1"));
    assert_eq!(founder.attempt(&create)["state"], "completed");
    let joiner = node();
    let body = |rack: &str| join_body_with(&[founder.address()], "/node/identity/rack_id", json!(rack));
    let status = join_fails(&joiner, &join_body(&[founder.address()]), "rack_id_required");
    assert_eq!(status["error_details"]["current_rack_ids"], json!(["rack-1"]));
    joiner.accept("join_cluster", &body("rack-2"));
    assert_eq!(joiner.ended()["state"], "completed");
    let mut dead = joiner;
    dead.kill9();
    lists(&founder, &[(1, "active"), (2, "down")]);

    let other = node();
    let status = join_fails(&other, &body("rack-3"), "repair_required");
    assert_eq!(status["error_details"]["failed_nodes"], json!([{"uid": 2, "rack_id": "rack-2"}]));
    let mut replacing = body("rack-3");
    body::set(&mut replacing, "/node/identity/uid", json!(2));
    let status = join_fails(&other, &replacing, "config_error");
    assert_eq!(status["error_details"]["required_rack_id"], "rack-2");
    body::set(&mut replacing, "/node/identity/override_rack_id", json!(true));
    other.accept("join_cluster", &replacing);
    assert_eq!(other.ended()["state"], "completed");
}

#[test]
fn socket_directory_mismatch_and_node_config_mismatch_say_both_values() {
    let nodes = of(1);
    let other = node_with(&["--socket-dir", "/run/elsewhere"]);
    let status = join_fails(&other, &join_body(&[nodes[0].address()]), "socket_directory_mismatch");
    let details = &status["error_details"];
    assert_eq!((&details["expected"], &details["actual"]), (&json!("/run/bootstrapd"), &json!("/run/elsewhere")));

    let other = node_with(&["--config-dir", "/etc/elsewhere", "--install-dir", "/opt/elsewhere"]);
    let mut body = join_body_with(&[nodes[0].address()], "/required_version", json!("9.9.9"));
    body["cluster"]["name"] = json!("other.cluster");
    let status = join_fails(&other, &body, "node_config_mismatch");
    let mismatches = status["error_details"]["mismatches"].as_array().unwrap();
    let settings: Vec<&str> = mismatches.iter().map(|mismatch| mismatch["setting"].as_str().unwrap()).collect();
    assert_eq!(settings, ["required_version", "install_dir", "config_dir", "cluster_name"]);
    assert_eq!(
        mismatches[1],
        json!({"setting": "install_dir", "cluster": "/opt/bootstrapd", "node": "/opt/elsewhere"})
    );

    let six = node_with(&["--listen", "[::1]:0", "--advertise", "[::1]:9"]);
    let body = join_body_with(&[nodes[0].address()], "/node/identity/addr", json!("::1"));
    let status = join_fails(&six, &body, "node_config_mismatch");
    let expected = json!([{"setting": "ip_family", "cluster": "ipv4", "node": "ipv6"}]);
    assert_eq!(status["error_details"]["mismatches"], expected);
    join(&node(), &nodes[0]);
}
