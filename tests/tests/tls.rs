//! TLS on the listeners, byte for byte: the handshake, what it may not do, and what plain HTTP promises, in it.

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
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use std::time::{Duration, Instant};

use bootstrapd_tests::body::{PASSWORD, USER};
use bootstrapd_tests::{Connection, Node, Request, body, eventually, exit, tls};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustls::{HandshakeKind, ProtocolVersion};

const STATUS: &str = "/v1/bootstrap";

fn get(target: &str) -> Request {
    Request::get(target)
}

/// A handshake's first message, as a client sends it.
fn client_hello() -> Vec<u8> {
    let name = "localhost".try_into().unwrap();
    let mut session = rustls::ClientConnection::new(tls::client(), name).unwrap();
    let mut bytes = Vec::new();
    session.write_tls(&mut bytes).unwrap();
    bytes
}

/// A record of a handshake.
fn record(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[0x16, 3, 1][..], &length, content].concat()
}

/// Reads until the connection ends, however it does.
fn wait_for_end(mut stream: &TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return all,
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return all,
            Err(error) => panic!("the connection stays: {error}"),
        }
    }
}

#[test]
fn both_versions_answer_as_plain_http_does() {
    let node = Node::start();
    let versions =
        [(&rustls::version::TLS13, ProtocolVersion::TLSv1_3), (&rustls::version::TLS12, ProtocolVersion::TLSv1_2)];
    for (version, expected) in versions {
        let mut connection = Connection::secure(node.address(), &tls::client_of(&[version]));
        for _ in 0..3 {
            assert_eq!(connection.call(&get(STATUS)).json()["bootstrap_status"]["state"], "idle");
        }
        assert_eq!(connection.session().protocol_version(), Some(expected));
        assert_eq!(connection.session().negotiated_cipher_suite().unwrap().version().version, expected);
        let answers = connection.pipeline(&[get("/healthz"), get("/readyz"), get("/nothing"), get("/healthz")]);
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 503, 404, 200]);
        assert_eq!(connection.call(&Request::new("HEAD", STATUS)).status, 200);
        // Behind the last answer the session is ended, not cut off.
        assert_eq!(connection.call(&get("/healthz").header("Connection", "close")).status, 200);
        assert!(connection.is_closed());
    }
    // The same listener still answers plain HTTP to this machine.
    assert_eq!(node.get(STATUS).status, 200);
}

#[test]
fn no_session_resumes_another() {
    let node = Node::start();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        // It remembers what it could go on with.
        let client = tls::client_of(&[version]);
        for _ in 0..3 {
            let mut connection = Connection::secure(node.address(), &client);
            assert_eq!(connection.call(&get("/healthz")).status, 200);
            assert_eq!(connection.session().handshake_kind(), Some(HandshakeKind::Full));
        }
    }
}

#[test]
fn a_node_is_bootstrapped_and_logged_in_to() {
    let node = Node::start();
    let mut connection = node.connect_tls();
    assert_eq!(connection.call(&Request::create(&body::create())).status, 200);
    assert_eq!(node.ended()["state"], "completed");
    // A login is checked aside: the session waits for it.
    let answers = connection.pipeline(&[get(STATUS).login(USER, PASSWORD), get("/v1/nodes").login(USER, PASSWORD)]);
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200]);
    assert_eq!(node.connect_tls().call(&get(STATUS)).status, 401);
    node.assert_tidy();
}

#[test]
fn the_certificate_is_made_once_and_kept() {
    let mut node = Node::start();
    let file = node.state_file("tls.pem");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let shown = |node: &Node| {
        let mut connection = node.connect_tls();
        connection.handshake().unwrap();
        let fingerprint = connection.fingerprint();
        assert_eq!(fingerprint, node.fingerprint());
        fingerprint
    };
    let first = shown(&node);
    let bytes = fs::read(&file).unwrap();
    node.restart();
    assert_eq!((shown(&node), fs::read(&file).unwrap()), (first.clone(), bytes.clone()));
    // Each byte counts: one that is damaged is no reason to make another one.
    assert_eq!(node.terminate(), Some(0));
    for at in [0, bytes.len() / 2, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        fs::write(&file, damaged).unwrap();
        node.spawn();
        assert_eq!(node.wait_exit(), exit::CONFIG);
        assert!(node.log().contains("tls.pem: the certificate is damaged"), "{}", node.log());
    }
    fs::write(&file, "").unwrap();
    node.spawn();
    assert_eq!(node.wait_exit(), exit::CONFIG);
    // One that is gone is made anew, and told.
    fs::remove_file(&file).unwrap();
    node.run();
    assert_ne!(shown(&node), first);
}

