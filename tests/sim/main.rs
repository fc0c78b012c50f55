//! Lives through many seeds of the simulator: `sim --seeds N --from SEED`. Prints each seed that breaks a rule; with
//! `--tell`, all that happens.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use bootstrapd_tests::sim;

fn main() -> ExitCode {
    let number = |name: &str, otherwise: u64| {
        let mut given = std::env::args().skip_while(move |word| word != name).skip(1);
        given.next().map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text} is no number")))
    };
    let (from, seeds) = (number("--from", 0), number("--seeds", 10_000));
    let is_told = std::env::args().any(|word| word == "--tell");
    let start = Instant::now();
    let next = AtomicU64::new(from);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let counts = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(|| work(&next, from + seeds, is_told))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).fold([0; 4], |sum, count| {
            [sum[0] + count[0], sum[1] + count[1], sum[2] + count[2], sum[3] + count[3]]
        })
    });
    let [broken, messages, rolled_back, unnoticed] = counts;
    let seconds = start.elapsed().as_secs_f64();
    println!("{seeds} seeds in {seconds:.1} s on {cores} cores, {:.0} a minute; {messages} messages", seeds as f64 * 60.0 / seconds);
    println!("{broken} broke a rule; {rolled_back} had a disk that went back in time, of which {unnoticed} did not come to rest");
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn work(next: &AtomicU64, end: u64, is_told: bool) -> [u64; 4] {
    let mut counts = [0; 4];
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return counts;
        }
        match sim::run(seed, is_told) {
            Ok(outcome) => {
                counts[1] += outcome.messages;
                counts[2] += u64::from(outcome.rolled_back);
                counts[3] += u64::from(outcome.unnoticed);
            }
            Err(broken) => {
                counts[0] += 1;
                println!("seed {seed}: {broken}");
            }
        }
    }
}
