//! Whose certificate is trusted: by the verbs that ask a node, and by nodes that join.

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
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use bootstrapd_tests::body::{PASSWORD, USER};
use bootstrapd_tests::cluster::{free_address, join_body_with, lists, node, prepared};
use bootstrapd_tests::exit::{CONFIG, DONE, UNREACHABLE, USAGE};
use bootstrapd_tests::{AT_ONCE, Node, body, run, run_with, tls};
use serde_json::json;

fn https(node: &Node) -> String {
    format!("https://{}", node.address())
}

/// A server of plain HTTP that answers at once, whatever it is asked, and keeps that.
fn plain() -> (SocketAddr, Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut buffer = [0; 4096];
            let count = client.read(&mut buffer).unwrap();
            kept.lock().unwrap().push(buffer[..count].to_vec());
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (address, asked)
}

fn assert_nothing_in_the_clear(asked: &Mutex<Vec<Vec<u8>>>) {
    let asked = asked.lock().unwrap();
    assert!(!asked.is_empty() && asked.iter().all(|bytes| bytes.first() == Some(&0x16)), "{asked:?}");
}

/// A file beside a node's state.
fn file(node: &Node, name: &str, text: &str) -> String {
    let path = node.directory().path().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A node that shows this certificate, on a port that it keeps; not started.
fn certified(signed: &tls::Signed) -> Node {
    let mut node = prepared(&[]);
    let [certificate, key] = [("node.pem", &signed.certificate), ("node.key", &signed.key)];
    let [certificate, key] = [certificate, key].map(|(name, text)| file(&node, name, text));
    node.add_options(&["--tls-cert", &certificate, "--tls-key", &key]);
    node
}

#[test]
fn status_shows_the_certificate_over_either() {
    let node = Node::start();
    for url in [node.url(), https(&node)] {
        let outcome = run(&["status", "--url", &url]);
        assert_eq!(outcome.code, DONE, "{outcome:?}");
        let line = format!("tls        SHA-256 {}\n", node.fingerprint());
        assert!(outcome.output.ends_with(&line), "{outcome:?}");
        let outcome = run(&["status", "--json", "--url", &url]);
        assert!(outcome.output.starts_with("{\"bootstrap_status\""), "{outcome:?}");
    }
}

#[test]
fn a_fingerprint_is_all_that_is_trusted() {
    let node = Node::start();
    let (url, right) = (https(&node), node.fingerprint());
    let bare = right.replace(':', "").to_lowercase();
    let wrong = format!("00{}", &bare[2..]);
    for (text, code) in [(&right, DONE), (&bare, DONE), (&wrong, UNREACHABLE), (&bare[1..].to_owned(), USAGE)] {
        let outcome = run(&["status", "--url", &url, "--fingerprint", text]);
        assert_eq!(outcome.code, code, "{outcome:?}");
        if code == UNREACHABLE {
            let says = outcome.errors.contains("not trusted") && outcome.errors.contains(&right);
            assert!(says && outcome.output.is_empty(), "{outcome:?}");
        }
    }
    // To wait is of no use: it will be the same next time.
    let start = Instant::now();
    let outcome = run(&["wait", "--url", &url, "--timeout", "60", "--fingerprint", &wrong]);
    assert_eq!(outcome.code, UNREACHABLE, "{outcome:?}");
    assert!(start.elapsed() < AT_ONCE && outcome.errors.contains(&right), "{outcome:?}");
    // Whoever names one wants it, whatever else would do.
    let outcome = run(&["status", "--url", &url, "--insecure", "--fingerprint", &wrong]);
    assert_eq!(outcome.code, UNREACHABLE, "{outcome:?}");
}

#[test]
fn an_authority_is_trusted_for_the_names_that_it_has_signed() {
    let authority = tls::Authority::default();
    let mut node = certified(&authority.sign(&["127.0.0.1"]));
    node.run();
    let mut other = certified(&authority.sign(&["127.0.0.2", "other.example"]));
    other.run();
    let ours = file(&node, "ca.pem", &authority.certificate());
    let theirs = file(&node, "theirs.pem", &tls::Authority::default().certificate());
    let nothing = file(&node, "nothing.pem", "-----BEGIN CERTIFICATE-----\n");
    let cases = [
        (&node, &*ours, DONE),
        (&node, &theirs, UNREACHABLE),
        (&other, &ours, UNREACHABLE),
        (&node, &nothing, CONFIG),
        (&node, "/nowhere", CONFIG),
    ];
    for (node, file, code) in cases {
        let outcome = run(&["status", "--url", &https(node), "--cacert", file]);
        assert_eq!(outcome.code, code, "{file}: {outcome:?}");
        let outcome = run_with(&["status", "--url", &https(node)], &[("REDIS_ENTERPRISE_CA_CERT", file)], "");
        assert_eq!(outcome.code, code, "{file}: {outcome:?}");
    }
    // A node's own certificate vouches for itself.
    let own = Node::start();
    let outcome = run(&["status", "--url", &https(&own), "--cacert", own.state_file("tls.pem").to_str().unwrap()]);
    assert_eq!(outcome.code, DONE, "{outcome:?}");
    // Nobody can be in between on this machine, and whoever says so trusts anybody.
    for (options, environment) in
        [(&[][..], &[][..]), (&["--insecure"], &[]), (&[], &[("REDIS_ENTERPRISE_INSECURE", "1")])]
    {
        let outcome = run_with(&[&["status", "--url", &https(&node)], options].concat(), environment, "");
        assert_eq!(outcome.code, DONE, "{outcome:?}");
    }
}

#[test]
fn a_certificate_that_is_named_itself_is_trusted_though_it_could_sign_others() {
    let over = |parameters: &mut rcgen::CertificateParams| parameters.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let cases = [
        (tls::self_signed(&["127.0.0.1"], |_| {}), DONE),
        (tls::self_signed(&["127.0.0.2"], |_| {}), UNREACHABLE),
        (tls::self_signed(&["127.0.0.1"], over), UNREACHABLE),
    ];
    let other = tls::self_signed(&["127.0.0.1"], |_| {});
    for (signed, code) in cases {
        let mut node = certified(&signed);
        node.run();
        let [own, others] =
            [("own.pem", &signed), ("others.pem", &other)].map(|(name, signed)| file(&node, name, &signed.certificate));
        let outcome = run(&["status", "--url", &https(&node), "--cacert", &own]);
        assert_eq!(outcome.code, code, "{outcome:?}");
        let outcome = run(&["status", "--url", &https(&node), "--cacert", &others]);
        assert_eq!(outcome.code, UNREACHABLE, "{outcome:?}");
    }
}

#[test]
fn a_whole_bootstrap_goes_over_tls() {
    let node = Node::start();
    let trusts = ["--url", &https(&node), "--fingerprint", &node.fingerprint()];
    let arguments = [&["create"], &trusts[..]].concat();
    let outcome = run_with(&arguments, &[], &body::create().to_string());
    assert_eq!(outcome.code, DONE, "{outcome:?}");
    let password = file(&node, "password", PASSWORD);
    let outcome = run(&[&["nodes", "--user", USER, "--password-file", &password], &trusts[..]].concat());
    assert!(outcome.output.contains("active"), "{outcome:?}");
}

#[test]
fn a_server_that_speaks_no_tls_is_no_answer() {
    let (address, asked) = plain();
    let outcome = run(&["status", "--url", &format!("https://{address}"), "--insecure"]);
    assert_eq!(outcome.code, UNREACHABLE, "{outcome:?}");
    assert!(outcome.errors.contains("does not speak TLS"), "{outcome:?}");
    assert_nothing_in_the_clear(&asked);
}

// Joining.

/// Carries bytes to a node and keeps what was sent there.
fn tap(to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let mut server = TcpStream::connect(to).unwrap();
            let (mut back_from, mut back_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
            let kept = Arc::clone(&kept);
            let mut client = client;
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = client.read(&mut buffer) {
                    kept.lock().unwrap().extend_from_slice(&buffer[..count]);
                    server.write_all(&buffer[..count]).unwrap();
                }
            });
        }
    });
    (address, seen)
}

