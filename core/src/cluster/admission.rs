//! Who may join, and as what: the only place that knows. Checks come in one fixed order, and the first that fails is
//! what the joiner hears.

use heapless::{String, Vec};

use super::{Cluster, JoinRequest, Key, Liveness, Member, MemberStatus};
use crate::failure::{Cause, FailedNode, Failure, Mismatch, RackId};
use crate::limits::*;
use crate::node::SOFTWARE_VERSION;
use crate::record;
use crate::time::Timestamp;
use crate::write::Writer;

/// What a replacement must have of the dead node's memory and flash, in hundredths.
const REPLACEMENT_PERCENT: u64 = 98;

/// What admission depends on beside the record.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Who was heard of.
    pub liveness: &'a Liveness,
    /// Of the clock that never goes back.
    pub uptime_ms: u64,
    /// The cluster's clock, in milliseconds since 1970.
    pub clock_ms: u64,
    /// How far clocks may be apart.
    pub max_skew_seconds: u64,
    /// Whether the record is in a store that all members share.
    pub is_shared: bool,
}

/// What became of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Its number.
    pub uid: u32,
}

/// What a joiner would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    New,
    /// It was admitted before and has not confirmed.
    Again(usize),
    Replacement(u32),
}

impl Cluster {
    /// Whether the node could join now.
    ///
    /// # Errors
    /// The [`Failure`] that it would end in.
    pub fn could_admit(&self, request: &JoinRequest, rules: &Rules<'_>) -> Result<(), Failure> {
        self.place(request, rules).map(|_| ())
    }

    /// Admits the node as `provisioning`, with `key` to confirm by. Asked again by the same node, it gets the same number;
    /// keys given before are void.
    ///
    /// # Errors
    /// Why not; then nothing has changed.
    pub fn admit(&mut self, request: &JoinRequest, key: Key, rules: &Rules<'_>) -> Result<Admitted, Failure> {
        let place = self.place(request, rules)?;
        let (uid, status) = match place {
            Place::New => (self.next_uid, MemberStatus::Provisioning),
            Place::Replacement(uid) => (uid, MemberStatus::Replacing),
            Place::Again(index) => {
                let before = self.members.remove(index);
                let found = (before.uid, before.status);
                self.retire(&before);
                found
            }
        };
        let member = Member { uid, key, status, ..request.member.clone() };
        // Before what the same node was until now: whoever looks for the node finds its new key.
        let place_of_node = self.members.iter().position(|member| member.node_id == request.member.node_id);
        let index = place_of_node.unwrap_or(self.members.len());
        // There is room: that was checked, and who was here before has left.
        self.members.insert(index, member).map_err(|_| full())?;
        if place == Place::New {
            self.next_uid = uid.saturating_add(1);
        }
        self.changed();
        Ok(Admitted { uid })
    }

    pub(super) fn changed(&mut self) {
        self.revision = self.revision.saturating_add(1);
    }

    /// All checks, in their order.
    fn place(&self, request: &JoinRequest, rules: &Rules<'_>) -> Result<Place, Failure> {
        check_clock(request, rules)?;
        self.check_settings(request, rules)?;
        let is_down = |member: &&Member| rules.liveness.is_down(self, member, rules.uptime_ms);
        let own = self.members.iter().position(|member| member.node_id == request.member.node_id);
        if let Some((index, member)) = own.and_then(|index| Some((index, self.members.get(index)?))) {
            if !member.is_active() {
                self.check_again(request, member, rules)?;
                return Ok(Place::Again(index));
            }
            if request.uid != Some(member.uid) || !is_down(&member) {
                let uid = member.uid;
                return Err(config_error(format_args!("this node is an active member already, with the uid {uid}")));
            }
        }
        let dead = match request.uid {
            None => {
                self.check_degraded(request, is_down)?;
                None
            }
            Some(uid) => Some(self.dead(uid, request, is_down)?),
        };
        self.check_room(request, dead, rules)?;
        if let Some(dead) = dead {
            check_strength(dead, &request.member)?;
        }
        self.check_rack(request, dead)?;
        self.check_license(request, u32::from(dead.is_none()), rules)?;
        Ok(dead.map_or(Place::New, |dead| Place::Replacement(dead.uid)))
    }

