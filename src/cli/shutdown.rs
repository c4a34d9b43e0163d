//! `pidone shutdown`: the container is to end.

use crate::cli::control::ask;
use crate::cli::{Answer, Trouble};
use crate::control::client::{Client, places};
use crate::control::protocol::Request;

/// What `pidone shutdown` takes.
#[derive(clap::Args)]
pub struct Args {
    /// The container's exit code; default: 0, or 137 if something had to be killed
    #[arg(long, value_name = "N")]
    code: Option<u8>,
}

/// Asks, and does not wait: whoever runs in the container ends with it.
///
/// # Errors
/// PID 1 refuses, or cannot be asked.
pub fn run(args: &Args) -> Result<Answer, Trouble> {
    let mut client = Client::connect(&places())?;
    ask(&mut client, &Request::Shutdown { code: args.code })?;
    Ok(Answer::Yes)
}
