//! `pidone import`: what another supervisor starts, as service directories of ours, and every line
//! that is not simply carried over.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::print::{complain, show};
use crate::cli::{Answer, Trouble};
use crate::diag::{Diagnostic, Severity, printable};
use crate::os::files;
use crate::os::globs;
use crate::os::placing::{Placed, There, place, there};
use crate::service::environment::Environment;
use crate::service::import::ini::{Conf, FILE_BYTES_MAX};
use crate::service::import::{Imported, Made, Remark, mark, supervisord};
use crate::service::set;
use crate::service::source::{self, Directory, FILE_BYTES_MAX as DEFINITION_MAX};

/// What `pidone import` takes.
#[derive(clap::Args)]
#[command(
    after_help = "exit codes: 0 all is carried over, 1 something is lost, 2 nothing is written"
)]
pub struct Args {
    /// A supervisord.conf
    #[arg(value_name = "FILE")]
    from: PathBuf,
    /// Where the service directories are to be
    #[arg(long, value_name = "DIR", default_value = "services.d")]
    to: PathBuf,
    /// The directory that is to be `/` in the image: its files are included
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Show what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// What the verb says and does.
pub struct Told {
    /// What is written to stdout.
    pub screen: String,
    /// What is wrong, for stderr.
    pub faults: Vec<Diagnostic>,
    /// Whether something is lost.
    pub lost: bool,
}

/// The verb.
///
/// # Errors
/// Nothing can be made of the file, or nothing can be written.
pub fn run(args: &Args) -> Result<Answer, Trouble> {
    let variable = |name: &str| std::env::var(name).ok();
    let told = tell(
        &args.from,
        &args.to,
        args.root.as_deref(),
        args.dry_run,
        &variable,
    );
    show(&told.screen)?;
    let Some((last, before)) = told.faults.split_last() else {
        return Ok(if told.lost { Answer::No } else { Answer::Yes });
    };
    for fault in before {
        complain(fault);
    }
    Err(Trouble::Usage(Box::new(last.clone())))
}

/// The same, said.
pub fn tell(
    from: &Path,
    to: &Path,
    root: Option<&Path>,
    dry_run: bool,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Told {
    let imported = supervisord(from, root, variable);
    let mut told = Told {
        screen: String::new(),
        faults: imported.faults,
        lost: imported.remarks.iter().any(|remark| remark.lost),
    };
    if told.faults.is_empty() {
        told.faults = wrong(&imported.services, to);
    }
    if !told.faults.is_empty() {
        return told;
    }
    let plan: Vec<(&Made, PathBuf, Doing)> = imported
        .services
        .iter()
        .map(|made| planned(made, to))
        .collect();
    told.faults = plan
        .iter()
        .filter_map(|(_, _, doing)| doing.fault())
        .collect();
    if !told.faults.is_empty() {
        return told;
    }
    told.screen = remarks(&imported.remarks);
    if dry_run {
        for (made, path, doing) in &plan {
            let word = doing.word();
            let _ = writeln!(
                told.screen,
                "# {} ({word})\n{}",
                path.display(),
                made.definition
            );
        }
    } else if let Err(why) = write(&plan) {
        told.faults.push(Diagnostic::error(why));
        return told;
    }
    tally(&mut told.screen, &plan, &imported.remarks, dry_run);
    told
}

/// What is done about a file.
enum Doing {
    Write,
    Replace,
    Keep,
    Refuse(Box<Diagnostic>),
}

impl Doing {
    fn word(&self) -> &'static str {
        match self {
            Self::Write => "new",
            Self::Replace => "changed",
            Self::Keep => "unchanged",
            Self::Refuse(_) => "refused",
        }
    }

    fn fault(&self) -> Option<Diagnostic> {
        match self {
            Self::Write | Self::Replace | Self::Keep => None,
            Self::Refuse(fault) => Some((**fault).clone()),
        }
    }
}

/// A file that somebody else has made, or edited, is his.
fn planned<'a>(made: &'a Made, to: &Path) -> (&'a Made, PathBuf, Doing) {
    let dir = to.join(made.name.as_str());
    let path = dir.join("service.toml");
    let refuse = |path: &Path, why: &str| {
        let fault = Diagnostic::error(format!("`{}` {why}", path.display()));
        let hint = "take it away, or import into another directory with --to";
        Doing::Refuse(Box::new(fault.in_file(path).hint(hint)))
    };
    let run = dir.join("run");
    let doing = match there(&path, DEFINITION_MAX) {
        There::Nothing if there(&run, 0) != There::Nothing => {
            refuse(&run, "is there: the service is one already")
        }
        There::Nothing => Doing::Write,
        There::File(content) if content == made.definition.as_bytes() => Doing::Keep,
        There::File(content) if mark::is_untouched(&content) => Doing::Replace,
        There::File(_) => refuse(&path, "is not as an import has written it"),
        There::Other(why) => refuse(&path, &format!("cannot be replaced: {why}")),
    };
    (made, path, doing)
}

