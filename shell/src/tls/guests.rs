//! Clients that show a certificate: who may have signed it, and what both ends of a session with it know.
//!
//! The handshake takes any certificate whose key the client has, or none: a client may show one that is meant for others,
//! and one that is turned down by an alert would often hear of a broken connection only. It is judged behind the handshake,
//! where something comes of it: that the session's key is handed out.

use std::path::Path;
use std::sync::Arc;
use std::{fmt, fs};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    ConnectionCommon, DigitallySignedStruct, DistinguishedName, Error, ProtocolVersion, ServerConnection,
    SignatureScheme,
};
use zeroize::Zeroizing;

use super::Trust;
use crate::opaque::SessionKey;
use crate::peer::PROTOCOL;

/// What the key of a join is derived under.
const LABEL: &[u8] = b"EXPORTER-bootstrapd-join";

/// Whose certificates clients may show.
#[derive(Clone)]
pub struct Guests(Arc<dyn ClientCertVerifier>);

impl Guests {
    /// Those that the authorities in a file vouch for.
    ///
    /// # Errors
    /// What is wrong with the file, by its name.
    #[inline(never)]
    pub fn read(file: &Path) -> Result<Self, String> {
        let named = |why: &dyn fmt::Display| format!("{}: {why}", file.display());
        let pem = fs::read(file).map_err(|error| named(&error))?;
        let Some(Trust::Authorities(roots)) = Trust::in_authorities(&pem) else {
            return Err(named(&"it holds no certificate in PEM"));
        };
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
        verifier.map(Self).map_err(|error| named(&error))
    }

    /// Asks for a certificate in a handshake.
    pub(super) fn asker(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::new(Asker(Arc::clone(&self.0)))
    }

    /// What both ends know, if the client has shown a good certificate.
    #[inline(never)]
    pub(super) fn key(&self, session: &ServerConnection) -> Option<Box<SessionKey>> {
        let (certificate, others) = session.peer_certificates()?.split_first()?;
        self.0.verify_client_cert(certificate, others, UnixTime::now()).ok()?;
        exported(session).map(Box::new)
    }
}

/// What both ends of a session know, and nobody else. Only in TLS 1.3 it is always bound to the whole handshake.
pub(super) fn exported<D>(session: &ConnectionCommon<D>) -> Option<SessionKey> {
    if session.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return None;
    }
    let mut key = Zeroizing::new([0; 32]);
    session.export_keying_material(&mut key[..], LABEL, Some(&[PROTOCOL])).ok()?;
    Some(key)
}

/// Takes any certificate, and none.
#[derive(Debug)]
struct Asker(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Asker {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
