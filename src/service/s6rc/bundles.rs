//! What each name stands for: a service for itself, a bundle for all that is in it.

use std::collections::BTreeMap;

use crate::diag::Diagnostic;
use crate::service::s6rc::listed::{self, Wanted};
use crate::service::s6rc::{Definition, Kind, Known};
use crate::service::source::File;
use crate::values::Name;

/// Bundles within bundles deeper than this are a mistake.
const DEPTH_MAX: usize = 64;

/// Every name that may be used.
pub(super) struct Bundles<'a> {
    definitions: BTreeMap<&'a Name, &'a Definition<'a>>,
    /// Bundles that nobody wrote: pipelines by their names.
    pipelines: BTreeMap<Name, Vec<Name>>,
    known: &'a Known,
}

impl<'a> Bundles<'a> {
    /// Takes in all definitions; tells of pipelines that do not fit.
    pub(super) fn new(
        definitions: &'a [Definition<'a>],
        known: &'a Known,
        faults: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut bundles = Self {
            definitions: BTreeMap::new(),
            pipelines: BTreeMap::new(),
            known,
        };
        for definition in definitions {
            if known.contains_key(&definition.name) && definition.kind != Kind::Bundle {
                let fault = format!("`{}` is the name of a stage of the boot", definition.name);
                let fault = Diagnostic::error(fault).hint("give it another name");
                faults.push(fault.in_file(&definition.entry.directory.path));
            }
            bundles.definitions.insert(&definition.name, definition);
        }
        for definition in definitions {
            bundles.pipeline(definition, faults);
        }
        bundles
    }

    /// A pipeline's last consumer may give the whole a name.
    fn pipeline(&mut self, last: &Definition<'_>, faults: &mut Vec<Diagnostic>) {
        let path = last.entry.directory.path.join("pipeline-name");
        let Some(named) = listed::lines(&last.entry.pipeline_name, &path, faults).pop() else {
            return;
        };
        let fault = |text: String| Diagnostic {
            place: Some(named.place.clone()),
            ..Diagnostic::error(text)
        };
        let is_last = last.entry.consumer_for != File::Absent
            && last.entry.producer_for == File::Absent
            && last.kind == Kind::Longrun;
        if !is_last {
            let text = format!("`{}` is not the last of a pipeline", last.name);
            faults.push(fault(text).hint("`pipeline-name` stands at its last consumer"));
        } else if self.definitions.contains_key(&named.name)
            || self.pipelines.contains_key(&named.name)
        {
            faults.push(fault(format!("`{}` is defined already", named.name)));
        } else {
            let mut all = vec![last.name.clone()];
            let mut at = 0;
            while let Some(consumer) = all.get(at).cloned() {
                at += 1;
                let producers = self.definitions.get(&consumer).map(|it| it.entry);
                let path = last.entry.directory.path.join("consumer-for");
                let producers = producers.map_or_else(Vec::new, |entry| {
                    listed::lines(&entry.consumer_for, &path, &mut Vec::new())
                });
                for producer in producers {
                    if !all.contains(&producer.name) {
                        all.push(producer.name);
                    }
                }
            }
            self.pipelines.insert(named.name, all);
        }
    }

    /// The definition of this name, if it is a longrun: only those have pipes.
    pub(super) fn longrun(&self, name: &Name) -> Option<&Definition<'a>> {
        let found = self.definitions.get(name).copied();
        found.filter(|definition| definition.kind == Kind::Longrun)
    }

    /// The services that these names stand for, each once, in the order of their first mention.
    pub(super) fn services(&self, wanted: &[Wanted], faults: &mut Vec<Diagnostic>) -> Vec<Name> {
        let mut all = Vec::new();
        for one in wanted {
            self.add(one, &mut Vec::new(), &mut all, faults);
        }
        all
    }

    /// Every bundle with what it stands for.
    pub(super) fn expanded(&self, faults: &mut Vec<Diagnostic>) -> Known {
        let mut expanded = self.known.clone();
        expanded.extend(self.pipelines.clone());
        for (name, definition) in &self.definitions {
            if definition.kind == Kind::Bundle {
                let mut all = Vec::new();
                for one in &definition.wanted {
                    self.add(one, &mut vec![(*name).clone()], &mut all, faults);
                }
                // s6-overlay's own bundles are added to, never taken away from.
                let all = all.into_iter();
                let known = self.known.get(*name).into_iter().flatten().cloned();
                expanded.insert((*name).clone(), known.chain(all).collect());
            }
        }
        expanded
    }

    /// Adds what a name stands for. `inside` are the bundles that it was found in.
    fn add(
        &self,
        wanted: &Wanted,
        inside: &mut Vec<Name>,
        all: &mut Vec<Name>,
        faults: &mut Vec<Diagnostic>,
    ) {
        let name = &wanted.name;
        let mut complain = |fault: Diagnostic| {
            // A bundle is asked for by many: it is wrong once.
            let fault = Diagnostic {
                place: Some(wanted.place.clone()),
                ..fault
            };
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        };
        if inside.contains(name) || inside.len() >= DEPTH_MAX {
            // One circle is found from each of its bundles, and told from the first of them.
            if inside.first() == Some(name) && inside.iter().all(|it| it >= name) {
                let outer: Vec<&str> = inside.iter().map(Name::as_str).collect();
                let text = format!("the bundle `{name}` holds itself: {}", outer.join(" > "));
                complain(Diagnostic::error(text));
            }
            return;
        }
        let members = self.known.get(name).or_else(|| self.pipelines.get(name));
        match self.definitions.get(name) {
            Some(definition) if definition.kind == Kind::Bundle => {
                inside.push(name.clone());
                for one in &definition.wanted {
                    self.add(one, inside, all, faults);
                }
                inside.pop();
            }
            Some(_) => push(all, name),
            None if members.is_some() => {}
            None => {
                let names = self.definitions.keys().map(|name| name.as_str());
                let names = names.chain(self.known.keys().map(Name::as_str));
                let fault = Diagnostic::error(format!("`{name}` is not defined"));
                return complain(fault.suggest(name.as_str(), names));
            }
        }
        members.into_iter().flatten().for_each(|it| push(all, it));
    }
}

fn push(all: &mut Vec<Name>, name: &Name) {
    if !all.contains(name) {
        all.push(name.clone());
    }
}