    /// A node that was admitted and has not confirmed may ask for the same again, and for nothing else.
    fn check_again(&self, request: &JoinRequest, entry: &Member, rules: &Rules<'_>) -> Result<(), Failure> {
        let uid = entry.uid;
        let replaces = entry.status == MemberStatus::Replacing;
        if request.uid.map_or(replaces, |asked| asked != uid) {
            return Err(config_error(format_args!(
                "this node was admitted with the uid {uid} already, and has a minute to confirm: name that, or wait"
            )));
        }
        self.check_endpoint(request, rules)?;
        self.check_length(&request.member, Some(entry))?;
        let dead = self.member(uid).filter(|_| replaces);
        if let Some(dead) = dead {
            check_strength(dead, &request.member)?;
        }
        self.check_rack(request, dead)?;
        self.check_license(request, 0, rules)
    }

    fn check_settings(&self, request: &JoinRequest, rules: &Rules<'_>) -> Result<(), Failure> {
        let (ours, theirs) = (&self.settings, &request.settings);
        let mut mismatches = Vec::new();
        let mut compare = |setting: &str, cluster: &str, node: &str, same: bool| {
            if !same {
                let _ = mismatches.push(Mismatch { setting: cut(setting), cluster: cut(cluster), node: cut(node) });
            }
        };
        let version = &request.member.software_version;
        compare("software_version", SOFTWARE_VERSION, version, series(version) == series(SOFTWARE_VERSION));
        let required = &request.required_version;
        let oldest = self.members.iter().map(|member| &*member.software_version).min_by_key(|text| numbers(text));
        let oldest = oldest.unwrap_or_default();
        compare("required_version", oldest, required, numbers(oldest) >= numbers(required));
        for (setting, cluster, node) in [
            ("install_dir", &*ours.install_dir, &*theirs.install_dir),
            ("config_dir", &ours.config_dir, &theirs.config_dir),
            ("service_user", &ours.user, &theirs.user),
        ] {
            compare(setting, cluster, node, cluster == node);
        }
        let family = |ipv6: bool| if ipv6 { "ipv6" } else { "ipv4" };
        let ipv6 = request.member.addr.is_ipv6();
        compare("ip_family", family(self.use_internal_ipv6), family(ipv6), ipv6 == self.use_internal_ipv6);
        let store = |is_shared: bool| if is_shared { "etcd" } else { "embedded" };
        compare("store", store(rules.is_shared), store(request.is_shared), rules.is_shared == request.is_shared);
        let name = &request.cluster_name;
        compare("cluster_name", &self.name, name, name.is_empty() || name.eq_ignore_ascii_case(&self.name));
        if !mismatches.is_empty() {
            let message = "this node's settings differ from the cluster's";
            return Err(Failure::new(Cause::NodeConfigMismatch { mismatches }, message));
        }
        if ours.socket_dir != theirs.socket_dir {
            let (expected, actual) = (ours.socket_dir.clone(), theirs.socket_dir.clone());
            let message = format_args!("the cluster's socket directory is \"{expected}\", this node's is \"{actual}\"");
            let message: String<MESSAGE_BYTES_MAX> = text(message);
            return Err(Failure::new(Cause::SocketDirectoryMismatch { expected, actual }, message));
        }
        Ok(())
    }

    /// A cluster with dead members takes only replacements.
    fn check_degraded(&self, request: &JoinRequest, is_down: impl Fn(&&Member) -> bool) -> Result<(), Failure> {
        let failed = || self.members.iter().filter(&is_down);
        if failed().next().is_none() {
            return Ok(());
        }
        let rack = |member: &Member| (!member.rack_id.is_empty()).then(|| member.rack_id.clone());
        let failed_nodes = failed().map(|member| FailedNode { uid: member.uid, rack_id: rack(member) }).collect();
        let replace_candidate = replace_candidate(failed(), &request.member);
        let message = format_args!(
            "members of the cluster are down; name the one to replace in node.identity.uid (best: {replace_candidate})"
        );
        let message: String<MESSAGE_BYTES_MAX> = text(message);
        Err(Failure::new(Cause::RepairRequired { failed_nodes, replace_candidate }, message))
    }

