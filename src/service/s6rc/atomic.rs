//! One oneshot or longrun of s6-rc's as a service.

use std::ffi::OsString;
use std::time::Duration;

use crate::diag::{Diagnostic, Spot};
use crate::service::definition::{Kind, Output, Program, Service, StopBy, When};
use crate::service::s6rc::bundles::Bundles;
use crate::service::s6rc::listed::{self, Wanted};
use crate::service::s6rc::source::Entry;
use crate::service::s6rc::{self, Definition, words};
use crate::service::scandir;
use crate::service::scripts;
use crate::service::source::{Directory, File, Script, interpreter_words};
use crate::service::undo::Down;
use crate::values::Name;

/// The service, as far as it can be made; what is wrong with it is told.
pub(super) fn service(
    definition: &Definition<'_>,
    bundles: &Bundles<'_>,
    faults: &mut Vec<Diagnostic>,
) -> Option<Service> {
    let mut service = match definition.kind {
        s6rc::Kind::Bundle => return None,
        s6rc::Kind::Oneshot => oneshot(definition, faults),
        s6rc::Kind::Longrun => longrun(definition, bundles, faults),
    };
    service.dir.clone_from(&definition.entry.directory.path);
    let mut needs = bundles.services(&definition.wanted, faults);
    needs.retain(|name| *name != service.name);
    // A producer does not start before whoever reads from it, and is stopped before it.
    let consumer = service.logger().filter(|it| !needs.contains(it)).cloned();
    needs.extend(consumer);
    service.needs = needs;
    Some(service)
}

fn oneshot(definition: &Definition<'_>, faults: &mut Vec<Diagnostic>) -> Service {
    let entry = definition.entry;
    let path = entry.directory.path.join("up");
    if entry.up == File::Absent {
        let fault = Diagnostic::error(format!("the oneshot `{}` has no `up`", definition.name));
        let hint = "`up` holds one command line; an empty one does nothing";
        faults.push(fault.hint(hint).in_file(&entry.directory.path));
    }
    let up = command(&entry.up, &path, faults).unwrap_or_default();
    let mut service = Service::new(definition.name.clone(), nothing_else(up));
    service.file_name = "up";
    service.kind = Kind::Oneshot;
    service.restart.when = When::Never;
    service.context.env = vec![("RC_NAME".to_owned(), definition.name.to_string())];
    service.timeout = timeout(entry, "timeout-up", &entry.timeout_up, faults);
    let down = command(&entry.down, &entry.directory.path.join("down"), faults);
    let timeout = timeout(entry, "timeout-down", &entry.timeout_down, faults);
    service.down = down
        .filter(|words| !words.is_empty())
        .map(|command| Box::new(Down { command, timeout }));
    service
}

/// s6-rc runs nothing for an empty `up`, and that is a success.
fn nothing_else(words: Vec<String>) -> Vec<String> {
    if words.is_empty() {
        vec!["true".to_owned()]
    } else {
        words
    }
}

/// The words of `up` or `down`, which is one command line of execline, and no script.
fn command(
    file: &File,
    path: &std::path::Path,
    faults: &mut Vec<Diagnostic>,
) -> Option<Vec<String>> {
    let name = path.file_name().unwrap_or_default().display();
    let bytes = match file {
        File::Absent => return None,
        File::Content(bytes) => bytes,
        File::Unreadable(why) => {
            let fault = Diagnostic::error(format!("cannot use `{name}`: {why}"));
            faults.push(fault.in_file(path));
            return None;
        }
    };
    let text = String::from_utf8_lossy(bytes);
    let first = text.lines().next().unwrap_or_default();
    let spot = Spot::of(&text, 0..first.len().max(1));
    let words = match words::words(bytes) {
        Ok(words) => words,
        Err(fault) => {
            let fault = Diagnostic::error(format!("`{name}`: {}", fault.text()));
            let hint = "it is one command line of execline, not a script of a shell: \
                        name the script here";
            faults.push(fault.hint(hint).at(path, spot));
            return None;
        }
    };
    let words: Result<Vec<String>, _> = words.into_iter().map(String::from_utf8).collect();
    if words.is_err() {
        let fault = Diagnostic::error(format!("`{name}` is not UTF-8"));
        faults.push(fault.at(path, spot));
    }
    words.ok()
}

