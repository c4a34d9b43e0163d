//! `backtick`: what a block prints becomes a variable.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use crate::os::descriptors::place;
use crate::os::reaper::wait_one;
use crate::tools::s6::call::{Bytes, Call, Outcome, Stop, TEMPORARY, USAGE};
use crate::tools::s6::{not_spawned, spawn, tell};
use crate::values::Exit;

use super::block::command;
use super::substitute::put_in;
use super::value::Variables;

/// More output than this is no variable: the kernel takes no longer string (execve(2)).
const OUTPUT_BYTES_MAX: u64 = 128 << 10;
/// The exit code for output that cannot be a variable.
const NULL: u8 = 124;

/// What becomes of the variable if the block fails.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Failed {
    /// All ends with the block's code.
    Ends,
    /// Nothing: the output is the value all the same.
    Ignored,
    /// It is taken away.
    Unset,
    /// This is its value.
    Default(Bytes),
}

/// `backtick [-i | -I | -x | -D DEFAULT] [-N | -n] [-E | -e] NAME { PROG… } PROG…`: `-N` keeps a
/// line end, `-E` puts the value into the words instead of the environment.
pub(crate) fn backtick(mut call: Call) -> Outcome {
    let usage = || {
        Stop::usage(
            "backtick [ -i | -I | -x | -D default ] [ -N | -n ] [ -E | -e ] var { prog... } \
             remainder...",
        )
    };
    let (mut failed, mut chomp, mut inside) = (Failed::Ends, true, false);
    for (option, value) in call.options("iIxnNeED:").map_err(|_| usage())? {
        match option {
            'i' => failed = Failed::Ends,
            'I' => failed = Failed::Ignored,
            'x' => failed = Failed::Unset,
            'D' => failed = Failed::Default(value),
            'n' | 'N' => chomp = option == 'n',
            letter => inside = letter == 'E',
        }
    }
    let name = call
        .shift()
        .filter(|_| !call.args.is_empty())
        .ok_or_else(usage)?;
    if name.is_empty() || name.contains(&b'=') {
        return Err(Stop::fatal(USAGE, "invalid variable name"));
    }
    let block = call.needed_block("backtick")?;
    if block.is_empty() {
        return Err(Stop::fatal(USAGE, "empty block"));
    }
    let value = value(block, &call, failed, chomp)?;
    if inside {
        let mut found = Variables::default();
        // The only name there is.
        let _ = found.add(name, value.into_iter().collect());
        return put_in(call, &found);
    }
    match value {
        Some(value) => call.env.set(&name, value),
        None => call.env.remove(&name),
    }
    Ok(call.go_on())
}

fn value(
    block: Vec<Bytes>,
    call: &Call,
    failed: Failed,
    chomp: bool,
) -> Result<Option<Bytes>, Stop> {
    let (mut output, exit) = run(block, call)?;
    let wrong = match exit {
        Exit::Code(0) if !output.contains(&0) => None,
        Exit::Code(0) => Some((NULL, "child process output contained a null character")),
        Exit::Code(code) => Some((code, "child process exited non-zero")),
        Exit::Signal(_) | Exit::Core(_) => Some((exit.code(), "child process crashed")),
    };
    if let Some((code, text)) = wrong {
        match failed {
            Failed::Ends => return Err(Stop::fatal(code, text)),
            Failed::Unset => return Ok(None),
            Failed::Default(default) => {
                if code == NULL {
                    tell(b"backtick", &format!("warning: {text}"));
                }
                return Ok(Some(default));
            }
            Failed::Ignored => {}
        }
    }
    let end = output.iter().position(|byte| *byte == 0);
    output.truncate(end.unwrap_or(output.len()));
    if chomp && output.last() == Some(&b'\n') {
        output.pop();
    }
    Ok(Some(output))
}

fn run(block: Vec<Bytes>, call: &Call) -> Result<(Bytes, Exit), Stop> {
    let program = block.first().cloned();
    let (read, write) = io::pipe().map_err(|error| Stop::unable("create pipe", error))?;
    let (read, write): (OwnedFd, OwnedFd) = (read.into(), write.into());
    let writer = &write;
    let pid = spawn(command(block, &call.env), call.env.get(b"PATH"), || {
        place(
            writer.try_clone().map_err(|_| nix::errno::Errno::EMFILE)?,
            1,
        )
    })
    .map_err(|why| not_spawned(program.as_ref(), why))?;
    drop(write);
    let mut output = Bytes::new();
    let unread = |error: io::Error| Stop::unable("read the output", error);
    let mut from = File::from(read);
    let limit = OUTPUT_BYTES_MAX + 1;
    from.by_ref()
        .take(limit)
        .read_to_end(&mut output)
        .map_err(unread)?;
    drop(from);
    let exit = wait_one(pid).map_err(|error| Stop::unable("wait for the block", error))?;
    if output.len() as u64 > OUTPUT_BYTES_MAX {
        return Err(Stop::fatal(
            TEMPORARY,
            "the output is too long for a variable",
        ));
    }
    Ok((output, exit))
}
