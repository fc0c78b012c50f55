//! What a cluster has come to in the end, where its record is in a store that all members share.

use bootstrapd_core::cluster::Member;

use super::rules::{Broken, must};
use super::world::World;

/// Whether every node is in the cluster whose record the store has, and of one mind with it.
pub(super) fn is_at_rest(world: &World) -> Result<(), Broken> {
    let stored = world.store.as_ref().and_then(|store| store.record());
    let Some(stored) = stored else { return Err(Broken("the store is empty".to_owned())) };
    must!(stored.members.iter().all(Member::is_active), "somebody has not confirmed");
    let is_alive = |member: &&Member| world.members().any(|(_, agent, _)| agent.machine.node_id() == member.node_id);
    let dead: Vec<_> = stored.members.iter().filter(|member| !is_alive(member)).map(|member| member.uid).collect();
    for (place, agent) in world.agents() {
        let (state, failure) = (agent.machine.state(), agent.machine.failure());
        let Some(home) = agent.home() else {
            let why = failure.map(|failure| failure.message.as_str());
            return Err(Broken(format!("the node at {place} is in no cluster: {state:?}, {why:?}")));
        };
        must!(home == *stored, "{place} has another copy than the store: {:?}, {:?}", home.stamp(), stored.stamp());
        must!(!agent.is_barred, "{place} does not trust the store");
        let own = agent.machine.node_id();
        let member = stored.member_of(own);
        must!(member.is_some_and(Member::is_active), "{place} is completed and no member");
        let down = agent.peers.down(&home, own, world.now_ms);
        must!(down[..] == dead[..], "{place} takes {down:?} for down, not {dead:?}");
        must!(
            agent.machine.membership().map(|own| own.uid) == member.map(|member| member.uid),
            "{place} has two numbers"
        );
    }
    Ok(())
}
