//! A real Serf agent as the source, over its RPC: `monitor` wakes us, `members` is the truth. (Its
//! `stream` of events comes a second and more later, for the agent coalesces it.)

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::agent::sources::msgpack::{Fault, Value, map, read};
use crate::agent::sources::{Report, rpc, unique};
use crate::members::member::{Announced, Member, Origin};
use crate::os::reason::reason;

/// For each answer: the agent is on this host, or near.
const PATIENCE: Duration = Duration::from_secs(5);
/// Without a wake-up it is asked again, for a line of its log may be lost.
const POLL: Duration = Duration::from_secs(5);
/// Between two tries to reach it.
const RETRY: Duration = Duration::from_millis(500);
/// The longest answer, bytes: 10,000 members of a kilobyte, and some.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// The request after which log lines come, under its number.
const MONITOR: i64 = 2;

/// Where the agent is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Its RPC's address.
    pub rpc: SocketAddr,
    /// Its `rpc_auth`, if it has one.
    pub auth: Option<String>,
}

/// Follows a Serf agent, for ever. `own` are the services that this node announces, which the
/// others read from a tag; `None`: it announces nothing.
pub async fn follow(
    settings: Settings,
    mut own: watch::Receiver<Option<Vec<Announced>>>,
    reports: mpsc::Sender<Report>,
) {
    let mut told = None;
    loop {
        let why = match Talk::open(&settings).await {
            Ok(mut talk) => {
                told = None;
                match talk.go_on(&mut own, &reports).await {
                    Ok(()) => return,
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        let why = format!("Serf at {}: {}", settings.rpc, reason(&why));
        // What is as it was is not told again.
        if told.as_ref() != Some(&why) {
            let (origin, answer) = (Origin::Serf, Err(why.clone()));
            if reports.send(Report { origin, answer }).await.is_err() {
                return;
            }
            told = Some(why);
        }
        sleep(RETRY).await;
    }
}

/// A conversation.
struct Talk {
    stream: TcpStream,
    unread: Vec<u8>,
    seq: i64,
    /// Something has happened since the members were asked for.
    is_stale: bool,
}

fn bad(why: &str) -> io::Error {
    io::Error::other(why)
}

impl Talk {
    async fn open(settings: &Settings) -> io::Result<Self> {
        let stream = timeout(PATIENCE, TcpStream::connect(settings.rpc)).await??;
        stream.set_nodelay(true)?;
        let mut talk = Self {
            stream,
            unread: Vec::new(),
            seq: MONITOR,
            is_stale: true,
        };
        let version = map([("Version", Value::Int(1))]);
        talk.ask("handshake", 0, Some(&version), false).await?;
        if let Some(key) = &settings.auth {
            let key = map([("AuthKey", Value::text(key))]);
            talk.ask("auth", 1, Some(&key), false).await?;
        }
        let level = map([("LogLevel", Value::text("INFO"))]);
        talk.ask("monitor", MONITOR, Some(&level), false).await?;
        Ok(talk)
    }

    /// Asks, and waits for the answer; log lines that come before it are noted.
    async fn ask(
        &mut self,
        command: &str,
        seq: i64,
        body: Option<&Value>,
        has_body: bool,
    ) -> io::Result<Value> {
        let bytes = rpc::request(command, seq, body);
        timeout(PATIENCE, self.stream.write_all(&bytes)).await??;
        loop {
            let header = timeout(PATIENCE, self.value()).await??;
            let of = header.get("Seq").and_then(Value::as_int);
            let error = header.get("Error").and_then(Value::as_text);
            match (of, error) {
                (Some(of), Some("")) if of == seq => {
                    return if has_body {
                        timeout(PATIENCE, self.value()).await?
                    } else {
                        Ok(Value::Nil)
                    };
                }
                (Some(of), Some("")) if of == MONITOR => self.note().await?,
                (_, Some(error)) if !error.is_empty() => {
                    return Err(bad(&format!("`{command}` refused: {error}")));
                }
                _ => return Err(bad("it answers something else")),
            }
        }
    }

    /// Takes a log line.
    async fn note(&mut self) -> io::Result<()> {
        let body = timeout(PATIENCE, self.value()).await??;
        let line = body.get("Log").and_then(Value::as_text);
        self.is_stale |= line.is_some_and(|line| line.contains("EventMember"));
        Ok(())
    }

    /// The next value. Cancel-safe: what was read is kept.
    async fn value(&mut self) -> io::Result<Value> {
        loop {
            match read(&self.unread) {
                Ok((value, rest)) => {
                    self.unread = rest.to_vec();
                    return Ok(value);
                }
                Err(Fault::Bad) => return Err(bad("it does not speak Serf's RPC")),
                Err(Fault::Short) if self.unread.len() > ANSWER_BYTES_MAX => {
                    return Err(bad("its answer is too long"));
                }
                Err(Fault::Short) => {}
            }
            let count = self.stream.read_buf(&mut self.unread).await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn members(&mut self) -> io::Result<Vec<Member>> {
        self.seq += 1;
        self.is_stale = false;
        let body = self.ask("members", self.seq, None, true).await?;
        let members = rpc::members(&body).ok_or_else(|| bad("it tells no members"))?;
        Ok(unique(members))
    }

    /// Reports, and waits for the next wake-up, for ever; ends when nobody listens any more.
    async fn go_on(
        &mut self,
        own: &mut watch::Receiver<Option<Vec<Announced>>>,
        reports: &mpsc::Sender<Report>,
    ) -> io::Result<()> {
        let mut last = None;
        // A new conversation says it anew: the agent may have been restarted, and have forgotten.
        own.mark_changed();
        loop {
            if own.has_changed().unwrap_or(false) {
                let services = own.borrow_and_update().as_deref().map(rpc::services);
                if let Some(body) = services {
                    self.seq += 1;
                    self.ask("tags", self.seq, Some(&body), false).await?;
                }
            }
            let members = self.members().await?;
            if last.as_ref() != Some(&members) {
                let answer = Ok(members.clone());
                let origin = Origin::Serf;
                if reports.send(Report { origin, answer }).await.is_err() {
                    return Ok(());
                }
                last = Some(members);
            }
            self.wait(own).await?;
        }
    }

    /// Until something has happened, or might have.
    async fn wait(&mut self, own: &mut watch::Receiver<Option<Vec<Announced>>>) -> io::Result<()> {
        let until = tokio::time::Instant::now() + POLL;
        while !self.is_stale {
            tokio::select! {
                header = self.value() => {
                    let header = header?;
                    if header.get("Seq").and_then(Value::as_int) != Some(MONITOR) {
                        return Err(bad("it answers what nobody asked"));
                    }
                    self.note().await?;
                }
                Ok(()) = own.changed() => {
                    own.mark_changed();
                    return Ok(());
                }
                () = tokio::time::sleep_until(until) => return Ok(()),
            }
        }
        Ok(())
    }
}
