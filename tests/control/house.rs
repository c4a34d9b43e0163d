//! A server in a directory of its own, with the smallest loop that can stand in for PID 1's.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use pidone::control::grant::Grant;
use pidone::control::place::Place;
use pidone::control::protocol::{
    Accepted, Before, Event, EventKind, ExitStatus, Line, Phase, Refusal, Reply, Request,
    Rescanned, ServiceStatus, State, Status, Stream,
};
use pidone::control::server::Server;
use pidone::control::session::ClientId;
use pidone::service::permit::{Of, Permit};

/// Whatever takes longer than this has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// An empty directory that goes away with this value. Anybody may enter it.
pub(crate) struct Dir(pub(crate) PathBuf);

impl Dir {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pidone-control-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A place without the rules of `/tmp`.
pub(crate) fn plain(path: impl Into<PathBuf>) -> Place {
    Place {
        path: path.into(),
        shared_parent: false,
    }
}

/// Verbs, each of all services or of one.
type Permits = &'static [(&'static str, Option<&'static str>)];

fn grant(permits: Permits) -> Grant {
    let of = |name: &str| Of::One(name.parse().unwrap());
    let permit = |(verb, name): &(&'static str, Option<&str>)| Permit {
        verb,
        of: name.map_or(Of::All, of),
    };
    Grant {
        service: "agent".parse().unwrap(),
        permits: permits.iter().map(permit).collect(),
    }
}

/// A running server. Its end is asked for by `shutdown`, as PID 1's is.
pub(crate) struct House {
    pub(crate) socket: PathBuf,
    thread: Option<JoinHandle<()>>,
    _dir: Dir,
}

impl House {
    pub(crate) fn open(group: Option<u32>) -> Self {
        Self::furnish(group, None).0
    }

    /// With the descriptor of a service that was granted this.
    pub(crate) fn handing(grant: Permits) -> (Self, Talk) {
        let (house, handed) = Self::furnish(None, Some(grant));
        (house, Talk::over(handed.unwrap().into()))
    }

