//! argv → role → exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use pidone::cli::init;
use pidone::os::signals;
use pidone::tools::exec;

fn main() -> ExitCode {
    signals::block_all();
    let args: Vec<OsString> = std::env::args_os().collect();
    match args.get(1).and_then(|a| a.to_str()) {
        Some("exec") => ExitCode::from(exec::run(&args[2..])),
        Some("init") => init::run(args[2..].to_vec()),
        _ => init::run(args[1..].to_vec()),
    }
}
