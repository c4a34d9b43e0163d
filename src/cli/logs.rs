//! `pidone logs`: what services have written, merged by time. `|` stdout, `!` stderr, `*` pidone.

use crate::cli::print::{self, printable_line};
use crate::cli::{Answer, Trouble};
use crate::control::client::{Client, places, unexpected};
use crate::control::protocol::{Line, Reply, Request, Stream};
use crate::diag::printable;
use crate::values::lists;
use crate::values::stamp;

/// How many past lines of each service stand before those that follow, as in `tail -f`.
const LAST_BEFORE_FOLLOWING: u32 = 10;

/// Whose lines tell of pidone itself.
const PIDONE: &str = "pidone";

/// What `pidone logs` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Only these services; `pidone` is pidone itself
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Follow: go on with each line as it is written
    #[arg(short, long)]
    follow: bool,
    /// Show at most N past lines of each service; default: all that are kept, 10 with -f
    #[arg(short = 'n', value_name = "N")]
    last: Option<u32>,
}

/// Asks, and shows the lines.
///
/// # Errors
/// PID 1 cannot be asked, or there is no such service.
pub fn run(args: &Args) -> Result<Answer, Trouble> {
    let mut client = Client::connect(&places())?;
    let names = names(&mut client, &args.names)?;
    let screen = Screen {
        name_columns: names.iter().map(|name| name.chars().count()).max(),
        is_terminal: print::is_watched(),
    };
    if args.follow {
        follow(&mut client, args, &screen)
    } else {
        past(&mut client, &names, args.last, &screen)
    }
}

/// The services that are meant: those named, or all and pidone itself.
fn names(client: &mut Client, named: &[String]) -> Result<Vec<String>, Trouble> {
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    let status = client.status(vec![], false)?;
    let all = status.services.into_iter().map(|service| service.name);
    Ok(all.chain([PIDONE.to_owned()]).collect())
}

/// One service after the other, so that each answer is short enough for PID 1 to queue it whole;
/// then all of them in the order of time.
fn past(
    client: &mut Client,
    names: &[String],
    last: Option<u32>,
    screen: &Screen,
) -> Result<Answer, Trouble> {
    let mut lines = Vec::new();
    for name in names {
        client.send(&Request::Logs {
            names: vec![name.clone()],
            last,
            follow: false,
        })?;
        while let Some(part) = part(client.next_now()?)? {
            lines.push(part);
        }
    }
    lists::sort(&mut lines, |a, b| a.ts().cmp(b.ts()));
    let text: String = lines.iter().map(|part| screen.show(part)).collect();
    print::show(&text)?;
    Ok(Answer::Yes)
}

fn follow(client: &mut Client, args: &Args, screen: &Screen) -> Result<Answer, Trouble> {
    client.send(&Request::Logs {
        names: args.names.clone(),
        last: Some(args.last.unwrap_or(LAST_BEFORE_FOLLOWING)),
        follow: true,
    })?;
    while let Some(part) = part(client.next(None)?)? {
        print::show(&screen.show(&part))?;
    }
    Ok(Answer::Yes)
}

/// A part of the answer; `None` at its end, or when pidone has ended.
fn part(reply: Option<Reply>) -> Result<Option<Part>, Trouble> {
    match reply {
        None | Some(Reply::End) => Ok(None),
        Some(Reply::Line(line)) => Ok(Some(Part::Line(line))),
        Some(Reply::Skipped { ts, lines }) => Ok(Some(Part::Skipped { ts, lines })),
        Some(other) => Err(unexpected(&other).into()),
    }
}

/// A line of the screen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// Somebody wrote it.
    Line(Line),
    /// Something is missing here.
    Skipped {
        /// When that was noticed.
        ts: String,
        /// How many lines.
        lines: u64,
    },
}

impl Part {
    fn ts(&self) -> &str {
        match self {
            Self::Line(line) => &line.ts,
            Self::Skipped { ts, .. } => ts,
        }
    }
}

/// How lines are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Screen {
    /// The longest name.
    pub name_columns: Option<usize>,
    /// Whoever reads is a terminal, which must not be tricked; a file gets every byte.
    pub is_terminal: bool,
}

impl Screen {
    /// `07:58:45.102 web    | GET /health 200 1ms`, with its end.
    pub fn show(&self, part: &Part) -> String {
        match part {
            Part::Line(line) => {
                let mark = match line.stream {
                    Stream::Stdout => '|',
                    Stream::Stderr => '!',
                    Stream::Pidone => '*',
                };
                let text = if self.is_terminal {
                    printable_line(&line.text)
                } else {
                    line.text.clone()
                };
                self.row(&line.ts, &line.service, mark, &text)
            }
            Part::Skipped { ts, lines } => {
                let noun = if *lines == 1 { "line" } else { "lines" };
                let text = format!("this client fell behind: {lines} {noun} skipped");
                self.row(ts, PIDONE, '*', &text)
            }
        }
    }

    fn row(&self, ts: &str, name: &str, mark: char, text: &str) -> String {
        let columns = self.name_columns.unwrap_or(0).max(PIDONE.len());
        let (time, name) = (stamp::time_ms(ts), printable(name));
        let row = format!("{time} {name:<columns$} {mark} {text}");
        row.trim_end_matches(' ').to_owned() + "\n"
    }
}
