//! What comes from the network: gossip, sessions, Serf's agent, name servers, files of nodes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use pidone::agent::config::Profile;
use pidone::agent::gossip::directory::Evidence;
use pidone::agent::gossip::driver::{DATAGRAM_BYTES_MAX, Gossip};
use pidone::agent::gossip::knowledge::Entry;
use pidone::agent::mesh::frame::{self, Frame};
use pidone::agent::mesh::link::FRAME_BYTES_MAX;
use pidone::agent::mesh::seal::{Key, Sealer};
use pidone::agent::sources::message::{self, Kind};
use pidone::agent::sources::msgpack::{self, Value};
use pidone::agent::sources::{nodes as files, rpc};
use pidone::members::member::{Member, Origin, SERVICES_MAX, Status};
use pidone::members::record::{Input, RECORD_BYTES_MAX, Record};
use pidone::members::roster::Roster;
use pidone::template::view::{self, Own};
use pidone::values::Moment;

/// What holds of every member, whoever told of it: none of its words can be anything but a word.
fn sound(members: &[Member]) {
    for member in members {
        assert!(member.name.as_str().parse() == Ok(member.name.clone()));
        assert!(member.services.len() <= SERVICES_MAX);
        let tags: usize = member.tags.iter().map(|(n, v)| n.len() + v.len()).sum();
        assert!(tags <= 512);
        for (name, value) in member.tags.iter() {
            assert!(!name.contains(char::is_whitespace));
            assert!(!value.contains(|c: char| c.is_control() || "\u{2028}\u{2029}".contains(c)));
        }
    }
    let mut roster = Roster::new(&[Origin::Gossip, Origin::Serf, Origin::File], 0);
    let origin = members
        .first()
        .map_or(Origin::Gossip, |member| member.origin);
    roster.take(origin, members.to_vec());
    let again = roster.take(origin, members.to_vec());
    assert!(again.is_empty(), "the same answer is news: {again:?}");
    let names: Vec<&str> = roster
        .members()
        .map(|member| member.name.as_str())
        .collect();
    assert!(names.is_sorted_by(|a, b| a < b), "two of one name");
    let text = view::data(&roster, &Own::default())
        .into_value()
        .to_string();
    assert!(!text.contains(|c: char| c.is_control()));
}

fn record(name: &str, agent: &str) -> Record {
    Record {
        agent: agent.parse().unwrap(),
        born: 1_795_341_839_123,
        life: 1_795_341_839_123,
        sequence: 1,
        name: name.parse().unwrap(),
        status: Status::Alive,
        tags: pidone::members::words::Tags::default(),
        services: Vec::new(),
    }
}

/// What an agent is told, step by step: a byte says what comes, two how much of it.
pub(super) fn gossip(data: &[u8]) {
    let own: SocketAddr = "10.0.0.1:7946".parse().unwrap();
    let mut now = Moment::at(Duration::from_secs(1000));
    let mut gossip = Gossip::new(record("ha", "10.0.0.1:7946"), Profile::Default, 7, now);
    let mut input = Input(data);
    let mut steps = 0;
    while let (Some(step), Some([high, low])) = (input.byte(), input.array()) {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let bytes = input.take(length.min(input.0.len())).unwrap();
        match step % 5 {
            0 => {
                let taken = gossip.datagram(bytes, now);
                assert!(!taken || !bytes.is_empty());
            }
            1 => {
                now = now + Duration::from_millis(u64::from(low) * 20);
                gossip.tick(now);
            }
            2 => {
                if let Some(Frame::Entries(entries)) = Frame::read(bytes) {
                    gossip.learn(entries, now);
                }
            }
            3 => {
                if let Some(record) = Record::read(bytes) {
                    gossip.record(record.clone(), now);
                    surpassed(&gossip, &record);
                }
            }
            _ => {
                for agent in gossip.others() {
                    let seen = [Evidence::None, Evidence::Holds, Evidence::Gone];
                    gossip.saw(agent, seen[usize::from(low) % seen.len()], now);
                }
            }
        }
        holds(&mut gossip, own, now);
        steps += 1;
        if steps == 64 {
            break;
        }
    }
    sealed(data);
}

/// A life so much later than ours, in milliseconds, is still believed: 99 years.
const BELIEVED_MS: u64 = 99 * 365 * 24 * 3600 * 1000;

/// Whatever is believed that we have said, we say something later.
fn surpassed(gossip: &Gossip, record: &Record) {
    let own = gossip.own();
    if record.agent == own.agent && record.life < own.born + BELIEVED_MS {
        assert!(
            !record.is_later_than(own),
            "{record:?} is later than {own:?}"
        );
    }
}

/// What an agent says is bounded, and of itself it says what nobody else can have said.
fn holds(gossip: &mut Gossip, own: SocketAddr, now: Moment) {
    for (to, bytes) in gossip.sends() {
        assert!(bytes.len() <= DATAGRAM_BYTES_MAX);
        assert!(to.port() != 0 && !to.ip().is_unspecified());
    }
    if let Some(at) = gossip.deadline() {
        assert!(at >= now.before(Duration::from_secs(60)));
    }
    let _ = gossip.sync(now);
    assert_eq!(
        (gossip.own().agent, gossip.own().name.as_str()),
        (own, "ha")
    );
    let knowledge = gossip.knowledge();
    let mut agents = BTreeSet::new();
    for entry in &knowledge {
        let agent = entry.member.id().agent;
        // An earlier life of ours is dead, and may be told so.
        let of_old = agent == own && entry.member.state() == foca::State::Down;
        assert!(agents.insert(agent) || of_old, "{agent} is there twice");
    }
    let ours = knowledge
        .iter()
        .find(|entry| entry.member.id().agent == own)
        .unwrap();
    assert_eq!(
        ours.record.as_ref(),
        Some(gossip.own()),
        "others can speak for us"
    );
    for frame in frame::entries(&knowledge) {
        assert!(frame.len() <= FRAME_BYTES_MAX && Frame::read(&frame).is_some());
    }
    if let Some((members, _)) = gossip.changes() {
        sound(&members);
        assert!(members.iter().any(|member| member.name.as_str() == "ha"));
    }
}

