//! Reading definitions from disk: bounded in size, in number and in time, whatever lies there.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::diag::Diagnostic;
use crate::os::content::{self, script, small};
use crate::os::folder::{Folder, Hint};
use crate::os::reason::{reason, said};
use crate::service::settings::SERVICES_DIR;
use crate::service::source::{self, Directory, Found, SERVICES_MAX, Script};
use crate::values::lists;

/// Reads every service directory of these roots; a later root's replaces an earlier one's of the
/// same name. The usual root may be missing: an image may have nothing but a command.
pub fn services(roots: &[PathBuf]) -> Found {
    at_most(SERVICES_MAX, roots)
}

/// The same, with at most so many entries, be they services or not.
fn at_most(entries_max: usize, roots: &[PathBuf]) -> Found {
    let mut entries_seen = 0;
    let mut directories: BTreeMap<OsString, Directory> = BTreeMap::new();
    let mut diagnostics = Vec::new();
    for root in roots {
        let entries = match fs::read_dir(root) {
            Ok(entries) => entries,
            Err(why) if why.kind() == ErrorKind::NotFound && root == Path::new(SERVICES_DIR) => {
                continue;
            }
            Err(why) => {
                diagnostics.push(unreadable(root, &why));
                continue;
            }
        };
        for entry in entries {
            let name = match entry {
                Ok(entry) => entry.file_name(),
                Err(why) => {
                    diagnostics.push(unreadable(root, &why));
                    break;
                }
            };
            if name.as_bytes().starts_with(b".") {
                continue;
            }
            entries_seen += 1;
            if entries_seen > entries_max {
                let fault = format!("more than {entries_max} services");
                let hint = "is this a directory of services?";
                diagnostics.push(Diagnostic::error(fault).in_file(root).hint(hint));
                break;
            }
            let path = root.join(&name);
            match directory(&path, name.clone()) {
                Ok(directory) => {
                    directories.insert(name, directory);
                }
                Err(fault) => diagnostics.push(fault),
            }
        }
    }
    // A directory is listed in whatever order; what is said of it is not.
    let key = |fault: &Diagnostic| fault.place.as_ref().map(|place| place.path.clone());
    lists::sort_by_key(&mut diagnostics, key);
    Found {
        directories: directories.into_values().collect(),
        diagnostics,
    }
}

/// The text of a file of settings: `None` if there is none.
pub fn settings(path: &Path) -> Result<Option<String>, Diagnostic> {
    let fault = |why: String| {
        Diagnostic::error(format!("cannot use `{}`: {why}", path.display())).in_file(path)
    };
    // Whoever looks for it by its whole name knows no more of it than that.
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(None);
    };
    let Ok(name) = CString::new(name.as_bytes()) else {
        return Ok(None);
    };
    // A bare name stands where we are.
    let is_here = dir.as_os_str().is_empty();
    let folder = match Folder::open(if is_here { Path::new(".") } else { dir }) {
        Ok(folder) => folder,
        Err(Errno::ENOENT) => return Ok(None),
        Err(why) => return Err(fault(said(why))),
    };
    if folder.lstat(&name) == Err(Errno::ENOENT) {
        return Ok(None);
    }
    match small(&folder, &name, Hint::Other) {
        source::File::Absent => Ok(None),
        source::File::Unreadable(why) => Err(fault(why)),
        source::File::Content(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(fault("it is not UTF-8".into())),
        },
    }
}

/// Where the time zones are.
const ZONES: &str = "/usr/share/zoneinfo";

/// The largest file of a zone, leap seconds and all, has some 4 KiB.
const ZONE_MAX: u64 = 256 << 10;

/// The file of this time zone; else why there is none, for the user.
pub fn zone(name: &str) -> Result<Vec<u8>, String> {
    let dir = Path::new(ZONES);
    if !dir.is_dir() {
        return Err(format!(
            "there are no time zones here, such as `{name}`: no {ZONES}"
        ));
    }
    let file = dir.join(name);
    if !file.exists() {
        return Err(format!("there is no time zone `{name}` in {ZONES}"));
    }
    content::bounded(&file, ZONE_MAX)
        .map_err(|why| format!("cannot read the time zone `{name}`: {why}"))
}

/// All of a regular file of at most so many bytes, read anew; else why not, for the user.
pub fn bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    content::bounded(path, bytes_max)
}

