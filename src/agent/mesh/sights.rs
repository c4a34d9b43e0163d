//! What sessions have seen, and what it means for the gossip.

use std::net::SocketAddr;

use crate::agent::gossip::directory::Evidence;
use crate::agent::mesh::frame;
use crate::agent::mesh::node::{Mesh, Told, Watcher};
use crate::agent::mesh::reach;
use crate::agent::mesh::session::Seen;
use crate::values::Moment;

impl Mesh {
    /// A session has seen something.
    pub(super) fn see(&mut self, seen: Seen, now: Moment) {
        match seen {
            Seen::Learned(entries) => self.gossip.learn(entries, now),
            Seen::Asked(entries, answer) => {
                self.gossip.learn(entries, now);
                // Whoever asked may be gone.
                let _ = answer.send(frame::entries(&self.gossip.knowledge()));
            }
            Seen::Watcher(number, frames) => {
                if let Some(frame) = frame::record(self.gossip.own()) {
                    let _ = frames.try_send(frame);
                }
                let heard = (0, 0);
                self.watchers.insert(number, Watcher { frames, heard });
            }
            Seen::Heard(number, life, sequence) => {
                if let Some(watcher) = self.watchers.get_mut(&number) {
                    watcher.heard = watcher.heard.max((life, sequence));
                }
                self.tell_heard();
            }
            Seen::WatcherGone(number) => {
                self.watchers.remove(&number);
                self.tell_heard();
            }
            Seen::Refused => self.refused.sessions += 1,
            Seen::Began(agent) => {
                if let Some(watches) = &mut self.watches {
                    watches.began(agent);
                }
                self.gossip.saw(agent, Evidence::None, now);
            }
            Seen::Said(record) => {
                if let Some(watches) = &mut self.watches {
                    watches.said(record.agent, record.life, record.sequence);
                }
                self.gossip.record(*record, now);
                // What it said may have come by the gossip before.
                self.told.push_back(Told::Said);
            }
            Seen::Answers(agent, true) => self.gossip.saw(agent, Evidence::Holds, now),
            Seen::Answers(agent, false) => {
                self.held.remove(&agent);
                self.gossip.saw(agent, Evidence::None, now);
            }
            Seen::Ended(agent, linked) => self.ended(agent, linked, now),
            Seen::Checked(agent, answers) => {
                if let Some(watches) = &mut self.watches {
                    let evidence = watches.checked(agent, answers, now);
                    self.gossip.saw(agent, evidence, now);
                }
            }
        }
    }

    /// The gossip has lost some. One that nobody here watches is believed until its kernel, too,
    /// does not answer: a process that stands still has not failed.
    pub(super) fn hold_fallen(&mut self, now: Moment) {
        for agent in self.gossip.fallen() {
            // A watcher's sessions tell it more.
            if self.watches.is_some() {
                continue;
            }
            self.gossip.saw(agent, Evidence::Holds, now);
            if self.held.insert(agent) {
                self.tasks.spawn(reach::hold(agent, self.seen.0.clone()));
            }
        }
    }

    /// A session has ended. That the agent is gone does not say that its services are.
    fn ended(&mut self, agent: SocketAddr, linked: bool, now: Moment) {
        if let Some(watches) = &mut self.watches {
            watches.ended(agent, now);
        }
        if linked {
            let ports = self.gossip.ready_ports(agent);
            let seen = self.seen.0.clone();
            self.tasks.spawn(reach::check(agent, ports, seen));
        }
    }
}
