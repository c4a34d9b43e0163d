//! The stages of s6-overlay that are directories of scripts: `fix-attrs.d`, `cont-init.d`,
//! `services.d`, `cont-finish.d`.

use std::collections::BTreeSet;

use crate::diag::Diagnostic;
use crate::service::import::native::{Native, array, quoted};
use crate::service::import::overlay::{INIT, INIT_ATTRIBUTES, Importer, after, can_undo};
use crate::service::import::s6rc::Stage;
use crate::service::import::{Extra, attributes};
use crate::service::overlay::{FOREIGN, foreign};

impl Importer<'_> {
    pub(super) fn attributes(&mut self) {
        let tree = self.tree;
        let mut script = String::new();
        for name in tree.names(INIT_ATTRIBUTES) {
            let path = format!("{INIT_ATTRIBUTES}/{name}");
            let text = tree.text(&path).unwrap_or_default();
            for (at, line) in text.lines().enumerate() {
                match attributes::line(line) {
                    Ok(commands) => script.push_str(&commands),
                    Err(why) => {
                        let place = Some(tree.place(&path, Some((at + 1, line))));
                        self.told.faults.push(Diagnostic {
                            place,
                            ..Diagnostic::error(why)
                        });
                    }
                }
            }
        }
        if !script.is_empty() {
            let extra = Extra {
                path: "run".into(),
                content: format!("#!/bin/sh\n{script}").into_bytes(),
                is_program: true,
            };
            let mut to = Native::default();
            to.set("", "type", &quoted("oneshot"));
            self.add("fix-attrs", INIT_ATTRIBUTES, to, vec![extra]);
            self.stages
                .insert(Stage::Attributes, vec!["fix-attrs".into()]);
        }
    }

    /// Scripts in order; that one fails holds up nobody, as it does by default there.
    pub(super) fn cont_init(&mut self) {
        let dir = "etc/cont-init.d";
        let tree = self.tree;
        let mut made: Vec<String> = Vec::new();
        for script in tree.names(dir) {
            let path = format!("{dir}/{script}");
            let Some(leaf) = tree.file(&path) else {
                continue;
            };
            let name = format!("{INIT}{}", fitted(script.trim_end_matches(".sh")));
            let extra = self.extra(&path, "run", leaf, true);
            let mut to = Native::default();
            to.set("", "type", &quoted("oneshot"));
            match made.last() {
                Some(last) => to.set("", "after", &array([last])),
                None => after(self.standing(&BTreeSet::from([Stage::Attributes])), &mut to),
            }
            to.set("", "workdir", &quoted("/"));
            self.add(&name, &path, to, vec![extra]);
            made.push(name);
        }
        self.stages.insert(Stage::Init, made);
    }

    /// A oneshot that does nothing until it is undone, after everything else has stopped.
    pub(super) fn cont_finish(&mut self) {
        let dir = "etc/cont-finish.d";
        let tree = self.tree;
        let mut extras = Vec::new();
        for script in tree.names(dir) {
            let path = format!("{dir}/{script}");
            if let Some(leaf) = tree.file(&path) {
                extras.push(self.extra(&path, &format!("finish.d/{script}"), leaf, true));
            }
        }
        if extras.is_empty() {
            return;
        }
        if !can_undo() {
            self.remark(dir, "a stop runs no scripts of the container's own", true);
            return;
        }
        let mut to = Native::default();
        to.set("", "command", &array(["true"]));
        to.set("", "type", &quoted("oneshot"));
        let line = "for script in finish.d/*; do \"./$script\"; done";
        to.set("", "down", &quoted(line));
        self.add("cont-finish", dir, to, extras);
        // It is stopped after all who start after it.
        let init = self.stages.entry(Stage::Attributes).or_default();
        init.push("cont-finish".into());
    }

    /// The directories of `services.d`; what is native already stays where it is.
    pub(super) fn legacy_names(&mut self) -> Vec<String> {
        let tree = self.tree;
        let mut names = Vec::new();
        for name in tree.names("etc/services.d") {
            let dir = format!("etc/services.d/{name}");
            let has = |file: &str| tree.file(&format!("{dir}/{file}")).is_some();
            if FOREIGN.iter().any(|file| has(file)) {
                self.told.faults.push(foreign(&tree.root.join(&dir)));
            } else if has("service.toml") {
                self.remark(
                    &dir,
                    "is a native service already, and stays where it is",
                    false,
                );
            } else if has("run") {
                names.push(name);
            } else {
                self.remark(&dir, "has no `run`, and is left out", false);
            }
        }
        names
    }

    /// They start after `cont-init.d` and after all of s6-rc's.
    pub(super) fn legacy(&mut self, name: &str, first: &BTreeSet<String>) {
        let dir = format!("etc/services.d/{name}");
        let mut to = Native::default();
        let mut before: Vec<String> = first.iter().filter(|it| *it != name).cloned().collect();
        let stages = BTreeSet::from([Stage::Attributes, Stage::Init]);
        before.extend(self.standing(&stages));
        after(before, &mut to);
        if self.tree.file(&format!("{dir}/down")).is_some() {
            to.set("", "enabled", "false");
        }
        let mut extras = self.common(&dir, "");
        extras.extend(self.common(&format!("{dir}/log"), "log/"));
        self.add(name, &dir, to, extras);
    }
}

/// The name of a file as part of a service's.
fn fitted(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '-');
    name.chars()
        .map(|c| if fits(c) { c } else { '-' })
        .collect()
}
