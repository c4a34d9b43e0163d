//! The tools of s6 and execline by their names: each one says what comes next, here it is done.

mod call;
mod envdir;
mod execline;
mod halt;
mod identity;
pub mod install;
mod limits;
mod lock;
mod log;
mod logutil;
mod rc;
mod scan;
mod service;
mod small;
mod tai;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::errno::Errno;

use crate::os::descriptors::{lift, write_all};
use crate::os::inplace::{self, Side};
use crate::os::reaper;
use crate::os::signals::{SignalSet, put_back, undo_runtime};
use crate::values::Pid;

use call::{Bytes, Call, Command, Done, Environment, Outcome, Stop, TEMPORARY, Why, shown};

/// One tool: takes its call, says what comes of it.
type Tool = fn(Call) -> Outcome;

/// How a name is found when a tool's words go on with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// A word of execline: ours whatever PATH says, as `/usr/bin/import` may be another program.
    Word,
    /// A program: PATH says, and ours is taken where it finds none.
    Program,
    /// The same, but not for everybody: the system may have its own, and ours lies in
    /// `/run/s6/basedir/bin`.
    Apart,
}

/// Every name, what it is, and where its link goes besides `/command`.
const TOOLS: &[(&str, Kind, Tool)] = &[
    ("backtick", Kind::Word, execline::backtick::backtick),
    ("cd", Kind::Word, execline::plain::cd),
    ("define", Kind::Word, execline::substitute::define),
    ("eltest", Kind::Program, small::test),
    ("exec", Kind::Word, execline::plain::exec),
    ("execline-cd", Kind::Word, execline::plain::cd),
    ("execlineb", Kind::Program, execline::script::execlineb),
    ("exit", Kind::Word, execline::plain::exit),
    ("export", Kind::Word, execline::plain::export),
    ("fdmove", Kind::Word, execline::plumbing::fdmove),
    ("foreground", Kind::Word, execline::blocks::foreground),
    ("halt", Kind::Apart, halt::halt),
    ("if", Kind::Word, execline::blocks::if_),
    ("ifelse", Kind::Word, execline::blocks::ifelse),
    ("import", Kind::Word, execline::substitute::import),
    ("importas", Kind::Word, execline::substitute::importas),
    ("logutil-newfifo", Kind::Program, logutil::newfifo),
    ("logutil-service", Kind::Program, logutil::service),
    (
        "multisubstitute",
        Kind::Word,
        execline::substitute::multisubstitute,
    ),
    ("pipeline", Kind::Word, execline::plumbing::pipeline),
    ("poweroff", Kind::Apart, halt::halt),
    ("printcontenv", Kind::Program, envdir::printcontenv),
    ("reboot", Kind::Apart, halt::halt),
    ("redirfd", Kind::Word, execline::plumbing::redirfd),
    ("s6-applyuidgid", Kind::Program, identity::applyuidgid),
    ("s6-echo", Kind::Program, small::echo),
    ("s6-envdir", Kind::Program, envdir::envdir),
    ("s6-envuidgid", Kind::Program, identity::envuidgid),
    ("s6-rc", Kind::Program, rc::rc),
    ("s6-setlock", Kind::Program, lock::setlock),
    ("s6-setuidgid", Kind::Program, identity::setuidgid),
    ("s6-softlimit", Kind::Program, limits::softlimit),
    ("s6-test", Kind::Program, small::test),
    ("s6-log", Kind::Program, log::log),
    (
        "s6-notifyoncheck",
        Kind::Program,
        service::check::notifyoncheck,
    ),
    ("s6-permafailon", Kind::Program, service::tally::permafailon),
    ("s6-svc", Kind::Program, service::control::svc),
    ("s6-svdt", Kind::Program, service::tally::svdt),
    ("s6-svdt-clear", Kind::Program, service::tally::svdt_clear),
    ("s6-svok", Kind::Program, service::status::svok),
    ("s6-svscan", Kind::Program, scan::svscan),
    ("s6-svscanctl", Kind::Program, service::control::svscanctl),
    ("s6-svstat", Kind::Program, service::status::svstat),
    ("s6-svwait", Kind::Program, service::wait::svwait),
    ("shutdown", Kind::Apart, halt::halt),
    ("with-contenv", Kind::Program, envdir::with_contenv),
];

fn find(name: &[u8]) -> Option<(Kind, Tool)> {
    let found = TOOLS.iter().find(|(known, _, _)| known.as_bytes() == name);
    found.map(|(_, kind, tool)| (*kind, *tool))
}

/// Whether `name` is one of the tools.
pub fn is_tool(name: &OsStr) -> bool {
    find(name.as_bytes()).is_some()
}

/// Words of execline that are not here, so that whoever writes one learns why it does not run.
const ABSENT: &[&str] = &[
    "background",
    "case",
    "dollarat",
    "elgetopt",
    "elgetpositionals",
    "elglob",
    "emptyenv",
    "envfile",
    "export-array",
    "fdblock",
    "fdclose",
    "fdreserve",
    "fdswap",
    "forbacktickx",
    "forstdin",
    "forx",
    "getcwd",
    "getpid",
    "heredoc",
    "homeof",
    "ifte",
    "ifthenelse",
    "loopwhilex",
    "multidefine",
    "piperw",
    "posix-cd",
    "posix-umask",
    "runblock",
    "shift",
    "trap",
    "tryexec",
    "umask",
    "unexport",
    "wait",
    "withstdinas",
];

