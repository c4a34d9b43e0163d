//! The listening side of the control socket. It owns the listener and the clients; the loop sees
//! requests that are well-formed and allowed, and hands back replies that never make it wait.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use nix::unistd::{Gid, Uid};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use crate::control::door::{Door, Knock};
use crate::control::grant::Grant;
use crate::control::place::Place;
use crate::control::protocol::{Event, Line, Refusal, RefusalKind, Reply, Request};
use crate::control::rights::{self, Peer, Right};
use crate::control::session::{Asked, Client, ClientId, Session, line_of};
use crate::os::reason::reason;
use crate::os::{passed, peer};
use crate::values::{Moment, Name};

/// How many clients at once. Each `pidone` that waits has two; a fleet's health checks, people and
/// an agent come to a few dozen.
pub const CLIENTS_MAX: usize = 128;

/// How many of them may be such as only look, so that they cannot lock root out.
pub const CLIENTS_LOOKING_MAX: usize = 96;

/// So many processes of services may wait for a connection at once.
const KNOCKS_MAX: usize = 32;

/// After a failed accept (no descriptors left, say): the listener stays readable, so without a rest
/// we would spin.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Whether the socket is still there is looked at this seldom.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The control socket and its clients. Lives on a current-thread runtime inside a `LocalSet`.
pub struct Server {
    /// Where it listens.
    place: Option<Place>,
    /// When it was last seen to that the socket is there.
    looked: Moment,
    /// The socket file that is ours, by device and inode.
    file: Option<(u64, u64)>,
    /// Without it, only services ask that were handed a descriptor.
    listener: Option<UnixListener>,
    own_uid: u32,
    group: Option<u32>,
    clients: Vec<Rc<Client>>,
    next_id: u64,
    /// Each client has at most one request here, so there is always room.
    sender: mpsc::Sender<Asked>,
    requests: mpsc::Receiver<Asked>,
    /// Made with the first descriptor that is handed out.
    knocks: Option<(mpsc::Sender<Knock>, mpsc::Receiver<Knock>)>,
}

impl Server {
    /// Listens at the first of these places that can be had. With a `group`, its members may
    /// look; where the socket cannot be given to it, the caller may try again without.
    ///
    /// # Errors
    /// None of them can be had; the text names each, and why.
    pub fn bind(places: &[Place], group: Option<u32>) -> io::Result<Self> {
        let mut faults = Vec::new();
        for place in places {
            match place.listen(group).and_then(UnixListener::from_std) {
                Ok(listener) => return Ok(Self::new(Some(place), Some(listener), group)),
                Err(error) => faults.push(format!("{}: {}", place.path.display(), reason(&error))),
            }
        }
        Err(io::Error::other(faults.join("; ")))
    }

    /// Asked by nobody but services that are handed a descriptor.
    pub fn without_socket() -> Self {
        Self::new(None, None, None)
    }

    fn new(place: Option<&Place>, listener: Option<UnixListener>, group: Option<u32>) -> Self {
        let (sender, requests) = mpsc::channel(CLIENTS_MAX);
        Self {
            file: place.and_then(identity),
            place: place.cloned(),
            looked: Moment::at(Duration::ZERO),
            listener,
            own_uid: Uid::effective().as_raw(),
            group,
            clients: Vec::new(),
            next_id: 0,
            sender,
            requests,
            knocks: None,
        }
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        self.place
            .as_ref()
            .map_or(Path::new(""), |place| &place.path)
    }

    /// Listens anew where somebody has removed the socket, or its directory. Looks at most once a
    /// second, and only when called: an idle PID 1 does not wake up for it.
    pub fn look_after(&mut self, now: Moment) {
        let Some(place) = self
            .place
            .as_ref()
            .filter(|_| now.since(self.looked) >= LOOK_EVERY)
        else {
            return;
        };
        self.looked = now;
        if identity(place).is_some_and(|found| Some(found) == self.file) {
            return;
        }
        match place.listen(self.group).and_then(UnixListener::from_std) {
            Ok(listener) => {
                tracing::warn!("{} was removed: made anew", place.path.display());
                self.listener = Some(listener);
                self.file = identity(place);
            }
            // As long as it cannot be, or somebody else listens there.
            Err(error) => tracing::debug!("no control socket: {}", reason(&error)),
        }
    }

