//! `pidone wait`: until services are ready, or down; and the stream of events by which every verb
//! waits for its result.

use std::time::Duration;

use crate::cli::goal::{Goal, Verdict, Watch};
use crate::cli::{Answer, Trouble, print};
use crate::control::client::{Client, Failure, Places, closed, places, unexpected};
use crate::control::protocol::{Refusal, Reply, Request, Status};
use crate::os::clock;
use crate::values::Moment;
use crate::values::span::parse_span;

/// What `pidone wait` takes.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    until: Until,
    /// The services; default: every enabled one
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Wait no longer than this, as 10s or 2m; default: for ever
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    timeout: Option<Duration>,
}

/// Exactly one of them.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Until {
    /// Wait until they are ready (or finished)
    #[arg(long)]
    ready: bool,
    /// Wait until they are down (or finished, or failed)
    #[arg(long)]
    down: bool,
}

/// Waits.
///
/// # Errors
/// PID 1 cannot be asked, or there is no such service.
pub fn run(args: &Args) -> Result<Answer, Trouble> {
    let limit = args
        .timeout
        .map(|timeout| (clock::now() + timeout, timeout));
    let goal = if args.until.ready {
        Goal::BeReady
    } else {
        Goal::BeDown
    };
    let stream = Stream::open(&places())?;
    check_names(&args.names, &stream.status)?;
    let mut answer = Answer::Yes;
    let mut watches = Vec::new();
    for service in &stream.status.services {
        let is_meant = if args.names.is_empty() {
            service.enabled
        } else {
            args.names.contains(&service.name)
        };
        if is_meant {
            match Watch::from_now(goal, service) {
                (watch, None) => watches.push(watch),
                (_, Some(verdict)) => report(&verdict, &mut answer)?,
            }
        }
    }
    stream.follow(watches, limit, answer)
}

fn check_names(names: &[String], status: &Status) -> Result<(), Trouble> {
    let known = || status.services.iter().map(|service| service.name.as_str());
    match names
        .iter()
        .find(|name| known().all(|known| known != *name))
    {
        None => Ok(()),
        Some(name) => Err(Failure::Refused(Refusal::unknown_service(name, known())).into()),
    }
}

/// Prints the result of one service, and makes it part of the answer.
///
/// # Errors
/// stdout cannot be written.
pub fn report(verdict: &Verdict, answer: &mut Answer) -> Result<(), Trouble> {
    let line = match verdict {
        Verdict::Yes(line) => line,
        Verdict::No(line) => {
            *answer = Answer::No;
            line
        }
    };
    print::show(&format!("{line}\n"))
}

/// The events from here on, after a picture of how things are.
pub struct Stream {
    places: Places,
    client: Client,
    status: Status,
}

impl Stream {
    /// Subscribes.
    ///
    /// # Errors
    /// PID 1 cannot be asked.
    pub fn open(places: &Places) -> Result<Self, Trouble> {
        let mut client = Client::connect(places)?;
        client.send(&Request::Events {
            last: Some(0),
            follow: true,
        })?;
        match client.next_now()? {
            Some(Reply::Status(status)) => Ok(Self {
                places: places.clone(),
                client,
                status,
            }),
            Some(other) => Err(unexpected(&other).into()),
            None => Err(closed().into()),
        }
    }

    /// Waits until each of `watches` has its verdict, printing them as they come. `limit` is the
    /// deadline and how long that is.
    ///
    /// # Errors
    /// The conversation breaks off; stdout cannot be written.
    pub fn follow(
        mut self,
        mut watches: Vec<Watch>,
        limit: Option<(Moment, Duration)>,
        mut answer: Answer,
    ) -> Result<Answer, Trouble> {
        while !watches.is_empty() {
            match self.client.next(limit.map(|(by, _)| by)) {
                Ok(Some(Reply::Event(event))) => {
                    settle(&mut watches, &mut answer, |watch| watch.take(&event))?;
                }
                Ok(Some(Reply::Skipped { .. })) => {
                    self = Self::open(&self.places)?;
                    let status = &self.status;
                    settle(&mut watches, &mut answer, |watch| {
                        let mut services = status.services.iter();
                        let now = services.find(|service| service.name == watch.name)?;
                        watch.resync(now)
                    })?;
                }
                Ok(Some(other)) => return Err(unexpected(&other).into()),
                Ok(None) => return Err(closed().into()),
                Err(Failure::Late) => {
                    let span = limit.map_or(Duration::ZERO, |(_, span)| span);
                    let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
                    settle(&mut watches, &mut answer, |watch| Some(watch.late(ms)))?;
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(answer)
    }
}

/// Reports those that have a verdict now, and keeps the others.
fn settle(
    watches: &mut Vec<Watch>,
    answer: &mut Answer,
    mut verdict: impl FnMut(&mut Watch) -> Option<Verdict>,
) -> Result<(), Trouble> {
    let mut open = Vec::new();
    for mut watch in watches.drain(..) {
        match verdict(&mut watch) {
            None => open.push(watch),
            Some(verdict) => report(&verdict, answer)?,
        }
    }
    *watches = open;
    Ok(())
}