/// Runs the tool that `args` names in its first word; gives the exit code, unless another program
/// took our place. `born_with` is what was blocked before `main` blocked everything.
pub fn run(args: &[OsString], born_with: SignalSet) -> u8 {
    // The next program finds what this one found; who writes into a closed pipe dies of it.
    undo_runtime();
    put_back(born_with);
    let mut words = args.iter().map(|arg| arg.as_bytes().to_vec());
    let name = words.next().unwrap_or_default();
    let name = name.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let pair = |(name, value): (OsString, OsString)| (name.into_vec(), value.into_vec());
    let call = Call {
        args: words.collect(),
        env: Environment(env::vars_os().map(pair).collect()),
    };
    match find(name) {
        Some((_, tool)) => perform(name.to_vec(), tool, call),
        None => 127,
    }
}

/// Runs a tool and what it goes on with, each in the other's place, until one is over.
fn perform(mut name: Bytes, mut tool: Tool, mut call: Call) -> u8 {
    loop {
        let path = call.env.get(b"PATH").map(<[u8]>::to_vec);
        let mut next = match tool(call) {
            Ok(Done::Exit(code)) => return code,
            Ok(Done::Exec(next)) => next,
            Err(stop) => {
                tell(&name, &stop.text);
                return stop.code;
            }
        };
        if next.argv.is_empty() {
            return 0;
        }
        let path = next.path.take().or(path);
        match launch(&next, path.as_deref()) {
            Ok(ours) => {
                tool = ours;
                name = next.argv.remove(0);
                call = Call {
                    args: next.argv,
                    env: next.env,
                };
            }
            Err(errno) => return not_run(&name, next.program(), errno),
        }
    }
}

/// Becomes the command, unless it is one of ours, which is given, or cannot.
#[inline(never)]
fn launch(command: &Command, path: Option<&[u8]>) -> Result<Tool, Errno> {
    let program = command.program();
    let ours = find(program);
    if let Some((Kind::Word, tool)) = ours {
        return Ok(tool);
    }
    match (
        inplace::exec(program, &command.argv, &command.env.0, path),
        ours,
    ) {
        (Errno::ENOENT, Some((_, tool))) => Ok(tool),
        (errno, _) => Err(errno),
    }
}

/// Starts the command beside us, as `prepare` leaves the copy's descriptors.
///
/// # Errors
/// Why it does not run.
fn spawn(
    command: Command,
    path: Option<&[u8]>,
    prepare: impl FnOnce() -> Result<(), Errno>,
) -> Result<Pid, Why> {
    start(command, path, Box::new(prepare))
}

/// [`spawn`], once for all that is prepared.
#[inline(never)]
fn start(
    mut command: Command,
    path: Option<&[u8]>,
    prepare: Box<dyn FnOnce() -> Result<(), Errno> + '_>,
) -> Result<Pid, Why> {
    let (mut heard, tell) = io::pipe()?;
    // Out of the way of what `prepare` puts where.
    let mut tell = File::from(lift(tell)?);
    match inplace::fork()? {
        Side::Parent(pid) => {
            drop(tell);
            let mut errno = [0; 4];
            // The other end closes as it becomes the program: then there is nothing to read.
            if heard.read_exact(&mut errno).is_err() {
                return Ok(pid);
            }
            reaper::wait_one(pid)?;
            Err(Errno::from_raw(i32::from_ne_bytes(errno)).into())
        }
        Side::Child => {
            drop(heard);
            let errno = match prepare().and_then(|()| launch(&command, path)) {
                Ok(tool) => {
                    drop(tell);
                    let name = command.argv.remove(0);
                    let (args, env) = (command.argv, command.env);
                    inplace::leave(perform(name, tool, Call { args, env }))
                }
                Err(errno) => errno as i32,
            };
            // If the parent is gone, nobody has to know.
            let _ = tell.write_all(&errno.to_ne_bytes());
            inplace::leave(127)
        }
    }
}

fn not_run(by: &[u8], program: &[u8], errno: Errno) -> u8 {
    tell(
        by,
        &format!("fatal: {}", unable_to("exec", program, errno.into())),
    );
    if errno == Errno::ENOENT { 127 } else { 126 }
}

/// `unable to exec PROG: WHY`; a word of execline that is not here is told as one.
#[inline(never)]
fn unable_to(deed: &str, program: &[u8], why: Why) -> String {
    let program = shown(program);
    if why.0 == Errno::ENOENT && ABSENT.contains(&program.as_str()) {
        return format!("unable to {deed} {program}: pidone does not have this word of execline");
    }
    format!("unable to {deed} {program}: {why}")
}

/// What ends a tool whose block does not run.
#[inline(never)]
fn not_spawned(program: Option<&Bytes>, why: Why) -> Stop {
    let program = program.map(Vec::as_slice).unwrap_or_default();
    Stop::fatal(TEMPORARY, unable_to("spawn", program, why))
}

/// `NAME: TEXT` on stderr.
#[inline(never)]
fn tell(name: &[u8], text: &str) {
    let line = [name, b": ", text.as_bytes(), b"\n"].concat();
    // Nobody reads our stderr: then nobody misses it.
    let _ = write_all(2, &line);
}

/// What the tool prints.
#[inline(never)]
fn print(bytes: &[u8]) -> Result<(), Stop> {
    write_all(1, bytes).map_err(|errno| Stop::unable("write to stdout", errno))
}
