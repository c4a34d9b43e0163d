//! `pidone check`: every fault of every definition, then the tally.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::diag::{Diagnostic, Severity};
use crate::os::{files, programs};
use crate::service::definition::Service;
use crate::service::environment::Environment;
use crate::service::program::{Seen, Sought};
use crate::service::settings::{self, Settings};
use crate::service::{order, set};
use crate::supervisor::crew::{Sources, Style};

/// A screen, and the code that the command exits with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Screen {
    /// What is written to stdout: the faults are the data here.
    pub text: String,
    /// 0, or 1 if there are errors.
    pub code: u8,
}

/// Checks these directories, or those of the settings if there are none, and prints the screen.
pub fn run(dirs: &[PathBuf], user_known: &dyn Fn(&str) -> Result<(), String>) -> ExitCode {
    let environment: Environment = std::env::vars_os().collect();
    let path = Path::new(settings::FILE);
    let (file, mut found) = match files::settings(path) {
        Ok(file) => (file, Vec::new()),
        Err(fault) => (None, vec![fault]),
    };
    let (mut settings, faults) =
        settings::read(&environment, file.as_deref().map(|text| (path, text)));
    found.extend(faults);
    if !dirs.is_empty() {
        dirs.clone_into(&mut settings.services);
    } else if let style @ Style::Overlay { .. } = Style::of_image() {
        let screen = overlay(style, found, &environment);
        let _ = std::io::stdout().write_all(screen.text.as_bytes());
        return ExitCode::from(screen.code);
    }
    // Whoever names directories may do so far from the image that they are for.
    let image = |sought: &Sought| match dirs {
        [] => programs::look(sought),
        _elsewhere => Seen::Runs,
    };
    let screen = screen(&settings, found, &environment, user_known, &image);
    // A reader that has gone away has seen what it wanted; the code still says what was found.
    let _ = std::io::stdout().write_all(screen.text.as_bytes());
    ExitCode::from(screen.code)
}

/// The services of these directories; if there are errors, the screen that tells of them.
///
/// # Errors
/// What is wrong with them.
pub fn read(dirs: &[PathBuf]) -> Result<Vec<Service>, Screen> {
    let environment: Environment = std::env::vars_os().collect();
    // Who is in the users' database does not matter to who needs whom.
    let anybody = |_: &str| Ok(());
    let source = files::services(dirs);
    let loaded = set::load(&source.directories, &environment, &anybody, &files::zone);
    if loaded.has_errors() || !source.diagnostics.is_empty() {
        let settings = Settings {
            services: dirs.to_vec(),
            ..Settings::default()
        };
        let anything = |_: &Sought| Seen::Runs;
        let screen = screen(&settings, Vec::new(), &environment, &anybody, &anything);
        return Err(screen);
    }
    Ok(loaded.services)
}

/// The screen for these settings, below what is already found wrong with them.
pub fn screen(
    settings: &Settings,
    mut found: Vec<Diagnostic>,
    environment: &Environment,
    user_known: &dyn Fn(&str) -> Result<(), String>,
    program: &dyn Fn(&Sought) -> Seen,
) -> Screen {
    let source = files::services(&settings.services);
    let loaded = set::inspect(
        &source.directories,
        environment,
        user_known,
        &files::zone,
        program,
    );
    let budget = order::stop_budget(&loaded, settings.stop_timeout);
    let services = source.directories.len();
    let nothing_read = !source.diagnostics.is_empty();
    found.extend(source.diagnostics);
    let usable = !loaded.has_errors();
    found.extend(loaded.diagnostics);
    found.extend(budget.filter(|_| usable));
    if services == 0 && !nothing_read {
        let roots: Vec<String> = settings
            .services
            .iter()
            .map(|root| root.display().to_string())
            .collect();
        found.push(Diagnostic::warning(format!(
            "no services in {}",
            roots.join(", ")
        )));
    }
    told(&found, services)
}

/// The screen for an image made for s6-overlay, below what is already found wrong.
fn overlay(style: Style, mut found: Vec<Diagnostic>, environment: &Environment) -> Screen {
    let mut sources = Sources {
        dirs: Vec::new(),
        command: Vec::new(),
        style,
    };
    sources.begin();
    let crew = sources.read(environment, &mut found);
    told(&found, crew.services.len())
}

/// All of these, and the tally of so many services.
fn told(found: &[Diagnostic], services: usize) -> Screen {
    let mut text = String::new();
    for fault in found {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{fault}");
    }
    let count = |severity| {
        found
            .iter()
            .filter(|fault| fault.severity == severity)
            .count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let _ = writeln!(text, "{}", tally(services, errors, warnings));
    Screen {
        text,
        code: u8::from(errors > 0),
    }
}

/// The last line.
fn tally(services: usize, errors: usize, warnings: usize) -> String {
    let some = |count: usize, word: &str| {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {word}{plural}")
    };
    let result = match (errors, warnings) {
        (0, 0) => "no faults".to_owned(),
        (_, 0) => some(errors, "error"),
        (0, _) => some(warnings, "warning"),
        _ => format!("{}, {}", some(errors, "error"), some(warnings, "warning")),
    };
    format!("{} checked: {result}", some(services, "service"))
}
