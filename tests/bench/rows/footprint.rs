//! What each adds to an image of Debian's base: its packages' files and those that they need,
//! without documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use super::Plan;
use crate::figures::Figures;
use crate::house::House;
use crate::peers::{Peer, said};

pub(crate) const FOOTPRINT: &str = "What it adds to an image of Debian's base";
pub(crate) const BYTES: &str = "MB";
pub(crate) const FILES: &str = "files";

/// An image has no use for these.
const LEFT_OUT: [&str; 6] = ["doc", "doc-base", "info", "lintian", "locale", "man"];

pub(crate) fn measure(house: &House, plan: &Plan, figures: &mut Figures) {
    let packages = Packages::installed();
    for peer in &plan.peers {
        let files: Vec<u64> = match peer {
            Peer::Floor => continue,
            Peer::Pidone => sizes(&[house.pidone.display().to_string()]),
            Peer::Horust => sizes(&said("which", &["horust"]).into_iter().collect::<Vec<_>>()),
            Peer::S6
            | Peer::Runit
            | Peer::Daemontools
            | Peer::Supervisord
            | Peer::Tini
            | Peer::DumbInit
            | Peer::Catatonit => sizes(&packages.files(peer.packages())),
        };
        let bytes: u64 = files.iter().sum();
        figures.add(FOOTPRINT, BYTES, peer.name(), bytes as f64 / 1e6);
        figures.add(FOOTPRINT, FILES, peer.name(), files.len() as f64);
    }
}

/// The sizes of those that are files; a link costs nothing.
fn sizes(paths: &[String]) -> Vec<u64> {
    let data = paths
        .iter()
        .filter_map(|path| fs::symlink_metadata(path).ok());
    data.filter(fs::Metadata::is_file)
        .map(|data| data.len())
        .collect()
}

/// What is installed, and what each needs.
struct Packages {
    needs: BTreeMap<String, Vec<Vec<String>>>,
    /// What is in every image of Debian.
    base: BTreeSet<String>,
}

impl Packages {
    fn installed() -> Self {
        let format = "-f=${Package}|${Essential}|${Priority}|${Pre-Depends}, ${Depends}\n";
        let done = Command::new("dpkg-query").args(["-W", format]).output();
        let text = done.map_or_else(
            |_| String::new(),
            |done| String::from_utf8_lossy(&done.stdout).into_owned(),
        );
        let mut needs = BTreeMap::new();
        let mut roots = Vec::new();
        for line in text.lines() {
            // Alternatives are apart by a bar too.
            let mut fields = line.splitn(4, '|');
            let mut next = || fields.next().unwrap_or("");
            let (name, essential, priority, list) = (next(), next(), next(), next());
            if essential == "yes" || priority == "required" {
                roots.push(name);
            }
            needs.insert(name.to_owned(), alternatives(list));
        }
        let mut packages = Self {
            needs,
            base: BTreeSet::new(),
        };
        packages.base = packages.closure(&roots);
        packages
    }

    /// These, and all that they need.
    fn closure(&self, roots: &[&str]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut left: Vec<String> = roots.iter().map(|root| (*root).to_owned()).collect();
        while let Some(name) = left.pop() {
            let Some(needs) = self.needs.get(&name).filter(|_| !self.base.contains(&name)) else {
                continue;
            };
            if found.insert(name) {
                let installed = |name: &&String| self.needs.contains_key(*name);
                let chosen = needs.iter().filter_map(|any| any.iter().find(installed));
                left.extend(chosen.cloned());
            }
        }
        found
    }

    /// The files of these and of all that they need beyond the base.
    fn files(&self, roots: &[&str]) -> Vec<String> {
        let names = self.closure(roots);
        let done = Command::new("dpkg-query").arg("-L").args(names).output();
        let text = done.map_or_else(
            |_| String::new(),
            |done| String::from_utf8_lossy(&done.stdout).into_owned(),
        );
        let lines: BTreeSet<&str> = text.lines().filter(|path| path.starts_with('/')).collect();
        let kept = lines
            .into_iter()
            .filter(|path| !is_left_out(Path::new(path)));
        kept.map(str::to_owned).collect()
    }
}

fn is_left_out(path: &Path) -> bool {
    let inner = path.strip_prefix("/usr/share").ok();
    let first = inner.and_then(|inner| inner.iter().next());
    first.is_some_and(|first| LEFT_OUT.iter().any(|name| *name == first))
}

/// `a (>= 1) | b, c:any` → a or b, and c.
fn alternatives(list: &str) -> Vec<Vec<String>> {
    let name = |word: &str| {
        let word = word.split(['(', ':']).next().unwrap_or("").trim();
        word.to_owned()
    };
    list.split(',')
        .map(|any| {
            any.split('|')
                .map(name)
                .filter(|name| !name.is_empty())
                .collect()
        })
        .collect()
}
