//! A template that was read, and what it makes of data; what is wrong is told with its place.

use std::path::{Path, PathBuf};

use handlebars::{
    Handlebars, RenderError, RenderErrorReason, TemplateError, TemplateErrorReason, no_escape,
};

use crate::diag::{Diagnostic, Spot};
use crate::template::data::Data;
use crate::template::helpers;
use crate::template::output::Bounded;

/// The largest template, bytes: a configuration of thousands of lines written by hand.
pub const TEMPLATE_BYTES_MAX: u64 = 1 << 20;
/// The largest rendered file, bytes: 10,000 members of a kilobyte each.
const OUTPUT_BYTES_MAX: usize = 10 << 20;
/// Blocks and parentheses within each other: the engine's reader calls itself for each.
const DEPTH_MAX: usize = 64;
/// The engine's name of its only template.
const NAME: &str = "template";

/// Boxed, for it is many times as large as what a success gives.
type Fault = Box<Diagnostic>;

/// A template, read and ready.
pub struct Template {
    engine: Handlebars<'static>,
    path: PathBuf,
    source: String,
}

impl Template {
    /// Reads a template; `path` is named in what is told of it.
    ///
    /// # Errors
    /// Where its syntax is wrong, and how.
    pub fn parse(path: &Path, source: String) -> Result<Self, Fault> {
        if let Some(at) = too_deep(&source) {
            let error =
                Diagnostic::error(format!("more than {DEPTH_MAX} levels within each other"));
            return Err(error.at(path, Spot::of(&source, at..at)).into());
        }
        let mut engine = Handlebars::new();
        engine.set_strict_mode(true);
        engine.register_escape_fn(no_escape);
        helpers::register(&mut engine);
        match engine.register_template_string(NAME, &source) {
            Ok(()) => Ok(Self {
                engine,
                path: path.to_owned(),
                source,
            }),
            Err(error) => Err(misread(&error, path, &source).into()),
        }
    }

    /// The file's text.
    ///
    /// # Errors
    /// What the data lack or the template asks too much of, with its place.
    pub fn render(&self, data: &Data) -> Result<String, Fault> {
        let mut output = Bounded::new(OUTPUT_BYTES_MAX);
        let made = self.engine.render_to_write(NAME, data.value(), &mut output);
        match made {
            Ok(()) => String::from_utf8(output.bytes).map_err(|error| {
                Diagnostic::error(error.to_string())
                    .in_file(&self.path)
                    .into()
            }),
            Err(_) if output.is_full => {
                let size = OUTPUT_BYTES_MAX >> 20;
                Err(
                    Diagnostic::error(format!("the rendered file would be larger than {size} MiB"))
                        .in_file(&self.path)
                        .into(),
                )
            }
            Err(error) => Err(self.unrendered(&error, data).into()),
        }
    }

    fn unrendered(&self, error: &RenderError, data: &Data) -> Diagnostic {
        let told = told(error.reason(), data);
        match (error.line_no, error.column_no) {
            (Some(line), Some(column)) => {
                let (spot, wide) = (spot(&self.source, line, column), told.1);
                told.0.at(&self.path, widened(spot, wide.as_deref()))
            }
            (Some(_), None) | (None, Some(_) | None) => told.0.in_file(&self.path),
        }
    }
}

/// Where the source opens more than the reader should be asked to hold open.
fn too_deep(source: &str) -> Option<usize> {
    let (mut blocks, mut parentheses) = (0_usize, 0_usize);
    let mut last = ' ';
    for (at, c) in source.char_indices() {
        match (last, c) {
            ('{', '#') => blocks += 1,
            ('{', '/') => blocks = blocks.saturating_sub(1),
            (_, '(') => parentheses += 1,
            (_, ')') => parentheses = parentheses.saturating_sub(1),
            // Only those within a tag count for long.
            (_, '\n') => parentheses = 0,
            _ => {}
        }
        if blocks > DEPTH_MAX || parentheses > DEPTH_MAX {
            return Some(at);
        }
        last = c;
    }
    None
}

/// What went wrong while rendering, and the word of the template that is meant.
fn told(reason: &RenderErrorReason, data: &Data) -> (Diagnostic, Option<String>) {
    match reason {
        RenderErrorReason::MissingVariable(path) => {
            let path = path.as_deref().unwrap_or("value");
            let last = path.rsplit(['.', '/']).next().unwrap_or(path);
            let error = Diagnostic::error(format!("there is no `{path}`"));
            let names = data.names();
            let error = error.suggest(last, names.iter().copied().filter(|name| *name != last));
            let error = match error.hint {
                Some(_) => error,
                None => error.hint(format!(
                    "where it may be absent: {{{{default {path} \"\"}}}}"
                )),
            };
            (error, Some(path.to_owned()))
        }
        RenderErrorReason::HelperNotFound(name) => {
            let error = Diagnostic::error(format!("there is no helper `{name}`"));
            (error.suggest(name, helpers::NAMES), Some(name.clone()))
        }
        RenderErrorReason::PartialNotFound(name) => {
            let error = Diagnostic::error(format!("there is no partial `{name}`"));
            let hint =
                "a template is one file; an inline partial starts with {{#*inline \"NAME\"}}";
            (error.hint(hint), Some(name.clone()))
        }
        other => (Diagnostic::error(lower(&other.to_string())), None),
    }
}

fn misread(error: &TemplateError, path: &Path, source: &str) -> Diagnostic {
    let message = match error.reason() {
        TemplateErrorReason::MismatchingClosedHelper(opened, closed)
        | TemplateErrorReason::MismatchingClosedDecorator(opened, closed) => {
            format!("`{opened}` was opened, but `{closed}` is closed")
        }
        TemplateErrorReason::InvalidSyntax(_) => "this is no Handlebars syntax".to_owned(),
        TemplateErrorReason::InvalidParam(word) => format!("`{word}` is no argument"),
        other => lower(&other.to_string()),
    };
    let told = Diagnostic::error(message);
    let told = match error.reason() {
        TemplateErrorReason::InvalidSyntax(_) => {
            told.hint("each {{ needs its }}, each {{#block}} its {{/block}}")
        }
        _ => told,
    };
    match error.pos() {
        Some((line, column)) => told.at(path, spot(source, line, column)),
        None => told.in_file(path),
    }
}

/// The engine counts lines and columns from 1; a place behind the end is moved to the last line.
fn spot(source: &str, line: usize, column: usize) -> Spot {
    let starts = std::iter::once(0).chain(source.match_indices('\n').map(|(at, _)| at + 1));
    let start = starts.take(line.max(1)).last().unwrap_or(0);
    let rest = source.get(start..).unwrap_or_default();
    let text = rest.lines().next().unwrap_or_default();
    let ahead = text.chars().take(column.saturating_sub(1));
    let at = start + ahead.map(char::len_utf8).sum::<usize>();
    Spot::of(source, at..at)
}

/// The engine points to where the tag starts: the caret goes below the word that is meant.
fn widened(spot: Spot, word: Option<&str>) -> Spot {
    let Some(word) = word else { return spot };
    let start: usize = spot
        .text
        .chars()
        .take(spot.column - 1)
        .map(char::len_utf8)
        .sum();
    let rest = spot.text.get(start..).unwrap_or_default();
    match rest.find(word) {
        None => spot,
        Some(at) => Spot {
            column: spot.column + rest.get(..at).unwrap_or_default().chars().count(),
            width: word.chars().count().max(1),
            ..spot
        },
    }
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_lowercase().to_string());
    first.unwrap_or_default() + chars.as_str()
}
