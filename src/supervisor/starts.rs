//! Starts under way: the pipe that tells whether a child has reached its exec, and the one on which
//! a service writes that it is ready.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;

use crate::machine::slot::Ix;
use crate::machine::unit::{Event, Said};
use crate::os::attempt::{Attempt, Progress};
use crate::os::notification::{self, Told};
use crate::os::poll::Poller;
use crate::supervisor::launch::with_hint;

/// Why a program does not run.
pub(super) struct Fault {
    /// For people.
    pub(super) text: String,
    /// The exit code that a shell would have: 126 or 127.
    pub(super) code: u8,
}

impl Fault {
    fn silence() -> Self {
        Self {
            text: "it closed its notification descriptor without a newline".into(),
            code: 0,
        }
    }
}

/// Every start under way.
pub(super) struct Starts {
    poller: Poller,
    attempts: HashMap<Ix, Attempt>,
    notifications: HashMap<Ix, OwnedFd>,
}

/// A token is the service's number and one bit: which of its two pipes.
const NOTIFICATION: u64 = 1;

impl Starts {
    /// None.
    ///
    /// # Errors
    /// No descriptors left.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            poller: Poller::new()?,
            attempts: HashMap::new(),
            notifications: HashMap::new(),
        })
    }

    /// A start that has just begun. An earlier one of the same service is forgotten.
    ///
    /// # Errors
    /// As `epoll_ctl(2)`.
    pub(super) fn add(
        &mut self,
        ix: Ix,
        attempt: Attempt,
        notification: Option<OwnedFd>,
    ) -> io::Result<()> {
        self.forget(ix);
        self.poller.add_once(&attempt, ix as u64 * 2)?;
        self.attempts.insert(ix, attempt);
        if let Some(pipe) = notification {
            self.poller.add(&pipe, ix as u64 * 2 + NOTIFICATION)?;
            self.notifications.insert(ix, pipe);
        }
        Ok(())
    }

    /// Waits until one of them has something to say. Cancel-safe.
    pub(super) async fn wait(&mut self) -> Vec<u64> {
        self.poller.wait().await
    }

    /// What these have to say.
    pub(super) fn read(&mut self, tokens: &[u64]) -> Vec<(Ix, Event, Option<Fault>)> {
        let mut said = Vec::new();
        for token in tokens {
            let Ok(ix) = Ix::try_from(token / 2) else {
                continue;
            };
            let event = if token % 2 == NOTIFICATION {
                self.notified(ix)
            } else {
                self.tried(ix)
            };
            said.extend(event.map(|(event, fault)| (ix, event, fault)));
        }
        said
    }

    /// What a start whose process is gone has said before it went; then it is forgotten.
    pub(super) fn last_words(&mut self, ix: Ix) -> Vec<(Event, Option<Fault>)> {
        let words = [self.tried(ix), self.notified(ix)]
            .into_iter()
            .flatten()
            .collect();
        self.forget(ix);
        words
    }

    /// Gives back the room of starts that are over.
    pub(super) fn shrink(&mut self) {
        self.attempts.shrink_to_fit();
        self.notifications.shrink_to_fit();
    }

    fn tried(&mut self, ix: Ix) -> Option<(Event, Option<Fault>)> {
        let outcome = match self.attempts.get(&ix)?.progress() {
            Progress::Pending => return None,
            Progress::Executed => (Event::Execed, None),
            Progress::Failed(error) => {
                let text = with_hint(&error.to_string(), error.hint());
                (
                    Event::ExecFailed,
                    Some(Fault {
                        text,
                        code: error.code(),
                    }),
                )
            }
        };
        self.attempts.remove(&ix);
        Some(outcome)
    }

    /// The first newline means ready (s6); the end without one means that it will never tell.
    fn notified(&mut self, ix: Ix) -> Option<(Event, Option<Fault>)> {
        match notification::read_told(self.notifications.get(&ix)?) {
            Told::Nothing => None,
            Told::Ready => {
                self.close_notification(ix);
                Some((Event::Said(Said::Ready), None))
            }
            Told::End => {
                self.close_notification(ix);
                // As good as a probe that failed: it is told if nothing else makes it ready.
                Some((Event::Probed { ready: false }, Some(Fault::silence())))
            }
        }
    }

    /// What a start of this service has yet to say no longer matters.
    pub(super) fn forget(&mut self, ix: Ix) {
        self.attempts.remove(&ix);
        self.close_notification(ix);
    }

    /// Taken out of the set by hand: a child that has yet to reach its exec holds a copy, with
    /// which it would stay there (epoll(7)).
    fn close_notification(&mut self, ix: Ix) {
        if let Some(pipe) = self.notifications.remove(&ix) {
            self.poller.remove(&pipe);
        }
    }
}
