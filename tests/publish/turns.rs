//! When a template's turn comes, and what does not wait for what: pure, without a clock.

use std::time::Duration;

use pidone::agent::publish::turn::{Reach, Step, Turn, Urgency};
use pidone::values::Moment;

fn at(ms: u64) -> Moment {
    Moment::at(Duration::from_millis(ms))
}

const SERVERS: Option<Step> = Some(Step::Servers);
const WRITE: Option<Step> = Some(Step::File(Reach::Write));
const TAKE: Option<Step> = Some(Step::File(Reach::Take));

/// A turn that has had its first rendering.
fn turn() -> Turn {
    rendered(false)
}

fn rendered(is_cheap: bool) -> Turn {
    let mut turn = Turn::new(Duration::from_millis(20), is_cheap, at(0));
    assert!(renders(&mut turn, at(0)));
    turn
}

/// Whether it is rendered now; the file has it already.
fn renders(turn: &mut Turn, now: Moment) -> bool {
    let comes = turn.begins(now) == SERVERS;
    if comes {
        turn.served(None, false, now);
    }
    comes
}

#[test]
fn the_first_rendering_is_due_at_once_and_then_nothing_is() {
    assert!(!Turn::new(Duration::ZERO, false, at(0)).is_in_effect());
    assert_eq!(turn().due(), None);
    assert_eq!(turn().begins(at(1_000_000)), None);
    assert!(turn().is_in_effect() && turn().is_over());
}

#[test]
fn a_change_waits_for_others_but_not_for_ever() {
    let mut turn = turn();
    turn.changed(Urgency::Settles, at(1000));
    assert_eq!(turn.due(), Some(at(1020)));
    let mut count = 0;
    for ms in 1000..1600 {
        if ms % 10 == 0 && ms < 1500 {
            turn.changed(Urgency::Settles, at(ms));
        }
        count += u32::from(renders(&mut turn, at(ms)));
    }
    // 500 ms of changes without a pause: at 1200, 1410 and when it is quiet.
    assert_eq!(count, 3);
    assert_eq!(turn.due(), None);
}

#[test]
fn a_hundred_joins_within_200_ms_are_two_renderings_at_most() {
    for (is_cheap, most) in [(false, 2), (true, 3)] {
        let mut turn = rendered(is_cheap);
        let mut count = 0;
        for ms in 1000..2000 {
            if ms < 1200 && ms % 2 == 0 {
                turn.changed(Urgency::Settles, at(ms));
            }
            count += u32::from(renders(&mut turn, at(ms)));
        }
        assert!(count <= most, "{count}");
    }
}

#[test]
fn a_cheap_change_that_comes_alone_does_not_wait() {
    let mut turn = rendered(true);
    turn.changed(Urgency::Settles, at(1000));
    assert_eq!(turn.due(), Some(at(1000)));
    assert!(renders(&mut turn, at(1000)));
    // Others may follow right behind, and are one rendering.
    turn.changed(Urgency::Settles, at(1010));
    turn.changed(Urgency::Settles, at(1015));
    assert_eq!(turn.due(), Some(at(1035)));
    assert!(renders(&mut turn, at(1035)));
    turn.changed(Urgency::Settles, at(1214));
    assert_eq!(turn.due(), Some(at(1234)));
    assert!(renders(&mut turn, at(1234)));
    turn.changed(Urgency::Settles, at(1500));
    assert_eq!(turn.due(), Some(at(1500)));
}

#[test]
fn who_leaves_is_not_waited_for() {
    let mut turn = turn();
    turn.changed(Urgency::Settles, at(1000));
    turn.changed(Urgency::Now, at(1005));
    assert_eq!(turn.due(), Some(at(1005)));
    // A join right behind does not put it off.
    turn.changed(Urgency::Settles, at(1005));
    assert_eq!(turn.due(), Some(at(1005)));
    assert!(renders(&mut turn, at(1005)));
    assert_eq!(turn.due(), None);
}

#[test]
fn what_is_left_is_tried_again_less_and_less_often() {
    let mut turn = turn();
    turn.changed(Urgency::Now, at(1000));
    let mut now = at(1000);
    let mut waits = Vec::new();
    for _ in 0..7 {
        assert_eq!(turn.begins(now), SERVERS);
        turn.served(None, true, now);
        // Servers that wait for their deletion get no more work: the change is in effect.
        assert!(turn.is_in_effect());
        let due = turn.due().unwrap();
        waits.push(due.since(now).as_millis());
        now = due;
    }
    assert_eq!(waits, [100, 200, 400, 800, 1600, 2000, 2000]);
    // A change does not wait for that, and what succeeds ends it.
    let before = now.before(Duration::from_millis(500));
    turn.changed(Urgency::Now, before);
    assert!(renders(&mut turn, before));
    assert_eq!(turn.due(), None);
}

