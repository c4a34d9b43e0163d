//! The names that a definition lists: by the files of a directory, or by the lines of a file.

use std::path::{Path, PathBuf};

use crate::diag::{Diagnostic, Place, Spot};
use crate::service::s6rc::source::Listed;
use crate::service::source::File;
use crate::values::Name;

/// A name, and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    pub(super) name: Name,
    pub(super) place: Place,
}

/// All names of a list called `what` in the definition at `dir`: `what.d`, and the older `what`.
pub(super) fn names(
    list: &Listed,
    dir: &Path,
    what: &str,
    faults: &mut Vec<Diagnostic>,
) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for file in &list.files {
        let path = dir.join(format!("{what}.d")).join(file);
        let place = Place { path, spot: None };
        wanted.extend(parsed(&file.to_string_lossy(), place, faults));
    }
    wanted.extend(lines(&list.lines, &dir.join(what), faults));
    wanted
}

/// The names in a file, one a line; a `#` begins a comment.
pub(super) fn lines(file: &File, path: &Path, faults: &mut Vec<Diagnostic>) -> Vec<Wanted> {
    let bytes = match file {
        File::Absent => return Vec::new(),
        File::Content(bytes) => bytes,
        File::Unreadable(why) => {
            let name = path.file_name().unwrap_or_default().display();
            let fault = Diagnostic::error(format!("cannot use `{name}`: {why}"));
            faults.push(fault.in_file(path));
            return Vec::new();
        }
    };
    let text = String::from_utf8_lossy(bytes);
    let mut wanted = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let word = line.trim();
        if !word.is_empty() && !word.starts_with('#') {
            let at = start + line.find(word).unwrap_or_default();
            let place = Place {
                path: PathBuf::from(path),
                spot: Some(Spot::of(&text, at..at + word.len())),
            };
            wanted.extend(parsed(word, place, faults));
        }
        start += line.len();
    }
    wanted
}

fn parsed(word: &str, place: Place, faults: &mut Vec<Diagnostic>) -> Option<Wanted> {
    match word.parse::<Name>() {
        Ok(name) => Some(Wanted { name, place }),
        Err(why) => {
            faults.push(Diagnostic {
                place: Some(place),
                ..Diagnostic::error(why)
            });
            None
        }
    }
}
