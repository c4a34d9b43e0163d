//! supervisord's configuration → services.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::diag::{Diagnostic, Place, nearest};
use crate::service::import::ini::{Conf, Key, Section};
use crate::service::import::keys::{self, Fate, GROUP, PROGRAM, SECTIONS, SUPERVISORD};
use crate::service::import::mark;
use crate::service::import::percent::Holes;
use crate::service::import::program::{self, Process};
use crate::service::import::ranks::{Rank, Ranks};
use crate::service::import::reader::{self, Reader, Scope};
use crate::service::import::{Imported, MADE_MAX, Made};
use crate::values::Name;

/// The priority of who says none.
const PRIORITY: i64 = 999;

/// A program that is to be written.
struct Program<'a> {
    section: &'a Section,
    name: &'a str,
    rank: Rank<'a>,
    starts: bool,
    /// `numprocs` and `numprocs_start`.
    count: i64,
    first: i64,
}

impl<'a> Program<'a> {
    fn scope(&self, number: i64) -> Scope<'a> {
        Scope {
            program: Some(self.name),
            group: Some(self.rank.group),
            number: Some((number, self.count)),
        }
    }
}

/// The patterns of `[include]`, each with the key that names it.
///
/// # Errors
/// They cannot be expanded.
pub fn includes<'a>(
    conf: &'a Conf,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, &'a Key)>, Vec<Diagnostic>> {
    let Some(section) = conf.section("include") else {
        return Ok(Vec::new());
    };
    let mut reader = new_reader(conf, variable);
    let found = reader.fixed(section, "files", Scope::default());
    let faults = reader.told.faults;
    match found {
        Some((text, key)) => {
            let patterns = text.split_whitespace();
            Ok(patterns.map(|pattern| (pattern.to_owned(), key)).collect())
        }
        None if faults.is_empty() => {
            let fault = Diagnostic::error("[include] has no `files`");
            let place = Some(section.place.clone());
            Err(vec![Diagnostic { place, ..fault }])
        }
        None => Err(faults),
    }
}

fn new_reader<'a>(conf: &'a Conf, variable: &'a dyn Fn(&str) -> Option<String>) -> Reader<'a> {
    Reader {
        conf,
        variable,
        holes: Holes::default(),
        told: Imported::default(),
    }
}

/// Makes services of all that was read.
pub fn services(conf: &Conf, variable: &dyn Fn(&str) -> Option<String>) -> Imported {
    let mut reader = new_reader(conf, variable);
    sections(&mut reader);
    let groups = groups(&mut reader);
    let programs = programs(&mut reader, &groups);
    if programs.is_empty() && reader.told.faults.is_empty() {
        let fault = Diagnostic::error("there is no [program:NAME]")
            .hint("is this a supervisord.conf? An s6-overlay tree is a directory");
        reader.told.faults.push(fault);
    }
    let processes = processes(&mut reader, &programs);
    for process in processes {
        let body = program::definition(&mut reader, &process);
        reader.told.services.push(Made {
            definition: mark::marked(&from(process.section), &body, &[]),
            name: process.name,
            extras: Vec::new(),
        });
    }
    reader.done()
}

/// What a service is made from: the place without its directory, which another machine has not.
fn from(section: &Section) -> String {
    let Place { path, spot } = &section.place;
    let file = path.file_name().unwrap_or_default();
    let line = spot.as_ref().map_or(0, |spot| spot.line);
    format!("{}:{line}", Path::new(file).display())
}

/// Tells of all sections that are no programs.
fn sections(reader: &mut Reader<'_>) {
    let conf = reader.conf;
    for section in &conf.sections {
        let name = &*section.name;
        match keys::section(name) {
            Some(Fate::Read | Fate::Quiet) => {}
            Some(Fate::Otherwise(instead)) => reader.remark_section(section, instead, false),
            Some(Fate::Lost(instead)) => reader.remark_section(section, instead, true),
            None => {
                let known = SECTIONS.iter().map(|(name, _)| *name);
                let before = name.split_inclusive(':').next().unwrap_or(name);
                let near = nearest(before, known);
                let near = near.map_or_else(String::new, |n| format!(" (did you mean `{n}`?)"));
                let instead = format!("supervisord knows no such section, and ignores it{near}");
                reader.remark_section(section, &instead, false);
            }
        }
        match name.split_once(':') {
            None if name == "supervisord" => own_sections(reader, section),
            Some(("program", _)) => reader.tell(section, PROGRAM),
            Some(("group", _)) => reader.tell(section, GROUP),
            _others => {}
        }
    }
}

/// `[supervisord]` itself.
fn own_sections(reader: &mut Reader<'_>, section: &Section) {
    reader.tell(section, SUPERVISORD);
    if let Some(key) = section.key("logfile")
        && !key.value.starts_with("/dev/")
    {
        let instead = "pidone's own messages go to the container's stderr";
        reader.remark(section, key, instead, false);
    }
}

