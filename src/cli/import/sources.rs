//! What is imported, read: a supervisord.conf with the files that it includes, or a tree.

use std::path::Path;

use crate::diag::Diagnostic;
use crate::os::{files, gathered, globs};
use crate::service::import::ini::{Conf, FILE_BYTES_MAX};
use crate::service::import::{Imported, Remark, overlay, supervisord};

/// Reads it: a directory is a tree for s6-overlay.
pub(super) fn imported(
    from: &Path,
    root: Option<&Path>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Imported {
    if !from.is_dir() {
        return supervisord(from, root, variable);
    }
    match gathered::read(from, &overlay::DIRS) {
        Ok(tree) => overlay::services(&tree),
        Err(why) => Imported {
            faults: vec![Diagnostic::error(why)],
            ..Imported::default()
        },
    }
}

/// A supervisord.conf with what it includes.
fn supervisord(
    from: &Path,
    root: Option<&Path>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Imported {
    let mut conf = Conf::default();
    let mut faults = Vec::new();
    read(&mut conf, from, root, &mut faults);
    let mut missing = Vec::new();
    match supervisord::includes(&conf, variable) {
        Err(found) => faults.extend(found),
        Ok(patterns) => {
            let patterns: Vec<_> = patterns
                .into_iter()
                .map(|(pattern, key)| (pattern, key.clone()))
                .collect();
            for (pattern, key) in patterns {
                let path = match (root, Path::new(&pattern).strip_prefix("/")) {
                    (Some(root), Ok(inner)) => root.join(inner),
                    _ => from.parent().unwrap_or(Path::new("")).join(&pattern),
                };
                let found = globs::matching(&path);
                if found.is_empty() {
                    missing.push(Remark {
                        place: key.place.clone(),
                        what: format!("[include] files = {pattern}"),
                        instead: "there is no such file here".into(),
                        lost: true,
                    });
                }
                for file in found {
                    read(&mut conf, &file, root, &mut faults);
                }
            }
        }
    }
    conf.settle();
    if !faults.is_empty() {
        return Imported {
            faults,
            ..Imported::default()
        };
    }
    let mut imported = supervisord::services(&conf, variable);
    missing.append(&mut imported.remarks);
    Imported {
        remarks: missing,
        ..imported
    }
}

/// Reads a file into the configuration.
fn read(conf: &mut Conf, path: &Path, root: Option<&Path>, faults: &mut Vec<Diagnostic>) {
    let text = files::bounded(path, FILE_BYTES_MAX)
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()));
    match text {
        Ok(text) => conf.read(path, &here(path, root), &text, faults),
        Err(why) => {
            let fault = format!("cannot read `{}`: {why}", path.display());
            faults.push(Diagnostic::error(fault).in_file(path));
        }
    }
}

/// The directory of a file, as the image has it.
fn here(path: &Path, root: Option<&Path>) -> String {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let path = whole(path);
    let dir = path.parent().unwrap_or(Path::new("/"));
    let inner = root.and_then(|root| dir.strip_prefix(whole(root)).ok());
    let dir = inner.map_or_else(|| dir.to_owned(), |inner| Path::new("/").join(inner));
    dir.display().to_string()
}
