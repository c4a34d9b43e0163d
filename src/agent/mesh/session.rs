//! The sessions between agents, each a task: one that compares all that two nodes know and ends,
//! and one by which a watcher follows a member, for as long as both live. What a session sees goes
//! into the loop's channel; the loop owns everything.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::agent::gossip::knowledge::Entry;
use crate::agent::mesh::frame::{self, Frame};
use crate::agent::mesh::link::{Link, Side};
use crate::agent::mesh::seal::Key;
use crate::members::record::Record;
use crate::members::roster::MEMBERS_MAX;
use crate::os::outq;

/// For a connection to be made, and for a question to come.
const PATIENCE: Duration = Duration::from_secs(2);
/// A watcher that says nothing for so long is gone, whatever became of its connection.
const SILENT_WATCHER: Duration = Duration::from_secs(15);
/// Connections at once; a cluster's watchers and those that compare are fewer.
const CONNECTIONS_MAX: usize = 1024;
/// Frames that a watcher has not taken yet: only the last record counts.
const FRAMES: usize = 16;

/// What sessions see.
#[derive(Debug)]
pub enum Seen {
    /// Somebody told all that he knows.
    Learned(Vec<Entry>),
    /// Somebody told all that he knows, and asks the same.
    Asked(Vec<Entry>, oneshot::Sender<Vec<Vec<u8>>>),
    /// A watcher has come. Frames to it go there.
    Watcher(u64, mpsc::Sender<Vec<u8>>),
    /// A watcher has acted on our record of this life and number.
    Heard(u64, u64, u32),
    /// A watcher is gone.
    WatcherGone(u64),
    /// A connection that was none of an agent with our key.
    Refused,
    /// We watch this member.
    Began(SocketAddr),
    /// It has said this.
    Said(Box<Record>),
    /// Whether its kernel acknowledges what we send.
    Answers(SocketAddr, bool),
    /// We do not watch it any more, or never did (`false`).
    Ended(SocketAddr, bool),
    /// Whether, its agent gone, its services still answer.
    Checked(SocketAddr, bool),
}

fn bad() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "not what an agent says")
}

