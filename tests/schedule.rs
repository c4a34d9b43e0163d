//! When a schedule's moments come: cron's days, zones whose clocks are set, clocks that jump.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::time::Duration;

use pidone::os::files;
use pidone::service::schedule::{Line, Overlap, Schedule, Times};
use pidone::service::timetable::Timetable;
use pidone::service::zone::Zone;
use pidone::values::Moment;
use pidone::values::stamp::rfc3339;

/// Seconds since 1970 of a moment of 2026, UTC.
fn at(day_of_year: u64, hour: u64, minute: u64) -> Duration {
    const YEAR_2026: u64 = 1_767_225_600;
    Duration::from_secs(YEAR_2026 + ((day_of_year - 1) * 24 + hour) * 3600 + minute * 60)
}

fn cron(line: &str, zone: Zone) -> Schedule {
    Schedule {
        times: Times::Cron(Box::new(Line::parse(line, zone).unwrap())),
        overlap: Overlap::Skip,
        spread: Duration::ZERO,
    }
}

/// The next moments after this one, each planned when the one before has been kept.
fn moments(schedule: &Schedule, from: Duration, count: usize) -> Vec<String> {
    let mut table = Timetable::default();
    let (mut now, mut wall) = (Moment::at(Duration::from_secs(5)), from);
    let mut found = Vec::new();
    for _ in 0..count {
        let due = table.plan(schedule, "job", now, wall).unwrap();
        wall += due.since(now);
        now = due;
        assert_eq!(table.look(schedule, "job", now, wall), Some(now));
        found.push(rfc3339(wall)[..16].to_owned());
    }
    found
}

#[test]
fn days_are_crons_days() {
    let next = |line: &str| moments(&cron(line, Zone::utc()), at(1, 0, 0), 3);
    let days = ["2026-01-01T04:30", "2026-01-02T04:30", "2026-01-03T04:30"];
    assert_eq!(next("30 4 * * *"), days);
    // Either day will do, if both are restricted: the 13th, and Fridays.
    let either = ["2026-01-02T00:00", "2026-01-09T00:00", "2026-01-13T00:00"];
    assert_eq!(next("0 0 13 * FRI"), either);
    let leap = ["2028-02-29T00:00", "2032-02-29T00:00", "2036-02-29T00:00"];
    assert_eq!(next("0 0 29 2 *"), leap);
    let hours = ["2026-01-01T01:00", "2026-01-01T02:00", "2026-01-01T03:00"];
    assert_eq!(next("@hourly"), hours);
}

#[test]
fn clocks_that_are_set_for_the_summer() {
    let Ok(vienna) = Zone::find("Europe/Vienna", &files::zone) else {
        println!("skipped: no time zones here");
        return;
    };
    // On March 29th, 02:00 is 03:00; on October 25th, 03:00 is 02:00 again. It is UTC+1 before.
    let daily = cron("30 2 * * *", vienna.clone());
    let spring = ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"];
    assert_eq!(moments(&daily, at(87, 0, 0), 3), spring);
    let autumn = ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"];
    assert_eq!(moments(&daily, at(297, 0, 0), 3), autumn);
    // And so a person reads it there.
    let shown = [
        at(29 + 59, 0, 59),
        at(29 + 59, 1, 0),
        at(298, 0, 59) + Duration::from_secs(7),
    ];
    let shown = shown.map(|wall| daily.show(wall));
    let there = [
        "2026-03-29 01:59 CET",
        "2026-03-29 03:00 CEST",
        "2026-10-25 02:59:07 CEST",
    ];
    assert_eq!(shown, there);
    // What comes by the hour comes in each hour that there is.
    let hourly = cron("0 * * * *", vienna);
    let hours = ["2026-10-25T00:00", "2026-10-25T01:00", "2026-10-25T02:00"];
    assert_eq!(moments(&hourly, at(297, 23, 30), 3), hours);
}

#[test]
fn a_clock_that_is_set_is_followed() {
    let schedule = cron("0 * * * *", Zone::utc());
    let mut table = Timetable::default();
    let now = Moment::at(Duration::from_secs(5));
    let hour = Duration::from_secs(3600);
    let due = table.plan(&schedule, "job", now, at(2, 0, 30));
    assert_eq!(due, Some(now + hour / 2));
    // Set forward past it, it is due; set back, the next one counts.
    let mut forward = table.clone();
    assert_eq!(forward.look(&schedule, "job", now, at(2, 5, 10)), Some(now));
    let next = forward.plan(&schedule, "job", now, at(2, 5, 10));
    assert_eq!(next, Some(now + hour * 50 / 60));
    let back = table.look(&schedule, "job", now, at(1, 0, 30));
    assert_eq!(back, Some(now + hour / 2));
    // A little early, it waits for the rest.
    let early = table.look(&schedule, "job", now, at(1, 0, 59));
    assert_eq!(early, Some(now + hour / 60));
}

