//! Joining with a client certificate in the place of a password.

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
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bootstrapd_tests::cluster::{join, join_body, join_fails, lists, node, prepared, uid};
use bootstrapd_tests::exit::CONFIG;
use bootstrapd_tests::tls::{Authority, Signed, client, client_of, client_showing};
use bootstrapd_tests::{Connection, Node, Request, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustls::ClientConfig;
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};

const CERTIFICATE: &str = "/internal/v1/login/certificate";
const UNTRUSTED: &str = "its certificate is not trusted";
const NOT_TAKEN: &str =
    "that node does not take the client certificate: it is not by what its --client-ca names, or it has none";

/// Who signs the certificates of members, and who those of joiners.
#[derive(Default)]
struct Trusts {
    members: Authority,
    joiners: Authority,
}

impl Trusts {
    /// A node whose certificate is good; not started.
    fn node(&self) -> Node {
        let mut node = prepared(&[]);
        let signed = self.members.sign(&["127.0.0.1"]);
        let [certificate, key] = [("node.pem", &signed.certificate), ("node.key", &signed.key)];
        let [certificate, key] = [certificate, key].map(|(name, text)| file(&node, name, text));
        node.add_options(&["--tls-cert", &certificate, "--tls-key", &key]);
        node
    }

    /// The same, and it takes joiners with certificates.
    fn host(&self) -> Node {
        let mut node = self.node();
        let authority = file(&node, "joiners.pem", &self.joiners.certificate());
        node.add_options(&["--client-ca", &authority]);
        node.run();
        node
    }

    fn founder(&self) -> Node {
        let founder = self.host();
        founder.create();
        founder
    }

    /// What a joiner shows.
    fn joiner(&self) -> Signed {
        self.joiners.sign(&["joiner.example"])
    }

    /// What joins through nodes with a certificate.
    fn body(&self, through: &[SocketAddr], shown: &Signed) -> Value {
        let mut body = join_body(through);
        body["credentials"] = json!({
            "client_cert": shown.certificate,
            "client_key": shown.key,
            "trusted_ca": self.members.certificate(),
        });
        body["max_retries"] = json!(0);
        body
    }
}

