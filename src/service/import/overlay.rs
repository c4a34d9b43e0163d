//! The tree of an image made for s6-overlay, v2 or v3 → services.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::Diagnostic;
use crate::service::definition::Kind;
use crate::service::fields::{self, SERVICE};
use crate::service::import::native::{Native, array, quoted};
use crate::service::import::s6rc::{DIR, Graph, Stage, Waits};
use crate::service::import::tree::{Leaf, Tree};
use crate::service::import::{Extra, Imported, MADE_MAX, Made, Remark, mark, order, scripts};
use crate::values::Name;
use crate::values::lists;

/// Where s6-overlay looks: what an import reads of a tree.
pub const DIRS: [&str; 7] = [
    "etc/s6-overlay",
    "etc/services.d",
    "etc/cont-init.d",
    "etc/cont-finish.d",
    INIT_ATTRIBUTES,
    "etc/cont-profile.d",
    "var/run/s6/etc",
];

pub(super) const INIT_ATTRIBUTES: &str = "etc/fix-attrs.d";

/// Files that native services have, too.
const COMMON: [&str; 7] = [
    "run",
    "finish",
    "down-signal",
    "timeout-kill",
    "timeout-finish",
    "notification-fd",
    "max-death-tally",
];

/// Files of s6 and s6-rc that mean nothing to a native service.
const LOST: [(&str, &str, bool); 6] = [
    ("timeout-up", "a oneshot may take as long as it needs", true),
    (
        "timeout-down",
        "the time for the whole stop is the limit",
        true,
    ),
    (
        "lock-fd",
        "no lock keeps a start waiting for an earlier one",
        true,
    ),
    (
        "flag-essential",
        "whoever may stop services may stop it",
        false,
    ),
    (
        "flag-newpidns",
        "it runs in the container's namespace",
        true,
    ),
    ("reload-signal", "say `[reload] signal`", true),
];

/// An import under way.
pub(super) struct Importer<'a> {
    pub(super) tree: &'a Tree,
    pub(super) told: Imported,
    /// The services that stand for the stages.
    pub(super) stages: BTreeMap<Stage, Vec<String>>,
}

/// Makes services of a tree.
pub fn services(tree: &Tree) -> Imported {
    let mut importer = Importer {
        tree,
        told: Imported::default(),
        stages: BTreeMap::new(),
    };
    importer.attributes();
    importer.cont_init();
    importer.cont_finish();
    let names = importer.legacy_names();
    importer.stages.insert(Stage::Services, names.clone());
    let mut faults = Vec::new();
    let graph = Graph::read(tree, &mut faults);
    importer.told.faults.append(&mut faults);
    importer.s6_rc(&graph);
    // `services.d` comes after the bundle `user`, and before `user2`.
    let mut first = graph.first();
    for logger in graph.loggers().values() {
        first.remove(logger);
    }
    for name in names {
        importer.legacy(&name, &first);
    }
    if tree.names("etc/cont-profile.d").len() + tree.names("etc/s6-overlay/cont-profile.d").len()
        > 0
    {
        importer.remark(
            "etc/cont-profile.d",
            "profiles are not imported: name one as the tree",
            true,
        );
    }
    importer.done()
}

