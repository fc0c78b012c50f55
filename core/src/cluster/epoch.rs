//! Which copy of a record counts: epochs, their writers, and what two nodes conclude when they compare.

use core::cmp::Ordering;

use heapless::Vec;

use super::admission::config_error;
use super::{Cluster, Key, Liveness, Member, MemberStatus};
use crate::failure::Failure;
use crate::fields::Fields;
use crate::limits::MEMBER_SLOTS_MAX;
use crate::record::Id;
use crate::write::Writer;

/// Numbers that a recovered cluster leaves out: its record may not have known of all that were given.
const SKIPPED_UIDS: u32 = 1_000;

/// Which copy of which cluster's record a node has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The cluster.
    pub cluster_id: Id,
    /// Its epoch.
    pub epoch: u32,
    /// Its epoch's writer.
    pub epoch_tag: Id,
    /// The copy's age.
    pub revision: u64,
}

impl Stamp {
    /// Writes it for the wire.
    pub fn write(&self, writer: &mut Writer<'_>) {
        writer.open('{').name("cluster_id").display(self.cluster_id).name("epoch").number(u64::from(self.epoch));
        writer.name("epoch_tag").display(self.epoch_tag).name("revision").number(self.revision).close('}');
    }

    /// Reads what [`Stamp::write`] wrote.
    pub fn read(&mut self, fields: &mut Fields<'_>) {
        fields.open('{').name("cluster_id").hex(&mut self.cluster_id.0).name("epoch").number(&mut self.epoch);
        fields.name("epoch_tag").hex(&mut self.epoch_tag.0).name("revision").number(&mut self.revision).close('}');
    }
}

/// What another node's copy is to one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same.
    Current,
    /// Of the same epoch, older.
    Behind,
    /// Of the same epoch, newer.
    Ahead,
    /// Of an epoch that is over.
    Older,
    /// Of an epoch that began later.
    Newer,
    /// Of another writer's epoch with the same number.
    Split,
    /// Of another cluster.
    Foreign,
}

/// Randomness for an epoch, which only the shell can make.
#[derive(Clone, Copy, Debug)]
pub struct Recovery {
    /// The new epoch's tag.
    pub epoch_tag: Id,
    /// The new founder's key.
    pub key: Key,
}

impl Cluster {
    /// Which copy this is.
    #[must_use]
    pub const fn stamp(&self) -> Stamp {
        let Self { cluster_id, epoch, epoch_tag, revision, .. } = self;
        Stamp { cluster_id: *cluster_id, epoch: *epoch, epoch_tag: *epoch_tag, revision: *revision }
    }

    /// How new this copy is, among those of one founder and its successors: an epoch and a revision.
    #[must_use]
    pub const fn age(&self) -> (u32, u64) {
        (self.epoch, self.revision)
    }

    /// What a copy with this stamp is to this one.
    #[must_use]
    pub fn judge(&self, other: &Stamp) -> Verdict {
        if other.cluster_id != self.cluster_id {
            Verdict::Foreign
        } else if other.epoch < self.epoch {
            Verdict::Older
        } else if other.epoch > self.epoch {
            Verdict::Newer
        } else if other.epoch_tag != self.epoch_tag {
            Verdict::Split
        } else {
            match other.revision.cmp(&self.revision) {
                Ordering::Greater => Verdict::Ahead,
                Ordering::Equal => Verdict::Current,
                Ordering::Less => Verdict::Behind,
            }
        }
    }

    /// Whether `other` may take this copy's place.
    #[must_use]
    pub fn is_succeeded_by(&self, other: &Self) -> bool {
        matches!(self.judge(&other.stamp()), Verdict::Ahead | Verdict::Newer)
    }

    /// Begins a new epoch, with `founder` as its only writer in the place of the node `uid`. Numbers that this copy may
    /// not know of are left out, and nodes that have not confirmed are forgotten.
    ///
    /// # Errors
    /// A number that no member has, or a node that has another one.
    pub fn recover(&mut self, uid: u32, founder: Member, recovery: &Recovery) -> Result<(), Failure> {
        let Some(before) = self.member(uid).cloned() else {
            return Err(config_error(format_args!("the record has no node with the uid {uid}")));
        };
        if let Some(other) = self.member_of(founder.node_id)
            && other.uid != uid
        {
            let own = other.uid;
            return Err(config_error(format_args!("this node has the uid {own} in the record, not {uid}")));
        }
        while let Some(index) =
            self.members.iter().position(|member| member.uid == uid || member.status != MemberStatus::Active)
        {
            let member = self.members.remove(index);
            if member.key != recovery.key {
                self.retire(&member);
            }
        }
        let mut founder = Member { uid, key: recovery.key, status: MemberStatus::Active, ..founder };
        // What the configuration leaves open is as it was.
        if founder.rack_id.is_empty() {
            founder.rack_id = before.rack_id;
        }
        if founder.second_rack_id.is_empty() {
            founder.second_rack_id = before.second_rack_id;
        }
        if founder.external_addr.is_empty() {
            founder.external_addr = before.external_addr;
        }
        let _ = self.members.push(founder);
        self.members.sort_unstable_by_key(|member| member.uid);
        self.founder_uid = uid;
        self.epoch = self.epoch.saturating_add(1);
        self.epoch_tag = recovery.epoch_tag;
        self.next_uid = self.next_uid.saturating_add(SKIPPED_UIDS);
        self.changed();
        Ok(())
    }

    /// Begins a new epoch with the member that `node_id` is as its only writer. A copy from before its confirmation will do,
    /// where its own record says that it is a member.
    ///
    /// # Errors
    /// A node that is no member.
    pub fn recover_in_place(&mut self, node_id: Id, epoch_tag: Id) -> Result<(), Failure> {
        let own = self.member_of(node_id).cloned();
        let own = own.ok_or_else(|| config_error(format_args!("the record does not know this node as a member")))?;
        let recovery = Recovery { epoch_tag, key: own.key };
        self.recover(own.uid, own, &recovery)
    }

    /// The members that are down, in the order of their numbers.
    #[must_use]
    pub fn down(&self, liveness: &Liveness, uptime_ms: u64) -> Vec<u32, MEMBER_SLOTS_MAX> {
        let down = self.members.iter().filter(|member| liveness.is_down(self, member, uptime_ms));
        down.map(|member| member.uid).collect()
    }
}
