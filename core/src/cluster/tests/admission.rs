//! Each check with its own failure, at its limit and beyond it, and the order of them all.

use super::*;

/// The cluster's clock, in milliseconds since 1970.
const CLOCK: u64 = 1_000_000_000;
const MIB: u64 = 1 << 20;

/// A request of a node that could join as any member.
pub(super) fn request(node: u32) -> JoinRequest {
    let settings = settings();
    let member = Member { uid: 0, key: Key::default(), ..member(node) };
    JoinRequest { clock_ms: CLOCK, settings, member, ..JoinRequest::default() }
}

fn replacing(node: u32, uid: u32) -> JoinRequest {
    JoinRequest { uid: Some(uid), ..request(node) }
}

pub(super) fn rules(liveness: &Liveness) -> Rules<'_> {
    Rules { liveness, uptime_ms: LATER, clock_ms: CLOCK, max_skew_seconds: 5, is_shared: false }
}

/// The failure of a node that is not admitted to a cluster whose `dead` members are down, by a validation and by a join
/// alike; then nothing has changed.
fn refused(cluster: &Cluster, dead: &[u32], request: &JoinRequest) -> Failure {
    let liveness = heard(cluster, dead);
    let failure = cluster.could_admit(request, &rules(&liveness)).unwrap_err();
    let mut draft = Box::new(cluster.clone());
    let result = draft.admit(request, Key([99; 32]), &rules(&liveness));
    assert_eq!(result.as_ref(), Err(&failure));
    assert!(*draft == *cluster, "a refusal changes nothing");
    failure
}

fn cause(cluster: &Cluster, dead: &[u32], request: &JoinRequest) -> Cause {
    refused(cluster, dead, request).cause
}

fn could_join(cluster: &Cluster, dead: &[u32], request: &JoinRequest) -> bool {
    cluster.could_admit(request, &rules(&heard(cluster, dead))).is_ok()
}

fn text<const N: usize>(text: &str) -> heapless::String<N> {
    text.try_into().unwrap()
}

const OTHER: Cause = Cause::ConfigError { required_rack_id: None };

#[test]
fn clocks_may_differ_by_what_is_allowed_and_half_of_a_round_trip_either_way() {
    let cluster = cluster([1]);
    for (round_trip_ms, offset_ms, skew_seconds) in [
        (0, 5_000, None),
        (0, 5_001, Some(5)),
        (0, 60_999, Some(60)),
        (0, -5_000, None),
        (0, -5_001, Some(-5)),
        // It was sent half a round trip ago, which may have been all of it or nothing.
        (400, 5_000, None),
        (400, 5_001, Some(5)),
        (400, -5_400, None),
        (400, -5_401, Some(-5)),
        // Nobody has any skew allowed for taking long.
        (10_000, -15_000, None),
        (u64::MAX, -15_000, None),
        (u64::MAX, -15_001, Some(-10)),
        (0, -i64::try_from(CLOCK).unwrap(), Some(-1_000_000)),
        (0, i64::MAX, Some(i64::MAX / 1_000)),
    ] {
        let clock_ms = CLOCK.saturating_add_signed(offset_ms);
        let request = JoinRequest { clock_ms, round_trip_ms, ..request(9) };
        let case = (round_trip_ms, offset_ms);
        match skew_seconds {
            None => assert!(could_join(&cluster, &[], &request), "{case:?}"),
            Some(skew_seconds) => {
                assert_eq!(cause(&cluster, &[], &request), Cause::TimeNotSync { skew_seconds }, "{case:?}");
            }
        }
    }
    let liveness = heard(&cluster, &[]);
    let strict = Rules { max_skew_seconds: 0, ..rules(&liveness) };
    let lax = Rules { max_skew_seconds: u64::MAX, ..strict };
    let late = JoinRequest { clock_ms: 0, ..request(9) };
    assert!(cluster.could_admit(&request(9), &strict).is_ok() && cluster.could_admit(&late, &strict).is_err());
    assert!(cluster.could_admit(&late, &lax).is_ok());
}

