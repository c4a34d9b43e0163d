//! Where a program's output went, and that all of it goes to the container's output now.

use crate::service::import::ini::Section;
use crate::service::import::native::template;
use crate::service::import::native::{Native, quoted};
use crate::service::import::percent::Holes;
use crate::service::import::reader::{Reader, Scope};

/// Where a stream went.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Went {
    /// To the container's stdout, or to a file that supervisord made up.
    Out,
    /// To its stderr.
    Err,
    /// Nowhere.
    Nowhere,
    /// To syslog.
    Syslog,
    /// To a file.
    File,
}

/// Reads the keys of both streams, and tells what becomes of them.
pub(super) fn read(reader: &mut Reader<'_>, section: &Section, scope: Scope<'_>, to: &mut Native) {
    let joined = reader.flag(section, "redirect_stderr", false);
    let stdout = stream(reader, section, "stdout", scope).unwrap_or(Went::Out);
    let stderr = stream(reader, section, "stderr", scope).unwrap_or(Went::Err);
    let silent = stdout == Went::Nowhere && (joined || stderr == Went::Nowhere);
    if silent {
        to.set("log", "format", &quoted("none"));
    }
    if joined && !silent {
        let apart = "stderr stays apart: `NAME ! line`, on the container's stderr";
        remark(reader, section, "redirect_stderr", apart, false);
    }
    for (name, went) in [("stdout", stdout), ("stderr", stderr)] {
        if silent || (joined && name == "stderr") {
            continue;
        }
        let key = format!("{name}_logfile");
        let own = format!("goes to the container's {name}");
        match went {
            Went::Out if name == "stderr" => remark(reader, section, &key, &own, false),
            Went::Err if name == "stdout" => remark(reader, section, &key, &own, false),
            Went::Out | Went::Err => {}
            Went::Nowhere => {
                let instead = format!("{own}: one stream alone is not dropped");
                remark(reader, section, &key, &instead, true);
            }
            Went::Syslog => {
                let instead = format!("{own}; `pidone ship` sends lines to a collector");
                remark(reader, section, &key, &instead, true);
            }
            Went::File => {
                let instead = format!("{own}, and stays in memory for `pidone logs`: no file");
                remark(reader, section, &key, &instead, true);
                for part in ["maxbytes", "backups"] {
                    let key = format!("{name}_logfile_{part}");
                    let instead = "without a file there is nothing to rotate";
                    remark(reader, section, &key, instead, true);
                }
            }
        }
    }
}

fn remark(reader: &mut Reader<'_>, section: &Section, key: &str, instead: &str, lost: bool) {
    if let Some(key) = section.key(key) {
        reader.remark(section, key, instead, lost);
    }
}

fn stream(
    reader: &mut Reader<'_>,
    section: &Section,
    name: &str,
    scope: Scope<'_>,
) -> Option<Went> {
    let (text, _) = reader.text(section, &format!("{name}_logfile"), scope)?;
    let text = template(&text, &Holes::default());
    let own = if name == "stdout" {
        Went::Out
    } else {
        Went::Err
    };
    Some(match &*text.to_lowercase() {
        "none" | "off" | "/dev/null" => Went::Nowhere,
        "auto" => own,
        "syslog" => Went::Syslog,
        "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" | "/proc/1/fd/1" => Went::Out,
        "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" | "/proc/1/fd/2" => Went::Err,
        _file => Went::File,
    })
}
