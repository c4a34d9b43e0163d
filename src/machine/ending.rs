//! The fleet's last phase: services in reverse order, then strays, then the exit code.

use crate::machine::fleet::Fleet;
use crate::machine::shutdown::{Reason, Shutdown, Step};
use crate::machine::slot::{Ix, Order, Slot, Want};
use crate::machine::unit::{Event, Failure, State};
use crate::service::definition::OnLimit;
use crate::values::{Exit, Moment, Signal};

impl Fleet {
    /// Begins the end. Asked again, INT and QUIT force it: a person is waiting at the terminal.
    pub(super) fn shutdown(&mut self, reason: Reason, now: Moment, orders: &mut Vec<Order>) {
        if self.ending.is_some() {
            if matches!(reason, Reason::Signal(Signal::INT | Signal::QUIT)) {
                self.force(now, orders);
            }
            return;
        }
        self.tell_changes(now, orders);
        let alive = self
            .slots
            .iter()
            .filter(|slot| slot.unit.state.is_alive())
            .count();
        self.ending = Some(Shutdown::new(reason, alive, self.limits.stop, now));
        for ix in self.slots.numbers() {
            self.renew_now(ix, orders);
        }
        for slot in self.slots.iter_mut() {
            if slot.want != Want::Gone {
                slot.want = Want::Down;
            }
            slot.at_end = Some(Box::new(slot.unit.state));
            self.look.push_back(slot.ix);
        }
        orders.push(Order::Ending);
    }

    /// Whether a service that will not come back ends the container.
    pub(super) fn gone_for_good(&mut self, ix: Ix, now: Moment, orders: &mut Vec<Order>) {
        let Some(slot) = self.slots.get(ix) else {
            return;
        };
        let failure = slot.failure();
        let is_limit = failure == Some(Failure::Limit);
        let has_finished = matches!(slot.unit.state, State::Finished | State::Undoable);
        if failure.is_none() && !has_finished {
            return;
        }
        let exit = slot.exit.unwrap_or(Exit::Code(1));
        let reason = match failure {
            Some(Failure::Need | Failure::NotReady) => Reason::MainFailed(ix),
            // Even if it exited 0 each time: it was not to end.
            Some(Failure::Limit) => Reason::Limit(ix, exit),
            Some(Failure::Unhealthy) => Reason::Unhealthy(ix, exit),
            Some(Failure::Died | Failure::Exec | Failure::Finish) | None => Reason::Main(ix, exit),
        };
        if slot.service.main || is_limit && slot.service.restart.on_limit == OnLimit::Exit {
            self.shutdown(reason, now, orders);
        }
    }

    /// The code when nothing is left to run: that of the first service which is failed now. What
    /// has failed for want of another is not where it began.
    fn code_of_empty(&self) -> u8 {
        let failed = self
            .slots
            .iter()
            .filter_map(|slot| Some((slot, slot.failure()?)));
        failed
            .min_by_key(|(slot, failure)| (*failure == Failure::Need, slot.entered))
            .map_or(0, |(slot, failure)| match failure {
                Failure::Need | Failure::NotReady => 1,
                Failure::Died
                | Failure::Exec
                | Failure::Unhealthy
                | Failure::Limit
                | Failure::Finish => slot.exit.map_or(1, |exit| exit.code().max(1)),
            })
    }

    /// Kills what the end is waiting for.
    fn force(&mut self, now: Moment, orders: &mut Vec<Order>) {
        match self.ending.as_ref().map(|ending| ending.step) {
            Some(Step::Services) => self.cut_off(now, orders),
            Some(Step::Strays(_)) => self.kill_strays(orders),
            Some(Step::Killed) | None => {}
        }
    }

    fn kill_strays(&mut self, orders: &mut Vec<Order>) {
        if let Some(ending) = &mut self.ending {
            ending.step = Step::Killed;
            ending.killed_strays = true;
            orders.push(Order::Strays(Signal::KILL));
        }
    }

    /// Kills every service that is left.
    fn cut_off(&mut self, now: Moment, orders: &mut Vec<Order>) {
        if let Some(ending) = &mut self.ending {
            ending.cut_off = true;
        }
        for ix in self.slots.numbers() {
            if self
                .slots
                .get(ix)
                .is_some_and(|slot| slot.unit.state.is_alive())
            {
                self.apply(ix, Event::Kill, now, orders);
            }
        }
    }

    pub(super) fn childless(&mut self, orders: &mut Vec<Order>) {
        if let Some(ending) = self.ending.as_ref().filter(|e| e.step != Step::Services)
            && !self.over
        {
            orders.push(Order::Exit(ending.code()));
            self.over = true;
        }
    }

    /// Whether the container goes over to its next phase: from running to ending, because nothing
    /// is left to do; from stopping services to the strays, because no service is left.
    pub(super) fn turn_page(&mut self, now: Moment, orders: &mut Vec<Order>) -> bool {
        let at_rest = self.slots.iter().all(|slot| slot.unit.state.is_at_rest());
        match &mut self.ending {
            None => {
                let is_by_hand =
                    |slot: &Slot| slot.want == Want::Down && slot.unit.state != State::Finished;
                let is_idle = self.slots.iter().all(Slot::is_idle);
                let is_empty = is_idle && !self.slots.iter().any(is_by_hand);
                if is_empty {
                    self.shutdown(Reason::Empty(self.code_of_empty()), now, orders);
                }
                is_empty
            }
            Some(ending) if at_rest && ending.step == Step::Services => {
                ending.step = Step::Strays(ending.strays_until(now));
                orders.push(Order::Strays(Signal::TERM));
                false
            }
            Some(_) => false,
        }
    }

    /// What is due in the last phase.
    pub(super) fn ending_tick(&mut self, now: Moment, orders: &mut Vec<Order>) {
        let Some(ending) = self.ending.as_mut().filter(|ending| ending.next() <= now) else {
            return;
        };
        match ending.step {
            Step::Services if !ending.cut_off => self.cut_off(now, orders),
            Step::Strays(_) => self.kill_strays(orders),
            Step::Services | Step::Killed if !self.over => {
                orders.push(Order::Exit(ending.code()));
                self.over = true;
            }
            Step::Services | Step::Killed => {}
        }
    }
}
