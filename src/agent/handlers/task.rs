//! The handlers of an agent: one at a time, each for a bounded time, in a thread that waits for it.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::agent::config::Handler;
use crate::agent::handlers::queue::{Call, Queue};
use crate::agent::handlers::words::{input, variables, wants};
use crate::members::roster::Event;
use crate::os::run::{Ended, Ending, run};
use crate::template::view::Own;

/// A handler that takes longer is killed: the next one waits for it.
const HANDLER_TIME: Duration = Duration::from_secs(30);
/// How much of what a handler says is told, characters.
const SAID_CHARS_MAX: usize = 500;

/// One run's end, for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// The command.
    pub command: String,
    /// What it was told of.
    pub event: &'static str,
    /// How it ended, and what it said.
    pub ended: Ended,
}

/// All handlers.
pub struct Handlers {
    all: Vec<Handler>,
    own: Own,
    queue: Queue,
    running: JoinSet<Told>,
}

impl Handlers {
    /// These handlers, of a node that says this of itself.
    pub fn new(all: &[Handler], own: Own) -> Self {
        Self {
            all: all.to_vec(),
            own,
            queue: Queue::default(),
            running: JoinSet::new(),
        }
    }

    /// These from now on; who was there keeps what it still has to be told.
    pub fn replace(&mut self, all: &[Handler], own: Own) {
        let old = std::mem::replace(&mut self.all, all.to_vec());
        self.own = own;
        let is_same =
            |old: &Handler, new: &Handler| (&old.on, &old.command) == (&new.on, &new.command);
        self.queue.renumber(|number| {
            let old = old.get(number)?;
            all.iter().position(|new| is_same(old, new))
        });
    }

    /// These things have happened. Returns at once.
    pub fn offer(&mut self, events: &[Event]) {
        for (number, handler) in self.all.iter().enumerate() {
            let wanted = events
                .iter()
                .filter(|event| wants(&handler.on, event.change));
            wanted.for_each(|event| self.queue.add(number, event));
        }
    }

    /// Calls that were dropped, for there was no room.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped
    }

    /// Goes on, and gives the end of the next run. Cancel-safe.
    pub async fn next(&mut self) -> Told {
        loop {
            if self.running.is_empty() {
                match self.queue.take() {
                    None => return std::future::pending().await,
                    Some(call) => self.begin(&call),
                }
            }
            // A thread cannot fail where a panic aborts; in a test the run is lost.
            if let Some(Ok(told)) = self.running.join_next().await {
                return told;
            }
        }
    }

    fn begin(&mut self, call: &Call) {
        let Some(handler) = self.all.get(call.handler) else {
            return;
        };
        let command = handler.command.clone();
        let input = input(&call.members);
        let given = variables(&self.own.name, &self.own.tags, call.change);
        let event = call.change.word();
        self.running.spawn_blocking(move || {
            let mut env: Vec<(OsString, OsString)> = std::env::vars_os()
                .filter(|(name, _)| !name.to_string_lossy().starts_with("SERF_"))
                .collect();
            env.extend(
                given
                    .into_iter()
                    .map(|(name, value)| (name.into(), value.into())),
            );
            let ended = run(&command, env, input.as_bytes(), HANDLER_TIME);
            Told {
                command: command.last().cloned().unwrap_or_default(),
                event,
                ended,
            }
        });
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (command, event) = (&self.command, self.event);
        match &self.ended.ending {
            Ending::Exit(exit) if exit.is_success() => write!(f, "handler `{command}`: {event}")?,
            Ending::Exit(exit) => write!(f, "handler `{command}` for {event} failed: {exit}")?,
            Ending::Late => {
                let seconds = HANDLER_TIME.as_secs();
                write!(
                    f,
                    "handler `{command}` for {event} was killed after {seconds}s"
                )?;
            }
            Ending::NotRun(why) => write!(f, "handler for {event}: {why}")?,
        }
        let said = String::from_utf8_lossy(&self.ended.output);
        let said: String = said.trim().chars().take(SAID_CHARS_MAX).collect();
        if said.is_empty() {
            return Ok(());
        }
        write!(f, ": {said}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Place;
    use crate::members::member::{Member, Origin, Status};
    use crate::members::roster::Change;
    use crate::members::words::Tags;

    fn member(name: &str, role: &str) -> Member {
        let mut tags = Tags::default();
        tags.set("role", role).unwrap();
        Member {
            name: name.parse().unwrap(),
            address: "10.0.0.1".parse().unwrap(),
            port: 7946,
            tags,
            services: Vec::new(),
            status: Status::Alive,
            incarnation: 0,
            origin: Origin::Gossip,
        }
    }

    #[test]
    fn a_script_made_for_serf_runs_as_it_is() {
        // The lab's shape: a loop over the lines, fields by `read`.
        let script = "while read -r line; do set -- $line; \
                      echo \"$SERF_EVENT $SERF_SELF_NAME/$SERF_SELF_ROLE: $1 $2 $3\"; done";
        let handler = |on: &str, script: &str| Handler {
            on: vec![on.to_owned()],
            command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            place: Place {
                path: "agent.toml".into(),
                spot: None,
            },
        };
        let mut own = Own {
            name: "ha".into(),
            ..Own::default()
        };
        own.tags.set("role", "balancer").unwrap();
        let all = [
            handler("member-join,member-leave", script),
            handler("member-failed", "echo gone; exit 3"),
        ];
        let mut handlers = Handlers::new(&all, own);
        let event = |change, name| Event {
            change,
            member: member(name, "backend"),
        };
        handlers.offer(&[
            event(Change::Join, "s1"),
            event(Change::Join, "s2"),
            event(Change::Failed, "s3"),
        ]);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let said: Vec<String> = runtime.block_on(async {
            let first = handlers.next().await.ended.output;
            let second = handlers.next().await.to_string();
            vec![String::from_utf8(first).unwrap(), second]
        });
        assert_eq!(
            said,
            [
                "member-join ha/balancer: s1 10.0.0.1 backend\n\
                 member-join ha/balancer: s2 10.0.0.1 backend\n",
                "handler `echo gone; exit 3` for member-failed failed: exit code 3: gone"
            ]
        );
        assert!(handlers.queue.is_empty());
    }
}
