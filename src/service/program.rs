//! Whether the programs that commands name can be executed, judged from what was seen of them.

use std::ffi::OsString;
use std::path::PathBuf;

use toml::de::DeValue;

use crate::diag::Diagnostic;
use crate::service::definition::{Program, Service};
use crate::service::environment;
use crate::service::faults::Faults;
use crate::service::parse::World;
use crate::service::scripts::bad_head;
use crate::service::source::Interpreter;
use crate::service::table::{Item, Table};

/// A program that is looked for, as execvp(3) would.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sought {
    /// As it is written: with a slash, or to be found in `path`.
    pub program: String,
    /// PATH of the service; `None`: not known before its start.
    pub path: Option<OsString>,
    /// Where it starts; `None`: where the container does.
    pub workdir: Option<PathBuf>,
}

/// What was seen of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    /// As far as can be told, it runs.
    Runs,
    /// It is not there; something of a name like it may be.
    Absent {
        /// That name.
        near: Option<String>,
    },
    /// It is there and cannot be executed.
    Unusable {
        /// Where.
        file: PathBuf,
        /// Why.
        flaw: Flaw,
    },
}

/// Why a file cannot be executed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Flaw {
    /// It is a directory.
    Directory,
    /// Nobody may execute it.
    NoRunBit,
    /// It is on a file system that is mounted noexec.
    NoExec,
    /// The dynamic loader that it names is not there.
    NoLoader(String),
    /// It is for another kind of machine.
    Machine,
    /// It is a script, which may be a bad one.
    Script {
        /// Its beginning.
        head: Vec<u8>,
        /// What its `#!` line names.
        interpreter: Interpreter,
    },
}

impl Flaw {
    /// What is said of such a file, and what to do; `None` if nothing is wrong with it.
    pub fn told(&self, file: &str) -> Option<(String, String)> {
        let (what, hint) = match self {
            Self::Directory => ("is a directory", "name the program in it"),
            Self::NoRunBit => return Some(("has no run bit".into(), format!("chmod +x {file}"))),
            Self::NoExec => (
                "is on a file system that is mounted noexec",
                "put it elsewhere, or mount that without noexec",
            ),
            Self::NoLoader(loader) => {
                let hint = "it was built for another C library: use one for this image, or a \
                            static one";
                let what = format!("needs the loader `{loader}`, which is not there");
                return Some((what, hint.into()));
            }
            Self::Machine => (
                "is built for another kind of machine",
                "build it for this one (`docker build --platform`)",
            ),
            Self::Script { head, interpreter } => {
                let (what, _, hint) = bad_head(head, *interpreter)?;
                return Some((what, hint.into()));
            }
        };
        Some((what.into(), hint.into()))
    }
}

/// Fields that hold a command, by section and name.
const COMMANDS: [(&str, &str); 5] = [
    ("", "command"),
    ("ready", "exec"),
    ("health", "exec"),
    ("stop", "before"),
    ("reload", "command"),
];

/// Judges the programs of a `service.toml`: warnings, since what is not there now may be there when
/// it is started.
pub(super) fn commands(
    top: &Table<'_>,
    service: &Service,
    world: &World<'_>,
    faults: &mut Faults<'_>,
) {
    for (section, name) in COMMANDS {
        let Some((subject, item)) = found(top, section, name) else {
            continue;
        };
        let Some((program, is_shell)) = first_word(item.value) else {
            continue;
        };
        let sought = sought(program, service, world);
        let seen = (world.program)(&sought);
        let said = judge(&sought, &seen).or_else(|| by_env(&seen, service, world));
        if let Some((why, hint)) = said {
            let what = if is_shell {
                format!("{subject} is a line for `/bin/sh`, which cannot be executed: {why}")
            } else {
                format!("{subject} cannot be executed: {why}")
            };
            item.bad::<()>(faults, Diagnostic::warning(what).hint(hint));
        }
    }
}

/// Judges a `run` beyond what its first line says, which is judged always.
pub(super) fn run(service: &Service, world: &World<'_>, faults: &mut Vec<Diagnostic>) {
    let Program::Run(file) = &service.program else {
        return;
    };
    let path = &file.path;
    let sought = sought(&path.to_string_lossy(), service, world);
    let seen = (world.program)(&sought);
    let is_new = matches!(
        &seen,
        Seen::Unusable {
            flaw: Flaw::NoExec | Flaw::NoLoader(_) | Flaw::Machine,
            ..
        }
    );
    // What an interpreter reads need not be executable.
    let said = judge(&sought, &seen).filter(|_| is_new && file.by.is_empty());
    if let Some((why, hint)) = said.or_else(|| by_env(&seen, service, world)) {
        let fault = Diagnostic::warning(format!("`run` cannot be executed: {why}"));
        faults.push(fault.hint(hint).in_file(path));
    }
}

