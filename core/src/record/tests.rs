use std::boxed::Box;
use std::string::{String as StdString, ToString as _};
use std::vec;
use std::vec::Vec as StdVec;

use heapless::Vec;

use super::*;
use crate::cluster::{Cluster, HashCost, Key, Member, MemberStatus, PasswordHash, Registration, Retired};
use crate::config::{BigstoreDriver, DnsSuffix, Limits, Placement, Policy, Ports, ProxyPolicy};
use crate::failure::{Cause, FailedNode, Mismatch, NodeTried, TriedReason, Violation};
use crate::few;
use crate::license::Terms;
use crate::limits::*;
use crate::node::Settings;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn text<const N: usize>(text: &str) -> String<N> {
    String::try_from(text).unwrap()
}

/// As many `fill` as there is room for; under miri a few.
fn full<const N: usize>(fill: char) -> String<N> {
    few(0..N / fill.len_utf8(), 97).map(|_| fill).collect()
}

/// As many items as there is room for; under miri a few.
fn list<T: Clone, const N: usize>(item: &T) -> Vec<T, N> {
    few(0..N, 7).map(|_| item.clone()).collect()
}

fn encoded(record: &impl Record) -> StdVec<u8> {
    let mut buffer = vec![0; CLUSTER_RECORD_BYTES_MAX];
    let length = encode(record, &mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

/// A record is one big value, which unoptimised code keeps on the stack several times before it is in its box.
const DECODING_STACK_BYTES: usize = 16 << 20;

fn on_a_big_stack(test: fn()) {
    let thread = std::thread::Builder::new().stack_size(DECODING_STACK_BYTES).spawn(test).unwrap();
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn decoded<R: Record + Default>(bytes: &[u8]) -> Result<Box<R>, Fault> {
    let mut record = Box::<R>::default();
    decode(bytes, &mut *record).map(|()| record)
}

fn node_record() -> NodeRecord {
    NodeRecord {
        node_id: Id([0xAB; 16]),
        revision: u64::MAX,
        standing: Standing::Member,
        action: Action::JoinCluster,
        start_time: Some(at(1)),
        end_time: Some(at(u64::MAX)),
        failure: Some(Failure::internal("a \"b\" \\ \n \u{1} \u{7f} é 🔑")),
        problems: text(r#"{"pointer":"/a","message":"b \"c\" \u0001"}"#),
        first_problem: (27, 40),
        membership: Some(Membership { cluster_id: Id([0xCD; 16]), epoch: u32::MAX, uid: 7 }),
        paths: Paths { persistent: text("/p \"q\""), ephemeral: text("/e"), bigstore: text("/é"), ccs: text("/c\n") },
    }
}

fn comes_back(record: &NodeRecord) -> usize {
    let bytes = encoded(record);
    assert!(bytes.len() <= NODE_RECORD_BYTES_MAX, "{} bytes", bytes.len());
    let again = decoded::<NodeRecord>(&bytes).unwrap();
    assert_eq!(std::format!("{again:?}"), std::format!("{record:?}"));
    // What the value held before does not matter.
    let mut other = node_record();
    assert_eq!(decode(&bytes, &mut other), Ok(()));
    assert_eq!(encoded(&other), bytes);
    bytes.len()
}

fn member(uid: u32) -> Member {
    Member {
        uid,
        node_id: Id([1; 16]),
        key: Key([0x5E; 32]),
        status: MemberStatus::Active,
        endpoint: "[2001:db8::1]:9443".parse().unwrap(),
        addr: "10.0.0.1".parse().unwrap(),
        external_addr: Vec::from_slice(&["::1".parse().unwrap(), "1.2.3.4".parse().unwrap()]).unwrap(),
        name: text("n \"1\""),
        rack_id: text("r1"),
        second_rack_id: String::new(),
        accept_servers: true,
        limits: Limits { max_listeners: 1, max_redis_servers: 2 },
        bigstore_driver: Some(BigstoreDriver::Speedb),
        bigstore_enabled: true,
        flash: Some(1 << 40),
        total_memory: Some(u64::MAX),
        cores: None,
        software_version: text("0.1.0-1"),
    }
}

fn cluster() -> Box<Cluster> {
    let suffix = DnsSuffix { name: text("a.b"), slaves: list(&"::1".parse().unwrap()), ..DnsSuffix::default() };
    let mut cluster = Box::new(Cluster {
        cluster_id: Id([2; 16]),
        epoch: 3,
        epoch_tag: Id([4; 16]),
        revision: 5,
        next_uid: 6,
        founder_uid: 1,
        is_shared: true,
        name: text("My.Cluster"),
        created_time: at(1_409_311_189),
        wait_command: false,
        use_internal_ipv6: true,
        policy: Policy {
            default_non_sharded_proxy_policy: ProxyPolicy::AllNodes,
            default_shards_placement: Placement::Sparse,
            ..Policy::default()
        },
        dns_suffixes: Vec::new(),
        ports: Ports::default(),
        license: text("----- LICENSE START -----\nAA==\n----- LICENSE END -----\n"),
        terms: Terms { node_limit: Some(3), owner: text("\"é\""), ..Terms::trial(at(0)) },
        username: text("ü'"),
        password: PasswordHash { cost: HashCost::Small, salt: [0xA0; 16], hash: [0x0B; 32] },
        registration: Registration { setup: [0xC0; OPAQUE_SETUP_BYTES], file: [0x0D; OPAQUE_FILE_BYTES] },
        settings: Settings {
            socket_dir: text("/run/\"s\""),
            config_dir: text("/etc/c"),
            install_dir: text("/opt/i"),
            user: text("bürger"),
        },
        members: Vec::new(),
        retired: Vec::new(),
    });
    cluster.dns_suffixes.push(suffix).unwrap();
    cluster.members.push(member(1)).unwrap();
    cluster.retired.push(Retired { uid: 3, node_id: Id([0x33; 16]), key: Key([0x44; 32]) }).unwrap();
    cluster
}

#[test]
fn a_nodes_record_comes_back() {
    let record = node_record();
    comes_back(&record);
    let least = NodeRecord {
        start_time: None,
        end_time: None,
        failure: None,
        problems: String::new(),
        first_problem: (0, 0),
        membership: None,
        paths: Paths::default(),
        ..record
    };
    for standing in few(Standing::ALL, 2) {
        for action in few(Action::ALL, 2) {
            comes_back(&NodeRecord {
                standing,
                action,
                paths: Paths::default(),
                problems: String::new(),
                failure: None,
                ..least
            });
        }
    }
}

#[test]
fn every_cause_of_a_failure_comes_back() {
    on_a_big_stack(|| {
        let rack = || Some(text("r-1"));
        let mismatch = Mismatch { setting: full('s'), cluster: full('c'), node: full('n') };
        let nodes_tried = TriedReason::ALL.map(|reason| NodeTried { node: full('n'), reason });
        let mut causes = vec![
            Cause::ConfigError { required_rack_id: None },
            Cause::ConfigError { required_rack_id: rack() },
            Cause::ConnectError { nodes_tried: Vec::new() },
            Cause::ConnectError { nodes_tried: Vec::from_slice(&nodes_tried).unwrap() },
            Cause::ConnectError { nodes_tried: list(&nodes_tried[0]) },
            Cause::AccessDenied {},
            Cause::RepairRequired {
                failed_nodes: list(&FailedNode { uid: u32::MAX, rack_id: Some(full('r')) }),
                replace_candidate: 3,
            },
            Cause::RepairRequired {
                failed_nodes: Vec::from_slice(&[FailedNode { uid: 1, rack_id: None }]).unwrap(),
                replace_candidate: 1,
            },
            Cause::InsufficientNodeMemory { required_memory: u64::MAX },
            Cause::InsufficientNodeFlash { required_flash: 0 },
            Cause::TimeNotSync { skew_seconds: i64::MIN },
            Cause::TimeNotSync { skew_seconds: i64::MAX },
            Cause::RackIdRequired { current_rack_ids: list(&full('r')) },
            Cause::SocketDirectoryMismatch { expected: full('\u{1}'), actual: full('"') },
            Cause::NodeConfigMismatch { mismatches: list(&mismatch) },
            Cause::PathError {},
            Cause::InternalError {},
        ];
        causes.extend(Violation::ALL.map(|violation| Cause::InvalidLicense { violation }));
        for cause in few(causes, 5) {
            let failure = Failure::new(cause, full::<MESSAGE_BYTES_MAX>('\u{1}'));
            comes_back(&NodeRecord { failure: Some(failure), ..node_record() });
        }
    });
}

#[test]
fn the_biggest_nodes_record_fits() {
    let path = || full('\u{1}');
    let record = NodeRecord {
        failure: Some(Failure::new(
            Cause::SocketDirectoryMismatch { expected: path(), actual: path() },
            full::<MESSAGE_BYTES_MAX>('\u{1}'),
        )),
        // A list of problems is JSON text, so quotes and backslashes are the worst that it can hold.
        problems: full('"'),
        first_problem: (PROBLEMS_BYTES_MAX, PROBLEMS_BYTES_MAX),
        paths: Paths { persistent: path(), ephemeral: path(), bigstore: path(), ccs: path() },
        ..node_record()
    };
    comes_back(&record);
}

#[test]
fn a_clusters_record_comes_back() {
    on_a_big_stack(|| {
        let mut cluster = cluster();
        for (uid, status) in (7..).zip(MemberStatus::ALL) {
            let bare = Member { bigstore_driver: None, flash: None, total_memory: None, cores: Some(8), ..member(uid) };
            cluster.members.push(Member { status, ..bare }).unwrap();
        }
        let bytes = encoded(&*cluster);
        assert_eq!(decoded::<Cluster>(&bytes).as_ref(), Ok(&cluster));
        // What the value held before does not matter.
        let mut other = self::cluster();
        assert_eq!(decode(&bytes, &mut *other), Ok(()));
        assert_eq!(other, cluster);
    });
}

#[test]
fn the_biggest_clusters_record_fits() {
    on_a_big_stack(|| {
        let address = "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap();
        let mut cluster = cluster();
        cluster.name = full('n');
        cluster.username = full('\\');
        cluster.license = full('\n');
        cluster.dns_suffixes = list(&DnsSuffix { name: full('d'), slaves: list(&address), ..DnsSuffix::default() });
        cluster.terms.features = list(&full('f'));
        cluster.terms.owner = full('o');
        cluster.members = list(&Member {
            addr: address,
            endpoint: std::net::SocketAddr::new(address, u16::MAX),
            flash: Some(u64::MAX),
            cores: Some(u32::MAX),
            status: MemberStatus::Provisioning,
            external_addr: list(&address),
            name: full('é'),
            rack_id: full('r'),
            second_rack_id: full('s'),
            software_version: full('1'),
            ..member(u32::MAX)
        });
        cluster.retired = list(&Retired { uid: u32::MAX, ..cluster.retired[0].clone() });
        cluster.settings =
            Settings { socket_dir: full('"'), config_dir: full('"'), install_dir: full('"'), user: full('"') };
        let bytes = encoded(&*cluster);
        assert!(bytes.len() <= CLUSTER_RECORD_BYTES_MAX, "{} bytes", bytes.len());
        assert_eq!(decoded::<Cluster>(&bytes).as_ref(), Ok(&cluster));
    });
}

#[test]
fn a_record_that_does_not_fit_is_an_error() {
    let record = node_record();
    let length = encoded(&record).len();
    assert_eq!(encode(&record, &mut vec![0; length]), Ok(length));
    for room in (0..length).rev().step_by(if cfg!(miri) { 97 } else { 1 }) {
        assert_eq!(encode(&record, &mut vec![0; room]), Err(TooLong), "{room}");
    }
}

#[test]
fn every_flipped_bit_every_cut_and_every_addition_is_noticed() {
    on_a_big_stack(|| {
        let step = if cfg!(miri) { 499 } else { 1 };
        let refused = |kind: Kind, bytes: &[u8]| match kind {
            Kind::Node => decoded::<NodeRecord>(bytes).is_err(),
            Kind::Cluster => decoded::<Cluster>(bytes).is_err(),
        };
        for (kind, bytes) in [(Kind::Node, encoded(&node_record())), (Kind::Cluster, encoded(&*cluster()))] {
            assert!(!refused(kind, &bytes));
            for bit in (0..bytes.len() * 8).step_by(step) {
                let mut damaged = bytes.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(refused(kind, &damaged), "bit {bit}");
            }
            for length in (0..bytes.len()).step_by(step) {
                assert!(refused(kind, &bytes[..length]), "{length} bytes");
            }
            for byte in [0, b'\n', b' ', b'x', 0xFF] {
                let longer: StdVec<u8> = bytes.iter().copied().chain([byte]).collect();
                assert!(refused(kind, &longer));
            }
            let twice: StdVec<u8> = bytes.iter().chain(&bytes).copied().collect();
            assert!(refused(kind, &twice));
            // Old content behind new, as a file that was not cut shows it.
            let swapped: StdVec<u8> = bytes[..bytes.len() / 2].iter().chain(&[0; 512]).copied().collect();
            assert!(refused(kind, &swapped));
        }
    });
}

/// A record with any first line and body, and the checksum that belongs to them.
fn forged(header: &str, body: &str) -> StdVec<u8> {
    let mut bytes = std::format!("{header}\n{body}").into_bytes();
    let trailer = trailer(&bytes);
    bytes.extend_from_slice(&trailer);
    bytes
}

fn fault(bytes: &[u8]) -> Fault {
    decoded::<NodeRecord>(bytes).unwrap_err()
}

#[test]
fn each_fault_has_its_name() {
    on_a_big_stack(|| {
        let bytes = encoded(&node_record());
        let body = std::str::from_utf8(&bytes).unwrap().lines().nth(1).unwrap();
        let header = "bootstrapd node record";
        assert!(decoded::<NodeRecord>(&forged(&std::format!("{header} 1"), body)).is_ok());
        assert_eq!(fault(b""), Fault::Torn);
        assert_eq!(fault(&bytes[..bytes.len() - 1]), Fault::Torn);
        assert_eq!(fault(&bytes[..20]), Fault::Torn);
        assert_eq!(fault(b"something else"), Fault::Foreign);
        assert_eq!(fault(&[0; 4096]), Fault::Foreign);
        assert_eq!(fault(&encoded(&*cluster())), Fault::Foreign);
        assert_eq!(decoded::<Cluster>(&bytes).unwrap_err(), Fault::Foreign);
        assert_eq!(fault(&forged(&std::format!("{header} 2"), "{}")), Fault::TooNew(2));
        assert_eq!(fault(&forged(&std::format!("{header} 4294967295"), "")), Fault::TooNew(u32::MAX));
        for header in ["bootstrapd node record ", "bootstrapd node record x", "bootstrapd node record 4294967296"] {
            assert_eq!(fault(&forged(header, body)), Fault::Torn, "{header}");
        }
        for bad in
            ["", "{}", "[]", &body[1..], &body.replace("\"revision\"", "\"other\""), &std::format!("{body}{body}")]
        {
            assert_eq!(fault(&forged(&std::format!("{header} 1"), bad)), Fault::Torn, "{bad}");
        }
        // Deeper than any record is: the decoder must not see it.
        assert_eq!(
            fault(&forged(&std::format!("{header} 1"), &"[".repeat(if cfg!(miri) { 1_000 } else { 100_000 }))),
            Fault::Torn
        );
    });
}

fn body_of(record: &impl Record) -> StdString {
    let bytes = encoded(record);
    std::str::from_utf8(&bytes).unwrap().lines().nth(1).unwrap().into()
}

/// The fault of a record with `new` in place of the one `old` that its body has.
fn replaced<R: Record + Default>(body: &str, old: &str, new: &str) -> Option<Fault> {
    assert_eq!(body.matches(old).count(), 1, "{old} in {body}");
    let header = std::format!("{}{VERSION}", R::KIND.header());
    decoded::<R>(&forged(&header, &body.replace(old, new))).err()
}

#[test]
fn a_nodes_record_of_any_other_shape_is_torn() {
    on_a_big_stack(|| {
        let body = body_of(&node_record());
        assert_eq!(replaced::<NodeRecord>(&body, r#""standing":"member""#, r#" "standing" : "failed" "#), None);
        let id = "ab".repeat(16);
        let revision = u64::MAX.to_string();
        let long = "p".repeat(PATH_BYTES_MAX + 1);
        let cases: &[(&str, &str)] = &[
            // Another order, a missing, an unknown, a repeated member, at the top and below.
            (r#""standing":"member","action":"join_cluster""#, r#""action":"join_cluster","standing":"member""#),
            (r#""epoch":4294967295,"uid":7"#, r#""uid":7,"epoch":4294967295"#),
            (r#""standing":"member","#, ""),
            (r#""epoch":4294967295,"#, ""),
            (r#","uid":7"#, ""),
            (r#""standing""#, r#""later":1,"standing""#),
            (r#""uid":7"#, r#""uid":7,"later":{}"#),
            (r#""standing""#, r#""standing":"member","standing""#),
            (r#""start_time""#, r#""start_time":"1970-01-01T00:00:01Z","start_time""#),
            (r#""uid":7"#, r#""uid":7,"uid":7"#),
            // A wrong type.
            (r#""member""#, "1"),
            (r#""member""#, "null"),
            (&revision, r#""1""#),
            (&revision, "true"),
            (&revision, "{}"),
            (r#""1970-01-01T00:00:01Z""#, "1"),
            (r#""1970-01-01T00:00:01Z""#, "null"),
            ("[27,40]", "27"),
            (r#"{"cluster_id""#, r#"[{"cluster_id""#),
            // Numbers out of range, or written as no writer does.
            (&revision, "18446744073709551616"),
            (&revision, "-1"),
            (&revision, "1.0"),
            (&revision, "1e2"),
            (&revision, "01"),
            (&revision, "+1"),
            ("4294967295", "4294967296"),
            ("[27,40]", "[27]"),
            ("[27,40]", "[27,40,1]"),
            ("[27,40]", "[-27,40]"),
            // No words, ids or moments.
            (r#""member""#, r#""Member""#),
            (r#""member""#, r#""""#),
            (r#""join_cluster""#, r#""leave_cluster""#),
            (r#""internal_error""#, r#""no_error""#),
            ("00:00:01Z", "00:00:60Z"),
            ("9999-12-31", "10000-12-31"),
            (&id, &id[1..]),
            (&id, &id[2..]),
            (&id, &std::format!("{id}ab")),
            (&id, &id.replace('a', "g")),
            (&id, &"+1".repeat(16)),
            (&id, &"\\u0061b".repeat(16)),
            // Too long a text.
            ("\"/e\"", &std::format!("\"{long}\"")),
            ("\"/e\"", &std::format!("\"{}\"", long.replace('p', "\\n"))),
        ];
        for (old, new) in few(cases, 6) {
            assert_eq!(replaced::<NodeRecord>(&body, old, new), Some(Fault::Torn), "{old} {new}");
        }
        for rest in ["{}", ",", "}", "x", " null"] {
            let forged = forged("bootstrapd node record 1", &std::format!("{body}{rest}"));
            assert_eq!(fault(&forged), Fault::Torn, "{rest}");
        }
    });
}

#[test]
fn a_clusters_record_of_any_other_shape_is_torn() {
    on_a_big_stack(|| {
        let body = body_of(&*cluster());
        let slaves = std::format!("[{}]", ["\"::1\""; SUFFIX_SLAVES_MAX].join(","));
        let cases: &[(&str, &str)] = &[
            (r#""cost":"small""#, r#""cost":"tiny""#),
            (r#""all-nodes""#, r#""all_nodes""#),
            (r#""sparse""#, r#""dense-ish""#),
            (r#""speedb""#, r#""leveldb""#),
            (r#""10.0.0.1""#, r#""10.0.0.256""#),
            (r#""10.0.0.1""#, r#""""#),
            (r#""[2001:db8::1]:9443""#, r#""2001:db8::1""#),
            (r#""[2001:db8::1]:9443""#, r#""[2001:db8::1]:65536""#),
            (r#""status":"active""#, r#""status":"down""#),
            (r#""flash":1099511627776"#, r#""flash":null"#),
            (r#","user":"bürger""#, ""),
            (r#""retired":[{"uid":3"#, r#""retired":[{"uid":-3"#),
            (r#"["::1","1.2.3.4"]"#, r#"["::1","host"]"#),
            (r#"["::1","1.2.3.4"]"#, "{}"),
            (r#"["::1","1.2.3.4"]"#, r#"["::1",["1.2.3.4"]]"#),
            (r#""cnm_https_port":9443"#, r#""cnm_https_port":65536"#),
            (r#""wait_command":false"#, r#""wait_command":0"#),
            (r#""wait_command":false"#, r#""wait_command":"false""#),
            (r#""accept_servers":true"#, r#""accept_servers":null"#),
            (r#""node_limit":3"#, r#""node_limit":null"#),
            (r#"["trial","bigstore"]"#, r#"["trial","bigstore",1]"#),
            (r#""trial""#, &std::format!("\"{}\"", "t".repeat(FEATURE_BYTES_MAX + 1))),
            // One element too many.
            (&slaves, &slaves.replace('[', "[\"::1\",")),
            (r#"["trial""#, &std::format!("[{}\"trial\"", "\"t\",".repeat(FEATURES_MAX))),
            // An element cut short.
            (r#","software_version":"0.1.0-1""#, ""),
            (r#""members":["#, r#""members":[{},"#),
        ];
        // Under miri no list is full, so that one more element is none too many.
        let cases = cases.iter().filter(|(old, _)| !cfg!(miri) || body.contains(old));
        for (old, new) in few(cases, 4) {
            assert_eq!(replaced::<Cluster>(&body, old, new), Some(Fault::Torn), "{old} {new}");
        }
        let secrets = [("0b", 32), ("5e", 32), ("44", 32), ("c0", OPAQUE_SETUP_BYTES), ("0d", OPAQUE_FILE_BYTES)];
        for (byte, length) in few(secrets, 2) {
            let secret = byte.repeat(length);
            for bad in [&secret[2..], &std::format!("{secret}{byte}"), ""] {
                assert_eq!(replaced::<Cluster>(&body, &secret, bad), Some(Fault::Torn), "{bad}");
            }
        }
    });
}

#[test]
fn an_id_is_32_hexadecimal_digits() {
    assert_eq!(Id([0x0A; 16]).to_string(), "0a".repeat(16));
}

#[test]
fn damage_is_told_in_words() {
    assert_eq!(Fault::Torn.to_string(), "is damaged");
    assert!(Fault::TooNew(9).to_string().contains("version 9"));
}
