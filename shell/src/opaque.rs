//! Proving a password without sending it: OPAQUE (RFC 9807) over Ristretto, stretched by Argon2id.
//!
//! Whoever listens learns nothing to guess by; whoever pretends to be the cluster, or a joiner, gets one guess for each
//! connection. Both ends come out with the same key, or with none.

use std::io;

use bootstrapd_core::cluster::{HashCost, Registration};
use generic_array::{ArrayLength, GenericArray};
use opaque_ke::errors::{InternalError, ProtocolError};
use opaque_ke::key_exchange::tripledh::TripleDh;
use opaque_ke::ksf::Ksf;
use opaque_ke::{
    CipherSuite, ClientLogin, ClientLoginFinishParameters, ClientRegistration, ClientRegistrationFinishParameters,
    CredentialFinalization, CredentialRequest, CredentialResponse, Identifiers, Ristretto255, ServerLogin,
    ServerLoginStartParameters, ServerRegistration, ServerSetup,
};
use rand_core::{CryptoRng, RngCore};
use zeroize::Zeroizing;

use crate::secret;

/// The first message, from the joiner.
pub const KE1_BYTES: usize = 96;
/// The answer to it.
pub const KE2_BYTES: usize = 320;
/// The last message, from the joiner.
pub const KE3_BYTES: usize = 64;

/// What both ends know at the end.
pub type SessionKey = Zeroizing<[u8; 32]>;

struct Suite;

impl CipherSuite for Suite {
    type OprfCs = Ristretto255;
    type KeGroup = Ristretto255;
    type KeyExchange = TripleDh;
    type Ksf = Stretch;
}

/// Argon2id as the stretching; what goes in is salted already.
#[derive(Default)]
struct Stretch(HashCost);

impl Ksf for Stretch {
    fn hash<L: ArrayLength<u8>>(&self, input: GenericArray<u8, L>) -> Result<GenericArray<u8, L>, InternalError> {
        let mut output = GenericArray::default();
        secret::argon2id(&input, self.0, &[0; 16], &mut output).map_err(|_| InternalError::KsfError)?;
        Ok(output)
    }
}

/// The system's randomness, for whoever wants a generator. Where the system has none, all bytes are zero, and
/// [`Random::is_good`] says so: no result may be used then.
struct Random {
    failed: bool,
}

impl Random {
    const fn new() -> Self {
        Self { failed: false }
    }

    fn is_good(&self) -> io::Result<()> {
        if self.failed { Err(io::Error::other("the system has no randomness")) } else { Ok(()) }
    }
}

impl RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_ne_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_ne_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.failed |= getrandom::fill(bytes).is_err();
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Random {}

fn failed(error: ProtocolError) -> io::Error {
    io::Error::other(match error {
        // Nothing else can fail in stretching.
        ProtocolError::LibraryError(InternalError::KsfError) => return secret::no_memory(),
        ProtocolError::InvalidLoginError => "the password was not proved",
        ProtocolError::LibraryError(_)
        | ProtocolError::SerializationError
        | ProtocolError::ReflectedValueError
        | ProtocolError::IdentityGroupElementError => "the proof of the password is malformed",
    })
}

const fn identifiers(username: &[u8]) -> Identifiers<'_> {
    Identifiers { client: Some(username), server: Some(b"bootstrapd") }
}

/// Registers the administrator of a new cluster: both ends, here.
///
/// # Errors
/// Where the system has no randomness or not enough memory.
pub fn register(username: &[u8], password: &[u8], cost: HashCost) -> io::Result<Registration> {
    let mut random = Random::new();
    let setup = ServerSetup::<Suite>::new(&mut random);
    let client = ClientRegistration::<Suite>::start(&mut random, password).map_err(failed)?;
    let answer = ServerRegistration::<Suite>::start(&setup, client.message, username).map_err(failed)?;
    let stretch = Stretch(cost);
    let parameters = ClientRegistrationFinishParameters::new(identifiers(username), Some(&stretch));
    let finished = client.state.finish(&mut random, password, answer.message, parameters).map_err(failed)?;
    random.is_good()?;
    let file = ServerRegistration::<Suite>::finish(finished.message);
    let mut registration = Registration::default();
    registration.setup.copy_from_slice(&setup.serialize());
    registration.file.copy_from_slice(&file.serialize());
    Ok(registration)
}

/// A member's side of a proof that is under way.
pub struct Member(ServerLogin<Suite>);

impl Member {
    /// Answers the first message. For a name that is not the administrator's (`registration.file` is not used then) the
    /// answer looks the same and leads nowhere.
    ///
    /// # Errors
    /// A malformed message.
    pub fn start(
        registration: &Registration,
        is_administrator: bool,
        username: &[u8],
        ke1: &[u8],
    ) -> io::Result<(Self, [u8; KE2_BYTES])> {
        let mut random = Random::new();
        let setup = ServerSetup::<Suite>::deserialize(&registration.setup).map_err(failed)?;
        let file = ServerRegistration::<Suite>::deserialize(&registration.file).map_err(failed)?;
        let request = CredentialRequest::deserialize(ke1).map_err(failed)?;
        let parameters = ServerLoginStartParameters { context: None, identifiers: identifiers(username) };
        let file = is_administrator.then_some(file);
        let started = ServerLogin::start(&mut random, &setup, file, request, username, parameters).map_err(failed)?;
        random.is_good()?;
        let mut ke2 = [0; KE2_BYTES];
        ke2.copy_from_slice(&started.message.serialize());
        Ok((Self(started.state), ke2))
    }

