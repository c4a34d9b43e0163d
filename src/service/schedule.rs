//! When a oneshot runs by itself: a line of cron, or every so often. Pure: the clocks' time is an
//! argument.

use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use crate::service::zone::{Local, Zone};
use crate::values::Moment;

/// When a oneshot runs by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// The moments.
    pub times: Times,
    /// What becomes of those that come while it runs.
    pub overlap: Overlap,
    /// Each run waits for up to this long more, by chance, so that not everybody runs at once.
    pub spread: Duration,
}

/// The moments of a schedule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Times {
    /// A line of cron.
    Cron(Box<Line>),
    /// Every so often, from the boot on.
    Every(Duration),
}

/// What becomes of moments that come while it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overlap {
    /// They pass.
    Skip,
    /// It runs once more, right after.
    Queue,
}

/// A line of cron, understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// As it was written.
    pub text: String,
    /// Whose clocks it is about.
    pub zone: Zone,
    cron: Cron,
}

/// A field of a line: its name, and what it takes.
const FIELDS: [(&str, &str); 5] = [
    ("a minute", "0-59"),
    ("an hour", "0-23"),
    ("a day of the month", "1-31"),
    ("a month", "1-12 or JAN-DEC"),
    ("a day of the week", "0-7 or SUN-SAT"),
];

/// The words for common lines.
const WORDS: [&str; 6] = [
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@hourly",
];

/// From then on it is seen whether a line ever matches: any year will do.
const SOME_YEAR: i64 = 1_735_689_600;

/// What is wrong with a line, and with which part of it (in bytes; all of it, if empty).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadLine {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// Where.
    pub at: std::ops::Range<usize>,
}

impl Line {
    /// Understands a line of five fields, or a word such as `@daily`.
    ///
    /// # Errors
    /// It is none, or can never match.
    pub fn parse(text: &str, zone: Zone) -> Result<Self, BadLine> {
        let bad = |message: String, hint: &str, at| BadLine {
            message,
            hint: hint.into(),
            at,
        };
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let fields = fields(text);
        if text.trim_start().starts_with('@') {
            let word = text.trim().to_ascii_lowercase();
            if !WORDS.contains(&word.as_str()) {
                let hint = format!("the words are {}", WORDS.join(", "));
                return Err(bad(
                    format!("`{}` is no word of cron", text.trim()),
                    &hint,
                    0..0,
                ));
            }
        } else if fields.len() != FIELDS.len() {
            let fault = format!("a line of cron has 5 fields, not {}", fields.len());
            let hint = "minute, hour, day of the month, month, day of the week: `30 4 * * *` is \
                        every day at 04:30";
            return Err(bad(fault, hint, 0..0));
        } else {
            for (nth, (at, (name, takes))) in fields.into_iter().zip(FIELDS).enumerate() {
                let field = text.get(at.clone()).unwrap_or_default();
                // The field alone, among others that are right.
                let mut alone = ["*"; 5];
                if let Some(place) = alone.get_mut(nth) {
                    *place = field;
                }
                let is_odd = !field.is_ascii() || field.split(',').any(str::is_empty);
                if is_odd || parser.parse(&alone.join(" ")).is_err() {
                    let fault = format!("`{field}` is not {name}");
                    let hint =
                        format!("it takes {takes}, `*`, lists `1,2`, ranges `1-5`, steps `*/5`");
                    return Err(bad(fault, &hint, at));
                }
            }
        }
        let cron = parser.parse(text);
        let cron = cron.map_err(|why| bad(format!("not a line of cron: {why}"), "", 0..0))?;
        let line = Self {
            text: text.to_owned(),
            zone,
            cron,
        };
        if line.next(SOME_YEAR).is_none() {
            let hint = "no month that it names has such a day";
            return Err(bad("this never comes".into(), hint, 0..0));
        }
        Ok(line)
    }

    /// The first moment after this one, in seconds since 1970 UTC.
    fn next(&self, after: i64) -> Option<i64> {
        let from = Local {
            unix: after,
            zone: &self.zone,
        };
        let next = self.cron.find_next_occurrence(&from, false).ok()?;
        Some(next.unix)
    }
}

/// Where the fields of a line stand.
fn fields(text: &str) -> Vec<std::ops::Range<usize>> {
    let start = text.as_ptr() as usize;
    let place = |word: &str| {
        let at = word.as_ptr() as usize - start;
        at..at + word.len()
    };
    text.split_whitespace().map(place).collect()
}

impl Schedule {
    /// What the clocks of its zone show so long after 1970 UTC; of a period, those of UTC.
    pub fn show(&self, wall: Duration) -> String {
        let unix = i64::try_from(wall.as_secs()).unwrap_or(i64::MAX);
        match &self.times {
            Times::Cron(line) => line.zone.show(unix),
            Times::Every(_) => Zone::utc().show(unix),
        }
    }

    /// What its moments are told by.
    pub(super) fn clock(&self, now: Moment, wall: Duration) -> Duration {
        match self.times {
            Times::Cron(_) => wall,
            Times::Every(_) => now.since_origin(),
        }
    }

    /// A moment of its clock on the monotonic one.
    pub(super) fn moment(&self, at: Duration, now: Moment, wall: Duration) -> Moment {
        now + at.saturating_sub(self.clock(now, wall))
    }

    /// Its first moment after this one. `kept` is one of them.
    pub(super) fn after(&self, kept: Duration, clock: Duration) -> Option<Duration> {
        match &self.times {
            Times::Cron(line) => {
                let next = line.next(i64::try_from(clock.as_secs()).ok()?)?;
                Some(Duration::from_secs(u64::try_from(next).ok()?))
            }
            Times::Every(every) => {
                let whole = clock.saturating_sub(kept).as_nanos() / every.as_nanos().max(1);
                let steps = u32::try_from(whole).ok()?.checked_add(1)?;
                Some(kept + every.checked_mul(steps)?)
            }
        }
    }
}
