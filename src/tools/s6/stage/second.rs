//! What images made for s6-overlay 2 look for: its names below `/run/s6`, and its exit code file.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::os::descriptors::write_all;
use crate::service::environment::Environment;
use crate::service::overlay::{EXIT_CODE, SCAN_DIR};

use super::scripts::STEPS;

/// The exit code file, by its older name.
const EXITED: &str = "env-stage3/S6_STAGE2_EXITED";

/// Each leads to what has another name today: `services` is what s6-svscan serves, `etc` holds what
/// the image has defined.
const NAMES: [(&str, &str); 3] = [("services", SCAN_DIR), ("etc", "/etc"), (EXITED, EXIT_CODE)];

/// Says something in the words of version 2: `[services.d] done.`
pub(super) fn say(stage: &str, text: &str) {
    // Nobody reads our stdout: then nobody misses it.
    let _ = write_all(1, format!("[{stage}] {text}\n").as_bytes());
}

/// A step of `services.d`, of which only version 2 tells.
pub(super) fn services(variables: &Environment, text: &str) {
    if super::is_second() && super::verbosity(variables) >= STEPS {
        say("services.d", text);
    }
}

/// Makes all of them.
///
/// # Errors
/// `/run/s6` cannot be written.
pub(super) fn name(root: &Path) -> io::Result<()> {
    for (name, target) in NAMES {
        let place = root.join(name);
        if let Some(dir) = place.parent() {
            fs::create_dir_all(dir)?;
        }
        if fs::symlink_metadata(&place).is_ok_and(|data| data.is_symlink()) {
            fs::remove_file(&place)?;
        }
        symlink(target, &place)?;
    }
    Ok(())
}
