//! One service directory → services (itself, and its logger), with every fault at its place.

use std::path::Path;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use crate::diag::{Diagnostic, Spot};
use crate::service::context::{self, template};
use crate::service::definition::{Kind, Output, Program, Service, StopBy, When};
use crate::service::draft::{Draft, Places};
use crate::service::environment::Environment;
use crate::service::faults::Faults;
use crate::service::fields;
use crate::service::program::{Seen, Sought};
use crate::service::source::{Directory, File, Script};
use crate::service::table::Table;
use crate::service::undo::Down;
use crate::service::{foresight, form, names, permit, policy, probes, program, scripts, timing};
use crate::values::Name;

/// What is known from outside the files.
pub(super) struct World<'a> {
    /// The container's environment.
    pub(super) container: &'a Environment,
    /// Whether a user (as `user` has it, expanded) is known; else why not.
    pub(super) user_known: &'a dyn Fn(&str) -> Result<(), String>,
    /// The file of a zone in the zoneinfo database; else why there is none.
    pub(super) zone: &'a dyn Fn(&str) -> Result<Vec<u8>, String>,
    /// What is to be seen of a program.
    pub(super) program: &'a dyn Fn(&Sought) -> Seen,
}

/// Reads a directory. With faults, what it returns is as near as can be, so that the checks of the
/// set do not blame others for it.
pub(super) fn directory(
    found: &Directory,
    world: &World<'_>,
    faults: &mut Vec<Diagnostic>,
) -> Vec<Draft> {
    let name = match found.name.to_string_lossy().parse::<Name>() {
        Ok(name) => name,
        Err(why) => {
            let fault = Diagnostic::error(format!("cannot use this directory: {why}"))
                .hint("a service is named by 1 to 64 of `A-Za-z0-9._@-`");
            faults.push(fault.in_file(&found.path));
            return Vec::new();
        }
    };
    let mut service = Service::new(name, Vec::new());
    service.dir.clone_from(&found.path);
    service.file_name = "run";
    scripts::apply(found, &mut service, faults);
    let mut draft = match (&found.definition, &found.run) {
        (File::Absent, Script::Absent) => {
            let fault = Diagnostic::error(format!("`{}` has nothing to start", service.name))
                .hint("put a `service.toml` or an executable `run` there");
            faults.push(fault.in_file(&found.path));
            Draft::plain(service)
        }
        (File::Absent, _) => Draft::plain(service),
        (definition, _) => {
            let path = found.path.join("service.toml");
            service.file_name = "service.toml";
            match text(definition, &path) {
                Ok(text) => parsed(text, &path, service, world, faults),
                Err(fault) => {
                    faults.push(fault);
                    Draft::plain(service)
                }
            }
        }
    };
    program::run(&draft.service, world, faults);
    let mut drafts = Vec::new();
    if let Some(log) = &found.log {
        drafts.extend(logger(log, &mut draft, faults));
    }
    drafts.push(draft);
    drafts
}

/// s6's `log/`: a service of its own whose input is the output of this one.
fn logger(found: &Directory, producer: &mut Draft, faults: &mut Vec<Diagnostic>) -> Option<Draft> {
    if found.definition != File::Absent {
        let fault = Diagnostic::error("a logger is defined by its `run`, not by a service.toml")
            .hint("take the file away, or make the logger a service of its own");
        faults.push(fault.in_file(found.path.join("service.toml")));
    }
    if found.run == Script::Absent {
        let fault = Diagnostic::error("`log` has no `run`")
            .hint("put an executable `log/run` there, or take `log` away");
        faults.push(fault.in_file(&found.path));
        return None;
    }
    let mut service = Service::new(producer.service.name.logger(), Vec::new());
    service.dir.clone_from(&found.path);
    service.file_name = "run";
    scripts::apply(found, &mut service, faults);
    // It reads what is left and then ends by itself, so that no last line is lost.
    service.stop.by = StopBy::EndOfInput;
    // A logger that waits for a producer that never starts would keep the container alive.
    service.enabled &= producer.service.enabled;
    if let Some(place) = producer.places.format.take() {
        let fault = Diagnostic::warning("`log.format` has no effect on what goes to `log/run`")
            .hint("take one of them away");
        faults.push(Diagnostic {
            place: Some(place),
            ..fault
        });
    }
    producer.service.after.push(service.name.clone());
    producer.service.output = Output::Logger(service.name.clone());
    Some(Draft::plain(service))
}

