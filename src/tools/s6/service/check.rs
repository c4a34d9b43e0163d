//! `s6-notifyoncheck`: becomes a service's program, and leaves a copy behind that tells when the
//! program is ready, by asking a check over and over.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::RawFd;
use std::path::Path;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::os::descriptors::{close, is_open, write_all};
use crate::os::inplace::{self, Side, fork, leave};
use crate::os::reaper::{reap_one, wait_one};
use crate::os::{clock, kill};
use crate::tools::s6::call::{
    Bytes, Call, Command, Environment, Outcome, Stop, TEMPORARY, USAGE, number, shown,
};
use crate::tools::s6::{spawn, tell};
use crate::values::{Exit, Moment, Pid, Signal};

use super::listen::Listener;
use super::status::is_supervised;

const LINE: &str = "s6-notifyoncheck [ -d ] [ -3 fd ] [ -s initialsleep ] [ -T globaltimeout ] \
    [ -t localtimeout ] [ -w waitingtime ] [ -n tries ] [ -c \"checkprog...\" ] prog...";
/// How often a check is looked at where the kernel has no pidfds (before Linux 5.3).
const LOOK: Duration = Duration::from_millis(50);
/// `notification-fd` is a number and a line end.
const FILE_BYTES_MAX: u64 = 64;

/// How it is checked. Times of zero are without end.
struct Plan {
    fd: RawFd,
    first: Duration,
    whole: Duration,
    each: Duration,
    between: Duration,
    tries: u32,
    command: Vec<Bytes>,
}

/// `s6-notifyoncheck [-d] [-3 FD] [-s MS] [-T MS] [-t MS] [-w MS] [-n TRIES] [-c LINE] PROG…`
pub(crate) fn notifyoncheck(mut call: Call) -> Outcome {
    let usage = || Stop::usage(LINE);
    let ms = |value: &[u8]| number::<u32>(value).map(|ms| Duration::from_millis(ms.into()));
    let mut plan = Plan {
        fd: -1,
        first: Duration::from_millis(10),
        whole: Duration::ZERO,
        each: Duration::ZERO,
        between: Duration::from_secs(1),
        tries: 7,
        command: vec![b"./data/check".to_vec()],
    };
    let mut apart = false;
    for (option, value) in call.options("d3:s:T:t:w:n:c:").map_err(|_| usage())? {
        match option {
            'd' => apart = true,
            '3' => plan.fd = number(&value).ok_or_else(usage)?,
            's' => plan.first = ms(&value).ok_or_else(usage)?,
            'T' => plan.whole = ms(&value).ok_or_else(usage)?,
            't' => plan.each = ms(&value).ok_or_else(usage)?,
            'w' => plan.between = ms(&value).ok_or_else(usage)?,
            'n' => plan.tries = number(&value).ok_or_else(usage)?,
            _ => plan.command = vec![b"execlineb".to_vec(), b"-Pc".to_vec(), value],
        }
    }
    if call.args.is_empty() {
        return Err(usage());
    }
    let supervised = is_supervised(Path::new("."));
    if !supervised.map_err(|why| Stop::unable("sanity-check current service directory", why))? {
        return Err(Stop::fatal(USAGE, "s6-supervise not running."));
    }
    if plan.fd < 0 {
        plan.fd = notification_fd()?;
    }
    is_open(plan.fd).map_err(|errno| Stop::unable("use the notification-fd", errno))?;
    start(&plan, apart, &call.env)?;
    close(plan.fd);
    Ok(call.go_on())
}

fn notification_fd() -> Result<RawFd, Stop> {
    let unable = |error: io::Error| Stop::unable("read ./notification-fd", error);
    let file = File::open("notification-fd").map_err(unable)?;
    let mut text = Bytes::new();
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(unable)?;
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    number(line).ok_or_else(|| Stop::fatal(USAGE, "invalid ./notification-fd"))
}

/// Leaves the copy behind, and waits until it listens: an end that came before would be missed.
fn start(plan: &Plan, apart: bool, env: &Environment) -> Result<(), Stop> {
    let unable = |error: io::Error| Stop::unable("start the copy that checks", error);
    let (mut heard, tell) = io::pipe().map_err(unable)?;
    match fork().map_err(unable)? {
        Side::Parent(pid) => {
            drop(tell);
            if apart {
                wait_one(pid).map_err(unable)?;
            }
            let synchronized = heard.read_exact(&mut [0]);
            synchronized.map_err(|_| Stop::fatal(TEMPORARY, "unable to synchronize with child"))
        }
        Side::Child => {
            drop(heard);
            // Whom the service's program does not know as its child, it need not bury.
            if apart && !matches!(fork(), Ok(Side::Child)) {
                leave(0)
            }
            leave(check(plan, env, tell))
        }
    }
}

