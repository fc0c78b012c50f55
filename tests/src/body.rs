//! Bodies to post.

use serde_json::{Value, json};

/// The user of every test that has no reason for another.
pub const USER: &str = "admin@example.com";
/// The password of [`USER`].
pub const PASSWORD: &str = "correct horse";

/// The API text's own create body, byte for byte.
pub const TEXT_CREATE: &[u8] = include_bytes!("../documents/bootstrap/create.json");
/// The API text's own join body, byte for byte.
pub const TEXT_JOIN: &[u8] = include_bytes!("../documents/bootstrap/join.json");

/// The least that creates a cluster.
pub fn create() -> Value {
    json!({"cluster": {"name": "test.cluster"}, "credentials": {"username": USER, "password": PASSWORD}})
}

/// [`create`], with the member at `pointer` set. Objects on the way are made.
pub fn create_with(pointer: &str, value: Value) -> Value {
    let mut body = create();
    set(&mut body, pointer, value);
    body
}

/// Sets the member at `pointer`. Objects on the way are made.
pub fn set(body: &mut Value, pointer: &str, value: Value) {
    let mut place = body;
    for name in pointer.split('/').skip(1) {
        place = match name.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[name],
        };
    }
    *place = value;
}

/// A body that nobody accepts: it names no cluster.
pub fn refused() -> Value {
    json!({"credentials": {"username": USER, "password": PASSWORD}})
}
