//! TLS on connections that this program opens: whom it trusts, and one connection's session.
//!
//! What the system trusts is never asked: a node's certificate is its own, or comes from an authority that somebody
//! names.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use base64ct::{Base64, Encoding as _};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, InconsistentKeys, InvalidMessage,
    RootCertStore, SignatureScheme,
};
use zeroize::Zeroizing;

use super::certificate::fingerprint;
use super::guests::exported;
use crate::line::{Mismatch, Way};
use crate::opaque::SessionKey;

/// Whose certificate is good.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Anybody's: what is said is protected in another way, or need not be.
    Anybody,
    /// Nobody's: all that can be learnt is whose it is.
    Nobody,
    /// One with this SHA-256, as [`fingerprint`] writes it.
    Fingerprint(String),
    /// Those that one of these certificates vouches for.
    Authorities(Arc<RootCertStore>),
    /// Likewise, in TLS 1.3, and this side shows a certificate, too.
    Mutual(Arc<RootCertStore>, Arc<CertifiedKey>),
}

impl Trust {
    /// [`Trust::Anybody`], where TLS is built in.
    #[must_use]
    pub const fn anybody() -> Option<Self> {
        Some(Self::Anybody)
    }

    /// One certificate, by its SHA-256: 64 hexadecimal digits, with colons between pairs or none.
    #[must_use]
    pub fn in_fingerprint(text: &str) -> Option<Self> {
        let digits: String =
            text.chars().filter(|character| *character != ':').collect::<String>().to_ascii_uppercase();
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let pairs: Vec<&str> = (0..64_usize).step_by(2).filter_map(|at| digits.get(at..at.saturating_add(2))).collect();
        Some(Self::Fingerprint(pairs.join(":")))
    }

    /// Every certificate of a text in PEM; `None` where there is none, or one that is no good.
    #[must_use]
    pub fn in_authorities(pem: &[u8]) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate.ok()?).ok()?;
        }
        (!roots.is_empty()).then(|| Self::Authorities(Arc::new(roots)))
    }

    /// [`Trust::Mutual`], of texts in PEM: whom to trust, the certificate to show with those that lead to the one that signed
    /// it, and its key.
    ///
    /// # Errors
    /// What is wrong with them, without what is in them.
    #[inline(never)]
    pub fn mutual(authorities: &[u8], certificate: &[u8], key: &[u8]) -> Result<Self, String> {
        let Some(Self::Authorities(roots)) = Self::in_authorities(authorities) else {
            return Err("credentials.trusted_ca holds no certificate in PEM that can be trusted".to_owned());
        };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or("credentials.client_cert holds no certificate in PEM, or a malformed one")?;
        let key = signing_key(key).ok_or("credentials.client_key holds no private key in PEM that can be used")?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
                Ok(Self::Mutual(roots, Arc::new(certified)))
            }
            Err(Error::InconsistentKeys(_)) => {
                Err("credentials.client_key is not the key of credentials.client_cert".to_owned())
            }
            Err(_) => Err("credentials.client_cert holds no certificate that can be shown".to_owned()),
        }
    }
}

/// The private key in a text in PEM. The text is read here, as readers of others leave copies behind.
fn signing_key(pem: &[u8]) -> Option<Arc<dyn SigningKey>> {
    let text = std::str::from_utf8(pem).ok()?;
    let mut parts = text.split("-----BEGIN ").skip(1).filter_map(|part| part.split_once("-----"));
    let (label, rest) = parts.find(|(label, _)| label.ends_with("PRIVATE KEY"))?;
    let (content, _) = rest.split_once("-----END ")?;
    let mut base64 = Zeroizing::new(String::with_capacity(content.len()));
    base64.extend(content.chars().filter(|character| !character.is_ascii_whitespace()));
    let mut der = Zeroizing::new(vec![0; base64.len()]);
    let der = Base64::decode(base64.as_bytes(), &mut der).ok()?;
    let key = match label {
        "PRIVATE KEY" => PrivateKeyDer::Pkcs8(der.into()),
        "EC PRIVATE KEY" => PrivateKeyDer::Sec1(der.into()),
        "RSA PRIVATE KEY" => PrivateKeyDer::Pkcs1(der.into()),
        _ => return None,
    };
    ring::sign::any_supported_type(&key).ok()
}

