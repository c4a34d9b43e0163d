//! The agent at work: its one loop. Whatever comes is an event; the roster, the own services and
//! who is told of them belong to it alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::agent::config::Config;
use crate::agent::desk::{Asked, Desk};
use crate::agent::handlers::task::{Handlers, Told as Handled};
use crate::agent::local::{self, Local, Word};
use crate::agent::mesh::{self, node::Mesh};
use crate::agent::publish::task::{Publisher, Told};
use crate::agent::sources::{self, Report};
use crate::agent::wire::{Reply, Request, WireMember, WireRefused, template};
use crate::control::protocol::State;
use crate::members::member::{Announced, Origin, Readiness};
use crate::members::roster::Roster;
use crate::os::poll::Poller;
use crate::os::{clock, ending::Ending};
use crate::template::view::{Own, data};

/// Questions and reports that wait for the loop.
const QUEUE: usize = 64;
/// So long a drain waits at most. Where nobody tells that it was heard, all of it: Serf spreads a
/// tag in half of it.
const DRAIN_UNHEARD: Duration = Duration::from_millis(500);

/// What has happened.
enum Event {
    Report(Report),
    Local(Word),
    Published(Option<Told>),
    Handled(Handled),
    Asked(Asked),
    Mesh(mesh::node::Told),
    Drained,
    End,
}

/// The loop's state.
struct Agent {
    config: Config,
    name: String,
    roster: Roster,
    publisher: Publisher,
    handlers: Handlers,
    /// The gossip and its sessions, where it is a source.
    mesh: Option<Mesh>,
    /// What this node announces, for sources that carry it.
    own: watch::Sender<Option<Vec<Announced>>>,
    local: BTreeMap<String, Local>,
    /// Services that drain, until they have been down.
    draining: BTreeSet<String>,
    /// Who waits for the end of a drain, and until when.
    drains: Vec<(tokio::time::Instant, oneshot::Sender<Reply>)>,
    /// Who waits for another list of members.
    watching: Vec<oneshot::Sender<Reply>>,
    /// Counts the lists.
    version: u64,
    silent: BTreeMap<Origin, String>,
    is_ready: bool,
}

/// Runs the agent until it is told to end.
///
/// # Errors
/// What it cannot start without.
pub fn run(config: Config, name: String, env: Vec<(String, String)>) -> Result<(), String> {
    let ending = Ending::new().map_err(|error| format!("cannot hear signals: {error}"))?;
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let ended = runtime.block_on(serve(config, name, env, ending));
    // A check or a command that is under way is not waited for.
    runtime.shutdown_background();
    ended
}

async fn serve(
    config: Config,
    name: String,
    env: Vec<(String, String)>,
    ending: Ending,
) -> Result<(), String> {
    let (own, followed) = watch::channel(announced(&config));
    let (tell, mut reports) = mpsc::channel(QUEUE);
    let _sources = sources::start(&config, &followed, &tell)?;
    let (say, mut words) = mpsc::channel(QUEUE);
    let names = config.announce.iter().map(|one| one.name.to_string());
    let followed = local::follow(names.collect(), say);
    followed.map_err(|error| format!("cannot follow PID 1: {error}"))?;
    let (ask, mut asked) = mpsc::channel(QUEUE);
    let desk = Desk::open(&config.socket, ask);
    let path = config.socket.display();
    let _desk = desk.map_err(|error| format!("cannot listen at {path}: {error}"))?;
    let poller = Poller::new().map_err(|error| error.to_string())?;
    let added = poller.add(&ending, 0);
    added.map_err(|error| format!("cannot hear signals: {error}"))?;
    let first = local::first(&mut words).await;
    let mesh = open_mesh(&config, &name).await?;
    let mut agent = Agent::new(config, name, env, own);
    agent.mesh = mesh;
    first.into_iter().for_each(|word| agent.hear(word));
    loop {
        let event = tokio::select! {
            _ = poller.wait() => Event::End,
            Some(report) = reports.recv() => Event::Report(report),
            Some(word) = words.recv() => Event::Local(word),
            told = next_of(&mut agent.mesh) => Event::Mesh(told),
            told = agent.publisher.next() => Event::Published(told),
            handled = agent.handlers.next() => Event::Handled(handled),
            Some(asked) = asked.recv() => Event::Asked(asked),
            () = until(agent.drains.first().map(|(at, _)| *at)) => Event::Drained,
        };
        match event {
            Event::End => {
                if let Some(mesh) = &mut agent.mesh {
                    mesh.leave().await;
                }
                return Ok(());
            }
            Event::Report(report) => agent.take(report),
            Event::Local(word) => agent.hear(word),
            Event::Published(None) => {}
            Event::Published(Some(told)) => say_line(&told.to_string()),
            Event::Handled(handled) => say_line(&handled.to_string()),
            Event::Asked(asked) => agent.answer(asked),
            Event::Mesh(told) => agent.gossiped(told),
            Event::Drained => {
                let (_, answer) = agent.drains.remove(0);
                let _ = answer.send(Reply::Ok);
            }
        }
        agent.tell_acted();
        agent.tell_ready();
    }
}

