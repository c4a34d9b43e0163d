//! What s6 keeps of a service, made of what PID 1 tells of it: `supervise/status`, and the letters
//! for who listens in `event/`. Pure.

use std::time::Duration;

use crate::control::protocol::{ExitStatus, State};
use crate::tools::s6::service::status::{FINISHING, PAUSED, READY, Status, WANTED_UP};
use crate::values::Signal;

/// wait(2)'s bit of a core that was dumped.
const CORE: u16 = 0x80;

/// One thing that PID 1 has told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Told {
    /// What it is now.
    pub(super) state: State,
    /// The process now: the service's, or that of `finish`.
    pub(super) pid: Option<i32>,
    /// How the service's process ended, if that is what happened.
    pub(super) exit: Option<ExitStatus>,
    /// When, since 1970.
    pub(super) at: Duration,
}

impl Told {
    /// The service's own process.
    fn main(&self) -> Option<u64> {
        let pid = self.pid.and_then(|pid| u64::try_from(pid).ok())?;
        match self.state {
            State::Starting | State::Ready | State::Unready | State::Stopping => Some(pid),
            State::Down
            | State::Waiting
            | State::Finishing
            | State::WaitingToRestart
            | State::Scheduled
            | State::Finished
            | State::Failed => None,
        }
    }

    fn finish(&self) -> Option<u64> {
        let pid = self.pid.and_then(|pid| u64::try_from(pid).ok());
        pid.filter(|_| self.state == State::Finishing)
    }
}

/// A service that has never run.
pub(super) fn never(at: Duration) -> Status {
    Status {
        since: at,
        ready_since: at,
        pid: 0,
        group: 0,
        ended: 0,
        flags: READY,
    }
}

/// What becomes of the status, and the letters that tell it. `tells`: it says by itself when it is
/// ready.
pub(super) fn follow(status: &mut Status, told: &Told, tells: bool) -> &'static str {
    let death = died(status, told);
    let birth = told.main().filter(|main| *main != status.pid);
    if let Some(pid) = birth {
        status.pid = pid;
        status.group = pid;
        status.since = told.at;
        status.flags &= !(READY | PAUSED | FINISHING);
    }
    let is_ready = tells && told.state == State::Ready && !status.has(READY);
    if is_ready {
        status.flags |= READY;
        status.ready_since = told.at;
    }
    match (death, birth.is_some(), is_ready) {
        ("", false, false) => "",
        ("", false, true) => "U",
        ("", true, false) => "u",
        ("", true, true) => "uU",
        ("D", true, false) => "Du",
        ("D", true, true) => "DuU",
        ("dD", true, false) => "dDu",
        ("dD", true, true) => "dDuU",
        (death, _, _) => death,
    }
}

/// The end of what ran, if this tells of it.
fn died(status: &mut Status, told: &Told) -> &'static str {
    let was_up = status.is_up();
    let was_finishing = status.pid != 0 && status.has(FINISHING);
    if !was_up && !was_finishing || told.main() == Some(status.pid) {
        return "";
    }
    if was_finishing && told.finish() == Some(status.pid) {
        return "";
    }
    if was_up {
        status.since = told.at;
        status.ended = told.exit.as_ref().map_or(0, wait_status);
        status.flags &= !(READY | PAUSED);
    }
    if let Some(pid) = told.finish() {
        status.pid = pid;
        status.group = pid;
        status.flags |= FINISHING;
        return if was_up { "d" } else { "" };
    }
    status.pid = 0;
    status.group = 0;
    status.flags &= !FINISHING;
    status.flags |= READY;
    status.ready_since = told.at;
    // The only failure after a `finish` without a restart is its 125.
    let for_good = was_finishing && told.state == State::Failed;
    match (was_up, for_good) {
        (true, _) => "dD",
        (false, true) => "OD",
        (false, false) => "D",
    }
}

/// Whether it is to be up, in the flags; whether that is new.
pub(super) fn want(status: &mut Status, wanted: bool) -> bool {
    let before = status.flags;
    status.flags = if wanted {
        before | WANTED_UP
    } else {
        before & !WANTED_UP
    };
    status.flags != before
}

/// Whether it stands still, in the flags; whether that is new.
pub(super) fn pause(status: &mut Status, paused: bool) -> bool {
    let before = status.flags;
    status.flags = if paused && status.is_up() {
        before | PAUSED
    } else {
        before & !PAUSED
    };
    status.flags != before
}

/// As wait(2) has it.
fn wait_status(exit: &ExitStatus) -> u16 {
    match exit {
        ExitStatus::Code { code } => u16::from(*code) << 8,
        ExitStatus::Signal { signal, core } => {
            let number = signal.parse::<Signal>().map_or(0, Signal::raw);
            let core = if *core { CORE } else { 0 };
            u16::try_from(number & 0x7f).unwrap_or(0) | core
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(state: State, pid: Option<i32>, at: u64) -> Told {
        Told {
            state,
            pid,
            exit: None,
            at: Duration::from_secs(at),
        }
    }

    #[test]
    fn a_life_is_told_in_letters() {
        let mut status = never(Duration::ZERO);
        let exit = Some(ExitStatus::Code { code: 3 });
        let ended = |state, pid, at| Told {
            exit: exit.clone(),
            ..told(state, pid, at)
        };
        for (told, letters, sentence) in [
            (told(State::Waiting, None, 1), "", "0 ready"),
            (told(State::Starting, Some(7), 2), "u", "7"),
            (told(State::Ready, Some(7), 3), "U", "7 ready"),
            (told(State::Stopping, Some(7), 4), "", "7 ready"),
            (ended(State::Finishing, Some(8), 5), "d", "8 finishing"),
            (told(State::WaitingToRestart, None, 6), "D", "0 ready"),
            (told(State::Starting, Some(9), 7), "u", "9"),
            // Its restart was asked for: one turn, one event.
            (ended(State::Starting, Some(10), 8), "dDu", "10"),
            (ended(State::Down, None, 9), "dD", "0 ready"),
            (told(State::Starting, Some(11), 10), "u", "11"),
            (ended(State::Finishing, Some(12), 11), "d", "12 finishing"),
            (told(State::Failed, None, 12), "OD", "0 ready"),
        ] {
            assert_eq!(follow(&mut status, &told, true), letters, "{told:?}");
            let mut shown = status.pid.to_string();
            for (flag, word) in [(READY, " ready"), (FINISHING, " finishing")] {
                if status.has(flag) {
                    shown.push_str(word);
                }
            }
            assert_eq!(shown, sentence, "{told:?}");
        }
        assert_eq!(status.ended, 3 << 8);
        assert_eq!(status.since, Duration::from_secs(11));
    }

    #[test]
    fn who_does_not_tell_is_never_ready() {
        let mut status = never(Duration::ZERO);
        let up = told(State::Ready, Some(7), 1);
        assert_eq!(follow(&mut status, &up, false), "u");
        assert!(!status.has(READY));
        assert!(want(&mut status, true) && !want(&mut status, true));
        assert!(pause(&mut status, true) && status.has(PAUSED));
        let core = ExitStatus::Signal {
            signal: "SIGSEGV".into(),
            core: true,
        };
        assert_eq!(wait_status(&core), 0x8b);
    }
}
