//! One who has the key and says what is not so: of himself, of others, and of thousands that do not
//! exist. Nobody dies of it, what it costs is bounded, and whoever is there stays what it is.

use std::net::SocketAddr;

use foca::{Codec, Header, Member, Message, State};
use pidone::agent::config::Profile;
use pidone::agent::gossip::directory::STRAYS_MAX;
use pidone::agent::gossip::driver::{DATAGRAM_BYTES_MAX, Gossip};
use pidone::agent::gossip::knowledge::Entry;
use pidone::agent::gossip::peer::{Peer, Wire};
use pidone::members::member::Status;
use pidone::members::record::Record;
use pidone::members::roster::{Change, MEMBERS_MAX};

use crate::world::{World, address, ms};

/// Where the hostile one is.
fn liar() -> Peer {
    Peer {
        life: 1000,
        ..Peer::unknown("10.9.9.9:7946".parse().unwrap())
    }
}

/// A datagram of news to this node, with these members and these records.
fn news(to: &Gossip, members: &[Member<Peer>], records: &[Vec<u8>]) -> Vec<u8> {
    let mut wire = Wire::default();
    let header = Header {
        src: liar(),
        src_incarnation: 0,
        dst: Peer {
            life: to.own().life,
            renewals: 0,
            agent: to.own().agent,
        },
        message: Message::Gossip,
    };
    let mut bytes = Vec::new();
    wire.encode_header(&header, &mut bytes).unwrap();
    bytes.extend(u16::try_from(members.len()).unwrap().to_be_bytes());
    for member in members {
        wire.encode_member(member, &mut bytes).unwrap();
    }
    for record in records {
        bytes.extend(u16::try_from(record.len()).unwrap().to_be_bytes());
        bytes.extend(record);
    }
    assert!(bytes.len() <= DATAGRAM_BYTES_MAX);
    bytes
}

/// The hostile one says this to everybody.
fn say(world: &mut World, members: &[Member<Peer>], records: &[Vec<u8>]) {
    world.has_liar = true;
    for at in 0..world.nodes.len() {
        let now = world.clock(at);
        let bytes = news(&world.nodes[at].gossip, members, records);
        // It may be refused; nobody falls over it.
        world.nodes[at].gossip.datagram(&bytes, now);
        world.collect(at);
    }
}

fn ten() -> World {
    let mut world = World::cluster(10, Profile::Default, 0.0);
    world.until(10, ms(5000));
    world.run(ms(5000));
    world
}

fn record_of(world: &World, at: usize) -> Record {
    world.nodes[at].gossip.own().clone()
}

/// Every node has every other one alive, with its own address and what it says of itself.
fn is_whole(world: &World) -> bool {
    let nodes = world.nodes.iter();
    nodes
        .flat_map(|seer| (0..world.nodes.len()).map(move |at| (seer, at)))
        .all(|(seer, at)| {
            let own = record_of(world, at);
            let member = seer.roster.get(own.name.as_str());
            member.is_some_and(|member| {
                member.status == Status::Alive
                    && member.address == own.agent.ip()
                    && member.tags == own.tags
                    && member.services == own.services
            })
        })
}

fn until_whole(world: &mut World, within_ms: u64) -> u64 {
    let start = world.now;
    while !is_whole(world) {
        let took = world.now.since(start);
        assert!(took < ms(within_ms), "{:?}", world.views());
        world.run(ms(50));
    }
    u64::try_from(world.now.since(start).as_millis()).unwrap()
}

const CENTURY_MS: u64 = 100 * 365 * 24 * 3_600_000;

/// Words that n3 has not said, from lives and with numbers after which there seem to be no more.
#[test]
fn nobody_speaks_for_another_for_long() {
    for (life, sequence) in [
        (0, u32::MAX),
        (1, 0),
        (CENTURY_MS / 2, 7),
        (CENTURY_MS, u32::MAX),
        (u64::MAX - 1000, u32::MAX),
    ] {
        let mut world = ten();
        let mut lie = record_of(&world, 3);
        lie.life += life;
        lie.sequence = sequence;
        lie.tags.set("role", "trap").unwrap();
        lie.services.clear();
        say(&mut world, &[], &[lie.bytes().unwrap()]);
        world.run(ms(500));
        let took = until_whole(&mut world, 40_000);
        let own = record_of(&world, 3);
        assert!(own.tags.is_empty() && own.services.len() == 1);
        println!("life + {life}, number {sequence}: heard itself again after {took} ms");
        // And what it says next is heard as well.
        let now = world.clock(3);
        world.nodes[3].gossip.announce(&[], now);
        world.collect(3);
        world.run(ms(500));
        assert!(is_whole(&world));
    }
}