#[test]
fn what_comes_while_it_runs_passes_once_each() {
    let schedule = cron("0 * * * *", Zone::utc());
    let mut table = Timetable::default();
    let now = Moment::at(Duration::from_secs(5));
    let hour = Duration::from_secs(3600);
    let minute = Duration::from_secs(60);
    table.plan(&schedule, "job", now, at(2, 0, 30)).unwrap();
    assert_eq!(
        table.look(&schedule, "job", now, at(2, 1, 0)),
        Some(now),
        "it runs at one"
    );
    let mut pass = |wall| table.pass(&schedule, now, wall);
    assert_eq!(pass(at(2, 1, 0)), (false, Some(now + hour)));
    assert_eq!(pass(at(2, 1, 50)), (false, Some(now + minute * 10)));
    assert_eq!(pass(at(2, 2, 0)), (true, Some(now + hour)));
    assert_eq!(pass(at(2, 2, 0)), (false, Some(now + hour)));
    // Set forward by days, one has passed.
    assert_eq!(pass(at(9, 3, 30)), (true, Some(now + minute * 30)));
    // It ends, and waits for the next one.
    let next = table.plan(&schedule, "job", now, at(9, 3, 40));
    assert_eq!(next, Some(now + minute * 20));
    // Nothing passes of what queues.
    let queue = Schedule {
        overlap: Overlap::Queue,
        ..schedule
    };
    assert_eq!(table.pass(&queue, now, at(9, 5, 0)), (false, None));
}

#[test]
fn a_run_by_hand_takes_no_moment_that_is_yet_to_come() {
    let schedule = Schedule {
        spread: Duration::from_secs(600),
        ..cron("0 * * * *", Zone::utc())
    };
    let mut table = Timetable::default();
    let now = Moment::at(Duration::from_secs(5));
    let hour = Duration::from_secs(3600);
    let planned = table.plan(&schedule, "job", now, at(2, 0, 0)).unwrap();
    // By hand, over within the first half hour: the same moment as before, by the same chance.
    let again = now + hour / 2;
    let next = table.plan(&schedule, "job", again, at(2, 0, 30));
    assert_eq!(next, Some(planned));
    // By hand, and still running then: it passes.
    let late = now + hour * 2;
    let (has_passed, next) = table.pass(&schedule, late, at(2, 2, 0));
    assert!(has_passed && next > Some(late), "{next:?}");
}

#[test]
fn what_came_while_it_was_stopped_does_not_queue() {
    let schedule = Schedule {
        overlap: Overlap::Queue,
        ..cron("0 * * * *", Zone::utc())
    };
    let now = Moment::at(Duration::from_secs(5));
    let hour = Duration::from_secs(3600);
    let mut table = Timetable::default();
    table.plan(&schedule, "job", now, at(2, 0, 30)).unwrap();
    // Stopped at half past twelve, started by hand at half past four: over within that hour.
    table.resume(&schedule, now, at(2, 4, 30));
    let next = table.clone().plan(&schedule, "job", now, at(2, 4, 40));
    assert_eq!(next, Some(now + hour / 3));
    // Over after five, that one has queued.
    let next = table.plan(&schedule, "job", now, at(2, 5, 10));
    assert_eq!(next, Some(now));
}

#[test]
fn another_definition_has_moments_of_its_own() {
    let now = Moment::at(Duration::from_secs(5));
    let mut table = Timetable::default();
    let hour = Duration::from_secs(3600);
    let (late, early) = (cron("@yearly", Zone::utc()), cron("@hourly", Zone::utc()));
    table.plan(&late, "job", now, at(2, 0, 0)).unwrap();
    let next = table.plan(&early, "job", now, at(2, 0, 0));
    assert_eq!(next, Some(now + hour));
    let next = table.plan(&late, "job", now, at(2, 0, 0));
    assert_eq!(next, Some(now + hour * 24 * 364));
}

#[test]
fn chance_delays_by_no_more_than_it_may() {
    let schedule = Schedule {
        spread: Duration::from_secs(30),
        ..cron("0 * * * *", Zone::utc())
    };
    let waits: Vec<u128> = (0..200)
        .map(|nth| {
            let now = Moment::at(Duration::from_micros(nth));
            let due = Timetable::default().plan(&schedule, "job", now, at(1, 0, 59));
            due.unwrap().since(now).as_millis()
        })
        .collect();
    assert!(
        waits.iter().all(|wait| (60_000..=90_000).contains(wait)),
        "{waits:?}"
    );
    assert!(waits.iter().max() > Some(&85_000) && waits.iter().min() < Some(&65_000));
}

#[test]
fn whatever_a_line_says_there_is_an_answer() {
    let parts = [
        "*",
        "/",
        "-",
        ",",
        "#",
        "L",
        "W",
        "?",
        "+",
        "@",
        "5",
        "0",
        "99999999999",
        "MON",
        "JAN",
        " ",
        "\t",
        "é",
        "*/5",
        "1-5",
        "@daily",
        "\u{0}",
    ];
    let mut state = 7_u64;
    for _ in 0..20_000 {
        let mut line = String::new();
        for _ in 0..12 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let pick = usize::try_from(state >> 33).unwrap() % parts.len();
            line.push_str(parts[pick]);
        }
        if let Ok(line) = Line::parse(&line, Zone::utc()) {
            assert!(!moments(&cron(&line.text, Zone::utc()), at(1, 0, 0), 1).is_empty());
        }
    }
    // And of files that are no zones.
    for bytes in [
        &b""[..],
        b"TZif",
        b"TZif2\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff",
        &[0; 100],
    ] {
        assert!(Zone::find("Some/Zone", &|_| Ok(bytes.to_vec())).is_err());
    }
}
