//! An image made for s6-overlay as services: the stages of its boot are oneshots in the same graph
//! as everything that the image defines.

pub mod logging;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::diag::Diagnostic;
use crate::service::definition::{Format, Kind, Output, Program, Restart, Service, Stop, When};
use crate::service::environment::Environment;
use crate::service::permit::{Of, Permit};
use crate::service::s6rc::source::Tree;
use crate::service::s6rc::{self, Known, USER_BUNDLES};
use crate::service::scandir;
use crate::service::undo::Down;
use crate::values::Name;

/// The directory that every other of s6-overlay's lies in.
pub const RUN: &str = "/run/s6";
/// Where longruns of s6-rc's live.
pub const SERVICE_DIRS: &str = "/run/s6-rc/servicedirs";
/// Where those of `services.d` live.
pub const LEGACY_DIRS: &str = "/run/s6/legacy-services";
/// What s6-svscan serves.
pub const SCAN_DIR: &str = "/run/service";
/// The number that the container ends with.
pub const EXIT_CODE: &str = "/run/s6-linux-init-container-results/exitcode";

/// The first stage, and the one that CMD waits for.
pub const INIT: &str = "s6-init";
/// The last stage: everything that the boot starts has come up, or has failed.
pub const TOP: &str = "top";
/// `fix-attrs.d`.
const FIX_ATTRS: &str = "fix-attrs";
/// `cont-init.d`; its `down` is `cont-finish.d`.
const CONT_INIT: &str = "legacy-cont-init";
/// Where `services.d` stands in the order.
const LEGACY: &str = "legacy-services";
/// The bundle of the first two, which definitions of users name most.
const BASE: &str = "base";

/// Files by which another init tells itself apart, which has directories of the same names.
pub const FOREIGN: [&str; 6] = [
    "params",
    "respawn",
    "is_ready",
    "interval",
    "min_running_time",
    "shutdown_on_terminate",
];

/// What is said of a directory that holds one of these.
pub fn foreign(dir: &Path) -> Diagnostic {
    let text = format!(
        "`{}` is made for another init, which is not s6",
        dir.display()
    );
    let hint = "images of this kind have `/init` of their own; write a service.toml";
    Diagnostic::error(text).in_file(dir).hint(hint)
}

/// Directories that are always in PATH, the first of them first.
const PATH: [&str; 3] = ["/command", "/usr/bin", "/bin"];

/// Where definitions lie, by the container's environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sources {
    /// Trees of s6-rc's.
    pub trees: Vec<PathBuf>,
    /// Directories of bundles of users.
    pub bundles: Vec<PathBuf>,
    /// `services.d`.
    pub services: PathBuf,
}

impl Sources {
    /// `S6_RUNTIME_PROFILE` and `S6_RUNTIME_BUNDLEDIR` lead elsewhere.
    pub fn of(environment: &Environment) -> Self {
        let profile = variable(environment, "S6_RUNTIME_PROFILE");
        let root = match profile {
            Some(profile) => PathBuf::from("/etc/cont-profile.d").join(profile),
            None => PathBuf::from("/etc"),
        };
        let bundles = variable(environment, "S6_RUNTIME_BUNDLEDIR");
        let bundles = bundles.map_or_else(|| root.join("s6-overlay/user-bundles.d"), PathBuf::from);
        Self {
            trees: vec![root.join("s6-overlay/s6-rc.d")],
            bundles: vec![bundles],
            services: root.join("services.d"),
        }
    }
}

/// A variable that is set to something.
fn variable<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
    let value = environment.get(name)?.to_str()?;
    (!value.is_empty()).then_some(value)
}

/// Whether a variable is a number other than 0.
pub fn is_on(environment: &Environment, name: &str) -> bool {
    variable(environment, name)
        .and_then(|value| value.trim().parse::<i64>().ok())
        .is_some_and(|number| number != 0)
}

/// PATH with what s6-overlay needs in it.
pub fn path(given: Option<&str>) -> String {
    let mut path = given.unwrap_or_default().to_owned();
    for dir in PATH.iter().rev() {
        if !path.split(':').any(|known| known == *dir) {
            let rest = if path.is_empty() { "" } else { ":" };
            path = format!("{dir}{rest}{path}");
        }
    }
    path
}

/// What the stages know of the image.
pub struct Image<'a> {
    /// The container's environment.
    pub environment: &'a Environment,
    /// This program, by which the stages are run.
    pub program: &'a str,
    /// Whether it was made for s6-overlay 2: its scripts and CMD see all variables.
    pub is_second: bool,
}

