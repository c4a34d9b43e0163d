//! `s6-svscan`'s part beside PID 1: the desk, a companion that answers in the services' directories
//! as s6 does, and asks PID 1 for what it is asked for.

mod desk;
mod errands;
mod fifodir;
mod letters;
mod post;
mod record;
mod standins;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::diag::Diagnostic;
use crate::os::descriptors;
use crate::os::pid1;
use crate::tools::s6::call::{Call, Command, Done, Outcome};
use crate::tools::s6::tell;

use desk::Desk;

const USAGE: &str = "usage: pidone s6 desk [--stand-ins] DIR, as a service that may ask pidone";

/// Where the desk tells that it is ready: see [`crate::service::scandir::desk`].
const READY_FD: i32 = 3;

/// `s6-svscan`, where a tool goes on with it: a role of its own, so it begins anew.
#[expect(clippy::unnecessary_wraps, reason = "a tool like the others")]
pub(crate) fn svscan(mut call: Call) -> Outcome {
    call.args.insert(0, b"s6-svscan".to_vec());
    Ok(Done::Exec(Command {
        program: Some(b"/proc/self/exe".to_vec()),
        ..Command::new(call.args, call.env)
    }))
}

/// `pidone s6 desk [--stand-ins] DIR`; gives the exit code.
pub(crate) fn desk(args: &[OsString]) -> u8 {
    let (dir, stand_ins) = match args {
        [dir] if !dir.to_string_lossy().starts_with('-') => (dir, false),
        [option, dir] if option == "--stand-ins" => (dir, true),
        _other => {
            tell(b"s6-svscan", USAGE);
            return 100;
        }
    };
    // Two descriptors a service; the limit is PID 1's, given back.
    let _ = pid1::raise_nofile();
    match serve(PathBuf::from(dir), stand_ins) {
        Ok(code) => code,
        Err(why) => {
            tell(b"s6-svscan", &format!("fatal: {}", one_line(&why)));
            111
        }
    }
}

fn serve(dir: PathBuf, stand_ins: bool) -> Result<u8, Diagnostic> {
    let mut desk = Desk::open(dir, stand_ins)?;
    if descriptors::is_open(READY_FD).is_ok() {
        // Nobody waits for it: then nobody misses it.
        let _ = descriptors::write_all(READY_FD, b"\n");
        descriptors::close(READY_FD);
    }
    desk.run()
}

/// A fault and its hint, as one line.
fn one_line(fault: &Diagnostic) -> String {
    match &fault.hint {
        Some(hint) => format!("{} ({hint})", fault.message),
        None => fault.message.clone(),
    }
}
