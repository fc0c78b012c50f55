//! Licences, signed with a key that only tests have.

use base64ct::{Base64, Encoding as _};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

const KEY: [u8; 32] = [7; 32];

/// The public key in the form that `--license-key` takes: 64 hexadecimal digits.
pub fn public_key() -> String {
    let key = SigningKey::from_bytes(&KEY).verifying_key();
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap());
    key.as_bytes().iter().flat_map(digits).collect()
}

/// The public key in its other form: base64.
pub fn public_key_base64() -> String {
    Base64::encode_string(SigningKey::from_bytes(&KEY).verifying_key().as_bytes())
}

/// A statement that permits everything a test does.
pub fn statement() -> Value {
    json!({
        "owner": "Tests",
        "cluster_name": "test.cluster",
        "activation_date": "2020-01-01T00:00:00Z",
        "expiration_date": "2099-12-31T00:00:00Z",
        "shards_limit": 12,
        "node_limit": 3,
        "features": ["bigstore"],
    })
}

/// The licence that says `statement`.
pub fn signed(statement: &Value) -> String {
    let statement = statement.to_string();
    let mut bytes = SigningKey::from_bytes(&KEY).sign(statement.as_bytes()).to_bytes().to_vec();
    bytes.extend_from_slice(statement.as_bytes());
    armoured(&bytes)
}

/// The licence that says `statement` with a signature of another key.
pub fn forged(statement: &Value) -> String {
    let statement = statement.to_string();
    let mut bytes = SigningKey::from_bytes(&[8; 32]).sign(statement.as_bytes()).to_bytes().to_vec();
    bytes.extend_from_slice(statement.as_bytes());
    armoured(&bytes)
}

fn armoured(bytes: &[u8]) -> String {
    format!("----- LICENSE START -----\n{}\n----- LICENSE END -----\n", Base64::encode_string(bytes))
}
