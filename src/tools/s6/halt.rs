//! `halt`, `poweroff`, `reboot`, `shutdown`, as images call them by `/run/s6/basedir/bin`: the end
//! of the container, whichever it is.

use crate::control::client::{Client, places};
use crate::control::protocol::Request;
use crate::os::kill;
use crate::tools::s6::call::{Call, Done, Outcome, Stop};
use crate::values::{Pid, Signal};

/// Asks PID 1 for the end, by its socket or else by a signal. Asking again while it ends is fine.
pub(crate) fn halt(_call: Call) -> Outcome {
    let asked = Client::connect(&places())
        .and_then(|mut client| client.ask(&Request::Shutdown { code: None }));
    if asked.is_ok() {
        return Ok(Done::Exit(0));
    }
    let first = Pid::new(1).map(|first| kill::process(first, Signal::TERM));
    match first {
        Some(Err(error)) => Err(Stop::unable("signal process 1", error)),
        Some(Ok(())) | None => Ok(Done::Exit(0)),
    }
}