/// What a handshake stops at, and how much later than the tenth second it may be closed.
#[test]
fn a_handshake_that_never_ends_is_closed_in_time() {
    let node = Node::start();
    let hello = client_hello();
    let starts = [&hello[..1], &hello[..5], &hello[..hello.len() - 1], &hello[..]];
    let start = Instant::now();
    let streams: Vec<_> = starts.iter().map(|start| (TcpStream::connect(node.address()).unwrap(), *start)).collect();
    let mut dripping = TcpStream::connect(node.address()).unwrap();
    for (stream, bytes) in &streams {
        let mut stream = stream;
        stream.write_all(bytes).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    }
    // One byte a second is no way to get more time.
    for byte in &hello[..11] {
        if dripping.write_all(&[*byte]).is_err() {
            break;
        }
        thread::sleep(Duration::from_secs(1));
    }
    dripping.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    wait_for_end(&dripping);
    for (stream, bytes) in &streams {
        let answer = wait_for_end(stream);
        assert!(bytes.len() == hello.len() || answer.first().is_none_or(|byte| *byte == 0x15), "{answer:?}");
    }
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(10) && took < Duration::from_secs(14), "{took:?}");
    assert_eq!(node.connect_tls().call(&get(STATUS)).status, 200);
}

#[test]
fn a_request_that_never_ends_is_a_408() {
    let node = Node::start();
    let mut connection = node.connect_tls();
    connection.handshake().unwrap();
    let start = Instant::now();
    connection.send("GET /v1/bootstrap HTTP/1.1\r\nHost:");
    assert_eq!(connection.answer().status, 408);
    assert!(start.elapsed() >= Duration::from_millis(9_900), "{:?}", start.elapsed());
    assert!(connection.is_closed());
}

#[test]
fn a_handshake_is_part_of_the_first_requests_time() {
    let node = Node::start();
    let start = Instant::now();
    let mut connection = node.connect_tls();
    thread::sleep(Duration::from_secs(5));
    connection.handshake().unwrap();
    // A whole head, and a body that never comes.
    connection.send("POST /v1/bootstrap/create_cluster HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(connection.answer().status, 408);
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
}

#[test]
fn where_there_is_no_room_a_handshake_is_no_idle_connection() {
    let mut node = Node::prepare(&[]);
    node.limit_descriptors(48);
    node.run();
    let hello = client_hello();
    let mut slow = TcpStream::connect(node.address()).unwrap();
    slow.write_all(&hello[..5]).unwrap();
    // Once the node has seen it.
    assert_eq!(node.get("/healthz").status, 200);
    let idle: Vec<_> = (0..60)
        .map(|_| {
            let mut connection = node.connect();
            assert_eq!(connection.call(&get("/healthz")).status, 200);
            connection
        })
        .collect();
    slow.write_all(&hello[5..]).unwrap();
    let mut answer = [0; 5];
    slow.read_exact(&mut answer).unwrap();
    assert_eq!(answer[0], 0x16, "that is no handshake");
    drop(idle);
}

/// Sends byte by byte.
struct Dripping<'a>(&'a TcpStream);

impl std::io::Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut stream = self.0;
        stream.read(&mut buffer[..1])
    }
}

impl std::io::Write for Dripping<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut stream = self.0;
        stream.write_all(&bytes[..1])?;
        Ok(1)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_handshake_and_a_request_may_come_byte_by_byte() {
    let node = Node::start();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let stream = TcpStream::connect(node.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        let name = "localhost".try_into().unwrap();
        let mut session = rustls::ClientConnection::new(tls::client_of(&[version]), name).unwrap();
        let mut dripping = Dripping(&stream);
        let mut tls = rustls::Stream::new(&mut session, &mut dripping);
        tls.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        tls.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok"), "{answer}");
    }
}