#[test]
fn every_setting_that_differs_is_named_and_all_at_once() {
    type Change = fn(&mut JoinRequest);
    let cases: [(Change, [&str; 3]); 7] = [
        (
            |request| request.member.software_version = text("9.9.9-9"),
            ["software_version", SOFTWARE_VERSION, "9.9.9-9"],
        ),
        (|request| request.required_version = text("0.1.1"), ["required_version", SOFTWARE_VERSION, "0.1.1"]),
        (|request| request.settings.install_dir = text("/i"), ["install_dir", "/opt/b", "/i"]),
        (|request| request.settings.config_dir = text("/c"), ["config_dir", "/etc/b", "/c"]),
        (|request| request.settings.user = text("root"), ["service_user", "b", "root"]),
        (|request| request.member.addr = "::1".parse().unwrap(), ["ip_family", "ipv4", "ipv6"]),
        (|request| request.cluster_name = text("Yours"), ["cluster_name", "My.Cluster", "Yours"]),
    ];
    let cluster = cluster([1, 2]);
    let mismatches = |request: &JoinRequest| {
        let cause = cause(&cluster, &[], request);
        let Cause::NodeConfigMismatch { mismatches } = cause else { panic!("{cause:?}") };
        mismatches
    };
    let named = |[setting, cluster, node]: [&str; 3]| crate::failure::Mismatch {
        setting: text(setting),
        cluster: text(cluster),
        node: text(node),
    };
    let mut all = request(9);
    for (change, expected) in cases {
        let mut request = request(9);
        change(&mut request);
        change(&mut all);
        assert_eq!(mismatches(&request), [named(expected)]);
    }
    assert_eq!(mismatches(&all), cases.map(|(_, expected)| named(expected)));
}

#[test]
fn settings_that_may_differ_do_not_matter() {
    let mut cluster = cluster([1, 2]);
    let series = SOFTWARE_VERSION.rsplit_once('.').unwrap().0;
    for version in [format!("{series}.99-7"), format!("{series}.0"), series.to_string()] {
        let mut request = request(9);
        request.member.software_version = text(&version);
        assert!(could_join(&cluster, &[], &request), "{version}");
    }
    for name in ["", "my.cluster", "MY.CLUSTER"] {
        assert!(could_join(&cluster, &[], &JoinRequest { cluster_name: text(name), ..request(9) }), "{name}");
    }
    // The oldest member must be new enough, by numbers.
    cluster.members[1].software_version = text("0.1.10-2");
    cluster.members[0].software_version = text("0.1.9-11");
    for (required, good) in [("", true), ("0.1.9-11", true), ("0.1.9", true), ("0.1.9-12", false), ("0.1.10", false)] {
        let request = JoinRequest { required_version: text(required), ..request(9) };
        assert_eq!(could_join(&cluster, &[], &request), good, "{required}");
    }
}

#[test]
fn socket_directories_that_differ_are_both_named() {
    let mut request = request(9);
    request.settings.socket_dir = text("/s");
    let expected = Cause::SocketDirectoryMismatch { expected: text("/run/b"), actual: text("/s") };
    assert_eq!(cause(&cluster([1]), &[], &request), expected);
}

#[test]
fn a_cluster_with_dead_members_names_them_all() {
    let mut cluster = cluster([1, 2, 3, 4]);
    cluster.members[2].rack_id = text("r3");
    let failed = |uid, rack: Option<&str>| crate::failure::FailedNode { uid, rack_id: rack.map(text) };
    let failure = refused(&cluster, &[3, 4], &request(9));
    let failed_nodes = [failed(3, Some("r3")), failed(4, None)].into_iter().collect();
    assert_eq!(failure.cause, Cause::RepairRequired { failed_nodes, replace_candidate: 4 });
    assert!(failure.message.contains("best: 4"), "{}", failure.message);
    // A provisioning node that is silent is not down, and the founder, who judges, never is.
    cluster.members[3].status = MemberStatus::Provisioning;
    assert!(could_join(&cluster, &[1], &request(9)));
}

