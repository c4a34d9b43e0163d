//! What clients ask, answered in the same turn.

use crate::control::protocol::{
    Accepted, Before, Line, Refusal, RefusalKind, Reply, Request, State as WireState, Stream,
};
use crate::control::rights::Peer;
use crate::control::session::ClientId;
use crate::logs::format::OWN_NAME;
use crate::logs::ring;
use crate::machine::shutdown::Reason;
use crate::machine::slot::{Input, Ix};
use crate::machine::unit::State;
use crate::os::clock;
use crate::supervisor::Supervisor;
use crate::supervisor::history::What;
use crate::supervisor::perform::{to_group, to_process};
use crate::supervisor::report::{millis, wire_state};
use crate::values::lists;
use crate::values::stamp::rfc3339;
use crate::values::{Exit, Pid, Signal};

/// A request, and whose.
pub(super) struct Asked {
    pub(super) client: ClientId,
    pub(super) peer: Peer,
    pub(super) request: Request,
}

impl Supervisor {
    /// Answers one request.
    pub(super) fn answer(&mut self, asked: Asked) {
        let Asked {
            client,
            peer,
            request,
        } = asked;
        let verb = request.verb();
        match self.replies(&request) {
            Ok(replies) => replies.iter().for_each(|reply| self.reply(client, reply)),
            Err(refusal) => return self.reply(client, &Reply::Error(refusal)),
        }
        match request {
            Request::Logs {
                names,
                follow: true,
                ..
            } => self.follow_lines(client, names),
            Request::Events { follow: true, .. } => {
                if let Some(server) = &mut self.server {
                    server.follow_events(client);
                }
            }
            Request::Logs { .. } | Request::Events { .. } => self.reply(client, &Reply::End),
            Request::Status { .. } => {}
            Request::Start { .. }
            | Request::Stop { .. }
            | Request::Restart { .. }
            | Request::Once { .. }
            | Request::Reload { .. }
            | Request::Signal { .. }
            | Request::Rescan { .. }
            | Request::Shutdown { .. } => {
                let server = self.server.as_ref();
                let service = server.and_then(|server| server.service_of(client));
                let who = service.map_or_else(
                    || format!("uid {} (pid {})", peer.uid, peer.pid),
                    |service| format!("service {service}"),
                );
                tracing::debug!("{who} asked for `{verb}`");
            }
        }
    }

    fn reply(&mut self, client: ClientId, reply: &Reply) {
        if let Some(server) = &mut self.server {
            server.reply(client, reply);
        }
    }

    fn replies(&mut self, request: &Request) -> Result<Vec<Reply>, Refusal> {
        match request {
            Request::Status { names, detail } => {
                let only = (!names.is_empty())
                    .then(|| self.numbers(names))
                    .transpose()?;
                Ok(vec![Reply::Status(self.status(only.as_deref(), *detail))])
            }
            Request::Start { names } => self.change(names, Input::Start),
            Request::Stop { names } => self.change(names, Input::Stop),
            Request::Restart { names } => self.change(names, Input::Restart),
            Request::Reload { names } => self.reload_all(names),
            Request::Once { names } => self.change(names, Input::Once),
            Request::Signal {
                signal,
                group,
                names,
            } => self.signal_all(signal, *group, names),
            Request::Logs { names, last, .. } => self.past_lines(names, *last),
            Request::Events { last, .. } => {
                let events = self.past_events(*last).map(Reply::Event);
                Ok(events
                    .chain([Reply::Status(self.status(None, false))])
                    .collect())
            }
            Request::Rescan { dry_run } => {
                let done = self.rescan(*dry_run)?;
                Ok(vec![Reply::Rescanned(done)])
            }
            Request::Shutdown { code } => {
                let accepted = self.accepted(&[]);
                self.take(Input::Shutdown(Reason::Asked(*code)));
                Ok(vec![accepted])
            }
        }
    }

    fn numbers(&self, names: &[String]) -> Result<Vec<Ix>, Refusal> {
        let known = || {
            self.fleet
                .slots()
                .iter()
                .map(|slot| slot.service.name.as_str())
        };
        let number = |name: &String| {
            self.find(name)
                .ok_or_else(|| Refusal::unknown_service(name, known()))
        };
        names.iter().map(number).collect()
    }

    /// How things stand just before a change.
    fn accepted(&self, services: &[Ix]) -> Reply {
        let before = |ix: &Ix| {
            let slot = self.fleet.slot(*ix)?;
            Some(Before {
                name: slot.service.name.to_string(),
                state: match slot.unit.state {
                    // Its work stands, as long as nobody undoes it.
                    State::Undoable => WireState::Ready,
                    ref state => wire_state(state),
                },
                pid: slot.unit.state.main_pid().map(Pid::raw),
                starts: slot.starts.into(),
            })
        };
        Reply::Ok(Accepted {
            mono_ms: millis(Self::stamp().0.since_origin()),
            services: services.iter().filter_map(before).collect(),
        })
    }

    fn change(&mut self, names: &[String], input: fn(Ix) -> Input) -> Result<Vec<Reply>, Refusal> {
        let services = self.numbers(names)?;
        if self.fleet.ending().is_some() {
            return Err(Refusal::new(RefusalKind::No, "the container is stopping"));
        }
        let accepted = self.accepted(&services);
        for ix in services {
            self.take(input(ix));
        }
        Ok(vec![accepted])
    }

