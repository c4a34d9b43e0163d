//! The agent's own socket: where `pidone members`, `pidone render` and `pidone drain` ask. Each
//! client has a task of its own, a bound on what it says and on the time it takes.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::agent::wire::{Reply, Request};
use crate::control::rights::known;

/// The longest question, bytes.
const REQUEST_BYTES_MAX: u64 = 4096;
/// For a question to come, and an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// For the agent to answer: a drain waits for others.
const ANSWER: Duration = Duration::from_secs(10);
/// For the list of members to become another one.
const WATCH: Duration = Duration::from_secs(8);
/// Clients at once of root, and of our own user.
const OURS_MAX: usize = 48;
/// Of each other user. Each sits apart: a drain is not to wait for strangers.
const OTHERS_MAX: usize = 16;
/// Of all those together.
const STRANGERS_MAX: usize = 64;

/// A question, whose it is, and where its answer goes.
pub struct Asked {
    /// The user who asks.
    pub uid: u32,
    /// What.
    pub request: Request,
    /// Where.
    pub answer: oneshot::Sender<Reply>,
}

/// The socket; gone when it is dropped.
pub struct Desk {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Desk {
    /// Listens; questions go to `asked`.
    ///
    /// # Errors
    /// The socket cannot be made there.
    pub fn open(path: &Path, asked: mpsc::Sender<Asked>) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        // What is there was left behind: an agent that lives is asked by nobody twice.
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(path)?;
        // Who may ask what is decided by who it is.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
        let task = tokio::spawn(receive(listener, asked));
        Ok(Self {
            path: path.to_owned(),
            task,
        })
    }
}

/// Who sits where, by user.
struct Seats {
    own: u32,
    by_uid: BTreeMap<u32, JoinSet<()>>,
}

impl Seats {
    /// The seats of this user, if one is free; or how many there are.
    fn of(&mut self, uid: u32) -> Result<&mut JoinSet<()>, usize> {
        self.by_uid.retain(|_, seats| {
            while seats.try_join_next().is_some() {}
            !seats.is_empty()
        });
        let own = self.own;
        let is_ours = |uid: u32| uid == 0 || uid == own;
        let others = self.by_uid.iter().filter(|(uid, _)| !is_ours(**uid));
        let strangers: usize = others.map(|(_, seats)| seats.len()).sum();
        let max = if is_ours(uid) { OURS_MAX } else { OTHERS_MAX };
        let seats = self.by_uid.entry(uid).or_default();
        if seats.len() >= max {
            Err(max)
        } else if !is_ours(uid) && strangers >= STRANGERS_MAX {
            Err(STRANGERS_MAX)
        } else {
            Ok(seats)
        }
    }
}

async fn receive(listener: UnixListener, asked: mpsc::Sender<Asked>) {
    let mut seats = Seats {
        own: nix::unistd::Uid::effective().as_raw(),
        by_uid: BTreeMap::new(),
    };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptors: some client will end.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        // Whoever is nobody here, in another container, is not our own or a service's `nobody`.
        let peer = stream.peer_cred().ok();
        let uid = peer.and_then(|peer| known(peer.uid(), peer.pid().unwrap_or(0)));
        let uid = uid.unwrap_or(u32::MAX);
        match seats.of(uid) {
            Ok(seats) => {
                seats.spawn(serve(stream, uid, asked.clone()));
            }
            Err(max) => {
                // An empty socket takes a line at once; otherwise the end says it.
                let full = fault(format!("{max} others ask already; try again later"));
                let _ = stream.try_write(&text(&full));
            }
        }
    }
}

async fn serve(mut stream: UnixStream, uid: u32, asked: mpsc::Sender<Asked>) {
    let reply = match timeout(PATIENCE, line(&mut stream)).await {
        Ok(Ok(line)) => match serde_json::from_slice::<Request>(&line) {
            Ok(request) => ask(uid, request, &asked).await,
            Err(error) => fault(format!("cannot read the request: {error}")),
        },
        Ok(Err(_)) | Err(_) => return,
    };
    // Whoever does not take the answer does without.
    let _ = timeout(PATIENCE, stream.write_all(&text(&reply))).await;
}

fn text(reply: &Reply) -> Vec<u8> {
    let mut text = serde_json::to_vec(reply).unwrap_or_default();
    text.push(b'\n');
    text
}

async fn ask(uid: u32, request: Request, asked: &mpsc::Sender<Asked>) -> Reply {
    let question_waits = matches!(request, Request::Members { since: Some(_) });
    let (answer, reply) = oneshot::channel();
    let question = Asked {
        uid,
        request,
        answer,
    };
    if asked.send(question).await.is_err() {
        return fault("the agent is about to end".to_owned());
    }
    let patience = if question_waits { WATCH } else { ANSWER };
    match timeout(patience, reply).await {
        Ok(Ok(reply)) => reply,
        // Nothing new: who watches asks again.
        Err(_) if question_waits => Reply::Ok,
        Ok(Err(_)) | Err(_) => fault("the agent does not answer".to_owned()),
    }
}

fn fault(message: String) -> Reply {
    Reply::Error { message }
}

async fn line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut bounded = stream.take(REQUEST_BYTES_MAX);
    while !line.ends_with(b"\n") {
        if bounded.read_buf(&mut line).await? == 0 {
            break;
        }
    }
    Ok(line)
}

/// Asks the agent at this socket, as a client does: waits, with a deadline.
///
/// # Errors
/// Nobody listens there, or the answer makes no sense.
pub fn ask_agent(path: &Path, request: &Request) -> io::Result<Reply> {
    use std::io::{Read, Write};
    let mut stream = std::os::unix::net::UnixStream::connect(path)?;
    stream.set_read_timeout(Some(ANSWER + PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut text = serde_json::to_vec(request)?;
    text.push(b'\n');
    let sent = stream.write_all(&text);
    let mut answer = Vec::new();
    let read = stream.take(64 << 20).read_to_end(&mut answer);
    // Who was refused unheard has an answer all the same, and then a broken connection.
    if !answer.ends_with(b"\n") {
        sent.and(read)?;
    }
    Ok(serde_json::from_slice(&answer)?)
}
