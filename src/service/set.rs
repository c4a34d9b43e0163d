//! All service directories → all services, or all that is wrong with them.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use crate::diag::{Diagnostic, Place, Severity};
use crate::service::definition::Service;
use crate::service::draft::Draft;
use crate::service::environment::Environment;
use crate::service::order;
use crate::service::parse::{self, World};
use crate::service::program::{Seen, Sought};
use crate::service::source::Directory;
use crate::values::Name;
use crate::values::lists;

/// What the directories define.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Loaded {
    /// Sorted by name. Not to be used if there are errors.
    pub services: Vec<Service>,
    /// Faults of files in the order of names and lines, then those of the set.
    pub diagnostics: Vec<Diagnostic>,
    /// Where a `stop.timeout` is set.
    pub(super) stop_timeouts: BTreeMap<Name, Place>,
}

impl Loaded {
    /// Whether anything stops the boot.
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|fault| fault.severity == Severity::Error)
    }
}

/// Reads what was found; what is given away is freed as soon as it is read. `container` decides
/// `enabled`; `user_known` says whether a user (a name or `uid[:gid]`) exists, or why not; `zone`
/// gives the file of a time zone.
pub fn load(
    found: impl IntoIterator<Item = impl Borrow<Directory>>,
    container: &Environment,
    user_known: &dyn Fn(&str) -> Result<(), String>,
    zone: &dyn Fn(&str) -> Result<Vec<u8>, String>,
) -> Loaded {
    inspect(found, container, user_known, zone, &|_| Seen::Runs)
}

/// Services that were defined in other ways and are to run together: what only the whole set shows.
pub fn joined(services: Vec<Service>) -> Loaded {
    let mut drafts: Vec<Draft> = services.into_iter().map(Draft::plain).collect();
    lists::sort(&mut drafts, |a, b| a.service.name.cmp(&b.service.name));
    let diagnostics = order::check(&drafts);
    Loaded {
        services: drafts.into_iter().map(|draft| draft.service).collect(),
        diagnostics,
        stop_timeouts: BTreeMap::new(),
    }
}

/// The same, and looks for the programs that are to be started: `program` says what is to be seen
/// of one.
pub fn inspect(
    found: impl IntoIterator<Item = impl Borrow<Directory>>,
    container: &Environment,
    user_known: &dyn Fn(&str) -> Result<(), String>,
    zone: &dyn Fn(&str) -> Result<Vec<u8>, String>,
    program: &dyn Fn(&Sought) -> Seen,
) -> Loaded {
    let world = World {
        container,
        user_known,
        zone,
        program,
    };
    let mut diagnostics = Vec::new();
    let mut drafts: Vec<Draft> = Vec::new();
    for directory in found {
        drafts.extend(parse::directory(
            directory.borrow(),
            &world,
            &mut diagnostics,
        ));
    }
    lists::sort(&mut drafts, |a, b| a.service.name.cmp(&b.service.name));
    diagnostics.extend(order::check(&drafts));
    let stop_timeouts = drafts.iter().filter_map(|draft| {
        let place = draft.places.stop_timeout.clone()?;
        Some((draft.service.name.clone(), place))
    });
    let stop_timeouts = lists::filled(stop_timeouts);
    let mut services: Vec<Service> = drafts.into_iter().map(|draft| draft.service).collect();
    // They may stand in the drafts' own memory, which is twice as large.
    services.shrink_to_fit();
    Loaded {
        services,
        diagnostics,
        stop_timeouts,
    }
}
