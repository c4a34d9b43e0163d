//! `pidone syslog`: takes syslog messages on `/dev/log` (or UDP on loopback) and writes each as a
//! line to its own output, for programs that can log to nothing else. A service of its own.

pub mod intake;

pub mod place;

pub mod outlet;

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::diag::Diagnostic;
use crate::os::clock;
use crate::os::ending::Ending;
use crate::os::inherited;
use crate::os::reason::reason;
use crate::tools::syslog::intake::Intake;
use crate::tools::syslog::outlet::Outlet;
use crate::values::Moment;

/// Where programs look for syslog (`_PATH_LOG` of syslog.h).
const DEV_LOG: &str = "/dev/log";
/// Told to stop, we read what is queued, but no longer than this: a flood does not end by itself.
const DRAIN: Duration = Duration::from_secs(1);
/// Complaints come no more often than this.
const REMARK_EVERY: Duration = Duration::from_secs(1);
/// The exit code when a socket cannot be had, or the output cannot be written.
const CODE_FAILED: u8 = 1;
/// The exit code of bad usage, as of every verb.
const CODE_USAGE: u8 = 2;

/// What `pidone syslog` takes.
#[derive(clap::Args)]
pub struct Args {
    /// A unix datagram socket to listen on; default: /dev/log, unless --udp is given
    #[arg(long, value_name = "PATH")]
    socket: Vec<PathBuf>,
    /// A UDP address to listen on, of loopback
    #[arg(long, value_name = "ADDRESS:PORT")]
    udp: Vec<String>,
    /// Who may write to the sockets: their permission bits, octal
    #[arg(long, default_value = "0666", value_parser = mode)]
    mode: u32,
    /// Write a newline to this descriptor once everything is listened on (`[ready] fd = N`)
    #[arg(long, value_name = "N")]
    ready_fd: Option<i32>,
}

fn mode(text: &str) -> Result<u32, String> {
    let bits = u32::from_str_radix(text, 8).ok();
    bits.filter(|bits| *bits <= 0o777)
        .ok_or_else(|| format!("`{text}` is not a mode such as 0666 or 660"))
}

/// Boxed, for it is many times as large as what a success gives.
type Fault = Box<Diagnostic>;

/// The whole role; gives the exit code.
pub fn run(args: &Args) -> u8 {
    match start(args) {
        Err((code, fault)) => {
            complain(&fault);
            code
        }
        Ok(mut receiver) => match receiver.serve() {
            Ok(()) => 0,
            Err(error) => {
                complain(&Diagnostic::error(format!(
                    "cannot go on: {}",
                    reason(&error)
                )));
                CODE_FAILED
            }
        },
    }
}

/// Listens on everything, then tells that it is ready.
fn start(args: &Args) -> Result<Receiver, (u8, Fault)> {
    let failed = |fault: Diagnostic| (CODE_FAILED, Fault::new(fault));
    // First, before a descriptor of ours could get its number.
    let ready = match args.ready_fd.map(inherited::take) {
        None => None,
        Some(Ok(fd)) => Some(fd),
        Some(Err(error)) => {
            return Err((
                CODE_USAGE,
                Diagnostic::error(format!("cannot use `--ready-fd`: {}", reason(&error)))
                    .hint("`[ready] fd = 3` in service.toml belongs to `--ready-fd 3`")
                    .into(),
            ));
        }
    };
    let addresses = args
        .udp
        .iter()
        .map(|text| place::loopback(text))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|fault| (CODE_USAGE, fault))?;
    // Before the sockets are there, so that an order to stop removes them again.
    let ending = Ending::new().map_err(|error| failed(cannot("hear signals", &error)))?;
    let mut paths = args.socket.clone();
    if paths.is_empty() && addresses.is_empty() {
        paths.push(DEV_LOG.into());
    }
    let mut intakes = Vec::new();
    for path in &paths {
        intakes.push(Intake::unix(path, args.mode).map_err(|fault| (CODE_FAILED, fault))?);
    }
    for address in &addresses {
        intakes.push(Intake::udp(*address).map_err(|fault| (CODE_FAILED, fault))?);
    }
    if let Some(fd) = ready {
        nix::unistd::write(&fd, b"\n")
            .map_err(|error| failed(cannot("tell that it is ready", &error.into())))?;
    }
    Ok(Receiver {
        intakes,
        ending,
        outlet: Outlet::default(),
        remarked: None,
    })
}

fn cannot(what: &str, error: &io::Error) -> Diagnostic {
    Diagnostic::error(format!("cannot {what}: {}", reason(error)))
}

fn complain(diagnostic: &Diagnostic) {
    // Nobody reads our stderr: then nobody misses it.
    let _ = io::stderr().write_all(diagnostic.to_string().as_bytes());
}

/// The role at work.
struct Receiver {
    intakes: Vec<Intake>,
    ending: Ending,
    outlet: Outlet,
    /// When it last complained.
    remarked: Option<Moment>,
}

impl Receiver {
    /// Reads and writes until it is told to end, and then what is queued.
    fn serve(&mut self) -> io::Result<()> {
        while !self.wait()? {
            self.turn()?;
            self.remark(clock::now());
        }
        self.intakes.iter_mut().for_each(Intake::retire);
        let until = clock::now() + DRAIN;
        while self.turn()? && clock::now() < until {}
        self.remarked = None;
        self.remark(clock::now());
        Ok(())
    }

    /// Waits for a message (or the time to complain); whether it is to end.
    fn wait(&self) -> io::Result<bool> {
        let unsaid = self.intakes.iter().any(|intake| intake.unsaid() > 0);
        let due = self.remarked.filter(|_| unsaid).map(|last| {
            let left = (last + REMARK_EVERY).since(clock::now());
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        let mut fds = vec![PollFd::new(self.ending.as_fd(), PollFlags::POLLIN)];
        fds.extend(
            self.intakes
                .iter()
                .map(|intake| PollFd::new(intake.as_fd(), PollFlags::POLLIN)),
        );
        match poll(&mut fds, due.unwrap_or(PollTimeout::NONE)) {
            Ok(_) => Ok(fds.first().and_then(PollFd::any).unwrap_or(false)),
            Err(Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a batch of every socket and writes it; whether there was anything.
    fn turn(&mut self) -> io::Result<bool> {
        let mut any = false;
        for intake in &mut self.intakes {
            any |= intake.read(&mut self.outlet)?;
        }
        self.outlet.flush()?;
        Ok(any)
    }

    /// Says what the kernel has dropped, at most once a second.
    fn remark(&mut self, now: Moment) {
        if self
            .remarked
            .is_some_and(|last| now.since(last) < REMARK_EVERY)
        {
            return;
        }
        for intake in &mut self.intakes {
            let dropped = intake.say();
            if dropped > 0 {
                self.remarked = Some(now);
                let noun = if dropped == 1 { "message" } else { "messages" };
                complain(&Diagnostic::warning(format!(
                    "{dropped} {noun} to {} dropped by the kernel: its buffer was full",
                    intake.name()
                )));
            }
        }
    }
}
