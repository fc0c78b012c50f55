//! Any body of a PUT gives a change that has the right shape, or problems that are valid JSON; and a change leaves a record
//! that can be kept, or is refused. The first byte picks what is put.

#![no_main]

use bootstrapd_core::cluster::{Cluster, JoinRequest, Member, MemberStatus};
use bootstrapd_core::json;
use bootstrapd_core::license::Terms;
use bootstrapd_core::manage::{Change, Target};
use bootstrapd_core::problems::Problems;
use bootstrapd_core::record;
use bootstrapd_core::time::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

fuzz_target!(|input: &[u8]| {
    let Some((first, body)) = input.split_first() else { return };
    let target = match first % 3 {
        0 => Target::Node(u32::from(first >> 2) % 3),
        1 => Target::License,
        _ => Target::Policy,
    };
    let (mut change, mut problems) = (Box::new(Change::new(target)), Box::<Problems>::default());
    change.read(body, &mut problems);
    if !problems.is_empty() {
        let list: Vec<Value> = serde_json::from_str(&format!("[{}]", problems.json())).unwrap();
        for problem in list {
            let pointer = problem["pointer"].as_str().unwrap();
            assert!(pointer.is_empty() || pointer.starts_with('/'));
        }
        return;
    }
    json::check(body).unwrap();
    assert_eq!(target == Target::License, !change.license.is_empty());
    change.terms = Terms::trial(NOW);
    let mut cluster = Box::<Cluster>::default();
    let member = Member { uid: 1, status: MemberStatus::Active, ..JoinRequest::default().member };
    cluster.members.push(member).unwrap();
    let before = cluster.revision;
    if let Ok(changed) = cluster.change(&change, NOW) {
        assert_eq!(cluster.revision, before + u64::from(changed));
        let mut buffer = vec![0; 256 * 1024];
        let length = record::encode(&*cluster, &mut buffer).unwrap();
        let mut again = Box::<Cluster>::default();
        record::decode(&buffer[..length], &mut *again).unwrap();
        assert!(again == cluster);
        // Twice is once.
        assert_eq!(cluster.change(&change, NOW), Ok(false));
    }
});
