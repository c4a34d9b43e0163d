//! tini by its name: what it takes, says and gives, so that an image may swap one for the other.
//! As with musl's tini, and unlike glibc's, options behind the program are the program's.

mod options;

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process;

use nix::errno::Errno;
use nix::sys::prctl::{get_child_subreaper, set_pdeathsig};

use crate::os::descriptors::write_all;
use crate::os::inplace::{Side, fork, leave};
use crate::os::reason::worded;
use crate::os::signals::{SignalSet, block_all, described, hear_of_children};
use crate::os::{kill, pid1, terminal};
use crate::tools::single::{Heard, attend, become_command, program};
use crate::values::{Exit, Pid, Signal};

use options::{End, Order, usage};

/// The whole tool; gives the exit code.
pub fn run(args: &[OsString], born_with: SignalSet) -> u8 {
    block_all();
    hear_of_children();
    let name = args
        .first()
        .map(|name| Path::new(name).file_name().unwrap_or_default());
    let name = name.unwrap_or_default().to_string_lossy();
    match Order::read(&name, args.get(1..).unwrap_or_default()) {
        Ok(order) => order.with_environment().execute(born_with),
        Err(End::Told(text)) => {
            let _ = write_all(1, text.as_bytes());
            0
        }
        Err(End::Usage(why)) => {
            let _ = write_all(2, (why + &usage(&name)).as_bytes());
            1
        }
        Err(End::Fatal(text)) => {
            fatal(&text);
            1
        }
    }
}

fn fatal(text: &str) {
    line(2, "FATAL", text);
}

fn line(fd: i32, level: &str, text: &str) {
    // Nobody reads it: then nobody misses it.
    let _ = write_all(
        fd,
        format!("[{level} tini ({})] {text}\n", process::id()).as_bytes(),
    );
}

impl Order {
    fn with_environment(mut self) -> Self {
        self.subreaper |= env::var_os("TINI_SUBREAPER").is_some();
        self.group |= env::var_os("TINI_KILL_PROCESS_GROUP").is_some();
        if let Some(told) = env::var_os("TINI_VERBOSITY") {
            // What is no number is 0, as atoi(3) has it.
            self.verbosity = told.to_string_lossy().trim().parse().unwrap_or(0);
        }
        self
    }

    fn warning(&self, text: &str) {
        if self.verbosity > 0 {
            line(2, "WARN ", text);
        }
    }

    fn info(&self, text: &str) {
        if self.verbosity > 1 {
            line(1, "INFO ", text);
        }
    }

    fn debug(&self, text: &str) {
        if self.verbosity > 2 {
            line(1, "DEBUG", text);
        }
    }

    fn trace(&self, text: &str) {
        if self.verbosity > 3 {
            line(1, "TRACE", text);
        }
    }

    fn execute(&self, born_with: SignalSet) -> u8 {
        if let Some(signal) = self.parent_death {
            let number = nix::sys::signal::Signal::try_from(signal.raw());
            if number.and_then(set_pdeathsig).is_err() {
                fatal("Failed to set up parent death signal");
                return 1;
            }
        }
        if self.subreaper {
            if let Err(error) = pid1::become_subreaper() {
                fatal(&format!("Failed to register as child subreaper: {error}"));
                return 1;
            }
            self.trace("Registered as child subreaper");
        }
        if !pid1::is_pid1() && !get_child_subreaper().unwrap_or(false) {
            self.warning(
                "Tini is not running as PID 1 and isn't registered as a child subreaper.\n\
                 Zombie processes will not be re-parented to Tini, so zombie reaping won't work.\n\
                 To fix the problem, use the -s option or set the environment variable \
                 TINI_SUBREAPER to register Tini as a child subreaper, or run Tini as PID 1.",
            );
        }
        match fork() {
            Ok(Side::Parent(pid)) => self.attend(pid),
            Ok(Side::Child) => leave(self.live(born_with)),
            Err(error) => {
                fatal(&format!("fork failed: {error}"));
                1
            }
        }
    }

    /// The child's whole life; gives its exit code if it cannot become the command.
    fn live(&self, born_with: SignalSet) -> u8 {
        match terminal::lead() {
            // Without a terminal there is no front to be in.
            Ok(()) | Err(("tcsetpgrp", Errno::ENOTTY | Errno::ENXIO)) => {}
            Err((call, errno)) => {
                fatal(&format!("{call} failed: {}", worded(errno)));
                return 1;
            }
        }
        let errno = become_command(&self.command, born_with);
        let program = program(&self.command);
        fatal(&format!("exec {program} failed: {}", worded(errno)));
        match errno {
            Errno::ENOENT => 127,
            Errno::EACCES => 126,
            _ => 1,
        }
    }

    fn attend(&self, command: Pid) -> u8 {
        let program = program(&self.command);
        self.info(&format!(
            "Spawned child process '{program}' with pid '{}'",
            command.raw()
        ));
        let exit = attend(command, |heard| match heard {
            Heard::Signal(signal) => self.hear(command, signal),
            Heard::Dead(pid, exit) => self.bury(command, pid, exit),
            Heard::Buried(true) => self.trace("No child to reap"),
            Heard::Buried(false) => self.trace("No child to wait"),
        });
        self.trace("Exiting: child has exited");
        let code = exit.code();
        if self.as_success.contains(&code) {
            0
        } else {
            code
        }
    }

    fn hear(&self, command: Pid, signal: Signal) {
        // The terminal's complaints about a background process mean us, not the command.
        if matches!(signal.raw(), libc::SIGTTIN | libc::SIGTTOU) {
            return;
        }
        if signal == Signal::CHLD {
            self.debug("Received SIGCHLD");
            return;
        }
        self.debug(&format!("Passing signal: '{}'", described(signal)));
        let sent = if self.group {
            kill::group(command, signal)
        } else {
            kill::process(command, signal)
        };
        if sent.is_err() {
            self.warning("Child was dead when forwarding signal");
        }
    }

    fn bury(&self, command: Pid, pid: Pid, exit: Exit) {
        self.debug(&format!("Reaped child with pid: '{}'", pid.raw()));
        if pid != command {
            if self.warn {
                self.warning(&format!("Reaped zombie process with pid={}", pid.raw()));
            }
            return;
        }
        self.info(&match exit {
            Exit::Code(code) => format!("Main child exited normally (with status '{code}')"),
            Exit::Signal(signal) | Exit::Core(signal) => {
                let signal = described(signal);
                format!("Main child exited with signal (with signal '{signal}')")
            }
        });
    }
}
