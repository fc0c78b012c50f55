//! What a worker makes of what it has found in the store, step by step.

use std::rc::Rc;

use bootstrapd_core::cluster::Cluster;
use bootstrapd_core::failure::{NodeTried, TriedReason};
use bootstrapd_core::machine::{Confirmed, StoreChecked};
use bootstrapd_core::peer::{self, JoinAnswer, Sight};
use bootstrapd_core::record::Id;

use super::{AGAIN_MS, Admission, Beat, Done, Errand, Moment, Stop, Worker};
use crate::sim::store::{News, Sealed, Swap};

impl Worker {
    pub(super) fn looked(&mut self, errand: Errand, leased: &[Id], news: News, moment: &mut Moment<'_>) {
        match errand {
            Errand::Check => {
                let is_empty = matches!(news, News::None | News::Absent);
                let found = if is_empty { StoreChecked::Empty } else { StoreChecked::Taken };
                self.end(Done::Checked(Box::new(found)));
            }
            Errand::Confirm(..) => self.confirm(errand, news, moment),
            Errand::Live(..) | Errand::Beat | Errand::Admit(_) => {
                self.leased = leased.to_vec();
                if !leased.contains(&self.own) {
                    self.lease = None;
                    if self.revision != 0 {
                        self.revision = 0;
                        return self.look(errand);
                    }
                    // Who looks is there.
                    self.leased.push(self.own);
                }
                match (self.take(news), self.copy.clone()) {
                    (Err(stop), _) => self.stop(errand, stop, moment),
                    (Ok(()), None) => self.stop(errand, Stop::Expelled, moment),
                    (Ok(()), Some(copy)) => {
                        self.rules.see(&copy, &self.leased, moment.now_ms);
                        self.change(errand, &copy, moment);
                    }
                }
            }
        }
    }

    /// Changes what was seen, where there is anything to change.
    fn change(&mut self, errand: Errand, copy: &Rc<Cluster>, moment: &mut Moment<'_>) {
        let (own, now_ms) = (self.own, moment.now_ms);
        let mut draft = None;
        let errand = match errand {
            Errand::Admit(mut all) => {
                let changed = draft.insert((**copy).clone());
                all.retain(|admission| self.admit(changed, admission, now_ms));
                Errand::Admit(all)
            }
            // A beat changes nothing where everybody has confirmed: records are large.
            Errand::Beat if copy.members.iter().any(|member| !member.is_active()) => {
                self.rules.beat(draft.insert((**copy).clone()), own, now_ms);
                errand
            }
            Errand::Check | Errand::Live(..) | Errand::Beat | Errand::Confirm(..) => errand,
        };
        match draft.filter(|draft| draft.age() != copy.age()) {
            Some(draft) => self.swap(errand, self.revision, draft, Confirmed::Done, moment),
            None => self.ended(errand, moment.now_ms),
        }
    }

    /// Whether somebody is admitted; who gets another answer waits no more.
    fn admit(&mut self, draft: &mut Cluster, admission: &Admission, now_ms: u64) -> bool {
        let before = draft.clone();
        let Admission { call, request, key, since_ms } = admission;
        let joined = self.rules.join(draft, (request, *key), (now_ms, 1_700_000_000_000 + since_ms));
        match joined {
            Ok(_) => {
                self.look_after(&before, draft, request.member.node_id);
                true
            }
            Err(answer) => {
                self.others.push((*call, answer));
                false
            }
        }
    }

    /// Whoever is admitted is so by the leases: a new one where nobody is down, another in the place of one that is.
    fn look_after(&mut self, before: &Cluster, after: &Cluster, joiner: Id) {
        let is_down = |node: Id| !self.leased.contains(&node);
        let known = before.member_of(joiner).filter(|member| !member.is_active());
        let uid = after.member_of(joiner).map(|member| member.uid);
        let dead = uid.and_then(|uid| before.member(uid)).filter(|dead| dead.is_active());
        let is_right = match (known, dead) {
            (Some(known), _) => Some(known.uid) == uid,
            (None, Some(dead)) => is_down(dead.node_id),
            (None, None) => !before.members.iter().any(|member| member.is_active() && is_down(member.node_id)),
        };
        if !is_right {
            self.complaints.push(format!("the leases do not let {joiner} in as {uid:?}: {:?}", self.leased));
        }
    }

    /// Takes what the store has.
    fn take(&mut self, news: News) -> Result<(), Stop> {
        let Some(copy) = &self.copy else { return Ok(()) };
        if matches!(news, News::None) && self.revision != 0 {
            return Ok(());
        }
        self.revision = 0;
        let barred = Stop::Barred(TriedReason::NeedsRecovery);
        let News::Record(Sealed(stored, _), revision) = news else { return Err(barred) };
        // Another cluster's does not open.
        if stored.cluster_id != copy.cluster_id {
            return Err(barred);
        }
        let sight = peer::Shared::judge(copy, self.own, &stored);
        let is_back = stored.age() < copy.age();
        if is_back && matches!(sight, Sight::Same | Sight::Newer) {
            self.complaints.push(format!("{:?} is taken for newer than {:?}", stored.stamp(), copy.stamp()));
        }
        match sight {
            Sight::Same => {}
            Sight::Newer => self.copy = Some(stored),
            Sight::Expelled => return Err(Stop::Expelled),
            Sight::Barred(bar) => return Err(Stop::Barred(bar.reason())),
        }
        self.revision = revision;
        Ok(())
    }

