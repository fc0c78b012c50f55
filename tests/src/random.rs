//! Random moments and places.

use std::hash::{BuildHasher as _, RandomState};

use bootstrapd_core::cluster::Key;
use bootstrapd_core::record::Id;

/// A generator of random numbers, different in each run.
#[derive(Debug)]
pub struct Random(Seeded);

impl Random {
    /// Makes one.
    #[expect(clippy::new_without_default, reason = "no two are alike")]
    pub fn new() -> Self {
        Self(Seeded::new(RandomState::new().hash_one(0)))
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.0.below(u64::try_from(limit).unwrap())).unwrap()
    }
}

/// A generator of random numbers from a seed (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Seeded(u64);

impl Seeded {
    /// The generator of a seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub(crate) const fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Whether something happens that does so `percent` times in a hundred.
    pub(crate) const fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Sixteen bytes.
    pub(crate) fn id(&mut self) -> Id {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next().to_le_bytes());
        bytes[8..].copy_from_slice(&self.next().to_le_bytes());
        Id(bytes)
    }

    /// A key.
    pub(crate) fn key(&mut self) -> Key {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.id().0);
        bytes[16..].copy_from_slice(&self.id().0);
        Key(bytes)
    }
}
