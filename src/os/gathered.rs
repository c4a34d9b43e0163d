//! All small files below some directories, read within bounds, whatever lies there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::os::content;
use crate::os::reason::reason;
use crate::service::import::tree::{FILE_BYTES_MAX, FILES_MAX, Leaf, Tree};

/// Directories within directories: more is a circle of links.
const DEPTH_MAX: usize = 10;

/// Reads all files below these directories of a root; one that is not there holds none.
///
/// # Errors
/// The first file or directory that cannot be read: a sentence for the user.
pub fn read(root: &Path, dirs: &[&str]) -> Result<Tree, String> {
    let mut tree = Tree {
        root: root.to_owned(),
        ..Tree::default()
    };
    for dir in dirs {
        let path = root.join(dir);
        if path.is_dir() {
            directory(&path, dir, DEPTH_MAX, &mut tree)?;
        }
    }
    Ok(tree)
}

fn directory(path: &Path, name: &str, depth: usize, tree: &mut Tree) -> Result<(), String> {
    let cannot = |path: &Path, why: &str| format!("cannot read `{}`: {why}", path.display());
    if depth == 0 {
        return Err(cannot(
            path,
            "directories are within directories too deeply",
        ));
    }
    let entries = fs::read_dir(path).map_err(|why| cannot(path, &reason(&why)))?;
    for entry in entries {
        let path = entry.map_err(|why| cannot(path, &reason(&why)))?.path();
        let Some(last) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(cannot(&path, "its name is not UTF-8"));
        };
        let inner = if name.is_empty() {
            last.to_owned()
        } else {
            format!("{name}/{last}")
        };
        let kind = fs::metadata(&path).map_err(|why| cannot(&path, &reason(&why)))?;
        if kind.is_dir() {
            directory(&path, &inner, depth - 1, tree)?;
            continue;
        }
        if tree.files.len() >= FILES_MAX {
            return Err(cannot(
                &path,
                &format!("there are more than {FILES_MAX} files"),
            ));
        }
        let content = content::bounded(&path, FILE_BYTES_MAX).map_err(|why| cannot(&path, &why))?;
        let is_program = kind.permissions().mode() & 0o111 != 0;
        tree.files.insert(
            inner,
            Leaf {
                content,
                is_program,
            },
        );
    }
    Ok(())
}