/// The text of a `service.toml`.
fn text<'a>(definition: &'a File, path: &Path) -> Result<&'a str, Diagnostic> {
    let bytes = match definition {
        File::Absent => return Ok(""),
        File::Unreadable(why) => {
            let fault = Diagnostic::error(format!("cannot use `service.toml`: {why}"));
            return Err(fault.in_file(path));
        }
        File::Content(bytes) => bytes,
    };
    std::str::from_utf8(bytes).map_err(|bad| {
        // Everything before the fault is UTF-8, so that it is as long in the repaired text.
        let at = bad.valid_up_to();
        let repaired = String::from_utf8_lossy(bytes);
        let spot = Spot::of(&repaired, at..at + '\u{fffd}'.len_utf8());
        Diagnostic::error("the file is not UTF-8").at(path, spot)
    })
}

/// Reads the text of a `service.toml`: its form, then what it says.
fn parsed(
    text: &str,
    path: &Path,
    base: Service,
    world: &World<'_>,
    faults: &mut Vec<Diagnostic>,
) -> Draft {
    let (document, form) = form::read(text, path);
    let mut said = Faults::new(path, text);
    let mut draft = definition(document.get_ref(), base, world, &mut said);
    // What stands before the first fault of form was read as it was meant; the rest was guessed.
    let line = |fault: &Diagnostic| Some(fault.place.as_ref()?.spot.as_ref()?.line);
    let first = form.first().and_then(line);
    let sure = |line: Option<usize>| match (first, line) {
        (None, _) => true,
        (Some(first), Some(line)) => line < first,
        (Some(_), None) => false,
    };
    let places = &mut draft.places;
    if first.is_some() {
        let line_of = |at: usize| {
            text.get(..at)
                .map(|before| before.matches('\n').count() + 1)
        };
        places.needs.retain(|(_, span)| sure(line_of(span.start)));
        places.after.retain(|(_, span)| sure(line_of(span.start)));
        places.with.retain(|(_, span)| sure(line_of(span.start)));
        places.control.retain(|(_, span)| sure(line_of(span.start)));
    }
    let lists = [&places.needs, &places.after, &places.with, &places.control];
    if lists.iter().any(|list| !list.is_empty()) {
        path.clone_into(&mut places.path);
        text.clone_into(&mut places.source);
    }
    let said = said.sorted().into_iter();
    faults.extend(said.filter(|fault| sure(line(fault))));
    faults.extend(form);
    draft
}

/// What the tables of a `service.toml` say.
fn definition(
    items: &DeTable<'_>,
    base: Service,
    world: &World<'_>,
    faults: &mut Faults<'_>,
) -> Draft {
    let top = Table::open(fields::SERVICE, "", items, faults);
    let program = program(&top, &base, faults);
    let kind = kind(&top, faults);
    let (needs, after) = (
        names::read(top.get("needs"), "needs", &base.name, faults),
        names::read(top.get("after"), "waits for", &base.name, faults),
    );
    let main = top.get("main").and_then(|item| item.flag(faults));
    let main = main.unwrap_or(false);
    let enabled = enabled(&top, base.enabled, world.container, faults);
    let (mut restart, when, with) = policy::restart(&top, &base.name, faults);
    restart.when = when.unwrap_or(if main || kind == Kind::Oneshot {
        When::Never
    } else {
        When::Always
    });
    let ready = probes::ready(&top, faults)
        .map(Box::new)
        .or_else(|| base.ready.clone());
    if kind == Kind::Oneshot {
        oneshot_checks(&top, restart.when, faults);
    }
    let (stop, stop_timeout) = policy::stop(&top, &base.stop, faults);
    let format = policy::format(&top, faults);
    let (control, asked) = permit::permits(&top, faults);
    let places = Places {
        main: top
            .get("main")
            .filter(|_| main)
            .map(|item| faults.place(item.span)),
        format: format
            .as_ref()
            .map(|(_, item)| faults.place(item.span.clone())),
        stop_timeout: stop_timeout.map(|item| faults.place(item.span)),
        needs,
        after,
        with,
        control: asked,
        ..Places::default()
    };
    let service = Service {
        kind,
        program,
        down: down(&top, &base, kind, stop.timeout, faults),
        needs: places.needs.iter().map(|(name, _)| name.clone()).collect(),
        after: places.after.iter().map(|(name, _)| name.clone()).collect(),
        main,
        enabled,
        context: context::context(&top, world.container, faults),
        ready,
        health: probes::health(&top, faults).map(Box::new),
        restart,
        stop,
        reload: policy::reload(&top, faults),
        schedule: timing::schedule(&top, kind, main, world, faults),
        output: Output::Container(format.map(|(format, _)| format)),
        control,
        ..base
    };
    foresight::user(&top, &service, world, faults);
    program::commands(&top, &service, world, faults);
    foresight::texts(&top, &service, world, faults);
    Draft { service, places }
}

