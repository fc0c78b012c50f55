//! TLS as other programs speak it: curl, OpenSSL, Python, and etcd as a server of it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use bootstrapd_tests::cluster::free_address;
use bootstrapd_tests::{Node, body, eventually, exit, run, tls};

use crate::required;

fn output(command: &mut Command) -> (bool, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn curl_connects_with_and_without_looking_at_the_certificate() {
    let node = Node::start();
    let url = format!("https://{}/healthz", node.address());
    let own = node.state_file("tls.pem").to_str().unwrap().to_owned();
    for arguments in
        [&["-k"][..], &["--cacert", &own], &["-k", "--tls-max", "1.2"], &["-k", "--tlsv1.3"], &["-k", "--http2"]]
    {
        let (good, text) = output(required("curl").arg("-qsS").args(arguments).arg(&url));
        assert!(good && text == "ok", "{arguments:?}: {text}");
    }
    // The names are part of what is looked at.
    let named = url.replace("127.0.0.1", "localhost");
    assert!(output(required("curl").args(["-qsS", "--cacert", &own]).arg(named)).0);
    assert!(!output(required("curl").args(["-qs"]).arg(&url)).0, "curl trusts a stranger's certificate");
    // One connection, many requests.
    let (good, text) = output(required("curl").args(["-qsSk", "-w", "%{num_connects}\n"]).args([&url, &url, &url]));
    assert!(good && text.matches("ok").count() == 3 && text.matches('0').count() == 2, "{text}");
}

fn s_client(node: &Node, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &node.address().to_string()]).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    drop(stdin);
    child.wait().unwrap();
    text
}

#[test]
fn openssl_connects_in_both_versions_and_no_older_one() {
    assert!(output(Command::new("openssl").arg("version")).0, "this test needs openssl, and it is not installed");
    let node = Node::start();
    let own = node.state_file("tls.pem").to_str().unwrap().to_owned();
    let request = "GET /v1/bootstrap HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    for version in ["-tls1_2", "-tls1_3"] {
        let text = s_client(&node, &[version, "-CAfile", &own, "-verify_return_error"], request);
        assert!(text.contains("Verify return code: 0 (ok)") && text.contains("\"state\":\"idle\""), "{text}");
    }
    for version in ["-tls1", "-tls1_1"] {
        let text = s_client(&node, &[version, "-cipher", "ALL:@SECLEVEL=0"], request);
        assert!(!text.contains("HTTP/1.1"), "{version}: {text}");
    }
    let (good, text) =
        output(Command::new("openssl").args(["x509", "-noout", "-fingerprint", "-sha256", "-dates", "-in"]).arg(&own));
    assert!(good && text.contains(&node.fingerprint()), "{text}");
    assert!(text.contains("notBefore=Jan  1 00:00:00 2020 GMT") && text.contains(" 9999 GMT"), "{text}");
}

#[test]
fn keys_of_every_usual_kind_are_good() {
    let mut node = Node::prepare(&[]);
    let [certificate, key] =
        ["c.pem", "k.pem"].map(|name| node.directory().path().join(name).to_str().unwrap().to_owned());
    node.add_options(&["--tls-cert", &certificate, "--tls-key", &key]);
    for kind in [&["rsa:2048"][..], &["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], &["ed25519"]] {
        let mut command = Command::new("openssl");
        command.args([
            "req",
            "-x509",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=node",
            "-keyout",
            &key,
            "-out",
            &certificate,
        ]);
        assert!(output(command.arg("-newkey").args(kind)).0, "{kind:?}");
        node.run();
        let (good, text) = output(required("curl").args(["-qsSk", &format!("https://{}/healthz", node.address())]));
        assert!(good && text == "ok", "{kind:?}: {text}");
        node.terminate();
    }
}

#[test]
fn python_connects() {
    let node = Node::start();
    let own = node.state_file("tls.pem").to_str().unwrap().to_owned();
    let script = "import ssl, sys, urllib.request\n\
        context = ssl.create_default_context(cafile=sys.argv[2])\n\
        print(urllib.request.urlopen(sys.argv[1], context=context).read().decode())";
    let (good, text) =
        output(required("python3").args(["-c", script, &format!("https://{}/healthz", node.address()), &own]));
    assert!(good && text.trim() == "ok", "{text}");
}

/// Ends with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_store_that_speaks_tls_shows_a_certificate_that_is_looked_at() {
    required("etcd");
    let authority = tls::Authority::default();
    let signed = authority.sign(&["127.0.0.1"]);
    let mut node = Node::prepare(&[]);
    let write = |name: &str, text: &str| {
        let path = node.directory().path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let [certificate, key] = [write("etcd.pem", &signed.certificate), write("etcd.key", &signed.key)];
    let (ours, theirs) =
        (write("ca.pem", &authority.certificate()), write("other.pem", &tls::Authority::default().certificate()));
    let (client, peer) = (format!("https://{}", free_address()), format!("http://{}", free_address()));
    let mut command = Command::new("etcd");
    command.arg("--data-dir").arg(node.directory().path().join("etcd"));
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("default={peer}"), "--cert-file", &certificate, "--key-file", &key]);
    let etcd = Killed(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    eventually("etcd", || {
        output(required("curl").args(["-qsf", "--cacert", &ours, &format!("{client}/health")])).0.then_some(())
    });
    let store = format!("etcd={client}");
    let outcome = run(&["serve", "--store", &store, "--state-dir", "/nowhere"]);
    assert_eq!(outcome.code, exit::USAGE, "{outcome:?}");
    node.add_options(&["--store", &store, "--store-ca", &theirs]);
    node.run();
    let mut create = body::create();
    create["max_retries"] = 0.into();
    let status = node.attempt(&create);
    assert_eq!(status["error_details"]["nodes_tried"][0]["reason"], "its certificate is not trusted", "{status}");
    node.terminate();
    node.add_options(&["--store-ca", &ours]);
    node.run();
    assert_eq!(node.attempt(&create)["state"], "completed", "{}", node.log());
    drop(etcd);
}
