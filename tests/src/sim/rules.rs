//! What must hold, whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use bootstrapd_core::cluster::{Cluster, Member, MemberStatus};
use bootstrapd_core::config::Action;
use bootstrapd_core::record::Id;
use bootstrapd_core::status::State;

use super::agent::Agent;
use super::disk::Content;
use super::wire::Reply;

mod shared;

/// A rule that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Says that a rule does not hold, unless it does.
macro_rules! must {
    ($holds:expr, $($why:tt)*) => {
        if !$holds {
            return Err(Broken(format!($($why)*)));
        }
    };
}
pub(super) use must;

/// A number that a node was given, in which epoch, by whom.
struct Given {
    epoch: u32,
    epoch_tag: Id,
    node_id: Id,
}

/// How much of what happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Requests from node to node.
    pub messages: u64,
    /// What the store that all members share was asked.
    pub asked: u64,
    /// Nodes that were stopped in the middle of something.
    pub crashes: u64,
    /// Numbers that were given.
    pub admitted: u64,
    /// Numbers that went from a dead node to another.
    pub replaced: u64,
    /// Epochs that began with a recovery.
    pub recovered: u64,
    /// Nodes that were sent away.
    pub expelled: u64,
    /// Records that were adopted in vain.
    pub discarded: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        let Self { messages, asked, crashes, admitted, replaced, recovered, expelled, discarded } = other;
        self.messages += messages;
        self.asked += asked;
        self.crashes += crashes;
        self.admitted += admitted;
        self.replaced += replaced;
        self.recovered += recovered;
        self.expelled += expelled;
        self.discarded += discarded;
    }
}

/// See the module.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Rules {
    /// The writer of each epoch.
    writers: BTreeMap<[u8; 16], Id>,
    /// The first tag of each recovered epoch of a cluster.
    epochs: BTreeMap<([u8; 16], u32), Id>,
    /// Everything that a writer has made durable.
    history: BTreeMap<([u8; 16], u64), Rc<Cluster>>,
    /// To whom each number of a cluster was given.
    given: BTreeMap<([u8; 16], u32), Vec<Given>>,
    /// The nodes and keys that a writer has made durable as active.
    active: BTreeSet<([u8; 16], [u8; 32])>,
    /// The accepted creates at each place, and the clusters that came of them.
    created: BTreeMap<usize, (u32, u32)>,
    states: BTreeMap<usize, State>,
    /// What the cluster has lived through.
    pub(super) tally: Tally,
    /// A disk went back in time. Nothing can see that where nobody is reached who knows better, so what follows is
    /// counted apart.
    pub(super) rolled_back: bool,
    /// A cluster was recovered twice from one record, or while a founder of it was still there. Each is stopped as soon as it
    /// hears of the other, but some never do: counted apart, too.
    pub(super) rash: bool,
    /// Whether the record is in a store that all members share.
    is_shared: bool,
    /// The cluster that was founded there.
    founded: Option<Id>,
    /// What is there now.
    stored: Option<Rc<Cluster>>,
    /// When nodes that had not confirmed came into the record there.
    since: BTreeMap<([u8; 16], [u8; 32]), u64>,
    /// The store has lost everything, or was emptied.
    pub(super) is_emptied: bool,
    /// The store went back in time. A member that knows better holds still, but one that does not goes on: counted apart.
    pub(super) store_back: bool,
}

impl Rules {
    /// For a world with a store that all members share, or without.
    pub(super) fn new(is_shared: bool) -> Self {
        Self { is_shared, ..Self::default() }
    }

    /// Whether something went back in time in a way that nothing can see.
    pub(super) const fn is_excused(&self) -> bool {
        // A founder whose disk is from before its confirmation founds the same cluster anew in a store that has lost it.
        if self.is_shared { self.store_back || self.is_emptied && self.rolled_back } else { self.rolled_back }
    }

    /// A create was accepted.
    pub(super) fn create_accepted(&mut self, place: usize) {
        self.created.entry(place).or_default().0 += 1;
    }

