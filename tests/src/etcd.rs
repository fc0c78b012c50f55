//! An etcd cluster of a test's own, and a door in front of it that can misbehave.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};
use bootstrapd_core::cluster::Cluster;
use bootstrapd_core::record::decode;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde_json::Value;

use crate::cluster::{free_address, prepared};
use crate::{Directory, Node, eventually};

/// The members, killed when it is dropped.
pub struct Etcd {
    directory: Directory,
    /// For clients, and for each other.
    addresses: Vec<(SocketAddr, SocketAddr)>,
    members: Vec<Option<Child>>,
    options: Vec<String>,
}

impl Etcd {
    /// So many members, ready.
    pub fn start(count: usize) -> Self {
        Self::start_with(count, &[])
    }

    /// The same, with more options.
    pub fn start_with(count: usize, options: &[&str]) -> Self {
        Self::of((0..count).map(|_| (free_address(), free_address())).collect(), options)
    }

    /// One member, that others reach at this address.
    pub fn start_at(address: IpAddr) -> Self {
        let at = |free: SocketAddr| SocketAddr::new(address, free.port());
        Self::of(vec![(at(free_address()), at(free_address()))], &[])
    }

    fn of(addresses: Vec<(SocketAddr, SocketAddr)>, options: &[&str]) -> Self {
        let count = addresses.len();
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut etcd = Self { directory: Directory::new(), addresses, members: Vec::new(), options };
        etcd.members.resize_with(count, || None);
        for member in 0..count {
            etcd.spawn(member);
        }
        etcd.wait_ready();
        etcd
    }

    /// Starts a member.
    pub fn spawn(&mut self, member: usize) {
        let url = |address: &SocketAddr| format!("http://{address}");
        let (client, peer) = &self.addresses[member];
        let all: Vec<String> =
            self.addresses.iter().enumerate().map(|(at, (_, peer))| format!("m{at}={}", url(peer))).collect();
        let log = File::options().create(true).append(true).open(self.directory.path().join("etcd.log")).unwrap();
        let mut command = Command::new("etcd");
        command.arg("--name").arg(format!("m{member}")).arg("--data-dir");
        command.arg(self.directory.path().join(format!("m{member}")));
        command.args(["--listen-client-urls", &url(client), "--advertise-client-urls", &url(client)]);
        command.args(["--listen-peer-urls", &url(peer), "--initial-advertise-peer-urls", &url(peer)]);
        command.args(["--initial-cluster", &all.join(","), "--unsafe-no-fsync"]);
        command.args(&self.options);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.members[member] = Some(command.spawn().unwrap());
    }

    /// Waits until it serves.
    pub fn wait_ready(&self) {
        eventually("etcd", || self.ask("/v3/kv/range", r#"{"key":"eA=="}"#).filter(|text| text.contains("header")));
    }

    /// What any living member answers.
    pub fn ask(&self, path: &str, body: &str) -> Option<String> {
        let living = self.addresses.iter().zip(&self.members).filter(|(_, member)| member.is_some());
        living.map(|((client, _), _)| *client).find_map(|client| post(client, path, body))
    }

    /// What the first member answers to whom it has given a token.
    pub fn ask_as(&self, token: &str, path: &str, body: &str) -> Option<String> {
        post_with(self.addresses[0].0, path, &format!("Authorization: {token}\r\n"), body)
    }

    /// Kills a member.
    pub fn kill(&mut self, member: usize) {
        if let Some(mut child) = self.members[member].take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Where its clients ask.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.iter().map(|(client, _)| *client).collect()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for member in 0..self.members.len() {
            self.kill(member);
        }
    }
}

/// What `--store` is told of these endpoints.
pub fn store(endpoints: &[SocketAddr]) -> String {
    let urls: Vec<String> = endpoints.iter().map(|address| format!("http://{address}")).collect();
    format!("etcd={}", urls.join(","))
}

/// A node that keeps its cluster's record there, under this prefix; not started.
pub fn prepared_with(endpoints: &[SocketAddr], prefix: &str) -> Node {
    prepared(&["--store", &store(endpoints), "--store-prefix", prefix])
}

/// The same, started.
pub fn node_with(endpoints: &[SocketAddr], prefix: &str) -> Node {
    let mut node = prepared_with(endpoints, prefix);
    node.run();
    node
}

/// Posts JSON and reads the answer's body.
pub fn post(to: SocketAddr, path: &str, body: &str) -> Option<String> {
    post_with(to, path, "", body)
}

fn post_with(to: SocketAddr, path: &str, fields: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect(to).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
    let head = format!("POST {path} HTTP/1.0\r\nHost: {to}\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.contains(" 200").then(|| body.to_owned())
}

/// What a door does with a request, of which it is given all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It carries it there and the answer back.
    Pass,
    /// After a while.
    Late(Duration),
    /// It carries it there, and cuts the connection in the place of an answer.
    Lose,
    /// It answers by itself.
    Say(Vec<u8>),
}

type Choose = dyn FnMut(&str) -> Manner + Send;

/// A door to `to`: where it is. It stands as long as the test runs.
pub fn door(to: SocketAddr, choose: impl FnMut(&str) -> Manner + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let choose: Arc<Mutex<Box<Choose>>> = Arc::new(Mutex::new(Box::new(choose)));
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let choose = Arc::clone(&choose);
            thread::spawn(move || carry(client, to, &choose));
        }
    });
    address
}

