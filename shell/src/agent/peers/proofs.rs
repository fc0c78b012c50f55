//! Proofs of the password that are under way, and whoever has failed too often.

use std::net::IpAddr;

use crate::opaque::{Member, SessionKey};
use crate::peer::ID_BYTES;

/// Proofs under way at the same time.
const PROOFS_MAX: usize = 128;
/// The same from one address of another machine: each is a guess that counts once it is over, and nobody can keep all others
/// out. Where more nodes than that share an address and join in the same second, the rest try again; on this machine itself
/// many may.
const PROOFS_EACH_MAX: usize = 8;
/// A proof that is not finished in so many milliseconds has failed.
const PROOF_MS: u64 = 10_000;
/// Addresses whose failures are remembered.
const SOURCES_MAX: usize = 128;
/// Failures are remembered for so many milliseconds.
const MEMORY_MS: u64 = 60_000;
/// The failure from which on the next proof has to wait.
const FREE_FAILURES: u32 = 5;
/// The longest wait, in milliseconds; the first is an eighth of it.
const DELAY_MS_MAX: u64 = 8_000;
/// Each costs the loop's thread half a millisecond: no more than a tenth of its time goes there.
const STARTS_PER_SECOND: u32 = 200;

struct Proof {
    number: u32,
    id: [u8; ID_BYTES],
    member: Member,
    source: IpAddr,
    since: u64,
}

struct Failures {
    source: IpAddr,
    count: u32,
    last: u64,
}

/// See the module. Times are milliseconds of uptime.
#[derive(Default)]
pub(in crate::agent) struct Proofs {
    under_way: Vec<Proof>,
    count: u32,
    failures: Vec<Failures>,
    /// The second that is counted in, and the starts in it.
    started: (u64, u32),
}

impl Proofs {
    /// Whether somebody at `source` may begin a proof now.
    pub(super) fn may_start(&mut self, source: IpAddr, now: u64) -> bool {
        self.expire(now);
        let second = now / 1000;
        if self.started.0 != second {
            self.started = (second, 0);
        }
        if self.started.1 >= STARTS_PER_SECOND || self.under_way.len() >= PROOFS_MAX {
            return false;
        }
        let under_way = self.under_way.iter().filter(|proof| proof.source == source).count();
        if self.waits(source, now) || under_way >= self.most(source) {
            return false;
        }
        self.started.1 = self.started.1.saturating_add(1);
        true
    }

    /// How many proofs `source` may have under way: one, where the next failure would make it wait.
    fn most(&self, source: IpAddr) -> usize {
        if self.failures.iter().any(|failures| failures.source == source && failures.count >= FREE_FAILURES) {
            1
        } else if source.to_canonical().is_loopback() {
            PROOFS_MAX
        } else {
            PROOFS_EACH_MAX
        }
    }

    /// Whether `source` has failed so often that its next try has to wait.
    pub(in crate::agent) fn waits(&self, source: IpAddr, now: u64) -> bool {
        self.failures.iter().find(|failures| failures.source == source).is_some_and(|failures| {
            let beyond = failures.count.saturating_sub(FREE_FAILURES).min(3);
            let delay = (DELAY_MS_MAX / 8) << beyond;
            failures.count >= FREE_FAILURES && now.saturating_sub(failures.last) < delay
        })
    }

    /// A proof begins: its number.
    pub(super) fn add(&mut self, id: [u8; ID_BYTES], member: Member, source: IpAddr, now: u64) -> u32 {
        self.count = self.count.wrapping_add(1);
        self.under_way.push(Proof { number: self.count, id, member, source, since: now });
        self.count
    }

    /// Whoever began this one has gone: it has failed, if it was not finished.
    pub(super) fn leave(&mut self, number: u32, now: u64) {
        if let Some(index) = self.under_way.iter().position(|proof| proof.number == number) {
            let proof = self.under_way.swap_remove(index);
            self.fail(proof.source, now);
        }
    }

