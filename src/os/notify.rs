//! The socket on which a service tells how it is, by the protocol of sd_notify(3): where it stands,
//! who may write to it, and who has written.

use std::fs::{DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, bind, connect, setsockopt, socket, sockopt,
};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, Uid, chown, getsid};

use crate::values::Pid;

/// More than this in one datagram is not read; systemd draws the same line (PIPE_BUF).
pub const DATAGRAM_BYTES_MAX: usize = 4096;

/// A socket and its file, which goes with it.
#[derive(Debug)]
pub struct NotifySocket {
    socket: OwnedFd,
    path: PathBuf,
}

/// What has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Datagram {
    /// How much of the buffer it fills.
    pub bytes: usize,
    /// It was longer than the buffer.
    pub is_cut: bool,
    /// Who sent it, as the kernel says; `None`: somebody outside the container.
    pub sender: Option<Pid>,
}

impl NotifySocket {
    /// Makes one of this name in `notify/` below the first of these directories that takes it. Only
    /// its owner, if it has one of its own, and root can write to it.
    ///
    /// # Errors
    /// Why none of them does, for people.
    pub fn make(dirs: &[PathBuf], name: &str, owner: Option<(u32, u32)>) -> Result<Self, String> {
        let mut faults = Vec::new();
        for dir in dirs {
            let path = dir.join("notify").join(name);
            match enter(dir, owner).and_then(|()| Self::bind(&path, owner)) {
                Ok(socket) => return Ok(socket),
                Err(error) => {
                    let why = crate::os::reason::reason(&error);
                    faults.push(format!("{}: {why}", path.display()));
                }
            }
        }
        Err(format!(
            "cannot make its notify socket: {}",
            faults.join("; ")
        ))
    }

    fn bind(path: &Path, owner: Option<(u32, u32)>) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let datagrams = || socket(AddressFamily::Unix, SockType::Datagram, flags, None);
        let address = UnixAddr::new(path)?;
        match connect(datagrams()?.as_raw_fd(), &address) {
            Ok(()) | Err(Errno::EAGAIN) => {
                return Err(io::Error::new(
                    ErrorKind::AddrInUse,
                    "another pidone reads there",
                ));
            }
            Err(Errno::ECONNREFUSED) => std::fs::remove_file(path)?,
            Err(Errno::ENOENT) => {}
            Err(other) => return Err(other.into()),
        }
        let socket = datagrams()?;
        // Before anybody can write, so that every datagram says who sent it.
        setsockopt(&socket, sockopt::PassCred, &true)?;
        // The file gets the mode of the socket (unix(7)), whatever the umask.
        fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
        bind(socket.as_raw_fd(), &address)?;
        let made = Self {
            socket,
            path: path.to_owned(),
        };
        made.give_to(owner)?;
        Ok(made)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Only this user can write to it, and root.
    ///
    /// # Errors
    /// As `chown(2)`: the file is gone, for example.
    pub fn give_to(&self, owner: Option<(u32, u32)>) -> io::Result<()> {
        let (uid, gid) = owner.unwrap_or((Uid::effective().as_raw(), Gid::effective().as_raw()));
        Ok(chown(
            &self.path,
            Some(Uid::from_raw(uid)),
            Some(Gid::from_raw(gid)),
        )?)
    }

    /// Takes one datagram, without waiting; `None`: there is none. Descriptors that come with it
    /// are closed by the kernel, since there is no room for them: with `BARRIER=1` that is the
    /// answer which the sender waits for.
    pub fn receive(&self, buffer: &mut [u8; DATAGRAM_BYTES_MAX]) -> Option<Datagram> {
        let mut part = libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        let mut room = Room([0; CREDENTIALS_SPACE]);
        // SAFETY: a msghdr is numbers and pointers, for all of which zero is valid.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = room.0.as_mut_ptr().cast();
        // The type of the length is not the same in every libc.
        message.msg_controllen = CREDENTIALS_SPACE as _;
        let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
        let count = loop {
            // SAFETY: `message` points to one iovec over `buffer` and to `room`, with their
            // lengths; all of them outlive the call, and the kernel writes no further.
            let count = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, flags) };
            match usize::try_from(count) {
                Ok(count) => break count,
                Err(_) if Errno::last() == Errno::EINTR => {}
                Err(_) => return None,
            }
        };
        Some(Datagram {
            bytes: count,
            is_cut: message.msg_flags & libc::MSG_TRUNC != 0,
            sender: sender(&message),
        })
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        // Who finds it gone has nobody to tell anything.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether this process is a service's own: its main process, or one in the session that this
/// leads. A zombie still is; one that was reaped is nobody.
pub fn is_of(sender: Pid, main: Pid) -> bool {
    let session = || getsid(Some(nix::unistd::Pid::from_raw(sender.raw())));
    sender == main || session().is_ok_and(|leader| leader.as_raw() == main.raw())
}