    /// The dead member that the joiner wants to replace.
    fn dead(&self, uid: u32, request: &JoinRequest, is_down: impl Fn(&&Member) -> bool) -> Result<&Member, Failure> {
        let Some(dead) = self.member(uid) else {
            return Err(config_error(format_args!("the cluster has no node with the uid {uid}")));
        };
        if !is_down(&dead) {
            return Err(config_error(format_args!("the node with the uid {uid} is not down, it cannot be replaced")));
        }
        let other = |member: &Member| member.uid == uid && member.status == MemberStatus::Replacing;
        if self.members.iter().any(|member| other(member) && member.node_id != request.member.node_id) {
            return Err(config_error(format_args!("the node with the uid {uid} is being replaced by another one")));
        }
        Ok(dead)
    }

    fn check_room(&self, request: &JoinRequest, dead: Option<&Member>, rules: &Rules<'_>) -> Result<(), Failure> {
        self.check_endpoint(request, rules)?;
        if self.members.is_full() {
            return Err(full());
        }
        // A replacement stands beside what it replaces until it has confirmed: it needs a slot, and makes no new number.
        if dead.is_none() && self.numbers() >= MEMBERS_MAX {
            return Err(config_error(format_args!("the cluster has {MEMBERS_MAX} members, it takes no more")));
        }
        self.check_length(&request.member, None)
    }

    /// Whether no member that is there has the joiner's address and port.
    fn check_endpoint(&self, request: &JoinRequest, rules: &Rules<'_>) -> Result<(), Failure> {
        let endpoint = request.member.endpoint;
        let taken = |member: &&Member| {
            let is_other = member.endpoint == endpoint && member.node_id != request.member.node_id;
            is_other && !rules.liveness.is_down(self, member, rules.uptime_ms)
        };
        self.members.iter().find(taken).map_or(Ok(()), |member| {
            let uid = member.uid;
            Err(config_error(format_args!("the node with the uid {uid} has the address {endpoint} already")))
        })
    }

    /// Whether the record still fits its limit with `joiner` in it, in the place of `before`.
    fn check_length(&self, joiner: &Member, before: Option<&Member>) -> Result<(), Failure> {
        let fits = |length: usize| length <= CLUSTER_RECORD_BYTES_MAX - CLUSTER_RECORD_BYTES_SPARE;
        // To measure it is to write it all, which nearly never has to be.
        if fits(self.length_at_most().saturating_add(joiner.length_at_most())) {
            return Ok(());
        }
        let length = |member: &Member| Writer::measure(|writer| member.write_record(writer)).saturating_add(",".len());
        let more = length(joiner).saturating_sub(before.map_or(0, length));
        if fits(record::length(self).saturating_add(more)) {
            return Ok(());
        }
        let kib = CLUSTER_RECORD_BYTES_MAX / 1024;
        Err(config_error(format_args!(
            "the cluster's record is full ({kib} KiB): use shorter names and fewer addresses"
        )))
    }

    /// The numbers that are taken.
    pub(super) fn numbers(&self) -> usize {
        self.members.iter().filter(|member| member.status != MemberStatus::Replacing).count()
    }