    fn furnish(group: Option<u32>, permits: Option<Permits>) -> (Self, Option<OwnedFd>) {
        let dir = Dir::new();
        let socket = dir.0.join("control.sock");
        let (told, ready) = mpsc::channel();
        let place = plain(&socket);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            tokio::task::LocalSet::new().block_on(&runtime, async {
                let mut server = Server::bind(&[place], group).unwrap();
                let handed = permits.map(|permits| server.admit(grant(permits)).unwrap());
                told.send(handed).unwrap();
                run(server).await;
            });
        });
        let handed = ready.recv_timeout(DEADLINE).unwrap();
        let house = Self {
            socket,
            thread: Some(thread),
            _dir: dir,
        };
        (house, handed)
    }

    pub(crate) fn connect(&self) -> Talk {
        Talk::open(&self.socket)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let mut talk = self.connect();
        talk.say(r#"{"version":1,"verb":"shutdown"}"#);
        let answer = talk.hear();
        assert!(answer.contains(r#""reply":"ok""#), "{answer}");
        self.thread.take().unwrap().join().unwrap();
    }
}

/// One end of a conversation, as a program without our library would hold it.
pub(crate) struct Talk(pub(crate) UnixStream, BufReader<UnixStream>);

impl Talk {
    pub(crate) fn open(socket: &Path) -> Self {
        Self::over(UnixStream::connect(socket).unwrap())
    }

    pub(crate) fn over(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Self(stream, reader)
    }

    pub(crate) fn say(&mut self, line: &str) {
        self.0.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line; empty at the end.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        match self.1.read_line(&mut line) {
            Ok(_) => {}
            // The server closed while something of ours was unread.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("no answer: {error}"),
        }
        line.trim_end_matches('\n').to_owned()
    }

    /// Everything up to the end.
    pub(crate) fn hear_all(&mut self) -> String {
        let mut all = String::new();
        loop {
            match self.hear() {
                line if line.is_empty() => return all,
                line => all.push_str(&(line + "\n")),
            }
        }
    }
}

pub(crate) const STATUS: &str = r#"{"version":1,"verb":"status"}"#;

/// The stand-in for the loop: one service, `web`, that obeys at once.
async fn run(mut server: Server) {
    loop {
        let (client, _peer, request) = server.next().await;
        match request {
            Request::Status { names, .. } => match names.iter().find(|name| *name != "web") {
                Some(name) => server.reply(
                    client,
                    &Reply::Error(Refusal::unknown_service(name, ["web"])),
                ),
                None => server.reply(client, &Reply::Status(status())),
            },
            Request::Stop { names } => stop(&mut server, client, &names),
            Request::Events { follow, .. } => {
                server.reply(client, &Reply::Status(status()));
                if follow {
                    server.follow_events(client);
                } else {
                    server.reply(client, &Reply::End);
                }
            }
            Request::Logs {
                follow,
                names,
                last,
            } => {
                for number in 0..last.unwrap_or(0) {
                    server.reply(client, &Reply::Line(line(number)));
                }
                if follow {
                    server.follow_lines(client, names);
                } else {
                    server.reply(client, &Reply::End);
                }
            }
            Request::Rescan { dry_run } => {
                let done = Rescanned {
                    dry_run,
                    ..Rescanned::default()
                };
                server.reply(client, &Reply::Rescanned(done));
            }
            // A flood of as many lines as the name says.
            Request::Signal { names, .. } => {
                for number in 0..names[0].parse().unwrap() {
                    server.publish_line(&line(number));
                }
                server.reply(client, &Reply::Ok(accepted()));
            }
            // Nobody may be kept waiting by a loop that forgets him: `restart` is never answered.
            Request::Restart { .. } => {}
            Request::Start { .. } | Request::Once { .. } | Request::Reload { .. } => {
                server.reply(client, &Reply::Ok(accepted()));
            }
            Request::Shutdown { .. } => {
                server.reply(client, &Reply::Ok(accepted()));
                return until_drained(&server).await;
            }
        }
    }
}

async fn until_drained(server: &Server) {
    for _ in 0..100 {
        if server.is_drained() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn stop(server: &mut Server, client: ClientId, names: &[String]) {
    if let Some(name) = names.iter().find(|name| *name != "web") {
        let refusal = Refusal::unknown_service(name, ["web"]);
        return server.reply(client, &Reply::Error(refusal));
    }
    server.reply(client, &Reply::Ok(accepted()));
    server.publish(&event(State::Ready, State::Stopping, 1000, None));
    server.publish(&event(
        State::Stopping,
        State::Down,
        1200,
        Some(ExitStatus::Code { code: 0 }),
    ));
}

fn accepted() -> Accepted {
    Accepted {
        mono_ms: 1000,
        services: vec![Before {
            name: "web".into(),
            state: State::Ready,
            pid: Some(31),
            starts: 1,
        }],
    }
}

fn event(from: State, to: State, mono_ms: u64, exit: Option<ExitStatus>) -> Event {
    Event {
        ts: "2026-11-22T06:01:12.345Z".into(),
        mono_ms,
        event: EventKind::State,
        service: Some("web".into()),
        from: Some(from.word().into()),
        to: Some(to.word().into()),
        pid: None,
        exit,
        why: None,
    }
}

fn line(number: u32) -> Line {
    Line {
        ts: "2026-11-22T06:01:12.345Z".into(),
        service: "web".into(),
        stream: Stream::Stdout,
        text: format!("line {number} {}", "x".repeat(80)),
    }
}

fn status() -> Status {
    Status {
        pid: 1,
        phase: Phase::Running,
        services: vec![ServiceStatus {
            name: "web".into(),
            state: State::Ready,
            pid: Some(31),
            for_ms: 1500,
            restarts: 0,
            exit: None,
            oom: false,
            note: None,
            enabled: true,
            wanted: true,
            starts: 1,
            next_try_ms: None,
            schedule: None,
            next_run: None,
            next_run_ms: None,
            last_run: None,
            last_run_ms: None,
            last_took_ms: None,
            detail: None,
        }],
    }
}