#[test]
fn what_begins_like_tls_and_is_none_is_closed_at_once() {
    let node = Node::start();
    let random: Vec<u8> = (0..4000_u32).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let garbage = [
        [&[0x16][..], &random].concat(),
        b"\x16GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        record(&random[..300]),
        record(&[1, 0, 0, 4, 3, 3, 0, 0]),
        [&client_hello()[..], b"GET / HTTP/1.1\r\n\r\n"].concat(),
    ];
    for bytes in garbage {
        let mut stream = TcpStream::connect(node.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(&bytes).unwrap();
        let start = Instant::now();
        wait_for_end(&stream);
        assert!(start.elapsed() < Duration::from_secs(5), "{bytes:?}");
    }
    // Old versions, and a client that speaks another protocol inside, are told so by an alert.
    let mut connection = Connection::secure(node.address(), &{
        let mut config = (*tls::client()).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.into()
    });
    let error = connection.handshake().unwrap_err().to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
    assert_eq!(node.connect_tls().call(&get(STATUS)).status, 200);
}

#[test]
fn a_handshake_may_take_16_kib_and_no_more() {
    let node = Node::start();
    // A message that announces more than it needs, in whole records.
    let message = [&[1, 0, 0xF0, 0][..], &vec![0; 61_440]].concat();
    let mut stream = TcpStream::connect(node.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    for (index, piece) in message.chunks(2_000).enumerate() {
        if stream.write_all(&record(piece)).is_err() {
            assert!(index >= 8, "closed after {index} records");
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("all of it was taken");
}

#[test]
fn limits_are_those_of_plain_http() {
    let node = Node::start();
    let head = |length: usize| {
        let text = "GET /healthz HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
        text.replace("X: ", &format!("X: {}", "x".repeat(length - text.len())))
    };
    for (length, status) in [(8_192, 200), (8_193, 431)] {
        let mut connection = node.connect_tls();
        connection.send(head(length));
        assert_eq!(connection.answer().status, status, "{length}");
    }
    let text = body::create().to_string();
    for (length, status) in [(65_536, 200), (65_537, 413)] {
        let padded = format!("{text}{}", " ".repeat(length - text.len()));
        let answer = node.connect_tls().call(&Request::post("/v1/bootstrap/validate/create_cluster", padded));
        assert_eq!(answer.status, status, "{length}");
    }
}

#[test]
fn an_origin_must_be_the_https_one() {
    let node = Node::start();
    let host = node.address().to_string();
    let ask = |mut connection: Connection, scheme: &str| {
        connection.call(&get(STATUS).header("Origin", &format!("{scheme}://{host}"))).status
    };
    assert_eq!(ask(node.connect_tls(), "https"), 200);
    assert_eq!(ask(node.connect_tls(), "http"), 403);
    assert_eq!(ask(node.connect(), "http"), 200);
    assert_eq!(ask(node.connect(), "https"), 403);
}

#[test]
fn answers_that_are_not_taken_wait_and_come_whole() {
    let node = Node::created();
    let mut connection = node.connect_tls();
    let request = get("/v1/cluster").login(USER, PASSWORD);
    let expected = connection.call(&request);
    let host = node.address().to_string();
    // Far more than the sockets hold.
    let count = 20_000;
    let bytes = connection.encrypt(&request.bytes(&host).repeat(count));
    let mut stream = connection.stream().try_clone().unwrap();
    let writer = thread::spawn(move || stream.write_all(&bytes).unwrap());
    thread::sleep(Duration::from_millis(500));
    for _ in 0..count {
        let answer = connection.answer();
        assert_eq!((answer.status, answer.text()), (200, expected.text()));
    }
    writer.join().unwrap();
    assert_eq!(connection.call(&get("/healthz")).status, 200);
}

/// KiB resident.
fn resident(node: &Node) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", node.pid())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_thousand_idle_connections_fit_into_16_mib() {
    let node = Node::start();
    assert_eq!(node.connect_tls().call(&get(STATUS)).status, 200);
    let before = resident(&node);
    let config = tls::client();
    let mut connections = Vec::new();
    for _ in 0..1_000 {
        let mut connection = Connection::secure(node.address(), &config);
        assert_eq!(connection.call(&get(STATUS)).status, 200);
        connections.push(connection);
    }
    let taken = resident(&node) - before;
    assert!(taken < 16 * 1024, "{taken} KiB");
    for connection in &mut connections {
        assert_eq!(connection.call(&get("/healthz")).status, 200);
    }
}

/// A node that shows a certificate from files.
fn certified(signed: &tls::Signed) -> Node {
    let mut node = Node::prepare(&[]);
    let [certificate, key] = ["node.pem", "node.key"].map(|name| node.directory().path().join(name));
    fs::write(&certificate, &signed.certificate).unwrap();
    fs::write(&key, &signed.key).unwrap();
    node.add_options(&["--tls-cert", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()]);
    node
}

#[test]
fn a_certificate_from_files_is_read_again_on_sighup() {
    let authority = tls::Authority::default();
    let [first, second] = [authority.sign(&["127.0.0.1"]), authority.sign(&["127.0.0.1"])];
    let mut node = certified(&first);
    node.run();
    assert!(!node.state_file("tls.pem").exists());
    let mut old = node.connect_tls();
    assert_eq!(old.call(&get(STATUS)).status, 200);
    assert_eq!((old.fingerprint(), node.fingerprint()), (first.fingerprint.clone(), first.fingerprint.clone()));
    let hang_up = || kill(Pid::from_raw(node.pid().try_into().unwrap()), Signal::SIGHUP).unwrap();
    let shown = || {
        let mut connection = node.connect_tls();
        connection.handshake().unwrap();
        connection.fingerprint()
    };
    let [certificate, key] = ["node.pem", "node.key"].map(|name| node.directory().path().join(name));
    // A key that is not the certificate's, half a certificate, none: each leaves the old one.
    let bad = [(&second.certificate[..], &first.key[..]), (&first.certificate[..100], &first.key), ("", "")];
    for (number, (new_certificate, new_key)) in bad.into_iter().enumerate() {
        fs::write(&certificate, new_certificate).unwrap();
        fs::write(&key, new_key).unwrap();
        hang_up();
        eventually("the complaint", || {
            (node.log().matches("the certificate stays the old one").count() == number + 1).then_some(())
        });
        assert_eq!(shown(), first.fingerprint);
    }
    fs::write(&certificate, &second.certificate).unwrap();
    fs::write(&key, &second.key).unwrap();
    hang_up();
    eventually("the other certificate", || (node.fingerprint() == second.fingerprint).then_some(()));
    assert_eq!(shown(), second.fingerprint);
    // Whoever is connected stays so.
    assert_eq!(old.call(&get(STATUS)).status, 200);
    node.restart();
    let mut connection = node.connect_tls();
    connection.handshake().unwrap();
    assert_eq!(connection.fingerprint(), second.fingerprint);
}

#[test]
fn sighup_changes_nothing_where_the_certificate_is_the_nodes_own() {
    let node = Node::start();
    let before = node.fingerprint();
    kill(Pid::from_raw(node.pid().try_into().unwrap()), Signal::SIGHUP).unwrap();
    eventually("the word", || node.log().contains("nothing to read again").then_some(()));
    let mut connection = node.connect_tls();
    connection.handshake().unwrap();
    assert_eq!(connection.fingerprint(), before);
}

#[test]
fn files_that_are_no_good_are_no_way_to_start() {
    let authority = tls::Authority::default();
    let [first, second] = [authority.sign(&["a"]), authority.sign(&["a"])];
    let mixed = tls::Signed { certificate: first.certificate.clone(), key: second.key, fingerprint: String::new() };
    let long = format!("{}{}", first.certificate, "#".repeat(65_536));
    let long = tls::Signed { certificate: long, key: first.key.clone(), fingerprint: String::new() };
    for signed in [mixed, long] {
        let mut node = certified(&signed);
        node.spawn();
        assert_eq!(node.wait_exit(), exit::CONFIG, "{}", node.log());
        assert!(node.log().contains("node.pem: "), "{}", node.log());
    }
    for flag in ["--tls-cert", "--tls-key"] {
        let mut node = Node::prepare(&[flag, "/nowhere"]);
        node.spawn();
        assert_eq!(node.wait_exit(), exit::USAGE);
    }
    let mut node = Node::prepare(&["--tls-cert", "/nowhere", "--tls-key", "/nowhere"]);
    node.spawn();
    assert_eq!(node.wait_exit(), exit::CONFIG);
    assert!(node.log().contains("/nowhere: "), "{}", node.log());
}
