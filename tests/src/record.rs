//! Records, as somebody else would make them: to try what an agent makes of them.

/// The copies of a node's own record, in its state directory.
pub const OWN: [&str; 2] = ["node.a", "node.b"];
/// The copies of the cluster's record, likewise, where no other path is configured.
pub const CLUSTER: [&str; 2] = ["persistent/ccs/cluster.a", "persistent/ccs/cluster.b"];

/// The record with another first line or another body, and whole again.
pub fn resealed(record: &[u8], edit: impl FnOnce(&str) -> String) -> Vec<u8> {
    let text = std::str::from_utf8(record).unwrap();
    // A newline, sixteen digits, a newline.
    let content = edit(&text[..text.len() - 18]);
    // CRC-64/XZ.
    let checksum = !content.bytes().fold(!0_u64, |sum, byte| {
        (0..8).fold(sum ^ u64::from(byte), |sum, _| sum >> 1 ^ if sum & 1 == 1 { 0xC96C_5795_D787_0F42 } else { 0 })
    });
    format!("{content}\n{checksum:016x}\n").into_bytes()
}
