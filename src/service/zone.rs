//! A time zone of the system's database, and a moment on the clocks of its people.

use std::cmp::Ordering;
use std::rc::Rc;

use croner::errors::CronError;
use croner::time::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
use tz::{TimeZone, UtcDateTime};

/// The longest name of a zone; the longest there is has 32 bytes.
const NAME_MAX: usize = 64;

/// A day, in seconds: no zone is further from another of its own clocks.
const DAY: i64 = 86_400;

/// A time zone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Zone {
    /// Its name, such as `Europe/Vienna`.
    pub name: String,
    rules: Rc<TimeZone>,
}

impl Zone {
    /// The one that needs no database.
    pub fn utc() -> Self {
        Self {
            name: "UTC".into(),
            rules: Rc::new(TimeZone::utc()),
        }
    }

    /// The zone of this name. `read` gives its file of the zoneinfo database (tzfile(5)), or says
    /// why there is none.
    ///
    /// # Errors
    /// There is no such zone here.
    pub fn find(
        name: &str,
        read: &dyn Fn(&str) -> Result<Vec<u8>, String>,
    ) -> Result<Self, String> {
        if matches!(name, "UTC" | "Etc/UTC") {
            return Ok(Self::utc());
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_+-/".contains(c);
        let is_name = !name.is_empty() && name.len() <= NAME_MAX && name.chars().all(is_plain);
        if !is_name || name.starts_with('/') {
            return Err(format!("`{name}` is not the name of a time zone"));
        }
        let file = read(name)?;
        let rules = TimeZone::from_tz_data(&file)
            .map_err(|why| format!("cannot use the file of the time zone `{name}`: {why}"))?;
        Ok(Self {
            name: name.to_owned(),
            rules: Rc::new(rules),
        })
    }

    /// What its clocks show then: `2026-11-25 12:10 CET`, with seconds if there are any.
    pub fn show(&self, unix: i64) -> String {
        let Ok(local) = self.rules.find_local_time_type(unix) else {
            return String::new();
        };
        let here = Local { unix, zone: self };
        let Some(clock) = here.utc_of_clock() else {
            return String::new();
        };
        let (year, month, day) = (clock.year(), clock.month(), clock.month_day());
        let (hour, minute) = (clock.hour(), clock.minute());
        let seconds = match clock.second() {
            0 => String::new(),
            second => format!(":{second:02}"),
        };
        let zone = match local.time_zone_designation() {
            "" => &self.name,
            zone => zone,
        };
        format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}{seconds} {zone}")
    }

    /// Seconds east of UTC at this moment.
    fn offset(&self, unix: i64) -> i64 {
        let local = self.rules.find_local_time_type(unix);
        local.map_or(0, |local| local.ut_offset().into())
    }
}

/// A moment as people in a zone see it.
#[derive(Clone, Debug)]
pub(super) struct Local<'a> {
    /// Seconds since 1970 UTC.
    pub(super) unix: i64,
    pub(super) zone: &'a Zone,
}

impl Local<'_> {
    fn utc_of_clock(&self) -> Option<UtcDateTime> {
        UtcDateTime::from_timespec(self.unix + self.zone.offset(self.unix), 0).ok()
    }

    fn at(&self, unix: i64) -> Self {
        Self {
            unix,
            zone: self.zone,
        }
    }
}

impl CronDateTime for Local<'_> {
    fn to_civil(&self) -> CivilDateTime {
        // Of a moment that no calendar has: the beginning of ours.
        let (date, time) = self.utc_of_clock().map_or(
            (
                CivilDate::from_parts_unchecked(1970, 1, 1),
                CivilTime::MIDNIGHT,
            ),
            |clock| {
                let (month, day) = (clock.month().into(), clock.month_day().into());
                let (hour, minute) = (clock.hour().into(), clock.minute().into());
                (
                    CivilDate::from_parts_unchecked(clock.year(), month, day),
                    CivilTime::from_parts_unchecked(hour, minute, clock.second().into()),
                )
            },
        );
        CivilDateTime::new(date, time)
    }

    fn civil_weekday(&self) -> Weekday {
        let day = self.utc_of_clock().map_or(4, |clock| clock.week_day());
        Weekday::from_days_from_sunday(day.into())
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let small = |number: u32| u8::try_from(number).unwrap_or(u8::MAX);
        let clock = UtcDateTime::new(
            civil.year(),
            small(civil.month()),
            small(civil.day()),
            small(civil.hour()),
            small(civil.minute()),
            small(civil.second()),
            0,
        );
        let clock = clock.map_err(|_| CronError::InvalidDate)?.unix_time();
        // The clock shows it where the offset that would make it so is the one in force then.
        let mut found: Vec<i64> = [clock - DAY, clock, clock + DAY]
            .into_iter()
            .map(|near| clock - self.zone.offset(near))
            .filter(|unix| unix + self.zone.offset(*unix) == clock)
            .collect();
        found.sort_unstable();
        found.dedup();
        Ok(match *found {
            [] => Resolution::Gap,
            [once] => Resolution::Single(self.at(once)),
            [first, .., last] => Resolution::Ambiguous(self.at(first), self.at(last)),
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        Some(self.at(self.unix.checked_add(seconds)?))
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.unix.cmp(&other.unix)
    }
}
