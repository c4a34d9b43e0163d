//! What s6-rc's compiler makes of an image's tree, as far as an import needs it: who depends on
//! whom, who starts at boot, and who logs for whom.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::Diagnostic;
use crate::service::definition::{Kind, Service};
use crate::service::import::defined::definitions;
use crate::service::import::tree::Tree;
use crate::service::overlay;
use crate::service::s6rc;
use crate::values::Name;

/// Where s6-overlay v3 has them.
pub(super) const DIR: &str = "etc/s6-overlay/s6-rc.d";

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

/// What one waits for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Waits {
    /// Services.
    pub(super) needs: BTreeSet<String>,
    /// Stages.
    pub(super) stages: BTreeSet<Stage>,
}

/// All oneshots and longruns.
pub(super) struct Graph {
    services: BTreeMap<String, Service>,
    /// Those that start at boot: 0 before `services.d`, 1 behind it.
    started: BTreeMap<String, usize>,
}

impl Graph {
    /// Compiles the tree.
    pub(super) fn read(tree: &Tree, faults: &mut Vec<Diagnostic>) -> Self {
        // What is in `services.d` is not asked for by its name.
        let known = overlay::known(std::iter::empty()).unwrap_or_else(|why| {
            faults.push(Diagnostic::error(why));
            s6rc::Known::new()
        });
        let compiled = s6rc::compile(&definitions(tree), &known);
        faults.extend(compiled.diagnostics);
        let started = overlay::started(&compiled.services, &compiled.bundles).into_iter();
        let services = compiled.services.into_iter();
        Self {
            services: services.map(|it| (it.name.to_string(), it)).collect(),
            started: started.map(|(name, at)| (name.to_string(), at)).collect(),
        }
    }

    /// Its services with their kinds.
    pub(super) fn services(&self) -> impl Iterator<Item = (&str, Kind)> {
        let all = self.services.values();
        all.map(|service| (service.name.as_str(), service.kind))
    }

    /// Whether the boot starts it.
    pub(super) fn is_started(&self, name: &str) -> bool {
        self.started.contains_key(name)
    }

    /// Who starts before `services.d`.
    pub(super) fn first(&self) -> BTreeSet<String> {
        let first = self.started.iter().filter(|(_, place)| **place == 0);
        first.map(|(name, _)| name.clone()).collect()
    }

    /// What a service waits for.
    pub(super) fn waits(&self, name: &str) -> Waits {
        let mut waits = Waits::default();
        let Some(service) = self.services.get(name) else {
            return waits;
        };
        for need in &service.needs {
            match stage(need.as_str()) {
                Some(stages) => waits.stages.extend(stages),
                // Its output has a place of its own.
                None if service.logger() == Some(need) => {}
                None => {
                    waits.needs.insert(need.to_string());
                }
            }
        }
        waits
    }

    /// The pipelines of two: the logger of each service that is the only one to write to it.
    pub(super) fn loggers(&self) -> BTreeMap<String, String> {
        let writers = |to: &Name| {
            let all = self.services.values();
            all.filter(|service| service.logger() == Some(to)).count()
        };
        let mut loggers = BTreeMap::new();
        for (name, service) in &self.services {
            let Some(logger) = service.logger() else {
                continue;
            };
            let ends = self
                .services
                .get(logger.as_str())
                .is_some_and(|it| it.logger().is_none());
            if ends && writers(logger) == 1 && writers(&service.name) == 0 {
                loggers.insert(name.clone(), logger.to_string());
            }
        }
        loggers
    }
}

/// What a name of s6-overlay's own stands for.
fn stage(name: &str) -> Option<&'static [Stage]> {
    match name {
        "fix-attrs" => Some(&[Stage::Attributes]),
        "legacy-cont-init" => Some(&[Stage::Attributes, Stage::Init]),
        "legacy-services" => Some(&[Stage::Attributes, Stage::Init, Stage::Services]),
        _other => None,
    }
}
