//! Lines of cron, with a time zone's file.

use std::time::Duration;

use pidone::service::schedule::{Line, Overlap, Schedule, Times};
use pidone::service::timetable::Timetable;
use pidone::service::zone::Zone;
use pidone::values::Moment;

/// Five bytes of a time, how it treats overlap, and a line; behind a NUL byte a zone's file.
pub(super) fn cron(data: &[u8]) {
    let Some((time, rest)) = data.split_first_chunk::<5>() else {
        return;
    };
    let Some((overlap, rest)) = rest.split_first() else {
        return;
    };
    let seconds = time.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
    let wall = Duration::from_secs(seconds & 0x3_ffff_ffff);
    let end = rest.iter().position(|byte| *byte == 0);
    let (text, file) = rest.split_at(end.unwrap_or(rest.len()));
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let zone = match file.split_first() {
        None => Zone::utc(),
        Some((_, file)) => match Zone::find("Some/Zone", &|_| Ok(file.to_vec())) {
            Ok(zone) => zone,
            Err(why) => return assert!(!why.is_empty()),
        },
    };
    let _ = zone.show(wall.as_secs().try_into().unwrap());
    let line = match Line::parse(text, zone) {
        Err(bad) => {
            assert!(
                text.get(bad.at.clone()).is_some(),
                "{bad:?} is no place of {text:?}"
            );
            return;
        }
        Ok(line) => line,
    };
    let schedule = Schedule {
        times: Times::Cron(Box::new(line)),
        overlap: if overlap & 1 == 0 {
            Overlap::Skip
        } else {
            Overlap::Queue
        },
        spread: Duration::from_secs(u64::from(overlap >> 1)),
    };
    planned(&schedule, wall);
}

/// However often one looks, the next run is not before now, and each comes after the last.
fn planned(schedule: &Schedule, wall: Duration) {
    let at = |seconds: u64| Moment::at(Duration::from_secs(100 + seconds));
    let mut timetable = Timetable::default();
    let Some(mut due) = timetable.plan(schedule, "job", at(0), wall) else {
        return;
    };
    for _ in 0..4 {
        assert!(due >= at(0));
        let passed = due.since(at(0));
        let now = at(0) + passed;
        // The clock has come there.
        let then = wall + passed;
        let _ = schedule.show(then);
        let Some(looked) = timetable.look(schedule, "job", now, then) else {
            return;
        };
        assert!(looked >= now, "it is due before now");
        let (_, _) = timetable.pass(schedule, now, then);
        let Some(next) = timetable.plan(schedule, "job", now, then) else {
            return;
        };
        assert!(next >= now);
        due = next.max(now + Duration::from_secs(1));
    }
}
