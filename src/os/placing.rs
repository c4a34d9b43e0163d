//! Files put in place, all of them or, as far as can be told before, none: each is written beside
//! its place under another name, and only when all are written are they renamed.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::os::reason::reason;

/// A file that is to be there.
pub struct Placed<'a> {
    /// Where.
    pub path: PathBuf,
    /// All that is in it.
    pub content: &'a [u8],
    /// Whether it is a program.
    pub is_program: bool,
}

/// What was made on the way, and is taken away again unless all goes well.
#[derive(Default)]
struct Made {
    dirs: Vec<PathBuf>,
    drafts: Vec<PathBuf>,
}

/// Puts all of these files in place, with the directories that they need.
///
/// # Errors
/// A sentence for the user. Before the first rename everything that was made is taken away again.
pub fn place(files: &[Placed<'_>]) -> Result<(), String> {
    let mut made = Made::default();
    let result = drafts(files, &mut made);
    if let Err(why) = result {
        for draft in &made.drafts {
            let _ = fs::remove_file(draft);
        }
        for dir in made.dirs.iter().rev() {
            let _ = fs::remove_dir(dir);
        }
        return Err(why);
    }
    for (file, draft) in files.iter().zip(&made.drafts) {
        fs::rename(draft, &file.path).map_err(|why| cannot(&file.path, &why))?;
    }
    Ok(())
}

fn cannot(path: &Path, why: &io::Error) -> String {
    format!("cannot write {}: {}", path.display(), reason(why))
}

fn drafts(files: &[Placed<'_>], made: &mut Made) -> Result<(), String> {
    for file in files {
        if let Some(dir) = file.path.parent() {
            directory(dir, &mut made.dirs).map_err(|why| cannot(dir, &why))?;
        }
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        let own = format!(".{name}.{}", std::process::id());
        let draft = file.path.with_file_name(own);
        // A draft is new: what is there by its name may be somebody's link.
        let bits = if file.is_program { 0o777 } else { 0o666 };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(bits);
        let mut opened = options.open(&draft).map_err(|why| cannot(&draft, &why))?;
        made.drafts.push(draft);
        let written = opened
            .write_all(file.content)
            .and_then(|()| opened.sync_all());
        written.map_err(|why| cannot(&file.path, &why))?;
    }
    Ok(())
}

/// Makes a directory with those above it; the new ones are added to the list, outermost first.
fn directory(dir: &Path, made: &mut Vec<PathBuf>) -> io::Result<()> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    if let Some(above) = dir.parent() {
        directory(above, made)?;
    }
    fs::create_dir(dir)?;
    made.push(dir.to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file<'a>(path: &Path, content: &'a str) -> Placed<'a> {
        Placed {
            path: path.to_owned(),
            content: content.as_bytes(),
            is_program: path.ends_with("run"),
        }
    }

    #[test]
    fn all_are_placed_or_nothing_is_left() {
        let top = std::env::temp_dir().join(format!("pidone-placing-{}", std::process::id()));
        let _ = fs::remove_dir_all(&top);
        fs::create_dir(&top).unwrap();
        let (a, b) = (top.join("x/a/service.toml"), top.join("x/b/run"));
        fs::write(top.join("block"), "").unwrap();
        let blocked = top.join("block/c/run");
        let all = [file(&a, "a"), file(&b, "b"), file(&blocked, "c")];
        let why = place(&all).unwrap_err();
        assert!(why.contains("block"), "{why}");
        assert!(!top.join("x").exists());
        place(&[file(&a, "a"), file(&b, "b")]).unwrap();
        place(&[file(&a, "A")]).unwrap();
        assert_eq!(fs::read(&a).unwrap(), b"A");
        let mode = fs::metadata(&b).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111);
        assert_eq!(fs::read_dir(top.join("x/a")).unwrap().count(), 1);
        let _ = fs::remove_dir_all(top);
    }
}
