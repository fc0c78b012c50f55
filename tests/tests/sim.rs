//! Whole clusters of cores in one process, through everything that a seed has in store: see `sim` in the library.
//! `cargo run --release -p bootstrapd-tests --bin sim -- --seeds 100000` lives through more; `--from SEED --seeds 1 --tell`
//! shows one.

#![allow(clippy::panic, reason = "whatever fails here fails a test")]

use bootstrapd_tests::sim::{self, Setup};

fn lives(seed: u64) {
    lives_in(seed, Setup::default());
}

fn lives_in(seed: u64, setup: Setup) {
    if let Err(broken) = sim::run(seed, setup) {
        panic!("seed {seed}: {broken}");
    }
}

#[test]
fn whatever_happens_no_uid_is_given_twice_and_whoever_is_completed_is_a_member() {
    (0..400).for_each(lives);
}

#[test]
fn nor_is_any_where_all_members_share_a_store() {
    (0..400).for_each(|seed| lives_in(seed, Setup { is_shared: true, ..Setup::default() }));
}

/// Each of these breaks a rule where what it found is taken out again.
#[test]
fn what_was_found_once_stays_mended() {
    // What a failed attempt had left made the restart after the next failed one refuse to serve.
    [1150, 2517, 3095, 3643].into_iter().for_each(lives);
    // A member with a copy from before its confirmation could not be recovered in place.
    [153, 619, 670, 908].into_iter().for_each(lives);
    // An answer that waited for its record to be durable was given once that of another cluster was.
    lives_in(58, Setup { places: Some(128), ..Setup::default() });
    // Likewise, where that answer's own question was what ended the membership.
    lives_in(152, Setup { places: Some(30), ..Setup::default() });
}
