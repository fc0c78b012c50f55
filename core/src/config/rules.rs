//! What a member's text must look like, each rule a pure function. The answer on failure ends a sentence that
//! began with the member's name.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits::{HOST_BYTES_MAX, LABEL_BYTES_MAX};

pub(super) type Verdict = Result<(), &'static str>;

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
    let label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    demand(
        name.split('.').all(label) && name.parse::<Ipv4Addr>().is_err(),
        "must be a DNS name: labels of up to 63 letters, digits and inner hyphens",
    )
}

pub(super) fn rack(rack: &str) -> Verdict {
    demand(
        rack.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && rack.starts_with(|first: char| first.is_ascii_alphabetic())
            && rack.ends_with(|last: char| last.is_ascii_alphanumeric()),
        "must consist of letters, digits, - and _, start with a letter and end with a letter or digit",
    )
}

pub(super) fn path(path: &str) -> Verdict {
    demand(path.starts_with('/'), "must be an absolute path")?;
    demand(!path.contains('\0'), "must not contain a NUL character")?;
    demand(path.split('/').all(|part| part != ".."), "must not contain ..")
}

pub(super) fn file_name(name: &str) -> Verdict {
    not_empty(name)?;
    demand(!name.contains('\0'), "must not contain a NUL character")
}

pub(super) fn username(name: &str) -> Verdict {
    not_empty(name)?;
    demand(
        !name.contains(|character: char| character.is_control() || ":&<>\"".contains(character)),
        "must not contain control characters or any of : & < > \"",
    )
}

pub(super) fn password(password: &str) -> Verdict {
    not_empty(password)?;
    demand(!password.contains(char::is_control), "must not contain control characters")
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

pub(super) fn address(text: &str) -> Result<IpAddr, &'static str> {
    text.parse().map_err(|_| "is not an IP address (without zone, prefix or port)")
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
    fn addresses() {
        assert!(address("1.2.3.4").is_ok() && address("2001:0db8:85a3:0000:0000:8a2e:0370:7334").is_ok());
        for bad in ["", "1.2.3", "01.2.3.4", "1.2.3.4/24", "fe80::1%eth0", "[::1]", "1.2.3.4:80", " 1.2.3.4"] {
            assert!(address(bad).is_err(), "{bad:?}");
        }
    }
}
