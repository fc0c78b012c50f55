//! The clients that the README's table names, as they come: each row has its test here. Their programs lie in
//! `tests/clients`; they speak TLS to a node that nobody gave a certificate, as they do to the product itself.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use bootstrapd_tests::body::{PASSWORD, USER};
use bootstrapd_tests::{Node, body, cluster};
use serde_json::{Value, json};

use crate::required;

const CREATE: &str = "/v1/bootstrap/create_cluster";
const JOIN: &str = "/v1/bootstrap/join_cluster";

/// How many seconds a client has. Only one that never ends needs them.
const PATIENCE: &str = "300";

fn https(node: &Node) -> String {
    format!("https://{}", node.address())
}

fn login() -> String {
    format!("{USER}:{PASSWORD}")
}

fn script(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name);
    path.into_os_string().into_string().unwrap()
}

/// A command that ends after so many seconds at the latest, and knows nothing of who runs the tests but where programs
/// are.
fn limited(seconds: &str, words: &[&str]) -> Command {
    let mut command = required("timeout");
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path))).env("LC_ALL", "C.UTF-8");
    command.arg(seconds).args(words);
    command
}

/// What a client says that succeeds.
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn run(words: &[&str]) -> String {
    done(&limited(PATIENCE, words).output().unwrap())
}

/// One of the loops of `loop.sh`.
fn repeat(seconds: &str, name: &str, url: &str) -> Command {
    drop((required("curl"), required("jq")));
    limited(seconds, &["sh", &script("loop.sh"), name, url, &login()])
}

/// Posts with `curl -k`, and `more` on its command line: the status and what it answers.
fn post(node: &Node, path: &str, body: &str, more: &[&str]) -> (u16, String) {
    drop(required("curl"));
    let url = format!("{}{path}", https(node));
    let words = [&["curl", "-q", "-sS", "-k", "-w", "\n%{http_code}", "-d", body], more, &[&url]].concat();
    let output = run(&words);
    let (answer, status) = output.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), answer.to_owned())
}

/// Posts what must be taken, and waits for the cluster.
fn creates(node: &Node, body: &Value, more: &[&str]) {
    assert_eq!(post(node, CREATE, &body.to_string(), more), (200, String::new()), "{body}");
    assert_eq!(node.ended()["state"], "completed", "{body}");
}

// Loops.

#[test]
fn a_curl_k_loop_waits_for_completed() {
    for (name, url) in [("completed", https as fn(&Node) -> String), ("completed", Node::url), ("name", https)] {
        let node = Node::start();
        let mut client = repeat(PATIENCE, name, &url(&node)).spawn().unwrap();
        thread::sleep(Duration::from_millis(300));
        assert_eq!(client.try_wait().unwrap(), None, "{name}");
        node.create();
        assert!(client.wait().unwrap().success(), "{name}");
    }
}

#[test]
fn loops_wait_until_a_node_is_there() {
    for name in ["head", "retry", "idle", "address"] {
        let mut node = Node::prepare(&[]);
        let address = cluster::free_address();
        node.listen_on(address);
        let mut client = repeat(PATIENCE, name, &format!("https://{address}")).stdout(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(300));
        assert_eq!(client.try_wait().unwrap(), None, "{name}");
        node.run();
        assert!(client.wait().unwrap().success(), "{name}");
    }
}

#[test]
fn a_loop_that_posts_until_it_is_taken_ends() {
    for name in ["post", "once"] {
        let mut node = Node::prepare(&[]);
        let address = cluster::free_address();
        node.listen_on(address);
        let mut client = repeat(PATIENCE, name, &format!("https://{address}")).spawn().unwrap();
        thread::sleep(Duration::from_millis(300));
        node.run();
        assert!(client.wait().unwrap().success(), "{name}");
        assert_eq!(node.ended()["state"], "completed", "{name}");
    }
}

#[test]
fn a_loop_that_posts_again_to_a_member_ends_if_it_reads_the_answer() {
    let node = Node::created();
    assert!(repeat(PATIENCE, "once", &https(&node)).status().unwrap().success());
    // 409 for ever.
    assert_eq!(repeat("1", "post", &https(&node)).status().unwrap().code(), Some(124));
}

#[test]
fn a_loop_that_waits_for_200_without_credentials_needs_open_status() {
    let node = Node::created();
    assert_eq!(repeat("1", "stranger", &https(&node)).status().unwrap().code(), Some(124));
    let node = Node::start_with(&["--open-status"]);
    node.create();
    for name in ["stranger", "head"] {
        assert!(repeat(PATIENCE, name, &https(&node)).status().unwrap().success(), "{name}");
    }
}

