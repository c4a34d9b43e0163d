//! What the agent answers at its own socket.

use std::time::Duration;

use crate::agent::desk::Asked;
use crate::agent::mesh::node::Mesh;
use crate::agent::serve::{Agent, say_line};
use crate::agent::wire::{Reply, Request, WireMember, WireRefused, template};
use crate::template::view::data;

/// So long a drain waits at most. Where nobody tells that it was heard, all of it: Serf spreads a
/// tag in half of it.
const DRAIN_UNHEARD: Duration = Duration::from_millis(500);

fn refused(mesh: &Mesh) -> WireRefused {
    let refused = mesh.refused();
    WireRefused {
        datagrams_unsealed: refused.unsealed,
        datagrams_malformed: refused.malformed,
        sessions: refused.sessions,
    }
}

impl Agent {
    pub(super) fn answer(&mut self, asked: Asked) {
        let reply = match asked.request {
            Request::Members { since } if since == Some(self.version) => {
                self.watching.push(asked.answer);
                return;
            }
            Request::Members { .. } => self.members(),
            Request::Status => Reply::Status {
                name: self.name.clone(),
                templates: self.publisher.status().map(template).collect(),
                silent: self.silent.values().cloned().collect(),
                held: self.roster.held(),
                refused: self
                    .mesh
                    .as_ref()
                    .map_or_else(WireRefused::default, refused),
            },
            Request::Data => Reply::Data {
                data: data(&self.roster, self.publisher.own()).into_value(),
            },
            Request::Drain { service } => match self.drain(&service, asked.uid) {
                Ok(()) if self.mesh.as_ref().is_some_and(Mesh::is_heard) => Reply::Ok,
                Ok(()) => {
                    let by = tokio::time::Instant::now() + DRAIN_UNHEARD;
                    self.drains.push((by, asked.answer));
                    return;
                }
                Err(message) => Reply::Error { message },
            },
        };
        // Whoever asked may be gone.
        let _ = asked.answer.send(reply);
    }

    fn members(&self) -> Reply {
        Reply::Members {
            members: self.roster.members().map(WireMember::from).collect(),
            version: self.version,
        }
    }

    /// The list is another: those who wait for that get it.
    pub(super) fn tell_watching(&mut self) {
        self.version += 1;
        let reply = self.members();
        for answer in self.watching.drain(..) {
            // Whoever asked may be gone.
            let _ = answer.send(reply.clone());
        }
    }

    /// A service is to get no more work.
    fn drain(&mut self, service: &str, uid: u32) -> Result<(), String> {
        let known = self.config.announce.iter();
        if !known.clone().any(|one| one.name.as_str() == service) {
            return Err(format!("`{service}` is not announced by this node"));
        }
        let pid = self.local.get(service).and_then(|local| local.pid);
        let owner = pid.and_then(|pid| std::fs::metadata(format!("/proc/{pid}")).ok());
        let owner = owner.map(|process| std::os::unix::fs::MetadataExt::uid(&process));
        let own = nix::unistd::Uid::effective().as_raw();
        if uid != 0 && uid != own && Some(uid) != owner {
            return Err(format!("uid {uid} may not drain `{service}`"));
        }
        self.draining.insert(service.to_owned());
        say_line(&format!("{service} drains"));
        self.announce();
        Ok(())
    }
}
