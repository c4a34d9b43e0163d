//! What undoes a oneshot, when it is stopped after it has finished.

use std::time::Duration;

/// What undoes what a oneshot has done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Down {
    /// The command, run as the service runs.
    pub command: Vec<String>,
    /// It is killed after this; `None` waits for ever (the container's own deadline stands).
    pub timeout: Option<Duration>,
}
