//! What a text must look like, twice: as the rule that the parser asks, and as the same rule in a JSON Schema.

use super::rules::{self, Verdict};

/// What a text must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As one likes.
    Anything,
    /// A DNS name.
    DnsName,
    /// A rack's name.
    Rack,
    /// An absolute path.
    Path,
    /// A file's name.
    FileName,
    /// A user's name.
    Username,
    /// A password.
    Password,
    /// A PEM text.
    Pem,
    /// A version.
    Version,
    /// An IP address.
    Address,
    /// A host with an optional port.
    Contact,
}

/// A text's form, and how long it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Like {
    /// What it must look like.
    pub form: Form,
    /// Its length in bytes.
    pub bytes_max: u16,
    /// Whether a list may not hold it twice.
    pub is_once: bool,
}

impl Like {
    /// Texts of this form, of at most so many bytes.
    #[must_use]
    pub(crate) const fn new(form: Form, bytes_max: usize) -> Self {
        assert!(bytes_max < u16::MAX as usize);
        #[expect(clippy::cast_possible_truncation, reason = "checked, by the compiler")]
        Self { form, bytes_max: bytes_max as u16, is_once: false }
    }

    /// The same, not twice in a list.
    pub(crate) const fn once(self) -> Self {
        Self { is_once: true, ..self }
    }
}

/// The longest text that an address has; a longer one is none.
pub(super) const ADDRESS_BYTES_MAX: usize = 64;

/// One label of a DNS name.
macro_rules! label {
    () => {
        "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    };
}

/// An IPv4 address.
macro_rules! ipv4 {
    () => {
        concat!(octet!(), "(\\\\.", octet!(), "){3}")
    };
}

macro_rules! octet {
    () => {
        "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
    };
}

/// An IPv6 address: `::` anywhere or nowhere, an IPv4 address at the end or not.
macro_rules! ipv6 {
    () => {
        concat!(
            "(",
            h!("{7}"),
            "[0-9A-Fa-f]{1,4}|",
            h!("{1,7}"),
            ":|",
            h!("{1,6}"),
            t!("{1}"),
            "|",
            h!("{1,5}"),
            t!("{1,2}"),
            "|",
            h!("{1,4}"),
            t!("{1,3}"),
            "|",
            h!("{1,3}"),
            t!("{1,4}"),
            "|",
            h!("{1,2}"),
            t!("{1,5}"),
            "|",
            h!("{1}"),
            t!("{1,6}"),
            "|:(",
            t!("{1,7}"),
            "|:)|(",
            h!("{6}"),
            "|::",
            h!("{0,5}"),
            "|",
            h!("{1}"),
            ":",
            h!("{0,4}"),
            "|",
            h!("{2}"),
            ":",
            h!("{0,3}"),
            "|",
            h!("{3}"),
            ":",
            h!("{0,2}"),
            "|",
            h!("{4}"),
            ":",
            h!("{0,1}"),
            "|",
            h!("{5}"),
            ":)",
            ipv4!(),
            ")"
        )
    };
}

macro_rules! h {
    ($times:literal) => {
        concat!("([0-9A-Fa-f]{1,4}:)", $times)
    };
}

macro_rules! t {
    ($times:literal) => {
        concat!("(:[0-9A-Fa-f]{1,4})", $times)
    };
}

/// A colon and a port, or nothing.
macro_rules! port {
    () => {
        "(:0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
    };
}

/// Labels with dots between them.
macro_rules! dns_name {
    () => {
        concat!(label!(), "(\\\\.", label!(), ")*")
    };
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Anything,
        Self::DnsName,
        Self::Rack,
        Self::Path,
        Self::FileName,
        Self::Username,
        Self::Password,
        Self::Pem,
        Self::Version,
        Self::Address,
        Self::Contact,
    ];

    /// The rule that the parser asks.
    pub(super) const fn rule(self) -> fn(&str) -> Verdict {
        match self {
            Self::Anything => rules::anything,
            Self::DnsName => rules::dns_name,
            Self::Rack => rules::rack,
            Self::Path => rules::path,
            Self::FileName => rules::file_name,
            Self::Username => rules::username,
            Self::Password => rules::password,
            Self::Pem => rules::pem,
            Self::Version => rules::version,
            Self::Address => rules::is_address,
            Self::Contact => rules::contact,
        }
    }

    /// Whether it allows none but ASCII characters, so that a length in bytes is one in characters.
    #[must_use]
    pub const fn is_ascii(self) -> bool {
        match self {
            Self::DnsName | Self::Rack | Self::Version | Self::Address | Self::Contact => true,
            Self::Anything | Self::Path | Self::FileName | Self::Username | Self::Password | Self::Pem => false,
        }
    }

    /// The same rule as members of a JSON Schema (2020-12, its patterns as in ECMA-262): never stricter than the rule,
    /// and laxer only where no pattern can say it. Empty where there is none.
    #[must_use]
    pub const fn schema(self) -> &'static str {
        match self {
            Self::Anything => "",
            Self::DnsName => {
                concat!(
                    "\"pattern\":\"^",
                    dns_name!(),
                    "$\",\"not\":{\"type\":\"string\",\"pattern\":\"^",
                    ipv4!(),
                    "$\"}"
                )
            }
            Self::Rack => r#""pattern":"^[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?$""#,
            Self::Path => r#""pattern":"^/[^\\x00]*$","not":{"type":"string","pattern":"/\\.\\.(/|$)"}"#,
            Self::FileName => r#""pattern":"^[^\\x00]+$""#,
            Self::Username => r#""pattern":"^[^\\x00-\\x1f\\x7f-\\x9f:&<>\"]+$""#,
            Self::Password => r#""pattern":"^[^\\x00-\\x1f\\x7f-\\x9f]+$""#,
            Self::Pem => r#""pattern":"^[\\t\\n\\f\\r ]*-----BEGIN [\\s\\S]*-----[\\t\\n\\f\\r ]*$""#,
            Self::Version => r#""pattern":"^[0-9]+(\\.[0-9]+)*(-[0-9]+)?$""#,
            Self::Address => r#""anyOf":[{"format":"ipv4"},{"format":"ipv6"}]"#,
            Self::Contact => concat!(
                "\"anyOf\":[{\"pattern\":\"^",
                dns_name!(),
                port!(),
                "$\"},{\"format\":\"ipv6\"},{\"pattern\":\"^\\\\[",
                ipv6!(),
                "\\\\]",
                port!(),
                "$\"}]"
            ),
        }
    }
}