/// For each program that is in a group, that group's name and priority.
fn groups<'a>(reader: &mut Reader<'a>) -> BTreeMap<&'a str, (&'a str, i64)> {
    let conf = reader.conf;
    let mut groups = BTreeMap::new();
    for section in &conf.sections {
        let Some(group) = section.name.strip_prefix("group:") else {
            continue;
        };
        let priority = priority(reader, section);
        let Some(key) = section.key("programs") else {
            continue;
        };
        for program in key.value.split(',').map(str::trim) {
            let has = |kind: &str| conf.section(&format!("{kind}:{program}")).is_some();
            if has("program") {
                groups.insert(program, (group.trim(), priority));
            } else if !has("fcgi-program") {
                let fault = format!(
                    "[{}] names `{program}`, and there is no such program",
                    section.name
                );
                let programs = conf.sections.iter();
                let names = programs.filter_map(|other| other.name.strip_prefix("program:"));
                reader.fault(key, Diagnostic::error(fault).suggest(program, names));
            }
        }
    }
    groups
}

fn priority(reader: &mut Reader<'_>, section: &Section) -> i64 {
    let bounds = -1_000_000..=1_000_000;
    reader.whole(section, "priority", PRIORITY, bounds)
}

fn programs<'a>(
    reader: &mut Reader<'a>,
    groups: &BTreeMap<&'a str, (&'a str, i64)>,
) -> Vec<Program<'a>> {
    let conf = reader.conf;
    let mut programs = Vec::new();
    for section in &conf.sections {
        let Some(name) = section.name.strip_prefix("program:").map(str::trim) else {
            continue;
        };
        let own = priority(reader, section);
        let (group, outer) = groups.get(name).copied().unwrap_or((name, own));
        let is_off = |key: &Key| reader::flag(&key.value) == Some(false);
        let most = i64::try_from(MADE_MAX).unwrap_or(i64::MAX);
        programs.push(Program {
            section,
            name,
            rank: Rank {
                outer,
                group,
                inner: own,
            },
            starts: !section.key("autostart").is_some_and(is_off),
            count: reader.whole(section, "numprocs", 1, 0..=most),
            first: reader.whole(section, "numprocs_start", 0, 0..=1_000_000),
        });
    }
    programs
}

/// The processes of all programs, with names of their own.
fn processes<'a>(reader: &mut Reader<'a>, programs: &[Program<'a>]) -> Vec<Process<'a>> {
    let count: i64 = programs.iter().map(|program| program.count).sum();
    if count > i64::try_from(MADE_MAX).unwrap_or(i64::MAX) {
        let fault = format!("{count} processes; an import makes at most {MADE_MAX} services");
        reader.told.faults.push(Diagnostic::error(fault));
        return Vec::new();
    }
    let mut found: Vec<(&Program<'a>, i64, String)> = Vec::new();
    for program in programs {
        for number in program.first..program.first + program.count {
            found.push((program, number, own_name(reader, program, number)));
        }
    }
    let mut once = BTreeMap::new();
    for (_, _, own) in &found {
        *once.entry(own.clone()).or_insert(0) += 1;
    }
    let mut ranks = Ranks::default();
    let mut taken = BTreeSet::new();
    let mut processes = Vec::new();
    for (program, number, own) in found {
        let is_alone = once.get(&own) == Some(&1);
        let name = if is_alone {
            own
        } else {
            format!("{}-{own}", program.name)
        };
        let Some(name) = service_name(reader, program.section, &name) else {
            continue;
        };
        if !taken.insert(name.clone()) {
            let fault = Diagnostic::error(format!("two processes would be the service `{name}`"));
            let place = Some(program.section.place.clone());
            let hint = "`process_name` must tell them apart, with %(process_num)d";
            let fault = fault.hint(hint);
            reader.told.faults.push(Diagnostic { place, ..fault });
        }
        if program.starts {
            ranks.add(program.rank, name.clone());
        }
        let process = Process {
            section: program.section,
            scope: program.scope(number),
            name,
            after: Vec::new(),
        };
        processes.push((program.rank, process));
    }
    let with = |(rank, process): (Rank<'a>, Process<'a>)| Process {
        after: ranks.before(rank),
        ..process
    };
    processes.into_iter().map(with).collect()
}

/// What `process_name` makes of a process.
fn own_name(reader: &mut Reader<'_>, program: &Program<'_>, number: i64) -> String {
    let found = reader.fixed(program.section, "process_name", program.scope(number));
    found.map_or_else(|| program.name.to_owned(), |(name, _)| name)
}

/// The same as the name of a service, which is made of fewer characters.
fn service_name(reader: &mut Reader<'_>, section: &Section, own: &str) -> Option<Name> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '-');
    let fitted: String = own.chars().map(|c| if fits(c) { c } else { '-' }).collect();
    match fitted.parse::<Name>() {
        Ok(name) => {
            if fitted != own {
                reader.remark_section(section, &format!("is the service `{fitted}`"), false);
            }
            Some(name)
        }
        Err(why) => {
            let fault = Diagnostic::error(format!("`{own}` cannot be a service: {why}"));
            let place = Some(section.place.clone());
            reader.told.faults.push(Diagnostic { place, ..fault });
            None
        }
    }
}
