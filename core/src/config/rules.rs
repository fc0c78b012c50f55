//! What a member's text must look like, each rule a pure function. The answer on failure ends a sentence that
//! began with the member's name.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::json::{find_byte, has_either};
use crate::limits::{HOST_BYTES_MAX, LABEL_BYTES_MAX};

pub(crate) type Verdict = Result<(), &'static str>;

fn demand(holds: bool, otherwise: &'static str) -> Verdict {
    if holds { Ok(()) } else { Err(otherwise) }
}

#[expect(clippy::unnecessary_wraps, reason = "it stands among rules")]
pub(super) fn anything(_: &str) -> Verdict {
    Ok(())
}

pub(super) fn not_empty(text: &str) -> Verdict {
    demand(!text.is_empty(), "must not be empty")
}

/// RFC 952 and 1123: letters, digits and hyphens, no hyphen at either end, 63 bytes a label. A dotted quad is an
/// address, never a name.
pub(super) fn dns_name(name: &str) -> Verdict {
    demand(
        are_labels(name.as_bytes()) && !is_dotted_quad(name),
        "must be a DNS name: labels of up to 63 letters, digits and inner hyphens",
    )
}

fn are_labels(name: &[u8]) -> bool {
    let (mut length, mut last) = (0_usize, b'-');
    for byte in name.iter().chain(b".") {
        match byte {
            b'.' if last == b'-' || length > LABEL_BYTES_MAX => return false,
            b'.' => (length, last) = (0, b'-'),
            b'-' if length == 0 => return false,
            byte if byte.is_ascii_alphanumeric() || *byte == b'-' => {
                length = length.saturating_add(1);
                last = *byte;
            }
            _ => return false,
        }
    }
    true
}

fn is_dotted_quad(name: &str) -> bool {
    name.as_bytes().last().is_some_and(u8::is_ascii_digit) && name.parse::<Ipv4Addr>().is_ok()
}

pub(crate) fn rack(rack: &str) -> Verdict {
    demand(
        rack.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && rack.starts_with(|first: char| first.is_ascii_alphabetic())
            && rack.ends_with(|last: char| last.is_ascii_alphanumeric()),
        "must consist of letters, digits, - and _, start with a letter and end with a letter or digit",
    )
}

pub(super) fn path(path: &str) -> Verdict {
    demand(path.starts_with('/'), "must be an absolute path")?;
    // Few paths have a byte that needs a closer look.
    if !has_either(path.as_bytes(), [0, b'.']) {
        return Ok(());
    }
    demand(!path.contains('\0'), "must not contain a NUL character")?;
    demand(path.split('/').all(|part| part != ".."), "must not contain ..")
}

pub(super) fn file_name(name: &str) -> Verdict {
    not_empty(name)?;
    demand(!name.contains('\0'), "must not contain a NUL character")
}

/// Whether a text has a control character: those of ASCII, and those of Latin-1 behind them.
fn has_control(text: &str) -> bool {
    let plain = text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..0x7F));
    !plain && text.chars().any(char::is_control)
}

pub(super) fn username(name: &str) -> Verdict {
    not_empty(name)?;
    demand(
        !has_control(name) && !name.bytes().any(|byte| matches!(byte, b':' | b'&' | b'<' | b'>' | b'"')),
        "must not contain control characters or any of : & < > \"",
    )
}

pub(super) fn password(password: &str) -> Verdict {
    not_empty(password)?;
    demand(!has_control(password), "must not contain control characters")
}

pub(super) fn pem(text: &str) -> Verdict {
    let text = text.trim_ascii();
    demand(
        text.starts_with("-----BEGIN ") && text.ends_with("-----"),
        "must be a PEM text, from -----BEGIN to the closing -----",
    )
}

/// `7`, `7.4.2` or `7.4.2-54`.
pub(super) fn version(text: &str) -> Verdict {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (release, build) = text.split_once('-').unwrap_or((text, "0"));
    demand(release.split('.').all(number) && number(build), "must be a version such as 7.4.2-54")
}

