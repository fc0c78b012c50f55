//! A hundred nodes join one cluster at once, on one machine, with either store.

use std::thread;
use std::time::{Duration, Instant};

use bootstrapd_tests::cluster::{join_body, listed, node_with, uid};
use bootstrapd_tests::etcd::{Etcd, store};
use bootstrapd_tests::{Node, within};

const JOINERS: usize = 100;
/// A busy machine is slow; who waits longer is stuck.
const PATIENCE: Duration = Duration::from_mins(3);

fn join_at_once(name: &str, options: &[&str]) {
    let options = [&["--beat", "5"], options].concat();
    let founder = node_with(&options);
    founder.create();
    let joiners: Vec<Node> = (0..JOINERS).map(|_| node_with(&options)).collect();
    let start = Instant::now();
    let mut body = join_body(&[founder.address()]);
    body["max_retries"] = 100.into();
    for joiner in &joiners {
        joiner.accept("join_cluster", &body);
    }
    for joiner in &joiners {
        within(PATIENCE, "the end of a join", || {
            let status = joiner.bootstrap_status();
            assert_ne!(status["state"], "error", "{status}");
            // Looking on costs the same cores.
            thread::sleep(Duration::from_millis(50));
            (status["state"] == "completed").then_some(())
        });
        assert!(listed(&founder).iter().all(|(_, status)| status != "down"), "nobody is dead: {:?}", listed(&founder));
    }
    println!("{name}: {JOINERS} nodes have joined at once in {:.1} s", start.elapsed().as_secs_f64());
    let mut uids: Vec<u64> = joiners.iter().map(uid).collect();
    uids.sort_unstable();
    assert_eq!(uids, (2..=101).collect::<Vec<_>>());
    within(PATIENCE, "all of them active", || {
        let listed = listed(&founder);
        (listed.len() == 101 && listed.iter().all(|(_, status)| status == "active")).then_some(())
    });
}

#[test]
fn a_hundred_nodes_join_at_once_and_each_gets_a_number_of_its_own() {
    join_at_once("embedded", &[]);
    super::required("etcd");
    let etcd = Etcd::start(1);
    join_at_once("etcd", &["--store", &store(&etcd.addresses())]);
}
