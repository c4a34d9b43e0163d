//! Clocks that jump, and machines that are paused: whoever it happens to tells nobody that others
//! have failed, and is a member again by itself.

use pidone::agent::config::Profile;
use pidone::members::member::Status;
use pidone::members::roster::Change;

use crate::world::{World, ms};

const HOUR: u64 = 3_600_000;

fn five() -> World {
    let mut world = World::cluster(5, Profile::Default, 0.02);
    world.until(5, ms(5000));
    world.run(ms(5000));
    world.events.clear();
    world
}

/// The node sees all others alive, and nobody told anything of any other node.
fn only_it_was_doubted(world: &World, it: usize) {
    let seen = world.nodes[it].roster.members();
    assert!(seen.into_iter().all(|m| m.status == Status::Alive));
    let doubted: Vec<usize> = world.doubts.of.iter().copied().collect();
    assert!(doubted.iter().all(|node| *node == it), "{doubted:?}");
}

#[test]
fn a_clock_that_jumps_makes_nobody_fail() {
    for round in 0..20 {
        let mut world = five();
        world.run(ms(round * 23));
        for ahead in [HOUR, 0, 500, 0, 30_000, 0] {
            world.jump(2, ms(ahead));
            world.run(ms(3000));
            only_it_was_doubted(&world, 2);
            assert_eq!(world.told(Change::Failed), 0, "{ahead} ms ahead");
        }
        // It has not fallen asleep either: it is one of those who notice a death.
        world.nodes[4].dead = true;
        world.until(4, ms(2000));
    }
}

/// Two are left, and the clock of the one is set back an hour: it is the only one who can notice
/// that the other dies.
#[test]
fn a_clock_that_was_set_back_still_runs() {
    let mut world = World::cluster(2, Profile::Default, 0.0);
    world.until(2, ms(5000));
    world.jump(0, ms(HOUR));
    world.run(ms(5000));
    world.jump(0, ms(0));
    world.run(ms(5000));
    world.nodes[1].dead = true;
    world.until(1, ms(2000));
}

/// A machine that is paused for half a minute: what came meanwhile is kept or lost, and its clock
/// shows the time that has passed or does not.
#[test]
fn a_paused_machine_comes_back_by_itself() {
    for (is_deaf, jumps) in [(false, true), (true, true), (true, false)] {
        for round in 0..5 {
            let mut world = five();
            world.run(ms(round * 41));
            world.nodes[2].stopped = Some(world.now + ms(30_000));
            world.nodes[2].is_deaf = is_deaf;
            if !jumps {
                // Before it is paused it is ahead by as much as it will fall behind.
                world.jump(2, ms(30_000));
                world.nodes[2].stopped = None;
                world.run(ms(2000));
                world.nodes[2].stopped = Some(world.now + ms(30_000));
            }
            world.run(ms(29_900));
            assert_eq!(world.believers(2), 1, "only it believes in itself");
            if !jumps {
                world.jump(2, ms(0));
            }
            let back = world.until(5, ms(12_000));
            only_it_was_doubted(&world, 2);
            println!("deaf {is_deaf}, clock jumps {jumps}: a member again after {back:?}");
            world.events.clear();
            world.run(ms(10_000));
            assert_eq!(world.told(Change::Failed), 0);
        }
    }
}
