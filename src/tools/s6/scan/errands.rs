//! What the desk is asked for: letters that have come by FIFOs, as requests to PID 1.

use crate::control::client::Failure;
use crate::control::protocol::Request;
use crate::tools::s6::tell;
use crate::values::Signal;

use super::desk::Desk;
use super::letters::{Deed, Order, Whom, deeds, order};
use super::post::Control;

impl Desk {
    /// Somebody has written to the control of the service of this number.
    pub(super) fn hear_letters(&mut self, number: u64) {
        let Some(name) = self.numbers.get(&number).cloned() else {
            return;
        };
        let Some(post) = self.posts.get_mut(&name) else {
            return;
        };
        let mut letters = post.control.letters();
        // Whoever asks for the same many times over is answered once.
        letters.dedup();
        for letter in letters {
            for deed in deeds(letter) {
                self.perform(&name, deed);
            }
        }
        self.look_at(vec![name]);
    }

    fn perform(&mut self, name: &str, deed: Deed) {
        let Some(post) = self.posts.get_mut(name) else {
            return;
        };
        let names = vec![name.to_owned()];
        let signal = |signal: Signal, whom| Request::Signal {
            signal: signal.to_string(),
            group: whom == Whom::Group,
            names: vec![name.to_owned()],
        };
        let request = match deed {
            Deed::Up => Request::Start { names },
            Deed::Down => Request::Stop { names },
            Deed::Once => Request::Once { names },
            Deed::Signal(..) | Deed::Again | Deed::Reload if !post.is_up() => return,
            Deed::Signal(number, whom) => signal(number, whom),
            Deed::Again => signal(post.signal("down-signal", Signal::TERM), Whom::Process),
            Deed::Reload => signal(post.signal("reload-signal", Signal::HUP), Whom::Process),
            Deed::MarkDown | Deed::UnmarkDown => {
                let done = post.mark(deed == Deed::MarkDown);
                return self.say_failed(name, done);
            }
            Deed::Leave => {
                post.is_left = true;
                return;
            }
        };
        if !self.ask(&request) {
            return;
        }
        if let (Deed::Signal(number, _), Some(post)) = (deed, self.posts.get_mut(name))
            && matches!(number, Signal::STOP | Signal::CONT)
        {
            let done = post.pause(number == Signal::STOP);
            self.say_failed(name, done);
        }
    }

    /// Somebody has written to the directory's own control.
    pub(super) fn hear_scanner(&mut self) {
        let letters = self.scanner.as_mut().map(Control::letters);
        let mut orders: Vec<Order> = letters.into_iter().flatten().filter_map(order).collect();
        orders.dedup();
        for order in orders {
            match order {
                Order::Rescan => {
                    self.ask(&Request::Rescan { dry_run: false });
                }
                Order::End => {
                    self.ask(&Request::Shutdown { code: None });
                }
            }
        }
    }

    /// Asks PID 1; whether it does what it is asked for.
    pub(super) fn ask(&mut self, request: &Request) -> bool {
        match self.asks.ask(request) {
            Ok(_) => true,
            Err(Failure::Refused(refusal)) => {
                // s6 has no way to answer; a fault in the definitions must be seen all the same.
                for fault in &refusal.faults {
                    tell(b"s6-svscan", fault.trim_end());
                }
                false
            }
            Err(failure) => {
                self.say_deaf(&failure);
                false
            }
        }
    }
}
