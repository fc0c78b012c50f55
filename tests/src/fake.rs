//! Servers that answer what a node cannot be made to answer.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// A server's record of what it was asked.
pub type Asked = Arc<Mutex<Vec<String>>>;

/// A server that answers each request with what `answer` makes of it, and closes.
pub fn fake(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (url, serve(listener, answer))
}

/// Answers on this listener, likewise.
pub fn serve(listener: TcpListener, answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Asked {
    let asked = Asked::default();
    let record = Arc::clone(&asked);
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (record, answer) = (Arc::clone(&record), Arc::clone(&answer));
            // Browsers open connections on which they ask nothing, and others must not wait for those.
            thread::spawn(move || {
                let request = read_request(&mut stream);
                if request.is_empty() {
                    return;
                }
                let bytes = answer(&request);
                record.lock().unwrap().push(request);
                let _ = stream.write_all(&bytes);
            });
        }
    });
    asked
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_ascii_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length:"));
            if body.len() >= length.map_or(0, |length| length.trim().parse().unwrap()) {
                return text;
            }
        }
        match stream.read(&mut buffer) {
            Ok(length) if length > 0 => bytes.extend_from_slice(&buffer[..length]),
            _ => return text,
        }
    }
}

/// An answer, whole.
pub fn http(status: &str, body: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n");
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A status document.
pub fn document(bootstrap_status: &Value) -> String {
    json!({"bootstrap_status": bootstrap_status, "local_node_info": {}}).to_string()
}

/// A server that accepts everything and whose node is in this state for ever.
pub fn fake_in(state: &str) -> (String, Asked) {
    let document = document(&json!({"state": state}));
    fake(move |request| http("200 OK", if request.starts_with("POST") { "" } else { &document }))
}
