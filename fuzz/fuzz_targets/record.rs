//! No bytes on disk make the decoder panic, and what decodes is encoded again. The first byte picks the record, and
//! whether the checksum is made to fit: no fuzzer would guess it.

#![no_main]

use bootstrapd_core::cluster::Cluster;
use bootstrapd_core::config::Paths;
use bootstrapd_core::limits::CLUSTER_RECORD_BYTES_MAX;
use bootstrapd_core::machine::Machine;
use bootstrapd_core::record::{self, NodeRecord};
use bootstrapd_core::time::Timestamp;
use crc::{CRC_64_XZ, Crc};
use libfuzzer_sys::fuzz_target;

const CHECKSUM: Crc<u64> = Crc::<u64>::new(&CRC_64_XZ);

fuzz_target!(|input: &[u8]| {
    let Some((first, content)) = input.split_first() else { return };
    let mut bytes = content.to_vec();
    if first & 2 != 0 {
        bytes.extend_from_slice(format!("\n{:016x}\n", CHECKSUM.checksum(content)).as_bytes());
    }
    let mut buffer = vec![0; CLUSTER_RECORD_BYTES_MAX];
    if first & 1 == 0 {
        let mut record = Box::<NodeRecord>::default();
        if record::decode(&bytes, &mut *record).is_ok() {
            let mut machine = restored(&record);
            let state = machine.state();
            // Anything can be shown, and comes back as the same state.
            let length = machine.encode(&mut buffer).unwrap();
            let mut again = Box::<NodeRecord>::default();
            record::decode(&buffer[..length], &mut *again).unwrap();
            assert_eq!(again.node_id, machine.node_id());
            let again = restored(&again);
            assert_eq!(again.state(), state);
        }
    } else {
        let mut cluster = Box::<Cluster>::default();
        if record::decode(&bytes, &mut *cluster).is_ok() {
            let length = record::encode(&*cluster, &mut buffer).unwrap();
            let mut again = Box::<Cluster>::default();
            assert_eq!(record::decode(&buffer[..length], &mut *again), Ok(()));
            assert_eq!(again, cluster);
        }
    }
});

fn restored(record: &NodeRecord) -> Box<Machine> {
    let mut machine = Box::<Machine>::default();
    machine.restore(record, &Paths::default(), Timestamp::from_seconds(0));
    machine
}
