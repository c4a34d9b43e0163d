//! What the fleet orders, done: one arm an order.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use tokio::task::spawn_local;

use crate::control::protocol::Phase;
use crate::logs::router::Router;
use crate::machine::slot::{Change, Input, Ix, Order};
use crate::machine::unit::{Action, Event};
use crate::os::probes::{self, Target};
use crate::os::spawner::Spawned;
use crate::os::{clock, kill, notification};
use crate::service::definition::{Format, Output, Probe, Reload, Service, StopBy};
use crate::supervisor::helpers::{Helper, Kind};
use crate::supervisor::launch::{self, Launcher, Streams};
use crate::supervisor::narrator::Narrator;
use crate::supervisor::{Answer, Supervisor, faults_of};
use crate::values::{Exit, Pid, Signal};

/// What is said of a service that is not there, which only a bug could ask for.
const GONE: &str = "there is no such service";

/// One dialled attempt may take this long; the service is asked again after that.
const PROBE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(3);

impl Supervisor {
    /// Performs what is ordered until nothing is, the answers and the dead included.
    pub(super) fn perform_all(&mut self) {
        loop {
            while let Some(order) = self.orders.pop_front() {
                self.perform(order);
            }
            if !self.reap || self.code.is_some() {
                return;
            }
            self.reap();
        }
    }

    fn perform(&mut self, order: Order) {
        match order {
            Order::Act(ix, Action::Spawn) => self.answer_spawn(ix, None),
            Order::Act(ix, Action::SpawnFinish(exit)) => self.answer_spawn(ix, Some(exit)),
            // A batch of the dead is taken in as a whole: whoever was to be asked may be in it,
            // and a pid without a process is nobody's, or soon somebody else's.
            Order::Act(ix, Action::Ask(pid) | Action::Kill(pid))
                if self.fleet.owner(pid) != Some(ix) => {}
            Order::Act(ix, Action::Ask(pid)) => self.ask(ix, pid),
            Order::Act(ix, Action::Kill(pid)) => self.kill(ix, pid),
            Order::Act(ix, Action::Probe) => self.probe(ix),
            Order::Changed(change) => self.changed(&change),
            Order::Ending => self.announce_ending(),
            Order::Strays(signal) => {
                kill::strays(signal);
                // Whether anybody is left at all is for the reaper to say.
                self.reap = true;
            }
            Order::Exit(code) => self.exit(code),
        }
    }

    fn answer_spawn(&mut self, ix: Ix, finish: Option<Exit>) {
        let spawned = match finish {
            None => self.spawn(ix),
            Some(exit) => self.spawn_finish(ix, exit),
        };
        let event = match spawned {
            Ok(pid) => Event::Spawned(pid),
            Err(text) => {
                self.complain(ix, text);
                Event::SpawnFailed
            }
        };
        self.take(Input::Unit(ix, event));
    }

    fn spawn(&mut self, ix: Ix) -> Result<Pid, String> {
        let slot = self.fleet.slot(ix).ok_or(GONE)?;
        let service = slot.service.clone();
        let around = self.launcher.surroundings(&service)?;
        let target = launch::target(&service, &around)?;
        let number = match service.ready.as_ref().map(|ready| &ready.probe) {
            Some(Probe::Fd(number)) => Some(*number),
            Some(Probe::Tcp(_) | Probe::Http(_) | Probe::Exec(_)) | None => None,
        };
        let pipe = number
            .map(|_| notification::pipe())
            .transpose()
            .map_err(|e| e.to_string())?;
        let owner = around.user.as_ref().map(|user| (user.uid, user.gid));
        let wiring = self.wiring(ix);
        let mut hold = None;
        let mut streams = wire(
            &mut self.router,
            &self.launcher,
            &service,
            wiring,
            owner,
            &mut hold,
        )
        .map_err(no_pipes)?;
        streams.notify = pipe.as_ref().map(|(_, theirs)| theirs.as_fd()).zip(number);
        let Spawned { pid, attempt } = self.launcher.main(&service, &around, streams)?;
        self.router.started(ix, pid);
        let ours = pipe.map(|(ours, _)| ours);
        if let Some(side) = self.sides.get_mut(ix) {
            side.target = target;
            side.start_fault = None;
            side.probe_fault = None;
        }
        if let Err(error) = self.starts.add(ix, attempt, ours) {
            // The process lives, but how its start goes cannot be seen: let its end come.
            to_process(pid, Signal::KILL);
            self.complain(ix, format!("cannot watch its start: {error}"));
        }
        Ok(pid)
    }

