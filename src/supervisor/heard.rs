//! What a signal to PID 1 means.

use crate::machine::shutdown::Reason;
use crate::machine::slot::{Input, Ix};
use crate::service::{overlay, scandir};
use crate::supervisor::crew::Style;
use crate::supervisor::{Supervisor, perform};
use crate::values::{Pid, Signal};

/// What a signal means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Meaning {
    /// A child has ended.
    Reap,
    /// The container is to end.
    Stop,
    /// The directories are to be read again.
    Rescan,
    /// It is CMD's.
    Cmd,
}

/// Whom a container's signals are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manners {
    /// CMD, as if it were the container's first process, gets what does not end the container.
    Native {
        /// There is a CMD.
        has_cmd: bool,
    },
    /// As s6-linux-init has it: they are orders to it.
    S6,
    /// `S6_CMD_RECEIVE_SIGNALS`, and CMD lives.
    CmdReceives,
}

fn meaning(signal: Signal, manners: Manners) -> Meaning {
    match (signal, manners) {
        (Signal::CHLD, _) => Meaning::Reap,
        (
            Signal::TERM | Signal::INT | Signal::QUIT | Signal::PWR,
            Manners::Native { .. } | Manners::S6,
        )
        | (Signal::HALT, _)
        | (Signal::USR1 | Signal::USR2, Manners::S6) => Meaning::Stop,
        (Signal::HUP, Manners::Native { has_cmd: false } | Manners::S6 | Manners::CmdReceives) => {
            Meaning::Rescan
        }
        (_, _) => Meaning::Cmd,
    }
}

impl Supervisor {
    pub(super) fn signal(&mut self, signal: Signal) {
        if let Some(script) = self.script_of(signal) {
            return self.take(Input::Start(script));
        }
        let cmd = self
            .cmd
            .and_then(|ix| self.fleet.slot(ix)?.unit.state.main_pid());
        match meaning(signal, self.manners(cmd)) {
            Meaning::Reap => self.reap = true,
            Meaning::Stop => {
                if self.fleet.ending().is_some() {
                    tracing::info!("{signal} again");
                }
                self.take(Input::Shutdown(Reason::Signal(signal)));
            }
            Meaning::Rescan => self.hang_up(),
            Meaning::Cmd => match cmd {
                Some(pid) => perform::to_process(pid, signal),
                None => tracing::debug!("{signal}: there is no CMD that it could be meant for"),
            },
        }
    }

    fn manners(&self, cmd: Option<Pid>) -> Manners {
        match self.sources.style {
            Style::Native | Style::Scandir { .. } => Manners::Native {
                has_cmd: self.cmd.is_some(),
            },
            Style::Overlay { .. } => {
                let receives = overlay::is_on(self.launcher.environment(), RECEIVES);
                // During the end nobody is asked by way of CMD: a second ^C forces.
                if receives && cmd.is_some() && self.fleet.ending().is_none() {
                    Manners::CmdReceives
                } else {
                    Manners::S6
                }
            }
        }
    }

    /// What `s6-svscan` runs at this signal, until the end has begun.
    fn script_of(&self, signal: Signal) -> Option<Ix> {
        match self.sources.style {
            Style::Scandir { .. } if signal != Signal::CHLD && self.fleet.ending().is_none() => {
                self.find(&scandir::name_at_signal(signal))
            }
            Style::Native | Style::Scandir { .. } | Style::Overlay { .. } => None,
        }
    }
}

/// CMD gets what would end the container, and decides.
const RECEIVES: &str = "S6_CMD_RECEIVE_SIGNALS";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_signals_are_for() {
        let all = [
            Signal::TERM,
            Signal::INT,
            Signal::QUIT,
            Signal::PWR,
            Signal::HALT,
            Signal::USR1,
            Signal::USR2,
            Signal::WINCH,
            Signal::HUP,
        ];
        for (manners, told) in [
            (Manners::Native { has_cmd: true }, "SSSSSCCCC"),
            (Manners::Native { has_cmd: false }, "SSSSSCCCR"),
            (Manners::S6, "SSSSSSSCR"),
            (Manners::CmdReceives, "CCCCSCCCR"),
        ] {
            let letters: String = all
                .iter()
                .map(|signal| match meaning(*signal, manners) {
                    Meaning::Reap => '-',
                    Meaning::Stop => 'S',
                    Meaning::Rescan => 'R',
                    Meaning::Cmd => 'C',
                })
                .collect();
            assert_eq!(letters, told, "{manners:?}");
            assert_eq!(meaning(Signal::CHLD, manners), Meaning::Reap);
        }
    }
}