#[test]
fn the_servers_do_not_wait_for_a_file_and_the_newest_file_follows() {
    let mut turn = turn();
    turn.changed(Urgency::Now, at(1000));
    assert_eq!(turn.begins(at(1000)), SERVERS);
    assert_eq!(turn.begins(at(1001)), None);
    turn.served(Some(Reach::Write), false, at(1003));
    assert!(turn.is_in_effect() && !turn.is_over());
    assert_eq!(turn.begins(at(1003)), WRITE);
    // The check takes 80 ms. Two changes within it go out at once, one after the other.
    for ms in [1010, 1030] {
        turn.changed(Urgency::Now, at(ms));
        assert!(!turn.is_in_effect());
        assert_eq!(turn.begins(at(ms)), SERVERS);
        turn.served(Some(Reach::Write), false, at(ms + 3));
        assert!(turn.is_in_effect());
        assert_eq!(turn.begins(at(ms + 3)), None);
    }
    // One file for both.
    turn.filed(false, at(1083));
    assert_eq!(turn.begins(at(1083)), WRITE);
    turn.filed(false, at(1160));
    assert!(turn.is_over());
    assert_eq!((turn.begins(at(1160)), turn.due()), (None, None));
}

#[test]
fn a_text_that_is_the_old_files_again_is_written_behind_the_one_under_way() {
    let mut turn = turn();
    turn.changed(Urgency::Now, at(1000));
    turn.begins(at(1000));
    turn.served(Some(Reach::Write), false, at(1003));
    assert_eq!(turn.begins(at(1003)), WRITE);
    turn.changed(Urgency::Now, at(1010));
    assert_eq!(turn.begins(at(1010)), SERVERS);
    turn.served(None, false, at(1013));
    turn.filed(false, at(1083));
    assert_eq!(turn.begins(at(1083)), WRITE);
}

#[test]
fn a_reader_that_takes_the_file_is_not_told_anything_meanwhile() {
    let mut turn = turn();
    turn.changed(Urgency::Now, at(1000));
    turn.begins(at(1000));
    turn.served(Some(Reach::Take), false, at(1003));
    assert!(!turn.is_in_effect());
    assert_eq!(turn.begins(at(1003)), TAKE);
    turn.changed(Urgency::Now, at(1010));
    assert_eq!((turn.begins(at(1010)), turn.due()), (None, None));
    turn.filed(false, at(1150));
    // What came meanwhile is not in effect yet.
    assert!(!turn.is_in_effect());
    assert!(renders(&mut turn, at(1150)));
    assert!(turn.is_in_effect());
}

#[test]
fn a_reload_that_comes_too_soon_is_owed_until_it_was_done() {
    let mut turn = turn();
    turn.changed(Urgency::Now, at(1000));
    let mut now = at(1000);
    for is_left in [true, false] {
        assert_eq!(turn.begins(now), SERVERS);
        turn.served(Some(Reach::Take), false, now);
        assert_eq!(turn.begins(now), TAKE);
        turn.filed(is_left, now);
        assert_eq!(turn.is_in_effect(), !is_left);
        now = turn.due().unwrap_or(now);
    }
    assert_eq!(now, at(1100));
    assert_eq!(turn.due(), None);
}

#[test]
fn a_file_that_cannot_be_written_yet_is_tried_again() {
    let mut turn = turn();
    turn.changed(Urgency::Now, at(1000));
    let mut now = at(1000);
    for wait in [100, 200, 400] {
        assert_eq!(turn.begins(now), SERVERS);
        turn.served(Some(Reach::Write), false, now);
        assert_eq!(turn.begins(now), WRITE);
        turn.filed(true, now);
        let due = turn.due().unwrap();
        assert_eq!(due.since(now), Duration::from_millis(wait));
        now = due;
    }
}

#[test]
fn changes_without_a_pause_do_not_keep_the_file_from_being_written() {
    let mut turn = turn();
    let mut files = 0;
    let mut ends: Option<u64> = None;
    for ms in 1000..2000 {
        turn.changed(Urgency::Now, at(ms));
        if ends == Some(ms) {
            turn.filed(false, at(ms));
            (files, ends) = (files + 1, None);
        }
        while let Some(step) = turn.begins(at(ms)) {
            match step {
                Step::Servers => turn.served(Some(Reach::Write), false, at(ms)),
                Step::File(_) => ends = Some(ms + 70),
            }
        }
    }
    assert!(files >= 13, "{files}");
}
