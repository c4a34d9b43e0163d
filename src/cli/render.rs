//! `pidone render`: a template and data, once, to stdout or in a file's place.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::agent::publish::swap::{Draft, resolved};
use crate::agent::wire::{Reply, Request};
use crate::cli::members::{At, ask};
use crate::cli::print::{complain, show};
use crate::cli::{Answer, Trouble};
use crate::diag::Diagnostic;
use crate::os::files;
use crate::template::data::Data;
use crate::template::engine::{TEMPLATE_BYTES_MAX, Template};
use crate::values::lists;

/// The largest file of data, bytes.
const DATA_BYTES_MAX: u64 = 16 << 20;

/// What `pidone render` takes.
#[derive(clap::Args)]
pub struct Args {
    /// The template, in Handlebars
    #[arg(value_name = "TEMPLATE")]
    template: PathBuf,
    /// What it can name: a JSON object, or @FILE; default: what the agent of this host knows
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// The file to replace, as a whole; default: stdout
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    to: Option<PathBuf>,
    /// Only tell whether it can be rendered
    #[arg(long)]
    check: bool,
}

/// The verb.
///
/// # Errors
/// The data make no sense, or the text cannot be written.
pub fn run(args: &Args) -> Result<Answer, Trouble> {
    let data = data(args.data.as_deref())?;
    let text = match text(&args.template, &data) {
        Ok(text) => text,
        Err(fault) => {
            complain(&fault);
            return Ok(Answer::No);
        }
    };
    match &args.to {
        _ if args.check => {}
        None => show(&text)?,
        Some(file) => {
            let target = resolved(file);
            let old = target
                .exists()
                .then(|| files::bounded(&target, DATA_BYTES_MAX));
            let old = old.and_then(Result::ok);
            if old.as_deref() == Some(text.as_bytes()) {
                return Ok(Answer::Yes);
            }
            let written = Draft::write(&target, text.as_bytes());
            if let Err(why) = written.and_then(|draft| draft.take(old.as_deref())) {
                complain(&Diagnostic::error(why));
                return Ok(Answer::No);
            }
        }
    }
    Ok(Answer::Yes)
}

fn text(path: &Path, data: &Data) -> Result<String, Box<Diagnostic>> {
    let fault = |why: &str| {
        let fault = format!("cannot read {}: {why}", path.display());
        Box::new(Diagnostic::error(fault))
    };
    let bytes = files::bounded(path, TEMPLATE_BYTES_MAX).map_err(|why| fault(&why))?;
    let source = String::from_utf8(bytes).map_err(|_| fault("it is not UTF-8"))?;
    Template::parse(path, source)?.render(data)
}

/// What was given, with the environment where it says nothing of its own.
fn data(given: Option<&str>) -> Result<Data, Trouble> {
    let usage = |why: String| {
        Trouble::Usage(Box::new(
            Diagnostic::error(why).hint("--data '{\"backends\": []}', or --data @FILE"),
        ))
    };
    let text = match given.map(|given| (given, given.strip_prefix('@'))) {
        None => {
            let at = At { socket: None };
            match ask(&at, &Request::Data)? {
                Reply::Data { data } => return Ok(Data::new(data)),
                Reply::Members { .. } | Reply::Status { .. } | Reply::Ok | Reply::Error { .. } => {
                    return Err(usage("the agent answered something else".to_owned()));
                }
            }
        }
        Some((given, None)) => given.to_owned(),
        Some((_, Some(path))) => {
            let bytes = files::bounded(Path::new(path), DATA_BYTES_MAX);
            let bytes = bytes.map_err(|why| usage(format!("cannot read {path}: {why}")))?;
            String::from_utf8(bytes).map_err(|_| usage(format!("{path} is not UTF-8")))?
        }
    };
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| usage(format!("the data are no JSON: {error}")))?;
    let Value::Object(mut all) = value else {
        return Err(usage("the data are no JSON object".to_owned()));
    };
    let env = std::env::vars_os().filter_map(|(name, value)| {
        Some((name.into_string().ok()?, value.into_string().ok()?.into()))
    });
    let env = Value::Object(lists::filled(env));
    all.entry("env").or_insert(env);
    Ok(Data::new(Value::Object(all)))
}