/// News of lives and incarnations of n3 that it has not had, and that it is down in them.
#[test]
fn nobody_buries_another_for_long() {
    for (life, renewals, incarnation) in [
        (0, 0, u16::MAX),
        (1, 0, 0),
        (CENTURY_MS / 2, 255, 9),
        (CENTURY_MS, 255, u16::MAX),
        (u64::MAX - 1000, 255, u16::MAX),
    ] {
        for state in [State::Alive, State::Suspect, State::Down] {
            let mut world = ten();
            let own = record_of(&world, 3);
            let lie = Peer {
                agent: own.agent,
                life: own.life + life,
                renewals,
            };
            say(&mut world, &[Member::new(lie, incarnation, state)], &[]);
            world.run(ms(2000));
            let took = until_whole(&mut world, 60_000);
            println!("life + {life}, incarnation {incarnation}, {state:?}: back after {took} ms");
            world.events.clear();
            world.run(ms(5000));
            assert_eq!(world.told(Change::Failed), 0);
        }
    }
}

/// One who is new and says that he has been here for ever does not get another's name.
#[test]
fn a_name_is_not_taken_from_who_has_it() {
    let mut world = ten();
    world.run(ms(60_000));
    let lie = Record {
        agent: liar().agent,
        born: 0,
        life: liar().life,
        ..record_of(&world, 3)
    };
    world.events.clear();
    say(&mut world, &[], &[lie.bytes().unwrap()]);
    world.run(ms(200));
    assert!(is_whole(&world));
    // He does not answer, and is soon known to be gone.
    world.run(ms(10_000));
    assert!(is_whole(&world));
    assert_eq!(world.told(Change::Update), 0);
}

fn stranger(number: usize) -> SocketAddr {
    let [_, high, mid, low] = u32::try_from(number).unwrap().to_be_bytes();
    SocketAddr::new([172, 16 + high, mid, low].into(), 7946)
}

/// Thirty thousand members that do not exist, as news and as what another knows, with records.
#[test]
fn thousands_that_do_not_exist_are_bounded() {
    let mut world = World::cluster(3, Profile::Default, 0.0);
    world.until(3, ms(5000));
    world.run(ms(5000));
    let template = record_of(&world, 1);
    let fake = |number: usize| {
        let peer = Peer {
            life: 1000,
            ..Peer::unknown(stranger(number))
        };
        let record = Record {
            agent: peer.agent,
            name: format!("fake{number}").parse().unwrap(),
            ..template.clone()
        };
        let down = number.is_multiple_of(3);
        let state = if down { State::Down } else { State::Alive };
        (Member::new(peer, 0, state), record)
    };
    for batch in 0..1500 {
        let fakes: Vec<_> = (batch * 20..batch * 20 + 20).map(fake).collect();
        let bytes = if batch % 2 == 0 {
            let members: Vec<_> = fakes.iter().map(|(member, _)| member.clone()).collect();
            news(&world.nodes[0].gossip, &members, &[])
        } else {
            let records = fakes
                .iter()
                .take(10)
                .map(|(_, record)| record.bytes().unwrap());
            news(&world.nodes[0].gossip, &[], &records.collect::<Vec<_>>())
        };
        let now = world.clock(0);
        world.nodes[0].gossip.datagram(&bytes, now);
        if batch % 100 == 0 {
            world.collect(0);
        }
    }
    let entries = (0..30_000).map(fake).map(|(member, record)| Entry {
        member,
        record: Some(record),
    });
    let now = world.clock(0);
    world.nodes[0].gossip.learn(entries.collect(), now);
    world.collect(0);
    let known = world.nodes[0].gossip.knowledge();
    println!("{} are known", known.len());
    // A datagram more, and those of whom there were records first.
    assert!(known.len() > MEMBERS_MAX / 2 && known.len() <= MEMBERS_MAX + 2 * STRAYS_MAX);
    // Who was there is there.
    for name in ["n0", "n1", "n2"] {
        let member = world.nodes[0].roster.get(name).unwrap();
        assert_eq!(member.status, Status::Alive);
    }
}

/// Whoever has left is forgotten by all after a while, and not told of again from one who came
/// later to one who has forgotten.
#[test]
fn who_has_left_is_forgotten_by_all() {
    let mut world = World::cluster(6, Profile::Default, 0.0);
    world.until(6, ms(5000));
    world.run(ms(5000));
    let now = world.clock(5);
    world.nodes[5].gossip.leave(now);
    world.collect(5);
    world.run(ms(200));
    world.nodes[5].dead = true;
    let lists_it = |world: &World| {
        let living = world.nodes.iter().filter(|node| !node.dead);
        living
            .filter(|node| node.roster.get("n5").is_some())
            .count()
    };
    for newcomer in 6..9 {
        world.run(ms(240_000));
        world.boot(Profile::Default, &format!("n{newcomer}"));
    }
    world.run(ms(180_000));
    assert_eq!(lists_it(&world), 0);
    // Its address is not burnt.
    world.nodes[5] = world.node(5, Profile::Default, "n5");
    world.until(9, ms(5000));
    assert_eq!(lists_it(&world), 9);
    assert_eq!(address(5), world.nodes[5].gossip.own().agent);
}
