//! The graph of s6-rc's source directories, as far as an import needs it: who is in which bundle,
//! who depends on whom, and who starts at boot.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::Diagnostic;
use crate::service::import::tree::Tree;

/// Where s6-overlay v3 has them.
pub(super) const DIR: &str = "etc/s6-overlay/s6-rc.d";
/// Where its newest versions have the bundles of users.
const USER_BUNDLES: &str = "etc/s6-overlay/user-bundles.d";

/// The bundles that start at boot.
pub(super) const TOP: [&str; 2] = ["user", "user2"];

/// What s6-overlay has of its own: its stages, which are scripts and directories to us.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Stage {
    /// `fix-attrs`.
    Attributes,
    /// `cont-init.d`, and all of `base`.
    Init,
    /// `services.d`.
    Services,
}

/// A kind of source directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Oneshot,
    Longrun,
    Bundle,
}

/// What one waits for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Waits {
    /// Services.
    pub(super) needs: BTreeSet<String>,
    /// Stages.
    pub(super) stages: BTreeSet<Stage>,
}

/// All source directories.
pub(super) struct Graph<'a> {
    tree: &'a Tree,
    kinds: BTreeMap<String, Kind>,
}

impl<'a> Graph<'a> {
    /// Reads who is there.
    pub(super) fn read(tree: &'a Tree, faults: &mut Vec<Diagnostic>) -> Self {
        let mut kinds = BTreeMap::new();
        for name in tree.names(DIR) {
            let path = format!("{DIR}/{name}/type");
            let kind = match tree.text(&path).as_deref() {
                Some("oneshot") => Kind::Oneshot,
                Some("longrun") => Kind::Longrun,
                Some("bundle") => Kind::Bundle,
                None if TOP.contains(&&*name) => Kind::Bundle,
                None => {
                    let fault = Diagnostic::error(format!("`{name}` has no `type`"));
                    let hint = "write `oneshot`, `longrun` or `bundle` into that file";
                    faults.push(fault.in_file(tree.root.join(&path)).hint(hint));
                    continue;
                }
                Some(other) => {
                    let fault = Diagnostic::error(format!("unknown type `{other}`"))
                        .suggest(other, ["oneshot", "longrun", "bundle"]);
                    faults.push(fault.in_file(tree.root.join(&path)));
                    continue;
                }
            };
            kinds.insert(name, kind);
        }
        Self { tree, kinds }
    }

    /// Its services with their kinds; bundles are none.
    pub(super) fn services(&self) -> impl Iterator<Item = (&str, Kind)> {
        let all = self.kinds.iter().map(|(name, kind)| (name.as_str(), *kind));
        all.filter(|(_, kind)| *kind != Kind::Bundle)
    }

    /// The names that a file lists, and those of the files of a directory.
    fn listed(&self, name: &str, file: &str) -> Vec<(String, String)> {
        let path = format!("{DIR}/{name}/{file}");
        let lines = self.tree.text(&path).unwrap_or_default();
        let lines = lines.lines().map(str::trim);
        let names = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut found: Vec<(String, String)> =
            names.map(|name| (name.to_owned(), path.clone())).collect();
        let mut dirs = vec![format!("{path}.d")];
        if file == "contents" && TOP.contains(&name) {
            dirs.push(format!("{USER_BUNDLES}/{name}/contents.d"));
        }
        for dir in dirs {
            let names = self.tree.names(&dir).into_iter();
            found.extend(names.map(|name| (name.clone(), format!("{dir}/{name}"))));
        }
        found
    }

    /// What a service waits for, its bundles taken apart.
    pub(super) fn waits(&self, name: &str, faults: &mut Vec<Diagnostic>) -> Waits {
        let mut waits = Waits::default();
        let mut seen = BTreeSet::new();
        self.gather(name, "dependencies", &mut waits, &mut seen, faults);
        waits.needs.remove(name);
        waits
    }

    /// Who is in these bundles, with all that these depend on.
    pub(super) fn closure(
        &self,
        bundles: &[&str],
        faults: &mut Vec<Diagnostic>,
    ) -> BTreeSet<String> {
        let mut waits = Waits::default();
        let mut seen = BTreeSet::new();
        for bundle in bundles {
            self.gather(bundle, "contents", &mut waits, &mut seen, faults);
        }
        let mut started = BTreeSet::new();
        let mut todo: Vec<String> = waits.needs.into_iter().collect();
        while let Some(name) = todo.pop() {
            if started.insert(name.clone()) {
                todo.extend(self.waits(&name, &mut Vec::new()).needs);
            }
        }
        started
    }

    /// Adds what a file of a source directory names. `seen` are bundles that are open or done: one
    /// that holds itself ends there.
    fn gather(
        &self,
        name: &str,
        file: &str,
        into: &mut Waits,
        seen: &mut BTreeSet<String>,
        faults: &mut Vec<Diagnostic>,
    ) {
        for (other, place) in self.listed(name, file) {
            match (self.kinds.get(&other), stage(&other)) {
                (Some(Kind::Oneshot | Kind::Longrun), _) => {
                    into.needs.insert(other);
                }
                (Some(Kind::Bundle), _) => {
                    if seen.insert(other.clone()) {
                        self.gather(&other, "contents", into, seen, faults);
                    }
                }
                (None, Some(stages)) => into.stages.extend(stages),
                (None, None) if TOP.contains(&&*other) => {}
                (None, None) => {
                    let fault = format!("`{name}` names `{other}`, and there is no such service");
                    let known = self.kinds.keys().map(String::as_str);
                    let fault = Diagnostic::error(fault).suggest(&other, known);
                    let fault = fault.in_file(self.tree.root.join(place));
                    if !faults.contains(&fault) {
                        faults.push(fault);
                    }
                }
            }
        }
    }

    /// The pipelines of two: the logger of each service that is the only one to write to it.
    pub(super) fn loggers(&self) -> BTreeMap<String, String> {
        let mut loggers = BTreeMap::new();
        for (name, _) in self.services() {
            let one = |file: &str| self.tree.text(&format!("{DIR}/{name}/{file}"));
            let Some(logger) = one("producer-for") else {
                continue;
            };
            let from = self.tree.text(&format!("{DIR}/{logger}/consumer-for"));
            let ends = self
                .tree
                .file(&format!("{DIR}/{logger}/producer-for"))
                .is_none();
            if one("consumer-for").is_none() && ends && from.as_deref() == Some(name) {
                loggers.insert(name.to_owned(), logger);
            }
        }
        loggers
    }
}

/// What a name of s6-overlay's own stands for.
fn stage(name: &str) -> Option<&'static [Stage]> {
    match name {
        "fix-attrs" => Some(&[Stage::Attributes]),
        "base" | "legacy-cont-init" => Some(&[Stage::Attributes, Stage::Init]),
        "legacy-services" => Some(&[Stage::Attributes, Stage::Init, Stage::Services]),
        _other => None,
    }
}
