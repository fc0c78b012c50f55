//! What other members say, sealed, and what they are answered.

use std::time::Duration;

use bootstrapd_core::fields::Fields;
use bootstrapd_core::peer::{self, Ask, Consequence, Message, Peers};
use bootstrapd_core::record::Id;

use super::{Form, Pending, Sealing, write};
use crate::agent::{Agent, Reply, Step};
use crate::peer::{ASK, CHALLENGE_BYTES, ID_BYTES};
use crate::seal::{self, Direction};
use crate::{log, store};

impl Agent {
    /// Answers with a fresh challenge.
    pub(in crate::agent) fn challenge(&mut self, reply: &mut Reply<'_>) -> Step {
        let challenge = self.others.challenge(self.clock.uptime_ms);
        self.bytes(&challenge, reply)
    }

    /// A sealed message of a member.
    pub(in crate::agent) fn asked(&mut self, body: &[u8], reply: &mut Reply<'_>) -> Step {
        let (now, own) = (self.clock.uptime_ms, self.machine.node_id());
        if self.others.habits.is_shared {
            // Members meet in the store.
            return self.nothing(reply);
        }
        let Some(asked) = self.open(body) else {
            return self.error(403, "access_denied", "nobody here knows that key", reply);
        };
        let Opened { from, sender, sealing, message } = asked;
        if sender == Sender::Founder {
            return self.invited(from, &message, &sealing, reply);
        }
        let is_known = sender == Sender::Member;
        let Some(mut draft) = self.draft() else { return self.nothing(reply) };
        let (answer, consequence) = self.others.peers.hear(&mut draft, own, (from, is_known), &message, now);
        let age = draft.age();
        let gets = answer.gives_way_to_record(message.ask);
        let record = self.cluster.as_deref().filter(|_| gets).and_then(store::encode);
        let text = record.unwrap_or_else(|| write(|writer| answer.write(writer)));
        let step = match self.cluster.as_deref() {
            Some(durable) if age > durable.age() && !gets => {
                let kept_not = answer.kept_not(durable);
                let otherwise = write(|writer| kept_not.write(writer));
                self.pend(Pending { number: 0, age, form: Form::Sealed(sealing), text, otherwise })
            }
            Some(_) | None => self.sealed(&sealing, &text, reply),
        };
        // Last: it may be the end of what the answer waits for.
        if consequence == Consequence::Changed {
            log::info("a member's standing has changed", &[("node_id", &from)]);
            self.stage(Some(draft));
        } else {
            self.conclude(consequence, from);
        }
        step
    }

    fn open(&mut self, body: &[u8]) -> Option<Opened> {
        let cluster = self.others.staged.as_deref().or(self.cluster.as_deref())?;
        let (context, sealed) = body.split_at_checked(ID_BYTES.saturating_add(CHALLENGE_BYTES))?;
        let (from, challenge) = context.split_first_chunk::<ID_BYTES>()?;
        let from = Id(*from);
        let number = self.others.read_challenge(challenge, self.clock.uptime_ms)?;
        let present = cluster.member_of(from).map(|member| (member.key, Sender::Member));
        let retired =
            cluster.retired.iter().filter(|node| node.node_id == from).map(|node| (node.key, Sender::Stranger));
        // Who intercepts a member's question must not make it one of a stranger: members have but their own key.
        let common = present.is_none().then(|| (seal::common_key(cluster), Sender::Stranger));
        // Who was founded apart may know this node by a key that it had before.
        let own = cluster.keys_of(self.machine.node_id()).map(|key| (key, Sender::Founder));
        let (key, sender, text) =
            present.into_iter().chain(retired).chain(common).chain(own).find_map(|(key, sender)| {
                Some((key, sender, seal::open(&key, ASK, Direction::Request, context, sealed)?))
            })?;
        let mut message = Message::default();
        let mut fields = Fields::new(&text).ok()?;
        message.read(&mut fields);
        fields.finish().ok()?;
        let sealing = Sealing { key, path: ASK, context: context.to_vec() };
        // What a stranger says moves nothing, so it may say it twice.
        let counts = sender == Sender::Stranger || self.others.is_first(from, number);
        (counts && (sender == Sender::Founder) == (message.ask == Ask::Follow)).then_some(Opened {
            from,
            sender,
            sealing,
            message,
        })
    }

    /// An invitation of the founder of a later epoch: its record is asked for with the key that is in both.
    fn invited(&mut self, from: Id, message: &Message, sealing: &Sealing, reply: &mut Reply<'_>) -> Step {
        let own = self.machine.node_id();
        let Some(cluster) = self.cluster.as_deref() else { return self.nothing(reply) };
        let consequence = Peers::invited(cluster, own, &message.stamp);
        let answer = peer::Answer { stamp: cluster.stamp(), ..peer::Answer::default() };
        match (consequence, message.endpoint) {
            (Consequence::Follow, Some(endpoint)) => {
                let ask = Message { ask: Ask::Record, stamp: cluster.stamp(), endpoint: None };
                self.question(from, endpoint, vec![sealing.key], &ask, Duration::ZERO);
            }
            (other, _) => self.conclude(other, from),
        }
        self.sealed(sealing, &write(|writer| answer.write(writer)), reply)
    }
}

/// Who a message can be of, by the key that it is sealed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    /// The member that it names: by its present key.
    Member,
    /// A node that is none any more: by a key that is void, or by the one that all nodes of a cluster have ever had.
    Stranger,
    /// The founder of another epoch: by this node's own key.
    Founder,
}

/// A message that was what it claims to be.
struct Opened {
    from: Id,
    sender: Sender,
    sealing: Sealing,
    message: Message,
}
