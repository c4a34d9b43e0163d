//! A file replaced as a whole: written beside its target under another name, flushed to the disk,
//! renamed. Whoever reads the target finds the old text or the new one, never a part.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::os::reason::reason;

/// Who may read a file that was not there before.
const MODE_DEFAULT: u32 = 0o644;
/// Names that are tried for the new file: an old one is only left behind by a crash.
const TRIES_MAX: u32 = 100;

/// A new text beside its target. Gone when it is dropped, unless it was taken or rejected.
pub struct Draft {
    target: PathBuf,
    path: PathBuf,
    is_settled: bool,
}

/// The target itself, where `path` is a link to it.
pub fn resolved(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

impl Draft {
    /// Writes the text, with the target's owner and mode.
    ///
    /// # Errors
    /// A sentence for the user; then nothing is left behind.
    pub fn write(target: &Path, text: &[u8]) -> Result<Self, String> {
        let fault = |path: &Path, error: &io::Error| {
            format!("cannot write {}: {}", path.display(), reason(error))
        };
        let (file, path) = create(target).map_err(|error| fault(target, &error))?;
        let draft = Self {
            target: target.to_owned(),
            path,
            is_settled: false,
        };
        fill(file, target, text).map_err(|error| fault(&draft.path, &error))?;
        Ok(draft)
    }

    /// Where it is, for whoever approves of it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it in the target's place; what was there is kept beside it as `.prev`.
    ///
    /// # Errors
    /// A sentence for the user; then the target is as it was.
    pub fn take(mut self, old: Option<&[u8]>) -> Result<(), String> {
        let target = self.target.clone();
        if let Some(old) = old {
            Self::write(&target, old)?.settle(&beside(&target, "prev"))?;
        }
        self.settle_at(&target)?;
        // So that the rename outlives a power cut.
        let dir = target.parent().unwrap_or(Path::new("/"));
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(|error| format!("cannot flush {}: {}", dir.display(), reason(&error)))
    }

    /// Keeps it beside the target as `.rejected`; the target is as it was.
    pub fn reject(mut self) {
        // Where even that fails, the reason is still told.
        let _ = self.settle_at(&beside(&self.target.clone(), "rejected"));
    }

    fn settle(mut self, at: &Path) -> Result<(), String> {
        self.settle_at(at)
    }

    fn settle_at(&mut self, at: &Path) -> Result<(), String> {
        fs::rename(&self.path, at)
            .map_err(|error| format!("cannot replace {}: {}", at.display(), reason(&error)))?;
        self.is_settled = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_settled {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Takes the target back: what it holds becomes `.rejected`, and `old` is in its place.
///
/// # Errors
/// A sentence for the user; then the target is as it was.
pub fn take_back(target: &Path, old: Option<&[u8]>) -> Result<(), String> {
    let Some(old) = old else {
        return Ok(());
    };
    let draft = Draft::write(target, old)?;
    let _ = fs::copy(target, beside(target, "rejected"));
    draft.settle(target)
}

/// `haproxy.cfg` → `haproxy.cfg.prev`.
fn beside(target: &Path, suffix: &str) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    target.with_file_name(name)
}

/// A file of our own in the target's directory: nobody else can have put a link there. Its name
/// keeps the target's ending, by which some programs know what a file is.
fn create(target: &Path) -> io::Result<(File, PathBuf)> {
    let name = target.file_name().ok_or(ErrorKind::InvalidInput)?;
    for number in 0..TRIES_MAX {
        let mut own = std::ffi::OsString::from(format!(".{}-{number}.", std::process::id()));
        own.push(name);
        let path = target.with_file_name(own);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        match options.custom_flags(libc::O_NOFOLLOW).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

fn fill(mut file: File, target: &Path, text: &[u8]) -> io::Result<()> {
    file.write_all(text)?;
    let mut mode = MODE_DEFAULT;
    if let Ok(old) = fs::metadata(target) {
        mode = old.mode() & 0o7777;
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
            // Without root the owner may not be given away, the group perhaps.
            let _ = fchown(&file, Some(old.uid()), Some(old.gid()))
                .or_else(|_| fchown(&file, None, Some(old.gid())));
        }
    }
    // After the owner: a change of it takes rights away.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("pidone-swap-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn listed(&self) -> Vec<String> {
            let names = fs::read_dir(&self.0).unwrap();
            let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<String> = names.collect();
            names.sort();
            names
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn it_is_replaced_as_a_whole_and_the_old_one_is_kept() {
        let scratch = Scratch::new("whole");
        let target = scratch.0.join("h.cfg");
        Draft::write(&target, b"one").unwrap().take(None).unwrap();
        assert_eq!(fs::metadata(&target).unwrap().mode() & 0o7777, 0o644);
        fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
        let draft = Draft::write(&target, b"two").unwrap();
        assert_eq!(fs::read(draft.path()).unwrap(), b"two");
        assert_eq!(fs::read(&target).unwrap(), b"one");
        draft.take(Some(b"one")).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"two");
        assert_eq!(fs::metadata(&target).unwrap().mode() & 0o7777, 0o640);
        Draft::write(&target, b"bad").unwrap().reject();
        drop(Draft::write(&target, b"dropped").unwrap());
        assert_eq!(scratch.listed(), ["h.cfg", "h.cfg.prev", "h.cfg.rejected"]);
        assert_eq!(fs::read(scratch.0.join("h.cfg.prev")).unwrap(), b"one");
        take_back(&target, Some(b"one")).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"one");
        assert_eq!(fs::read(scratch.0.join("h.cfg.rejected")).unwrap(), b"two");
    }

    #[test]
    fn a_name_that_is_taken_is_left_alone() {
        let scratch = Scratch::new("taken");
        let target = scratch.0.join("h.cfg");
        let taken = scratch.0.join(format!(".{}-0.h.cfg", std::process::id()));
        std::os::unix::fs::symlink("/nowhere/else", &taken).unwrap();
        Draft::write(&target, b"one").unwrap().take(None).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"one");
        assert!(fs::symlink_metadata(&taken).unwrap().is_symlink());
    }

    #[test]
    fn a_full_disk_leaves_the_old_file() {
        let told = Draft::write(Path::new("/dev/full/x"), b"x").map(drop);
        assert_eq!(
            told,
            Err("cannot write /dev/full/x: not a directory".into())
        );
        let told = Draft::write(Path::new("/proc/x"), b"x").map(drop);
        assert!(told.unwrap_err().starts_with("cannot write /proc/x: "));
    }
}
