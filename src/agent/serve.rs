//! The agent at work: its one loop. Whatever comes is an event; the roster, the own services and
//! who is told of them belong to it alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use tokio::sync::{mpsc, oneshot, watch};

use crate::agent::bulletin::Bulletin;
use crate::agent::config::Config;
use crate::agent::desk::{Asked, Desk};
use crate::agent::handlers::task::{Handlers, Told as Handled};
use crate::agent::local::{self, Local, Word};
use crate::agent::mesh::{self, node::Mesh};
use crate::agent::publish::job::Outcome;
use crate::agent::publish::{status::Told, task::Publisher};
use crate::agent::sources::{self, Report};
use crate::agent::standing::line;
use crate::agent::wire::Reply;
use crate::control::protocol::State;
use crate::diag::Diagnostic;
use crate::members::member::{Announced, Origin, Readiness};
use crate::members::roster::{self, Roster};
use crate::os::clock;
use crate::os::ending::{Ending, Order};
use crate::os::poll::Poller;
use crate::template::view::Own;
use crate::values::Moment;

/// Questions and reports that wait for the loop.
const QUEUE: usize = 64;
/// What has happened.
enum Event {
    Report(Report),
    Local(Word),
    Published(Option<Told>),
    Handled(Handled),
    Asked(Asked),
    Mesh(mesh::node::Told),
    Drained,
    /// A signal.
    Ordered,
    /// PID 1 is to be told.
    Told,
}

/// The loop's state.
pub(super) struct Agent {
    pub(super) config: Config,
    pub(super) name: String,
    pub(super) roster: Roster,
    pub(super) publisher: Publisher,
    pub(super) handlers: Handlers,
    /// The gossip and its sessions, where it is a source.
    pub(super) mesh: Option<Mesh>,
    /// What this node announces, for sources that carry it.
    pub(super) own: watch::Sender<Option<Vec<Announced>>>,
    pub(super) local: BTreeMap<String, Local>,
    /// Services that drain, until they have been down.
    pub(super) draining: BTreeSet<String>,
    /// Who waits for the end of a drain, and until when.
    pub(super) drains: Vec<(tokio::time::Instant, oneshot::Sender<Reply>)>,
    /// Who waits for another list of members.
    pub(super) watching: Vec<oneshot::Sender<Reply>>,
    /// Counts the lists.
    pub(super) version: u64,
    pub(super) silent: BTreeMap<Origin, String>,
    /// PID 1 was told that whoever needs us may start.
    pub(super) is_ready: bool,
    /// What PID 1 tells of our services.
    pub(super) words: mpsc::Receiver<Word>,
    /// What PID 1 is told of us.
    pub(super) bulletin: Bulletin,
    /// Reads the configuration again.
    pub(super) reread: Reread,
    /// Why what was read last is not in effect.
    pub(super) refused: Option<String>,
    /// A reload is under way.
    pub(super) is_reloading: bool,
}

/// Reads the configuration again; or says all that is wrong with it.
pub type Reread = Box<dyn Fn() -> Result<Config, Vec<Diagnostic>>>;

/// Runs the agent until it is told to end.
///
/// # Errors
/// What it cannot start without.
pub fn run(
    config: Config,
    name: String,
    env: Vec<(String, String)>,
    reread: Reread,
) -> Result<(), String> {
    let ending = Ending::or_reload().map_err(|error| format!("cannot hear signals: {error}"))?;
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let ended = runtime.block_on(serve(config, name, env, reread, ending));
    // A check or a command that is under way is not waited for.
    runtime.shutdown_background();
    ended
}

