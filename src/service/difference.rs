//! What has changed between two readings of the service directories. Pure: values in, values out.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::service::definition::{Health, Ready, Service};
use crate::values::Name;
use crate::values::lists;

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
    let mut old: BTreeMap<&Name, &Service> = lists::filled(old.into_iter().map(|s| (&s.name, s)));
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
        health,
        output,
        control,
        stop,
        // Looked at when they are needed, and not before: where it is defined, what it stands on,
        // and what follows its death, a wish to stop it, or to reload it.
        dir: _,
        file_name: _,
        finish: _,
        down: _,
        needs: _,
        after: _,
        main: _,
        enabled: _,
        restart: _,
        schedule: _,
        reload: _,
        timeout: _,
    } = old;
    // How often it is asked, and how long that may take, is looked at when it is asked.
    let probe = |ready: &Option<Box<Ready>>| ready.as_ref().map(|ready| ready.probe.clone());
    // But a process that gives signs of life was told how often when it was started.
    let check = |health: &Option<Box<Health>>| {
        health.as_ref().map(|health| {
            let told = (!health.probe.is_asked()).then_some(health.interval);
            (health.probe.clone(), told)
        })
    };
    let is_same_process = *name == new.name
        && *kind == new.kind
        && *program == new.program
        && *context == new.context
        && probe(ready) == probe(&new.ready)
        && check(health) == check(&new.health)
        && *output == new.output
        && *control == new.control
        // A logger that is asked by the end of its input has another input.
        && std::mem::discriminant(&stop.by) == std::mem::discriminant(&new.stop.by);
    Some(if is_same_process {
        Depth::Treatment
    } else {
        Depth::Process
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::definition::{Format, Kind, Output, Probe, Program, Reload, StopBy, Then};
    use crate::values::Signal;
    use std::time::Duration;

    fn service(name: &str) -> Service {
        Service::new(name.parse().unwrap(), vec!["true".into()])
    }

    fn words(old: &[Service], new: Vec<Service>) -> Vec<String> {
        let word = |difference: Difference| match difference {
            Difference::New(service) => format!("{} new", service.name),
            Difference::Gone(name) => format!("{name} gone"),
            Difference::Changed(service) => format!("{} changed", service.name),
            Difference::Updated(service) => format!("{} updated", service.name),
        };
        differences(old, new).into_iter().map(word).collect()
    }

    #[test]
    fn what_is_equal_is_no_difference() {
        let old = ["a", "b", "c"].map(service);
        assert!(words(&old, old.to_vec()).is_empty());
        let mut new = ["d", "b", "a"].map(service).to_vec();
        new[1].main = true;
        new[2].kind = Kind::Oneshot;
        let found = words(&old, new);
        assert_eq!(found, ["a changed", "b updated", "c gone", "d new"]);
        assert_eq!(words(&old[..1], Vec::new()), ["a gone"]);
        assert_eq!(words(&[], vec![service("a")]), ["a new"]);
    }

    #[test]
    fn a_process_is_replaced_only_if_it_would_be_another_one() {
        type Edit = fn(&mut Service);
        let updated: [(&str, Edit); 10] = [
            ("needs", |s| s.needs.push("db".parse().unwrap())),
            ("after", |s| s.after.push("db".parse().unwrap())),
            ("enabled", |s| s.enabled = false),
            ("main", |s| s.main = true),
            ("restart", |s| s.restart.delay = Duration::from_secs(1)),
            ("stop timeout", |s| s.stop.timeout = None),
            ("stop signal", |s| s.stop.by = StopBy::Signal(Signal::INT)),
            ("reload", |s| s.reload = Some(Reload::Signal(Signal::HUP))),
            ("retries", |s| s.health.as_mut().unwrap().retries = 9),
            ("within", |s| s.ready.as_mut().unwrap().within = None),
        ];
        let changed: [(&str, Edit); 8] = [
            ("command", |s| {
                s.program = Program::Run(Box::new("run".into()));
            }),
            ("type", |s| s.kind = Kind::Oneshot),
            ("umask", |s| s.context.umask = Some(0o22)),
            ("env", |s| s.context.env.push(("A".into(), "b".into()))),
            ("probe", |s| {
                s.ready.as_mut().unwrap().probe = Probe::File("/x".into());
            }),
            ("format", |s| {
                s.output = Output::Container(Some(Format::Raw));
            }),
            // It was told WATCHDOG_USEC.
            ("watchdog", |s| {
                s.health.as_mut().unwrap().interval = Duration::from_secs(9);
            }),
            ("asked by", |s| s.stop.by = StopBy::EndOfInput),
        ];
        let mut old = service("web");
        old.ready = Some(Box::new(Ready {
            probe: Probe::Fd(3),
            interval: Duration::from_secs(1),
            within: Some(Duration::from_secs(9)),
        }));
        old.health = Some(Box::new(Health {
            probe: Probe::Notify,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(1),
            retries: 3,
            start_period: Duration::ZERO,
            then: Then::Restart,
        }));
        let after = |edit: Edit| {
            let mut new = old.clone();
            edit(&mut new);
            depth(&old, &new)
        };
        for (what, edit) in updated {
            assert_eq!(after(edit), Some(Depth::Treatment), "{what}");
        }
        for (what, edit) in changed {
            assert_eq!(after(edit), Some(Depth::Process), "{what}");
        }
    }
}
