//! Whom we watch: a session each, dialled again when it ends, and what its end means.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::agent::gossip::directory::Evidence;
use crate::values::Moment;
use crate::values::lists;

/// The first try after a session's end; then twice as long, up to [`RETRY_MAX`].
const RETRY: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// So long a member without an agent stands, while its services answer: an agent is started anew
/// in less.
const GRACE: Duration = Duration::from_secs(3);

/// One whom we watch, or try to.
#[derive(Debug)]
struct Watched {
    /// Where to say that we have acted on its record; while there is a session, or one is dialled.
    heard: Option<mpsc::Sender<Vec<u8>>>,
    retry_at: Moment,
    pause: Duration,
    /// Its agent is gone and its services answer: believed until then.
    grace: Option<Moment>,
    /// Its record that was not answered yet.
    unheard: Option<(u64, u32)>,
}

/// All whom we watch.
#[derive(Default, Debug)]
pub(super) struct Watches(BTreeMap<SocketAddr, Watched>);

impl Watches {
    /// Of those who are up, the ones to dial now; frames to them are read from what is given.
    pub(super) fn dial(
        &mut self,
        up: &[SocketAddr],
        now: Moment,
    ) -> Vec<(SocketAddr, mpsc::Receiver<Vec<u8>>)> {
        let mut dialled = Vec::new();
        // Whoever is believed although its agent is gone is dialled until it is not.
        let believed = self.0.iter().filter(|(_, watched)| watched.grace.is_some());
        let believed: Vec<SocketAddr> = believed.map(|(agent, _)| *agent).collect();
        for agent in up.iter().chain(&believed) {
            let watched = self.0.entry(*agent).or_insert(Watched {
                heard: None,
                retry_at: now,
                pause: RETRY,
                grace: None,
                unheard: None,
            });
            if watched.heard.is_none() && watched.retry_at <= now {
                let (heard, frames) = mpsc::channel(4);
                watched.heard = Some(heard);
                dialled.push((*agent, frames));
            }
        }
        dialled
    }

    /// A session has begun.
    pub(super) fn began(&mut self, agent: SocketAddr) {
        if let Some(watched) = self.0.get_mut(&agent) {
            watched.pause = RETRY;
            watched.grace = None;
        }
    }

    /// A session has ended, or could not be had.
    pub(super) fn ended(&mut self, agent: SocketAddr, now: Moment) {
        if let Some(watched) = self.0.get_mut(&agent) {
            watched.heard = None;
            watched.retry_at = now + watched.pause;
            watched.pause = (watched.pause * 2).min(RETRY_MAX);
        }
    }

    /// What it means that, without its agent, its services answer or do not.
    pub(super) fn checked(&mut self, agent: SocketAddr, answers: bool, now: Moment) -> Evidence {
        match self.0.get_mut(&agent) {
            // There is a session again.
            Some(watched) if watched.heard.is_some() && watched.pause == RETRY => Evidence::Holds,
            Some(watched) if answers => {
                watched.grace = Some(now + GRACE);
                Evidence::Holds
            }
            Some(_) | None => Evidence::Gone,
        }
    }

    /// Those whose agent has not come back in time: from now on the gossip decides.
    pub(super) fn overdue(&mut self, now: Moment) -> Vec<SocketAddr> {
        let mut overdue = Vec::new();
        for (agent, watched) in &mut self.0 {
            if watched.grace.is_some_and(|until| until <= now) {
                watched.grace = None;
                overdue.push(*agent);
            }
        }
        overdue
    }

    /// Forgets those that are gone and have no session.
    pub(super) fn forget(&mut self, up: &[SocketAddr]) {
        let up: BTreeSet<&SocketAddr> = lists::filled(up);
        self.0.retain(|agent, watched| {
            watched.heard.is_some() || watched.grace.is_some() || up.contains(agent)
        });
    }

    /// It has said this; it wants to know when we have acted on it.
    pub(super) fn said(&mut self, agent: SocketAddr, life: u64, sequence: u32) {
        if let Some(watched) = self.0.get_mut(&agent) {
            watched.unheard = Some((life, sequence));
        }
    }

    /// We have acted on all that was said.
    pub(super) fn acted(&mut self, frame: impl Fn(u64, u32) -> Vec<u8>) {
        for watched in self.0.values_mut() {
            let Some((life, sequence)) = watched.unheard.take() else {
                continue;
            };
            if let Some(heard) = &watched.heard {
                // A full queue belongs to a session that is about to end.
                let _ = heard.try_send(frame(life, sequence));
            }
        }
    }

    /// Whether anybody waits to hear that we have acted.
    pub(super) fn is_owing(&self) -> bool {
        self.0.values().any(|watched| watched.unheard.is_some())
    }

    /// When the next is to be dialled, or believed no longer.
    pub(super) fn deadline(&self) -> Option<Moment> {
        let retry = self.0.values().filter(|watched| watched.heard.is_none());
        let retry = retry.map(|watched| watched.retry_at);
        let grace = self.0.values().filter_map(|watched| watched.grace);
        retry.chain(grace).min()
    }
}