/// A file beside a node's state.
fn file(node: &Node, name: &str, text: &str) -> String {
    let path = node.directory().path().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn completes(joiner: &Node, body: &Value) {
    joiner.accept("join_cluster", body);
    let status = joiner.ended();
    assert_eq!(status["state"], "completed", "{status}\n{}", joiner.log());
}

/// The member's answer to a message of this length, over TLS.
fn answer(node: &Node, config: &Arc<ClientConfig>, length: usize) -> u16 {
    Connection::secure(node.address(), config).call(&Request::post(CERTIFICATE, vec![7; length])).status
}

#[test]
fn a_certificate_joins_through_any_member() {
    let trusts = Trusts::default();
    let founder = trusts.founder();
    let second = trusts.host();
    completes(&second, &trusts.body(&[founder.address()], &trusts.joiner()));
    // A member sends the joiner on to the founder, where it shows its certificate again.
    let third = node();
    completes(&third, &trusts.body(&[second.address()], &trusts.joiner()));
    assert_eq!(uid(&third), 3);
    for node in [&founder, &second, &third] {
        lists(node, &[(1, "active"), (2, "active"), (3, "active")]);
    }
    // The administrator's credentials came with the record.
    assert_eq!(third.get_as_admin("/v1/cluster").status, 200);
    assert_eq!(third.get("/v1/cluster").status, 401);
}

#[test]
fn who_shows_no_certificate_is_served_as_ever() {
    let trusts = Trusts::default();
    let founder = trusts.founder();
    let strange = Authority::default().sign(&["joiner.example"]);
    let configs = [
        client(),
        client_of(&[&TLS12]),
        client_showing(&trusts.joiner(), &[&TLS12, &TLS13]),
        client_showing(&trusts.joiner(), &[&TLS12]),
        // Somebody may show one to everybody that is meant for others.
        client_showing(&strange, &[&TLS13]),
    ];
    for config in &configs {
        let answer = Connection::secure(founder.address(), config).call(&Request::get("/healthz"));
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = Connection::secure(founder.address(), config).call(&Request::get("/v1/cluster"));
        assert_eq!(answer.status, 401, "no certificate stands for credentials: {answer:?}");
    }
    assert_eq!(founder.get("/healthz").status, 200);
    join(&node(), &founder);
    let over_tls = node();
    let mut body = join_body(&[founder.address()]);
    body["credentials"]["trusted_ca"] = json!(trusts.members.certificate());
    completes(&over_tls, &body);
    lists(&founder, &[(1, "active"), (2, "active"), (3, "active")]);
}

#[test]
fn a_certificate_that_the_member_does_not_know_is_no_credentials() {
    let trusts = Trusts::default();
    let founder = trusts.founder();
    let mut without = trusts.node();
    without.run();
    without.create();
    let joiner = node();
    let strange = Authority::default().sign(&["joiner.example"]);
    // Nor one that the authority of the members has signed.
    let member = trusts.members.sign(&["127.0.0.1"]);
    let past = trusts.joiners.sign_with(&["joiner.example"], |parameters| {
        parameters.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let server = trusts.joiners.sign_with(&["joiner.example"], |parameters| {
        parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    let good = trusts.joiner();
    let cases = [(&founder, &strange), (&founder, &member), (&founder, &past), (&founder, &server), (&without, &good)];
    for (to, shown) in cases {
        let status = join_fails(&joiner, &trusts.body(&[to.address()], shown), "access_denied");
        assert_eq!(status["error_details"]["message"], NOT_TAKEN);
        assert!(!joiner.state_file("persistent/ccs").exists());
        lists(to, &[(1, "active")]);
    }
    completes(&joiner, &trusts.body(&[founder.address()], &trusts.joiner()));
}

#[test]
fn a_founder_that_takes_no_certificates_admits_nobody_by_one() {
    let trusts = Trusts::default();
    let mut founder = trusts.node();
    founder.run();
    founder.create();
    let second = trusts.host();
    join(&second, &founder);
    let joiner = node();
    let status = join_fails(&joiner, &trusts.body(&[second.address()], &trusts.joiner()), "access_denied");
    assert_eq!(status["error_details"]["message"], NOT_TAKEN);
    lists(&founder, &[(1, "active"), (2, "active")]);
}

#[test]
fn a_certificate_is_shown_to_a_trusted_member_only_and_never_in_the_clear() {
    let trusts = Trusts::default();
    let founder = trusts.founder();
    let mut misnamed = prepared(&[]);
    let signed = trusts.members.sign(&["127.0.0.2"]);
    let [certificate, key] =
        [("node.pem", &signed.certificate), ("node.key", &signed.key)].map(|(name, text)| file(&misnamed, name, text));
    misnamed.add_options(&["--tls-cert", &certificate, "--tls-key", &key]);
    misnamed.run();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = listener.local_addr().unwrap();
    let first = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        let _ = std::io::Write::write_all(&mut client, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        byte[0]
    });
    let joiner = node();
    let mut elsewhere = trusts.body(&[founder.address()], &trusts.joiner());
    elsewhere["credentials"]["trusted_ca"] = json!(Authority::default().certificate());
    let bodies =
        [elsewhere, trusts.body(&[misnamed.address()], &trusts.joiner()), trusts.body(&[plain], &trusts.joiner())];
    for body in bodies {
        let status = join_fails(&joiner, &body, "connect_error");
        let expected = json!([{"node": body["cluster"]["nodes"][0], "reason": UNTRUSTED}]);
        assert_eq!(status["error_details"]["nodes_tried"], expected);
    }
    assert_eq!(first.join().unwrap(), 0x16);
    lists(&founder, &[(1, "active")]);
}

#[test]
fn what_cannot_be_shown_is_a_config_error_and_nobody_is_asked() {
    let trusts = Trusts::default();
    let shown = trusts.joiner();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let joiner = node();
    let garbage = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    let cases = [
        ("trusted_ca", Value::Null, "credentials.trusted_ca is required"),
        ("trusted_ca", json!(garbage("CERTIFICATE")), "credentials.trusted_ca holds no certificate"),
        ("client_cert", json!(garbage("CERTIFICATE")), "credentials.client_cert holds no certificate"),
        ("client_cert", json!(shown.key), "credentials.client_cert holds no certificate"),
        ("client_key", json!(garbage("PRIVATE KEY")), "credentials.client_key holds no private key"),
        ("client_key", json!(shown.certificate), "credentials.client_key holds no private key"),
        ("client_key", json!(trusts.joiner().key), "credentials.client_key is not the key of"),
    ];
    for (name, value, message) in cases {
        let mut body = trusts.body(&[listener.local_addr().unwrap()], &shown);
        body["credentials"][name] = value;
        let status = join_fails(&joiner, &body, "config_error");
        let found = status["error_details"]["message"].as_str().unwrap();
        assert!(found.starts_with(message), "{name}: {status}");
    }
    assert!(listener.accept().is_err(), "somebody was asked");
}

#[test]
fn a_validation_says_the_same_and_changes_nothing() {
    let trusts = Trusts::default();
    let founder = trusts.founder();
    let joiner = node();
    let validate = |body: &Value| joiner.call(&Request::post("/v1/bootstrap/validate/join_cluster", body.to_string()));
    let answer = validate(&trusts.body(&[founder.address()], &trusts.joiner()));
    assert_eq!((answer.status, answer.text()), (200, "{}"));
    let strange = Authority::default().sign(&["joiner.example"]);
    let answer = validate(&trusts.body(&[founder.address()], &strange));
    assert_eq!(answer.status, 406, "{answer:?}");
    assert_eq!(answer.json()["error_code"], "access_denied", "{answer:?}");
    lists(&founder, &[(1, "active")]);
}

#[test]
fn the_route_takes_a_good_certificate_in_tls_1_3_only() {
    let trusts = Trusts::default();
    let host = trusts.host();
    let good = client_showing(&trusts.joiner(), &[&TLS13]);
    assert_eq!(answer(&host, &good, 100), 404, "before a cluster");
    host.create();
    let strange = Authority::default().sign(&["joiner.example"]);
    assert_eq!(host.call(&Request::post(CERTIFICATE, vec![7; 100])).status, 403);
    for config in [client(), client_showing(&strange, &[&TLS13]), client_showing(&trusts.joiner(), &[&TLS12])] {
        assert_eq!(answer(&host, &config, 100), 403);
    }
    // The certificate is good, the message is not.
    assert_eq!(answer(&host, &good, 15), 400);
    for length in [16, 55, 56, 1000] {
        assert_eq!(answer(&host, &good, length), 403, "{length}");
    }
    let answer = Connection::secure(host.address(), &good).call(&Request::get(CERTIFICATE));
    assert_eq!(answer.status, 405, "{answer:?}");
    lists(&host, &[(1, "active")]);
}

#[test]
fn whose_certificates_are_good_must_be_known_at_the_start() {
    let mut node = prepared(&[]);
    let nothing = file(&node, "nothing.pem", "-----BEGIN CERTIFICATE-----\n");
    for named in [&*nothing, "/nowhere"] {
        node.add_options(&["--client-ca", named]);
        node.spawn();
        assert_eq!(node.ready_or_ended(), Err(CONFIG), "{}", node.log());
        assert!(node.log().contains(named), "{}", node.log());
    }
}

#[test]
fn whose_certificates_are_good_is_read_again_when_the_node_is_told_to() {
    let trusts = Trusts::default();
    let founder = trusts.founder();
    let (other, joiner) = (Authority::default(), node());
    let body = trusts.body(&[founder.address()], &other.sign(&["joiner.example"]));
    let hang_up = |words: &str| {
        kill(Pid::from_raw(founder.pid().cast_signed()), Signal::SIGHUP).unwrap();
        eventually(words, || founder.log().contains(words).then_some(()));
    };
    let place = |text: &str| fs::write(founder.directory().path().join("joiners.pem"), text).unwrap();
    join_fails(&joiner, &body, "access_denied");
    place("");
    hang_up("stays the old one");
    join_fails(&joiner, &body, "access_denied");
    completes(&node(), &trusts.body(&[founder.address()], &trusts.joiner()));
    place(&other.certificate());
    hang_up("judged anew");
    join_fails(&node(), &trusts.body(&[founder.address()], &trusts.joiner()), "access_denied");
    completes(&joiner, &body);
}

#[test]
fn the_key_is_nowhere_to_be_seen() {
    let trusts = Trusts::default();
    let founder = trusts.founder();
    let joiner = node();
    let shown = trusts.joiner();
    completes(&joiner, &trusts.body(&[founder.address()], &shown));
    let canary = shown.key.lines().nth(1).unwrap().as_bytes();
    let holds = |bytes: &[u8]| bytes.windows(canary.len()).any(|window| window == canary);
    assert!(!holds(joiner.log().as_bytes()) && !joiner.log().contains("PRIVATE"), "{}", joiner.log());
    for (name, content) in joiner.snapshot() {
        assert!(!holds(&content.unwrap_or_default()), "{}", name.display());
    }
    let pid = joiner.pid();
    let Ok(memory) = fs::File::open(format!("/proc/{pid}/mem")) else { return };
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        if memory.read_exact_at(&mut bytes, start).is_ok() {
            assert!(!holds(&bytes), "in memory: {line}");
        }
    }
}