    pub(super) fn swapped(
        &mut self,
        errand: Errand,
        (draft, confirmed): (Rc<Cluster>, Confirmed),
        swap: Swap,
        moment: &mut Moment<'_>,
    ) {
        match (errand, swap) {
            (Errand::Confirm(..), Swap::Done(_)) => self.end(Done::Confirmed(confirmed)),
            (Errand::Confirm(..), Swap::Conflict(_)) => self.end(Done::Confirmed(Confirmed::Unanswered)),
            (errand, Swap::Done(revision)) => {
                self.copy = Some(draft);
                self.revision = revision;
                self.ended(errand, moment.now_ms);
            }
            (errand, Swap::Conflict(news)) => {
                let stop = self.take(news).err().unwrap_or(Stop::Overtaken);
                self.stop(errand, stop, moment);
            }
        }
    }

    /// All is as it was wanted.
    fn ended(&mut self, errand: Errand, now_ms: u64) {
        match errand {
            Errand::Admit(all) => {
                let others = std::mem::take(&mut self.others);
                let admitted = all.iter().map(|admission| admission.call).collect();
                self.end(Done::Admitted(admitted, self.copy.clone(), others));
            }
            Errand::Check | Errand::Live(..) | Errand::Beat | Errand::Confirm(..) => self.beaten(None, now_ms),
        }
    }

    fn beaten(&mut self, stop: Option<Stop>, now_ms: u64) {
        let Some(copy) = self.copy.clone() else { return self.end(Done::Stored(Beat::default())) };
        if stop.is_none() {
            self.look_for_another(&copy);
        }
        let told = self.told.replace(copy.age());
        self.end(Done::Stored(Beat {
            down: self.rules.down(&copy, now_ms).collect(),
            is_expelled: stop == Some(Stop::Expelled),
            is_barred: matches!(stop, Some(Stop::Barred(_))),
            // Also what was taken on the way to something that came to nothing.
            newer: Some(copy).filter(|copy| Some(copy.age()) > told),
        }));
    }

    /// Who has said that it is there keeps its number.
    fn look_for_another(&mut self, copy: &Cluster) {
        let own = copy.member_of(self.own).filter(|own| own.is_active());
        let other = copy.members.iter().find(|other| own.is_some_and(|own| other.uid == own.uid) && !other.is_active());
        if let Some(other) = other {
            let (own, other) = (self.own, other.node_id);
            self.complaints.push(format!("the node {own} is alive, and {other} still gets its number"));
        }
    }

    /// Something is in the way.
    pub(super) fn stop(&mut self, errand: Errand, stop: Stop, moment: &mut Moment<'_>) {
        let is_over = self.end_ms <= moment.now_ms;
        match (errand, stop) {
            (Errand::Check, _) => {
                let node = "etcd:2379".try_into().unwrap();
                let failed = StoreChecked::Failed(NodeTried { node, reason: TriedReason::TimedOut });
                self.end(Done::Checked(Box::new(failed)));
            }
            (Errand::Confirm(..), _) => self.end(Done::Confirmed(Confirmed::Unanswered)),
            (Errand::Live(..) | Errand::Beat, _) => self.beaten(Some(stop), moment.now_ms),
            (errand @ Errand::Admit(_), Stop::Fault) if !is_over => self.pause(errand, AGAIN_MS),
            (errand @ Errand::Admit(_), Stop::Overtaken) if !is_over => self.look(errand),
            (Errand::Admit(all), _) => {
                let reason = match stop {
                    Stop::Fault => TriedReason::NoStore,
                    Stop::Barred(reason) => reason,
                    Stop::Expelled => TriedReason::NotAMember,
                    Stop::Overtaken => TriedReason::NotReady,
                };
                let vain = all.iter().map(|admission| (admission.call, JoinAnswer::NotNow(reason)));
                let others = std::mem::take(&mut self.others).into_iter().chain(vain).collect();
                self.end(Done::Admitted(Vec::new(), None, others));
            }
        }
    }

    /// This node has made a record its own: what it is by the store's.
    fn confirm(&mut self, errand: Errand, news: News, moment: &mut Moment<'_>) {
        let Errand::Confirm(own, adopted, _) = &errand else { return };
        let (own, founds) = (*own, adopted.is_founder(*own));
        let (stored, revision) = match news {
            News::Record(Sealed(stored, _), revision) => (stored, revision),
            News::None | News::Absent if founds => {
                let draft = (**adopted).clone();
                return self.swap(errand, 0, draft, Confirmed::Done, moment);
            }
            News::None | News::Absent => return self.end(Done::Confirmed(Confirmed::Unanswered)),
        };
        // Another cluster's does not open. Whoever found a cluster on another's record founds none.
        if stored.cluster_id != adopted.cluster_id {
            let confirmed = if founds { Confirmed::Unknown } else { Confirmed::Unanswered };
            return self.end(Done::Confirmed(confirmed));
        }
        let mut draft = (*stored).clone();
        let confirmed = peer::Shared::confirm(&mut draft, adopted, own);
        if draft.age() == stored.age() {
            self.end(Done::Confirmed(confirmed));
        } else {
            self.swap(errand, revision, draft, confirmed, moment);
        }
    }
}
