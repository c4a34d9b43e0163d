//! Reading trees of s6-rc's definitions from disk, with the limits of service directories.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::diag::Diagnostic;
use crate::os::content::small;
use crate::os::files;
use crate::os::folder::{Folder, Hint};
use crate::os::reason::reason;
use crate::service::overlay::THIRD;
use crate::service::s6rc::source::{Entry, Listed, Tree};
use crate::service::source::{File, SERVICES_MAX};

/// Whether the image was made for s6-overlay 2.
pub fn is_second() -> bool {
    !Path::new(THIRD).is_dir()
}

/// Reads the definitions below these roots; a root that is missing holds none. `bundles` are
/// directories of bundles of the user's own, which add to a bundle of the same name.
pub fn read(roots: &[PathBuf], bundles: &[PathBuf]) -> (Tree, Vec<Diagnostic>) {
    let mut entries: BTreeMap<OsString, Entry> = BTreeMap::new();
    let mut tree = Tree::default();
    let mut faults = Vec::new();
    for root in roots.iter().chain(bundles) {
        for name in names(root, &mut faults) {
            let path = root.join(&name);
            let entry = match entry(&path, name.clone()) {
                Ok(Some(entry)) => entry,
                Ok(None) => continue,
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            match entries.get_mut(&name) {
                None => {
                    entries.insert(name, entry);
                }
                Some(known) if bundles.contains(root) => known.contents.add(entry.contents),
                Some(known) => {
                    let text = format!("`{}` is defined twice", name.display());
                    let hint = format!("the other is {}", known.directory.path.display());
                    faults.push(Diagnostic::error(text).in_file(path).hint(hint));
                }
            }
        }
    }
    tree.entries = entries.into_values().collect();
    tree.bundles = bundles.to_vec();
    (tree, faults)
}

/// What is in a directory, in order, without what begins with a dot.
fn names(dir: &Path, faults: &mut Vec<Diagnostic>) -> Vec<OsString> {
    let mut fail = |why: &std::io::Error| {
        let text = format!("cannot read `{}`: {}", dir.display(), reason(why));
        faults.push(Diagnostic::error(text).in_file(dir));
    };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(why) => {
            if why.kind() != ErrorKind::NotFound {
                fail(&why);
            }
            return Vec::new();
        }
    };
    let mut names = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => names.push(entry.file_name()),
            Err(why) => {
                fail(&why);
                break;
            }
        }
        if names.len() > SERVICES_MAX {
            let text = format!("more than {SERVICES_MAX} names");
            faults.push(Diagnostic::error(text).in_file(dir));
            break;
        }
    }
    names.retain(|name| !name.as_bytes().starts_with(b"."));
    names.sort_unstable();
    names
}

/// One definition; `None` for what is no directory, which s6-rc ignores.
fn entry(path: &Path, name: OsString) -> Result<Option<Entry>, Diagnostic> {
    if !path.is_dir() {
        return Ok(None);
    }
    let directory = files::directory(path, name)?;
    let Ok(folder) = Folder::open(path) else {
        return Ok(None);
    };
    let file = |name: &CStr| match folder.lstat(name) {
        Err(nix::errno::Errno::ENOENT) => File::Absent,
        Ok(_) | Err(_) => small(&folder, name, Hint::Other),
    };
    let mut faults = Vec::new();
    let mut listed = |name: &str, lines: File| Listed {
        files: names(&path.join(OsStr::new(name)), &mut faults),
        lines,
    };
    let entry = Entry {
        kind: file(c"type"),
        contents: listed("contents.d", file(c"contents")),
        dependencies: listed("dependencies.d", file(c"dependencies")),
        up: file(c"up"),
        down: file(c"down"),
        timeout_up: file(c"timeout-up"),
        timeout_down: file(c"timeout-down"),
        producer_for: file(c"producer-for"),
        consumer_for: file(c"consumer-for"),
        pipeline_name: file(c"pipeline-name"),
        essential: file(c"flag-essential") != File::Absent,
        directory,
    };
    match faults.pop() {
        Some(fault) => Err(fault),
        None => Ok(Some(entry)),
    }
}