    fn spawn_finish(&mut self, ix: Ix, exit: Exit) -> Result<Pid, String> {
        let service = self.fleet.slot(ix).ok_or(GONE)?.service.clone();
        let around = self.launcher.surroundings(&service)?;
        let owner = around.user.as_ref().map(|user| (user.uid, user.gid));
        let wiring = self.wiring(ix);
        let mut hold = None;
        let streams = wire(
            &mut self.router,
            &self.launcher,
            &service,
            wiring,
            owner,
            &mut hold,
        )
        .map_err(no_pipes)?;
        Ok(self.launcher.finish(&service, &around, exit, streams)?.pid)
    }

    /// How a service's descriptors are to be connected.
    fn wiring(&self, ix: Ix) -> Wiring {
        let service = self.fleet.slot(ix).map(|slot| &slot.service);
        let logger = service
            .and_then(launch::logger)
            .and_then(|name| self.find(name.as_str()));
        Wiring {
            ix,
            logger,
            format: self.format_of(ix),
            keeps_stdin: self.cmd.is_none_or(|cmd| cmd == ix),
        }
    }

    fn format_of(&self, ix: Ix) -> Format {
        match self.fleet.slot(ix).map(|slot| &slot.service.output) {
            Some(Output::Container(Some(format))) => *format,
            Some(Output::Container(None) | Output::Logger(_)) | None => self.format,
        }
    }

    /// The number of the service of this name.
    pub(super) fn find(&self, name: &str) -> Option<Ix> {
        self.fleet
            .slots()
            .iter()
            .position(|slot| slot.service.name.as_str() == name)
    }

    fn ask(&mut self, ix: Ix, pid: Pid) {
        let Some(stop) = self.fleet.slot(ix).map(|slot| slot.service.stop.clone()) else {
            return;
        };
        match stop.by {
            StopBy::Signal(signal) => {
                let send = if stop.group { to_group } else { to_process };
                send(pid, signal);
                // A stopped process would not even notice (s6 and systemd do the same).
                send(pid, Signal::CONT);
            }
            StopBy::EndOfInput => self.router.close_logger_input(ix),
        }
    }

    fn kill(&mut self, ix: Ix, pid: Pid) {
        if let Some(slot) = self.fleet.slot(ix) {
            Self::tell([Narrator::killed(slot, clock::now())]);
        }
        // To the process too: one that hangs before its setsid has no group of its own yet.
        to_process(pid, Signal::KILL);
        to_group(pid, Signal::KILL);
    }

    fn probe(&mut self, ix: Ix) {
        let Some(slot) = self.fleet.slot(ix) else {
            return;
        };
        let starts = slot.starts;
        if let Some(Probe::Exec(command)) = slot.service.ready.as_ref().map(|ready| &ready.probe) {
            let streams = self.launcher.silent();
            match self.launcher.beside(&slot.service, command, streams) {
                Ok(Spawned { pid, .. }) => {
                    let helper = Helper {
                        ix,
                        kind: Kind::Probe { starts },
                    };
                    self.helpers.add(pid, helper, clock::now());
                }
                Err(text) => self.probed(ix, Err(text)),
            }
            return;
        }
        let Some(target) = self.sides.get(ix).and_then(|side| side.target.clone()) else {
            return;
        };
        let answers = self.answers.0.clone();
        spawn_local(dial(target, ix, starts, answers));
    }

    /// A command beside a service has ended.
    pub(super) fn helped(&mut self, helper: Helper, exit: Exit) {
        let Helper { ix, kind } = helper;
        match kind {
            Kind::Probe { starts } => {
                if self
                    .fleet
                    .slot(ix)
                    .is_some_and(|slot| slot.starts == starts)
                {
                    let failed = Err(format!("its probe: {exit}"));
                    self.probed(ix, if exit.is_success() { Ok(()) } else { failed });
                }
            }
            Kind::Reload => self.reloaded(ix, Some(exit)),
        }
    }

    /// Makes a service read its configuration again. The error is for people.
    pub(super) fn reload(&mut self, ix: Ix) -> Result<(), String> {
        let slot = self.fleet.slot(ix).ok_or(GONE)?;
        let name = &slot.service.name;
        let pid = slot
            .unit
            .state
            .main_pid()
            .ok_or_else(|| format!("`{name}` does not run"))?;
        match &slot.service.reload {
            None => Err(format!("`{name}` has no `[reload]`")),
            Some(Reload::Signal(signal)) => {
                to_process(pid, *signal);
                self.reloaded(ix, None);
                Ok(())
            }
            Some(Reload::Command(command)) => {
                let command = command.clone();
                let service = slot.service.clone();
                let wiring = self.wiring(ix);
                let mut hold = None;
                let streams = wire(
                    &mut self.router,
                    &self.launcher,
                    &service,
                    wiring,
                    None,
                    &mut hold,
                )
                .map_err(no_pipes)?;
                let spawned = self.launcher.beside(&service, &command, streams)?;
                let helper = Helper {
                    ix,
                    kind: Kind::Reload,
                };
                self.helpers.add(spawned.pid, helper, clock::now());
                Ok(())
            }
        }
    }

