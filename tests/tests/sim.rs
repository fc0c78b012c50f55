//! Whole clusters of cores in one process, through everything that a seed has in store: see `sim` in the library.
//! `cargo run --release -p bootstrapd-tests --bin sim -- --seeds 100000` lives through more; `--from SEED --seeds 1 --tell`
//! shows one.

#![allow(clippy::panic, clippy::unwrap_used, reason = "whatever fails here fails a test")]

use std::thread;

use bootstrapd_tests::sim::{self, Given, Store};

/// Without optimizations each copy of a record on its way is on the stack, and a record is large.
const STACK_BYTES: usize = 16 << 20;

fn lives(seed: u64) {
    lives_on(seed, None, Store::Embedded);
}

fn lives_on(seed: u64, places: Option<usize>, store: Store) {
    let run = move || sim::run(seed, Given { places, store: Some(store) }, false);
    let lived = thread::Builder::new().stack_size(STACK_BYTES).spawn(run).unwrap().join().unwrap();
    if let Err(broken) = lived {
        panic!("seed {seed}, {store:?}: {broken}");
    }
}

#[test]
fn whatever_happens_no_uid_is_given_twice_and_whoever_is_completed_is_a_member() {
    (0..400).for_each(lives);
}

#[test]
fn nor_where_the_record_is_in_a_store_that_all_members_share() {
    (0..200).for_each(|seed| lives_on(seed, None, Store::Shared));
}

/// Each of these breaks a rule where what it found is taken out again.
#[test]
fn what_was_found_once_stays_mended() {
    // What a failed attempt had left made the restart after the next failed one refuse to serve.
    [1150, 2517, 3095, 3643].into_iter().for_each(lives);
    // A member with a copy from before its confirmation could not be recovered in place.
    [153, 619, 670, 908].into_iter().for_each(lives);
    // A member that had seen a newer record while it refused somebody never told its clients of it.
    lives_on(255, None, Store::Shared);
    // A store that had lost everything, and come to the same number, was taken for what it had been.
    lives_on(95, None, Store::Shared);
    // An answer that waited for its record to be durable was given once that of another cluster was.
    lives_on(58, Some(128), Store::Embedded);
    // Likewise, where that answer's own question was what ended the membership.
    lives_on(152, Some(30), Store::Embedded);
}