/// Nothing that was not sealed with the key opens, and what was does.
fn sealed(data: &[u8]) {
    let mut sealer = Sealer::new(Some(&Key([7; 32])), [3; 24]);
    assert_eq!(sealer.open(data), None);
    if let Some(datagram) = sealer.seal(data) {
        assert!(datagram.len() <= 1200);
        assert_eq!(sealer.open(&datagram).as_deref(), Some(data));
    }
    let open = Sealer::new(None, [3; 24]);
    assert!(open.open(data).is_none_or(|text| text == data[1..]));
}

/// A frame of a session, once it is opened.
pub(super) fn sessions(data: &[u8]) {
    let Some(read) = Frame::read(data) else {
        return;
    };
    let again = match &read {
        Frame::Compare => Some(frame::compare()),
        Frame::Watch => Some(frame::watch()),
        Frame::Ping => Some(frame::ping()),
        Frame::Done => frame::entries(&[]).pop(),
        Frame::Heard(life, sequence) => Some(frame::heard(*life, *sequence)),
        Frame::Record(record) => frame::record(record),
        Frame::Entries(entries) => {
            let frames = frame::entries(entries);
            let read: Vec<Entry> = frames
                .iter()
                .flat_map(|frame| match Frame::read(frame) {
                    Some(Frame::Entries(entries)) => entries,
                    Some(Frame::Done) => Vec::new(),
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(&read, entries);
            let records = entries.iter().filter_map(|entry| entry.record.as_ref());
            records.for_each(of_record);
            return;
        }
    };
    if let Frame::Record(record) = &read {
        of_record(record);
    }
    let again = again.expect("what was read can be written");
    assert_eq!(Frame::read(&again), Some(read));
}

fn of_record(record: &Record) {
    let bytes = record.bytes().expect("what was read can be written");
    assert!(bytes.len() <= RECORD_BYTES_MAX);
    assert_eq!(Record::read(&bytes).as_ref(), Some(record));
    assert!(record.status != Status::Failed);
    sound(&[record.member(record.status)]);
}

/// An answer of Serf's agent.
pub(super) fn serf(data: &[u8]) {
    let Ok((value, rest)) = msgpack::read(data) else {
        return;
    };
    assert!(data.ends_with(rest) && rest.len() < data.len());
    assert!(depth(&value) <= 17);
    let mut bytes = Vec::new();
    value.write(&mut bytes);
    let (again, rest) = msgpack::read(&bytes).expect("what was read can be written");
    assert!(rest.is_empty());
    assert_eq!(again, value);
    for short in [bytes.len() / 2, bytes.len() - 1] {
        assert_eq!(
            msgpack::read(&bytes[..short]).err(),
            Some(msgpack::Fault::Short)
        );
    }
    if let Some(members) = rpc::members(&value) {
        sound(&members);
        for member in &members {
            let told = rpc::services(&member.services);
            assert!(told.get("Tags").is_some());
        }
    }
}

fn depth(value: &Value) -> usize {
    1 + match value {
        Value::List(items) => items.iter().map(depth).max().unwrap_or(0),
        Value::Map(pairs) => {
            let both = pairs.iter().flat_map(|(key, value)| [key, value]);
            both.map(depth).max().unwrap_or(0)
        }
        Value::Nil | Value::Bool(_) | Value::Int(_) | Value::Bytes(_) => 0,
    }
}

/// An answer of a name server, whose question is the one that was asked.
pub(super) fn dns(data: &[u8]) {
    let id = data
        .first_chunk::<2>()
        .map_or(0, |id| u16::from_be_bytes(*id));
    for name in ["web", "_http._tcp.web."] {
        let question = message::question(id, name, Kind::Srv).unwrap();
        assert!(question.len() <= 300 && question.starts_with(&id.to_be_bytes()));
        assert_eq!(
            message::answer(&question, id, name),
            None,
            "a question answers itself"
        );
        let Some(answer) = message::answer(data, id, name) else {
            continue;
        };
        assert_eq!(message::answer(data, id.wrapping_add(1), name), None);
        assert!(answer.records.len() <= 4096 && answer.records.len() <= data.len() / 10);
        assert!(answer.ttl.is_none() || !answer.records.is_empty());
        for record in &answer.records {
            let name = match record {
                message::Record::Address { of, .. } => of,
                message::Record::Service { host, .. } => host,
            };
            assert!(name.len() <= 2 * 255 && *name == name.to_lowercase());
        }
        if answer.is_cut {
            assert!(answer.records.is_empty());
        }
    }
}

/// A file of nodes, as lines and as JSON.
pub(super) fn nodes(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for found in [
        files::lines(&text, 80, Origin::File),
        files::json(&text, 80, Origin::File),
    ] {
        match found {
            Err(why) => assert!(!why.is_empty()),
            Ok(members) => sound(&members),
        }
    }
    let _ = Key::read(data);
}