    /// Takes the last message.
    ///
    /// # Errors
    /// Where the password was not proved.
    pub fn finish(self, ke3: &[u8]) -> io::Result<SessionKey> {
        let message = CredentialFinalization::deserialize(ke3).map_err(failed)?;
        let finished = self.0.finish(message).map_err(failed)?;
        Ok(shortened(&finished.session_key))
    }
}

/// A joiner's side of a proof.
pub struct Joiner(ClientLogin<Suite>);

impl Joiner {
    /// Makes the first message.
    ///
    /// # Errors
    /// Where the system has no randomness.
    pub fn start(password: &[u8]) -> io::Result<(Self, [u8; KE1_BYTES])> {
        let mut random = Random::new();
        let started = ClientLogin::<Suite>::start(&mut random, password).map_err(failed)?;
        random.is_good()?;
        let mut ke1 = [0; KE1_BYTES];
        ke1.copy_from_slice(&started.message.serialize());
        Ok((Self(started.state), ke1))
    }

    /// Takes the answer and makes the last message.
    ///
    /// # Errors
    /// Where the other end does not know the password, or a wrong one.
    pub fn finish(
        self,
        username: &[u8],
        password: &[u8],
        ke2: &[u8],
        cost: HashCost,
    ) -> io::Result<(SessionKey, [u8; KE3_BYTES])> {
        let answer = CredentialResponse::deserialize(ke2).map_err(failed)?;
        let stretch = Stretch(cost);
        let parameters = ClientLoginFinishParameters::new(None, identifiers(username), Some(&stretch));
        let finished = self.0.finish(password, answer, parameters).map_err(failed)?;
        let mut ke3 = [0; KE3_BYTES];
        ke3.copy_from_slice(&finished.message.serialize());
        Ok((shortened(&finished.session_key), ke3))
    }
}

/// Half of a key of 64 bytes is as good as random, too.
fn shortened(key: &[u8]) -> SessionKey {
    let mut short = Zeroizing::new([0; 32]);
    if let Some(half) = key.first_chunk::<32>() {
        *short = *half;
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(registered: (&str, &str), tried: (&str, &str)) -> Option<(SessionKey, SessionKey)> {
        let registration = register(registered.0.as_bytes(), registered.1.as_bytes(), HashCost::Small).unwrap();
        let (joiner, ke1) = Joiner::start(tried.1.as_bytes()).unwrap();
        let known = registered.0 == tried.0;
        let (member, ke2) = Member::start(&registration, known, tried.0.as_bytes(), &ke1).unwrap();
        let (joiners, ke3) = joiner.finish(tried.0.as_bytes(), tried.1.as_bytes(), &ke2, HashCost::Small).ok()?;
        Some((joiners, member.finish(&ke3).unwrap()))
    }

    #[test]
    fn both_ends_have_one_key_or_none() {
        let (one, two) = proof(("admin", "pass \u{1F600}"), ("admin", "pass \u{1F600}")).unwrap();
        assert_eq!(one, two);
        assert_ne!(*one, [0; 32]);
        assert!(proof(("admin", "right"), ("admin", "wrong")).is_none());
        assert!(proof(("admin", "right"), ("other", "right")).is_none());
    }

    /// Who has heard a whole proof tries every password of a list, the right one among them, on what it heard: as the
    /// joiner, with a start of its own in the place of the one whose secret it does not know.
    #[test]
    fn a_right_guess_looks_like_a_wrong_one_to_who_has_only_listened() {
        let registration = register(b"a", b"right", HashCost::Small).unwrap();
        let (joiner, ke1) = Joiner::start(b"right").unwrap();
        let (_member, ke2) = Member::start(&registration, true, b"a", &ke1).unwrap();
        let (_, ke3) = joiner.finish(b"a", b"right", &ke2, HashCost::Small).unwrap();
        let said: Vec<String> = ["wrong", "right", "other"]
            .map(|guess| {
                let (attacker, own) = Joiner::start(guess.as_bytes()).unwrap();
                assert_ne!(own, ke1, "nothing that is sent follows from the password");
                attacker.finish(b"a", guess.as_bytes(), &ke2, HashCost::Small).map(|_| ()).unwrap_err().to_string()
            })
            .into();
        assert!(said.iter().all(|words| *words == said[0]), "{said:?}");
        // Nor is the last message one that who knows the password could make again.
        let (again, start) = Joiner::start(b"right").unwrap();
        let (_, answer) = Member::start(&registration, true, b"a", &start).unwrap();
        assert_ne!(again.finish(b"a", b"right", &answer, HashCost::Small).unwrap().1, ke3);
    }

    #[test]
    fn a_message_with_any_byte_changed_proves_nothing() {
        let registration = register(b"a", b"p", HashCost::Small).unwrap();
        let (joiner, ke1) = Joiner::start(b"p").unwrap();
        let (member, ke2) = Member::start(&registration, true, b"a", &ke1).unwrap();
        let (_, mut ke3) = joiner.finish(b"a", b"p", &ke2, HashCost::Small).unwrap();
        ke3[7] ^= 1;
        assert!(member.finish(&ke3).is_err());
        for cut in [0, 1, KE1_BYTES - 1] {
            assert!(Member::start(&registration, true, b"a", &ke1[..cut]).is_err());
        }
    }
}