/// Room for the sender's credentials and for nothing else (CMSG_SPACE of cmsg(3)).
#[expect(clippy::cast_possible_truncation, reason = "a ucred has 12 bytes")]
const CREDENTIALS_SPACE: usize =
    // SAFETY: it only computes.
    unsafe { libc::CMSG_SPACE(size_of::<libc::ucred>() as u32) } as usize;

/// As a cmsghdr is aligned.
#[repr(align(8))]
struct Room([u8; CREDENTIALS_SPACE]);

fn sender(message: &libc::msghdr) -> Option<Pid> {
    // SAFETY: `message` was filled in by recvmsg, and its control buffer is still there.
    let header = unsafe { libc::CMSG_FIRSTHDR(message).as_ref() }?;
    let is_ucred = header.cmsg_level == libc::SOL_SOCKET
        && header.cmsg_type == libc::SCM_CREDENTIALS
        && header.cmsg_len as usize >= size_of::<libc::ucred>();
    if !is_ucred {
        return None;
    }
    // SAFETY: the kernel says that these are credentials, whole; they may not be aligned.
    let credentials: libc::ucred =
        unsafe { std::ptr::read_unaligned(libc::CMSG_DATA(header).cast()) };
    Pid::new(credentials.pid)
}

/// Makes `notify/` below a directory that is ours, so that nobody else can put anything there; who
/// knows a name there may pass.
fn enter(dir: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    let ours = Uid::effective().as_raw();
    let make = |dir: &Path, mode| match DirBuilder::new().mode(mode).create(dir) {
        Ok(()) => std::fs::set_permissions(dir, Permissions::from_mode(mode)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    };
    make(dir, 0o755)?;
    let found = std::fs::symlink_metadata(dir)?;
    let must_pass = owner.is_some_and(|(uid, _)| uid != ours);
    // The control socket's own directory in /tmp is closed to others, who must now pass.
    if must_pass && found.is_dir() && found.uid() == ours && found.mode() & 0o011 == 0 {
        std::fs::set_permissions(dir, Permissions::from_mode(0o711))?;
    }
    let inner = dir.join("notify");
    make(&inner, 0o711)?;
    let found = std::fs::symlink_metadata(&inner)?;
    if !found.is_dir() || found.uid() != ours || found.mode() & 0o022 != 0 {
        return Err(io::Error::other("its directory is not ours alone"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("pidone-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        dir
    }

    #[test]
    fn a_datagram_says_who_sent_it_and_whether_it_was_cut() {
        let dir = scratch("notify");
        let socket = NotifySocket::make(std::slice::from_ref(&dir), "web", None).unwrap();
        let client = UnixDatagram::unbound().unwrap();
        client.send_to(b"READY=1", socket.path()).unwrap();
        client.send_to(&[b'x'; 5000], socket.path()).unwrap();
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        let own = Pid::new(i32::try_from(std::process::id()).unwrap());
        let first = socket.receive(&mut buffer).unwrap();
        assert_eq!(
            first,
            Datagram {
                bytes: 7,
                is_cut: false,
                sender: own
            }
        );
        assert_eq!(buffer.get(..7), Some(&b"READY=1"[..]));
        assert!(socket.receive(&mut buffer).unwrap().is_cut);
        assert_eq!(socket.receive(&mut buffer), None);
        assert!(is_of(own.unwrap(), own.unwrap()));
        let path = socket.path().to_owned();
        drop(socket);
        assert!(!path.exists());
        let _ = std::fs::remove_dir_all(&dir);
    }

    #[test]
    fn the_next_place_is_taken_and_every_reason_told() {
        let dir = scratch("notify-places");
        std::fs::create_dir(&dir).unwrap();
        let (open, good) = (dir.join("open"), dir.join("good"));
        std::fs::create_dir_all(open.join("notify")).unwrap();
        std::fs::set_permissions(open.join("notify"), Permissions::from_mode(0o777)).unwrap();
        let made = NotifySocket::make(&[open.clone(), good.clone()], "web", None).unwrap();
        assert_eq!(made.path(), good.join("notify/web"));
        let long = "x".repeat(100);
        let why = NotifySocket::make(&[open.clone(), dir.join(&long)], "web", None).unwrap_err();
        assert_eq!(
            why,
            format!(
                "cannot make its notify socket: {0}/notify/web: its directory is not ours alone; \
                 {1}/{long}/notify/web: file name too long",
                open.display(),
                dir.display()
            )
        );
        // One that somebody reads is left alone; a stale one is not.
        let why = NotifySocket::make(std::slice::from_ref(&good), "web", None).unwrap_err();
        assert!(why.ends_with("another pidone reads there"), "{why}");
        drop(made);
        let stale = UnixDatagram::bind(good.join("notify/web")).unwrap();
        drop(stale);
        NotifySocket::make(std::slice::from_ref(&good), "web", None).unwrap();
        let _ = std::fs::remove_dir_all(&dir);
    }
}