/// The gossip, where it is a source.
async fn open_mesh(config: &Config, name: &str) -> Result<Option<Mesh>, String> {
    if !config.sources.contains(&Origin::Gossip) {
        return Ok(None);
    }
    let name = name.parse()?;
    Mesh::open(config, name).await.map(Some)
}

async fn next_of(mesh: &mut Option<Mesh>) -> mesh::node::Told {
    match mesh {
        Some(mesh) => mesh.next().await,
        None => std::future::pending().await,
    }
}

fn refused(mesh: &Mesh) -> WireRefused {
    let refused = mesh.refused();
    WireRefused {
        datagrams_unsealed: refused.unsealed,
        datagrams_malformed: refused.malformed,
        sessions: refused.sessions,
    }
}

async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn announced(config: &Config) -> Option<Vec<Announced>> {
    (!config.announce.is_empty()).then(|| config.announce.clone())
}

/// A line of the agent's story, on its stdout.
fn say_line(line: &str) {
    // Nobody reads it: then nobody misses it.
    let _ = writeln!(io::stdout(), "{line}");
}

impl Agent {
    fn new(
        config: Config,
        name: String,
        env: Vec<(String, String)>,
        own: watch::Sender<Option<Vec<Announced>>>,
    ) -> Self {
        let node = Own {
            name: name.clone(),
            tags: config.tags.clone(),
            env,
        };
        Self {
            roster: Roster::new(&config.sources, config.min_members),
            publisher: Publisher::new(
                &config.templates,
                node.clone(),
                config.first_sync,
                clock::now(),
            ),
            handlers: Handlers::new(&config.handlers, node),
            mesh: None,
            config,
            name,
            own,
            local: BTreeMap::new(),
            draining: BTreeSet::new(),
            drains: Vec::new(),
            watching: Vec::new(),
            version: 0,
            silent: BTreeMap::new(),
            is_ready: false,
        }
    }

    /// A source has answered, or cannot.
    fn take(&mut self, report: Report) {
        let members = match report.answer {
            Ok(members) => members,
            Err(why) => {
                say_line(&format!("{why}; its last answer stands"));
                self.silent.insert(report.origin, why);
                return;
            }
        };
        self.silent.remove(&report.origin);
        let is_first = !self.roster.has_answer();
        let events = self.roster.take(report.origin, members);
        for event in &events {
            say_line(&event.to_string());
        }
        // Nobody waits longer than he said: those who are gone are forgotten.
        self.watching.retain(|answer| !answer.is_closed());
        if is_first || !events.is_empty() {
            self.tell_watching();
            self.publisher.offer(&self.roster, &events, clock::now());
            self.handlers.offer(&events);
        }
    }

    /// The gossip has something to tell.
    fn gossiped(&mut self, told: mesh::node::Told) {
        match told {
            mesh::node::Told::Members(members) => self.take(Report {
                origin: Origin::Gossip,
                answer: Ok(members),
            }),
            mesh::node::Told::Line(line) => say_line(&line),
            mesh::node::Told::Said => {}
            mesh::node::Told::Heard => {
                for (_, answer) in self.drains.drain(..) {
                    // Whoever asked may be gone.
                    let _ = answer.send(Reply::Ok);
                }
            }
        }
    }

    /// Tells members whom we watch that what they said is in effect.
    fn tell_acted(&mut self) {
        if let Some(mesh) = &mut self.mesh
            && mesh.is_owing()
            && self.publisher.is_in_effect()
        {
            mesh.acted();
        }
    }

