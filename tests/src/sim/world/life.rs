//! How nodes start, end and save.

use bootstrapd_core::machine::{Event, Trouble};

use super::{Place, What, World};
use crate::sim::agent::{Agent, BEAT_MS, Moment};
use crate::sim::disk::Content;
use crate::sim::rules::Broken;
use crate::sim::wire::Want;

impl World {
    /// Starts a node on what its disk holds.
    ///
    /// # Errors
    /// What must hold and does not.
    pub(in crate::sim) fn start(&mut self, place: usize) -> Result<(), Broken> {
        let now_ms = self.now_ms;
        let here = &mut self.places[place];
        if here.agent.is_some() || here.is_gone {
            return Ok(());
        }
        here.incarnation += 1;
        let mut moment = Moment { now_ms, random: &mut self.random, buffer: &mut self.buffer };
        let incarnation = here.incarnation;
        match Agent::start(&here.facts, &here.disk, self.store.is_some(), &mut moment) {
            Ok(mut agent) => {
                // A start saves before anything listens.
                agent.wants.retain(|want| {
                    let Want::Save(content) = want else { return true };
                    here.disk.take(content);
                    false
                });
                self.rules.started(place, &agent)?;
                here.node_id = agent.machine.node_id();
                here.agent = Some(Box::new(agent));
            }
            Err(why) => {
                return Err(Broken(format!("the node at {place} cannot start: {why}")));
            }
        }
        let first = self.random.below(BEAT_MS);
        self.after(first, What::Beat(place, incarnation));
        self.settle(place)
    }

    /// Starts a node after a while.
    pub(in crate::sim) fn start_after(&mut self, place: usize, delay_ms: u64) {
        self.after(delay_ms, What::Start(place));
    }

    /// Pulls the plug. Of a save that was under way, all is there or nothing.
    ///
    /// # Errors
    /// What must hold and does not.
    pub(in crate::sim) fn stop(&mut self, place: usize) -> Result<(), Broken> {
        let torn = self.random.chance(50);
        self.rules.tally.crashes += 1;
        let under_way = self.places[place].saving.pop_front();
        if let (Some(content), true) = (under_way, torn) {
            self.durable(place, &content)?;
        }
        let here = &mut self.places[place];
        here.agent = None;
        here.incarnation += 1;
        here.saving.clear();
        Ok(())
    }

    /// Something is on a node's disk.
    ///
    /// # Errors
    /// What must hold and does not.
    pub(in crate::sim) fn durable(&mut self, place: usize, content: &Content) -> Result<(), Broken> {
        if let Some(cluster) = content.cluster()
            && cluster.is_founder(self.places[place].node_id)
            && cluster.epoch > 1
            && self.store.is_none()
        {
            let founds =
                |other: &Place| {
                    other.disk.cluster.as_ref().is_some_and(|theirs| {
                        theirs.cluster_id == cluster.cluster_id && theirs.is_founder(other.node_id)
                    })
                };
            self.rules.rash |= self.places.iter().enumerate().any(|(at, other)| at != place && founds(other));
        }
        let here = &mut self.places[place];
        self.rules.durable((place, here.node_id), here.disk.cluster.as_ref(), content)?;
        here.disk.take(content);
        Ok(())
    }

    pub(super) fn saved(&mut self, place: usize) -> Result<(), Broken> {
        let Some(content) = self.places[place].saving.pop_front() else { return Ok(()) };
        let good = !self.random.chance(self.faults.save_fails);
        if good {
            self.durable(place, &content)?;
            if self.faults.crash_saved > 0 && self.random.chance(self.faults.crash_saved) {
                self.start_after(place, 1_000);
                return self.stop(place);
            }
        }
        let result = if good { Ok(()) } else { Err(Trouble::try_from("no space").unwrap()) };
        if matches!(content, Content::Restored(_) | Content::Nothing) {
            self.rules.tally.discarded += 1;
        }
        let event = match content {
            Content::Newer(_) => None,
            Content::Node(_) => Some(Event::Persisted(result)),
            Content::Adopted(_) => Some(Event::Adopted(result)),
            Content::Restored(_) | Content::Nothing => Some(Event::Discarded(result)),
        };
        self.act(place, |agent, moment| match event {
            Some(event) => agent.happened(event, moment),
            None => agent.kept(good, moment),
        });
        if !self.places[place].saving.is_empty() {
            self.save_next(place);
        }
        self.settle(place)
    }

    pub(super) fn save_next(&mut self, place: usize) {
        let time = if self.random.chance(self.faults.slow) { self.random.below(20_000) } else { self.random.below(50) };
        self.after(time, What::Saved(place, self.places[place].incarnation));
    }
}
