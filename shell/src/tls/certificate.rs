//! A node's certificate: made at the first start and kept, or read from files that somebody else looks after.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use base64ct::{Base64, Encoding as _};
use bootstrapd_core::record;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Files, Guests};
use crate::{node, options, store};

/// The verb, for this program only, that makes a certificate and prints it.
pub const VERB: &str = "self-signed";
/// The node's own, in its state directory.
const FILE: &str = "tls.pem";
/// No certificate, with those that it needs and its key, is longer.
const BYTES_MAX: u64 = 64 * 1024;
/// How the node's own begins, with the fingerprint behind it: so a start need not count it.
const HEADER: &str = "bootstrapd certificate sha256 ";

/// A certificate and its key.
pub struct Certificate {
    /// SHA-256 of the certificate, as `openssl x509 -fingerprint` prints it.
    pub fingerprint: String,
    pem: Zeroizing<Vec<u8>>,
}

impl Certificate {
    /// Reads one from files.
    ///
    /// # Errors
    /// What is wrong with them.
    // Not inlined: what it needs of the stack stays resident.
    #[inline(never)]
    pub fn read(files: &Files) -> Result<Self, String> {
        let mut pem = Zeroizing::new(Vec::new());
        for file in [&files.certificate, &files.key] {
            read_file(file, &mut pem).map_err(|error| format!("{}: {error}", file.display()))?;
            pem.push(b'\n');
        }
        let first = CertificateDer::from_pem_slice(&pem)
            .map_err(|_| format!("{} holds no certificate in PEM", files.certificate.display()))?;
        let certificate = Self { fingerprint: fingerprint(&first), pem };
        certificate.config(None).map_err(|why| format!("{}: {why}", files.certificate.display()))?;
        Ok(certificate)
    }

    /// The node's own.
    ///
    /// # Errors
    /// What is wrong with the file.
    #[inline(never)]
    fn from_own(bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        let content = record::whole(&bytes)?;
        let line = content.split(|byte| *byte == b'\n').next()?;
        let fingerprint = std::str::from_utf8(line.strip_prefix(HEADER.as_bytes())?).ok()?.to_owned();
        Some(Self { fingerprint, pem: bytes })
    }

    /// What a server shows it with, and asks clients for one with.
    ///
    /// # Errors
    /// Why it cannot be shown.
    #[inline(never)]
    pub fn config(&self, guests: Option<&Guests>) -> Result<Arc<ServerConfig>, String> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.pem).collect();
        let chain = chain.map_err(|error| format!("no certificate: {error}"))?;
        let key = PrivateKeyDer::from_pem_slice(&self.pem).map_err(|error| format!("no private key: {error}"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map(|config| match guests {
            Some(guests) => config.with_client_cert_verifier(guests.asker()),
            None => config.with_no_client_auth(),
        });
        let config = config.and_then(|config| config.with_single_cert(chain, key));
        let mut config = config.map_err(|error| error.to_string())?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Arc::new(config))
    }
}

#[inline(never)]
fn read_file(file: &Path, into: &mut Vec<u8>) -> io::Result<()> {
    let opened = fs::File::open(file)?;
    let length = opened.take(BYTES_MAX.saturating_add(1)).read_to_end(into)?;
    if u64::try_from(length).is_ok_and(|length| length <= BYTES_MAX) {
        return Ok(());
    }
    Err(io::Error::new(ErrorKind::FileTooLarge, "the file is longer than 64 KiB"))
}

/// SHA-256 of a certificate, as people compare it.
#[must_use]
pub fn fingerprint(certificate: &[u8]) -> String {
    let pairs: Vec<String> = Sha256::digest(certificate).iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// A certificate that is being made, while this node looks at its records.
///
/// It is made by a process of its own, which takes along all the memory that this needs, code included.
pub struct Making {
    child: Option<Child>,
}

/// Reads the node's own certificate, or begins to make it.
///
/// # Errors
/// What is wrong with the one that it has.
#[inline(never)]
pub fn own(state: &Path) -> io::Result<Result<Certificate, Making>> {
    let file = state.join(FILE);
    let named = |why: &str| io::Error::new(ErrorKind::InvalidData, format!("{}: {why}", file.display()));
    let mut bytes = Zeroizing::new(Vec::new());
    match read_file(&file, &mut bytes) {
        Ok(()) => {
            let read = Certificate::from_own(bytes);
            let damaged = || named("the certificate is damaged; put it back, or remove it to have another one made");
            read.map(Ok).ok_or_else(damaged)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Err(Making::begin())),
        Err(error) => Err(named(&error.to_string())),
    }
}

impl Making {
    #[inline(never)]
    fn begin() -> Self {
        let child = std::env::current_exe().and_then(|program| {
            let mut command = Command::new(program);
            command.arg(VERB).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
        });
        Self { child: child.ok() }
    }

    /// Waits for it, and keeps it in the state directory.
    ///
    /// # Errors
    /// Where the system has no randomness, or will not keep it.
    #[inline(never)]
    pub fn end(self, state: &Path) -> io::Result<Certificate> {
        let made = self.child.and_then(|child| child.wait_with_output().ok());
        let made = made.and_then(|output| Certificate::from_own(Zeroizing::new(output.stdout)));
        // Where there is no such process, it is made here.
        let certificate = match made {
            Some(certificate) => certificate,
            None => make().ok_or_else(|| io::Error::other("no certificate could be made"))?,
        };
        store::keep(&state.join(FILE), &certificate.pem)?;
        Ok(certificate)
    }
}

/// Makes a certificate and prints it; the exit code.
#[must_use]
pub fn print() -> u8 {
    match make().and_then(|made| String::from_utf8(made.pem.to_vec()).ok()) {
        Some(text) => {
            options::print(&text);
            crate::exit::DONE
        }
        None => crate::exit::FAILED,
    }
}

/// Of this machine's names and addresses as they are now. What it says is true whatever any clock shows.
#[inline(never)]
fn make() -> Option<Certificate> {
    let is_name = |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    let name = node::host_name().filter(|name| is_name(name) && !name.is_empty());
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend(name.clone());
    names.extend(node::addresses().unwrap_or_default().iter().map(|address| address.address.to_string()));
    names.sort_unstable();
    names.dedup();
    let mut parameters = CertificateParams::new(names).ok()?;
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(9999, 12, 31);
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name.as_deref().unwrap_or("bootstrapd"));
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().ok()?;
    let certificate = parameters.self_signed(&key).ok()?;
    let fingerprint = fingerprint(certificate.der());
    let mut text = Zeroizing::new(format!("{HEADER}{fingerprint}\n"));
    write_pem("CERTIFICATE", certificate.der(), &mut text);
    write_pem("PRIVATE KEY", &Zeroizing::new(key.serialize_der()), &mut text);
    let mut pem = Zeroizing::new(std::mem::take(&mut *text).into_bytes());
    let trailer = record::trailer(&pem);
    pem.extend_from_slice(&trailer);
    Some(Certificate { fingerprint, pem })
}

fn write_pem(label: &str, der: &[u8], text: &mut String) {
    // 48 bytes are 64 characters.
    let _ = writeln!(text, "-----BEGIN {label}-----");
    for line in der.chunks(48) {
        let mut buffer = Zeroizing::new([0; 64]);
        text.push_str(Base64::encode(line, &mut *buffer).unwrap_or_default());
        text.push('\n');
    }
    let _ = writeln!(text, "-----END {label}-----");
}