async fn serve(
    config: Config,
    name: String,
    env: Vec<(String, String)>,
    reread: Reread,
    ending: Ending,
) -> Result<(), String> {
    let (own, followed) = watch::channel(announced(&config));
    let (tell, mut reports) = mpsc::channel(QUEUE);
    let _sources = sources::start(&config, &followed, &tell)?;
    let mut words = follow(&config)?;
    let (ask, mut asked) = mpsc::channel(QUEUE);
    let desk = Desk::open(&config.socket, ask);
    let path = config.socket.display();
    let _desk = desk.map_err(|error| format!("cannot listen at {path}: {error}"))?;
    let poller = Poller::new().map_err(|error| error.to_string())?;
    let added = poller.add(&ending, 0);
    added.map_err(|error| format!("cannot hear signals: {error}"))?;
    let first = local::first(&mut words).await;
    let mesh = open_mesh(&config, &name).await?;
    let mut agent = Agent::new(config, name, env, own, words, reread);
    agent.mesh = mesh;
    first.into_iter().for_each(|word| agent.hear(word));
    loop {
        let event = tokio::select! {
            _ = poller.wait() => Event::Ordered,
            Some(report) = reports.recv() => Event::Report(report),
            Some(word) = agent.words.recv() => Event::Local(word),
            told = next_of(&mut agent.mesh) => Event::Mesh(told),
            told = agent.publisher.next() => Event::Published(told),
            handled = agent.handlers.next() => Event::Handled(handled),
            Some(asked) = asked.recv() => Event::Asked(asked),
            () = until(agent.drains.first().map(|(at, _)| *at)) => Event::Drained,
            () = due(agent.bulletin.due()) => Event::Told,
        };
        match event {
            Event::Ordered => match ending.next() {
                None => {}
                Some(Order::Reload) => agent.reload(),
                Some(Order::End) => {
                    if let Some(mesh) = &mut agent.mesh {
                        mesh.leave().await;
                    }
                    return Ok(());
                }
            },
            Event::Report(report) => agent.take(report),
            Event::Local(word) => agent.hear(word),
            Event::Published(None) | Event::Told => {}
            Event::Published(Some(told)) => agent.published(&told),
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
        agent.tell_pid_1();
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

async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn due(at: Option<Moment>) {
    match at {
        Some(at) => tokio::time::sleep(at.since(clock::now())).await,
        None => std::future::pending().await,
    }
}

/// What PID 1 tells of the services that are announced.
pub(super) fn follow(config: &Config) -> Result<mpsc::Receiver<Word>, String> {
    let (say, words) = mpsc::channel(QUEUE);
    let names = config.announce.iter().map(|one| one.name.to_string());
    let followed = local::follow(names.collect(), say);
    followed.map_err(|error| format!("cannot follow PID 1: {error}"))?;
    Ok(words)
}

fn announced(config: &Config) -> Option<Vec<Announced>> {
    (!config.announce.is_empty()).then(|| config.announce.clone())
}

/// A line of the agent's story, on its stdout.
pub(super) fn say_line(line: &str) {
    // Nobody reads it: then nobody misses it.
    let _ = writeln!(io::stdout(), "{line}");
}

impl Agent {
    fn new(
        config: Config,
        name: String,
        env: Vec<(String, String)>,
        own: watch::Sender<Option<Vec<Announced>>>,
        words: mpsc::Receiver<Word>,
        reread: Reread,
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
            words,
            bulletin: Bulletin::open(std::env::var_os("NOTIFY_SOCKET")),
            reread,
            refused: None,
            is_reloading: false,
        }
    }

    /// A source has answered, or cannot.
    fn take(&mut self, report: Report) {
        let mut members = match report.answer {
            Ok(members) => members,
            Err(why) => {
                self.tell(&format!("{why}; its last answer stands"));
                self.bulletin.touch();
                self.silent.insert(report.origin, why);
                return;
            }
        };
        self.silent.remove(&report.origin);
        if let Some(name) = self.config.places.services.get(&report.origin) {
            sources::name_services(&mut members, name);
        }
        let is_first = !self.roster.has_answer();
        let events = self.roster.take(report.origin, members);
        self.changed(&events, is_first);
    }

    /// The members are others.
    pub(super) fn changed(&mut self, events: &[roster::Event], is_first: bool) {
        events.iter().for_each(|event| self.tell(&line(event)));
        self.bulletin.touch();
        // Nobody waits longer than he said: those who are gone are forgotten.
        self.watching.retain(|answer| !answer.is_closed());
        if is_first || !events.is_empty() {
            self.tell_watching();
            self.publisher.offer(&self.roster, events, clock::now());
            self.handlers.offer(events);
        }
    }

    /// The gossip has something to tell.
    fn gossiped(&mut self, told: mesh::node::Told) {
        match told {
            mesh::node::Told::Members(members) => self.take(Report {
                origin: Origin::Gossip,
                answer: Ok(members),
            }),
            mesh::node::Told::Line(line) => self.tell(&line),
            mesh::node::Told::Said => {}
            mesh::node::Told::Heard => {
                for (_, answer) in self.drains.drain(..) {
                    // Whoever asked may be gone.
                    let _ = answer.send(Reply::Ok);
                }
            }
        }
    }

    /// A step of a template has ended.
    fn published(&mut self, told: &Told) {
        match told.outcome {
            Outcome::Same => say_line(&told.to_string()),
            Outcome::Applied(_) | Outcome::Rejected(_) => self.tell(&told.to_string()),
        }
        self.bulletin.touch();
    }

    /// Tells people and PID 1 of what has happened.
    pub(super) fn tell(&mut self, what: &str) {
        say_line(what);
        self.bulletin.event(what);
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

    pub(super) fn announce(&mut self) {
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

    /// Tells PID 1 once that whoever needs us may start.
    fn tell_ready(&mut self) {
        if self.is_ready || !self.publisher.has_rendered() {
            return;
        }
        self.is_ready = true;
        self.bulletin.word("READY=1");
    }

    fn tell_pid_1(&mut self) {
        if self.is_reloading && self.publisher.is_in_effect() {
            self.is_reloading = false;
            self.bulletin.word("READY=1");
        }
        let mut bulletin = std::mem::replace(&mut self.bulletin, Bulletin::open(None));
        if let Err(error) = bulletin.send(clock::now(), || self.standing()) {
            say_line(&format!("cannot tell PID 1 how it is: {error}"));
        }
        self.bulletin = bulletin;
    }
}