    /// Whether no create was accepted yet.
    pub(super) fn is_new(&self) -> bool {
        self.created.is_empty()
    }

    /// A place holds another disk than it did.
    pub(super) fn forget_place(&mut self, place: usize) {
        self.states.remove(&place);
    }

    /// A record is about to be on the disk of a node.
    pub(super) fn durable(
        &mut self,
        (place, own): (usize, Id),
        before: Option<&Rc<Cluster>>,
        content: &Content,
    ) -> Result<(), Broken> {
        if self.is_shared {
            return self.kept((place, own), before, content);
        }
        let (Content::Adopted(after) | Content::Newer(after)) = content else { return Ok(()) };
        let before = before.filter(|before| before.cluster_id == after.cluster_id);
        // Who was sent away may go wherever it is let in.
        if let (Some(before), Content::Newer(_)) = (before, content) {
            let is_back =
                (before.epoch, before.revision, before.next_uid) > (after.epoch, after.revision, after.next_uid);
            let other = before.epoch == after.epoch && before.epoch_tag != after.epoch_tag;
            must!(
                !is_back || other || self.rolled_back,
                "a copy goes back at {place}: {:?} to {:?}",
                before.stamp(),
                after.stamp()
            );
        }
        let key = (after.epoch_tag.0, after.revision);
        if !after.is_founder(own) {
            let same = self.history.get(&key).is_some_and(|known| Rc::ptr_eq(known, after) || known == after);
            must!(same || self.rolled_back, "a copy at {place} that no founder has made: {:?}", after.stamp());
            return Ok(());
        }
        let writer = *self.writers.entry(after.epoch_tag.0).or_insert(own);
        must!(writer == own, "two writers of an epoch: {writer} and {own}");
        match before {
            Some(before) if before.epoch_tag == after.epoch_tag => self.follows(before, after)?,
            Some(_) | None if after.epoch == 1 => {
                let (accepted, made) = self.created.entry(place).or_default();
                *made += 1;
                must!(made <= accepted, "more clusters than creates at {place}");
                self.give(after, &after.members[0])?;
            }
            Some(_) | None => {
                self.tally.recovered += 1;
                let first = *self.epochs.entry((after.cluster_id.0, after.epoch)).or_insert(after.epoch_tag);
                self.rash |= first != after.epoch_tag;
            }
        }
        if let Some(known) = self.history.insert(key, Rc::clone(after)) {
            must!(known == *after || self.rolled_back, "two records with one revision: {:?}", after.stamp());
        }
        let active = after.members.iter().filter(|member| member.is_active());
        self.active.extend(active.map(|member| (member.node_id.0, member.key.0)));
        Ok(())
    }

    /// A number is given for the first time.
    fn give(&mut self, cluster: &Cluster, member: &Member) -> Result<(), Broken> {
        let is_excused = self.is_excused();
        let given = self.given.entry((cluster.cluster_id.0, member.uid)).or_default();
        let (epoch, epoch_tag, node_id) = (cluster.epoch, cluster.epoch_tag, member.node_id);
        // Two who recover at once from one record cannot know of each other.
        let twice = |known: &&Given| known.node_id != node_id && (known.epoch != epoch || known.epoch_tag == epoch_tag);
        let before = given.iter().find(twice);
        must!(before.is_none() || is_excused, "uid {} is given twice in epoch {epoch}", member.uid);
        self.tally.admitted += 1;
        given.push(Given { epoch, epoch_tag, node_id });
        Ok(())
    }

