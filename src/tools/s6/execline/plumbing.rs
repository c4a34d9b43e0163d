//! Words that lay pipes and descriptors: `redirfd`, `fdmove`, `pipeline`.

use std::io;
use std::os::fd::{OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use crate::os::descriptors::{close, copy, place, set_blocking};
use crate::os::inplace::{Side, fork, leave};
use crate::os::reaper::wait_one;
use crate::tools::s6::call::{Bytes, Call, Outcome, Stop, USAGE, Why, number, path, shown};
use crate::tools::s6::{not_spawned, spawn};

use super::block::command;

/// `redirfd -r|-w|-u|-a|-c|-x [-n] [-b] FD FILE PROG…`: opens the file as that descriptor; `-n`
/// without waiting for a FIFO's other end, `-b` then turns blocking around.
pub(crate) fn redirfd(mut call: Call) -> Outcome {
    let usage = || Stop::usage("redirfd -[ r | w | u | a | c | x ] [ -n ] [ -b ] fd file prog...");
    let (mut way, mut extra, mut turned) = (None, OFlag::empty(), false);
    for (option, _) in call.options("rwuacxnb").map_err(|_| usage())? {
        match option {
            'r' => way = Some(OFlag::O_RDONLY),
            'w' => way = Some(OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC),
            'u' => way = Some(OFlag::O_RDWR),
            'a' => way = Some(OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_APPEND),
            'c' => way = Some(OFlag::O_WRONLY | OFlag::O_APPEND),
            'x' => way = Some(OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL),
            'n' => extra = OFlag::O_NONBLOCK,
            _ => turned = true,
        }
    }
    let way = way.filter(|_| call.args.len() >= 3).ok_or_else(usage)?;
    let word = call.shift().unwrap_or_default();
    let to: RawFd = number(&word).ok_or_else(usage)?;
    let name = call.shift().unwrap_or_default();
    let opened = open_for(&name, way | extra);
    let file = opened.map_err(|errno| Stop::unable(format!("open {}", shown(&name)), errno))?;
    place(file, to).map_err(|errno| Stop::unable(format!("move to fd {to}"), errno))?;
    if turned {
        set_blocking(to, extra == OFlag::O_NONBLOCK)
            .map_err(|errno| Stop::unable("change blocking mode", errno))?;
    }
    Ok(call.go_on())
}

/// A FIFO that nobody reads refuses who does not wait to write: we are its reader for a moment.
fn open_for(name: &[u8], flags: OFlag) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlag::O_CLOEXEC;
    let again = || open(path(name), flags, Mode::from_bits_truncate(0o666));
    match again() {
        Err(Errno::ENXIO) if flags.contains(OFlag::O_WRONLY) => {
            let reader = open(
                path(name),
                OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC,
                Mode::empty(),
            )?;
            let opened = again();
            drop(reader);
            opened
        }
        other => other,
    }
}

/// `fdmove [-c] TO FROM PROG…`: moves a descriptor, or copies it.
pub(crate) fn fdmove(mut call: Call) -> Outcome {
    let usage = || Stop::usage("fdmove [ -c ] to from prog...");
    let copies = !call.options("c").map_err(|_| usage())?.is_empty();
    if call.args.len() < 3 {
        return Err(usage());
    }
    let mut fd = || {
        call.shift()
            .and_then(|word| number::<RawFd>(&word))
            .ok_or_else(usage)
    };
    let (to, from) = (fd()?, fd()?);
    copy(from, to).map_err(|errno| Stop::unable(format!("move fd {from} to fd {to}"), errno))?;
    if !copies && from != to {
        close(from);
    }
    Ok(call.go_on())
}

/// `pipeline [-d] [-r | -w] { PROG… } PROG…`: a pipe from the block to the rest, or with `-w` the
/// other way; `!` is the block's pid. With `-d` it is nobody's child.
pub(crate) fn pipeline(mut call: Call) -> Outcome {
    let usage = || Stop::usage("pipeline [ -d ] [ -r | -w ] { command... } command...");
    let (mut apart, mut writes) = (false, false);
    for (option, _) in call.options("drw").map_err(|_| usage())? {
        match option {
            'd' => apart = true,
            letter => writes = letter == 'w',
        }
    }
    let block = call.needed_block("pipeline")?;
    if call.args.is_empty() {
        return Err(Stop::fatal(USAGE, "empty remainder"));
    }
    let pipe = io::pipe().map_err(|error| Stop::unable("create pipe", error))?;
    let (read, write): (OwnedFd, OwnedFd) = (pipe.0.into(), pipe.1.into());
    let (ours, theirs) = if writes { (write, read) } else { (read, write) };
    let (our_end, their_end) = if writes { (1, 0) } else { (0, 1) };
    let program = block.first().cloned();
    let failed = |why| not_spawned(program.as_ref(), why);
    if block.is_empty() {
        drop(theirs);
    } else if apart {
        start_apart(block, &call, theirs, their_end).map_err(failed)?;
    } else {
        let pid = spawn(command(block, &call.env), call.env.get(b"PATH"), || {
            place(theirs, their_end)
        })
        .map_err(failed)?;
        call.env.set(b"!", pid.raw().to_string());
    }
    place(ours, our_end).map_err(|errno| Stop::unable("move the pipe", errno))?;
    Ok(call.go_on())
}

/// Starts the block as a grandchild, whom whoever takes orphans in will bury.
fn start_apart(
    block: Vec<Bytes>,
    call: &Call,
    theirs: OwnedFd,
    their_end: RawFd,
) -> Result<(), Why> {
    match fork()? {
        Side::Parent(pid) => {
            drop(theirs);
            wait_one(pid)?;
            Ok(())
        }
        Side::Child => {
            let started = spawn(command(block, &call.env), call.env.get(b"PATH"), || {
                place(theirs, their_end)
            });
            leave(u8::from(started.is_err()))
        }
    }
}