fn write(plan: &[(&Made, PathBuf, Doing)]) -> Result<(), String> {
    let files = plan.iter().filter_map(|(made, path, doing)| match doing {
        Doing::Keep | Doing::Refuse(_) => None,
        Doing::Write | Doing::Replace => Some(Placed {
            path: path.clone(),
            content: made.definition.as_bytes(),
            is_program: false,
        }),
    });
    place(&files.collect::<Vec<_>>())
}

/// What `pidone check` would refuse. Users and programs may be known to the image only.
fn wrong(services: &[Made], to: &Path) -> Vec<Diagnostic> {
    let directories = services.iter().map(|made| Directory {
        name: made.name.as_str().into(),
        path: to.join(made.name.as_str()),
        definition: source::File::Content(made.definition.clone().into_bytes()),
        ..Directory::default()
    });
    let nobody = Environment::default();
    let loaded = set::load(directories, &nobody, &|_| Ok(()), &files::zone);
    let is_wrong = |fault: &Diagnostic| {
        fault.severity == Severity::Error && !fault.message.contains("is not set")
    };
    let mut found = loaded.diagnostics;
    found.retain(is_wrong);
    found
}

/// What becomes of lines: first what is lost, then what is done otherwise.
fn remarks(remarks: &[Remark]) -> String {
    let mut screen = String::new();
    for (title, lost) in [("lost:", true), ("done otherwise:", false)] {
        let mut lines = remarks
            .iter()
            .filter(|remark| remark.lost == lost)
            .peekable();
        if lines.peek().is_none() {
            continue;
        }
        // Writing to a string cannot fail.
        let _ = writeln!(screen, "{title}");
        for remark in lines {
            let _ = writeln!(screen, "  {}", printable(&remark.line()));
        }
        screen.push('\n');
    }
    screen
}

/// The last lines: the files, and how many lines are lost.
fn tally(screen: &mut String, plan: &[(&Made, PathBuf, Doing)], remarks: &[Remark], dry_run: bool) {
    if !dry_run {
        for (_, path, doing) in plan {
            let _ = writeln!(screen, "{:9}  {}", doing.word(), path.display());
        }
        screen.push('\n');
    }
    let mut parts = Vec::new();
    for word in ["new", "changed", "unchanged"] {
        let count = plan
            .iter()
            .filter(|(_, _, doing)| doing.word() == word)
            .count();
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    for (word, lost) in [("lost", true), ("done otherwise", false)] {
        let count = remarks.iter().filter(|remark| remark.lost == lost).count();
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            parts.push(format!("{count} line{plural} {word}"));
        }
    }
    let plural = if plan.len() == 1 { "" } else { "s" };
    let end = if dry_run { "; nothing is written" } else { "" };
    let _ = writeln!(
        screen,
        "{} service{plural}: {}{end}",
        plan.len(),
        parts.join(", ")
    );
}

/// A supervisord.conf with what it includes.
fn supervisord(
    from: &Path,
    root: Option<&Path>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Imported {
    let mut conf = Conf::default();
    let mut faults = Vec::new();
    read(&mut conf, from, root, &mut faults);
    let mut missing = Vec::new();
    match supervisord::includes(&conf, variable) {
        Err(found) => faults.extend(found),
        Ok(patterns) => {
            let patterns: Vec<_> = patterns
                .into_iter()
                .map(|(pattern, key)| (pattern, key.clone()))
                .collect();
            for (pattern, key) in patterns {
                let path = match (root, Path::new(&pattern).strip_prefix("/")) {
                    (Some(root), Ok(inner)) => root.join(inner),
                    _ => from.parent().unwrap_or(Path::new("")).join(&pattern),
                };
                let found = globs::matching(&path);
                if found.is_empty() {
                    missing.push(Remark {
                        place: key.place.clone(),
                        what: format!("[include] files = {pattern}"),
                        instead: "there is no such file here".into(),
                        lost: true,
                    });
                }
                for file in found {
                    read(&mut conf, &file, root, &mut faults);
                }
            }
        }
    }
    conf.settle();
    if !faults.is_empty() {
        return Imported {
            faults,
            ..Imported::default()
        };
    }
    let mut imported = supervisord::services(&conf, variable);
    missing.append(&mut imported.remarks);
    Imported {
        remarks: missing,
        ..imported
    }
}

/// Reads a file into the configuration.
fn read(conf: &mut Conf, path: &Path, root: Option<&Path>, faults: &mut Vec<Diagnostic>) {
    let text = files::bounded(path, FILE_BYTES_MAX)
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()));
    match text {
        Ok(text) => conf.read(path, &here(path, root), &text, faults),
        Err(why) => {
            let fault = format!("cannot read `{}`: {why}", path.display());
            faults.push(Diagnostic::error(fault).in_file(path));
        }
    }
}

/// The directory of a file, as the image has it.
fn here(path: &Path, root: Option<&Path>) -> String {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let path = whole(path);
    let dir = path.parent().unwrap_or(Path::new("/"));
    let inner = root.and_then(|root| dir.strip_prefix(whole(root)).ok());
    let dir = inner.map_or_else(|| dir.to_owned(), |inner| Path::new("/").join(inner));
    dir.display().to_string()
}
