//! A file that could not be executed, looked at by the child itself, as its user: PID 1 need not
//! touch a file system that may hang. Raw system calls only, as in all of a child's life.

use crate::os::child::{call, number};
use crate::os::step::{HEAD_BYTES, Sight};

/// What it is. `path` is a NUL-terminated string.
pub(super) fn look(path: *const libc::c_char) -> Sight {
    let can = |mode: libc::c_int| {
        let arguments = [
            number(libc::AT_FDCWD),
            path.expose_provenance(),
            number(mode),
            0,
            0,
        ];
        call(libc::SYS_faccessat, arguments).is_ok()
    };
    let is_directory = || {
        let flags = number(libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC);
        let (at, path) = (number(libc::AT_FDCWD), path.expose_provenance());
        call(libc::SYS_openat, [at, path, flags, 0, 0]).is_ok()
    };
    match () {
        () if is_directory() => Sight::Directory,
        () if can(libc::X_OK) => Sight::Runnable,
        () if can(libc::F_OK) => Sight::Present,
        () => Sight::Absent,
    }
}

/// How much of a file could be read; nothing, if it may not be.
pub(super) fn head(path: *const libc::c_char, bytes: &mut [u8; HEAD_BYTES]) -> usize {
    let flags = number(libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC);
    let (at, path) = (number(libc::AT_FDCWD), path.expose_provenance());
    call(libc::SYS_openat, [at, path, flags, 0, 0])
        .and_then(|file| {
            let into = bytes.as_mut_ptr().expose_provenance();
            call(libc::SYS_read, [file, into, bytes.len(), 0, 0])
        })
        .unwrap_or(0)
}
