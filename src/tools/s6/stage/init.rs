//! The first stage: `/run/s6` and what lies there, the image's hook, the directories that services
//! live in, and then PID 1 is asked to read everything.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use crate::control::client::{Client, Failure, places, unexpected};
use crate::control::protocol::{Reply, Request};
use crate::os::{trees, users};
use crate::service::definition::Kind;
use crate::service::environment::Environment;
use crate::service::overlay::logging::{self, Caught, LOG_DIR};
use crate::service::overlay::{self, EXIT_CODE, LEGACY_DIRS, RUN, SCAN_DIR, SERVICE_DIRS, is_on};
use crate::service::s6rc::{self, Compiled};
use crate::tools::s6::tell;

use super::scripts::behaviour;
use super::{run as run_program, second, top, tree};

/// The variables that lie in files, for `with-contenv`.
const CONTAINER: &str = "/run/s6/container_environment";
/// How a container is ended from within.
const ENDS: [&str; 4] = ["halt", "poweroff", "reboot", "shutdown"];
/// sysexits(3): something in the definitions is wrong.
const CONFIG: u8 = 78;

pub(super) fn run(variables: &Environment) -> u8 {
    if let Err(why) = prepare(variables) {
        say(&format!(
            "warning: cannot use {RUN}: {why}: some tools of s6 will not work"
        ));
    }
    if let Some(ended) = hook(variables) {
        return ended;
    }
    let sources = overlay::Sources::of(variables);
    let legacy = legacy(&sources.services);
    match compiled(&sources, &legacy) {
        Ok(compiled) => {
            let longruns = compiled.services.iter();
            let longruns = longruns.filter(|it| it.kind == Kind::Longrun);
            link_all(longruns.map(|it| it.dir.as_path()), Path::new(SERVICE_DIRS));
            if let Err(why) = tree::write(&compiled) {
                say(&format!("warning: s6-rc will not know bundles: {why}"));
            }
        }
        Err(why) => say(&format!("warning: s6-rc will know nothing: {why}")),
    }
    link_all(legacy.iter().map(PathBuf::as_path), Path::new(LEGACY_DIRS));
    rescan()
}

/// The directories of `services.d` that are s6's, in the order of names.
fn legacy(services: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(services).into_iter().flatten().flatten();
    let mut dirs: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    dirs.retain(|dir| dir.join("run").exists() && !dir.join("service.toml").exists());
    dirs.sort_unstable();
    dirs
}

/// What s6-rc's definitions come to. What is wrong with them is PID 1's to tell.
fn compiled(sources: &overlay::Sources, legacy: &[PathBuf]) -> Result<Compiled, String> {
    let (tree, _told_by_pid1) = trees::read(&sources.trees, &sources.bundles);
    let names = legacy
        .iter()
        .filter_map(|dir| dir.file_name()?.to_str()?.parse().ok());
    Ok(s6rc::compile(&tree, &overlay::known(names)?))
}

fn say(text: &str) {
    tell(b"s6-init", text);
}

/// Everything below `/run` anew: what an earlier life of this container left is gone.
fn prepare(variables: &Environment) -> io::Result<()> {
    for dir in [CONTAINER, SCAN_DIR, "/run/s6-rc", LEGACY_DIRS] {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    for dir in [CONTAINER, SERVICE_DIRS, LEGACY_DIRS, SCAN_DIR] {
        fs::create_dir_all(dir)?;
    }
    if fs::symlink_metadata("/var/run").is_err() {
        // Images name it in both ways. Where it cannot be made, they have it, or fail there.
        let _ = symlink("/run", "/var/run");
    }
    let results = Path::new(EXIT_CODE);
    fs::create_dir_all(results.parent().unwrap_or(results))?;
    fs::write(results, "0")?;
    second::name(Path::new(RUN))?;
    if let Ok(here) = std::env::current_dir() {
        fs::write(Path::new(RUN).join("workdir"), here.as_os_str().as_bytes())?;
    }
    let bin = Path::new(RUN).join("basedir/bin");
    fs::create_dir_all(&bin)?;
    let program = std::env::current_exe()?;
    for name in ENDS {
        let link = bin.join(name);
        let _ = fs::remove_file(&link);
        symlink(&program, &link)?;
    }
    if !is_on(variables, "S6_KEEP_ENV") {
        dump(variables)?;
    }
    logs(variables)
}

/// The directory of the logger that catches everything, which its user cannot make in `/run`.
fn logs(variables: &Environment) -> io::Result<()> {
    if logging::caught(variables) == Caught::None {
        return Ok(());
    }
    fs::create_dir_all(LOG_DIR)?;
    fs::set_permissions(LOG_DIR, fs::Permissions::from_mode(0o2750))?;
    // Who this is not, its start will tell.
    if let Ok(user) = users::resolve(logging::catcher(variables)) {
        chown(LOG_DIR, Some(user.uid), Some(user.gid))?;
    }
    Ok(())
}

/// One file for each variable, with a line's end behind the value.
fn dump(variables: &Environment) -> io::Result<()> {
    let given = variables.get("PATH").and_then(OsStr::to_str);
    let path = overlay::path(given);
    let own = [(OsStr::new("PATH"), OsStr::new(&path))];
    let others = variables.iter().filter(|(name, _)| *name != "PATH");
    for (name, value) in others.chain(own) {
        // Whatever is no file's name, or is ours, is no variable of the image's.
        if name.is_empty() || name.as_bytes().contains(&b'/') || is_ours(name) {
            continue;
        }
        let content = [value.as_bytes(), b"\n"].concat();
        fs::write(Path::new(CONTAINER).join(name), content)?;
    }
    Ok(())
}

/// PIDONE_CONTROL_FD is for this stage only.
fn is_ours(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b"PIDONE_")
}

