//! What a rescan has done.

use serde::{Deserialize, Serialize};

/// What has become of the services since the directories were read before; or, of a dry run, what
/// would. Each changed service is named once.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Rescanned {
    /// When, on the clock of [`crate::control::protocol::Event::mono_ms`].
    pub mono_ms: u64,
    /// Nothing was changed.
    pub dry_run: bool,
    /// New, or enabled again.
    pub started: Vec<String>,
    /// Their process is to be another one.
    pub restarted: Vec<String>,
    /// Gone (they vanish once they have stopped), or not enabled any more.
    pub stopped: Vec<String>,
    /// Their new definition is in force, and their process goes on if there is one.
    pub updated: Vec<String>,
    /// How many services are as they were.
    pub unchanged: u64,
    /// What is odd in the definitions, each as `pidone check` shows it.
    pub warnings: Vec<String>,
}
