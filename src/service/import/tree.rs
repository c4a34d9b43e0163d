//! A tree of small files, as values.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::diag::{Place, Spot};

/// So many files are read of a tree, and so many bytes of each: its services are texts.
pub const FILES_MAX: usize = 10_000;
/// Bytes.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// A file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// All that is in it.
    pub content: Vec<u8>,
    /// Whether anybody may execute it.
    pub is_program: bool,
}

/// Files by their paths below the root, with `/`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tree {
    /// The root, as the user would name it.
    pub root: PathBuf,
    /// The files.
    pub files: BTreeMap<String, Leaf>,
}

impl Tree {
    /// The file at this path.
    pub(super) fn file(&self, path: &str) -> Option<&Leaf> {
        self.files.get(path)
    }

    /// The file's text without blanks around it.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let leaf = self.file(path)?;
        Some(String::from_utf8_lossy(&leaf.content).trim().to_owned())
    }

    /// The files below a directory, by their paths from there.
    pub(super) fn below<'a>(&'a self, dir: &str) -> impl Iterator<Item = (&'a str, &'a Leaf)> {
        let start = format!("{dir}/");
        let length = start.len();
        let found = self.files.range(start.clone()..);
        found
            .take_while(move |(path, _)| path.starts_with(&start))
            .filter_map(move |(path, leaf)| Some((path.get(length..)?, leaf)))
    }

    /// What a directory holds: names of files and of directories with files.
    pub(super) fn names(&self, dir: &str) -> BTreeSet<String> {
        let first = |(path, _): (&str, &Leaf)| path.split('/').next().unwrap_or(path).to_owned();
        let mut names: BTreeSet<String> = BTreeSet::new();
        names.extend(
            self.below(dir)
                .map(first)
                .filter(|name| !name.starts_with('.')),
        );
        names
    }

    /// A file of it as a place, or one of its lines.
    pub(super) fn place(&self, path: &str, line: Option<(usize, &str)>) -> Place {
        let spot = line.map(|(line, text)| Spot {
            line,
            column: 1,
            width: text.chars().count().max(1),
            text: text.to_owned(),
        });
        Place {
            path: self.root.join(Path::new(path)),
            spot,
        }
    }
}
