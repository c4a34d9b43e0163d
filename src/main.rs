//! argv → role → exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use pidone::os::signals;
use pidone::tools;

fn main() -> ExitCode {
    // First of all, so that an order to stop that comes during the boot is seen.
    signals::block_all();
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    match args.split_first() {
        Some((role, args)) if role == "exec" => ExitCode::from(tools::exec::run(args)),
        _ => ExitCode::SUCCESS,
    }
}
