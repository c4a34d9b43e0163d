//! dumb-init by its name: what it takes, says and gives, so that an image may swap one for the
//! other. It runs its command in a session of its own, and signals go to that whole group.

mod options;

use std::env;
use std::ffi::OsString;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{getpid, getsid, setsid};

use crate::os::descriptors::write_all;
use crate::os::inplace::{Side, fork, leave};
use crate::os::reason::worded;
use crate::os::signals::{SignalSet, block_all, hear_of_children};
use crate::os::{kill, terminal};
use crate::tools::single::{Heard, attend, become_command, program};
use crate::values::{Exit, Pid, Signal};

use options::{End, Order};

/// The exit code for a command that cannot be executed.
const CODE_NOT_RUN: u8 = 2;

/// The whole tool; gives the exit code.
pub fn run(args: &[OsString], born_with: SignalSet) -> u8 {
    block_all();
    hear_of_children();
    let name = args
        .first()
        .map(|name| Path::new(name).as_os_str().to_string_lossy());
    let name = name.unwrap_or_default();
    let (text, code) = match Order::read(&name, args.get(1..).unwrap_or_default()) {
        Ok(order) => return order.with_environment().execute(born_with),
        Err(End::Told(text)) => (text, 0),
        Err(End::Wrong(text)) => (text, 1),
    };
    // Nobody reads it: then nobody misses it.
    let _ = write_all(2, text.as_bytes());
    code
}

impl Order {
    fn with_environment(mut self) -> Self {
        if env::var_os("DUMB_INIT_DEBUG").is_some_and(|told| told == "1") {
            self.verbose = true;
            self.debug("Running in debug mode.");
        }
        if env::var_os("DUMB_INIT_SETSID").is_some_and(|told| told == "0") {
            self.session = false;
            self.debug("Not running in setsid mode.");
        }
        if self.session {
            // A session without a terminal in front cannot be stopped by these, but by SIGSTOP.
            for signal in [libc::SIGTSTP, libc::SIGTTOU, libc::SIGTTIN] {
                self.rewrites.entry(signal).or_insert(libc::SIGSTOP);
            }
        }
        self
    }

    fn debug(&self, text: &str) {
        if self.verbose {
            say(text);
        }
    }

    fn execute(&self, born_with: SignalSet) -> u8 {
        // A hang-up by our giving up the terminal is not for the command.
        let mut ignored = SignalSet::EMPTY;
        if self.session {
            match terminal::give_up() {
                Err(errno) => self.debug(&reason("Unable to detach from controlling tty", errno)),
                Ok(()) if getsid(None) == Ok(getpid()) => {
                    self.debug(
                        "Detached from controlling tty, ignoring the first SIGHUP and SIGCONT we \
                         receive.",
                    );
                    ignored = ignored.with(Signal::HUP).with(Signal::CONT);
                }
                Ok(()) => self.debug("Detached from controlling tty, but was not session leader."),
            }
        }
        match fork() {
            Ok(Side::Parent(pid)) => self.attend(pid, ignored),
            Ok(Side::Child) => leave(self.live(born_with)),
            Err(_) => {
                say("Unable to fork. Exiting.");
                1
            }
        }
    }

    fn live(&self, born_with: SignalSet) -> u8 {
        if self.session {
            if let Err(errno) = setsid() {
                say(&(reason("Unable to setsid", errno) + " Exiting."));
                return 1;
            }
            if let Err(errno) = terminal::take() {
                self.debug(&reason("Unable to attach to controlling tty", errno));
            }
            self.debug("setsid complete.");
        }
        let errno = become_command(&self.command, born_with);
        let program = program(&self.command);
        say(&format!("{program}: {}", worded(errno)));
        CODE_NOT_RUN
    }

    fn attend(&self, command: Pid, mut ignored: SignalSet) -> u8 {
        self.debug(&format!("Child spawned with PID {}.", command.raw()));
        // Our directory holds no mount in use; that it cannot be left is nothing to end for.
        let _ = env::set_current_dir("/");
        let mut over = false;
        let exit = attend(command, |heard| match heard {
            Heard::Signal(signal) => {
                self.debug(&format!("Received signal {}.", signal.raw()));
                if ignored.contains(signal) {
                    self.debug(&format!("Ignoring tty hand-off signal {}.", signal.raw()));
                    ignored = ignored.without(signal);
                } else if signal != Signal::CHLD {
                    self.forward(command, signal.raw());
                    if matches!(signal.raw(), libc::SIGTSTP | libc::SIGTTOU | libc::SIGTTIN) {
                        self.debug("Suspending self due to TTY signal.");
                        let _ =
                            Pid::new(getpid().as_raw()).map(|us| kill::process(us, Signal::STOP));
                    }
                }
            }
            Heard::Dead(pid, exit) if !over => {
                self.told_of(pid, exit);
                if pid == command {
                    over = true;
                    self.forward(command, libc::SIGTERM);
                    self.debug(&format!(
                        "Child exited with status {}. Goodbye.",
                        exit.code()
                    ));
                }
            }
            Heard::Dead(..) | Heard::Buried(_) => {}
        });
        exit.code()
    }

    fn told_of(&self, pid: Pid, exit: Exit) {
        let pid = pid.raw();
        self.debug(&match exit {
            Exit::Code(code) => format!("A child with PID {pid} exited with exit status {code}."),
            Exit::Signal(signal) | Exit::Core(signal) => {
                format!(
                    "A child with PID {pid} was terminated by signal {}.",
                    signal.raw()
                )
            }
        });
    }

    fn forward(&self, command: Pid, signal: i32) {
        let mapped = self.rewrites.get(&signal).copied();
        if let Some(to) = mapped {
            self.debug(&format!("Translating signal {signal} to {to}."));
        }
        let number = mapped.unwrap_or(signal);
        let Some(signal) = Signal::new(number) else {
            self.debug(&format!(
                "Not forwarding signal {number} to children (ignored)."
            ));
            return;
        };
        // Who is gone hears nothing more.
        let _ = if self.session {
            kill::group(command, signal)
        } else {
            kill::process(command, signal)
        };
        self.debug(&format!("Forwarded signal {number} to children."));
    }
}

fn say(text: &str) {
    let _ = write_all(2, format!("[dumb-init] {text}\n").as_bytes());
}

fn reason(text: &str, errno: Errno) -> String {
    format!("{text} (errno={} {}).", errno as i32, worded(errno))
}