/// What version 3 brings along and version 2 does not know.
pub const THIRD: &str = "/etc/s6-overlay";

/// What is to run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Graph {
    /// Every service and stage.
    pub services: Vec<Service>,
    /// Every bundle.
    pub bundles: Known,
    /// All that is wrong.
    pub diagnostics: Vec<Diagnostic>,
}

impl Image<'_> {
    /// Before anything of the image is read, because a hook of the user's may write it first.
    ///
    /// # Errors
    /// None of these names is one: a mistake of ours.
    pub fn first(&self) -> Result<Vec<Service>, String> {
        Ok(vec![self.init()?])
    }

    fn init(&self) -> Result<Service, String> {
        let mut init = self.stage(INIT, "init")?;
        init.control = ["rescan", "shutdown", "status", "events"]
            .map(|verb| Permit { verb, of: Of::All })
            .into();
        Ok(init)
    }

    /// Everything, once the first stage has done its work: the tree, and what `services.d` holds,
    /// as it was read. `is_there` tells of a directory whether it is.
    ///
    /// # Errors
    /// None of these names is one: a mistake of ours.
    pub fn all(
        &self,
        tree: &Tree,
        legacy: Vec<Service>,
        timed: &BTreeSet<String>,
        is_there: &dyn Fn(&Path) -> bool,
    ) -> Result<Graph, String> {
        let names = legacy.iter().map(|service| service.name.clone());
        let compiled = s6rc::compile(tree, &known(names)?);
        let mut graph = Graph {
            bundles: compiled.bundles,
            diagnostics: compiled.diagnostics,
            ..Graph::default()
        };
        let init: Name = INIT.parse()?;
        let started = started(&compiled.services, &graph.bundles);
        let first = started.iter().filter(|(_, place)| **place == 0);
        let users = first.map(|(name, _)| name.clone()).collect();
        for mut service in compiled.services {
            let place = started.get(&service.name);
            service.enabled = place.is_some();
            self.as_longrun(&mut service, SERVICE_DIRS, is_there);
            service.needs.push(init.clone());
            if place == Some(&1) {
                service.after.push(LEGACY.parse()?);
            }
            graph.services.push(service);
        }
        for mut service in legacy {
            if service.file_name == "run" {
                let is_timed = timed.contains(service.name.as_str());
                scandir::settle(&mut service, is_timed);
                self.as_longrun(&mut service, LEGACY_DIRS, is_there);
            }
            service.after.push(LEGACY.parse()?);
            service.needs.push(init.clone());
            graph.services.push(service);
        }
        // Whoever asks it at its start finds it there, and it goes when nobody is left to ask.
        let mut desk = scandir::desk(self.program, Path::new(SCAN_DIR), true)?;
        for service in &mut graph.services {
            service.after.push(desk.name.clone());
        }
        desk.needs.push(init.clone());
        graph.services.push(desk);
        graph.services.extend(self.stages(users)?);
        self.log_all(&mut graph.services)?;
        Ok(graph)
    }

    /// CMD sees what a service sees, unless it asks for more by `with-contenv`.
    pub fn prepare(&self, cmd: &mut Service) {
        self.set_environment(cmd);
        if self.is_second {
            cmd.context.env_pass = None;
        }
        if let (Program::Command(words), Some(first)) =
            (&mut cmd.program, variable(self.environment, "S6_CMD_ARG0"))
        {
            words.insert(0, first.to_owned());
        }
        self.log_cmd(cmd);
    }

    fn set_environment(&self, service: &mut Service) {
        let given = variable(self.environment, "PATH");
        let path = path(given).replace('$', "$$");
        service.context.env.insert(0, ("PATH".to_owned(), path));
        if !is_on(self.environment, "S6_KEEP_ENV") {
            service.context.env_pass = Some(Vec::new());
        }
    }

    /// The stages, with the names of what the first bundle of users starts.
    fn stages(&self, users: Vec<Name>) -> Result<Vec<Service>, String> {
        let mut attrs = self.stage(FIX_ATTRS, "fix-attrs")?;
        attrs.needs.push(INIT.parse()?);
        let mut cont_init = self.stage(CONT_INIT, "cont-init")?;
        cont_init.after.push(FIX_ATTRS.parse()?);
        cont_init.needs.push(INIT.parse()?);
        cont_init.down = Some(Box::new(Down {
            command: self.words("cont-finish"),
            timeout: None,
        }));
        let mut legacy = self.stage(LEGACY, "legacy")?;
        legacy.needs.push(INIT.parse()?);
        legacy.after = users;
        legacy.after.push(CONT_INIT.parse()?);
        let mut top = self.stage(TOP, "top")?;
        top.needs.push(INIT.parse()?);
        top.control = ["shutdown", "status", "events"]
            .map(|verb| Permit { verb, of: Of::All })
            .into();
        Ok(vec![self.init()?, attrs, cont_init, legacy, top])
    }

    fn stage(&self, name: &str, word: &str) -> Result<Service, String> {
        Ok(Service {
            kind: Kind::Oneshot,
            dir: PathBuf::from(RUN),
            file_name: "stage",
            restart: Restart {
                when: When::Never,
                ..Restart::default()
            },
            output: Output::Container(Some(Format::Raw)),
            ..Service::new(name.parse()?, self.words(word))
        })
    }

    fn words(&self, word: &str) -> Vec<String> {
        [self.program, "s6", "stage", word]
            .map(str::to_owned)
            .to_vec()
    }

    /// s6's ways: what a process of its gets to see, where it stands, when it is started again.
    fn as_longrun(&self, service: &mut Service, dirs: &str, is_there: &dyn Fn(&Path) -> bool) {
        self.set_environment(service);
        service.context.umask = Some(0o022);
        if let Output::Container(format @ None) = &mut service.output {
            *format = Some(Format::Raw);
        }
        if let (Kind::Longrun, Program::Run(_)) = (service.kind, &service.program) {
            // Where it could not be made, the service stands where it is defined.
            let dir = Path::new(dirs).join(service.name.as_str());
            if let (true, Some(dir)) = (is_there(&dir), dir.to_str()) {
                service.context.workdir = Some(dir.replace('$', "$$"));
            }
        } else {
            service.context.workdir = Some("/".to_owned());
            // One that may not take for ever is not to hang for ever when it is asked to end.
            let kill = service.timeout.and(Stop::default().timeout);
            service.stop = Stop {
                timeout: kill,
                ..Stop::default()
            };
        }
    }
}

