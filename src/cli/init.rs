//! `pidone init`: the way to PID 1.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::cli::print;
use crate::diag::Diagnostic;

/// Bad usage of `init` and `exec` (EX_USAGE of sysexits.h).
const BAD_USAGE: u8 = 64;

/// Supervises until the container ends. `args` is what follows the verb.
pub fn run(_args: Vec<OsString>) -> ExitCode {
    not_built_yet("init")
}

/// For verbs that are named and not there.
pub fn not_built_yet(verb: &str) -> ExitCode {
    print::complain(&Diagnostic::error(format!(
        "`pidone {verb}` is not built yet"
    )));
    ExitCode::from(BAD_USAGE)
}
