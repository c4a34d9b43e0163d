//! What only s6-rc's definitions know, for the tool `s6-rc`: a file of lines beside the live
//! directories.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use crate::service::definition::Kind;
use crate::service::overlay::IN_DATABASE;
use crate::service::s6rc::Compiled;
use crate::tools::s6::rc::{FILE, LIVE};
use crate::values::Name;

/// Writes it anew.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(compiled: &Compiled) -> io::Result<()> {
    fs::write(Path::new(LIVE).join(FILE), lines(compiled))
}

fn lines(compiled: &Compiled) -> String {
    let services = compiled.services.iter().map(|it| it.name.as_str());
    let stages = IN_DATABASE.iter().map(|(name, _)| *name);
    let atomics: BTreeSet<&str> = services.chain(stages).collect();
    // Whoever is in `services.d` is a service of PID 1's, and none of s6-rc's.
    let joined = |names: &[Name]| -> String {
        let known = names.iter().filter(|name| atomics.contains(name.as_str()));
        known.flat_map(|name| [" ", name.as_str()]).collect()
    };
    let mut text = String::new();
    // Writing to a string cannot fail.
    for service in &compiled.services {
        let (name, needs) = (&service.name, joined(&service.needs));
        let kind = match service.kind {
            Kind::Longrun => "longrun",
            Kind::Oneshot => "oneshot",
        };
        let _ = writeln!(text, "{kind} {name}\nneeds {name}{needs}");
    }
    for (name, needs) in IN_DATABASE {
        let needs: String = needs.iter().flat_map(|need| [" ", need]).collect();
        let _ = writeln!(text, "oneshot {name}\nneeds {name}{needs}");
    }
    for name in &compiled.essential {
        let _ = writeln!(text, "essential {name}");
    }
    for (name, members) in &compiled.bundles {
        if !atomics.contains(name.as_str()) {
            let _ = writeln!(text, "bundle {name}{}", joined(members));
        }
    }
    text
}