    /// The last message of a proof: the key that both ends have now, or nothing.
    pub(super) fn finish(&mut self, id: &[u8; ID_BYTES], ke3: &[u8], now: u64) -> Option<SessionKey> {
        let index = self.under_way.iter().position(|proof| proof.id == *id)?;
        let proof = self.under_way.swap_remove(index);
        let key = proof.member.finish(ke3).ok();
        if key.is_none() {
            self.fail(proof.source, now);
        }
        key
    }

    /// Proofs that were left unfinished have failed, and old failures are forgotten.
    pub(in crate::agent) fn expire(&mut self, now: u64) {
        while let Some(index) = self.under_way.iter().position(|proof| now.saturating_sub(proof.since) > PROOF_MS) {
            let proof = self.under_way.swap_remove(index);
            self.fail(proof.source, now);
        }
        self.failures.retain(|failures| now.saturating_sub(failures.last) < MEMORY_MS);
    }

    /// Somebody at `source` has failed.
    pub(in crate::agent) fn fail(&mut self, source: IpAddr, now: u64) {
        if let Some(failures) = self.failures.iter_mut().find(|failures| failures.source == source) {
            failures.count = failures.count.saturating_add(1);
            failures.last = now;
            return;
        }
        if self.failures.len() >= SOURCES_MAX {
            // The one that has been quiet for the longest.
            let oldest = (0..self.failures.len()).min_by_key(|index| self.failures.get(*index).map(|known| known.last));
            let _ = oldest.map(|index| self.failures.swap_remove(index));
        }
        self.failures.push(Failures { source, count: 1, last: now });
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use bootstrapd_core::cluster::HashCost;

    use super::*;
    use crate::opaque;

    #[test]
    fn whoever_fails_often_has_to_wait_longer_each_time() {
        let mut proofs = Proofs::default();
        let (one, two) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::BROADCAST));
        for _ in 0..4 {
            proofs.fail(one, 0);
            assert!(proofs.may_start(one, 0));
        }
        for delay in [1_000, 2_000, 4_000, 8_000, 8_000] {
            proofs.fail(one, 0);
            assert!(!proofs.may_start(one, delay - 1) && proofs.may_start(one, delay) && proofs.may_start(two, 0));
        }
        assert!(proofs.may_start(one, MEMORY_MS));
    }

    #[test]
    fn one_address_has_few_proofs_under_way_and_one_once_it_has_failed_often() {
        let registration = opaque::register(b"a", b"b", HashCost::Small).unwrap();
        let mut proofs = Proofs::default();
        let begin = |proofs: &mut Proofs, source: IpAddr, now: u64| {
            let may = proofs.may_start(source, now);
            if may {
                let (_, ke1) = opaque::Joiner::start(b"b").unwrap();
                let (member, _) = Member::start(&registration, true, b"a", &ke1).unwrap();
                let _ = proofs.add([0; ID_BYTES], member, source, now);
            }
            may
        };
        let [far, near] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::LOCALHOST].map(IpAddr::V4);
        for number in 1..=20 {
            assert_eq!(begin(&mut proofs, far, 0), number <= PROOFS_EACH_MAX, "{number}");
            assert!(begin(&mut proofs, near, 0), "on one machine many may try");
        }
        // All of them are left, and count.
        let later = PROOF_MS + 1;
        assert!(!begin(&mut proofs, far, later));
        let waited = later + DELAY_MS_MAX;
        assert!(begin(&mut proofs, far, waited) && !begin(&mut proofs, far, waited));
        assert!(begin(&mut proofs, near, waited) && !begin(&mut proofs, near, waited));
    }

    #[test]
    fn there_are_only_so_many_starts_a_second() {
        let mut proofs = Proofs::default();
        let source = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let may = (0..=STARTS_PER_SECOND).filter(|_| proofs.may_start(source, 999)).count();
        assert_eq!(may, usize::try_from(STARTS_PER_SECOND).unwrap());
        assert!(proofs.may_start(source, 1_000));
    }
}
