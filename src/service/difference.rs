//! What has changed between two readings of the service directories. Pure: values in, values out.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::service::definition::{Ready, Service};
use crate::values::Name;

/// One service of which the new reading says something else than the old one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Difference {
    /// It was not there.
    New(Rc<Service>),
    /// It is there no more.
    Gone(Name),
    /// Its process would be another one: it has to be restarted.
    Changed(Rc<Service>),
    /// It is to be treated in another way, which its process need not know.
    Updated(Rc<Service>),
}

/// How deep a change of a definition goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// The new definition holds for a process that was started by the old one.
    Treatment,
    /// It does not.
    Process,
}

/// What leads from one set of services to the other, in the order of names. Definitions that are
/// equal are no difference, whatever their files look like.
pub fn differences<'a>(
    old: impl IntoIterator<Item = &'a Service>,
    new: impl IntoIterator<Item = Service>,
) -> Vec<Difference> {
    let mut old: BTreeMap<&Name, &Service> = old.into_iter().map(|s| (&s.name, s)).collect();
    let mut found = BTreeMap::new();
    for service in new {
        let name = service.name.clone();
        let difference = match old.remove(&name).map(|old| depth(old, &service)) {
            None => Difference::New(Rc::new(service)),
            Some(None) => continue,
            Some(Some(Depth::Process)) => Difference::Changed(Rc::new(service)),
            Some(Some(Depth::Treatment)) => Difference::Updated(Rc::new(service)),
        };
        found.insert(name, difference);
    }
    let gone = old.into_keys().cloned();
    found.extend(gone.map(|name| (name.clone(), Difference::Gone(name))));
    found.into_values().collect()
}

/// How deep the change from one definition to the other goes; `None`: they are equal.
pub fn depth(old: &Service, new: &Service) -> Option<Depth> {
    if old == new {
        return None;
    }
    // Every field is named, so that a new one has to be judged here.
    let Service {
        name,
        kind,
        program,
        context,
        ready,
        output,
        stop,
        // Looked at when they are needed, and not before: where it is defined, what it stands on,
        // and what follows its death, a wish to stop it, or to reload it.
        dir: _,
        file_name: _,
        finish: _,
        needs: _,
        after: _,
        main: _,
        enabled: _,
        restart: _,
        reload: _,
    } = old;
    let is_same_process = *name == new.name
        && *kind == new.kind
        && *program == new.program
        && *context == new.context
        && is_same_probe(ready.as_deref(), new.ready.as_deref())
        && *output == new.output
        // A logger that is asked by the end of its input has another input.
        && std::mem::discriminant(&stop.by) == std::mem::discriminant(&new.stop.by);
    Some(if is_same_process {
        Depth::Treatment
    } else {
        Depth::Process
    })
}

/// Whether a start that is under way may go on: how often it is asked does not matter.
fn is_same_probe(old: Option<&Ready>, new: Option<&Ready>) -> bool {
    old.map(|ready| &ready.probe) == new.map(|ready| &ready.probe)
}
