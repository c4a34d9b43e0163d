//! A tree of small files as what s6-rc's compiler reads.

use std::collections::BTreeMap;

use crate::service::import::s6rc::DIR;
use crate::service::import::tree::{Leaf, Tree};
use crate::service::s6rc::source::{self, Entry, Listed};
use crate::service::source::{Directory, File, HEAD_BYTES, Interpreter, Script, interpreter};

/// Where s6-overlay's newest versions have the bundles of users.
const USER_BUNDLES: &str = "etc/s6-overlay/user-bundles.d";

/// The source definitions of an image's tree.
pub(super) fn definitions(tree: &Tree) -> source::Tree {
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    for root in [DIR, USER_BUNDLES] {
        for name in tree.names(root) {
            let dir = format!("{root}/{name}");
            if tree.below(&dir).next().is_none() {
                continue;
            }
            let found = entry(tree, &dir, &name);
            match entries.get_mut(&name) {
                Some(known) => known.contents.add(found.contents),
                None => {
                    entries.insert(name, found);
                }
            }
        }
    }
    source::Tree {
        entries: entries.into_values().collect(),
        bundles: vec![tree.root.join(USER_BUNDLES)],
    }
}

fn entry(tree: &Tree, dir: &str, name: &str) -> Entry {
    let file = |name: &str| match tree.file(&format!("{dir}/{name}")) {
        Some(leaf) => File::Content(leaf.content.clone()),
        None => File::Absent,
    };
    let listed = |name: &str| Listed {
        files: (tree.names(&format!("{dir}/{name}.d")).into_iter())
            .map(Into::into)
            .collect(),
        lines: file(name),
    };
    let script = |name: &str| {
        tree.file(&format!("{dir}/{name}"))
            .map_or(Script::Absent, script)
    };
    Entry {
        directory: Directory::of(name.into(), tree.root.join(dir), file, script),
        kind: file("type"),
        contents: listed("contents"),
        dependencies: listed("dependencies"),
        up: file("up"),
        down: file("down"),
        timeout_up: file("timeout-up"),
        timeout_down: file("timeout-down"),
        producer_for: file("producer-for"),
        consumer_for: file("consumer-for"),
        pipeline_name: file("pipeline-name"),
        essential: file("flag-essential") != File::Absent,
    }
}

/// Whether its interpreter is there, the image's own system tells, not ours.
fn script(leaf: &Leaf) -> Script {
    let head = leaf.content.iter().take(HEAD_BYTES).copied().collect();
    let named = interpreter(&leaf.content).is_some();
    Script::Present {
        executable: leaf.is_program,
        interpreter: if named {
            Interpreter::Found
        } else {
            Interpreter::None
        },
        head: Some(head),
    }
}