    fn reload_all(&mut self, names: &[String]) -> Result<Vec<Reply>, Refusal> {
        let services = self.numbers(names)?;
        let accepted = self.accepted(&services);
        for ix in services {
            self.reload(ix)
                .map_err(|text| Refusal::new(RefusalKind::No, text))?;
        }
        Ok(vec![accepted])
    }

    /// A reload was asked for. `done` is the end of its command, if it has one, and that in words.
    pub(super) fn reloaded(&mut self, ix: Ix, done: Option<(Exit, String)>) {
        let exit = done.as_ref().map(|(exit, _)| *exit);
        let failed = done.filter(|(exit, _)| !exit.is_success());
        match &failed {
            None => tracing::info!(service = self.name(ix), "reloaded"),
            Some((_, why)) => tracing::warn!(service = self.name(ix), "reload failed: {why}"),
        }
        self.publish_deed(ix, What::Reload, exit, failed.map(|(_, why)| why));
    }

    fn signal_all(
        &mut self,
        signal: &str,
        group: bool,
        names: &[String],
    ) -> Result<Vec<Reply>, Refusal> {
        let signal: Signal = signal
            .parse()
            .map_err(|text: String| Refusal::new(RefusalKind::No, text))?;
        let services = self.numbers(names)?;
        let mut pids = Vec::new();
        for ix in &services {
            let pid = self
                .fleet
                .slot(*ix)
                .and_then(|slot| slot.unit.state.main_pid());
            let missing = || format!("`{}` does not run", self.name(*ix));
            pids.push(pid.ok_or_else(|| Refusal::new(RefusalKind::No, missing()))?);
        }
        let accepted = self.accepted(&services);
        let send = if group { to_group } else { to_process };
        for (ix, pid) in services.into_iter().zip(pids) {
            send(pid, signal);
            self.publish_deed(ix, What::Signal, None, Some(signal.to_string()));
        }
        Ok(vec![accepted])
    }

    /// What these services (all of them, and pidone, if none is named) have written, oldest first.
    fn past_lines(&self, names: &[String], last: Option<u32>) -> Result<Vec<Reply>, Refusal> {
        let last = last.map(|last| last as usize);
        let mut lines: Vec<Line> = if names.is_empty() {
            let own = self.remembered(None, last);
            self.numbers_of_all()
                .flat_map(|ix| self.lines(ix, last))
                .chain(own)
                .collect()
        } else {
            // `pidone` is no service, but it has lines of its own.
            let (own, services): (Vec<String>, Vec<String>) =
                names.iter().cloned().partition(|name| name == OWN_NAME);
            let own = own.iter().flat_map(|_pidone| self.remembered(None, last));
            self.numbers(&services)?
                .into_iter()
                .flat_map(|ix| self.lines(ix, last))
                .chain(own)
                .collect()
        };
        // The sort is stable: within a service, lines of one millisecond keep their order.
        lists::sort(&mut lines, |a, b| a.ts.cmp(&b.ts));
        Ok(lines.into_iter().map(Reply::Line).collect())
    }

    /// The last lines of one service, oldest first.
    pub(super) fn lines(&self, ix: Ix, last: Option<usize>) -> Vec<Line> {
        self.remembered(Some(ix), last)
    }

    fn remembered(&self, of: Option<Ix>, last: Option<usize>) -> Vec<Line> {
        let count = last.map_or(u64::MAX, |last| last as u64);
        let name = of.map_or(OWN_NAME, |ix| self.name(ix));
        self.router
            .last_lines(of, count)
            .map(|line| wire_line(name, &line))
            .collect()
    }

    fn follow_lines(&mut self, client: ClientId, names: Vec<String>) {
        // What is remembered now has just been sent; whoever follows gets what comes after it.
        if self.followed.is_empty() {
            let all = self.numbers_of_all().map(Some).chain([None]);
            self.followed = lists::filled(all.map(|of| (of, self.router.numbers(of).1)));
        }
        if let Some(server) = &mut self.server {
            server.follow_lines(client, names);
        }
    }

    /// What was written and told in this turn goes out: to the container's output, and to whoever
    /// follows the logs.
    pub(super) fn tell_all(&mut self) {
        self.router.tell_story(clock::wall());
        self.tell_followers();
        if self.router.sweep() {
            let (router, fleet) = (&self.router, &self.fleet);
            let is_known = |ix: Ix| router.name(ix).is_some() || fleet.slot(ix).is_some();
            self.followed.retain(|of, _| of.is_none_or(is_known));
        }
    }

    fn tell_followers(&mut self) {
        let Some(server) = self.server.as_ref().filter(|_| !self.followed.is_empty()) else {
            return;
        };
        if !server.has_line_followers() {
            self.followed.clear();
            return;
        }
        for (of, from) in &mut self.followed {
            let (_, next) = self.router.numbers(*of);
            let name = of.map_or(Some(OWN_NAME), |ix| self.router.name(ix));
            // Who has written nothing yet has no pipes, and no name there.
            let name = name.unwrap_or_default();
            if next > *from && server.wants_lines(name) {
                for line in self.router.lines(*of, *from) {
                    server.publish_line(&wire_line(name, &line));
                }
            }
            *from = next;
        }
    }
}

/// A remembered line in the wire's words.
fn wire_line(service: &str, line: &ring::Line<'_>) -> Line {
    Line {
        ts: rfc3339(line.wall),
        service: service.to_owned(),
        stream: match line.stream {
            ring::Stream::Stdout => Stream::Stdout,
            ring::Stream::Stderr => Stream::Stderr,
            ring::Stream::Pidone => Stream::Pidone,
        },
        text: String::from_utf8_lossy(&line.text).into_owned(),
    }
}
