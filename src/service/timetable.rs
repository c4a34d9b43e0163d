//! The next run of a service by its schedule, between one run and the next. Pure: the clocks' time
//! is an argument.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::service::schedule::{Overlap, Schedule};
use crate::values::Moment;

/// The next run of a service by its schedule, between one run and the next.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Timetable {
    /// Whose moments these are: those of an older definition are none.
    of: Option<Schedule>,
    /// The moment of the schedule that is waited for, or was last kept or skipped.
    aim: Option<Aim>,
    /// What came before this is forgotten: it was off its schedule, or that has been told.
    from: Duration,
}

/// A moment of a schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Aim {
    /// By the schedule: since 1970 UTC, or since the origin of the monotonic clock.
    moment: Duration,
    /// With the part that is left to chance.
    run: Duration,
    /// It is yet to come.
    waits: bool,
}

impl Timetable {
    /// When the next run is due, after the boot or a run that has just ended; `None`: never again,
    /// which no line that was accepted comes to.
    pub fn plan(
        &mut self,
        schedule: &Schedule,
        name: &str,
        now: Moment,
        wall: Duration,
    ) -> Option<Moment> {
        self.keep_to(schedule);
        let clock = schedule.clock(now, wall);
        let missed = self.next(schedule).filter(|next| next.run <= clock);
        let queued = missed.filter(|_| schedule.overlap == Overlap::Queue);
        if let Some(aim) = queued {
            // Now, and for all that have come until now.
            self.from = clock;
            self.aim = Some(Aim {
                waits: false,
                ..aim
            });
            return Some(now);
        }
        // After a run by hand it may be yet to come.
        let stands = self.aim.filter(|aim| aim.waits && aim.run > clock);
        let aim = match stands {
            Some(aim) => sooner(schedule, aim, (name, now), clock),
            None => {
                let kept = self.aim.map_or(clock, |aim| aim.moment);
                aim(schedule, (name, now), kept, clock)?
            }
        };
        self.aim = Some(aim);
        Some(schedule.moment(aim.run, now, wall))
    }

    /// When it is due, now that the clock has come there, or was set.
    pub fn look(
        &mut self,
        schedule: &Schedule,
        name: &str,
        now: Moment,
        wall: Duration,
    ) -> Option<Moment> {
        let clock = schedule.clock(now, wall);
        let Some(aim) = self.aim.as_mut().filter(|aim| aim.waits) else {
            return self.plan(schedule, name, now, wall);
        };
        if aim.run <= clock {
            aim.waits = false;
            return Some(now);
        }
        *aim = sooner(schedule, *aim, (name, now), clock);
        Some(schedule.moment(aim.run, now, wall))
    }

    /// A run begins by hand, after a time off its schedule: what came in that time was not missed.
    pub fn resume(&mut self, schedule: &Schedule, now: Moment, wall: Duration) {
        self.from = schedule.clock(now, wall);
    }

    /// Whether a moment has come, and passes, while a run goes on; and when the next one will.
    /// Nothing passes that queues. Several at once (the clock was set) pass as one.
    pub fn pass(
        &mut self,
        schedule: &Schedule,
        now: Moment,
        wall: Duration,
    ) -> (bool, Option<Moment>) {
        if schedule.overlap == Overlap::Queue {
            return (false, None);
        }
        self.keep_to(schedule);
        let clock = schedule.clock(now, wall);
        let passed = self.next(schedule).filter(|next| next.run <= clock);
        if let Some(aim) = passed {
            self.from = clock;
            self.aim = Some(Aim {
                waits: false,
                ..aim
            });
        }
        let next = self.next(schedule);
        let next = next.map(|aim| schedule.moment(aim.run, now, wall));
        (passed.is_some(), next)
    }

    /// The next run, were none under way: it may have been due already.
    fn next(&self, schedule: &Schedule) -> Option<Aim> {
        let aim = self.aim?;
        if aim.waits && aim.run >= self.from {
            return Some(aim);
        }
        let moment = schedule.after(aim.moment, aim.moment.max(self.from))?;
        Some(Aim {
            moment,
            run: moment,
            waits: true,
        })
    }

    fn keep_to(&mut self, schedule: &Schedule) {
        if self.of.as_ref() != Some(schedule) {
            *self = Self {
                of: Some(schedule.clone()),
                ..Self::default()
            };
        }
    }
}

/// Its first moment after this one, and when it runs by that. `kept` is one of its moments.
fn aim(
    schedule: &Schedule,
    chance: (&str, Moment),
    kept: Duration,
    clock: Duration,
) -> Option<Aim> {
    let moment = schedule.after(kept, clock)?;
    // Chance need not be secret, only different, and a simulation can replay it.
    let mut hasher = DefaultHasher::new();
    (chance, moment).hash(&mut hasher);
    let spread = u64::try_from(schedule.spread.as_millis()).unwrap_or(u64::MAX);
    let late = Duration::from_millis(hasher.finish() % spread.saturating_add(1));
    Some(Aim {
        moment,
        run: moment + late,
        waits: true,
    })
}

/// With the clock set back, it may have to come sooner than was thought.
fn sooner(schedule: &Schedule, thought: Aim, chance: (&str, Moment), clock: Duration) -> Aim {
    aim(schedule, chance, thought.moment, clock)
        .filter(|sooner| sooner.moment < thought.moment)
        .unwrap_or(thought)
}
