//! Who is being stopped beside us, as pidone's events tell: the collector is to hear of their ends,
//! so a shipper of events that is told to end waits for those. Pure.

use std::collections::BTreeSet;

use crate::control::protocol::{Event, State, Status};

/// The services that are on their way down.
#[derive(Debug)]
pub struct Others {
    /// The process of this shipper, by which it knows its own service.
    own: i32,
    leaving: BTreeSet<String>,
}

impl Others {
    /// Nobody is known yet.
    pub fn new(own: i32) -> Self {
        Self {
            own,
            leaving: BTreeSet::new(),
        }
    }

    /// How everybody is now.
    pub fn picture(&mut self, status: &Status) {
        self.leaving.clear();
        for service in &status.services {
            self.is(&service.name, service.state, service.pid);
        }
    }

    /// What has happened since.
    pub fn hear(&mut self, event: &Event) {
        if let (Some(name), Some(state)) = (&event.service, event.reached()) {
            self.is(name, state, event.pid);
        }
    }

    /// Whether somebody's end is yet to come. Who still runs is stopped after us, and waits for us.
    pub fn are_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    fn is(&mut self, name: &str, state: State, pid: Option<i32>) {
        let is_leaving = match state {
            State::Stopping | State::Finishing => pid != Some(self.own),
            State::Down
            | State::Scheduled
            | State::Waiting
            | State::Starting
            | State::Ready
            | State::Unready
            | State::WaitingToRestart
            | State::Finished
            | State::Failed => false,
        };
        if is_leaving {
            self.leaving.insert(name.to_owned());
        } else {
            self.leaving.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::EventKind;

    fn event(service: &str, to: &str, pid: Option<i32>) -> Event {
        Event {
            ts: String::new(),
            mono_ms: 0,
            event: EventKind::State,
            service: Some(service.to_owned()),
            from: None,
            to: Some(to.to_owned()),
            pid,
            exit: None,
            why: None,
        }
    }

    #[test]
    fn who_is_on_the_way_down_is_waited_for_and_nobody_else() {
        let mut others = Others::new(7);
        let mut story = |service: &str, to: &str, pid| {
            others.hear(&event(service, to, pid));
            others.are_leaving()
        };
        assert!(!story("web", "ready", Some(5)));
        assert!(!story("events", "stopping", Some(7)), "that is us");
        assert!(story("web", "stopping", Some(5)));
        assert!(story("web", "finishing", Some(8)));
        assert!(!story("web", "down", None));
        // What is restarted by hand comes again.
        assert!(story("web", "stopping", Some(9)));
        assert!(!story("web", "starting", Some(10)));
    }
}
