//! Where the socket is: the candidates in their order, and how one of them is made ours.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr};
use nix::sys::socket::{bind, connect, listen, socket};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, Uid, chown};

/// How many connections wait to be accepted: as many as there may be clients.
const BACKLOG: i32 = 128;

/// One place where the socket may be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The socket.
    pub path: PathBuf,
    /// Its directory stands where anybody may write, so it must be ours alone.
    pub shared_parent: bool,
}

impl Place {
    /// Where the socket of a pidone that runs as `uid` may be: what PIDONE_SOCKET names and nothing
    /// else, or `/run/pidone`, or a directory of its own in `/tmp`.
    pub fn candidates(given: Option<PathBuf>, uid: u32) -> Vec<Self> {
        let place = |path: PathBuf, shared_parent| Self {
            path,
            shared_parent,
        };
        match given.filter(|path| !path.as_os_str().is_empty()) {
            Some(path) => vec![place(path, false)],
            None => vec![
                place("/run/pidone/control.sock".into(), false),
                place(format!("/tmp/pidone-{uid}/control.sock").into(), true),
            ],
        }
    }

    /// Listens here. A socket that nobody listens on any more is replaced; the directory is made.
    /// The socket can be opened by its owner only, or by `group` too.
    ///
    /// # Errors
    /// The file system refuses, another pidone answers there, or something there is not ours.
    pub fn listen(&self, group: Option<u32>) -> io::Result<UnixListener> {
        self.make_directory()?;
        self.clear()?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let listener = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        // The file gets the mode of the socket (bind in unix(7) on Linux), so that it is never
        // open to others, whatever the umask.
        fchmod(&listener, Mode::S_IRUSR | Mode::S_IWUSR)?;
        bind(
            std::os::fd::AsRawFd::as_raw_fd(&listener),
            &UnixAddr::new(&self.path)?,
        )?;
        // Nobody can connect before `listen`, so the group comes in time.
        let shared = group.map_or(Ok(()), |group| self.share(group));
        let listening = shared.and_then(|()| {
            Ok(listen(
                &listener,
                Backlog::new(BACKLOG).map_err(io::Error::from)?,
            )?)
        });
        if let Err(error) = listening {
            // A socket that does not answer would only mislead.
            let _ = std::fs::remove_file(&self.path);
            return Err(error);
        }
        Ok(listener.into())
    }

    fn share(&self, group: u32) -> io::Result<()> {
        chown(&self.path, None, Some(Gid::from_raw(group)))?;
        std::fs::set_permissions(&self.path, Permissions::from_mode(0o660))
    }

    fn make_directory(&self) -> io::Result<()> {
        let Some(dir) = self.path.parent().filter(|dir| !dir.as_os_str().is_empty()) else {
            return Ok(());
        };
        let mode = if self.shared_parent { 0o700 } else { 0o755 };
        match DirBuilder::new().mode(mode).create(dir) {
            // Whatever the umask took away.
            Ok(()) => std::fs::set_permissions(dir, Permissions::from_mode(mode))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        if self.shared_parent {
            is_ours_alone(dir)?;
        }
        Ok(())
    }

    /// Removes what a former pidone left behind.
    fn clear(&self) -> io::Result<()> {
        let found = match std::fs::symlink_metadata(&self.path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if !found.file_type().is_socket() {
            return Err(io::Error::other("there is a file that is not a socket"));
        }
        if somebody_answers(&self.path)? {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another pidone answers there",
            ));
        }
        std::fs::remove_file(&self.path)
    }
}

/// The directory is a directory, ours, and nobody else can write to it.
fn is_ours_alone(dir: &Path) -> io::Result<()> {
    let found = std::fs::symlink_metadata(dir)?;
    let refuse = |why: &str| Err(io::Error::other(format!("{}: {why}", dir.display())));
    if !found.is_dir() {
        return refuse("not a directory");
    }
    if found.uid() != Uid::effective().as_raw() {
        return refuse("belongs to somebody else");
    }
    // Others may pass to the sockets on which their services tell how they are, and see nothing.
    if found.mode() & 0o066 != 0 {
        return refuse("others may see or change what is in it");
    }
    Ok(())
}

/// Whether a process listens on this socket. Does not block: a full queue is an answer too.
fn somebody_answers(path: &Path) -> io::Result<bool> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let probe = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let address = UnixAddr::new(path)?;
    match connect(std::os::fd::AsRawFd::as_raw_fd(&probe), &address) {
        Ok(()) | Err(Errno::EAGAIN) => Ok(true),
        Err(Errno::ECONNREFUSED | Errno::ENOENT) => Ok(false),
        Err(other) => Err(other.into()),
    }
}