#[test]
fn the_candidate_is_at_home_or_in_the_rack_and_weak_enough_or_weak_enough_or_the_lowest() {
    // The dead ones from number 2 on: whether at the joiner's address, the rack, memory and flash. The joiner has 1000
    // of each and is in the rack r1.
    type Dead = (bool, &'static str, u64, u64);
    let (away, home) = (false, true);
    let cases: [(&[Dead], u32); 9] = [
        (&[(away, "r1", 1_000, 1_000), (home, "r2", 9_000, 9_000)], 3),
        (&[(away, "r2", 1_000, 1_000), (away, "R1", 1_000, 1_000)], 3),
        (&[(away, "r2", 1_000, 1_000), (away, "r1", 1_021, 1_000)], 2),
        (&[(away, "r2", 1_000, 1_000), (away, "r1", 1_000, 1_021)], 2),
        (&[(away, "r2", 9_000, 1_000), (away, "r2", 1_020, 1_020)], 3),
        (&[(away, "r1", 9_000, 1_000), (away, "r2", 1_000, 1_000), (away, "r1", 1_000, 1_000)], 4),
        (&[(away, "r2", 9_000, 1_000), (away, "r1", 9_000, 1_000)], 2),
        (&[(away, "r1", 1_000, 1_000), (away, "r1", 1_000, 1_000)], 2),
        (&[(away, "", 1_000, 1_000), (away, "r1", 9_000, 9_000)], 2),
    ];
    for (dead, expected) in cases {
        let uids = 2..2 + u32::try_from(dead.len()).unwrap();
        let mut cluster = cluster(std::iter::once(1).chain(uids.clone()));
        let mut request = request(9);
        request.member.rack_id = text("r1");
        for (member, (at_home, rack, memory, flash)) in cluster.members.iter_mut().skip(1).zip(dead) {
            member.rack_id = text(rack);
            (member.total_memory, member.flash) = (Some(*memory), Some(*flash));
            if *at_home {
                member.addr = request.member.addr;
            }
        }
        let Cause::RepairRequired { replace_candidate, .. } =
            cause(&cluster, &uids.collect::<std::vec::Vec<_>>(), &request)
        else {
            panic!("{dead:?}")
        };
        assert_eq!(replace_candidate, expected, "{dead:?}");
    }
}

#[test]
fn only_a_dead_member_that_nobody_else_replaces_can_be_replaced() {
    let mut cluster = cluster([1, 2, 3]);
    let message = |cluster: &Cluster, request: &JoinRequest| {
        let failure = refused(cluster, &[3], request);
        assert_eq!(failure.cause, OTHER);
        failure.message
    };
    assert!(message(&cluster, &replacing(9, 4)).contains("no node with the uid 4"));
    assert!(message(&cluster, &replacing(9, 2)).contains("uid 2 is not down"));
    assert!(message(&cluster, &replacing(9, 1)).contains("uid 1 is not down"));
    cluster.members.push(Member { uid: 3, status: MemberStatus::Replacing, ..member(8) }).unwrap();
    assert!(message(&cluster, &replacing(9, 3)).contains("uid 3 is being replaced by another one"));
    assert!(could_join(&cluster, &[3], &replacing(8, 3)));
    // A node that has not confirmed is not down.
    cluster.members.push(Member { status: MemberStatus::Provisioning, ..member(4) }).unwrap();
    assert!(message(&cluster, &replacing(9, 4)).contains("uid 4 is not down"));
}

#[test]
fn no_two_living_nodes_have_one_address_and_port() {
    let cluster = cluster([1, 2, 3]);
    let mut replacing = replacing(9, 3);
    replacing.member.endpoint = cluster.members[1].endpoint;
    let failure = refused(&cluster, &[3], &replacing);
    assert_eq!(failure.cause, OTHER);
    assert!(failure.message.contains("uid 2 has the address 10.0.0.2:9443"), "{}", failure.message);
    // Several can share a machine; and of a dead one the address is free.
    replacing.member.endpoint.set_port(9444);
    assert!(could_join(&cluster, &[3], &replacing));
    replacing.member.endpoint = cluster.members[2].endpoint;
    assert!(could_join(&cluster, &[3], &replacing));
}

#[test]
fn a_replacement_has_98_percent_of_what_the_dead_node_had() {
    let mut cluster = cluster([1, 2]);
    for (had, required) in [
        (Some(1_000), 980),
        (Some(1_001), 981),
        (Some(1), 1),
        (Some(0), 0),
        (None, 0),
        (Some(100 * MIB), 98 * MIB),
        (Some(u64::MAX), 18_077_809_192_235_360_583),
    ] {
        let mut request = replacing(9, 2);
        (cluster.members[1].total_memory, cluster.members[1].flash) = (had, had);
        (request.member.total_memory, request.member.flash) = (Some(required), Some(required));
        assert!(could_join(&cluster, &[2], &request), "{had:?}");
        let Some(less) = required.checked_sub(1) else {
            (request.member.total_memory, request.member.flash) = (None, None);
            assert!(could_join(&cluster, &[2], &request), "{had:?}");
            continue;
        };
        for less in [Some(less), None] {
            request.member.flash = less;
            let expected = Cause::InsufficientNodeFlash { required_flash: required };
            assert_eq!(cause(&cluster, &[2], &request), expected, "{had:?}");
            request.member.total_memory = less;
            let expected = Cause::InsufficientNodeMemory { required_memory: required };
            assert_eq!(cause(&cluster, &[2], &request), expected, "{had:?}");
            request.member.total_memory = Some(required);
        }
    }
    // Who replaces nobody may be as weak as it likes.
    let mut weak = request(9);
    (weak.member.total_memory, weak.member.flash) = (Some(1), None);
    assert!(could_join(&cluster, &[], &weak));
}

#[test]
fn the_128th_member_is_admitted_and_the_129th_is_not() {
    let last = u32::try_from(MEMBERS_MAX).unwrap();
    let mut cluster = cluster(1..last);
    let liveness = heard(&cluster, &[]);
    assert_eq!(cluster.admit(&request(last), Key([1; 32]), &rules(&liveness)), Ok(Admitted { uid: last }));
    let failure = refused(&cluster, &[], &request(200));
    assert_eq!(failure.cause, OTHER);
    assert!(failure.message.contains("128 members"), "{}", failure.message);
    // The one that has not confirmed can still ask again.
    assert_eq!(cluster.admit(&request(last), Key([2; 32]), &rules(&liveness)), Ok(Admitted { uid: last }));
}

#[test]
#[cfg_attr(miri, ignore = "a full record takes hours there")]
fn a_full_cluster_is_repaired_a_few_at_a_time() {
    let mut cluster = cluster(1..=u32::try_from(MEMBERS_MAX).unwrap());
    let dead: std::vec::Vec<u32> = (2..).take(REPLACEMENTS_MAX + 1).collect();
    let (last, others) = dead.split_last().unwrap();
    let liveness = heard(&cluster, &dead);
    for uid in others {
        let replacement = replacing(200 + uid, *uid);
        assert_eq!(cluster.admit(&replacement, Key([1; 32]), &rules(&liveness)), Ok(Admitted { uid: *uid }));
    }
    let failure = refused(&cluster, &dead, &replacing(255, *last));
    assert!(failure.cause == OTHER && failure.message.contains("8 members are being replaced"), "{}", failure.message);
    assert!(cluster.confirm(id(202)));
    assert!(could_join(&cluster, &dead, &replacing(255, *last)));
    assert_eq!(cluster.members.len(), MEMBERS_MAX + REPLACEMENTS_MAX - 1);
}

#[test]
#[cfg_attr(miri, ignore = "a full record takes hours there")]
fn a_joiner_whose_names_the_record_has_no_room_for_is_refused_before_it_is_admitted() {
    let mut cluster = cluster([1]);
    let liveness = Liveness::new(BEAT, LATER);
    let long = |uid| {
        let mut request = request(uid);
        // Six bytes each in a record.
        request.member.name = text(&"\u{1}".repeat(HOST_BYTES_MAX));
        request.member.external_addr =
            [core::net::Ipv6Addr::from([255; 16]).into(); EXTERNAL_ADDRESSES_MAX].into_iter().collect();
        request
    };
    let room = CLUSTER_RECORD_BYTES_MAX - CLUSTER_RECORD_BYTES_SPARE;
    let refused_at = (2..128).find(|uid| cluster.admit(&long(*uid), Key([1; 32]), &rules(&liveness)).is_err()).unwrap();
    let length = crate::record::length(&*cluster);
    assert!(length <= room && length > room - 3_000, "{length}");
    let failure = refused(&cluster, &[], &long(refused_at));
    assert!(failure.cause == OTHER && failure.message.contains("record is full"), "{}", failure.message);
    // One with a short name fits until the room is used up, and one that has not confirmed may ask again, if not for more.
    assert!(cluster.admit(&request(200), Key([1; 32]), &rules(&liveness)).is_ok());
    assert!(cluster.admit(&request(200), Key([2; 32]), &rules(&liveness)).is_ok());
    let more = refused(&cluster, &[], &long(200));
    assert!(more.message.contains("record is full"), "{}", more.message);
    let mut buffer = vec![0; CLUSTER_RECORD_BYTES_MAX];
    assert_eq!(crate::record::encode(&*cluster, &mut buffer).unwrap(), crate::record::length(&*cluster));
}

#[test]
fn no_record_is_longer_than_it_is_taken_to_be_without_writing_it() {
    let wide = "\u{1}".repeat(PATH_BYTES_MAX);
    let six = core::net::Ipv6Addr::from([255; 16]);
    let mut cluster = cluster([1, 2]);
    for _ in 0..2 {
        let length = crate::record::length(&*cluster);
        assert!(length <= cluster.length_at_most(), "{length} {}", cluster.length_at_most());
        let member = Writer::measure(|writer| cluster.members[1].write_record(writer));
        assert!(member < cluster.members[1].length_at_most());
        // The second time with all of it as long as can be.
        (cluster.epoch, cluster.revision, cluster.next_uid, cluster.founder_uid) =
            (u32::MAX, u64::MAX, u32::MAX, u32::MAX);
        cluster.name = text(&wide[..CLUSTER_NAME_BYTES_MAX]);
        cluster.license = text(&"\u{1}".repeat(LICENSE_BYTES_MAX));
        cluster.username = text(&wide[..USERNAME_BYTES_MAX]);
        cluster.terms.owner = text(&wide[..OWNER_BYTES_MAX]);
        cluster.terms.cluster_name = text(&wide[..CLUSTER_NAME_BYTES_MAX]);
        (cluster.terms.shards_limit, cluster.terms.node_limit) = (u32::MAX, Some(u32::MAX));
        cluster.terms.features = core::iter::repeat_n(text(&wide[..FEATURE_BYTES_MAX]), FEATURES_MAX).collect();
        let Settings { socket_dir, config_dir, install_dir, user } = &mut cluster.settings;
        (*socket_dir, *config_dir, *install_dir) = (text(&wide), text(&wide), text(&wide));
        *user = text(&wide[..FACT_BYTES_MAX]);
        let slaves = [core::net::IpAddr::from(six); SUFFIX_SLAVES_MAX].into_iter().collect();
        let suffix = DnsSuffix { name: text(&wide[..HOST_BYTES_MAX]), slaves, ..DnsSuffix::default() };
        cluster.dns_suffixes = core::iter::repeat_n(suffix, SUFFIXES_MAX).collect();
        let retired = Retired { uid: u32::MAX, ..Retired::default() };
        cluster.retired = core::iter::repeat_n(retired, RETIRED_MAX).collect();
        let longest = &mut cluster.members[1];
        longest.uid = u32::MAX;
        longest.status = MemberStatus::Provisioning;
        (longest.addr, longest.endpoint) = (six.into(), (six, u16::MAX).into());
        longest.external_addr = [core::net::IpAddr::from(six); EXTERNAL_ADDRESSES_MAX].into_iter().collect();
        longest.name = text(&wide[..HOST_BYTES_MAX]);
        (longest.rack_id, longest.second_rack_id) = (text(&wide[..RACK_BYTES_MAX]), text(&wide[..RACK_BYTES_MAX]));
        longest.software_version = text(&wide[..VERSION_BYTES_MAX]);
        (longest.flash, longest.total_memory, longest.cores) = (Some(u64::MAX), Some(u64::MAX), Some(u32::MAX));
        (longest.limits.max_listeners, longest.limits.max_redis_servers) = (u32::MAX, u32::MAX);
        longest.bigstore_driver = Some(crate::config::BigstoreDriver::Rocksdb);
    }
    let length = crate::record::length(&*cluster);
    assert!(length <= cluster.length_at_most() && length * 10 > cluster.length_at_most() * 9, "{length}");
}

#[test]
fn a_rack_aware_cluster_asks_for_a_rack_and_for_the_dead_nodes_own() {
    let mut cluster = cluster([1, 2, 3, 4]);
    for (member, rack) in cluster.members.iter_mut().zip(["r1", "R1", "r2", ""]) {
        member.rack_id = text(rack);
    }
    assert!(could_join(&cluster, &[], &request(9)) && could_join(&cluster, &[3], &replacing(9, 3)));
    cluster.policy.rack_aware = true;
    let current_rack_ids = || [text("r1"), text("r2")].into_iter().collect();
    for (dead, mut request) in [(&[][..], request(9)), (&[3], replacing(9, 3))] {
        let expected = Cause::RackIdRequired { current_rack_ids: current_rack_ids() };
        assert_eq!(cause(&cluster, dead, &request), expected);
        for (rack, required) in [("r9", Some("r2")), ("R2", None)] {
            request.member.rack_id = text(rack);
            let required = required.filter(|_| !dead.is_empty());
            assert_eq!(could_join(&cluster, dead, &request), required.is_none(), "{rack}");
            if let Some(required) = required {
                let expected = Cause::ConfigError { required_rack_id: Some(text(required)) };
                assert_eq!(cause(&cluster, dead, &request), expected);
                assert!(could_join(&cluster, dead, &JoinRequest { override_rack_id: true, ..request.clone() }));
            }
        }
    }
}

#[test]
fn the_licence_allows_one_more_node_and_its_flash() {
    use crate::failure::Violation;
    let mut cluster = cluster([1, 2]);
    let now = at(CLOCK / 1000);
    let violation = |cluster: &Cluster, terms: Terms, request: &JoinRequest| {
        let cluster = Box::new(Cluster { terms, ..cluster.clone() });
        let liveness = heard(&cluster, &[2]);
        let failure = cluster.could_admit(request, &rules(&liveness)).err()?;
        let Cause::InvalidLicense { violation } = failure.cause else { panic!("{failure:?}") };
        assert_eq!(failure.message, violation.message());
        Some(violation)
    };
    let trial = || Terms::trial(now);
    let limit = |nodes| Terms { node_limit: Some(nodes), ..trial() };
    let dead = replacing(9, 2);
    for (terms, expected) in [
        (trial(), None),
        (Terms { activation_date: at(CLOCK / 1000 + 1), ..trial() }, Some(Violation::NotYetActive)),
        (Terms { expiration_date: now, ..trial() }, Some(Violation::Expired)),
        (Terms { expiration_date: at(CLOCK / 1000 + 1), ..trial() }, None),
        (Terms { cluster_name: text("yours"), ..trial() }, Some(Violation::ClusterNameMismatch)),
        (Terms { cluster_name: text("my.cluster"), ..trial() }, None),
        (Terms { features: Vec::new(), ..trial() }, Some(Violation::FeatureMissing)),
        // A replacement is not one more.
        (limit(2), None),
        (limit(1), Some(Violation::NodeLimitExceeded)),
    ] {
        assert_eq!(violation(&cluster, terms, &dead), expected);
    }
    let mut without_flash = dead.clone();
    without_flash.member.bigstore_enabled = false;
    assert_eq!(violation(&cluster, Terms { features: Vec::new(), ..trial() }, &without_flash), None);
    // Whoever was admitted counts, but not beside the one that it replaces.
    cluster.members.pop();
    cluster.members.push(Member { status: MemberStatus::Provisioning, ..member(3) }).unwrap();
    cluster.members.push(Member { uid: 1, status: MemberStatus::Replacing, ..member(8) }).unwrap();
    assert_eq!(violation(&cluster, limit(3), &request(9)), None);
    assert_eq!(violation(&cluster, limit(2), &request(9)), Some(Violation::NodeLimitExceeded));
}

/// What takes one failure away.
type Cure = fn(&mut Cluster, &mut JoinRequest);

#[test]
fn the_checks_come_in_their_order() {
    // Numbers 2 and 3 are dead, and the last replaces 2. Everything else is as bad as it can be.
    // Under miri there are fewer members, so that nothing is ever full.
    let last = if cfg!(miri) { 8 } else { u32::try_from(MEMBERS_MAX).unwrap() };
    let mut cluster = cluster(1..last);
    cluster.policy.rack_aware = true;
    cluster.members[2].rack_id = text("r3");
    cluster.terms.node_limit = Some(1);
    let replacement = |uid, by| Member { uid, status: MemberStatus::Replacing, ..member(by) };
    cluster.members.push(replacement(2, last)).unwrap();
    let mut bad = request(200);
    if !cfg!(miri) {
        let control = text::<HOST_BYTES_MAX>(&"\u{1}".repeat(HOST_BYTES_MAX));
        let nearly = CLUSTER_RECORD_BYTES_MAX - CLUSTER_RECORD_BYTES_SPARE - 2 * control.len();
        for index in 0..MEMBERS_MAX {
            let over = nearly.saturating_sub(crate::record::length(&*cluster)) / 6;
            cluster.members[index].name = text(&control[..over.min(control.len())]);
        }
        bad.member.name = control;
        for uid in (10..).take(REPLACEMENTS_MAX) {
            cluster.members.push(replacement(uid, last + uid)).unwrap();
        }
    }
    bad.clock_ms = 0;
    bad.settings.user = text("root");
    bad.settings.socket_dir = text("/s");
    bad.member.endpoint = cluster.members[4].endpoint;
    (bad.member.total_memory, bad.member.flash) = (Some(979), Some(979));
    let cures: [(&str, &str, Cure); 15] = [
        ("time_not_sync", "clock", |_, request| request.clock_ms = CLOCK),
        ("node_config_mismatch", "settings", |_, request| request.settings.user = text("b")),
        ("socket_directory_mismatch", "socket", |_, request| request.settings.socket_dir = text("/run/b")),
        ("repair_required", "down", |_, request| request.uid = Some(999)),
        ("config_error", "no node with the uid 999", |_, request| request.uid = Some(4)),
        ("config_error", "not down", |_, request| request.uid = Some(2)),
        ("config_error", "being replaced by another", |_, request| request.uid = Some(3)),
        ("config_error", "has the address", |_, request| request.member.endpoint = member(200).endpoint),
        ("config_error", "8 members are being replaced", |cluster, _| cluster.members.truncate(MEMBERS_MAX)),
        ("config_error", "record is full", |_, request| request.member.name.clear()),
        ("insufficient_node_memory", "memory", |_, request| request.member.total_memory = Some(980)),
        ("insufficient_node_flash", "flash", |_, request| request.member.flash = Some(980)),
        ("rack_id_required", "rack", |_, request| request.member.rack_id = text("r9")),
        ("config_error", "in the rack", |_, request| request.override_rack_id = true),
        ("invalid_license", "license", |cluster, _| cluster.terms.node_limit = None),
    ];
    for (code, words, cure) in cures {
        if cfg!(miri) && ["8 members are being replaced", "record is full"].contains(&words) {
            continue;
        }
        let failure = refused(&cluster, &[2, 3], &bad);
        assert_eq!(failure.cause.code(), code);
        assert!(failure.message.contains(words), "{words}: {}", failure.message);
        cure(&mut cluster, &mut bad);
    }
    assert!(could_join(&cluster, &[2, 3], &bad));
}

#[test]
fn a_request_comes_back_from_the_wire() {
    let mut bare = request(9);
    (bare.member.total_memory, bare.member.flash) = (None, None);
    let wide = "\"".repeat(PATH_BYTES_MAX);
    let mut full = JoinRequest {
        validate: true,
        is_shared: true,
        clock_ms: u64::MAX,
        round_trip_ms: u64::MAX,
        required_version: text("7.4.2-54"),
        cluster_name: text("a.b"),
        uid: Some(u32::MAX),
        override_rack_id: true,
        ..request(9)
    };
    full.settings.socket_dir = text(&wide);
    full.member.name = text(&"\u{1}".repeat(HOST_BYTES_MAX));
    full.member.key = Key([9; 32]);
    for request in [bare, full] {
        let mut buffer = vec![0; PEER_MESSAGE_BYTES_MAX];
        let mut writer = Writer::new(&mut buffer);
        request.write(&mut writer);
        let length = writer.finish().unwrap();
        let mut fields = crate::fields::Fields::new(&buffer[..length]).unwrap();
        // What the value held before does not matter.
        let mut again = JoinRequest { uid: Some(1), ..replacing(7, 3) };
        again.read(&mut fields);
        assert_eq!((fields.finish(), &again), (Ok(()), &request));
        let cuts = crate::few(0..length, 4_999);
        for cut in cuts {
            let read = crate::fields::Fields::new(&buffer[..cut]).map(|mut fields| {
                again.read(&mut fields);
                fields.finish()
            });
            assert!(!matches!(read, Ok(Ok(()))), "{cut}");
        }
    }
}
