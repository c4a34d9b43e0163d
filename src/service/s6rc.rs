//! s6-rc's source definitions become services: oneshots and longruns are the same values as native
//! ones, and a bundle is a name for many (s6-rc-compile(1), "Source format").

mod atomic;
mod bundles;
mod listed;
pub mod source;
pub mod words;

use std::collections::BTreeMap;

use crate::diag::{Diagnostic, Spot};
use crate::service::definition::Service;
use crate::service::s6rc::bundles::Bundles;
use crate::service::s6rc::listed::Wanted;
use crate::service::s6rc::source::{Entry, Tree};
use crate::service::source::File;
use crate::values::Name;

/// What a name outside the tree stands for: stages of the boot, which definitions may name.
pub type Known = BTreeMap<Name, Vec<Name>>;

/// Names that s6-rc keeps for itself.
const RESERVED: [&str; 2] = ["s6rc-", "s6-rc-"];

/// The bundles whose services the boot starts, the second one's behind everything else.
pub const USER_BUNDLES: [&str; 2] = ["user", "user2"];

/// What a tree defines.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Compiled {
    /// Every oneshot and longrun, in the order of names; whether the boot starts one is not said
    /// here. Not to be used if there are errors.
    pub services: Vec<Service>,
    /// Every bundle, those of pipelines too, with the services that it stands for.
    pub bundles: Known,
    /// Names of those that a stop of all but the essential leaves alone.
    pub essential: Vec<Name>,
    /// All that is wrong.
    pub diagnostics: Vec<Diagnostic>,
}

/// What one definition is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Bundle,
    Oneshot,
    Longrun,
}

impl Kind {
    const ALL: [(&'static str, Self); 3] = [
        ("bundle", Self::Bundle),
        ("longrun", Self::Longrun),
        ("oneshot", Self::Oneshot),
    ];
}

/// A definition whose name and kind are known.
struct Definition<'a> {
    name: Name,
    kind: Kind,
    entry: &'a Entry,
    /// What it waits for, or (a bundle) what is in it.
    wanted: Vec<Wanted>,
}

/// Reads a tree. `known` are the names that stand for something outside of it.
pub fn compile(tree: &Tree, known: &Known) -> Compiled {
    let mut faults = Vec::new();
    let mut definitions = Vec::new();
    for entry in &tree.entries {
        definitions.extend(definition(entry, tree, &mut faults));
    }
    let bundles = Bundles::new(&definitions, known, &mut faults);
    let mut compiled = Compiled::default();
    for definition in &definitions {
        if definition.kind == Kind::Bundle {
            continue;
        }
        let service = atomic::service(definition, &bundles, &mut faults);
        compiled.services.extend(service);
        if definition.entry.essential {
            compiled.essential.push(definition.name.clone());
        }
    }
    compiled.bundles = bundles.expanded(&mut faults);
    compiled.diagnostics = faults;
    compiled
}

fn definition<'a>(
    entry: &'a Entry,
    tree: &Tree,
    faults: &mut Vec<Diagnostic>,
) -> Option<Definition<'a>> {
    let path = &entry.directory.path;
    let name = match entry.directory.name.to_string_lossy().parse::<Name>() {
        Ok(name) => name,
        Err(why) => {
            let fault = Diagnostic::error(format!("cannot use this definition: {why}"));
            faults.push(fault.in_file(path));
            return None;
        }
    };
    if let Some(prefix) = RESERVED.iter().find(|it| name.as_str().starts_with(*it)) {
        let fault = format!("`{name}` begins with `{prefix}`, which s6-rc keeps for itself");
        let fault = Diagnostic::error(fault).hint("give it another name");
        faults.push(fault.in_file(path));
    }
    let kind = kind(entry, tree, faults)?;
    let (list, what) = match kind {
        Kind::Bundle => (&entry.contents, "contents"),
        Kind::Oneshot | Kind::Longrun => (&entry.dependencies, "dependencies"),
    };
    let wanted = listed::names(list, path, what, faults);
    Some(Definition {
        name,
        kind,
        entry,
        wanted,
    })
}

fn kind(entry: &Entry, tree: &Tree, faults: &mut Vec<Diagnostic>) -> Option<Kind> {
    let path = entry.directory.path.join("type");
    let name = entry.directory.name.display();
    let text = match &entry.kind {
        File::Content(bytes) => String::from_utf8_lossy(bytes),
        File::Absent if is_users_bundle(entry, tree) => return Some(Kind::Bundle),
        File::Absent => {
            let fault = Diagnostic::error(format!("`{name}` has no `type`"));
            let hint = "`type` holds `longrun`, `oneshot` or `bundle`";
            faults.push(fault.hint(hint).in_file(&entry.directory.path));
            return None;
        }
        File::Unreadable(why) => {
            let fault = Diagnostic::error(format!("cannot use `type`: {why}"));
            faults.push(fault.in_file(path));
            return None;
        }
    };
    let word = text.trim();
    let found = Kind::ALL.iter().find(|(known, _)| *known == word);
    if found.is_none() {
        let fault = Diagnostic::error(format!("unknown type `{word}`"));
        let fault = fault.suggest(word, Kind::ALL.map(|(known, _)| known));
        let at = text.find(word).unwrap_or_default();
        faults.push(fault.at(path, Spot::of(&text, at..at + word.len())));
    }
    found.map(|(_, kind)| *kind)
}

/// s6-overlay's own bundles, to which users add, may come without `type`.
fn is_users_bundle(entry: &Entry, tree: &Tree) -> bool {
    let parent = entry.directory.path.parent();
    let is_apart = parent.is_some_and(|parent| tree.bundles.iter().any(|root| root == parent));
    is_apart
        || USER_BUNDLES
            .iter()
            .any(|name| entry.directory.name == *name)
}