/// One connection's side of TLS.
pub struct Client(Box<ClientConnection>);

impl Client {
    /// Goes through the handshake with a server of this name or address.
    ///
    /// # Errors
    /// The system's; a [`Mismatch`] inside.
    // Not inlined: what it needs of the stack stays resident.
    #[inline(never)]
    pub fn start(trust: &Trust, name: &str, way: &mut Way) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let config = config(trust).map_err(io::Error::other)?;
        let mut session = Box::new(ClientConnection::new(config, name).map_err(io::Error::other)?);
        while session.is_handshaking() {
            session.complete_io(way).map_err(meant)?;
        }
        Ok(Self(session))
    }

    /// SHA-256 of the server's certificate.
    #[must_use]
    pub fn fingerprint(&self) -> Option<String> {
        self.0.peer_certificates().and_then(|chain| chain.first()).map(|first| fingerprint(first))
    }

    /// What both ends know, where this one has shown a certificate; never in TLS 1.2.
    #[must_use]
    pub fn session_key(&self) -> Option<SessionKey> {
        exported(&self.0)
    }

    /// Sends all of it.
    ///
    /// # Errors
    /// The system's.
    #[inline(never)]
    pub fn send(&mut self, bytes: &[u8], way: &mut Way) -> io::Result<()> {
        let mut stream = rustls::Stream::new(&mut *self.0, way);
        stream.write_all(bytes).and_then(|()| stream.flush()).map_err(meant)
    }

    /// Receives something: how much, nothing at the end.
    ///
    /// # Errors
    /// Likewise.
    #[inline(never)]
    pub fn receive(&mut self, buffer: &mut [u8], way: &mut Way) -> io::Result<usize> {
        rustls::Stream::new(&mut *self.0, way).read(buffer).map_err(meant)
    }
}

/// An error of a session, as what it means to whoever has opened it.
fn meant(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(why)) => Mismatch::Untrusted(format!("{why:?}")).into(),
        Some(Error::General(why)) => Mismatch::Untrusted(why.clone()).into(),
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => Mismatch::Plain.into(),
        _ => error,
    }
}

fn config(trust: &Trust) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(ring::default_provider());
    let judge = Judge { trust: trust.clone(), provider: Arc::clone(&provider) };
    let config = ClientConfig::builder_with_provider(provider);
    let config = match trust {
        Trust::Mutual(..) => config.with_protocol_versions(&[&TLS13])?,
        Trust::Anybody | Trust::Nobody | Trust::Fingerprint(_) | Trust::Authorities(_) => {
            config.with_safe_default_protocol_versions()?
        }
    };
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(judge));
    let mut config = match trust {
        Trust::Mutual(_, shown) => {
            config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(shown))))
        }
        Trust::Anybody | Trust::Nobody | Trust::Fingerprint(_) | Trust::Authorities(_) => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Whether all that is wrong with a server's certificate is that it could sign others.
fn is_authority(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(CertificateError::Other(why)) if why.0.to_string() == "CaUsedAsEndEntity")
}

/// Whether a certificate is itself one of those that are trusted.
fn is_one_of(roots: &RootCertStore, certificate: &CertificateDer<'_>) -> bool {
    let mut own = RootCertStore::empty();
    own.add(certificate.clone().into_owned()).is_ok() && own.roots.iter().all(|own| roots.roots.contains(own))
}

/// Looks at a server's certificate.
#[derive(Debug)]
struct Judge {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.trust {
            Trust::Anybody => {}
            Trust::Authorities(roots) | Trust::Mutual(roots, _) => {
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(&self.provider)).build();
                let verifier = verifier.map_err(|error| Error::General(error.to_string()))?;
                let judged = verifier.verify_server_cert(certificate, others, name, ocsp, now);
                if !judged.as_ref().is_err_and(is_authority) || !is_one_of(roots, certificate) {
                    return judged;
                }
                // Nobody else vouches for it, nor need: its key was shown, and its time was looked at before.
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
            }
            Trust::Nobody => return Err(Error::General(format!("its SHA-256 is {}", fingerprint(certificate)))),
            Trust::Fingerprint(expected) => {
                let found = fingerprint(certificate);
                if found != *expected {
                    return Err(Error::General(format!("its SHA-256 is {found}")));
                }
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
