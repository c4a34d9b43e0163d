//! Where the receiver listens: a socket file that replaces a stale one and nothing else, or an
//! address of loopback.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};

use crate::diag::Diagnostic;
use crate::os::reason::reason;

/// Reads an address of loopback.
///
/// # Errors
/// It is no address, or one that others can reach.
pub fn loopback(text: &str) -> Result<SocketAddr, Box<Diagnostic>> {
    let address: SocketAddr = text.parse().map_err(|_| {
        Box::new(
            Diagnostic::error(format!("`{text}` is not an address with a port"))
                .hint("--udp 127.0.0.1:514, or --udp '[::1]:514'"),
        )
    })?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(Diagnostic::error(format!("`{text}` is not loopback"))
        .hint(format!(
            "--udp 127.0.0.1:{}: anybody could write into this container's log from elsewhere",
            address.port()
        ))
        .into())
}

/// The file of a socket that is ours, so that we remove no other.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// A file's device, number and last change: numbers are used again.
type Identity = (u64, u64, i64, i64);

fn identity(path: &Path) -> io::Result<Identity> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino(), file.ctime(), file.ctime_nsec()))
}

impl SocketFile {
    /// Binds a socket to this path with exactly these permission bits. The file of a socket on
    /// which nobody listens any more is replaced.
    ///
    /// # Errors
    /// Something else is there, or somebody listens, or it cannot be made.
    pub fn bind(path: &Path, mode: u32) -> Result<(UnixDatagram, Self), Box<Diagnostic>> {
        let bound = match bind_with(path, mode) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                make_room(path)?;
                bind_with(path, mode)
            }
            other => other,
        };
        let kept = bound.and_then(|socket| {
            let identity = identity(path)?;
            let path = path.to_owned();
            Ok((socket, Self { path, identity }))
        });
        kept.map_err(|error| {
            let told = cannot(path, &reason(&error));
            Box::new(match error.kind() {
                io::ErrorKind::NotFound => told.hint("does its directory exist?"),
                io::ErrorKind::PermissionDenied => {
                    told.hint("run this service as root, or name a socket elsewhere: --socket PATH")
                }
                io::ErrorKind::ReadOnlyFilesystem => {
                    told.hint("name a socket on a writable file system: --socket /run/log")
                }
                _other => told,
            })
        })
    }

    /// Removes the file, if it is still the one that was made.
    pub fn remove(&self) {
        let same = identity(&self.path).is_ok_and(|found| found == self.identity);
        if same {
            // If it cannot be removed, the next receiver finds it stale and replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn cannot(path: &Path, why: &str) -> Diagnostic {
    Diagnostic::error(format!("cannot listen on {}: {why}", path.display()))
}

/// The file has its permissions from its first moment on.
fn bind_with(path: &Path, mode: u32) -> io::Result<UnixDatagram> {
    let before = umask(Mode::from_bits_truncate(0o777 & !mode));
    let socket = UnixDatagram::bind(path);
    umask(before);
    socket
}

/// Removes a stale socket.
fn make_room(path: &Path) -> Result<(), Box<Diagnostic>> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if !is_socket {
        return Err(cannot(path, "something that is no socket is there")
            .hint(format!("remove it: rm {}", path.display()))
            .into());
    }
    let asked = UnixDatagram::unbound().and_then(|probe| probe.connect(path));
    match asked {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(cannot(path, &reason(&error)).into()),
        Ok(()) => {
            return Err(cannot(path, "somebody else listens there")
                .hint("is another syslog daemon running here?")
                .into());
        }
    }
    fs::remove_file(path).map_err(|error| Box::new(cannot(path, &reason(&error))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback() {
        for good in ["127.0.0.1:514", "127.1.2.3:1", "[::1]:514"] {
            assert!(loopback(good).is_ok(), "{good}");
        }
        for bad in [
            "0.0.0.0:514",
            "10.0.0.1:514",
            "[::]:514",
            "localhost",
            "514",
        ] {
            let fault = loopback(bad).unwrap_err();
            assert!(fault.hint.is_some_and(|hint| hint.contains("127.0.0.1:")));
        }
    }
}