fn found<'a>(
    top: &Table<'a>,
    section: &'static str,
    name: &'static str,
) -> Option<(String, Item<'a>)> {
    if section.is_empty() {
        let item = top.get(name)?;
        return Some((item.subject.clone(), item));
    }
    let table = top.get(section)?.value.as_table()?;
    let subject = format!("`{section}.{name}`");
    Some((subject.clone(), Item::new(subject, "", table.get(name)?)))
}

/// The program of a command, and whether it is the shell of the shell form.
fn first_word<'a>(value: &'a DeValue<'_>) -> Option<(&'a str, bool)> {
    match value {
        DeValue::String(text) if !text.trim().is_empty() => Some(("/bin/sh", true)),
        DeValue::Array(words) => {
            let word = words.first()?.get_ref().as_str()?;
            (!word.is_empty()).then_some((word, false))
        }
        _not_a_command => None,
    }
}

fn sought(program: &str, service: &Service, world: &World<'_>) -> Sought {
    let context = &service.context;
    let foreseen = environment::foreseen(world.container, context).ok();
    // What stands in a file may still decide it.
    let foreseen = foreseen.filter(|_| context.env_files.is_empty());
    let workdir = context.workdir.as_deref().and_then(|text| {
        let expanded = foreseen.as_ref()?.expand_text(text).ok()?;
        Some(PathBuf::from(expanded))
    });
    Sought {
        program: program.to_owned(),
        path: foreseen.map(|it| it.get("PATH").map_or_else(|| PATH.into(), Into::into)),
        workdir,
    }
}

/// Why `env` cannot execute what the first line of a script tells it to, and what to do.
fn by_env(seen: &Seen, service: &Service, world: &World<'_>) -> Option<(String, String)> {
    let Seen::Unusable {
        flaw:
            Flaw::Script {
                head,
                interpreter: Interpreter::Found,
            },
        ..
    } = seen
    else {
        return None;
    };
    let line = head.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let (env, rest) = str::from_utf8(line).ok()?.trim().split_once([' ', '\t'])?;
    let (rest, splits) = match rest.trim().strip_prefix("-S") {
        Some(rest) => (rest.trim(), true),
        None => (rest.trim(), false),
    };
    if !env.ends_with("/env") || rest.starts_with('-') || rest.contains('=') {
        return None;
    }
    match rest.split_once([' ', '\t']) {
        // execve(2) gives the rest of the line as one word.
        Some(_) if !splits => Some((
            format!("`{env}` would look for a program named `{rest}`"),
            format!("write `#!{env} -S {rest}`"),
        )),
        Some((program, _)) => lacks(program, service, world),
        None => lacks(rest, service, world),
    }
}

fn lacks(program: &str, service: &Service, world: &World<'_>) -> Option<(String, String)> {
    let sought = sought(program, service, world);
    let (why, hint) = judge(&sought, &(world.program)(&sought))?;
    Some((format!("by its first line, {why}"), hint))
}

/// Where execvp(3) looks if the environment has no PATH: what Docker gives its containers.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why it cannot be executed, and what to do; `None` if it can.
fn judge(sought: &Sought, seen: &Seen) -> Option<(String, String)> {
    let program = &sought.program;
    Some(match seen {
        Seen::Runs => return None,
        Seen::Absent { near: Some(near) } => (
            format!("there is no `{program}`"),
            format!("did you mean `{near}`?"),
        ),
        Seen::Absent { near: None } if program.starts_with('/') => (
            format!("there is no `{program}`"),
            "is it in this image?".into(),
        ),
        Seen::Absent { near: None } if program.contains('/') => (
            format!("there is no `{program}` where it starts"),
            "say the whole path, or set `workdir`".into(),
        ),
        Seen::Absent { near: None } => (
            format!("`{program}` is in no directory of PATH"),
            "install it in the image, or say its whole path".into(),
        ),
        Seen::Unusable { file, flaw } => {
            let (what, hint) = flaw.told(&file.to_string_lossy())?;
            (format!("`{}` {what}", file.display()), hint)
        }
    })
}
