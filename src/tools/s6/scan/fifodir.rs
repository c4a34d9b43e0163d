//! A directory of listeners: whoever wants to hear of a service leaves a FIFO in its `event/`.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;

/// What a listener's FIFO is called, and how long its whole name is: this, a time and six letters.
const PREFIX: &[u8] = b"ftrig1";
const NAME_BYTES: usize = PREFIX.len() + 33;

/// The group may listen; nobody removes what is another's.
const MODE: u32 = 0o3730;

/// So many listeners are told at a time; more are a mistake, or meant to keep us busy.
const LISTENERS_MAX: usize = 1000;

/// Makes the directory, if it is not there.
///
/// # Errors
/// As mkdir(2).
pub(super) fn make(dir: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        // mkdir(2) knows nothing of the first two bits of the mode.
        Ok(()) => fs::set_permissions(dir, Permissions::from_mode(MODE)),
    }
}

/// Tells these letters to whoever listens, and clears away the FIFOs of those who have gone.
pub(super) fn notify(dir: &Path, letters: &str) {
    // Not there, or not for us: then nobody listens.
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    for name in names.filter(|name| is_listener(name)).take(LISTENERS_MAX) {
        let path = dir.join(name);
        let opened = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
            .open(&path);
        match opened {
            Ok(mut fifo) => {
                // A full FIFO is one that nobody reads any more.
                let _ = fifo.write_all(letters.as_bytes());
            }
            Err(error) if error.raw_os_error() == Some(Errno::ENXIO as i32) => {
                let _ = fs::remove_file(&path);
            }
            Err(_) => {}
        }
    }
}

fn is_listener(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.starts_with(PREFIX) && name.len() == NAME_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_known_by_their_names() {
        let is = |name: &str| is_listener(OsStr::new(name));
        assert!(is("ftrig1:@400000006b07070c0c9bfd7a:00abcd"));
        assert!(!is("ftrig1:@400000006b07070c0c9bfd7a:00abcd0"));
        assert!(!is(".ftrig1:@400000006b07070c0c9bfd7a:0abcd"));
    }
}