fn longrun(
    definition: &Definition<'_>,
    bundles: &Bundles<'_>,
    faults: &mut Vec<Diagnostic>,
) -> Service {
    let entry = definition.entry;
    let mut service = Service::new(definition.name.clone(), Vec::new());
    service.file_name = "run";
    if entry.directory.run == Script::Absent {
        let fault = Diagnostic::error(format!("the longrun `{}` has no `run`", definition.name));
        faults.push(fault.in_file(&entry.directory.path));
    }
    scripts::apply(&as_compiled(&entry.directory), &mut service, faults);
    if let Program::Run(file) = &mut service.program {
        file.by = interpreter_of(&entry.directory.run);
    }
    if let Some(finish) = &mut service.finish {
        finish.file.by = interpreter_of(&entry.directory.finish);
    }
    scandir::settle(&mut service, entry.directory.timeout_kill != File::Absent);
    if let Some(ready) = &mut service.ready {
        ready.within = timeout(entry, "timeout-up", &entry.timeout_up, faults);
    }
    let consumer = one_of(definition, bundles, faults);
    service.output = consumer.map_or(service.output, Output::Logger);
    if !producers(entry, &mut Vec::new()).is_empty() {
        check_producers(definition, bundles, faults);
        service.stop.by = StopBy::EndOfInput;
    }
    service
}

/// What s6-rc-compile makes of a longrun's directory: scripts of any mode can be run, and neither
/// `down` nor `log` means anything.
fn as_compiled(found: &Directory) -> Directory {
    let runnable = |script: &Script| match script {
        Script::Present {
            head, interpreter, ..
        } => Script::Present {
            executable: true,
            head: head.clone(),
            interpreter: *interpreter,
        },
        other @ (Script::Absent | Script::Unreadable(_)) => other.clone(),
    };
    Directory {
        run: runnable(&found.run),
        finish: runnable(&found.finish),
        definition: File::Absent,
        down: false,
        log: None,
        ..found.clone()
    }
}

/// What has to execute this one, if it has no run bit.
fn interpreter_of(script: &Script) -> Vec<OsString> {
    match script {
        Script::Present {
            executable: false,
            head: Some(head),
            ..
        } => interpreter_words(head).unwrap_or_default(),
        Script::Present { .. } | Script::Absent | Script::Unreadable(_) => Vec::new(),
    }
}

fn producers(entry: &Entry, faults: &mut Vec<Diagnostic>) -> Vec<Wanted> {
    let path = entry.directory.path.join("consumer-for");
    listed::lines(&entry.consumer_for, &path, faults)
}

fn consumers(entry: &Entry, faults: &mut Vec<Diagnostic>) -> Vec<Wanted> {
    let path = entry.directory.path.join("producer-for");
    listed::lines(&entry.producer_for, &path, faults)
}

/// The one that reads what this one writes, if there is one and it says so too.
fn one_of(
    definition: &Definition<'_>,
    bundles: &Bundles<'_>,
    faults: &mut Vec<Diagnostic>,
) -> Option<Name> {
    let mut named = consumers(definition.entry, faults);
    let wanted = named.pop()?;
    let other = bundles.longrun(&wanted.name);
    let agrees = other.is_some_and(|other| {
        let named = producers(other.entry, &mut Vec::new());
        named.iter().any(|it| it.name == definition.name)
    });
    if !named.is_empty() {
        let text = format!("`{}` writes to one consumer only", definition.name);
        faults.push(Diagnostic::error(text).in_file(&wanted.place.path));
    }
    if !agrees {
        faults.push(at_odds(&definition.name, &wanted, "consumer-for"));
    }
    agrees.then_some(wanted.name)
}

fn check_producers(
    definition: &Definition<'_>,
    bundles: &Bundles<'_>,
    faults: &mut Vec<Diagnostic>,
) {
    for wanted in producers(definition.entry, faults) {
        let agrees = bundles.longrun(&wanted.name).is_some_and(|other| {
            let named = consumers(other.entry, &mut Vec::new());
            named.iter().any(|it| it.name == definition.name)
        });
        if !agrees {
            faults.push(at_odds(&definition.name, &wanted, "producer-for"));
        }
    }
}

fn at_odds(name: &Name, wanted: &Wanted, file: &str) -> Diagnostic {
    let other = &wanted.name;
    let text = format!("`{other}` does not name `{name}` in its `{file}`");
    let fault = Diagnostic::error(text).hint("both longruns of a pipe name each other");
    Diagnostic {
        place: Some(wanted.place.clone()),
        ..fault
    }
}

/// Milliseconds; none, or 0, is for ever.
fn timeout(
    entry: &Entry,
    name: &str,
    file: &File,
    faults: &mut Vec<Diagnostic>,
) -> Option<Duration> {
    scripts::milliseconds(entry.directory.path.join(name), file, faults)
}
