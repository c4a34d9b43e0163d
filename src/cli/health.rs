//! `pidone health`: one line and one exit code, for Docker's HEALTHCHECK.

use crate::cli::status::{note, tally};
use crate::cli::{Answer, Trouble, print};
use crate::control::client::{Client, places};
use crate::control::protocol::{ServiceStatus, State, Status};
use crate::diag::printable;

/// Asks, and says which services are not well.
///
/// # Errors
/// PID 1 cannot be asked.
pub fn run() -> Result<Answer, Trouble> {
    let mut client = Client::connect(&places())?;
    let (answer, line) = health(&client.status(vec![], false)?);
    print::show(&line)?;
    Ok(answer)
}

/// Whether every enabled service is well; which are not, in a line.
pub fn health(status: &Status) -> (Answer, String) {
    let ill: Vec<String> = status
        .services
        .iter()
        .filter(|service| service.enabled && service.schedule.is_none() && is_ill(service.state))
        .map(words)
        .collect();
    if ill.is_empty() {
        (Answer::Yes, format!("healthy: {}\n", tally(status)))
    } else {
        (Answer::No, format!("not healthy: {}\n", ill.join(", ")))
    }
}

/// One that is down or stopping is so because somebody wanted it.
fn is_ill(state: State) -> bool {
    match state {
        State::Failed
        | State::Waiting
        | State::Starting
        | State::Unready
        | State::Finishing
        | State::WaitingToRestart => true,
        State::Ready | State::Down | State::Stopping | State::Scheduled | State::Finished => false,
    }
}

fn words(service: &ServiceStatus) -> String {
    let why = note(service).map_or(String::new(), |note| format!(" ({note})"));
    format!("{} {}{why}", printable(&service.name), service.state)
}
