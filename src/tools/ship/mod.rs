//! `pidone ship`: sends lines to a collector of logs, as JSON or RFC 5424, over TCP or UDP. A
//! service of its own: mostly the `log/run` of another. A collector that is slow or away never
//! holds up who writes the lines; what the bounded buffer has no room for is dropped and counted.

pub mod echo;

pub mod link;

pub mod others;

pub mod pump;

pub mod source;

pub mod tally;

pub mod target;

pub mod wire;

use std::io::{self, Write};
use std::time::Duration;

use crate::diag::Diagnostic;
use crate::os::ending::Ending;
use crate::os::reason::reason;
use crate::syslog::record::Format;
use crate::tools::ship::pump::{Pump, Shape};
use crate::tools::ship::source::Source;
use crate::tools::ship::target::Target;
use crate::values::span::{parse_size, parse_span};

/// The exit code when there is nothing to read from.
const CODE_FAILED: u8 = 1;
/// The smallest buffer: a line of the longest kind must fit.
const BUFFER_BYTES_MIN: u64 = 512 << 10;
/// The largest buffer: more belongs on a disk.
const BUFFER_BYTES_MAX: u64 = 1 << 30;

/// What `pidone ship` takes.
#[derive(clap::Args)]
pub struct Args {
    /// The collector: tcp://HOST:PORT or udp://HOST:PORT
    #[arg(long, value_name = "URL", value_parser = target)]
    to: Target,
    /// How a line is written
    #[arg(long, value_enum, default_value_t = FormatWord::Json)]
    format: FormatWord,
    /// Where lines come from: stdin, or pidone itself
    #[arg(long, value_enum, default_value_t = From::Stdin)]
    from: From,
    /// The service that lines of stdin are said to come from
    #[arg(long, value_name = "NAME", default_value = "pidone")]
    app: String,
    /// How much waits for the collector; the oldest lines above it are dropped and counted
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = buffer)]
    buffer: usize,
    /// Where lines of stdin go too, so that `docker logs` keeps them
    #[arg(long, value_enum, default_value_t = Also::Stdout)]
    also: Also,
    /// How long to go on sending when told to end
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = parse_span)]
    flush: Duration,
}

/// `--format`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum FormatWord {
    /// A JSON object
    Json,
    /// A syslog message as RFC 5424 has it
    Rfc5424,
}

/// `--from`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum From {
    /// The lines of stdin, as a service's log/run gets them
    Stdin,
    /// The lines of all services, as `pidone logs -f` shows them
    Logs,
    /// What happens to the services, as `pidone events -f --json` shows it
    Events,
}

/// `--also`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Also {
    /// To stdout
    Stdout,
    /// Nowhere
    None,
}

fn target(text: &str) -> Result<Target, String> {
    text.parse()
}

fn buffer(text: &str) -> Result<usize, String> {
    let bytes = parse_size(text)?;
    if !(BUFFER_BYTES_MIN..=BUFFER_BYTES_MAX).contains(&bytes) {
        return Err("from 512KiB to 1GiB".to_owned());
    }
    usize::try_from(bytes).map_err(|error| error.to_string())
}

/// The whole role; gives the exit code: 0 when it was told to end, or its lines have ended,
/// whatever became of them; that is in its last words.
pub fn run(args: &Args) -> u8 {
    let started = Ending::new()
        .map_err(|error| Diagnostic::error(format!("cannot hear signals: {}", reason(&error))))
        .and_then(|ending| Ok((ending, Source::open(args.from)?)));
    let (ending, source) = match started {
        Ok(started) => started,
        Err(fault) => {
            complain(&fault);
            return CODE_FAILED;
        }
    };
    let format = match args.format {
        FormatWord::Json => Format::Json,
        FormatWord::Rfc5424 => Format::Rfc5424,
    };
    // What comes from pidone has been on the output already: it would come round for ever.
    let echoes = args.also == Also::Stdout && args.from == From::Stdin;
    let shape = Shape {
        format,
        carrier: args.to.carrier,
        host: hostname(),
        app: args.app.clone(),
    };
    let sizes = (args.buffer, args.flush);
    let pump = Pump::new(shape, args.to.clone(), (ending, source), sizes, echoes);
    match pump.run() {
        Ok(()) => 0,
        Err(error) => {
            complain(&Diagnostic::error(format!(
                "cannot go on: {}",
                reason(&error)
            )));
            CODE_FAILED
        }
    }
}

/// The container's name; `localhost` where the system keeps it to itself.
fn hostname() -> String {
    let name = nix::unistd::gethostname().ok();
    let name = name.and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| "localhost".to_owned())
}

/// Writes to stderr, which is a line of the container's log.
fn complain(diagnostic: &Diagnostic) {
    // Nobody reads our stderr: then nobody misses it.
    let _ = io::stderr().write_all(diagnostic.to_string().as_bytes());
}

/// The same, for what is no fault.
fn remark(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}