    /// What its founder may make of a record.
    fn follows(&mut self, before: &Cluster, after: &Cluster) -> Result<(), Broken> {
        must!(after.revision > before.revision || before == after, "a change without a revision: {:?}", after.stamp());
        for member in &after.members {
            let known = before.members.iter().find(|known| known.uid == member.uid && known.node_id == member.node_id);
            if known.is_some() {
                continue;
            }
            if member.uid >= before.next_uid {
                must!(member.uid < after.next_uid, "uid {} is given and not counted", member.uid);
                self.give(after, member)?;
                continue;
            }
            // The dead one may have confirmed since: changes that come while a save is under way share the next one.
            let dead = before.member(member.uid).and_then(|dead| after.member_of(dead.node_id));
            must!(
                member.status == MemberStatus::Replacing && dead.is_some_and(Member::is_active) || self.is_excused(),
                "uid {} changes hands",
                member.uid
            );
        }
        for member in before.members.iter().filter(|member| member.is_active()) {
            let kept = after
                .members
                .iter()
                .any(|kept| kept.node_id == member.node_id && kept.uid == member.uid && kept.is_active());
            let replaced = before.members.iter().any(|new| new.uid == member.uid && !new.is_active())
                && after.members.iter().any(|new| new.uid == member.uid && new.is_active());
            self.tally.replaced += u64::from(replaced);
            must!(kept || replaced || self.is_excused(), "uid {} is lost", member.uid);
        }
        Ok(())
    }

    /// What an agent tells others must be durable before.
    pub(super) fn said(&mut self, reply: &Reply, disk: Option<&Rc<Cluster>>) -> Result<(), Broken> {
        if self.is_shared {
            return self.told(reply);
        }
        let stamp = match reply {
            Reply::Record(cluster) => cluster.stamp(),
            Reply::Answer(answer) => answer.stamp,
            Reply::Refused(_) | Reply::Join(_) => return Ok(()),
        };
        let durable = disk.map(|disk| disk.stamp());
        let is_so = durable.is_some_and(|durable| {
            durable.epoch_tag == stamp.epoch_tag && durable.revision >= stamp.revision || durable.epoch > stamp.epoch
        });
        must!(is_so, "what was said is not durable: {stamp:?}, {durable:?}");
        if let Reply::Record(cluster) = reply {
            // Changes that come while a save is under way share the next one: this copy is durable as part of a later one.
            let known = self.history.entry((stamp.epoch_tag.0, stamp.revision)).or_insert_with(|| Rc::clone(cluster));
            must!(known == cluster || self.rolled_back, "two records with one revision: {stamp:?}");
        }
        Ok(())
    }

    /// Looks at what an agent went through.
    pub(super) fn watch(&mut self, place: usize, agent: &mut Agent) -> Result<(), Broken> {
        if let Some(complaint) = agent.witness.complaints.pop() {
            return Err(Broken(format!("{complaint}, at {place}")));
        }
        let barred = agent.peers.bar.is_some();
        must!(barred || agent.witness.bar.is_none(), "{place} may admit though {:?}", agent.witness.bar);
        if let Some(copy) = agent.disowned.take().filter(|_| self.is_shared) {
            self.disowns(place, agent.machine.node_id(), &copy)?;
        }
        let expelled = agent.machine.is_expelled();
        for state in agent.states.drain(..) {
            let before = self.states.insert(place, state).unwrap_or(State::Idle);
            self.tally.expelled += u64::from((before, state) == (State::Completed, State::Error));
            let refused = (before, state) == (State::Idle, State::Error);
            must!(refused || before.leads_to(state, expelled), "{before:?} leads to {state:?} at {place}");
            let confirms = self.is_shared || agent.machine.action() == Action::JoinCluster;
            if before == state || state != State::Completed || !confirms {
                continue;
            }
            let own = agent.cluster.as_ref().and_then(|cluster| cluster.member_of(agent.machine.node_id()));
            let known = own.is_some_and(|own| self.active.contains(&(own.node_id.0, own.key.0)));
            must!(known, "{place} is completed, and no founder or store knows it");
        }
        Ok(())
    }

    /// Looks at what a start has made of what was shown before.
    pub(super) fn started(&mut self, place: usize, agent: &Agent) -> Result<(), Broken> {
        let state = agent.machine.state();
        let before = self.states.insert(place, state);
        let is_out = before == Some(State::Completed) && state != State::Completed && !agent.machine.is_expelled();
        must!(!is_out || self.rolled_back, "a member of a cluster starts as {state:?} at {place}");
        Ok(())
    }
}
