//! `s6-svwait`, and the waiting of `s6-svc -w`.

use std::fs;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::os::clock;
use crate::tools::s6::call::{Bytes, Call, Done, Outcome, Stop, Why, number, path, shown};
use crate::tools::s6::tell;
use crate::values::Moment;

use super::control::UNSUPERVISED;
use super::listen::Listener;
use super::status::Status;

/// The exit code for a time that is up.
const TIMED_OUT: u8 = 99;

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Goal {
    /// Down first.
    restart: bool,
    up: bool,
    /// Ready, or, down, with `finish` over.
    ready: bool,
}

impl Goal {
    /// The goal of a letter: `u` up, `U` ready, `d` down, `D` down and over, `r` and `R` up again.
    pub(super) fn of(letter: char) -> Option<Self> {
        let goal = |restart, up, ready| Some(Self { restart, up, ready });
        match letter {
            'u' => goal(false, true, false),
            'U' => goal(false, true, true),
            'd' => goal(false, false, false),
            'D' => goal(false, false, true),
            'r' => goal(true, true, false),
            'R' => goal(true, true, true),
            _ => None,
        }
    }

    /// A service that does not tell when it is ready will never be: then up is enough, as `s6-svc`
    /// has it.
    pub(super) fn within_reach(self, dir: &[u8], name: &str) -> Self {
        let file = path(dir).join("notification-fd");
        if !(self.up && self.ready) || fs::symlink_metadata(&file).is_ok() {
            return self;
        }
        let text = "not present - ignoring request for readiness notification";
        tell(
            name.as_bytes(),
            &format!("warning: {} {text}", file.display()),
        );
        Self {
            ready: false,
            ..self
        }
    }

    fn is_met(self, service: &Service) -> bool {
        service.up == self.up && (!self.ready || service.ready)
    }
}

/// Whether one service is enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Together {
    /// All at the same time.
    All,
    /// One of them.
    Any,
}

struct Service {
    listener: Listener,
    up: bool,
    ready: bool,
    gone: Option<Gone>,
}

/// Why no event of a service can meet the goal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Gone {
    /// It has given up for good while it was to come up.
    Failed,
    /// Its supervisor has ended.
    Left,
}

impl Service {
    fn hear(&mut self, letter: u8, goal: Goal) {
        match letter {
            b'O' if goal.up => self.gone = Some(Gone::Failed),
            b'd' | b'D' | b'u' | b'U' => {
                self.up = matches!(letter, b'u' | b'U');
                self.ready = letter.is_ascii_uppercase();
            }
            b'x' => self.gone = Some(Gone::Left),
            _ => {}
        }
    }
}

/// Services whose events are heard from its making on.
pub(super) struct Watch(Vec<Service>);

impl Watch {
    /// Listens first and looks then, so that nothing is missed in between.
    pub(super) fn new(dirs: &[Bytes]) -> Result<Self, Stop> {
        let one = |dir: &Bytes| {
            let place = path(dir);
            let listener = Listener::new(&place.join("event")).map_err(|why| {
                Stop::unable(format!("subscribe to events for {}", shown(dir)), why)
            })?;
            let status = Status::read(place)
                .map_err(|why| Stop::unable(format!("read status for {}", shown(dir)), why))?;
            Ok(Service {
                listener,
                up: status.is_up(),
                ready: status.is_ready(),
                gone: None,
            })
        };
        dirs.iter().map(one).collect::<Result<_, Stop>>().map(Self)
    }

    /// Waits until the goal is met, so many milliseconds at most (0: for ever); gives how many
    /// services have failed for good, as an exit code.
    pub(super) fn until(&mut self, goal: Goal, together: Together, ms: u32) -> Result<u8, Stop> {
        let from = clock::now();
        let limit = (ms > 0).then(|| Duration::from_millis(ms.into()));
        if goal.restart {
            let down = Goal {
                restart: false,
                up: false,
                ready: true,
            };
            self.reach(down, together, from, limit)?;
        }
        self.reach(goal, together, from, limit)?;
        let failed = self
            .0
            .iter()
            .filter(|service| service.gone == Some(Gone::Failed))
            .count();
        if failed > 0 {
            let code = u8::try_from(failed).unwrap_or(u8::MAX);
            return Err(Stop::fatal(
                code,
                "some services reported permanent failure",
            ));
        }
        Ok(0)
    }

    fn reach(
        &mut self,
        goal: Goal,
        together: Together,
        from: Moment,
        limit: Option<Duration>,
    ) -> Result<(), Stop> {
        loop {
            if self.is_met(goal, together) {
                return Ok(());
            }
            if self
                .0
                .iter()
                .any(|service| service.gone == Some(Gone::Left))
            {
                return Err(Stop::fatal(UNSUPERVISED, "supervisor died"));
            }
            let left = limit.map(|limit| limit.saturating_sub(clock::now().since(from)));
            if left == Some(Duration::ZERO) {
                return Err(Stop::fatal(TIMED_OUT, "timed out"));
            }
            self.pause(left)
                .map_err(|errno| Stop::unable("poll", errno))?;
            for service in &mut self.0 {
                for letter in service.listener.letters() {
                    service.hear(letter, goal);
                    // What is reached and left again at once was reached.
                    if goal.is_met(service) && together == Together::Any {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn is_met(&self, goal: Goal, together: Together) -> bool {
        let mut met = self
            .0
            .iter()
            .map(|service| service.gone == Some(Gone::Failed) || goal.is_met(service));
        match together {
            Together::All => met.all(|met| met),
            Together::Any => met.any(|met| met),
        }
    }

    fn pause(&self, left: Option<Duration>) -> Result<(), Why> {
        let fds = self
            .0
            .iter()
            .map(|service| PollFd::new(service.listener.fd(), PollFlags::POLLIN));
        let mut fds: Vec<PollFd<'_>> = fds.collect();
        // Rounded up: a wait of 0 would spin until the time is up.
        let ms = left.map(|left| i32::try_from(left.as_millis() + 1).unwrap_or(i32::MAX));
        let timeout = ms.map_or(PollTimeout::NONE, |ms| {
            PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(Why(errno)),
        }
    }
}

/// `s6-svwait [-UudDrR] [-a | -o] [-t MS] DIR…`
pub(crate) fn svwait(mut call: Call) -> Outcome {
    let usage = || {
        Stop::usage(
            "s6-svwait [ -U | -u | -d | -D | -r | -R ] [ -a | -o ] [ -t timeout ] servicedir...",
        )
    };
    let mut goal = Goal::of('u');
    let (mut together, mut timeout) = (Together::All, 0);
    for (option, value) in call.options("UudDrRaot:").map_err(|_| usage())? {
        match option {
            'a' => together = Together::All,
            'o' => together = Together::Any,
            't' => timeout = number(&value).ok_or_else(usage)?,
            letter => goal = Goal::of(letter),
        }
    }
    if call.args.is_empty() {
        return Err(usage());
    }
    let goal = goal.ok_or_else(usage)?;
    let mut watch = Watch::new(&call.args)?;
    watch.until(goal, together, timeout).map(Done::Exit)
}
