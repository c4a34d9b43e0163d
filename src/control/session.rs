//! One client's conversation: its requests one by one, and what it is sent. It runs as a task of
//! its own, so that a client can only ever delay itself.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::control::door::{Door, read_into};
use crate::control::grant::Grant;
use crate::control::outbox::{Next, Outbox};
use crate::control::protocol::{Message, Refusal, RefusalKind, Reply, Request, VERSION};
use crate::control::rights::{Peer, Right, allow};
use crate::os::clock;
use crate::values::stamp::rfc3339;

/// The longest request, bytes: a thousand names of 64 bytes.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// From the first byte of a request to its last. A program writes it at once; a person who types
/// it into `socat` sends it whole too.
pub const REQUEST_TIME: Duration = Duration::from_secs(5);

/// How long a client may stay silent between requests, so that a forgotten one frees its seat.
pub const IDLE_TIME: Duration = Duration::from_secs(60);

/// How long an answer may be stuck in a client that does not read.
pub const WRITE_TIME: Duration = Duration::from_secs(5);

/// The same for a client that follows: a terminal that somebody halted with ^S, and came back to.
pub const FOLLOWER_WRITE_TIME: Duration = Duration::from_secs(600);

/// How long the loop may take for an answer. It answers in the same turn, so this is a bug's limit.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// A client, for as long as it is connected. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId(pub(super) u64);

/// What the server and the client's task share.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: ClientId,
    pub(super) right: Right,
    /// It came by a service's descriptor.
    pub(super) grant: Option<Rc<Grant>>,
    /// It is that descriptor.
    pub(super) is_door: bool,
    /// The task, to be ended with the service's process.
    pub(super) task: RefCell<Option<AbortHandle>>,
    outbox: RefCell<Outbox>,
    /// There is something new in the outbox.
    wake: Notify,
    /// The current answer is several messages.
    streams: Cell<bool>,
    pub(super) follows: RefCell<Follows>,
    /// Some of what was queued is on its way.
    is_writing: Cell<bool>,
    /// The task has ended.
    pub(super) is_gone: Cell<bool>,
}

/// What a client is told without asking each time.
#[derive(Default, Debug)]
pub(super) struct Follows {
    pub(super) events: bool,
    /// The lines of these services; empty means all.
    pub(super) lines: Option<Vec<String>>,
}

impl Client {
    pub(super) fn new(id: ClientId, right: Right) -> Self {
        Self {
            id,
            right,
            grant: None,
            is_door: false,
            task: RefCell::default(),
            outbox: RefCell::default(),
            wake: Notify::new(),
            streams: Cell::new(false),
            follows: RefCell::default(),
            is_writing: Cell::new(false),
            is_gone: Cell::new(false),
        }
    }

    /// One that came by a service's descriptor, or is it.
    pub(super) fn of_service(id: ClientId, grant: Rc<Grant>, is_door: bool) -> Self {
        Self {
            grant: Some(grant),
            is_door,
            ..Self::new(id, Right::Read)
        }
    }

    /// Queues a part of the current answer.
    pub(super) fn answer(&self, reply: &Reply) {
        let text = line_of(reply);
        match reply {
            Reply::Line(_) | Reply::Event(_) => self.outbox.borrow_mut().push_line(text),
            Reply::Ok(_) | Reply::Rescanned(_) | Reply::Error(_) | Reply::End => {
                self.outbox.borrow_mut().push(text, true);
            }
            Reply::Status(_) | Reply::Skipped { .. } => {
                self.outbox.borrow_mut().push(text, !self.streams.get());
            }
        }
        self.wake.notify_one();
    }

    /// Queues a line or an event that it follows.
    pub(super) fn tell(&self, text: &Rc<str>) {
        self.outbox.borrow_mut().push_line(Rc::clone(text));
        self.wake.notify_one();
    }

    /// Changes what it follows.
    pub(super) fn follow(&self, change: impl FnOnce(&mut Follows)) {
        change(&mut self.follows.borrow_mut());
        self.wake.notify_one();
    }