pub(crate) fn address(text: &str) -> Result<IpAddr, &'static str> {
    let bytes = text.as_bytes();
    let is_v6 = find_byte(bytes, b':').is_some();
    let address = if is_v6 { ipv6(bytes).map(IpAddr::V6) } else { ipv4(bytes).map(IpAddr::V4) };
    address.ok_or("is not an IP address (without zone, prefix or port)")
}

pub(super) fn is_address(text: &str) -> Verdict {
    address(text).map(|_| ())
}

/// Four decimal octets without leading zeros, which some read as octal.
fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0_u8; 4];
    let mut at = 0_usize;
    // Digits of the octet so far, and its value.
    let (mut digits, mut value) = (0_u8, 0_u16);
    for byte in text.iter().chain(b".") {
        match byte {
            b'0'..=b'9' if digits == 0 || value > 0 => {
                value = value.checked_mul(10)?.checked_add(u16::from(byte & 15))?;
                digits = digits.saturating_add(1);
            }
            b'.' if digits > 0 => {
                *octets.get_mut(at)? = u8::try_from(value).ok()?;
                at = at.saturating_add(1);
                (digits, value) = (0, 0);
            }
            _ => return None,
        }
    }
    (at == octets.len()).then(|| Ipv4Addr::from(octets))
}

/// RFC 4291, 2.2: groups of up to four hexadecimal digits, once `::` for groups of zeros, an IPv4 address at the end.
fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    let mut groups = [0_u16; 8];
    let (mut count, mut gap) = (0_usize, None);
    // Digits of the group so far, its value, and where it began.
    let (mut digits, mut value, mut start) = (0_u8, 0_u16, 0_usize);
    let mut at = 0_usize;
    if text.first() == Some(&b':') {
        // Only two colons may stand at the beginning; the loop sees the second.
        text.get(1).filter(|next| **next == b':')?;
        at = 1;
    }
    while let Some(byte) = text.get(at) {
        at = at.wrapping_add(1);
        let digit = match byte {
            b'0'..=b'9' => byte & 15,
            b'a'..=b'f' | b'A'..=b'F' => (byte & 15).wrapping_add(9),
            // The second of two: a gap, and only one.
            b':' if digits == 0 && gap.is_none() => {
                (gap, start) = (Some(count), at);
                continue;
            }
            // A single colon must have something behind it.
            b':' if digits > 0 && at < text.len() => {
                *groups.get_mut(count)? = value;
                count = count.wrapping_add(1);
                (digits, value, start) = (0, 0, at);
                continue;
            }
            b'.' => {
                let [a, b, c, d] = ipv4(text.get(start..)?)?.octets();
                *groups.get_mut(count)? = u16::from_be_bytes([a, b]);
                count = count.wrapping_add(1);
                (digits, value) = (1, u16::from_be_bytes([c, d]));
                break;
            }
            _ => return None,
        };
        if digits == 4 {
            return None;
        }
        digits = digits.wrapping_add(1);
        value = value << 4 | u16::from(digit);
    }
    if digits > 0 {
        *groups.get_mut(count)? = value;
        count = count.saturating_add(1);
    }
    match gap {
        None => (count == groups.len()).then(|| Ipv6Addr::from(groups)),
        // At least one group of zeros stands for the gap; what was read behind it moves to the end.
        Some(gap) => {
            let zeros = groups.len().checked_sub(count).filter(|zeros| *zeros > 0)?;
            groups.get_mut(gap..)?.rotate_right(zeros);
            Some(Ipv6Addr::from(groups))
        }
    }
}

/// A host to contact: an IP literal or a host name, with an optional port.
pub(super) fn contact(text: &str) -> Verdict {
    const FORM: &str = "must be an IP address or a host name, with an optional :port";
    if text.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, port) = bracketed.split_once(']').ok_or(FORM)?;
        demand(host.parse::<Ipv6Addr>().is_ok(), FORM)?;
        return if port.is_empty() { Ok(()) } else { port_number(port.strip_prefix(':').ok_or(FORM)?) };
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let known_host = host.parse::<Ipv4Addr>().is_ok() || (host.len() <= HOST_BYTES_MAX && dns_name(host).is_ok());
    demand(known_host, FORM)?;
    port.map_or(Ok(()), port_number)
}