/// `S6_STAGE2_HOOK`: its words are a command; it may write definitions, so it comes first. Gives a
/// code if this is the end.
fn hook(variables: &Environment) -> Option<u8> {
    let hook = variables.get("S6_STAGE2_HOOK")?.to_string_lossy();
    let words: Vec<Vec<u8>> = hook
        .split_whitespace()
        .map(|word| word.as_bytes().to_vec())
        .collect();
    let first = words.first()?.clone();
    let ended = match run_program(words, variables, 0) {
        Ok(exit) => exit.code(),
        Err(why) => {
            let shown = String::from_utf8_lossy(&first);
            say(&format!("warning: cannot run {shown}: {why}"));
            127
        }
    };
    if ended == 0 {
        return None;
    }
    match behaviour(variables) {
        0 => None,
        1 => {
            say(&format!("warning: the hook exited {ended}"));
            None
        }
        _stops => {
            say(&format!(
                "fatal: the hook exited {ended}: the container ends"
            ));
            top::end(ended);
            Some(ended)
        }
    }
}

/// For each definition a directory in `to` that holds links to all of it, and a link to that where
/// s6-svscan looks. Scripts are run where they lie, so that `/run` may be noexec.
fn link_all<'a>(definitions: impl Iterator<Item = &'a Path>, to: &Path) {
    for dir in definitions {
        let name = dir.file_name().unwrap_or_default();
        let made = to.join(name);
        let linked =
            link_one(dir, &made).and_then(|()| symlink(&made, Path::new(SCAN_DIR).join(name)));
        if let Err(why) = linked {
            say(&format!("warning: cannot make {}: {why}", made.display()));
            return;
        }
    }
}

fn link_one(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        match name.as_bytes() {
            b"supervise" | b"event" => {}
            // A service of its own, with files of its own.
            b"log" if entry.path().join("run").exists() => link_one(&entry.path(), &to.join(name))?,
            _other => symlink(entry.path(), to.join(name))?,
        }
    }
    Ok(())
}

/// Asks PID 1 to read everything; a fault in it ends the container.
fn rescan() -> u8 {
    let asked = Client::connect(&places())
        .and_then(|mut client| client.ask(&Request::Rescan { dry_run: false }));
    let faults = match asked {
        Ok(Reply::Rescanned(done)) => {
            done.warnings.iter().for_each(|it| tell_whole(it));
            return 0;
        }
        Err(Failure::Refused(refusal)) => {
            refusal.faults.iter().for_each(|it| tell_whole(it));
            refusal.message
        }
        Ok(other) => unexpected(&other).diagnostic().message,
        Err(failure) => failure.diagnostic().message,
    };
    say(&format!(
        "fatal: {faults}; the container ends with {CONFIG}"
    ));
    top::end(CONFIG);
    CONFIG
}

fn tell_whole(text: &str) {
    // Nobody reads our stderr: then nobody misses it.
    let _ = crate::os::descriptors::write_all(2, [text.as_bytes(), b"\n"].concat().as_slice());
}
