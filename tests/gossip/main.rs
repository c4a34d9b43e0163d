//! The gossip of whole clusters over a network that loses, delays and parts, by a seed, without a
//! socket: `SEED=7` plays one again; `GOSSIP=full` plays the long ones (an hour, 1,000 nodes),
//! `GOSSIP=300` those of so many nodes, `SPAN=3600` each of these for so many seconds, and
//! `WRITE=docs/membership.md` puts the table there.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

mod bytes;
mod clocks;
mod hostile;
mod scale;
mod world;

use pidone::agent::config::Profile;
use pidone::members::member::{Announced, Readiness, Status};
use pidone::members::record::Record;
use pidone::members::roster::Change;
use pidone::values::Moment;

use crate::world::{World, address, ms};

#[test]
fn three_nodes_live_and_die() {
    for profile in [Profile::Default, Profile::Fast] {
        let mut world = World::cluster(3, profile, 0.0);
        let joined = world.until(3, ms(3000));
        world.run(ms(5000));
        // One is killed.
        world.nodes[1].dead = true;
        let noticed = world.until(2, ms(3000));
        let limit = if profile == Profile::Fast { 500 } else { 1200 };
        assert!(noticed <= ms(limit), "{profile:?}: {noticed:?}");
        assert_eq!(world.told(Change::Failed), 2);
        // It comes back at the same address, as another life.
        world.nodes[1] = world.node(1, profile, "n1");
        let back = world.until(3, ms(3000));
        // One leaves.
        let now = world.now;
        world.nodes[2].gossip.leave(now);
        world.collect(2);
        world.run(ms(150));
        world.nodes[2].dead = true;
        let left = world.until(2, ms(3000));
        // The two others, and itself.
        assert_eq!(
            (world.told(Change::Leave), world.told(Change::Failed)),
            (3, 0)
        );
        println!(
            "{profile:?}: joined {joined:?}, failed after {noticed:?}, back {back:?}, left {left:?}"
        );
    }
}

#[test]
fn readiness_travels_at_once() {
    let mut world = World::cluster(10, Profile::Default, 0.05);
    world.until(10, ms(5000));
    world.run(ms(5000));
    let ready = [Announced {
        name: "web".parse().unwrap(),
        port: 80,
        readiness: Readiness::Ready,
    }];
    let now = world.now;
    world.nodes[4].gossip.announce(&ready, now);
    world.collect(4);
    world.run(ms(300));
    for node in &world.nodes {
        assert!(node.roster.get("n4").unwrap().is_ready());
    }
    assert_eq!(world.told(Change::Failed), 0);
}

/// A network that is cut in two, and grows together again.
#[test]
fn what_was_parted_grows_together() {
    for (nodes, cut) in [(2, 1), (3, 1), (6, 3), (20, 7)] {
        let mut world = World::cluster(nodes, Profile::Default, 0.02);
        world.until(nodes, ms(5000));
        world.run(ms(3000));
        world.cut = Some(cut);
        world.run(ms(6000));
        let views = world.views();
        assert!(views[..cut].iter().all(|seen| *seen == cut), "{views:?}");
        assert!(
            views[cut..].iter().all(|seen| *seen == nodes - cut),
            "{views:?}"
        );
        world.cut = None;
        let healed = world.until(nodes, ms(10_000));
        println!("{nodes} nodes cut at {cut}: whole {healed:?} after the cut's end");
        world.events.clear();
        world.run(ms(5000));
        assert_eq!(world.told(Change::Failed), 0);
        assert!(nodes > 3 || healed <= ms(2000), "{healed:?}");
    }
}

/// A node that stood still takes nobody for dead.
#[test]
fn who_slept_suspects_nobody() {
    for round in 0..20 {
        let mut world = World::cluster(5, Profile::Default, 0.0);
        world.until(5, ms(5000));
        world.run(ms(3000 + round * 37));
        world.nodes[2].stopped = Some(world.now + ms(1000));
        world.events.clear();
        world.run(ms(5000));
        // The others may have missed it; it has missed nobody.
        let seen = world.nodes[2].roster.members();
        assert!(seen.into_iter().all(|m| m.status == Status::Alive));
        assert!(world.told(Change::Failed) <= 4);
        world.until(5, ms(3000));
        assert!(world.nodes[2].gossip.stood_still() >= ms(300));
    }
}

#[test]
fn the_first_of_two_with_one_name_keeps_it() {
    let mut world = World::cluster(3, Profile::Default, 0.0);
    world.until(3, ms(3000));
    world.boot(Profile::Default, "n1");
    world.run(ms(3000));
    for node in &world.nodes {
        assert_eq!(node.roster.get("n1").unwrap().address, address(1).ip());
        assert_eq!(node.roster.members().count(), 3);
    }
    // Only the newcomer had believed itself to be it.
    assert_eq!(
        (world.told(Change::Failed), world.told(Change::Update)),
        (0, 1)
    );
    // When the first is gone, the other is there.
    world.nodes[1].dead = true;
    world.run(ms(3000));
    for node in world.nodes.iter().filter(|node| !node.dead) {
        assert_eq!(node.roster.get("n1").unwrap().address, address(3).ip());
    }
}

/// A clock that was set back between two starts harms nobody.
#[test]
fn a_clock_may_be_set_back() {
    let mut world = World::cluster(3, Profile::Default, 0.0);
    world.until(3, ms(3000));
    world.run(ms(100_000));
    let mut past = World::new(0.0);
    past.now = Moment::at(ms(10));
    world.nodes[1] = past.node(1, Profile::Default, "n1");
    world.run(ms(4000));
    assert_eq!(world.views(), [3, 3, 3]);
}

/// A record says the last number there is of a member: what that member says next is heard all the
/// same.
#[test]
fn nobody_takes_the_last_word_from_a_member() {
    let mut world = World::cluster(3, Profile::Default, 0.0);
    world.until(3, ms(3000));
    let forged = Record {
        sequence: u32::MAX,
        ..world.nodes[1].gossip.own().clone()
    };
    let now = world.now;
    for node in [0, 2] {
        world.nodes[node].gossip.record(forged.clone(), now);
    }
    world.run(ms(1000));
    let web = [Announced {
        name: "web".parse().unwrap(),
        port: 80,
        readiness: Readiness::Ready,
    }];
    let now = world.now;
    world.nodes[1].gossip.announce(&web, now);
    world.run(ms(2000));
    for node in &world.nodes {
        assert_eq!(node.roster.get("n1").unwrap().services, web);
    }
}
