//! Who may log in: credentials are checked by the hasher's thread, one at a time, few waiting; one that was good is
//! remembered, so that polling costs no hash.

use std::io;
use std::net::IpAddr;

use bootstrapd_core::cluster::Cluster;

use crate::perform::{LoginJob, Queue};
use crate::secret::{Login, Memory};

/// Hashes that may wait behind the one under way.
const WAITING_MAX: usize = 4;

/// What a caller's credentials are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// They are right.
    Good,
    /// They are wrong, malformed or missing.
    Wrong,
    /// The hasher will say; this names them.
    Checking([u8; 32]),
    /// Too many wait already, or one of the same source.
    Busy,
}

/// The logins that are being checked, in order, and the memory of a good one.
pub struct Logins {
    memory: Memory,
    checking: Vec<([u8; 32], IpAddr)>,
}

impl Logins {
    /// None yet.
    ///
    /// # Errors
    /// Where the system has no randomness.
    pub fn new() -> io::Result<Self> {
        Ok(Self { memory: Memory::new()?, checking: Vec::with_capacity(WAITING_MAX.saturating_add(1)) })
    }

    /// Judges an `Authorization` value, or has it judged.
    pub fn prove(
        &mut self,
        authorization: Option<&str>,
        source: IpAddr,
        cluster: &Cluster,
        hasher: &Queue<LoginJob>,
    ) -> Proof {
        // One login in different spellings is one login.
        let Some(token) = authorization.and_then(Login::token) else { return Proof::Wrong };
        // A node may come to be in another cluster, which has another salt.
        let mac = self.memory.mac(&cluster.password.salt, token.as_bytes());
        if self.memory.knows(&mac) {
            return Proof::Good;
        }
        if self.checking.iter().any(|(other, _)| *other == mac) {
            // The same credentials need no second hash.
            return Proof::Checking(mac);
        }
        let Some(login) = Login::read(token) else { return Proof::Wrong };
        let mut waiting = self.checking.iter().skip(1);
        if self.checking.len() > WAITING_MAX || waiting.any(|(_, other)| *other == source) {
            return Proof::Busy;
        }
        self.checking.push((mac, source));
        hasher.push(LoginJob {
            mac,
            name_is_right: login.name().is_some_and(|name| cluster.is_administrator(name)),
            password: login.into_password(),
            expected: cluster.password.clone(),
        });
        Proof::Checking(mac)
    }

    /// Takes the hasher's word.
    pub fn checked(&mut self, mac: [u8; 32], good: Option<bool>) {
        self.checking.retain(|(other, _)| *other != mac);
        if good == Some(true) {
            self.memory.remember(mac);
        }
    }
}