    /// The next request, from somebody who may make it. It must be answered ([`Self::reply`]) in
    /// the same turn. Cancel-safe.
    pub async fn next(&mut self) -> (ClientId, Peer, Request) {
        loop {
            tokio::select! {
                Some(asked) = self.requests.recv() => return asked,
                stream = accept(self.listener.as_ref()) => self.welcome(stream),
                (grant, socket) = knock(&mut self.knocks) => self.let_in(grant, &socket),
            }
        }
    }

    /// Answers a client, or a part of it: a stream (`logs`, `events`) is answered by any number of
    /// lines, events and one status, then `End` unless it follows; everything else by one reply.
    /// A client that has left hears nothing.
    pub fn reply(&mut self, to: ClientId, reply: &Reply) {
        if let Some(client) = self.client(to) {
            client.answer(reply);
        }
    }

    /// From now on, this client gets every published event. Call it after the answer's first part.
    pub fn follow_events(&mut self, client: ClientId) {
        if let Some(client) = self.client(client) {
            client.follow(|follows| follows.events = true);
        }
    }

    /// From now on, this client gets every published line of these services (empty: of all).
    pub fn follow_lines(&mut self, client: ClientId, names: Vec<String>) {
        if let Some(client) = self.client(client) {
            client.follow(|follows| follows.lines = Some(names));
        }
    }

    /// Whether anybody follows events.
    pub fn has_event_followers(&self) -> bool {
        self.clients
            .iter()
            .any(|client| client.follows.borrow().events)
    }

    /// Tells everybody who follows events.
    pub fn publish(&self, event: &Event) {
        let mut text = None;
        for client in &self.clients {
            if client.follows.borrow().events {
                client.tell(text.get_or_insert_with(|| line_of(&Reply::Event(event.clone()))));
            }
        }
    }

    /// Whether anybody follows any lines at all.
    pub fn has_line_followers(&self) -> bool {
        self.clients
            .iter()
            .any(|client| client.follows.borrow().lines.is_some())
    }

    /// Whether anybody follows the lines of this service: nobody else's need be made.
    pub fn wants_lines(&self, service: &str) -> bool {
        let wants = |client: &Rc<Client>| wants_line(client, service);
        self.clients.iter().any(wants)
    }

    /// Tells everybody who follows this service's lines.
    pub fn publish_line(&self, line: &Line) {
        let mut text = None;
        for client in &self.clients {
            if wants_line(client, &line.service) {
                client.tell(text.get_or_insert_with(|| line_of(&Reply::Line(line.clone()))));
            }
        }
    }

    /// Whether everything queued has been handed to the kernel: at the end of the container, the
    /// loop waits a little for this, so that the last events arrive.
    pub fn is_drained(&self) -> bool {
        self.clients.iter().all(|client| client.is_drained())
    }

    fn client(&self, id: ClientId) -> Option<&Rc<Client>> {
        self.clients.iter().find(|client| client.id == id)
    }

    fn welcome(&mut self, stream: UnixStream) {
        self.clients.retain(|client| !client.is_gone.get());
        let Ok(peer) = who(&stream) else {
            return;
        };
        let right = rights::right(&peer, self.own_uid, self.group);
        if right == Right::Nothing {
            return dismiss(stream, rights::stranger(&peer));
        }
        if !self.has_seat(right) {
            return dismiss(stream, Refusal::new(RefusalKind::Busy, "too many clients"));
        }
        let client = Client::new(self.id(), right);
        self.seat(stream, peer, client, None);
    }

    fn id(&mut self) -> ClientId {
        self.next_id += 1;
        ClientId(self.next_id)
    }

    fn seat(&mut self, stream: UnixStream, peer: Peer, client: Client, door: Option<Door>) {
        let client = Rc::new(client);
        self.clients.push(Rc::clone(&client));
        let session = Session {
            stream,
            peer,
            client: Rc::clone(&client),
            requests: self.sender.clone(),
            unread: Vec::new(),
            door,
        };
        let task = tokio::task::spawn_local(session.run());
        if client.grant.is_some() {
            client.task.replace(Some(task.abort_handle()));
        }
    }

    /// Services' own descriptors take no seat: each has one at most.
    fn has_seat(&self, right: Right) -> bool {
        let seated = || self.clients.iter().filter(|client| !client.is_door);
        let looking = |client: &&Rc<Client>| client.right == Right::Read;
        let crowded = seated().filter(looking).count() >= CLIENTS_LOOKING_MAX;
        seated().count() < CLIENTS_MAX && (right == Right::Change || !crowded)
    }