fn port_number(text: &str) -> Verdict {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    demand(digits && text.parse::<u16>().is_ok_and(|port| port != 0), "must have a port between 1 and 65535")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn check(rule: fn(&str) -> Verdict, good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(rule(text), Ok(()), "{text:?}");
        }
        for text in bad {
            assert!(rule(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn dns_names() {
        let label_63: String = "a".repeat(63);
        let label_64: String = "a".repeat(64);
        check(
            dns_name,
            &["my.cluster", "a", "1st.example", "A-B.c", "3.4.5", label_63.as_str()],
            &["", ".", "a.", ".a", "a..b", "-a", "a-", "a_b", "a b", "ä", "1.2.3.4", label_64.as_str()],
        );
    }

    #[test]
    fn racks() {
        check(rack, &["r", "rack-1", "A_b-2"], &["", "1a", "-a", "_a", "a-", "a_", "a b", "a.b", "ä"]);
    }

    #[test]
    fn paths() {
        check(path, &["/", "/a/b", "/a/..b", "/a/b../"], &["", "a", "./a", "/a/../b", "/..", "/a/..", "/a\0b"]);
    }

    #[test]
    fn names_and_passwords() {
        check(username, &["admin", "a@b.c", "ü b'"], &["", "a:b", "a&b", "a<b", "a>b", "a\"b", "a\nb", "a\u{85}b"]);
        check(password, &["x", "a:b\"&<>\\ 🔑"], &["", "a\0", "a\tb", "\u{7f}"]);
    }

    #[test]
    fn versions_and_pem() {
        check(version, &["1", "7.4.2", "7.4.2-54"], &["", "v1", "1.", ".1", "1-", "1-a", "1 ", "1-2-3"]);
        check(pem, &["-----BEGIN X-----\nAA\n-----END X-----\n"], &["", "MIIB", "-----BEGIN X-----\nAA"]);
    }

    #[test]
    fn contacts() {
        check(
            contact,
            &["1.2.3.4", "1.2.3.4:1", "::1", "[::1]", "[::1]:65535", "node-1", "node.example:9443", "2001:db8::1"],
            &[
                "",
                ":",
                ":1",
                "1.2.3.4:",
                "1.2.3.4:0",
                "1.2.3.4:65536",
                "a:+1",
                "[1.2.3.4]:1",
                "[::1",
                "[::1]1",
                "a b",
                "http://a",
                "fe80::1%eth0",
                "a:1:2",
                "1.2.3.4/24",
            ],
        );
    }

    #[test]
    fn our_readers_of_addresses_agree_with_the_standard_librarys() {
        // Every text of up to four pieces of what addresses are made of, and longer ones around them.
        let pieces =
            ["", ":", "::", "0", "1", "00", "ffff", "12345", "g", ".", "1.2.3.4", "255", "256", "a:b:c:d:e:f", "%1"];
        let mut texts: std::vec::Vec<String> = [""].map(String::from).into();
        for _ in 0..if cfg!(miri) { 2 } else { 4 } {
            texts = texts.iter().flat_map(|text| pieces.map(|piece| std::format!("{text}{piece}"))).collect();
        }
        for text in texts {
            assert_eq!(address(&text).ok(), text.parse().ok(), "{text:?}");
        }
    }

    #[test]
    fn addresses() {
        assert!(address("1.2.3.4").is_ok() && address("2001:0db8:85a3:0000:0000:8a2e:0370:7334").is_ok());
        for bad in ["", "1.2.3", "01.2.3.4", "1.2.3.4/24", "fe80::1%eth0", "[::1]", "1.2.3.4:80", " 1.2.3.4"] {
            assert!(address(bad).is_err(), "{bad:?}");
        }
    }
}