    /// PID 1 has told of our services.
    fn hear(&mut self, word: Word) {
        match word {
            Word::Silent(why) => say_line(&format!("PID 1 does not tell of services: {why}")),
            Word::Services(services) => {
                // Who was down has nothing left to drain.
                let is_up = |name: &String| {
                    let state = services.get(name).map(|local| local.state);
                    matches!(state, Some(State::Ready | State::Unready | State::Stopping))
                };
                self.draining.retain(is_up);
                self.local = services;
                self.announce();
            }
        }
    }

    fn announce(&mut self) {
        let announced = self.config.announce.iter().map(|service| {
            let local = self.local.get(service.name.as_str());
            let readiness = match local.map(|local| local.state) {
                _ if self.draining.contains(service.name.as_str()) => Readiness::Draining,
                Some(State::Ready) => Readiness::Ready,
                Some(State::Stopping) => Readiness::Draining,
                Some(_) | None => Readiness::Unready,
            };
            Announced {
                readiness,
                ..service.clone()
            }
        });
        let announced: Vec<Announced> = announced.collect();
        if let Some(mesh) = &mut self.mesh {
            mesh.announce(&announced);
        }
        self.own.send_if_modified(|own| {
            let is_new = own.as_ref() != Some(&announced);
            if is_new {
                *own = Some(announced);
            }
            is_new
        });
    }

    fn answer(&mut self, asked: Asked) {
        let reply = match asked.request {
            Request::Members { since } if since == Some(self.version) => {
                self.watching.push(asked.answer);
                return;
            }
            Request::Members { .. } => self.members(),
            Request::Status => Reply::Status {
                name: self.name.clone(),
                templates: self.publisher.status().map(template).collect(),
                silent: self.silent.values().cloned().collect(),
                held: self.roster.held(),
                refused: self
                    .mesh
                    .as_ref()
                    .map_or_else(WireRefused::default, refused),
            },
            Request::Data => Reply::Data {
                data: data(&self.roster, self.publisher.own()).into_value(),
            },
            Request::Drain { service } => match self.drain(&service, asked.uid) {
                Ok(()) if self.mesh.as_ref().is_some_and(Mesh::is_heard) => Reply::Ok,
                Ok(()) => {
                    let by = tokio::time::Instant::now() + DRAIN_UNHEARD;
                    self.drains.push((by, asked.answer));
                    return;
                }
                Err(message) => Reply::Error { message },
            },
        };
        // Whoever asked may be gone.
        let _ = asked.answer.send(reply);
    }

    fn members(&self) -> Reply {
        Reply::Members {
            members: self.roster.members().map(WireMember::from).collect(),
            version: self.version,
        }
    }

    /// The list is another: those who wait for that get it.
    fn tell_watching(&mut self) {
        self.version += 1;
        let reply = self.members();
        for answer in self.watching.drain(..) {
            // Whoever asked may be gone.
            let _ = answer.send(reply.clone());
        }
    }

    /// A service is to get no more work.
    fn drain(&mut self, service: &str, uid: u32) -> Result<(), String> {
        let known = self.config.announce.iter();
        if !known.clone().any(|one| one.name.as_str() == service) {
            return Err(format!("`{service}` is not announced by this node"));
        }
        let pid = self.local.get(service).and_then(|local| local.pid);
        let owner = pid.and_then(|pid| std::fs::metadata(format!("/proc/{pid}")).ok());
        let owner = owner.map(|process| std::os::unix::fs::MetadataExt::uid(&process));
        let own = nix::unistd::Uid::effective().as_raw();
        if uid != 0 && uid != own && Some(uid) != owner {
            return Err(format!("uid {uid} may not drain `{service}`"));
        }
        self.draining.insert(service.to_owned());
        say_line(&format!("{service} drains"));
        self.announce();
        Ok(())
    }

    /// Tells PID 1 once that whoever needs us may start.
    fn tell_ready(&mut self) {
        if self.is_ready || !self.publisher.has_rendered() {
            return;
        }
        self.is_ready = true;
        if let Err(error) = local::tell_ready() {
            say_line(&format!("cannot tell that it is ready: {error}"));
        }
    }
}
