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
    /// Its changes are cheap: the first one after a silence does not wait for others.
    is_cheap: bool,
    /// When something has changed last.
    changed_at: Option<Moment>,
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
    /// Where its changes are cheap, one that comes alone does not wait.
    pub fn new(settle: Duration, is_cheap: bool, now: Moment) -> Self {
        Self {
            settle: settle.min(SETTLE_MAX),
            is_cheap,
            changed_at: None,
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
        let was_silent = self.changed_at.is_none_or(|at| now.since(at) >= SETTLE_MAX);
        self.changed_at = Some(now);
        let due = match urgency {
            Urgency::Now => now,
            Urgency::Settles if self.is_cheap && was_silent => now,
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
