//! The record as this node changes it, on its way to the disk.

use std::io;

use bootstrapd_core::cluster::Cluster;
use bootstrapd_core::machine::PathRole;

use super::{NEVER, Pending};
use crate::agent::{Agent, News};
use crate::perform::{Job, Who, Work, record_path};
use crate::{log, store};

impl Agent {
    /// The newest record, durable or not.
    pub(in crate::agent) fn newest(&self) -> Option<&Cluster> {
        self.others.staged.as_deref().or(self.cluster.as_deref())
    }

    /// The same, to be changed.
    pub(in crate::agent) fn draft(&self) -> Option<Box<Cluster>> {
        self.others.staged.as_ref().or(self.cluster.as_ref()).cloned()
    }

    /// Makes a changed record the newest, and durable as soon as may be: changes that come meanwhile share the next save.
    pub(in crate::agent) fn stage(&mut self, draft: Option<Box<Cluster>>) {
        self.others.staged = draft;
        self.keep();
    }

    fn keep(&mut self) {
        if self.others.keeping.is_some() {
            return;
        }
        let Some(staged) = &self.others.staged else { return };
        let pair = record_path(self.machine.path(PathRole::Ccs));
        if let Some(bytes) = store::encode(staged) {
            self.others.keeping = Some(staged.clone());
            self.threads.jobs.push(Job::Work(Who::Record, Work::Save(pair, bytes)));
        } else {
            self.kept(&Err(io::Error::other("the record is too long")));
        }
    }

    /// The record that was being saved is durable, or is not.
    pub(in crate::agent) fn kept(&mut self, result: &io::Result<()>) {
        let keeping = self.others.keeping.take();
        if let Err(error) = result {
            log::warn("the cluster's record could not be saved", &[("error", error)]);
            self.others.staged = None;
            self.share_copy();
        } else if let Some(kept) = keeping {
            log::info("the cluster's record has changed", &[("epoch", &kept.epoch), ("revision", &kept.revision)]);
            if self.others.staged.as_ref().is_some_and(|staged| staged.stamp() == kept.stamp()) {
                self.others.staged = None;
            }
            let place = if self.machine.is_member() { &mut self.cluster } else { &mut self.founded };
            let epoch = place.as_ref().map_or(kept.epoch, |before| before.epoch);
            self.others.peers.has_kept(&kept, epoch, self.clock.uptime_ms);
            *place = Some(kept);
        }
        let durable = self.cluster.as_deref().map(Cluster::age);
        let failed = result.is_err();
        let waits = |pending: &&Pending| pending.age != NEVER && (failed || Some(pending.age) <= durable);
        let news = self.others.pending.iter().filter(waits);
        self.news.extend(news.map(|pending| News::Kept(pending.number, !failed)));
        self.keep();
    }
}
