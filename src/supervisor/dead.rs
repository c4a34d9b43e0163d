//! The dead: whose they were, and who is left of their process groups.

use std::path::Path;

use crate::machine::shutdown::Step;
use crate::machine::slot::{Input, Order};
use crate::machine::unit::{Action, Event};
use crate::os::reaper::{self, Children, Next};
use crate::os::{clock, kill, results, terminal};
use crate::service::overlay::EXIT_CODE;
use crate::supervisor::Supervisor;
use crate::values::{Exit, Pid, Signal};

impl Supervisor {
    /// Collects the dead. What a start still has to say comes before its death.
    pub(super) fn reap(&mut self) {
        self.hear_all();
        let children = self.bury();
        self.reap = children == Children::More;
        match children {
            Children::None => self.take(Input::Childless),
            Children::More => {}
            // Not as PID 1, strays are found one by one, and one that forks may have been missed.
            Children::Some => {
                if self
                    .fleet
                    .ending()
                    .is_some_and(|ending| ending.step == Step::Killed)
                {
                    kill::strays(Signal::KILL);
                }
            }
        }
    }

    /// Takes in a batch of deaths, each while the dead still has its number: so long its group's
    /// number cannot become a stranger's.
    fn bury(&mut self) -> Children {
        for _ in 0..reaper::BATCH {
            let (pid, exit) = match reaper::next() {
                Next::Dead(pid, exit) => (pid, exit),
                Next::NoneYet => return Children::Some,
                Next::Childless => return Children::None,
            };
            let known = self.orders.len();
            self.died(pid, exit);
            let rest = self
                .orders
                .iter()
                .skip(known)
                .find_map(|order| match order {
                    Order::Act(ix, Action::KillRest(_)) => Some(*ix),
                    _other => None,
                });
            if rest.is_some() {
                kill::rest(pid);
            }
            reaper::collect(pid);
            // Without the dead one in it: is there anybody whom that has reached?
            self.cleared.extend(rest.filter(|_| kill::is_group(pid)));
        }
        Children::More
    }

    fn died(&mut self, pid: Pid, exit: Exit) {
        if let Some((helper, fault)) = self.helpers.take(pid) {
            return self.helped(helper, exit, fault);
        }
        let Some(ix) = self.fleet.owner(pid) else {
            self.orphans += 1;
            return;
        };
        let mut exit = exit;
        for (event, fault) in self.starts.last_words(ix) {
            if event == Event::ExecFailed && !self.is_finishing(ix) {
                exit = Exit::Code(fault.as_ref().map_or(126, |fault| fault.code));
            }
            self.started(ix, event, fault);
        }
        self.router.drain(ix, clock::wall());
        self.revoke(ix);
        self.judge_down(ix, exit);
        let oom = exit == Exit::Signal(Signal::KILL) && self.oom.has_killed();
        if Some(ix) == self.cmd {
            if self.sources.keeps_exit_code() && self.fleet.ending().is_none() {
                results::write(Path::new(EXIT_CODE), exit.code());
            }
            // Without a terminal there is nothing to take back.
            let _ = terminal::take_back();
        }
        self.take(Input::Exited { pid, exit, oom });
    }
}