impl Importer<'_> {
    pub(super) fn remark(&mut self, path: &str, instead: &str, lost: bool) {
        let what = path.rsplit('/').next().unwrap_or(path).to_owned();
        self.told.remarks.push(Remark {
            place: self.tree.place(path, None),
            what,
            instead: instead.to_owned(),
            lost,
        });
    }

    pub(super) fn add(&mut self, name: &str, from: &str, to: Native, mut extras: Vec<Extra>) {
        lists::sort_by_key(&mut extras, |extra| extra.path.clone());
        match name.parse::<Name>() {
            Ok(name) => {
                let body = to.text();
                self.told.services.push(Made {
                    definition: mark::marked(from, &body, &mark::contents(&extras)),
                    name,
                    extras,
                });
            }
            Err(why) => {
                let fault = format!("`{name}` cannot be a service: {why}");
                let fault = Diagnostic::error(fault).in_file(self.tree.root.join(from));
                self.told.faults.push(fault);
            }
        }
    }

    /// A file that goes along, as a program if it is to be one: s6-rc runs those without a run bit.
    pub(super) fn extra(&mut self, from: &str, name: &str, leaf: &Leaf, is_program: bool) -> Extra {
        if is_program {
            scripts::tell(self.tree, from, leaf, &mut self.told.remarks);
        }
        Extra {
            path: name.to_owned(),
            content: leaf.content.clone(),
            is_program,
        }
    }

    /// Everything in a directory that a native service has, too, and a word on what it has not.
    pub(super) fn common(&mut self, dir: &str, prefix: &str) -> Vec<Extra> {
        let tree = self.tree;
        let mut extras = Vec::new();
        for (path, leaf) in tree.below(dir) {
            let whole = format!("{dir}/{path}");
            let is_common = COMMON.contains(&path);
            if is_common || path.starts_with("data/") || path.starts_with("env/") {
                let is_program =
                    matches!(path, "run" | "finish") || (!is_common && leaf.is_program);
                extras.push(self.extra(&whole, &format!("{prefix}{path}"), leaf, is_program));
            } else if let Some((_, told, lost)) = LOST.iter().find(|(name, ..)| *name == path) {
                self.remark(&whole, told, *lost);
            }
        }
        extras
    }

    /// Those who stand for these stages; of the chain of `cont-init.d`, its last.
    pub(super) fn standing(&self, stages: &BTreeSet<Stage>) -> Vec<String> {
        let names = stages.iter().filter_map(|stage| self.stages.get(stage));
        let last = names.map(|names| match names.as_slice() {
            [first, .., last] if first.starts_with(INIT) => std::slice::from_ref(last),
            names => names,
        });
        last.flatten().cloned().collect()
    }

    fn s6_rc(&mut self, graph: &Graph) {
        let loggers = graph.loggers();
        let hidden: BTreeMap<&String, &String> = loggers.iter().map(|(of, by)| (by, of)).collect();
        for (name, kind) in graph.services() {
            let mut waits = graph.waits(name);
            if hidden.contains_key(&name.to_owned()) {
                continue;
            }
            let dir = format!("{DIR}/{name}");
            let mut to = Native::default();
            let mut extras = match kind {
                Kind::Oneshot => self.oneshot(&dir, &mut to),
                Kind::Longrun => self.common(&dir, ""),
            };
            if let Some(logger) = loggers.get(name) {
                extras.extend(self.common(&format!("{DIR}/{logger}"), "log/"));
                let more = graph.waits(logger);
                waits.needs.extend(more.needs);
                waits.stages.extend(more.stages);
            } else if self.tree.file(&format!("{dir}/producer-for")).is_some() {
                let told = "its output goes to the container's: only a service with one logger of \
                            its own has a pipe (`log/run`)";
                self.remark(&format!("{dir}/producer-for"), told, true);
            }
            self.waits(&waits, name, &hidden, &mut to);
            if !graph.is_started(name) {
                to.set("", "enabled", "false");
            }
            self.add(name, &dir, to, extras);
        }
    }

    fn waits(
        &self,
        waits: &Waits,
        own: &str,
        hidden: &BTreeMap<&String, &String>,
        to: &mut Native,
    ) {
        // A logger is part of its service.
        let shown = |name: &String| {
            hidden
                .get(name)
                .map_or_else(|| name.clone(), |of| (*of).clone())
        };
        let mut needs: BTreeSet<String> = BTreeSet::new();
        needs.extend(waits.needs.iter().map(shown).filter(|name| name != own));
        if !needs.is_empty() {
            to.set("", "needs", &array(needs));
        }
        after(self.standing(&waits.stages), to);
    }

    /// A oneshot's `up` and `down` are a line of execline each; nearly all are a command and its
    /// words.
    fn oneshot(&mut self, dir: &str, to: &mut Native) -> Vec<Extra> {
        let tree = self.tree;
        let mut extras = Vec::new();
        to.set("", "type", &quoted("oneshot"));
        let up = format!("{dir}/up");
        let line = tree.text(&up).unwrap_or_default();
        let commands = commands_of(&line);
        let script = commands
            .strip_prefix('/')
            .and_then(|path| Some((path, tree.file(path)?)));
        if let Some((path, leaf)) = script {
            // One of the tree's own: it becomes ours.
            extras.push(self.extra(path, "run", leaf, true));
        } else {
            let command = self.line(&up, &commands);
            to.set("", "command", &command.unwrap_or_else(|| array(["true"])));
        }
        to.set("", "workdir", &quoted("/"));
        let down = format!("{dir}/down");
        let line = tree.text(&down).unwrap_or_default();
        if let Some(command) = self.line(&down, &commands_of(&line)) {
            if can_undo() {
                to.set("", "down", &command);
            } else {
                self.remark(&down, "nothing undoes a oneshot", true);
            }
        }
        for name in ["timeout-up", "timeout-down", "flag-essential"] {
            let path = format!("{dir}/{name}");
            if self.tree.file(&path).is_some()
                && let Some((_, told, lost)) = LOST.iter().find(|(lost, ..)| *lost == name)
            {
                self.remark(&path, told, *lost);
            }
        }
        extras
    }

    fn line(&mut self, path: &str, text: &str) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        let is_plain = !text.contains(['"', '\\', '{', '}', '$', '#']);
        let words: Vec<&str> = text.split_whitespace().collect();
        let own = words
            .first()
            .is_some_and(|word| word.ends_with("with-contenv"));
        if is_plain {
            return Some(array(words.iter().skip(usize::from(own))));
        }
        self.remark(path, "stays a line of execline, which pidone runs", false);
        Some(array(["pidone", "s6", "execlineb", "-P", "-c", text]))
    }

    fn done(mut self) -> Imported {
        if self.told.services.is_empty() && self.told.faults.is_empty() {
            let fault = Diagnostic::error("there is nothing for s6-overlay in this tree")
                .in_file(&self.tree.root)
                .hint("name the directory that is `/` in the image, or a supervisord.conf");
            self.told.faults.push(fault);
        }
        if self.told.services.len() > MADE_MAX {
            let fault = format!("more than {MADE_MAX} services");
            self.told.faults.push(Diagnostic::error(fault));
        }
        lists::sort_by_key(&mut self.told.remarks, |remark| order(&remark.place));
        self.told.remarks.dedup();
        lists::sort_by_key(&mut self.told.services, |made| made.name.clone());
        let twice = self.told.services.windows(2).find_map(|pair| match pair {
            [one, two] if one.name == two.name => Some(one.name.clone()),
            _different => None,
        });
        if let Some(name) = twice {
            let fault = format!("two services would be called `{name}`");
            self.told.faults.push(Diagnostic::error(fault));
        }
        self.told
    }
}

/// How the names of `cont-init.d`'s begin.
pub(super) const INIT: &str = "cont-init-";

/// Orders a service after these.
pub(super) fn after(names: Vec<String>, to: &mut Native) {
    if !names.is_empty() {
        to.set("", "after", &array(names));
    }
}

/// The line of execline that a file holds, without its comments.
fn commands_of(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.starts_with('#')).collect();
    lines.join(" ").trim().to_owned()
}

/// Whether a oneshot can have a command that undoes it.
pub(super) fn can_undo() -> bool {
    fields::find(SERVICE, "", "down").is_some()
}