// Bodies.

#[test]
fn curl_d_without_a_content_type_creates() {
    creates(&Node::start(), &body::create(), &[]);
    creates(&Node::start(), &body::create(), &["-H", "Content-Type:"]);
}

#[test]
fn credentials_sent_early_do_no_harm() {
    for early in [&login(), "nobody:nothing", ":"] {
        let node = Node::start();
        let url = format!("{}/v1/bootstrap", https(&node));
        let status = run(&["curl", "-q", "-sS", "-k", "-f", "-u", early, &url]);
        assert!(status.contains("\"state\":\"idle\""), "{status}");
        creates(&node, &body::create(), &["-u", early]);
    }
}

#[test]
fn an_empty_licence_is_a_trial() {
    let node = Node::start();
    creates(&node, &body::create_with("/license", "".into()), &[]);
    let licence = node.get_as_admin("/v1/license").json();
    assert_eq!(licence["shards_limit"], 4, "{licence}");
}

#[test]
fn nodes_may_be_a_string() {
    let founder = cluster::founder();
    for nodes in [json!(founder.address().to_string()), json!([founder.address().to_string()])] {
        let joiner = cluster::node();
        let mut body = cluster::join_body(&[founder.address()]);
        body["cluster"]["nodes"] = nodes;
        // As public scripts do.
        body["policy"] = json!({"rack_aware": true});
        assert_eq!(post(&joiner, JOIN, &body.to_string(), &[]), (200, String::new()), "{body}");
        assert_eq!(joiner.ended()["state"], "completed", "{body}");
    }
}

#[test]
fn bodies_without_action_or_node_create() {
    for more in [json!({}), json!({"action": "create_cluster"}), json!({"node": {}}), json!({"node": {"identity": {}}})]
    {
        let mut body = body::create();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        creates(&Node::start(), &body, &[]);
    }
}

#[test]
fn unknown_members_are_taken_and_logged() {
    let node = Node::start();
    let mut body = body::create_with("/flash_enabled", true.into());
    body::set(&mut body, "/cluster/clobber", json!({"a": [1]}));
    body::set(&mut body, "/node/identity/site", Value::Null);
    creates(&node, &body, &[]);
    for pointer in ["/flash_enabled", "/cluster/clobber", "/node/identity/site"] {
        assert!(node.log().contains(pointer), "{pointer}: {}", node.log());
    }
}

#[test]
fn paths_of_the_products_own_container_must_exist() {
    let node = Node::start();
    let (persistent, ephemeral) = ("/node/paths/persistent_path", "/node/paths/ephemeral_path");
    let mut body = body::create_with(persistent, "/no/such/redislabs/persist".into());
    body::set(&mut body, ephemeral, "/no/such/redislabs/tmp".into());
    assert_eq!(post(&node, CREATE, &body.to_string(), &[]).0, 200);
    assert_eq!(node.ended()["error_code"], "path_error");
    for (name, pointer) in [("persist", persistent), ("tmp", ephemeral)] {
        let path = node.directory().path().join(name);
        std::fs::create_dir(&path).unwrap();
        body::set(&mut body, pointer, path.to_str().unwrap().into());
    }
    creates(&node, &body, &[]);
}

#[test]
fn an_action_that_is_not_the_paths_is_refused() {
    let node = Node::start();
    let body = json!({"action": "join_cluster",
        "cluster": {"nodes": ["127.0.0.1:9"], "username": USER, "password": PASSWORD}});
    let (status, answer) = post(&node, CREATE, &body.to_string(), &[]);
    assert_eq!(status, 400);
    assert!(answer.contains("invalid_schema") && answer.contains("/action"), "{answer}");
}