    fn is_following(&self) -> bool {
        let follows = self.follows.borrow();
        follows.events || follows.lines.is_some()
    }

    /// Everything queued has been handed to the kernel.
    pub(super) fn is_drained(&self) -> bool {
        !self.is_writing.get() && self.outbox.borrow().is_empty()
    }

    fn begin(&self, request: &Request) {
        self.outbox.borrow_mut().clear();
        self.streams.set(request.streams());
    }

    fn end(&self) {
        *self.follows.borrow_mut() = Follows::default();
        self.outbox.borrow_mut().clear();
    }
}

/// A message as a line of the wire.
pub(super) fn line_of(reply: &Reply) -> Rc<str> {
    #[derive(Serialize)]
    struct Line<'a> {
        version: u32,
        #[serde(flatten)]
        body: &'a Reply,
    }
    let line = Line {
        version: VERSION,
        body: reply,
    };
    // Our own types have string keys and finite numbers only, so this cannot fail.
    let mut text = serde_json::to_string(&line).unwrap_or_default();
    text.push('\n');
    text.into()
}

/// A request, and whose.
pub(super) type Asked = (ClientId, Peer, Request);

/// How a conversation ends.
enum Ending {
    /// Nothing is left to be said, or nobody to say it to.
    Closed,
    /// The client is told why.
    Refused(Refusal),
}

impl From<io::Error> for Ending {
    fn from(_broken: io::Error) -> Self {
        Self::Closed
    }
}

/// The task's side.
pub(super) struct Session {
    pub(super) stream: UnixStream,
    pub(super) peer: Peer,
    pub(super) client: Rc<Client>,
    pub(super) requests: mpsc::Sender<Asked>,
    /// What was read beyond the last request.
    pub(super) unread: Vec<u8>,
    /// It is a service's own descriptor.
    pub(super) door: Option<Door>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.client.end();
        self.client.is_gone.set(true);
    }
}

impl Session {
    /// The whole conversation.
    pub(super) async fn run(mut self) {
        if let Err(Ending::Refused(refusal)) = self.talk().await {
            let text = line_of(&Reply::Error(refusal));
            // It is told if it listens; either way the connection is closed.
            let _ = self.write(text.as_bytes(), WRITE_TIME).await;
        }
    }

    async fn talk(&mut self) -> Result<(), Ending> {
        loop {
            let line = self.line().await?;
            let request = parse(&line)?;
            if let Err(refusal) = self.allowed(&request) {
                if self.door.is_none() {
                    return Err(Ending::Refused(refusal));
                }
                // The service cannot open another one.
                let text = line_of(&Reply::Error(refusal));
                self.write(text.as_bytes(), WRITE_TIME).await?;
                continue;
            }
            self.client.begin(&request);
            let follows = request.follows();
            let asked = (self.client.id, self.peer.clone(), request);
            if self.requests.send(asked).await.is_err() {
                return Err(Ending::Closed);
            }
            self.send_answer(follows).await?;
            self.client.end();
        }
    }

    fn allowed(&self, request: &Request) -> Result<(), Refusal> {
        match &self.client.grant {
            Some(grant) => grant.allow(request),
            None => allow(self.client.right, request, &self.peer),
        }
    }