    fn check_rack(&self, request: &JoinRequest, dead: Option<&Member>) -> Result<(), Failure> {
        if !self.policy.rack_aware {
            return Ok(());
        }
        let rack = &request.member.rack_id;
        if rack.is_empty() {
            let mut current_rack_ids = Vec::<RackId, MEMBER_SLOTS_MAX>::new();
            for member in self.members.iter().filter(|member| !member.rack_id.is_empty()) {
                if !current_rack_ids.iter().any(|known| known.eq_ignore_ascii_case(&member.rack_id)) {
                    let _ = current_rack_ids.push(member.rack_id.clone());
                }
            }
            let message = "the cluster is rack-aware: node.identity.rack_id is required";
            return Err(Failure::new(Cause::RackIdRequired { current_rack_ids }, message));
        }
        match dead {
            Some(dead) if !dead.rack_id.eq_ignore_ascii_case(rack) && !request.override_rack_id => {
                let required = dead.rack_id.clone();
                let message = format_args!("the node to replace is in the rack \"{required}\"");
                let message: String<MESSAGE_BYTES_MAX> = text(message);
                let cause = Cause::ConfigError { required_rack_id: Some(required) };
                Err(Failure::new(cause, message))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the licence allows so many numbers more.
    fn check_license(&self, request: &JoinRequest, more: u32, rules: &Rules<'_>) -> Result<(), Failure> {
        let nodes = u32::try_from(self.numbers()).unwrap_or(u32::MAX).saturating_add(more);
        let now = Timestamp::from_seconds(rules.clock_ms / 1000);
        let permitted = self.terms.permit(now, &self.name, nodes, request.member.bigstore_enabled);
        permitted.map_err(|violation| Failure::new(Cause::InvalidLicense { violation }, violation.message()))
    }
}

/// The joiner's clock at the middle of the exchange, give or take half of it.
fn check_clock(request: &JoinRequest, rules: &Rules<'_>) -> Result<(), Failure> {
    let half = i128::from(request.round_trip_ms.min(10_000) / 2);
    let skew = i128::from(request.clock_ms).saturating_add(half).saturating_sub(i128::from(rules.clock_ms));
    let allowed = i128::from(rules.max_skew_seconds.saturating_mul(1000)).saturating_add(half);
    if skew.saturating_abs() <= allowed {
        return Ok(());
    }
    let skew_seconds = i64::try_from(skew / 1000).unwrap_or(if skew < 0 { i64::MIN } else { i64::MAX });
    let message = format_args!(
        "this node's clock is {} s {} the cluster's",
        skew_seconds.unsigned_abs(),
        if skew < 0 { "behind" } else { "ahead of" }
    );
    let message: String<MESSAGE_BYTES_MAX> = text(message);
    Err(Failure::new(Cause::TimeNotSync { skew_seconds }, message))
}

/// Whether a replacement has what the dead node had, nearly.
fn check_strength(dead: &Member, joiner: &Member) -> Result<(), Failure> {
    let required = |had: u64| u64::try_from(u128::from(had).saturating_mul(REPLACEMENT_PERCENT.into()).div_ceil(100));
    let lacks = |had: Option<u64>, has: Option<u64>| {
        let required = had.and_then(|had| required(had).ok())?;
        (has.unwrap_or_default() < required).then_some(required)
    };
    if let Some(required_memory) = lacks(dead.total_memory, joiner.total_memory) {
        let message = "this node has less memory than the one that it is to replace";
        return Err(Failure::new(Cause::InsufficientNodeMemory { required_memory }, message));
    }
    if let Some(required_flash) = lacks(dead.flash, joiner.flash) {
        let message = "this node has less flash than the one that it is to replace";
        return Err(Failure::new(Cause::InsufficientNodeFlash { required_flash }, message));
    }
    Ok(())
}

/// The dead node that the joiner is most fit to replace: the one at its own address; one in its rack that it is strong
/// enough for; any that it is strong enough for; any.
fn replace_candidate<'a>(failed: impl Iterator<Item = &'a Member>, joiner: &Member) -> u32 {
    let rank = |dead: &&Member| {
        let fits = check_strength(dead, joiner).is_ok();
        let (at_home, in_rack) = (dead.addr == joiner.addr, dead.rack_id.eq_ignore_ascii_case(&joiner.rack_id));
        (!at_home, !(fits && in_rack), !fits, dead.uid)
    };
    failed.min_by_key(rank).map_or(0, |dead| dead.uid)
}

fn full() -> Failure {
    config_error(format_args!("{REPLACEMENTS_MAX} members are being replaced already, try again when one of them is"))
}

pub(super) fn config_error(message: core::fmt::Arguments<'_>) -> Failure {
    Failure::new(Cause::ConfigError { required_rack_id: None }, message)
}

/// A sentence, cut where it is too long.
fn text<const N: usize>(sentence: core::fmt::Arguments<'_>) -> String<N> {
    use core::fmt::Write as _;
    let mut text = String::new();
    let _ = text.write_fmt(sentence);
    text
}

/// As much of `text` as there is room for.
fn cut<const N: usize>(text: &str) -> String<N> {
    let mut kept = String::new();
    let _ = text.chars().try_for_each(|character| kept.push(character));
    kept
}

/// The numbers of a version, `X.Y.Z-N`; what is no number counts as nothing.
fn numbers(version: &str) -> [u64; 4] {
    let mut parts = version.split(['.', '-']).map(|part| part.parse().unwrap_or_default());
    [(); 4].map(|()| parts.next().unwrap_or_default())
}

/// Agents of one series understand each other: the same `X.Y`.
fn series(version: &str) -> [u64; 2] {
    let [major, minor, ..] = numbers(version);
    [major, minor]
}
