//! s6-overlay's helpers for loggers: `logutil-service`, `logutil-newfifo`.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::os::descriptors::{place, set_blocking};
use crate::os::users;

use super::call::{Call, Command, Done, Outcome, Stop, USAGE, path, shown};
use super::tell;

/// How a log is kept where `S6_LOGGING_SCRIPT` does not say.
const SCRIPT: &str = "n20 s1000000 T";
/// Whom a logger runs as, if there is such a user.
const USER: &[u8] = b"nobody";

/// `logutil-service [-f FIFO] DIR`: s6-log into this folder, as nobody, whose it becomes.
pub(super) fn service(mut call: Call) -> Outcome {
    let usage = || Stop::usage("logutil-service [ -f fifo ] logdir");
    let options = call.options("f:").map_err(|_| usage())?;
    let dir = call.shift().ok_or_else(usage)?;
    if let Some((_, fifo)) = options.last().filter(|(_, fifo)| !fifo.is_empty()) {
        let deed = || format!("open {}", shown(fifo));
        // Without waiting for who writes; then as blocking as any stdin.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path(fifo))
            .map_err(|error| Stop::unable(deed(), error))?;
        place(file.into(), 0).map_err(|errno| Stop::unable(deed(), errno))?;
        set_blocking(0, true).map_err(|errno| Stop::unable(deed(), errno))?;
    }
    let unable = |error: io::Error| Stop::unable(format!("prepare {}", shown(&dir)), error);
    fs::create_dir_all(path(&dir)).map_err(unable)?;
    fs::set_permissions(path(&dir), Permissions::from_mode(0o2755)).map_err(unable)?;
    let mut argv = Vec::new();
    if crate::os::pid1::uid() == 0 {
        match users::resolve(&shown(USER)) {
            Ok(user) => {
                chown(path(&dir), Some(user.uid), Some(user.gid)).map_err(unable)?;
                argv.extend([b"s6-setuidgid".to_vec(), USER.to_vec()]);
            }
            Err(why) => tell(
                b"logutil-service",
                &format!("warning: {why}; logging as root"),
            ),
        }
    }
    let told = call
        .env
        .get(b"S6_LOGGING_SCRIPT")
        .filter(|told| !told.is_empty());
    let script = told.unwrap_or(SCRIPT.as_bytes());
    argv.extend([b"s6-log".to_vec(), b"-bp".to_vec(), b"--".to_vec()]);
    let words = script
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    argv.extend(words.map(<[u8]>::to_vec));
    argv.push(dir);
    Ok(Done::Exec(Command::new(argv, call.env)))
}

/// `logutil-newfifo [-m MODE] [-o OWNER] FIFO`: a new FIFO in the place of whatever was there.
pub(super) fn newfifo(mut call: Call) -> Outcome {
    let usage = || Stop::usage("logutil-newfifo [ -m mode ] [ -o owner ] fifo");
    let (mut mode, mut owner) = (0o600, b"root".to_vec());
    for (option, value) in call.options("m:o:").map_err(|_| usage())? {
        if option == 'm' {
            mode = u32::from_str_radix(&shown(&value), 8).map_err(|_| usage())?;
        } else {
            owner = value;
        }
    }
    let fifo = call.shift().ok_or_else(usage)?;
    let owner = users::resolve(&shown(&owner)).map_err(|why| Stop::fatal(1, why))?;
    let place = path(&fifo);
    match fs::symlink_metadata(place) {
        Ok(data) if data.is_dir() => {
            let text = format!("unable to replace {}: it is a directory", shown(&fifo));
            return Err(Stop::fatal(USAGE, text));
        }
        Ok(_) => fs::remove_file(place)
            .map_err(|error| Stop::unable(format!("unlink {}", shown(&fifo)), error))?,
        Err(_) => {}
    }
    let unable = |error: io::Error| Stop::unable(format!("mkfifo {}", shown(&fifo)), error);
    mkfifo(place, Mode::from_bits_truncate(0o600)).map_err(|errno| unable(errno.into()))?;
    fs::set_permissions(place, Permissions::from_mode(mode & 0o7777)).map_err(unable)?;
    chown(place, Some(owner.uid), Some(owner.gid)).map_err(unable)?;
    Ok(Done::Exit(0))
}