#[test]
fn a_joiner_that_names_an_authority_joins_over_tls_through_any_member() {
    let authority = tls::Authority::default();
    let mut founder = certified(&authority.sign(&["127.0.0.1"]));
    founder.run();
    founder.create();
    let mut second = certified(&authority.sign(&["127.0.0.1"]));
    second.run();
    let (address, seen) = tap(founder.address());
    second
        .accept("join_cluster", &join_body_with(&[address], "/credentials/trusted_ca", json!(authority.certificate())));
    assert_eq!(second.ended()["state"], "completed");
    {
        let seen = seen.lock().unwrap();
        assert_eq!(seen.first(), Some(&0x16));
        assert!(!seen.windows(9).any(|window| window == b"/internal"), "something was said in the clear");
    }
    // A member sends the joiner on to the founder, which shows its own.
    let third = node();
    let through = [second.address()];
    third.accept("join_cluster", &join_body_with(&through, "/credentials/trusted_ca", json!(authority.certificate())));
    assert_eq!(third.ended()["state"], "completed");
    lists(&founder, &[(1, "active"), (2, "active"), (3, "active")]);
}

#[test]
fn a_nodes_own_certificate_can_be_the_trusted_one() {
    let founder = node();
    founder.create();
    let own = fs::read_to_string(founder.state_file("tls.pem")).unwrap();
    let certificate = &own[own.find("-----BEGIN CERT").unwrap()..own.find("-----BEGIN PRIVATE").unwrap()];
    let joiner = node();
    let body = join_body_with(&[founder.address()], "/credentials/trusted_ca", json!(certificate));
    joiner.accept("join_cluster", &body);
    assert_eq!(joiner.ended()["state"], "completed");
}

#[test]
fn a_certificate_that_is_not_trusted_is_its_own_reason_and_no_plain_byte_follows() {
    let authority = tls::Authority::default();
    let mut good = certified(&authority.sign(&["127.0.0.1"]));
    good.run();
    good.create();
    let mut misnamed = certified(&authority.sign(&["127.0.0.2"]));
    misnamed.run();
    misnamed.create();
    let (plain, asked) = plain();
    let nobody = free_address();
    let joiner = node();
    let cases = [
        (good.address(), tls::Authority::default().certificate(), "its certificate is not trusted"),
        (misnamed.address(), authority.certificate(), "its certificate is not trusted"),
        (plain, authority.certificate(), "its certificate is not trusted"),
        (nobody, authority.certificate(), "connection refused"),
        (
            good.address(),
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
            "its certificate is not trusted",
        ),
    ];
    for (address, trusted, reason) in cases {
        let mut body = join_body_with(&[address], "/credentials/trusted_ca", json!(trusted));
        body["max_retries"] = json!(0);
        joiner.accept("join_cluster", &body);
        let status = joiner.ended();
        assert_eq!(status["error_code"], "connect_error", "{status}");
        let expected = json!([{"node": address.to_string(), "reason": reason}]);
        assert_eq!(status["error_details"]["nodes_tried"], expected);
    }
    assert_nothing_in_the_clear(&asked);
}
