//! Challenges: a message that answers one is of now, and counts once.

use blake2::digest::consts::U16;
use blake2::digest::{FixedOutput as _, KeyInit as _, Update as _};
use bootstrapd_core::record::Id;

use super::Others;
use crate::peer::CHALLENGE_BYTES;

/// A challenge is good for so long, in milliseconds.
const CHALLENGE_MS: u64 = 10_000;

impl Others {
    /// A challenge: a number that grows, and this process's signature under it.
    pub(super) fn challenge(&mut self, now: u64) -> [u8; CHALLENGE_BYTES] {
        // Several in one millisecond are told apart.
        self.challenges = self.challenges.wrapping_add(1).max(now << 16);
        let mut challenge = [0; CHALLENGE_BYTES];
        let (number, mac) = challenge.split_at_mut(8);
        number.copy_from_slice(&self.challenges.to_be_bytes());
        mac.copy_from_slice(&self.sign(self.challenges));
        challenge
    }

    fn sign(&self, challenge: u64) -> [u8; 16] {
        let mut mac = blake2::Blake2bMac::<U16>::new(&self.challenge_key.into());
        mac.update(&challenge.to_be_bytes());
        mac.finalize_fixed().into()
    }

    /// The number of a challenge that is ours and fresh.
    pub(super) fn read_challenge(&self, challenge: &[u8], now: u64) -> Option<u64> {
        let (number, mac) = challenge.split_first_chunk::<8>()?;
        let number = u64::from_be_bytes(*number);
        let fresh = now.saturating_sub(number >> 16) <= CHALLENGE_MS;
        // It is no secret, and only whoever knows a key can do anything with it: how long this takes may be seen.
        (fresh && mac == self.sign(number)).then_some(number)
    }

    /// Whether `from` has not answered this challenge before, nor a later one.
    pub(super) fn is_first(&mut self, from: Id, challenge: u64) -> bool {
        match self.answered.iter_mut().find(|(known, _)| *known == from) {
            Some((_, last)) if challenge <= *last => false,
            Some((_, last)) => {
                *last = challenge;
                true
            }
            None => {
                self.answered.push((from, challenge));
                true
            }
        }
    }
}
