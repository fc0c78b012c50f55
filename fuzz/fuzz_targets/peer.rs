//! No message of another agent makes a reader panic, and what is read is written again. The first byte picks the message;
//! a member's is also acted on, by a founder and by another member.

#![no_main]

use std::sync::LazyLock;

use bootstrapd_core::cluster::{Cluster, JoinRequest, Key, Member, MemberStatus};
use bootstrapd_core::fields::Fields;
use bootstrapd_core::limits::PEER_MESSAGE_BYTES_MAX;
use bootstrapd_core::machine::Machine;
use bootstrapd_core::node::NodeInfo;
use bootstrapd_core::peer::{Answer, JoinAnswer, Message, Peers};
use bootstrapd_core::record::Id;
use bootstrapd_core::write::Writer;
use libfuzzer_sys::fuzz_target;

const LATER_MS: u64 = 1_000_000;

/// Three members.
static CLUSTER: LazyLock<Box<Cluster>> = LazyLock::new(|| {
    let template = Machine::default().join_request(&NodeInfo::default()).member;
    let mut cluster = Box::<Cluster>::default();
    cluster.founder_uid = 1;
    cluster.next_uid = 4;
    for uid in 1..4_u8 {
        let endpoint = std::net::SocketAddr::from(([127, 0, 0, 1], u16::from(uid)));
        let (node_id, key) = (Id([uid; 16]), Key([uid; 32]));
        let member =
            Member { uid: uid.into(), node_id, key, endpoint, status: MemberStatus::Active, ..template.clone() };
        cluster.members.push(member).unwrap();
    }
    cluster
});

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Option<Vec<u8>> {
    let mut buffer = vec![0; PEER_MESSAGE_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    let length = writer.finish().ok()?;
    buffer.truncate(length);
    Some(buffer)
}

fn read<T>(bytes: &[u8], read: impl FnOnce(&mut Fields<'_>) -> T) -> Option<T> {
    let mut fields = Fields::new(bytes).ok()?;
    let value = read(&mut fields);
    fields.finish().ok().map(|()| value)
}

fn read_message(bytes: &[u8]) -> Option<Message> {
    read(bytes, |fields| {
        let mut message = Message::default();
        message.read(fields);
        message
    })
}

fn read_answer(bytes: &[u8]) -> Option<Box<Answer>> {
    read(bytes, |fields| {
        let mut answer = Box::<Answer>::default();
        answer.read(fields);
        answer
    })
}

fn read_request(bytes: &[u8]) -> Option<Box<JoinRequest>> {
    read(bytes, |fields| {
        let mut request = Box::<JoinRequest>::default();
        request.read(fields);
        request
    })
}

fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else { return };
    let own = Id([1 + (first >> 2) % 3; 16]);
    let from = Id([1 + (first >> 4) % 4; 16]);
    let mut peers = Peers::new(1_000, 5, 0);
    match first % 4 {
        0 => {
            let Some(message) = read_message(bytes) else { return };
            assert_eq!(read_message(&written(|writer| message.write(writer)).unwrap()), Some(message));
            let mut cluster = CLUSTER.clone();
            let before = cluster.stamp();
            let (answer, _) = peers.hear(&mut cluster, own, (from, first & 0x80 == 0), &message, LATER_MS);
            assert!(cluster.is_founder(own) || cluster.stamp() == before);
            assert_eq!(read_answer(&written(|writer| answer.write(writer)).unwrap()).as_deref(), Some(&answer));
        }
        1 => {
            let Some(answer) = read_answer(bytes) else { return };
            assert_eq!(read_answer(&written(|writer| answer.write(writer)).unwrap()), Some(answer.clone()));
            peers.answered(&CLUSTER, own, from, &answer, LATER_MS);
            let _ = Peers::confirmed(&CLUSTER, from, &answer);
        }
        2 => {
            let Some(request) = read_request(bytes) else { return };
            let again = written(|writer| request.write(writer)).unwrap();
            assert_eq!(read_request(&again).as_deref(), Some(&*request));
            let mut cluster = CLUSTER.clone();
            let before = cluster.stamp();
            let joined = peers.join(&mut cluster, own, (&request, Key([9; 32])), (LATER_MS, request.clock_ms));
            match joined {
                Ok(admitted) => assert!(cluster.members.iter().any(|member| member.uid == admitted.uid)),
                Err(_) => assert_eq!(cluster.stamp(), before),
            }
        }
        _ => {
            let Some(answer) = read(bytes, JoinAnswer::read) else { return };
            let again = written(|writer| answer.write(writer)).unwrap();
            assert_eq!(read(&again, JoinAnswer::read), Some(answer));
        }
    }
});
