//! What only s6-rc's definitions know, for the tool `s6-rc`: a file of lines beside the live
//! directories.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use crate::os::trees;
use crate::service::overlay::Sources;
use crate::service::s6rc::source::{Listed, Tree};
use crate::service::source::File;
use crate::tools::s6::rc::{FILE, LIVE};

/// Writes it anew. What is wrong with the definitions is PID 1's to tell.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(sources: &Sources) -> io::Result<()> {
    let (tree, _told_by_pid1) = trees::read(&sources.trees, &sources.bundles);
    fs::write(Path::new(LIVE).join(FILE), lines(&tree))
}

fn lines(tree: &Tree) -> String {
    let mut text = String::new();
    for entry in &tree.entries {
        let name = entry.directory.name.to_string_lossy();
        let kind = match &entry.kind {
            File::Content(bytes) => String::from_utf8_lossy(bytes).trim().to_owned(),
            // Bundles of users may come without it.
            File::Absent | File::Unreadable(_) => "bundle".to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = match kind.as_str() {
            "bundle" => writeln!(text, "bundle {name} {}", names(&entry.contents)),
            other => writeln!(
                text,
                "{other} {name}\nneeds {name} {}",
                names(&entry.dependencies)
            ),
        };
        if entry.essential {
            let _ = writeln!(text, "essential {name}");
        }
    }
    text
}

fn names(list: &Listed) -> String {
    let mut names: Vec<String> = list
        .files
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    if let File::Content(bytes) = &list.lines {
        let text = String::from_utf8_lossy(bytes);
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        names.extend(lines.map(str::to_owned));
    }
    names.join(" ")
}
