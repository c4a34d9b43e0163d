//! `pidone agent`: reads its file and its flags, and becomes the membership agent. Called as
//! `serf`, pidone takes `serf agent` and `serf members`.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::agent::config::flags::{Flags, USAGE};
use crate::agent::config::{Config, FILE, read};
use crate::agent::serve;
use crate::cli::print::{complain, remark, show};
use crate::diag::{Diagnostic, Severity};
use crate::os::files;
use crate::service::environment::Environment;

/// Bad definitions, as sysexits(3) has it: EX_CONFIG.
const CODE_CONFIG: u8 = 78;
/// Bad usage: EX_USAGE.
const CODE_USAGE: u8 = 64;
/// It could not begin, or go on.
const CODE_FAILED: u8 = 1;

/// The role. `args` are those behind `agent`.
pub fn run(args: &[OsString]) -> ExitCode {
    let args: Vec<String> = args
        .iter()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let flags = match Flags::read(&args) {
        Ok(flags) => flags,
        Err(fault) => {
            complain(&fault);
            return ExitCode::from(CODE_USAGE);
        }
    };
    if flags.help {
        let _ = show(USAGE);
        return ExitCode::SUCCESS;
    }
    let config = match configured(&flags) {
        Ok(config) => config,
        Err(faults) => {
            faults.iter().for_each(complain);
            return ExitCode::from(CODE_CONFIG);
        }
    };
    for flag in &flags.ignored {
        remark(&format!("`-{flag}` means nothing here, and is passed over"));
    }
    let name = config.name.as_ref().map(ToString::to_string);
    let name = name.unwrap_or_else(|| {
        let host = nix::unistd::gethostname().ok();
        host.and_then(|host| host.into_string().ok())
            .unwrap_or_else(|| "localhost".to_owned())
    });
    let env = std::env::vars_os();
    let env =
        env.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let reread = Box::new(move || configured(&flags));
    match serve::run(config, name, env.collect(), reread) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            complain(&Diagnostic::error(why));
            ExitCode::from(CODE_FAILED)
        }
    }
}

/// The file, and the flags over it. Without `--config` the file may be missing.
fn configured(flags: &Flags) -> Result<Config, Vec<Diagnostic>> {
    let environment: Environment = std::env::vars_os().collect();
    let path = flags.config.as_deref().unwrap_or(Path::new(FILE));
    let text = files::settings(path).map_err(|fault| vec![fault])?;
    if text.is_none() && flags.config.is_some() {
        let fault = format!(
            "cannot read `{}`: no such file or directory",
            path.display()
        );
        return Err(vec![Diagnostic::error(fault)]);
    }
    let (mut config, faults) = read(&text.unwrap_or_default(), path, &environment);
    if faults.iter().any(|fault| fault.severity == Severity::Error) {
        return Err(faults);
    }
    faults.iter().for_each(complain);
    flags.overlay(&mut config).map_err(|fault| vec![*fault])?;
    Ok(config)
}