    /// The next request's line, without its end. The end of the stream ends a line too.
    async fn line(&mut self) -> Result<Vec<u8>, Ending> {
        let mut searched = 0;
        let mut by = self.patience();
        loop {
            let fresh = self.unread.get(searched..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|byte| *byte == b'\n') {
                let rest = self.unread.split_off(searched + at + 1);
                let mut line = std::mem::replace(&mut self.unread, rest);
                line.pop();
                if line.is_empty() && self.door.is_some() {
                    (searched, by) = (0, self.patience());
                    continue;
                }
                return Ok(line);
            }
            if self.unread.len() > REQUEST_BYTES_MAX {
                let message = format!("a request has at most {REQUEST_BYTES_MAX} bytes");
                return Err(bad_request(message));
            }
            searched = self.unread.len();
            let read = read_into(&self.stream, &mut self.unread, self.door.as_ref());
            let read = match by {
                Some(by) => timeout_at(by, read).await,
                None => Ok(read.await),
            };
            match read {
                Ok(Ok(0)) if self.unread.is_empty() => return Err(Ending::Closed),
                Ok(Ok(0)) => return Ok(std::mem::take(&mut self.unread)),
                Ok(Ok(_)) if searched == 0 => by = self.patience(),
                Ok(read) => _ = read?,
                Err(_late) if self.unread.is_empty() => return Err(Ending::Closed),
                Err(_late) => {
                    let message = format!("no whole request within {}s", REQUEST_TIME.as_secs());
                    return Err(bad_request(message));
                }
            }
        }
    }

    /// Until when the next request must have come whole. A service's own descriptor is there for as
    /// long as its process, and may be silent.
    fn patience(&self) -> Option<Instant> {
        match (self.unread.is_empty(), &self.door) {
            (true, Some(_)) => None,
            (true, None) => Some(Instant::now() + IDLE_TIME),
            (false, _) => Some(Instant::now() + REQUEST_TIME),
        }
    }

    /// Sends what the loop answers, up to the end of the answer.
    async fn send_answer(&mut self, follows: bool) -> Result<(), Ending> {
        let patience = if follows {
            FOLLOWER_WRITE_TIME
        } else {
            WRITE_TIME
        };
        loop {
            let next = self.client.outbox.borrow_mut().take();
            match next {
                Next::Bytes { bytes, is_last } => {
                    self.write(&bytes, patience).await?;
                    if is_last {
                        return Ok(());
                    }
                }
                Next::Skipped(lines) => {
                    let ts = rfc3339(clock::wall());
                    let text = line_of(&Reply::Skipped { ts, lines });
                    self.write(text.as_bytes(), patience).await?;
                }
                Next::Nothing if self.client.is_following() => self.wait_as_follower().await?,
                Next::Nothing => {
                    let answer = self.client.wake.notified();
                    if timeout(ANSWER_TIME, answer).await.is_err() {
                        let refusal = Refusal::new(RefusalKind::Busy, "no answer in time");
                        return Err(Ending::Refused(refusal));
                    }
                }
            }
        }
    }

    /// Until there is something to send, or the follower ends it.
    async fn wait_as_follower(&mut self) -> Result<(), Ending> {
        let mut said = Vec::new();
        tokio::select! {
            () = self.client.wake.notified() => Ok(()),
            read = read_into(&self.stream, &mut said, self.door.as_ref()) => match read? {
                0 => Err(Ending::Closed),
                _knock if self.door.is_some() && said.iter().all(|byte| *byte == b'\n') => Ok(()),
                _some => Err(bad_request("a client that follows says nothing more")),
            },
        }
    }

    async fn write(&mut self, bytes: &[u8], patience: Duration) -> Result<(), Ending> {
        self.client.is_writing.set(true);
        let written = timeout(patience, self.stream.write_all(bytes)).await;
        self.client.is_writing.set(false);
        Ok(written.map_err(|_late| Ending::Closed)??)
    }
}

fn bad_request(message: impl Into<String>) -> Ending {
    Ending::Refused(
        Refusal::new(RefusalKind::BadRequest, message)
            .hint(r#"one JSON object on one line, such as {"version":1,"verb":"status"}"#),
    )
}

/// Reads a request. serde_json bounds the depth of what it reads (128).
fn parse(line: &[u8]) -> Result<Request, Ending> {
    let message: Message<Request> = serde_json::from_slice(line)
        .map_err(|error| bad_request(format!("cannot read the request: {error}")))?;
    if message.version == VERSION {
        Ok(message.body)
    } else {
        Err(bad_request(format!(
            "pidone speaks version {VERSION} of the protocol, this is version {}",
            message.version
        )))
    }
}
