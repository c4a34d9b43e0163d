//! The services of this host that are announced, as PID 1 tells of them. A thread follows its
//! events, for the client waits; what it learns comes as values.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use nix::poll::{PollTimeout, poll};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::control::client::{Client, Failure, places};
use crate::control::protocol::{Reply, Request, State};
use crate::values::lists;

/// Between two tries to reach PID 1.
const RETRY_MS: u16 = 500;
/// So long PID 1 has to say how our services are before the members hear of us without that.
const FIRST_WORD: Duration = Duration::from_millis(500);
/// The thread reads lines of some kilobytes and parses them.
const STACK_BYTES: usize = 256 << 10;

/// A service of this host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Local {
    /// How it is.
    pub state: State,
    /// Its main process.
    pub pid: Option<i32>,
}

/// What the thread tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Word {
    /// How the services are now, by name; those that PID 1 does not know are missing.
    Services(BTreeMap<String, Local>),
    /// Why PID 1 does not tell. What it told last stands.
    Silent(String),
}

/// Follows these services until nobody listens any more. Of no services there is nothing to tell.
///
/// # Errors
/// No thread is to be had.
pub fn follow(names: Vec<String>, words: mpsc::Sender<Word>) -> std::io::Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let builder = thread::Builder::new().name("events".into());
    let builder = builder.stack_size(STACK_BYTES);
    builder.spawn(move || {
        let mut told = None;
        while let Err(why) = listen(&names, &words) {
            let why = why.diagnostic().message;
            if told.as_ref() != Some(&why)
                && words.blocking_send(Word::Silent(why.clone())).is_err()
            {
                return;
            }
            told = Some(why);
            // Nothing to wait for but time.
            let _ = poll(&mut [], PollTimeout::from(RETRY_MS));
        }
    })?;
    Ok(())
}

/// The first word, for which everybody else waits a little: an agent that starts again must not
/// make what is ready look gone, by a first record that does not know it yet.
pub async fn first(words: &mut mpsc::Receiver<Word>) -> Option<Word> {
    timeout(FIRST_WORD, words.recv()).await.ok().flatten()
}

/// One conversation. Ends well when nobody listens to us any more.
fn listen(names: &[String], words: &mpsc::Sender<Word>) -> Result<(), Failure> {
    let mut client = Client::connect(&places())?;
    client.send(&Request::Events {
        last: Some(0),
        follow: true,
    })?;
    let mut services: BTreeMap<String, Local> = BTreeMap::new();
    loop {
        let reply = client.next(None)?;
        let reply = reply.ok_or_else(|| Failure::Broken("it closed the connection".to_owned()))?;
        let before = services.clone();
        match reply {
            Reply::Status(status) => {
                let own = status.services.into_iter();
                let own = own.filter(|one| names.contains(&one.name));
                services = lists::filled(own.map(|one| {
                    let local = Local {
                        state: one.state,
                        pid: one.pid,
                    };
                    (one.name, local)
                }));
                if words
                    .blocking_send(Word::Services(services.clone()))
                    .is_err()
                {
                    return Ok(());
                }
                continue;
            }
            Reply::Event(event) => {
                let own = event.service.as_ref().filter(|name| names.contains(name));
                if let (Some(name), Some(state)) = (own, event.reached()) {
                    let pid = event.pid;
                    services.insert(name.clone(), Local { state, pid });
                }
            }
            // Some were missed: a new conversation begins with how things are.
            Reply::Skipped { .. } => return Err(Failure::Broken("events were missed".to_owned())),
            Reply::Ok(_) | Reply::Rescanned(_) | Reply::Line(_) | Reply::End | Reply::Error(_) => {}
        }
        if services != before
            && words
                .blocking_send(Word::Services(services.clone()))
                .is_err()
        {
            return Ok(());
        }
    }
}