    /// Makes the descriptor that a service's process is handed, over which this may be asked, and
    /// nothing else. One that was handed out before is worth nothing any more.
    ///
    /// # Errors
    /// No descriptors left.
    pub fn admit(&mut self, grant: Grant) -> io::Result<OwnedFd> {
        self.revoke(&grant.service);
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let stream = UnixStream::from_std(ours)?;
        let grant = Rc::new(grant);
        let knocks = self.knocks.get_or_insert_with(|| mpsc::channel(KNOCKS_MAX));
        let door = Door {
            grant: Rc::clone(&grant),
            knocks: knocks.0.clone(),
        };
        let client = Client::of_service(self.id(), grant, true);
        self.seat(stream, self.ourselves(), client, Some(door));
        Ok(theirs.into())
    }

    /// What this service was handed is worth nothing any more, and who came by it is gone.
    pub fn revoke(&mut self, service: &Name) {
        self.clients.retain(|client| {
            let of_it = client
                .grant
                .as_ref()
                .is_some_and(|it| it.service == *service);
            if of_it && let Some(task) = client.task.take() {
                task.abort();
            }
            !of_it && !client.is_gone.get()
        });
    }

    /// The service by whose descriptor this client came.
    pub fn service_of(&self, client: ClientId) -> Option<&Name> {
        let grant = self.client(client)?.grant.as_ref()?;
        Some(&grant.service)
    }

    /// A process of a service wants a connection of its own.
    fn let_in(&mut self, grant: Rc<Grant>, socket: &OwnedFd) {
        self.clients.retain(|client| !client.is_gone.get());
        let is_open = |client: &Rc<Client>| {
            let same = |known: &Rc<Grant>| Rc::ptr_eq(known, &grant);
            client.is_door && client.grant.as_ref().is_some_and(same)
        };
        if !self.clients.iter().any(is_open) {
            return;
        }
        let Ok(stream) = passed::connect_back(socket).and_then(UnixStream::from_std) else {
            return;
        };
        if !self.has_seat(Right::Read) {
            return dismiss(stream, Refusal::new(RefusalKind::Busy, "too many clients"));
        }
        let client = Client::of_service(self.id(), grant, false);
        self.seat(stream, self.ourselves(), client, None);
    }

    /// Who made a connection that nobody has opened from outside.
    fn ourselves(&self) -> Peer {
        Peer {
            uid: self.own_uid,
            gid: Gid::effective().as_raw(),
            pid: i32::try_from(std::process::id()).unwrap_or(0),
            groups: Vec::new(),
        }
    }
}

impl Drop for Server {
    /// Takes the socket's file away, unless another pidone has put its own there.
    fn drop(&mut self) {
        let found = self.place.as_ref().and_then(identity);
        if found.is_some() && found == self.file {
            let _ = std::fs::remove_file(self.path());
        }
    }
}

/// The file that is there, by device and inode.
fn identity(place: &Place) -> Option<(u64, u64)> {
    let file = std::fs::symlink_metadata(&place.path).ok()?;
    Some((file.dev(), file.ino()))
}

fn wants_line(client: &Rc<Client>, service: &str) -> bool {
    match &client.follows.borrow().lines {
        None => false,
        Some(names) => names.is_empty() || names.iter().any(|name| name == service),
    }
}

async fn knock(knocks: &mut Option<(mpsc::Sender<Knock>, mpsc::Receiver<Knock>)>) -> Knock {
    if let Some((_, knocks)) = knocks
        && let Some(knock) = knocks.recv().await
    {
        return knock;
    }
    std::future::pending().await
}

async fn accept(listener: Option<&UnixListener>) -> UnixStream {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok((stream, _unnamed)) => return stream,
            Err(_out_of_descriptors) => tokio::time::sleep(ACCEPT_REST).await,
        }
    }
}

fn who(stream: &UnixStream) -> io::Result<Peer> {
    let credentials = stream.peer_cred()?;
    Ok(Peer {
        uid: credentials.uid(),
        gid: credentials.gid(),
        pid: credentials.pid().unwrap_or(0),
        // A kernel that cannot tell them leaves the effective group.
        groups: peer::groups(stream.as_fd()).unwrap_or_default(),
    })
}

/// Says why, if that can be said without waiting, and closes.
fn dismiss(stream: UnixStream, refusal: Refusal) {
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write_all(line_of(&Reply::Error(refusal)).as_bytes());
    }
}