/// What cannot be read, and why.
fn unreadable(path: &Path, why: &io::Error) -> Diagnostic {
    let fault = Diagnostic::error(format!("cannot read `{}`: {}", path.display(), reason(why)));
    let fault = fault.in_file(path);
    match why.kind() {
        ErrorKind::PermissionDenied => {
            fault.hint("it must be readable by the user that runs pidone")
        }
        ErrorKind::NotFound => fault.hint("it is named by an argument or by PIDONE_SERVICES"),
        _ => fault,
    }
}

/// The names that mean something in a service directory. s6's `flag-timeout-killpg` is not among
/// them: the last SIGKILL goes to the group in any case.
const NAMES: [&CStr; 11] = [
    c"service.toml",
    c"run",
    c"finish",
    c"down",
    c"down-signal",
    c"timeout-kill",
    c"timeout-finish",
    c"notification-fd",
    c"max-death-tally",
    c"lock-fd",
    c"log",
];

/// A directory with more entries than this is not listed to its end: what it may hold is looked for
/// by name then.
const LISTED_MAX: usize = 1000;

/// Opens what a root lists; a warning for what is no directory.
fn opened(path: &Path) -> Result<Folder, Diagnostic> {
    Folder::open(path).map_err(|why| {
        if why == Errno::ENOENT {
            let fault = format!("`{}` is a symbolic link to nothing", path.display());
            let hint = "make what it names, or take it away";
            return Diagnostic::error(fault).in_file(path).hint(hint);
        }
        if why != Errno::ENOTDIR {
            return unreadable(path, &why.into());
        }
        // Alone in its image, a service is easily copied one directory too high.
        if let (Some("service.toml"), Some(root)) =
            (path.file_name().and_then(OsStr::to_str), path.parent())
        {
            return Diagnostic::error(format!("`{}` is itself a service", root.display()))
                .in_file(path)
                .hint("services are directories below the one that is named");
        }
        let fault = format!("`{}` is not a directory, and is ignored", path.display());
        let hint = "a service is a directory with a `service.toml` or a `run`";
        Diagnostic::warning(fault).in_file(path).hint(hint)
    })
}

/// Reads one service directory by its path.
///
/// # Errors
/// What is there is no directory, or cannot be read.
pub fn directory(path: &Path, name: OsString) -> Result<Directory, Diagnostic> {
    opened(path).and_then(|folder| service(&folder, path, name, true))
}

/// Reads one service directory, and its `log/` if `with_log`.
fn service(
    folder: &Folder,
    path: &Path,
    name: OsString,
    with_log: bool,
) -> Result<Directory, Diagnostic> {
    let present = present(folder).map_err(|why| unreadable(path, &why))?;
    let hint = |name| present.iter().find(|(found, _)| *found == name);
    let file =
        |name| hint(name).map_or(source::File::Absent, |(_, hint)| small(folder, name, *hint));
    let program = |name| hint(name).map_or(Script::Absent, |(_, hint)| script(folder, name, *hint));
    let log = match hint(c"log") {
        Some(_) if with_log => logger(folder, &path.join("log"))?,
        _ => None,
    };
    Ok(Directory {
        name,
        path: path.to_owned(),
        definition: file(c"service.toml"),
        run: program(c"run"),
        finish: program(c"finish"),
        down: hint(c"down").is_some(),
        down_signal: file(c"down-signal"),
        timeout_kill: file(c"timeout-kill"),
        timeout_finish: file(c"timeout-finish"),
        notification_fd: file(c"notification-fd"),
        max_death_tally: file(c"max-death-tally"),
        lock_fd: hint(c"lock-fd").is_some(),
        log,
    })
}

/// The logger's directory; what is called `log` and is none means nothing to us.
fn logger(folder: &Folder, path: &Path) -> Result<Option<Box<Directory>>, Diagnostic> {
    match folder.folder(c"log") {
        Ok(log) => Ok(Some(Box::new(service(&log, path, "log".into(), false)?))),
        Err(Errno::ENOTDIR | Errno::ENOENT) => Ok(None),
        Err(why) => Err(unreadable(path, &why.into())),
    }
}

