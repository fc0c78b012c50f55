//! The status document and everything else that a node answers before it is in a cluster.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "whatever fails here fails a test"
)]

use std::time::{Duration, SystemTime};

use bootstrapd_tests::{AT_ONCE, Node, Request, machine, run};
use serde_json::{Value, json};

const STATUS_PATHS: [&str; 3] = ["/v1/bootstrap", "/bootstrap", "/v1/boostrap"];
const GETS: [&str; 3] = ["/v1/bootstrap", "/healthz", "/readyz"];

fn seconds(text: &Value) -> i64 {
    // The days of the civil calendar since 1970, after H. Hinnant.
    let number = |from: usize, to: usize| text.as_str().unwrap()[from..to].parse::<i64>().unwrap();
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    days * 86_400 + number(11, 13) * 3600 + number(14, 16) * 60 + number(17, 19)
}

fn unix_time() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

#[test]
fn a_fresh_node_is_idle() {
    let node = Node::start();
    let answer = node.get("/v1/bootstrap");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["bootstrap_status"], json!({"state": "idle"}));
    assert_eq!(answer.text().matches("\"state\":\"").count(), 1);
    assert!(!answer.text().contains("null"));
    assert!(answer.text().contains("\"state\":\"idle\""));
    assert!(answer.text().starts_with("{\"bootstrap_status\":{\"state\":\"idle\"},\"local_node_info\":{"));
}

#[test]
fn one_line_says_where_it_answers_and_what_to_do_next() {
    let node = Node::start();
    let address = node.address();
    let expected = format!(
        "bootstrapd 0.1.0-1 answers on http://{address} (state idle); next: curl -s http://{address}/v1/bootstrap\n"
    );
    assert_eq!(node.output(), expected);
}

#[test]
fn every_listener_answers() {
    let node = Node::start_with(&["--listen", "127.0.0.1:0"]);
    assert_eq!(node.addresses().len(), 2);
    for address in node.addresses() {
        let answer = bootstrapd_tests::Connection::open(*address).call(&Request::get("/healthz"));
        assert_eq!(answer.status, 200);
    }
    assert!(node.output().contains(" and http://"), "{}", node.output());
}

#[test]
fn local_node_info_tells_of_this_machine() {
    let node = Node::prepare(&[]);
    let [persistent, ephemeral, bigstore] = ["p", "e", "b"].map(|name| node.directory().make(name));
    let mut node = node;
    node.add_options(&["--persistent-path", &persistent, "--ephemeral-path", &ephemeral]);
    node.add_options(&["--bigstore-path", &bigstore]);
    node.run();

    let info = node.get("/v1/bootstrap").json()["local_node_info"].take();
    assert!(info.get("uid").is_none(), "no uid without a cluster");
    assert_eq!(info["software_version"], "0.1.0-1");
    assert_eq!(info["architecture"], std::env::consts::ARCH);
    assert_eq!(info["cores"], machine::cores());
    assert_eq!(info["total_memory"], machine::memory());
    for (path_member, size_member, path) in [
        ("persistent_storage_path", "persistent_storage_size", &persistent),
        ("ephemeral_storage_path", "ephemeral_storage_size", &ephemeral),
        ("bigredis_storage_path", "bigstore_size", &bigstore),
    ] {
        assert_eq!(info[path_member], **path);
        assert_eq!(info[size_member], machine::file_system_size(path.as_ref()), "{size_member}");
    }
    assert_eq!(info.get("os_version").and_then(Value::as_str), machine::os_release("PRETTY_NAME").as_deref());
    assert_eq!(info.get("os_name").and_then(Value::as_str), machine::os_release("ID").as_deref());
    assert!(info["os_family"].is_string(), "{info}");
}

#[test]
fn addresses_stand_in_the_kernels_order_under_both_names() {
    let node = Node::start();
    let info = node.get("/v1/bootstrap").json()["local_node_info"].take();
    let expected = machine::addresses();
    let listed = info["available_addrs"].as_array().unwrap();
    assert_eq!(listed.len(), expected.len(), "{listed:?}");
    for (listed, (address, interface)) in listed.iter().zip(expected) {
        assert_eq!(listed["address"], address.to_string());
        assert_eq!(listed["format"], if address.is_ipv4() { "ipv4" } else { "ipv6" });
        assert_eq!(listed["if_name"], interface);
        assert!(listed["private"].is_boolean());
        assert_eq!(listed.as_object().unwrap().len(), 4);
    }
    assert_eq!(info["available_addrs"], info["available_addresses"]);
}