/// The copy's whole life.
fn check(plan: &Plan, env: &Environment, mut synchronize: io::PipeWriter) -> u8 {
    let mut listener = match Listener::new(Path::new("event")) {
        Ok(listener) => listener,
        Err(why) => {
            let text = format!("fatal: unable to subscribe to event fifodir: {why}");
            tell(b"s6-notifyoncheck (child)", &text);
            return TEMPORARY;
        }
    };
    if synchronize.write_all(&[0]).is_err() {
        return 2;
    }
    drop(synchronize);
    let code = try_all(plan, env, &mut listener);
    drop(listener);
    code
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Woken {
    /// The time is up.
    Time,
    /// The service is down.
    Down,
    /// The check has ended.
    Checked(Exit),
}

fn try_all(plan: &Plan, env: &Environment, listener: &mut Listener) -> u8 {
    let end = (!plan.whole.is_zero()).then(|| deadline(plan.whole));
    let (mut pause, mut tries) = (plan.first, plan.tries);
    loop {
        if plan.tries > 0 {
            if tries == 0 {
                return 1;
            }
            tries -= 1;
        }
        // The first pause may be none; a later one of zero is without end, as all of these.
        let next = (!pause.is_zero() || pause == plan.first).then(|| deadline(pause));
        match sleep(listener, earlier(next, end), None) {
            Woken::Down => return 2,
            Woken::Time | Woken::Checked(_) if over(end) => return 3,
            Woken::Time | Woken::Checked(_) => {}
        }
        pause = plan.between;
        let command = Command::new(plan.command.clone(), env.clone());
        let pid = match spawn(command, env.get(b"PATH"), || Ok(())) {
            Ok(pid) => pid,
            Err(why) => {
                let program = plan
                    .command
                    .first()
                    .map(|word| shown(word))
                    .unwrap_or_default();
                let text = format!("warning: unable to spawn {program}: {why}");
                tell(b"s6-notifyoncheck (child)", &text);
                continue;
            }
        };
        let each = (!plan.each.is_zero()).then(|| deadline(plan.each));
        match sleep(listener, earlier(each, end), Some(pid)) {
            Woken::Checked(exit) if exit.is_success() => {
                // The supervisor may be gone; then nobody is told.
                let _ = write_all(plan.fd, b"\n");
                return 0;
            }
            Woken::Down => {
                let _ = kill::process(pid, Signal::TERM);
                return 2;
            }
            Woken::Time if over(end) => {
                let _ = kill::process(pid, Signal::TERM);
                return 3;
            }
            // A check that takes too long is left to itself, and another one is asked.
            Woken::Time | Woken::Checked(_) => {}
        }
    }
}

fn deadline(time: Duration) -> Moment {
    Moment::at(clock::now().since_origin().saturating_add(time))
}

fn earlier(one: Option<Moment>, other: Option<Moment>) -> Option<Moment> {
    one.into_iter().chain(other).min()
}

fn over(end: Option<Moment>) -> bool {
    end.is_some_and(|end| clock::now() >= end)
}

/// Waits for the service's end, the check's, or the moment.
fn sleep(listener: &mut Listener, until: Option<Moment>, check: Option<Pid>) -> Woken {
    let watched = check.and_then(inplace::watch);
    loop {
        if let Some(exit) = check.and_then(reap_one) {
            return Woken::Checked(exit);
        }
        let left = until.map(|until| until.since(clock::now()));
        if left == Some(Duration::ZERO) {
            return Woken::Time;
        }
        let look = (check.is_some() && watched.is_none()).then_some(LOOK);
        let wait = left.into_iter().chain(look).min();
        let ms = wait.map(|wait| i32::try_from(wait.as_millis() + 1).unwrap_or(i32::MAX));
        let timeout = ms
            .and_then(|ms| PollTimeout::try_from(ms).ok())
            .unwrap_or(PollTimeout::NONE);
        let fds = [
            Some(listener.fd()),
            watched.as_ref().map(std::os::fd::AsFd::as_fd),
        ];
        let mut fds: Vec<_> = fds
            .into_iter()
            .flatten()
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        // An error is an interruption: what is there is looked at all the same.
        let _ = poll(&mut fds, timeout);
        drop(fds);
        if listener.letters().contains(&b'd') {
            return Woken::Down;
        }
    }
}
