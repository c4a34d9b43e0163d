//! Reading definitions from disk: bounded in size, in number and in time, whatever lies there.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::diag::Diagnostic;
use crate::service::settings::SERVICES_DIR;
use crate::service::source::{
    self, Directory, FILE_BYTES_MAX, Found, HEAD_BYTES, Interpreter, SERVICES_MAX, Script,
};

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
            match service(&root.join(&name), name.clone(), true) {
                Ok(directory) => {
                    directories.insert(name, directory);
                }
                Err(fault) => diagnostics.push(fault),
            }
        }
    }
    // A directory is listed in whatever order; what is said of it is not.
    let key = |fault: &Diagnostic| fault.place.as_ref().map(|place| place.path.clone());
    diagnostics.sort_by_key(key);
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
    match small(path) {
        source::File::Absent => Ok(None),
        source::File::Unreadable(why) => Err(fault(why)),
        source::File::Content(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(fault("it is not UTF-8".into())),
        },
    }
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

/// An error as a person says it: no number, lower case.
fn reason(why: &io::Error) -> String {
    match why.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().to_lowercase(),
        None => why.to_string(),
    }
}

/// Reads one service directory, and its `log/` if `with_log`.
fn service(path: &Path, name: OsString, with_log: bool) -> Result<Directory, Diagnostic> {
    let kind = fs::metadata(path).map_err(|why| unreadable(path, &why))?;
    if !kind.is_dir() {
        let fault = format!("`{}` is not a directory, and is ignored", path.display());
        let hint = "a service is a directory with a `service.toml` or a `run`";
        return Err(Diagnostic::warning(fault).in_file(path).hint(hint));
    }
    // Looking into files below can fail as "absent" where the directory itself is closed to us.
    fs::read_dir(path).map_err(|why| unreadable(path, &why))?;
    let file = |name: &str| small(&path.join(name));
    let log = path.join("log");
    let log = match fs::metadata(&log) {
        Ok(kind) if with_log && kind.is_dir() => {
            Some(Box::new(service(&log, OsStr::new("log").into(), false)?))
        }
        _ => None,
    };
    Ok(Directory {
        name,
        path: path.to_owned(),
        definition: file("service.toml"),
        run: script(&path.join("run")),
        finish: script(&path.join("finish")),
        down: fs::symlink_metadata(path.join("down")).is_ok(),
        down_signal: file("down-signal"),
        timeout_kill: file("timeout-kill"),
        timeout_finish: file("timeout-finish"),
        notification_fd: file("notification-fd"),
        log,
    })
}

/// Opens a regular file. Asking for its kind first keeps a device from being opened at all, which
/// can have effects; asking again after the open keeps the answer true; O_NONBLOCK keeps the open
/// of a FIFO from waiting for a writer.
fn open(path: &Path) -> Result<(File, fs::Metadata), String> {
    regular(&fs::metadata(path).map_err(|why| reason(&why))?)?;
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(|why| reason(&why))?;
    let kind = file.metadata().map_err(|why| reason(&why))?;
    regular(&kind)?;
    Ok((file, kind))
}

fn regular(kind: &fs::Metadata) -> Result<(), String> {
    let word = match kind.permissions().mode() & libc::S_IFMT {
        libc::S_IFREG => return Ok(()),
        libc::S_IFDIR => "a directory",
        libc::S_IFIFO => "a FIFO",
        libc::S_IFSOCK => "a socket",
        _ => "a device",
    };
    Err(format!("it is {word}, not a file"))
}

/// Whether nothing at all is there. A symbolic link to nothing is something: a fault, no absence.
fn absent(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|why| why.kind() == ErrorKind::NotFound)
}

/// A small file, whole.
fn small(path: &Path) -> source::File {
    if absent(path) {
        return source::File::Absent;
    }
    match open(path).and_then(|(file, kind)| whole(file, kind.len())) {
        Ok(content) => source::File::Content(content),
        Err(why) => source::File::Unreadable(why),
    }
}

/// All of a file of this length. A file may grow while it is read, or lie (those of /proc have the
/// length 0), so the bound is held while reading, too.
fn whole(file: File, length: u64) -> Result<Vec<u8>, String> {
    let too_big = || format!("it is larger than {} KiB", FILE_BYTES_MAX / 1024);
    if length > FILE_BYTES_MAX {
        return Err(too_big());
    }
    let mut content = Vec::new();
    let mut bounded = file.take(FILE_BYTES_MAX + 1);
    bounded
        .read_to_end(&mut content)
        .map_err(|why| reason(&why))?;
    if content.len() as u64 > FILE_BYTES_MAX {
        return Err(too_big());
    }
    Ok(content)
}

/// A script: its run bit, its first bytes, and whether its interpreter is there.
fn script(path: &Path) -> Script {
    if absent(path) {
        return Script::Absent;
    }
    let kind = match fs::metadata(path) {
        Ok(kind) => kind,
        Err(why) => return Script::Unreadable(reason(&why)),
    };
    if let Err(why) = regular(&kind) {
        return Script::Unreadable(why);
    }
    let head = open(path).ok().and_then(|(file, _)| {
        let mut head = Vec::new();
        let mut bounded = file.take(HEAD_BYTES as u64);
        bounded.read_to_end(&mut head).is_ok().then_some(head)
    });
    let interpreter = match head.as_deref().and_then(source::interpreter) {
        None => Interpreter::None,
        Some(path) if fs::metadata(OsStr::from_bytes(path)).is_ok() => Interpreter::Found,
        Some(_) => Interpreter::Missing,
    };
    Script::Present {
        executable: kind.permissions().mode() & 0o111 != 0,
        head,
        interpreter,
    }
}

#[cfg(test)]
mod tests {
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