/// Which of the names are there. A symbolic link to nothing is: a fault, no absence.
fn present(folder: &Folder) -> io::Result<Vec<(&'static CStr, Hint)>> {
    let mut found = Vec::new();
    let mut listed = 0;
    folder.each(|name, hint| {
        let known = NAMES.into_iter().find(|known| *known == name);
        found.extend(known.map(|known| (known, hint)));
        listed += 1;
        listed < LISTED_MAX
    })?;
    if listed == LISTED_MAX {
        let is_there = |name: &&CStr| folder.lstat(name) != Err(Errno::ENOENT);
        let there = NAMES.into_iter().filter(is_there);
        found = there.map(|name| (name, Hint::Other)).collect();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use nix::sys::stat::Mode;

    /// A directory that is gone when the test ends.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("pidone-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn whatever_lies_there_is_an_answer_and_never_a_hang() {
        let scratch = Scratch::new("files");
        let root = &scratch.0;
        let web = root.join("web");
        fs::create_dir_all(web.join("finish")).unwrap();
        nix::unistd::mkfifo(&web.join("service.toml"), Mode::S_IRWXU).unwrap();
        nix::unistd::mkfifo(&web.join("run"), Mode::S_IRWXU).unwrap();
        let huge = File::create(web.join("down-signal")).unwrap();
        huge.set_len(1 << 30).unwrap();
        std::os::unix::fs::symlink("/dev/zero", web.join("timeout-kill")).unwrap();
        std::os::unix::fs::symlink("nowhere", web.join("timeout-finish")).unwrap();
        std::os::unix::fs::symlink("notification-fd", web.join("notification-fd")).unwrap();
        fs::write(root.join("README"), "").unwrap();
        fs::create_dir(root.join(".git")).unwrap();
        let found = services(&[root.clone(), root.join("none")]);
        let unreadable = |why: &str| source::File::Unreadable(why.into());
        let [web] = found.directories.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(web.definition, unreadable("it is a FIFO, not a file"));
        assert_eq!(
            web.run,
            Script::Unreadable("it is a FIFO, not a file".into())
        );
        assert_eq!(
            web.finish,
            Script::Unreadable("it is a directory, not a file".into())
        );
        assert_eq!(web.down_signal, unreadable("it is larger than 64 KiB"));
        assert_eq!(web.timeout_kill, unreadable("it is a device, not a file"));
        assert_eq!(web.timeout_finish, unreadable("no such file or directory"));
        assert_eq!(
            web.notification_fd,
            unreadable("too many symbolic links encountered")
        );
        let messages: Vec<String> = found
            .diagnostics
            .iter()
            .map(|d| d.message.clone())
            .collect();
        let shown = root.display();
        assert_eq!(
            messages,
            [
                format!("`{shown}/README` is not a directory, and is ignored"),
                format!("cannot read `{shown}/none`: no such file or directory"),
            ]
        );
    }

    #[test]
    fn a_closed_directory_is_a_fault() {
        let scratch = Scratch::new("closed");
        let closed = scratch.0.join("web");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        // Root reads everything; this thread alone becomes nobody to the file system for a while.
        let nobody = nix::unistd::Uid::from_raw(65534);
        let before = nix::unistd::setfsuid(nobody);
        let found = services(std::slice::from_ref(&scratch.0));
        nix::unistd::setfsuid(before);
        assert_eq!(found.directories, []);
        let shown: Vec<String> = found.diagnostics.iter().map(ToString::to_string).collect();
        let path = closed.display();
        assert_eq!(
            shown,
            [format!(
                "error: cannot read `{path}`: permission denied\n --> {path}\n\
                 hint: it must be readable by the user that runs pidone\n"
            )]
        );
    }

    #[test]
    fn there_is_an_end_to_services() {
        let scratch = Scratch::new("many");
        for number in 0..=20 {
            fs::create_dir(scratch.0.join(format!("s{number}"))).unwrap();
        }
        let found = at_most(20, std::slice::from_ref(&scratch.0));
        assert_eq!(found.directories.len(), 20);
        let messages: Vec<&str> = found
            .diagnostics
            .iter()
            .map(|d| d.message.as_str())
            .collect();
        assert_eq!(messages, ["more than 20 services"]);
    }

    #[test]
    fn later_roots_override_and_links_are_followed() {
        let scratch = Scratch::new("roots");
        let (first, second) = (scratch.0.join("1"), scratch.0.join("2"));
        for (dir, text) in [(first.join("web"), "a"), (second.join("real"), "b")] {
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("service.toml"), text).unwrap();
        }
        std::os::unix::fs::symlink("real", second.join("web")).unwrap();
        let found = services(&[first, second.clone()]);
        let names: Vec<_> = found.directories.iter().map(|d| d.path.clone()).collect();
        assert_eq!(names, [second.join("real"), second.join("web")]);
        let [_, web] = found.directories.as_slice() else {
            panic!("two services");
        };
        assert_eq!(web.definition, source::File::Content(b"b".to_vec()));
    }
}
