//! Lives through many seeds of the simulator: `sim --seeds N --from SEED`, with `--places N` on so many places instead of
//! a few, with `--store embedded` or `--store shared` all of them in worlds of that kind instead of both. Prints each seed that breaks a rule; with `--tell`, all that happens. `sim --growth`: how a cluster's record and the cost of an admission grow.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a program for developers, and its numbers are small"
)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use bootstrapd_tests::sim::{self, Given, Store, Tally};

const FLAGS: [&str; 6] = ["--seeds", "--from", "--places", "--store", "--tell", "--growth"];

fn main() -> ExitCode {
    if let Some(unknown) = std::env::args().skip(1).find(|word| word.starts_with('-') && !FLAGS.contains(&&**word)) {
        eprintln!("{unknown} is not known here; flags are {}", FLAGS.join(" "));
        return ExitCode::from(64);
    }
    if std::env::args().any(|word| word == "--growth") {
        return grow();
    }
    let number = |name: &str, otherwise: u64| {
        let mut given = std::env::args().skip_while(move |word| word != name).skip(1);
        given.next().map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text} is no number")))
    };
    let (from, seeds) = (number("--from", 0), number("--seeds", 10_000));
    let places = std::env::args().any(|word| word == "--places").then(|| number("--places", 0));
    let places = places.map(|places| usize::try_from(places).unwrap());
    let store = std::env::args().skip_while(|word| word != "--store").nth(1).map(|word| match word.as_str() {
        "embedded" => Store::Embedded,
        "shared" => Store::Shared,
        _ => panic!("--store: {word} is neither embedded nor shared"),
    });
    let given = Given { places, store };
    let is_told = std::env::args().any(|word| word == "--tell");
    let start = Instant::now();
    let next = AtomicU64::new(from);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let sum = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(|| work(&next, from + seeds, given, is_told))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).fold(Sum::default(), |sum, other| sum.with(&other))
    });
    let seconds = start.elapsed().as_secs_f64();
    println!("{seeds} seeds in {seconds:.1} s on {cores} cores, {:.0} a minute", seeds as f64 * 60.0 / seconds);
    println!("{:?}", sum.tally);
    let Sum { broken, apart, unsettled, .. } = sum;
    println!(
        "{apart} had a disk or a store that went back in time, or were recovered twice or beside a living founder; {unsettled} of these did not come to rest"
    );
    println!("{broken} broke a rule");
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn grow() -> ExitCode {
    println!("members  record, bytes  admission, ns  judging it alone, ns");
    for sim::Growth { members, record_bytes, admit, judge } in sim::growth() {
        println!("{members:>7}  {record_bytes:>13}  {:>13}  {:>20}", admit.as_nanos(), judge.as_nanos());
    }
    ExitCode::SUCCESS
}

#[derive(Default)]
struct Sum {
    broken: u64,
    apart: u64,
    unsettled: u64,
    tally: Tally,
}

impl Sum {
    fn with(mut self, other: &Self) -> Self {
        self.broken += other.broken;
        self.apart += other.apart;
        self.unsettled += other.unsettled;
        self.tally += other.tally;
        self
    }
}

fn work(next: &AtomicU64, end: u64, given: Given, is_told: bool) -> Sum {
    let mut sum = Sum::default();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return sum;
        }
        match sim::run(seed, given, is_told) {
            Ok(outcome) => {
                sum.tally += outcome.tally;
                sum.apart += u64::from(outcome.rolled_back || outcome.rash);
                sum.unsettled += u64::from(outcome.is_unsettled);
            }
            Err(broken) => {
                sum.broken += 1;
                println!("seed {seed}: {broken}");
            }
        }
    }
}