#[test]
fn databases_and_modules_are_empty_lists_and_cannot_be_made() {
    let node = Node::created();
    for (path, status) in [("/v1/bdbs", 405), ("/v1/modules", 405), ("/v2/modules", 404)] {
        assert_eq!(post(&node, path, r#"{"name":"db"}"#, &["-u", &login()]).0, status, "{path}");
    }
    for path in ["/v1/bdbs", "/v1/modules"] {
        let url = format!("{}{path}", https(&node));
        assert_eq!(run(&["curl", "-sfk", "-u", &login(), &url]), "[]", "{path}");
    }
}

// Programs.

#[test]
fn python_requests_creates_with_verify_false() {
    // Debian's own, which the package belongs to.
    let python = "/usr/bin/python3";
    assert!(
        limited(PATIENCE, &[python, "-c", "import requests"]).status().unwrap().success(),
        "this needs python3-requests"
    );
    let nodes = [Node::start(), Node::start()];
    let urls = [https(&nodes[0]), nodes[1].url()];
    let said = run(&[python, &script("create.py"), USER, PASSWORD, &urls[0], &urls[1]]);
    assert_eq!(said, "['active']\n".repeat(2));
}

#[test]
fn ansibles_uri_waits_with_until_and_creates() {
    drop(required("ansible-playbook"));
    let node = Node::start();
    let variables = json!({"url": https(&node), "user": USER, "password": PASSWORD}).to_string();
    let home = node.directory().path().join("home");
    let mut command = limited(
        PATIENCE,
        &["ansible-playbook", "-i", "localhost,", "-c", "local", &script("play.yml"), "-e", &variables],
    );
    let said = done(&command.env("HOME", &home).output().unwrap());
    assert!(said.contains("ok=5") && said.contains("failed=0"), "{said}");
    assert_eq!(node.state_name(), "completed");
}

#[test]
fn both_http_clients_of_java_create() {
    drop(required("javac"));
    let nodes: Vec<_> = (0..4).map(|_| Node::start()).collect();
    let urls = [https(&nodes[0]), https(&nodes[1]), nodes[2].url(), nodes[3].url()];
    let words = ["java", "-XX:TieredStopAtLevel=1", &script("Client.java"), USER, PASSWORD];
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    assert_eq!(run(&[&words[..], &urls].concat()), "true HTTP_1_1\n".repeat(4));
}

#[test]
fn the_crate_redis_enterprise_posts_with_post_action() {
    let nodes = [cluster::node(), cluster::node()];
    let address = nodes[0].address().to_string();
    let said = run(&[the_crates_client(), USER, PASSWORD, &https(&nodes[0]), &https(&nodes[1]), &address]);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 7, "{said}");
    // It creates, but expects a document where there is none; and its path to join by is none that is documented.
    assert!(lines[0].starts_with("create: ") && lines[0].contains("EOF"), "{said}");
    assert!(lines[1].starts_with("create again: ") && lines[1].contains("already part of a cluster"), "{said}");
    assert!(lines[2].starts_with("join: ") && lines[2].to_lowercase().contains("not found"), "{said}");
    assert_eq!(lines[3..], ["post_action join_cluster: ok", "nodes: ok", "cluster: ok", "license: ok"], "{said}");
}

/// Built once; `.ci/run` has built it before.
fn the_crates_client() -> &'static str {
    static BUILT: OnceLock<String> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients");
        let status = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "--locked",
                "--manifest-path",
                &script("redis-enterprise/Cargo.toml"),
                "--target-dir",
            ])
            .arg(&target)
            .status();
        assert!(status.unwrap().success(), "the client of the crate does not build");
        target.join("debug/redis-enterprise-client").into_os_string().into_string().unwrap()
    })
}

#[test]
fn a_container_health_check_asks_healthz_or_readyz() {
    drop(required("curl"));
    assert!(limited(PATIENCE, &["busybox", "true"]).status().unwrap().success(), "this needs busybox");
    let node = Node::start();
    let [plain, secure] = [node.url(), https(&node)];
    let checks = |path: &str| {
        let url = format!("{plain}{path}");
        let secure = format!("{secure}{path}");
        [
            limited(PATIENCE, &["curl", "-q", "-fsk", &secure]).output(),
            limited(PATIENCE, &["busybox", "wget", "-q", "-O", "/dev/null", &url]).output(),
            limited(PATIENCE, &["busybox", "wget", "-q", "--spider", &url]).output(),
            limited(PATIENCE, &["busybox", "wget", "-q", "--no-check-certificate", "-O", "/dev/null", &secure])
                .output(),
        ]
        .map(|output| output.unwrap().status.success())
    };
    assert_eq!(checks("/healthz"), [true; 4]);
    assert_eq!(checks("/readyz"), [false; 4]);
    assert_eq!(checks("/v1/bootstrap"), [true; 4]);
    node.create();
    assert_eq!(checks("/healthz"), [true; 4]);
    assert_eq!(checks("/readyz"), [true; 4]);
    // What was healthy before turns sick with the cluster.
    assert_eq!(checks("/v1/bootstrap"), [false; 4]);
}