/// The stages that are in s6-rc's database, too, with what they stand on.
pub const IN_DATABASE: [(&str, &[&str]); 3] = [
    (FIX_ATTRS, &[]),
    (CONT_INIT, &[FIX_ATTRS]),
    (LEGACY, &[FIX_ATTRS, CONT_INIT]),
];

/// Names of stages that definitions may wait for; `legacy` are the services of `services.d`.
///
/// # Errors
/// None of these names is one: a mistake of ours.
pub fn known(legacy: impl Iterator<Item = Name>) -> Result<Known, String> {
    let own = |name: &str| Ok::<_, String>((name.parse::<Name>()?, vec![name.parse::<Name>()?]));
    let mut known: Known = [own(FIX_ATTRS)?, own(CONT_INIT)?].into_iter().collect();
    known.insert(BASE.parse()?, vec![FIX_ATTRS.parse()?, CONT_INIT.parse()?]);
    let stage: Name = LEGACY.parse()?;
    let all = std::iter::once(stage.clone()).chain(legacy);
    known.insert(stage, all.collect());
    Ok(known)
}

/// What the boot starts: what is in the bundles of users, and what that needs. 0: of the first
/// bundle; 1: only of the second.
pub fn started(services: &[Service], bundles: &Known) -> BTreeMap<Name, usize> {
    let by_name: BTreeMap<&Name, &Service> = services.iter().map(|it| (&it.name, it)).collect();
    let mut started = BTreeMap::new();
    for (place, bundle) in USER_BUNDLES.iter().enumerate() {
        let members = bundles.iter().filter(|(name, _)| name.as_str() == *bundle);
        let mut open: Vec<Name> = members.flat_map(|(_, all)| all.iter().cloned()).collect();
        while let Some(name) = open.pop() {
            let Some(service) = by_name.get(&name) else {
                continue;
            };
            if let Entry::Vacant(entry) = started.entry(name) {
                entry.insert(place);
                open.extend(service.needs.iter().cloned());
            }
        }
    }
    started
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_has_what_is_needed_once() {
        assert_eq!(path(None), "/command:/usr/bin:/bin");
        assert_eq!(path(Some("/bin:/x")), "/command:/usr/bin:/bin:/x");
        assert_eq!(
            path(Some("/command:/bin:/usr/bin")),
            "/command:/bin:/usr/bin"
        );
    }
}
