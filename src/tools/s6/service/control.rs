//! `s6-svc`, `s6-svscanctl`: letters to a supervisor's control.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;

use crate::tools::s6::call::{Bytes, Call, Done, Outcome, Stop, USAGE, Why, number, path, shown};
use crate::tools::s6::tell;
use crate::values::Signal;

use super::wait::{Goal, Together, Watch};

/// More letters in one call than this are a slip.
const LETTERS_MAX: usize = 62;
/// s6's exit code for a service that nobody supervises (from 2.14 on; 100 before).
pub(super) const UNSUPERVISED: u8 = 102;
const LINE: &str = "s6-svc [ -wu | -wU | -wd | -wD | -wr | -wR ] [ -T timeout ] [ -s signal | \
    -abqhkti12pcy ] [ -rloduDUxOQPCK ] servicedir";

/// The letters of signals.
const SIGNALS: [(i32, char); 12] = [
    (libc::SIGALRM, 'a'),
    (libc::SIGABRT, 'b'),
    (libc::SIGQUIT, 'q'),
    (libc::SIGHUP, 'h'),
    (libc::SIGKILL, 'k'),
    (libc::SIGTERM, 't'),
    (libc::SIGINT, 'i'),
    (libc::SIGUSR1, '1'),
    (libc::SIGUSR2, '2'),
    (libc::SIGSTOP, 'p'),
    (libc::SIGCONT, 'c'),
    (libc::SIGWINCH, 'y'),
];

/// `s6-svc [-wuUdDrR] [-T MS] [-s SIGNAL] [LETTERS] DIR`: gives orders, and may wait for what
/// comes.
pub(crate) fn svc(mut call: Call) -> Outcome {
    let usage = || Stop::usage(LINE);
    let (mut letters, mut goal, mut timeout) = (Bytes::new(), None, 0_u32);
    let options = call
        .options("s:abqhkti12pcyrloduDUxOQPCKT:w:")
        .map_err(|_| usage())?;
    for (option, value) in options {
        let letter = match option {
            'T' => {
                timeout = number(&value).ok_or_else(usage)?;
                continue;
            }
            'w' => {
                let told = value.first().copied().map(char::from);
                goal = Some(told.and_then(Goal::of).ok_or_else(usage)?);
                continue;
            }
            's' => signal(&shown(&value))?,
            letter => letter,
        };
        if letters.len() >= LETTERS_MAX {
            return Err(Stop::fatal(USAGE, "too many commands"));
        }
        letters.extend(letter.to_string().bytes());
    }
    let dir = call.shift().ok_or_else(usage)?;
    if !call.args.is_empty() {
        tell(b"s6-svc", "warning: ignoring extra arguments");
    }
    if dir.is_empty() {
        return Err(Stop::fatal(USAGE, "invalid service path"));
    }
    let Some(goal) = goal.map(|goal| goal.within_reach(&dir, "s6-svc")) else {
        return write(&dir, "supervise", &letters, UNSUPERVISED).map(|()| Done::Exit(0));
    };
    let mut watch = Watch::new(std::slice::from_ref(&dir))?;
    if !letters.is_empty() {
        write(&dir, "supervise", &letters, UNSUPERVISED)?;
    }
    watch.until(goal, Together::All, timeout).map(Done::Exit)
}

fn signal(text: &str) -> Result<char, Stop> {
    let signal: Signal = text
        .parse()
        .map_err(|_| Stop::fatal(USAGE, format!("invalid signal: {text}")))?;
    let found = SIGNALS.iter().find(|(number, _)| *number == signal.raw());
    found.map(|(_, letter)| *letter).ok_or_else(|| {
        Stop::fatal(
            USAGE,
            format!("{text} is not in the list of user-available signals"),
        )
    })
}

/// Writes letters to the control of `dir`, which lies in its directory `below`; `nobody` is the
/// exit code where no supervisor listens.
fn write(dir: &[u8], below: &str, letters: &[u8], nobody: u8) -> Result<(), Stop> {
    let opened = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path(dir).join(below).join("control"));
    let sent = opened.and_then(|mut control| control.write_all(letters));
    let deed = format!("control {}", shown(dir));
    match sent.map_err(|error| Why::from(error).0) {
        Ok(()) => Ok(()),
        Err(Errno::ENOENT) if !path(dir).is_dir() => Err(Stop::unable(deed, Errno::ENOENT)),
        Err(Errno::ENXIO | Errno::ENOENT) => {
            let text = format!("unable to {deed}: supervisor not listening");
            Err(Stop::fatal(nobody, text))
        }
        Err(errno) => Err(Stop::unable(deed, errno)),
    }
}

/// `s6-svscanctl [-zabhitqnN] DIR`: orders to the supervisor of a directory of services.
pub(crate) fn svscanctl(mut call: Call) -> Outcome {
    let usage = || Stop::usage("s6-svscanctl [ -zabhitqnN ] svscandir");
    let options = call.options("zabhitqnN").map_err(|_| usage())?;
    let letters: String = options.iter().map(|(letter, _)| *letter).collect();
    if letters.len() > LETTERS_MAX {
        return Err(Stop::fatal(USAGE, "too many commands"));
    }
    let dir = call.shift().ok_or_else(usage)?;
    write(&dir, ".s6-svscan", letters.as_bytes(), USAGE).map(|()| Done::Exit(0))
}
