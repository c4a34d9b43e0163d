//! `cont-init.d` and `cont-finish.d`: scripts that run one after the other, in the order of names.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::service::environment::Environment;
use crate::service::overlay;
use crate::tools::s6::tell;

use super::{is_second, run, second, verbosity, word};

/// From this verbosity on each step is told.
pub(super) const STEPS: u32 = 2;
/// A script that fails ends the boot.
const STRICT: i64 = 2;

/// `cont-init.d`, before any service; with `S6_BEHAVIOUR_IF_STAGE2_FAILS` at 2 its first failure is
/// that of the stage.
pub(super) fn at_start(variables: &Environment) -> u8 {
    let behaviour = behaviour(variables);
    let mut failed = false;
    let teller = Teller::of("cont-init", variables);
    teller.say("executing container initialization scripts...");
    for script in scripts(&beside_services(variables, "cont-init.d")) {
        if each(teller, &script, variables, 0) == 0 {
            continue;
        }
        failed = true;
        if behaviour >= STRICT {
            break;
        }
    }
    teller.say("done.");
    if failed && behaviour > 0 {
        tell(b"cont-init", "warning: some scripts exited nonzero");
    }
    u8::from(failed && behaviour >= STRICT)
}

/// `cont-finish.d`, when the services are gone; each for at most S6_KILL_FINISH_MAXTIME.
pub(super) fn at_end(variables: &Environment) -> u8 {
    let said = variables.get("S6_KILL_FINISH_MAXTIME");
    let limit: u32 = said
        .and_then(|value| value.to_str()?.trim().parse().ok())
        .unwrap_or(0);
    let teller = Teller::of("cont-finish", variables);
    teller.say("executing container finish scripts...");
    for script in scripts(&beside_services(variables, "cont-finish.d")) {
        each(teller, &script, variables, limit.div_ceil(1000));
    }
    teller.say("done.");
    0
}

/// A directory of the image, or of its profile.
pub(super) fn beside_services(variables: &Environment, name: &str) -> PathBuf {
    overlay::Sources::of(variables)
        .services
        .with_file_name(name)
}

/// `S6_BEHAVIOUR_IF_STAGE2_FAILS`: 0 goes on, 1 says so, 2 ends the container.
pub(super) fn behaviour(variables: &Environment) -> i64 {
    let said = variables.get("S6_BEHAVIOUR_IF_STAGE2_FAILS");
    let said = said.and_then(|value| value.to_str());
    said.and_then(|value| value.trim().parse().ok())
        .unwrap_or(0)
}

/// Who tells of scripts, and in which words: logs are searched for those of the version that the
/// image was made for.
#[derive(Clone, Copy)]
struct Teller {
    stage: &'static str,
    verbosity: u32,
    is_second: bool,
}

impl Teller {
    fn of(stage: &'static str, variables: &Environment) -> Self {
        Self {
            stage,
            verbosity: verbosity(variables),
            is_second: is_second(),
        }
    }

    /// What only version 2 says: `[cont-init.d] done.`
    fn say(self, text: &str) {
        if self.is_second && self.verbosity >= STEPS {
            second::say(&format!("{}.d", self.stage), text);
        }
    }

    fn begins(self, script: &Path) {
        let name = script.file_name().unwrap_or_default().display();
        if self.is_second {
            self.say(&format!("{name}: executing... "));
        } else if self.verbosity >= STEPS {
            self.tell(&format!("info: running {}", script.display()));
        }
    }

    fn ended(self, script: &Path, code: u8) {
        let name = script.file_name().unwrap_or_default().display();
        if self.verbosity < STEPS {
            if self.verbosity > 0 && code != 0 {
                self.tell(&format!("warning: {} exited {code}", script.display()));
            }
        } else if self.is_second {
            self.say(&format!("{name}: exited {code}."));
        } else {
            self.tell(&format!("info: {} exited {code}", script.display()));
        }
    }

    fn tell(self, text: &str) {
        tell(self.stage.as_bytes(), text);
    }
}

/// Runs one script, for at most so many seconds if that is not 0; gives its code.
fn each(teller: Teller, script: &Path, variables: &Environment, seconds: u32) -> u8 {
    teller.begins(script);
    match run(vec![word(script)], variables, seconds) {
        Ok(exit) => {
            teller.ended(script, exit.code());
            exit.code()
        }
        Err(why) => {
            teller.tell(&format!("warning: cannot run {}: {why}", script.display()));
            126
        }
    }
}

/// The files of a directory in the order of names. One without the run bit is made one that has it,
/// as s6-overlay 2 does, or is run all the same by its interpreter.
fn scripts(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| !name.to_string_lossy().starts_with('.'))
        })
        .collect();
    files.sort_unstable();
    for file in &files {
        if let Ok(data) = fs::metadata(file)
            && data.permissions().mode() & 0o111 == 0
        {
            // Where that is not ours to change, its start tells.
            let _ = fs::set_permissions(file, fs::Permissions::from_mode(0o755));
        }
    }
    files
}
