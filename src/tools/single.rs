//! The loop of an init that has one command: hears signals, buries the dead, until the command is
//! among them.

use std::borrow::Cow;
use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use nix::errno::Errno;

use crate::os::inplace;
use crate::os::reaper::{Children, reap};
use crate::os::signals::{SignalSet, put_back, undo_runtime, wait_any};
use crate::values::{Exit, Pid, Signal};

/// We look at our children this often, come a signal or not: a belt for the braces of SIGCHLD.
const LOOK: Duration = Duration::from_secs(3600);

/// What an init of one command hears of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    /// A signal to us.
    Signal(Signal),
    /// Somebody is dead and buried.
    Dead(Pid, Exit),
    /// All who were dead are buried; true if somebody lives.
    Buried(bool),
}

/// Tells of what it hears until `command` has ended; how it did. Every signal must be blocked.
pub(crate) fn attend(command: Pid, mut tell: impl FnMut(Heard)) -> Exit {
    loop {
        if let Some(signal) = wait_any(SignalSet::ALL, LOOK) {
            tell(Heard::Signal(signal));
        }
        if let Some(exit) = bury(command, &mut tell) {
            return exit;
        }
    }
}

/// Buries all who are dead; how the command ended, if it is among them.
fn bury(command: Pid, tell: &mut impl FnMut(Heard)) -> Option<Exit> {
    let mut ended = None;
    loop {
        let (dead, children) = reap();
        for (pid, exit) in dead {
            tell(Heard::Dead(pid, exit));
            if pid == command {
                ended = ended.or(Some(exit));
            }
        }
        match children {
            Children::More => {}
            Children::Some | Children::None => {
                tell(Heard::Buried(children == Children::Some));
                return ended;
            }
        }
    }
}

/// The command's program, as messages name it.
pub(crate) fn program(command: &[OsString]) -> Cow<'_, str> {
    let word = command.first().map(|word| word.to_string_lossy());
    word.unwrap_or_default()
}

/// Becomes the command, in our environment and with the mask that we were born with; returns only
/// if it cannot, with the reason.
pub(crate) fn become_command(command: &[OsString], born_with: SignalSet) -> Errno {
    undo_runtime();
    put_back(born_with);
    let words: Vec<Vec<u8>> = command
        .iter()
        .map(|word| word.as_bytes().to_vec())
        .collect();
    let pair = |(name, value): (OsString, OsString)| (name.into_vec(), value.into_vec());
    let env: Vec<_> = env::vars_os().map(pair).collect();
    let path = env::var_os("PATH");
    let program = words.first().map(Vec::as_slice).unwrap_or_default();
    inplace::exec(
        program,
        &words,
        &env,
        path.as_ref().map(|path| path.as_bytes()),
    )
}
