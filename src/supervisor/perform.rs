//! What the fleet orders, done: one arm an order.

use std::os::fd::AsFd;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;

use crate::control::protocol::Phase;
use crate::machine::slot::{Change, Input, Ix, Order};
use crate::machine::unit::{Action, Event};
use crate::os::probes::{self, Target};
use crate::os::reason::reason;
use crate::os::spawner::Spawned;
use crate::os::{clock, kill, notification, results};
use crate::service::definition::{Probe, Reload, Service, StopBy};
use crate::service::overlay::EXIT_CODE;
use crate::service::permit;
use crate::supervisor::checks::{Purpose, Targets, descriptor};
use crate::supervisor::helpers::{Helper, Kind};
use crate::supervisor::last::Last;
use crate::supervisor::narrator::Narrator;
use crate::supervisor::notices::variables;
use crate::supervisor::outcome::faults_of;
use crate::supervisor::wiring::{Hold, wire};
use crate::supervisor::{Answer, Supervisor};
use crate::values::span::show_span;
use crate::values::{Exit, Pid, Signal};

/// What is said of a service that is not there, which only a bug could ask for.
pub(super) const GONE: &str = "there is no such service";

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
            Order::Act(ix, Action::SpawnFinish(pid, exit)) => {
                self.answer_spawn(ix, Some(Last::Finish(pid, exit)));
            }
            Order::Act(ix, Action::SpawnDown) => self.answer_spawn(ix, Some(Last::Down)),
            // A batch of the dead is taken in as a whole: whoever was to be asked may be in it,
            // and a pid without a process is nobody's, or soon somebody else's.
            Order::Act(ix, Action::Ask(pid) | Action::Kill(pid))
                if self.fleet.owner(pid) != Some(ix) => {}
            Order::Act(ix, Action::Plan { anew }) => self.plan(ix, anew),
            Order::Act(ix, Action::Skip) => self.skip(ix),
            Order::Act(ix, Action::RunBefore) => self.run_before(ix),
            Order::Act(ix, Action::KillBefore) => self.kill_before(ix),
            Order::Act(ix, Action::Ask(pid)) => self.ask(ix, pid),
            Order::Act(ix, Action::Kill(pid)) => self.kill(ix, pid),
            // Done when the death was taken in, and told after it.
            Order::Act(_, Action::KillRest(_)) => {}
            Order::Act(ix, Action::Probe) => self.probe(ix, Purpose::Ready),
            Order::Act(ix, Action::CheckUp) => self.probe(ix, Purpose::Health),
            Order::Changed(change) => self.changed(&change),
            Order::Rewired(ix) => {
                self.router.renew(ix);
                self.notices.forget(ix);
            }
            Order::Vanish(ix) => self.vanish(ix),
            Order::Ending => self.announce_ending(),
            Order::Strays(signal) => {
                kill::strays(signal);
                // One that stands still would not hear it, and cost the end its good code.
                kill::strays(Signal::CONT);
                // Whether anybody is left at all is for the reaper to say.
                self.reap = true;
            }
            Order::Exit(code) => self.exit(code),
        }
    }

    fn answer_spawn(&mut self, ix: Ix, last: Option<Last>) {
        let spawned = match last {
            None => self.spawn(ix),
            Some(last) => self.spawn_last(ix, last),
        };
        let event = match spawned {
            Ok(pid) => Event::Spawned(pid),
            Err(text) if last.is_some() => {
                self.complain_of_finish(ix, &text);
                Event::SpawnFailed
            }
            Err(text) => {
                self.complain(ix, text);
                Event::SpawnFailed
            }
        };
        self.take(Input::Unit(ix, event));
    }

    fn spawn(&mut self, ix: Ix) -> Result<Pid, String> {
        let slot = self.fleet.slot(ix).ok_or(GONE)?;
        let service = Rc::clone(&slot.service);
        let mut around = self.launcher.surroundings(&service)?;
        let targets = Targets::of(&service, &around)?;
        let number = descriptor(&service);
        let pipe = number
            .map(|_| notification::pipe())
            .transpose()
            .map_err(|error| reason(&error))?;
        let control = self.control_of(&service)?;
        let owner = around.user.as_ref().map(|user| (user.uid, user.gid));
        if let Some(socket) = self.notify_socket(ix, &service, owner)? {
            for (name, value) in variables(&service, socket) {
                around.set(name, value);
            }
        }
        let wiring = self.wiring(ix);
        let mut hold = Hold::default();
        let mut streams = wire(
            &mut self.router,
            &self.launcher,
            &service,
            wiring,
            owner,
            &mut hold,
        )?;
        streams.notify = pipe.as_ref().map(|(_, theirs)| theirs.as_fd()).zip(number);
        let handed = control.as_ref().map(AsFd::as_fd);
        streams.control = handed.map(|fd| (fd, permit::descriptor(number)));
        let Spawned { pid, attempt } = self.launcher.main(&service, &around, streams)?;
        self.router.started(ix, pid);
        let ours = pipe.map(|(ours, _)| ours);
        self.aim(ix, targets);
        if let Err(error) = self.starts.add(ix, attempt, ours) {
            // The process lives, but how its start goes cannot be seen: let its end come.
            to_process(pid, Signal::KILL);
            self.complain(ix, format!("cannot watch its start: {}", reason(&error)));
        }
        Ok(pid)
    }

    /// The number of the service of this name.
    pub(super) fn find(&self, name: &str) -> Option<Ix> {
        self.fleet
            .slots()
            .iter()
            .find(|slot| slot.service.name.as_str() == name)
            .map(|slot| slot.ix)
    }

    /// The numbers of all services.
    pub(super) fn numbers_of_all(&self) -> impl Iterator<Item = Ix> {
        self.fleet.slots().iter().map(|slot| slot.ix)
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
            // The end cannot come while somebody writes: its producer must not find a pipe that
            // nobody reads any more. What the logger leaves in it is read by the next one.
            StopBy::EndOfInput if self.is_written_to(ix) => {
                to_process(pid, Signal::TERM);
                to_process(pid, Signal::CONT);
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

    fn probe(&mut self, ix: Ix, purpose: Purpose) {
        let Some(slot) = self.fleet.slot(ix) else {
            return;
        };
        let (starts, service) = (slot.starts, Rc::clone(&slot.service));
        let Some((probe, within)) = purpose.question(&service) else {
            return;
        };
        // A service that dies faster than its probe answers must not pile up probes.
        self.helpers.give_up_probes(ix, clock::now());
        if let Probe::Exec(command) = probe {
            let streams = self.launcher.silent();
            match self.launcher.beside(&service, command, streams) {
                Ok(spawned) => {
                    let kind = Kind::Probe { starts, within };
                    let helper = Helper { ix, kind };
                    self.helpers.add(spawned, helper, clock::now());
                }
                Err(text) => self.probed(ix, Err(text)),
            }
            return;
        }
        let Some(side) = self.sides.get_mut(&ix) else {
            return;
        };
        let Some(target) = side.targets.of_purpose(purpose).cloned() else {
            return;
        };
        let answers = self.answers.0.clone();
        let dial = spawn_local(dial(target, within, ix, starts, answers));
        if let Some(earlier) = side.dial.replace(dial.abort_handle()) {
            earlier.abort();
        }
    }

    /// Commands beside services that take too long are killed; a probe has answered by that, even
    /// if not even SIGKILL ends it.
    pub(super) fn end_helpers(&mut self) {
        for (pid, Helper { ix, kind }) in self.helpers.overdue(clock::now()) {
            to_group(pid, Signal::KILL);
            match kind {
                Kind::Probe { starts, within } => {
                    let late = format!("its probe: no answer within {}", show_span(within));
                    self.answered(ix, starts, Err(late));
                }
                Kind::Late | Kind::Reload | Kind::BeforeStop => tracing::debug!(
                    service = self.name(ix),
                    "a command beside it hangs: SIGKILL"
                ),
            }
        }
    }

    /// A command beside a service has ended; `fault` is why it never ran.
    pub(super) fn helped(&mut self, helper: Helper, exit: Exit, fault: Option<String>) {
        let Helper { ix, kind } = helper;
        let why = fault.unwrap_or_else(|| exit.to_string());
        match kind {
            Kind::Probe { starts, .. } => {
                let failed = Err(format!("its probe: {why}"));
                self.answered(ix, starts, if exit.is_success() { Ok(()) } else { failed });
            }
            // Its answer was that it took too long.
            Kind::Late => {}
            Kind::Reload => self.reloaded(ix, Some((exit, why))),
            Kind::BeforeStop => self.before_ended(ix, exit, &why),
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
            Some(Reload::Told(signal)) => {
                to_process(pid, *signal);
                self.awaits_reload(ix);
                Ok(())
            }
            Some(Reload::Command(command)) => {
                let (service, command) = (Rc::clone(&slot.service), command.clone());
                let spawned = self.beside(ix, &service, &command)?;
                let helper = Helper {
                    ix,
                    kind: Kind::Reload,
                };
                self.helpers.add(spawned, helper, clock::now());
                Ok(())
            }
        }
    }

    /// Starts a command beside a service, which writes where the service does.
    pub(super) fn beside(
        &mut self,
        ix: Ix,
        service: &Service,
        command: &[String],
    ) -> Result<Spawned, String> {
        let wiring = self.wiring(ix);
        let mut hold = Hold::default();
        let streams = wire(
            &mut self.router,
            &self.launcher,
            service,
            wiring,
            None,
            &mut hold,
        )?;
        self.launcher.beside(service, command, streams)
    }

    fn changed(&mut self, change: &Change) {
        self.publish_change(change);
        self.watch_run(change);
        let faults = faults_of(&self.sides, change.ix);
        let booting = self.narrator.is_booting();
        let is_change = |order: &Order| matches!(order, Order::Changed(_));
        let is_last = !self.orders.iter().any(is_change);
        let lines = self.narrator.changed(change, &self.fleet, faults, is_last);
        let cleared = self.cleared.remove(&change.ix);
        let slot = self.fleet.slot(change.ix).filter(|_| cleared);
        Self::tell(lines.into_iter().chain(slot.map(Narrator::cleared)));
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
        // There whoever is stopped may have another opinion.
        let kept = self.sources.keeps_exit_code();
        let kept = kept.then(|| results::read(Path::new(EXIT_CODE)));
        let code = kept.flatten().unwrap_or(code);
        if let Some(ending) = self.fleet.ending() {
            Self::tell([Narrator::done(ending, self.orphans, code)]);
        }
        self.code = Some(code);
    }
}

/// Dials once and brings the answer to the loop.
async fn dial(
    target: Target,
    within: Duration,
    ix: Ix,
    starts: u32,
    answers: tokio::sync::mpsc::Sender<Answer>,
) {
    let result = probes::ask(&target, within).await;
    // Nobody listens any more only when PID 1 is about to exit.
    let _ = answers.send(Answer { ix, starts, result }).await;
}

/// A signal to a process that the machine says lives. It may have become a zombie since, which is
/// for the reaper to tell.
pub(super) fn to_process(pid: Pid, signal: Signal) {
    if let Err(error) = kill::process(pid, signal) {
        tracing::debug!("cannot send {signal} to {pid}: {}", reason(&error));
    }
}

/// The same to its group, which is gone when its last process is.
pub(super) fn to_group(pid: Pid, signal: Signal) {
    if let Err(error) = kill::group(pid, signal) {
        tracing::debug!("cannot send {signal} to group {pid}: {}", reason(&error));
    }
}
