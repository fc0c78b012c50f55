//! A machine in the middle: it carries whole HTTP messages between nodes, sees every byte, and may change or hold any.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From who connected.
    There,
    /// Back to it.
    Back,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// It goes on, as it may have been changed.
    On,
    /// The connection ends in its place.
    Cut,
}

type Watch = dyn FnMut(Way, &str, &mut Vec<u8>) -> Pass + Send;

/// See the module. It carries on as long as the test runs.
pub struct Relay {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Relay {
    /// Carries between whoever connects and `to`. `watch` is given each message's way, the path of the request that it is
    /// or answers, and its bytes.
    pub fn to(to: SocketAddr, watch: impl FnMut(Way, &str, &mut Vec<u8>) -> Pass + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let watch: Arc<Mutex<Box<Watch>>> = Arc::new(Mutex::new(Box::new(watch)));
        let kept = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (seen, watch) = (Arc::clone(&kept), Arc::clone(&watch));
                thread::spawn(move || carry(client, to, &seen, &watch));
            }
        });
        Self { address, seen }
    }

    /// Everything that has passed.
    pub fn seen(&self) -> Vec<u8> {
        self.seen.lock().unwrap().clone()
    }
}

fn carry(mut client: TcpStream, to: SocketAddr, seen: &Mutex<Vec<u8>>, watch: &Mutex<Box<Watch>>) -> Option<()> {
    let mut server = TcpStream::connect(to).ok()?;
    loop {
        let mut request = message(&mut client)?;
        let head = String::from_utf8_lossy(&request).into_owned();
        let path = head.split(' ').nth(1)?.to_owned();
        pass(Way::There, &path, &mut request, &mut server, seen, watch)?;
        let mut answer = message(&mut server)?;
        pass(Way::Back, &path, &mut answer, &mut client, seen, watch)?;
    }
}

fn pass(
    way: Way,
    path: &str,
    bytes: &mut Vec<u8>,
    onto: &mut TcpStream,
    seen: &Mutex<Vec<u8>>,
    watch: &Mutex<Box<Watch>>,
) -> Option<()> {
    seen.lock().unwrap().extend_from_slice(bytes);
    let verdict = (watch.lock().unwrap())(way, path, bytes);
    if verdict == Pass::Cut {
        let _ = onto.shutdown(Shutdown::Both);
        return None;
    }
    onto.write_all(bytes).ok()
}

/// One message, by its `Content-Length`.
fn message(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        from.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    bytes.extend_from_slice(&body);
    Some(bytes)
}