/// `type`.
fn kind(top: &Table<'_>, faults: &mut Faults<'_>) -> Kind {
    let words = [("longrun", Kind::Longrun), ("oneshot", Kind::Oneshot)];
    let kind = top.get("type").and_then(|item| item.word(&words, faults));
    kind.unwrap_or(Kind::Longrun)
}

/// `down`: what undoes a oneshot.
fn down(
    top: &Table<'_>,
    base: &Service,
    kind: Kind,
    timeout: Option<Duration>,
    faults: &mut Faults<'_>,
) -> Option<Box<Down>> {
    let item = top.get("down")?;
    let (why, hint) = if kind == Kind::Longrun {
        (
            "`down` undoes what a oneshot did, and this is a longrun",
            "say `type = \"oneshot\"`, or put it into `finish`, which is run after each end",
        )
    } else if top.get("schedule").is_some() || top.get("every").is_some() {
        (
            "`down` beside a schedule: nothing stands on what runs by itself",
            "let the command undo its work at its own end",
        )
    } else if base.finish.is_some() {
        (
            "`down` beside a `finish` file: two things to run at the end",
            "take one of them away",
        )
    } else {
        let command = item.command(faults)?;
        return Some(Box::new(Down { command, timeout }));
    };
    item.bad(faults, Diagnostic::error(why).hint(hint))
}

/// `command`, or the `run` beside it; exactly one.
fn program(top: &Table<'_>, base: &Service, faults: &mut Faults<'_>) -> Program {
    let run = matches!(base.program, Program::Run(_));
    match top.get("command") {
        None if run => {}
        None => {
            let fault = Diagnostic::error(format!(
                "`{}` has no `command`, and no `run` file",
                base.name
            ))
            .hint("write `command = [\"program\", \"argument\"]`");
            faults.whole(fault);
        }
        Some(item) => {
            if run {
                let fault = Diagnostic::error("`command` beside a `run` file: two ways to start")
                    .hint("take one of them away");
                item.bad::<()>(faults, fault);
            }
            if let Some(command) = item.command(faults) {
                return Program::Command(command);
            }
        }
    }
    base.program.clone()
}

/// `enabled`: said, or decided by the environment now.
fn enabled(top: &Table<'_>, base: bool, container: &Environment, faults: &mut Faults<'_>) -> bool {
    let Some(item) = top.get("enabled") else {
        return base;
    };
    if let DeValue::Boolean(flag) = item.value {
        return *flag;
    }
    let DeValue::String(_) = item.value else {
        item.wrong::<()>(faults);
        return true;
    };
    let Some(text) = template(&item, faults) else {
        return true;
    };
    let fault = match container.expand_text(text).as_deref() {
        Ok("true") => return true,
        Ok("false") => return false,
        Ok(other) => Diagnostic::error(format!(
            "{} must become true or false, not `{other}`",
            item.subject
        )),
        Err(why) => Diagnostic::error(format!("cannot expand {}: {why}", item.subject)),
    };
    item.bad::<()>(
        faults,
        fault.hint("for example `enabled = \"${WORKER:-true}\"`"),
    );
    true
}

/// What makes no sense for a oneshot.
fn oneshot_checks(top: &Table<'_>, when: When, faults: &mut Faults<'_>) {
    if let Some(item) = top.get("ready") {
        let fault =
            Diagnostic::error("a oneshot has no `[ready]`: it is ready when it has exited 0")
                .hint("take it away, or make the service a longrun");
        item.bad::<()>(faults, fault);
    }
    if let Some(item) = top.get("health") {
        let fault = Diagnostic::error("a oneshot has no `[health]`: it runs once, and ends")
            .hint("take it away, or make the service a longrun");
        item.bad::<()>(faults, fault);
    }
    if let Some(item) = top.get("restart").filter(|_| when == When::Always) {
        let fault = Diagnostic::error("a oneshot that is always restarted is never finished")
            .hint("use \"on-failure\" or \"never\", or make the service a longrun");
        item.bad::<()>(faults, fault);
    }
}