#[test]
fn clock_and_uptime_move_with_the_machine() {
    let node = Node::start();
    let first = node.get("/v1/bootstrap").json()["local_node_info"].take();
    assert!((unix_time() - seconds(&first["system_time"])).abs() <= 1, "{first}");
    assert!(machine::uptime().abs_diff(first["uptime"].as_u64().unwrap()) <= 1, "{first}");
    let start = std::time::Instant::now();
    loop {
        let later = node.get("/v1/bootstrap").json()["local_node_info"].take();
        if later["system_time"] != first["system_time"] && later["uptime"] != first["uptime"] {
            assert!(later["uptime"].as_u64() > first["uptime"].as_u64());
            break;
        }
        assert!(start.elapsed() < AT_ONCE, "{later}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_fact_that_cannot_be_had_is_left_out() {
    let mut node = Node::prepare(&[]);
    let missing = node.directory().join("missing");
    node.add_options(&["--ephemeral-path", &missing]);
    node.run();
    let answer = node.get("/v1/bootstrap");
    assert_eq!(answer.status, 200);
    let info = answer.json()["local_node_info"].take();
    assert!(info.get("ephemeral_storage_size").is_none(), "{info}");
    assert!(info["persistent_storage_size"].is_u64());
}

#[test]
fn the_aliases_are_the_same_resource() {
    let node = Node::start();
    let reference = node.get("/v1/bootstrap").json();
    for path in STATUS_PATHS {
        for suffix in ["", "/", "?", "?x=1&y=/a%20b", "/?x"] {
            let answer = node.get(&format!("{path}{suffix}"));
            assert_eq!(answer.status, 200, "{path}{suffix}");
            assert_eq!(answer.json()["bootstrap_status"], reference["bootstrap_status"]);
        }
    }
    let host = node.address();
    for target in [format!("http://{host}/v1/bootstrap"), format!("HTTP://{host}/bootstrap/?q")] {
        assert_eq!(node.get(&target).status, 200, "{target}");
    }
}

#[test]
fn nothing_else_is_an_alias() {
    let node = Node::start();
    for path in [
        "/v1/bootstrap//",
        "//v1/bootstrap",
        "/v1//bootstrap",
        "/v1/Bootstrap",
        "/V1/bootstrap",
        "/v1/%62ootstrap",
        "/v1/bootstrap%2f",
        "/v1/./bootstrap",
        "/v1/x/../bootstrap",
        "/v1/boostrap/create_cluster",
        "/v1/bootstrap/destroy_cluster",
        "/v1/bootstrap/validate",
        "/v1/nodes/one",
        "/v1/nodes/-1",
        "/v1/nodes/99999999999",
        "/v1",
        "/v1/",
        "/v2/bootstrap",
        "/internal/v1/join",
        "/healthz/x",
        "/favicon.ico",
    ] {
        for method in ["GET", "POST", "DELETE", "OPTIONS"] {
            let answer = node.call(&Request::new(method, path).header("Content-Length", "0"));
            assert_eq!(answer.status, 404, "{method} {path}");
            let _ = answer.error_code();
        }
    }
    assert_eq!(node.state_name(), "idle");
}

#[test]
fn head_is_get_without_the_body() {
    let node = Node::start();
    for (path, status) in [("/v1/bootstrap", 200), ("/healthz", 200), ("/readyz", 503), ("/", 503), ("/v1/nodes", 503)]
    {
        let mut connection = node.connect();
        let get = connection.call(&Request::get(path));
        let head = connection.call(&Request::new("HEAD", path));
        assert_eq!((get.status, head.status), (status, status), "{path}");
        assert_eq!(head.header("Content-Type"), get.header("Content-Type"));
        let length =
            |answer: &bootstrapd_tests::Answer| answer.header("Content-Length").unwrap().parse::<usize>().unwrap();
        assert_eq!(length(&get), get.body.len());
        assert_eq!(length(&head), length(&get), "{path}");
        // Had the HEAD had a body, this would not be an answer.
        assert_eq!(connection.call(&Request::get("/healthz")).status, 200);
    }
}

#[test]
fn options_and_405_say_what_is_allowed() {
    let node = Node::start();
    let get_like =
        ["/v1/bootstrap", "/bootstrap/", "/v1/nodes", "/v1/nodes/1", "/v1/cluster", "/v1/license", "/healthz"];
    let post_like =
        ["/v1/bootstrap/create_cluster", "/bootstrap/join_cluster", "/v1/bootstrap/validate/recover_cluster"];
    let cases = get_like.map(|path| (path, "GET")).into_iter().chain(post_like.map(|path| (path, "POST")));
    for (path, own) in cases {
        let mut allowed = if own == "GET" { vec!["GET", "HEAD", "OPTIONS"] } else { vec!["OPTIONS", "POST"] };
        let is_put = matches!(path, "/v1/nodes/1" | "/v1/license");
        allowed.extend(is_put.then_some("PUT"));
        for method in ["OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "FOO", "get"] {
            let answer = node.call(&Request::new(method, path));
            if is_put && method == "PUT" {
                assert_eq!(answer.error_code(), "no_cluster", "{path}");
                continue;
            }
            assert_eq!(answer.status, if method == "OPTIONS" { 200 } else { 405 }, "{method} {path}");
            let mut found: Vec<_> = answer.header("Allow").unwrap().split(", ").collect();
            found.sort_unstable();
            allowed.sort_unstable();
            assert_eq!(found, allowed, "{method} {path}");
            if method != "OPTIONS" {
                let _ = answer.error_code();
            }
        }
        let wrong = if own == "GET" { "POST" } else { "GET" };
        assert_eq!(node.call(&Request::new(wrong, path).header("Content-Length", "0")).status, 405, "{path}");
    }
    assert_eq!(node.state_name(), "idle");
}

#[test]
fn accept_that_excludes_json_is_406() {
    let node = Node::start();
    for good in ["application/json", "*/*", "application/*", "text/html, */*;q=0.1", "APPLICATION/JSON", ""] {
        let answer = node.call(&Request::get("/v1/bootstrap").header("Accept", good));
        assert_eq!(answer.status, 200, "{good}");
    }
    for bad in ["text/html", "application/xml, image/*", "application/json;q=0", "application/json;q=0.0, */*"] {
        let answer = node.call(&Request::get("/v1/bootstrap").header("Accept", bad));
        assert_eq!(answer.status, 406, "{bad}");
        let _ = answer.error_code();
    }
}

#[test]
fn before_a_cluster_there_is_nothing_to_show() {
    let node = Node::start();
    let expected = json!({"error_code": "no_cluster", "description": "No cluster bootstrapped"});
    for path in ["/", "/v1/nodes", "/v1/nodes/1", "/v1/nodes/2", "/v1/cluster", "/v1/license", "/v1/nodes/"] {
        let answer = node.get(path);
        assert_eq!(answer.status, 503, "{path}");
        assert_eq!(answer.json(), expected, "{path}");
    }
}

#[test]
fn probes_are_one_word() {
    let node = Node::start();
    for (path, status) in [("/healthz", 200), ("/readyz", 503)] {
        let answer = node.get(path);
        assert_eq!(answer.status, status);
        assert_eq!(answer.text().split_whitespace().count(), 1, "{:?}", answer.text());
    }
}

#[test]
fn no_answer_but_a_401_is_an_empty_page_and_none_is_cached() {
    let node = Node::start();
    for path in GETS {
        let answer = node.get(path);
        assert!(!answer.body.is_empty());
        assert!(answer.header("Date").is_some());
        assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{path}");
    }
}

#[test]
fn the_environment_says_what_flags_say() {
    let node = Node::prepare(&[]);
    let state = node.directory().join("elsewhere");
    let mut child = std::process::Command::new(bootstrapd_tests::program())
        .arg("serve")
        .env("BOOTSTRAPD_LISTEN", "127.0.0.1:0,127.0.0.1:0")
        .env("BOOTSTRAPD_STATE_DIR", &state)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(line.split(" (state").next().unwrap().matches("http://127.0.0.1:").count(), 2, "{line}");
    assert!(std::path::Path::new(&state).join("node.a").exists());
}

#[test]
fn sigterm_ends_it_with_zero() {
    let mut node = Node::start();
    // An open connection does not hold it.
    let _connection = node.connect();
    assert_eq!(node.terminate(), Some(0));
    assert_eq!(node.output().lines().count(), 1);
}

#[test]
fn a_second_instance_is_refused_and_names_the_directory() {
    let node = Node::start();
    let state = node.state().into_os_string().into_string().unwrap();
    let outcome = run(&["serve", "--listen", "127.0.0.1:0", "--state-dir", &state]);
    assert_eq!(outcome.code, Some(73), "{outcome:?}");
    assert!(outcome.errors.contains(&state), "{outcome:?}");
    assert_eq!(outcome.output, "");
    assert_eq!(node.state_name(), "idle");
}

#[test]
fn a_wrong_command_line_is_64() {
    let node = Node::prepare(&[]);
    let state = node.directory().join("state");
    for arguments in [
        &["serve", "--no-such-flag"][..],
        &["serve", "--listen"],
        &["serve", "--state-dir", &state, "--listen", "127.0.0.1"],
        &["serve", "--state-dir", &state, "--listen", "127.0.0.1:99999"],
        &["serve", "--state-dir", &state, "--listen", "127.0.0.1:0", "stray"],
        &["destroy"],
        &[],
    ] {
        let outcome = run(arguments);
        assert_eq!(outcome.code, Some(64), "{arguments:?}: {outcome:?}");
        assert!(!outcome.errors.is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_log_is_logfmt_and_polling_writes_nothing() {
    let node = Node::start_with(&["--listen", "0.0.0.0:0"]);
    assert!(node.log().lines().any(|line| line.contains("level=warn")), "a listener for everybody is worth a line");
    let before = node.log();
    let mut connection = node.connect();
    for _ in 0..200 {
        assert_eq!(connection.call(&Request::get("/v1/bootstrap")).status, 200);
    }
    let log = node.log();
    assert!(log.lines().count() <= before.lines().count() + 2, "{log}");
    for line in log.lines() {
        assert!(line.starts_with("level=") && line.contains(" msg="), "{line}");
    }
}

#[test]
fn files_are_private_to_their_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let node = Node::created();
    for (name, content) in node.snapshot() {
        if content.is_some() {
            let mode = node.state().join(&name).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", name.display());
        }
    }
}