/// One request, as this client makes them: it closes behind each.
fn carry(mut client: TcpStream, to: SocketAddr, choose: &Mutex<Box<Choose>>) -> Option<()> {
    let mut request = Vec::new();
    let mut buffer = vec![0; 65536];
    while !is_whole(&request) {
        let count = client.read(&mut buffer).ok()?;
        if count == 0 {
            return None;
        }
        request.extend_from_slice(&buffer[..count]);
    }
    let manner = (choose.lock().unwrap())(&String::from_utf8_lossy(&request));
    match &manner {
        Manner::Late(time) => thread::sleep(*time),
        Manner::Say(bytes) => return client.write_all(bytes).ok(),
        Manner::Pass | Manner::Lose => {}
    }
    let mut server = TcpStream::connect(to).ok()?;
    server.write_all(&request).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    if manner == Manner::Lose {
        return client.shutdown(Shutdown::Both).ok();
    }
    client.write_all(&answer).ok()
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

/// What is in base64.
pub fn decoded(text: &str) -> Vec<u8> {
    Base64::decode_vec(text).unwrap()
}

/// Every version of the record that etcd still has, the first one first, as a node with this copy of it reads them.
pub fn history(etcd: &Etcd, prefix: &str, copy: &Cluster) -> Vec<Box<Cluster>> {
    let key = Base64::encode_string(format!("{prefix}cluster").as_bytes());
    let at = |revision: Option<u64>| {
        let at = revision.map(|revision| format!(r#","revision":"{revision}""#)).unwrap_or_default();
        let answer = etcd.ask("/v3/kv/range", &format!(r#"{{"key":"{key}"{at}}}"#))?;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let number = |name: &str| answer["kvs"][0][name].as_str().map(|text| text.parse::<u64>().unwrap());
        Some((number("create_revision")?, number("mod_revision")?, decoded(answer["kvs"][0]["value"].as_str()?)))
    };
    let mut versions = Vec::new();
    let mut next = at(None);
    while let Some((first, revision, sealed)) = next {
        versions.push(opened(copy, &sealed));
        next = if revision > first { at(Some(revision - 1)) } else { None };
    }
    versions.reverse();
    versions
}

/// What only those can read who have a copy of the record.
fn opened(copy: &Cluster, sealed: &[u8]) -> Box<Cluster> {
    let mut hash = Blake2b::<U32>::default();
    hash.update(b"bootstrapd 1 common key");
    hash.update(copy.cluster_id.0);
    hash.update(copy.registration.setup);
    let (nonce, sealed) = sealed.split_at(24);
    let payload = Payload { msg: sealed, aad: b"bootstrapd 1 POST /store < " };
    let text = XChaCha20Poly1305::new(&hash.finalize()).decrypt(XNonce::from_slice(nonce), payload).unwrap();
    let mut cluster = Box::<Cluster>::default();
    decode(&text, &mut *cluster).unwrap();
    cluster
}