/// Accepts, for ever.
pub async fn listen(listener: TcpListener, key: Option<Key>, seen: mpsc::Sender<Seen>) {
    let mut sessions = JoinSet::new();
    let mut number = 0;
    loop {
        while sessions.try_join_next().is_some() {}
        if sessions.len() >= CONNECTIONS_MAX {
            sessions.join_next().await;
            continue;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                number += 1;
                sessions.spawn(answer(stream, key.clone(), number, seen.clone()));
            }
            // No descriptors: some session will end.
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// One who has dialled us.
async fn answer(stream: TcpStream, key: Option<Key>, number: u64, seen: mpsc::Sender<Seen>) {
    let opened = async {
        let mut link = Link::open(stream, Side::Listener, key.as_ref()).await?;
        let first = timeout(PATIENCE, link.next()).await;
        let first = first.map_err(|_| ErrorKind::TimedOut)??;
        io::Result::Ok((link, first))
    };
    let served = match opened.await {
        Ok((link, Some(first))) => match Frame::read(&first) {
            Some(Frame::Compare) => compared(link, &seen).await,
            Some(Frame::Watch) => watched(link, number, &seen).await,
            _ => Err(bad()),
        },
        // It came and went, as a check of the port does.
        Ok((_, None)) => Ok(()),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
        Err(error) => Err(error),
    };
    let broken = |error: io::Error| error.kind() == ErrorKind::InvalidData;
    if served.is_err_and(broken) {
        // The loop has ended: then nobody counts.
        let _ = seen.send(Seen::Refused).await;
    }
}

/// Reads entries up to [`Frame::Done`].
async fn read_entries(link: &mut Link) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    loop {
        let frame = timeout(PATIENCE, link.next()).await;
        let frame = frame.map_err(|_| ErrorKind::TimedOut)??;
        let frame = frame.ok_or(ErrorKind::UnexpectedEof)?;
        match Frame::read(&frame) {
            Some(Frame::Done) => return Ok(found),
            Some(Frame::Entries(entries)) => found.extend(entries),
            _ => return Err(bad()),
        }
        if found.len() > MEMBERS_MAX {
            return Err(bad());
        }
    }
}

async fn compared(mut link: Link, seen: &mpsc::Sender<Seen>) -> io::Result<()> {
    let theirs = read_entries(&mut link).await?;
    let (answer, frames) = oneshot::channel();
    if seen.send(Seen::Asked(theirs, answer)).await.is_err() {
        return Ok(());
    }
    for frame in frames.await.unwrap_or_default() {
        link.send(&frame).await?;
    }
    // They close when they have read it all.
    let _ = timeout(PATIENCE, link.next()).await;
    Ok(())
}

/// Compares with the agent there.
pub async fn compare(
    agent: SocketAddr,
    key: Option<Key>,
    frames: Vec<Vec<u8>>,
    seen: mpsc::Sender<Seen>,
) {
    let talk = async {
        let stream = TcpStream::connect(agent).await?;
        let mut link = Link::open(stream, Side::Dialer, key.as_ref()).await?;
        link.send(&frame::compare()).await?;
        for frame in frames {
            link.send(&frame).await?;
        }
        read_entries(&mut link).await
    };
    // What fails now is tried again with somebody else.
    if let Ok(Ok(entries)) = timeout(3 * PATIENCE, talk).await {
        let _ = seen.send(Seen::Learned(entries)).await;
    }
}

/// A watcher follows us.
async fn watched(mut link: Link, number: u64, seen: &mpsc::Sender<Seen>) -> io::Result<()> {
    let (to, mut frames) = mpsc::channel(FRAMES);
    if seen.send(Seen::Watcher(number, to)).await.is_err() {
        return Ok(());
    }
    let served = async {
        loop {
            tokio::select! {
                frame = timeout(SILENT_WATCHER, link.next()) => {
                    let frame = frame.map_err(|_| ErrorKind::TimedOut)??;
                    let Some(frame) = frame else { return Ok(()) };
                    match Frame::read(&frame) {
                        Some(Frame::Ping) => {}
                        Some(Frame::Heard(life, sequence)) => {
                            let _ = seen.send(Seen::Heard(number, life, sequence)).await;
                        }
                        _ => return Err(bad()),
                    }
                }
                frame = frames.recv() => {
                    let Some(frame) = frame else { return Ok(()) };
                    link.send(&frame).await?;
                }
            }
        }
    };
    let served = served.await;
    let _ = seen.send(Seen::WatcherGone(number)).await;
    served
}

/// What a watcher needs to know.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Whom it watches.
    pub agent: SocketAddr,
    /// The cluster's key.
    pub key: Option<Key>,
    /// How often it asks the other's kernel for a sign of life.
    pub ping: Duration,
}

/// Watches an agent until the session ends.
pub async fn watch(watch: Watch, heard: mpsc::Receiver<Vec<u8>>, seen: mpsc::Sender<Seen>) {
    let dial = async {
        let stream = TcpStream::connect(watch.agent).await?;
        let mut link = Link::open(stream, Side::Dialer, watch.key.as_ref()).await?;
        link.send(&frame::watch()).await?;
        io::Result::Ok(link)
    };
    let linked = match timeout(PATIENCE, dial).await {
        Ok(Ok(link)) => {
            let _ = seen.send(Seen::Began(watch.agent)).await;
            // However it ends, it has ended.
            let _ = follow(link, &watch, heard, &seen).await;
            true
        }
        Ok(Err(_)) | Err(_) => false,
    };
    let _ = seen.send(Seen::Ended(watch.agent, linked)).await;
}

async fn follow(
    mut link: Link,
    watch: &Watch,
    mut heard: mpsc::Receiver<Vec<u8>>,
    seen: &mpsc::Sender<Seen>,
) -> io::Result<()> {
    let mut ping = interval(watch.ping);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut answers = None;
    loop {
        tokio::select! {
            frame = link.next() => {
                let Some(frame) = frame? else { return Ok(()) };
                let Some(Frame::Record(record)) = Frame::read(&frame) else {
                    return Err(bad());
                };
                if record.agent != watch.agent {
                    return Err(bad());
                }
                let _ = seen.send(Seen::Said(record)).await;
            }
            Some(frame) = heard.recv() => link.send(&frame).await?,
            _ = ping.tick() => {
                // What was sent a ping ago and is not acknowledged says that no kernel is there;
                // a process that stands still has one that is.
                let now = outq::unconfirmed(link.stream())? == 0;
                if answers != Some(now) {
                    answers = Some(now);
                    let _ = seen.send(Seen::Answers(watch.agent, now)).await;
                }
                link.send(&frame::ping()).await?;
            }
        }
    }
}
