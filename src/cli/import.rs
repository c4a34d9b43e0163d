//! `pidone import`: what another supervisor starts, as service directories of ours, and every line
//! that is not simply carried over.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::print::{complain, show};
use crate::cli::{Answer, Trouble};
use crate::diag::{Diagnostic, Severity, printable};
use crate::os::files;
use crate::os::gathered;
use crate::os::placing::{Placed, place};
use crate::service::environment::Environment;
use crate::service::import::{Made, Remark, mark};
use crate::service::set;
use crate::service::source::{Directory, File, HEAD_BYTES, Interpreter, Script};

mod sources;

/// What `pidone import` takes.
#[derive(clap::Args)]
#[command(
    after_help = "exit codes: 0 all is carried over, 1 something is lost, 2 nothing is written"
)]
pub struct Args {
    /// A supervisord.conf, or the root of a tree for s6-overlay
    #[arg(value_name = "FILE")]
    from: PathBuf,
    /// Where the service directories are to be
    #[arg(long, value_name = "DIR", default_value = "services.d")]
    to: PathBuf,
    /// What is `/` in the image, for the files that a supervisord.conf includes
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
    let imported = sources::imported(from, root, variable);
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
    let plan: Vec<Planned<'_>> = imported
        .services
        .iter()
        .map(|made| planned(made, to))
        .collect();
    told.faults = plan
        .iter()
        .filter_map(|planned| planned.doing.fault())
        .collect();
    if !told.faults.is_empty() {
        return told;
    }
    told.screen = remarks(&imported.remarks);
    if dry_run {
        for planned in &plan {
            let _ = show_planned(&mut told.screen, planned);
        }
    } else if let Err(why) = place(&plan.iter().flat_map(Planned::files).collect::<Vec<_>>()) {
        told.faults.push(Diagnostic::error(why));
        return told;
    }
    tally(&mut told.screen, &plan, &imported.remarks, dry_run);
    told
}

/// The files of a service, as they would be.
fn show_planned(screen: &mut String, planned: &Planned<'_>) -> std::fmt::Result {
    let (dir, word) = (planned.dir.display(), planned.doing.word());
    let text = &planned.made.definition;
    writeln!(screen, "# {dir}/service.toml ({word})\n{text}")?;
    for extra in &planned.made.extras {
        writeln!(
            screen,
            "# {dir}/{}, {} bytes\n",
            extra.path,
            extra.content.len()
        )?;
    }
    Ok(())
}

/// A service, and what is to be done about its directory.
struct Planned<'a> {
    made: &'a Made,
    dir: PathBuf,
    doing: Doing,
}

/// What is done about a directory.
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

impl Planned<'_> {
    /// What is to be written.
    fn files(&self) -> Vec<Placed<'_>> {
        match self.doing {
            Doing::Keep | Doing::Refuse(_) => return Vec::new(),
            Doing::Write | Doing::Replace => {}
        }
        let extras = self.made.extras.iter().map(|extra| Placed {
            path: self.dir.join(&extra.path),
            content: &extra.content,
            is_program: extra.is_program,
        });
        let definition = Placed {
            path: self.dir.join(DEFINITION),
            content: self.made.definition.as_bytes(),
            is_program: false,
        };
        extras.chain([definition]).collect()
    }
}

const DEFINITION: &str = "service.toml";

/// A directory that somebody else has made, or edited, is his.
fn planned<'a>(made: &'a Made, to: &Path) -> Planned<'a> {
    let dir = to.join(made.name.as_str());
    let refuse = |file: &str, why: &str| {
        let path = if file.is_empty() {
            dir.clone()
        } else {
            dir.join(file)
        };
        let fault = Diagnostic::error(format!("`{}` {why}", path.display()));
        let hint = "take it away, or import into another directory with --to";
        Doing::Refuse(Box::new(fault.in_file(path).hint(hint)))
    };
    let doing = match gathered::read(&dir, &[""]) {
        _ if dir.is_symlink() => refuse("", "is a symbolic link"),
        Err(why) => Doing::Refuse(Box::new(Diagnostic::error(why))),
        Ok(mut tree) => {
            let definition = tree.files.remove(DEFINITION);
            let there = |(path, leaf): (&'_ String, _)| (path.clone(), leaf);
            let beside: Vec<(String, _)> = tree.files.iter().map(there).collect();
            let beside: Vec<(&str, &[u8])> = beside
                .iter()
                .map(|(path, leaf)| (&**path, &*leaf.content))
                .collect();
            let is_ours = |path: &str| made.extras.iter().any(|extra| extra.path == path);
            let strange = beside
                .iter()
                .find(|(path, _)| definition.is_none() || !is_ours(path));
            let text = definition.as_ref().map(|leaf| &*leaf.content);
            match (text, strange) {
                (_, Some((path, _))) => refuse(path, "is there, and not made by this import"),
                (None, None) => Doing::Write,
                (Some(text), None) if mark::is_untouched(text, &beside) => {
                    // The mark covers what is beside it.
                    let is_same = text == made.definition.as_bytes();
                    if is_same { Doing::Keep } else { Doing::Replace }
                }
                (Some(_), None) => refuse("", "is not as an import has written it"),
            }
        }
    };
    Planned { made, dir, doing }
}

/// What `pidone check` would refuse. Users and programs may be known to the image only.
fn wrong(services: &[Made], to: &Path) -> Vec<Diagnostic> {
    let directories = services.iter().map(|made| directory(made, to));
    let nobody = Environment::default();
    let loaded = set::load(directories, &nobody, &|_| Ok(()), &files::zone);
    let is_wrong = |fault: &Diagnostic| {
        fault.severity == Severity::Error && !fault.message.contains("is not set")
    };
    let mut found = loaded.diagnostics;
    found.retain(is_wrong);
    found
}

/// A service as it would be read.
fn directory(made: &Made, to: &Path) -> Directory {
    let dir = to.join(made.name.as_str());
    let read = |prefix: &str| {
        let extra = |name: &str| {
            let path = format!("{prefix}{name}");
            made.extras.iter().find(|extra| extra.path == path)
        };
        let file =
            |name: &str| extra(name).map_or(File::Absent, |it| File::Content(it.content.clone()));
        let script = |name: &str| {
            extra(name).map_or(Script::Absent, |it| Script::Present {
                executable: true,
                head: Some(it.content.iter().take(HEAD_BYTES).copied().collect()),
                // The image has it, or what stands in for it.
                interpreter: Interpreter::Found,
            })
        };
        let name = made.name.as_str().into();
        Directory::of(name, dir.join(prefix), file, script)
    };
    let log = made.extras.iter().any(|extra| extra.path == "log/run");
    Directory {
        definition: File::Content(made.definition.clone().into_bytes()),
        log: log.then(|| Box::new(read("log/"))),
        ..read("")
    }
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
fn tally(screen: &mut String, plan: &[Planned<'_>], remarks: &[Remark], dry_run: bool) {
    if !dry_run {
        for Planned { dir, doing, .. } in plan {
            let _ = writeln!(screen, "{:9}  {}", doing.word(), dir.display());
        }
        screen.push('\n');
    }
    let mut parts = Vec::new();
    for word in ["new", "changed", "unchanged"] {
        let count = plan
            .iter()
            .filter(|planned| planned.doing.word() == word)
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