    fn changed(&mut self, change: &Change) {
        self.publish_change(change);
        let faults = faults_of(&self.sides, change.ix);
        let booting = self.narrator.is_booting();
        Self::tell(self.narrator.changed(change, &self.fleet, faults));
        if booting && !self.narrator.is_booting() && self.fleet.ending().is_none() {
            self.publish_phase(Phase::Boot, Phase::Running);
        }
    }

    fn announce_ending(&mut self) {
        let before = if self.narrator.is_booting() {
            Phase::Boot
        } else {
            Phase::Running
        };
        self.publish_phase(before, Phase::Stopping);
        if let Some(ending) = self.fleet.ending() {
            Self::tell(self.narrator.ending(ending, &self.fleet));
        }
    }

    fn exit(&mut self, code: u8) {
        if let Some(ending) = self.fleet.ending() {
            Self::tell([Narrator::done(ending, self.orphans, code)]);
        }
        self.code = Some(code);
    }
}

/// Dials once and brings the answer to the loop.
async fn dial(target: Target, ix: Ix, starts: u32, answers: tokio::sync::mpsc::Sender<Answer>) {
    let result = probes::ask(&target, PROBE_TIMEOUT).await;
    // Nobody listens any more only when PID 1 is about to exit.
    let _ = answers.send(Answer { ix, starts, result }).await;
}

/// A signal to a process that the machine says lives. It may have become a zombie since, which is
/// for the reaper to tell.
pub(super) fn to_process(pid: Pid, signal: Signal) {
    if let Err(error) = kill::process(pid, signal) {
        tracing::debug!("cannot send {signal} to {pid}: {error}");
    }
}

/// The same to its group, which is gone when its last process is.
pub(super) fn to_group(pid: Pid, signal: Signal) {
    if let Err(error) = kill::group(pid, signal) {
        tracing::debug!("cannot send {signal} to group {pid}: {error}");
    }
}

/// How a service's descriptors are to be connected.
#[derive(Clone, Copy)]
struct Wiring {
    ix: Ix,
    /// The logger that its stdout goes to.
    logger: Option<Ix>,
    format: Format,
    /// CMD's input is the container's own; where there is no CMD, that is `/dev/null`.
    keeps_stdin: bool,
}

/// Connects them. The pipes are made at the first start and are the same ever after, so that a
/// restart makes no new ones and loses nothing. `hold` keeps what the router cannot lend twice.
fn wire<'fd>(
    router: &'fd mut Router,
    launcher: &'fd Launcher,
    service: &Service,
    wiring: Wiring,
    owner: Option<(u32, u32)>,
    hold: &'fd mut Option<OwnedFd>,
) -> io::Result<Streams<'fd>> {
    let Wiring {
        ix,
        logger,
        format,
        keeps_stdin,
    } = wiring;
    let stdin = (!keeps_stdin).then(|| launcher.null.as_fd());
    let mut streams = Streams {
        stdin,
        ..Streams::default()
    };
    if let Some(to) = logger {
        let output = router.logger_pipe(to, owner)?.1.try_clone_to_owned()?;
        let output: &'fd OwnedFd = hold.insert(output);
        streams.stdout = Some(output.as_fd());
        streams.stderr = Some(router.stderr_pipe(ix, &service.name, format, owner)?);
        return Ok(streams);
    }
    if service.stop.by == StopBy::EndOfInput {
        let input = router.logger_pipe(ix, owner)?.0.try_clone_to_owned()?;
        let input: &'fd OwnedFd = hold.insert(input);
        streams.stdin = Some(input.as_fd());
    }
    if format != Format::Inherit {
        let (stdout, stderr) = router.pipes(ix, &service.name, format, owner)?;
        (streams.stdout, streams.stderr) = (Some(stdout), Some(stderr));
    }
    Ok(streams)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "so that it can be mapped over"
)]
fn no_pipes(error: io::Error) -> String {
    format!("cannot make its pipes: {error}")
}
