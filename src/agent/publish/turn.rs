//! When a template's turn comes: changes settle first, what cannot wait does not, what failed for a
//! passing reason is tried again. A turn has two steps: the servers, in milliseconds, and the
//! file, which takes its time and never holds up the servers of a newer change. Pure: time
//! is an argument.

use std::time::Duration;

use crate::values::Moment;

/// Changes that follow each other without a pause do not put off a rendering for longer.
const SETTLE_MAX: Duration = Duration::from_millis(200);
/// Servers that could not be deleted yet, a haproxy that does not run yet: looked at again.
const AGAIN_FIRST: Duration = Duration::from_millis(100);
/// At last only so often.
const AGAIN_MAX: Duration = Duration::from_secs(2);

/// How much a change can wait.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Urgency {
    /// For others that may follow: somebody came.
    Settles,
    /// Not at all: somebody is about to leave, or is gone, and must get no more work.
    Now,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Render, and tell a running haproxy of its servers.
    Servers,
    /// Check the newest text and put it in the file's place.
    File(Reach),
}

/// How far the step of the file goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// To the file: its reader knows already, or does not run.
    Write,
    /// To its reader, who takes the file. Until it has, the servers wait: they would be lost.
    Take,
}

/// The clockwork of one template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Turn {
    settle: Duration,
    /// The first change that waits, and when it will have settled.
    waiting: Option<(Moment, Moment)>,
    /// When something is to be done again.
    again: Option<Moment>,
    /// How long we have waited for that; zero: nothing was left the last time.
    waited: Duration,
    /// The step of the servers is under way.
    is_serving: bool,
    /// The step of the file that is under way.
    writing: Option<Reach>,
    /// The one that the newest text needs.
    wanted: Option<Reach>,
    /// What changed last is not in effect yet.
    is_owing: bool,
}

impl Turn {
    /// A template whose changes settle for so long; it has not been rendered, which is a change.
    pub fn new(settle: Duration, now: Moment) -> Self {
        Self {
            settle: settle.min(SETTLE_MAX),
            waiting: Some((now, now)),
            again: None,
            waited: Duration::ZERO,
            is_serving: false,
            writing: None,
            wanted: None,
            is_owing: true,
        }
    }

    /// Something has changed.
    pub fn changed(&mut self, urgency: Urgency, now: Moment) {
        let first = self.waiting.map_or(now, |(first, _)| first);
        let due = match urgency {
            Urgency::Now => now,
            Urgency::Settles => (now + self.settle).min(first + SETTLE_MAX),
        };
        // What cannot wait is not put off by what follows it.
        let due = self
            .waiting
            .filter(|(_, due)| *due <= now)
            .map_or(due, |(_, due)| due);
        self.waiting = Some((first, due));
        self.is_owing = true;
    }

    /// When the next step comes that waits for time alone; `None`: not before something changes or
    /// the step that is under way ends.
    pub fn due(&self) -> Option<Moment> {
        if self.is_serving || self.writing == Some(Reach::Take) {
            return None;
        }
        let settled = self.waiting.map(|(_, due)| due);
        settled.into_iter().chain(self.again).min()
    }

    /// The step that has come, which has then begun: what changes from now on is the next one's.
    /// To be asked until there is none.
    pub fn begins(&mut self, now: Moment) -> Option<Step> {
        // The file first, or changes without a pause would keep it from ever being written.
        if !self.is_serving
            && self.writing.is_none()
            && let Some(reach) = self.wanted.take()
        {
            self.writing = Some(reach);
            return Some(Step::File(reach));
        }
        if self.due().is_none_or(|due| due > now) {
            return None;
        }
        (self.waiting, self.again) = (None, None);
        self.is_serving = true;
        Some(Step::Servers)
    }

    /// The servers' step has ended. The newest text needs this of the file, `None`: it has it; and
    /// something may be left that time may bring.
    pub fn served(&mut self, wanted: Option<Reach>, is_left: bool, now: Moment) {
        self.is_serving = false;
        // A file that is being written has an older text.
        let follows = self.writing.map(|_| Reach::Write);
        self.wanted = wanted.or(follows);
        self.is_owing = wanted == Some(Reach::Take) || self.waiting.is_some();
        if is_left || self.wanted.is_none() {
            self.rest(is_left, now);
        }
    }

    /// The file's step has ended, and its text is in effect or was refused, unless it was put off.
    pub fn filed(&mut self, is_left: bool, now: Moment) {
        let reach = self.writing.take();
        if reach == Some(Reach::Take) {
            self.is_owing = is_left || self.waiting.is_some();
        }
        if is_left || self.again.is_none() {
            self.rest(is_left, now);
        }
    }

    /// Nothing is to be done: what is there is good enough.
    pub fn skip(&mut self) {
        (self.waiting, self.again, self.is_owing) = (None, None, false);
    }

    /// Whether all that has changed is in effect, or was refused. The file may still follow.
    pub fn is_in_effect(&self) -> bool {
        !self.is_owing
    }

    /// Whether no step is under way or wanted.
    pub fn is_over(&self) -> bool {
        !self.is_serving && self.writing.is_none() && self.wanted.is_none()
    }

    fn rest(&mut self, is_left: bool, now: Moment) {
        self.waited = if is_left {
            (self.waited * 2).clamp(AGAIN_FIRST, AGAIN_MAX)
        } else {
            Duration::ZERO
        };
        self.again = is_left.then(|| now + self.waited);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::at(Duration::from_millis(ms))
    }

    const SERVERS: Option<Step> = Some(Step::Servers);
    const WRITE: Option<Step> = Some(Step::File(Reach::Write));
    const TAKE: Option<Step> = Some(Step::File(Reach::Take));

    /// A turn that has had its first rendering.
    fn turn() -> Turn {
        let mut turn = Turn::new(Duration::from_millis(20), at(0));
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
        assert!(!Turn::new(Duration::ZERO, at(0)).is_in_effect());
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
        let mut turn = turn();
        let mut count = 0;
        for ms in 1000..2000 {
            if ms < 1200 && ms % 2 == 0 {
                turn.changed(Urgency::Settles, at(ms));
            }
            count += u32::from(renders(&mut turn, at(ms)));
        }
        assert!(count <= 2, "{count}");
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
}
