//! Keys as values: expanded, parsed, and what is wrong with them or becomes of them written down.

use crate::diag::{Diagnostic, nearest};
use crate::service::import::ini::{Conf, Key, Section};
use crate::service::import::keys::{self, Fate, NO};
use crate::service::import::percent::{Holes, Known, Part};
use crate::service::import::{Imported, Remark, order};
use crate::values::lists;

/// So much of a value is repeated in a remark.
const SHOWN_MAX: usize = 60;

/// What expansions mean at a place.
#[derive(Clone, Copy, Default)]
pub(super) struct Scope<'a> {
    /// `program_name`.
    pub(super) program: Option<&'a str>,
    /// `group_name`.
    pub(super) group: Option<&'a str>,
    /// `process_num`, and `numprocs`.
    pub(super) number: Option<(i64, i64)>,
}

impl Scope<'_> {
    fn known(&self, name: &str) -> Option<Known> {
        let text = |text: Option<&str>| text.map(|text| Known::Text(text.to_owned()));
        match name {
            "program_name" => text(self.program),
            "group_name" => text(self.group),
            "process_num" => self.number.map(|(number, _)| Known::Number(number)),
            "numprocs" => self.number.map(|(_, count)| Known::Number(count)),
            // Docker gives it to every container, and supervisord asked the kernel for the same.
            "host_node_name" => Some(Known::Variable("HOSTNAME".into())),
            name => {
                let name = name.strip_prefix("ENV_")?;
                Some(Known::Variable(name.to_owned()))
            }
        }
    }
}

/// Reads keys, and keeps what is to be told.
pub(super) struct Reader<'a> {
    /// All that was read.
    pub(super) conf: &'a Conf,
    /// The variables of whoever imports.
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    /// Those of the container, that texts refer to.
    pub(super) holes: Holes,
    /// What is told.
    pub(super) told: Imported,
}

impl Reader<'_> {
    /// What is wrong with a key.
    pub(super) fn fault(&mut self, key: &Key, fault: Diagnostic) {
        let place = Some(key.place.clone());
        self.told.faults.push(Diagnostic { place, ..fault });
    }

    /// What becomes of a key.
    pub(super) fn remark(&mut self, section: &Section, key: &Key, instead: &str, lost: bool) {
        let mut value: String = key.value.chars().take(SHOWN_MAX).collect();
        if value.len() < key.value.len() {
            value.push('…');
        }
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        let what = format!("[{}] {} = {value}", section.name, key.name);
        self.told.remarks.push(Remark {
            place: key.place.clone(),
            what,
            instead: instead.to_owned(),
            lost,
        });
    }

    /// What becomes of a section as a whole.
    pub(super) fn remark_section(&mut self, section: &Section, instead: &str, lost: bool) {
        self.told.remarks.push(Remark {
            place: section.place.clone(),
            what: format!("[{}]", section.name),
            instead: instead.to_owned(),
            lost,
        });
    }

    /// The value of a key, with holes for what only the container knows.
    pub(super) fn text<'k>(
        &mut self,
        section: &'k Section,
        name: &str,
        scope: Scope<'_>,
    ) -> Option<(String, &'k Key)> {
        let key = section.key(name)?;
        match self.holes.expand(&key.value, &|name| scope.known(name)) {
            Ok(text) => Some((text.trim().to_owned(), key)),
            Err(why) => {
                let fault = format!("cannot expand `{name}` of [{}]: {why}", section.name);
                self.fault(key, Diagnostic::error(fault));
                None
            }
        }
    }

    /// The value of a key that must be known now: variables have the values of whoever imports.
    pub(super) fn fixed<'k>(
        &mut self,
        section: &'k Section,
        name: &str,
        scope: Scope<'_>,
    ) -> Option<(String, &'k Key)> {
        let (text, key) = self.text(section, name, scope)?;
        let mut out = String::new();
        let mut used: Vec<String> = Vec::new();
        for part in self.holes.parts(&text) {
            match part {
                Part::Char(c) => out.push(c),
                Part::Variable(name, _) => {
                    let value = (self.variable)(name);
                    out.push_str(value.as_deref().unwrap_or_default());
                    let mark = if value.is_some() { "" } else { "?" };
                    used.push(format!("{name}{mark}"));
                }
            }
        }
        if let Some(unset) = used.iter().find_map(|name| name.strip_suffix('?')) {
            let fault =
                format!("`{name}` depends on the variable `{unset}`, which is not set here");
            let hint = format!("it is decided now, not at each start: {unset}=… pidone import …");
            self.fault(key, Diagnostic::error(fault).hint(hint));
            return None;
        }
        if !used.is_empty() {
            let now = format!("fixed as `{out}`, by the environment of this import");
            self.remark(section, key, &now, true);
        }
        Some((out, key))
    }

    /// The same, parsed; the default if there is none, or if it is wrong.
    pub(super) fn parsed<T>(
        &mut self,
        section: &Section,
        name: &str,
        default: T,
        takes: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> T {
        let program = section.name.split_once(':').map(|(_, name)| name.trim());
        let scope = Scope {
            program,
            ..Scope::default()
        };
        let Some((text, key)) = self.fixed(section, name, scope) else {
            return default;
        };
        parse(&text).unwrap_or_else(|| {
            let fault = Diagnostic::error(format!("`{name}` must be {takes}, not `{text}`"));
            self.fault(key, fault);
            default
        })
    }

    /// A whole number from this one to that one.
    pub(super) fn whole(
        &mut self,
        section: &Section,
        name: &str,
        default: i64,
        bounds: std::ops::RangeInclusive<i64>,
    ) -> i64 {
        let takes = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        let parse = |text: &str| text.parse().ok().filter(|number| bounds.contains(number));
        self.parsed(section, name, default, &takes, parse)
    }

    /// A flag.
    pub(super) fn flag(&mut self, section: &Section, name: &str, default: bool) -> bool {
        self.parsed(section, name, default, "true or false", flag)
    }

    /// Tells of the keys of a section that need no more than their row.
    pub(super) fn tell(&mut self, section: &Section, rows: &[(&str, Fate)]) {
        for key in &section.keys {
            match keys::fate(rows, &key.name) {
                Some(Fate::Read | Fate::Quiet) => {}
                Some(Fate::Otherwise(instead)) => self.remark(section, key, instead, false),
                Some(Fate::Lost(instead)) => {
                    if !NO.contains(&&*key.value.trim().to_lowercase()) {
                        self.remark(section, key, instead, true);
                    }
                }
                None => {
                    let near = nearest(&key.name, rows.iter().map(|(name, _)| *name));
                    let near =
                        near.map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"));
                    let instead = format!("supervisord knows no such key, and ignores it{near}");
                    self.remark(section, key, &instead, false);
                }
            }
        }
    }

    /// All that is to be told, in order, each once: the processes of a program share their lines.
    pub(super) fn done(self) -> Imported {
        let mut told = self.told;
        lists::sort_by_key(&mut told.remarks, |remark| order(&remark.place));
        told.remarks.dedup();
        let place = |fault: &Diagnostic| fault.place.as_ref().map(order);
        lists::sort_by_key(&mut told.faults, place);
        told.faults.dedup();
        if !told.faults.is_empty() {
            told.services.clear();
        }
        lists::sort_by_key(&mut told.services, |made| made.name.clone());
        told
    }
}

/// What Python's supervisor takes for a boolean.
pub(super) fn flag(text: &str) -> Option<bool> {
    match &*text.to_lowercase() {
        "yes" | "true" | "on" | "1" => Some(true),
        "no" | "false" | "off" | "0" => Some(false),
        _neither => None,
    }
}
