//! The stages of s6-overlay's boot and end, each a oneshot that PID 1 runs: `pidone s6 stage NAME`.

mod attrs;
mod init;
mod scripts;
mod second;
mod top;
mod tree;

use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::os::reaper;
use crate::os::signals::{SignalSet, put_back, undo_runtime};
use crate::os::trees::is_second;
use crate::service::environment::Environment as Variables;
use crate::service::overlay;
use crate::service::permit;
use crate::tools::s6::call::{Bytes, Command, Environment, Why};
use crate::tools::s6::{spawn, tell};
use crate::values::Exit;

/// A stage, by the name of its service.
type Stage = fn(&Variables) -> u8;

const STAGES: [(&str, Stage); 6] = [
    ("init", init::run),
    ("fix-attrs", attrs::run),
    ("cont-init", scripts::at_start),
    ("cont-finish", scripts::at_end),
    ("legacy", |variables| {
        second::services(variables, "starting services");
        0
    }),
    ("top", top::run),
];

/// Bad usage, as s6's tools have it.
const BAD_USAGE: u8 = 100;

/// Runs the stage of this name; gives its exit code.
pub(super) fn verb(args: &[OsString], born_with: SignalSet) -> u8 {
    // Scripts are born as PID 1's children are: nothing blocked, nothing ignored.
    undo_runtime();
    put_back(born_with);
    let found = args.first().and_then(|word| {
        let found = STAGES.iter().find(|(name, _)| word == *name);
        found.map(|(_, stage)| *stage)
    });
    match found {
        Some(stage) => stage(&env::vars_os().collect()),
        None => {
            let names = STAGES.map(|(name, _)| name).join(" ");
            tell(
                b"s6",
                &format!("usage: pidone s6 stage NAME, one of {names}"),
            );
            BAD_USAGE
        }
    }
}

/// How much is told: `S6_VERBOSITY`, 2 unless said.
fn verbosity(variables: &Variables) -> u32 {
    let said = variables
        .get("S6_VERBOSITY")
        .and_then(|value| value.to_str());
    said.and_then(|value| value.parse().ok()).unwrap_or(2)
}

/// What a script of the image's is given: PATH only, unless the image wants all.
fn surroundings(variables: &Variables) -> Environment {
    // What a stage may ask is not its scripts' to ask.
    let all = env::vars_os().filter(|(name, _)| name != permit::VARIABLE);
    let all = all.map(|(name, value)| (name.into_vec(), value.into_vec()));
    let mut given = if is_second() || overlay::is_on(variables, "S6_KEEP_ENV") {
        Environment(all.collect())
    } else {
        Environment(Vec::new())
    };
    let path = variables.get("PATH").and_then(|value| value.to_str());
    given.set(b"PATH", overlay::path(path));
    given
}

/// Runs a program to its end, in `/`; if `seconds` is not 0, for at most so long.
fn run(argv: Vec<Bytes>, variables: &Variables, seconds: u32) -> Result<Exit, Why> {
    let given = surroundings(variables);
    let path = given.get(b"PATH").map(<[u8]>::to_vec);
    let command = Command::new(argv, given);
    let pid = spawn(command, path.as_deref(), || {
        if seconds > 0 {
            // It outlives the exec, and its signal ends who does not know it.
            nix::unistd::alarm::set(seconds);
        }
        nix::unistd::chdir(Path::new("/"))
    })?;
    Ok(reaper::wait_one(pid)?)
}

/// A path as a word of a command.
fn word(path: &Path) -> Bytes {
    path.as_os_str().as_bytes().to_vec()
}
