//! Whole clusters of cores in one process, through everything that a seed has in store: see `sim` in the library.
//! `cargo run --release -p bootstrapd-tests --bin sim -- --seeds 100000` lives through more; `--from SEED --seeds 1 --tell`
//! shows one.

#![allow(clippy::panic, reason = "whatever fails here fails a test")]

use bootstrapd_tests::sim;

fn lives(seed: u64) {
    if let Err(broken) = sim::run(seed, false) {
        panic!("seed {seed}: {broken}");
    }
}

#[test]
fn whatever_happens_no_uid_is_given_twice_and_whoever_is_completed_is_a_member() {
    (0..400).for_each(lives);
}

/// Each of these once broke a rule; what it found is told.
#[test]
fn what_was_found_once_stays_mended() {
    for (seed, _found) in [
        (38, "an answer spoke of a record that was not durable, and came to be none"),
        (363, "what a failed attempt had left made the next failed one's restart refuse to serve"),
        (654, "a member put an older copy in the place of a newer one that was just being saved"),
        (2210, "a joiner whose founder was gone did not follow the epoch that knew it, and joined for ever"),
        (385, "a member with a copy from before its confirmation could not be recovered in place"),
        (643, "a founder that was recovered with a new key could not be told of a later epoch"),
        (4281, "who asked one member in its turn asked the same one every time"),
    ] {
        lives(seed);
    }
}
