//! Pipes that are no longer wanted: closed once all that was written to them has been read.

use crate::logs::outlet::Token;
use crate::logs::router::Router;

/// Pipes that are to be closed.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) unit: usize,
    /// The service is gone, and its lines go too.
    forgets: bool,
}

impl Router {
    /// The service is no more: its pipes are closed and its lines forgotten, by the next `sweep`
    /// that finds them read to the end.
    pub fn retire(&mut self, unit: usize) {
        self.loggers.forget(unit);
        self.ending.retain(|end| end.unit != unit);
        let forgets = true;
        self.ending.push(End { unit, forgets });
    }

    /// The service's output goes another way from its next start on: its pipes are closed now, or
    /// by the `sweep` that finds them read to the end. With a slow reader the next start may come
    /// before that; then they go on as they were.
    pub fn renew(&mut self, unit: usize) {
        let forgets = false;
        if self.outlets.contains_key(&unit) && !self.ending.iter().any(|end| end.unit == unit) {
            self.ending.push(End { unit, forgets });
            self.sweep();
        }
    }

    /// Closes what is to be closed and has been read to the end. True if there was anything.
    pub fn sweep(&mut self) -> bool {
        let (mut closed, mut ending) = (false, std::mem::take(&mut self.ending));
        ending.retain(|end| {
            let of_it = |token: &Token| token.unit == end.unit;
            let is_drained = !self.lanes.iter().any(|lane| lane.is_ending(of_it));
            if is_drained {
                closed = true;
                self.close(*end);
            }
            !is_drained
        });
        self.ending = ending;
        closed
    }

    fn close(&mut self, End { unit, forgets }: End) {
        for token in Token::both(unit) {
            if let Some(lane) = self.lane_of(token).and_then(|at| self.lanes.get(at))
                && let Some(outlet) = self.outlets.get_mut(&unit)
                && let Some(source) = outlet.close(token.stderr)
            {
                lane.poller().remove(&source.read);
            }
        }
        if forgets
            && let Some(outlet) = self.outlets.remove(&unit)
            // Another one may have the name by now.
            && self.by_name.get(&outlet.name) == Some(&unit)
        {
            self.by_name.remove(&outlet.name);
        }
    }
}
