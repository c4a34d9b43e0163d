//! The form of a supervisord.conf, as Python's configparser reads it: sections, keys, values that
//! go on in indented lines, comments after `;` and `#`.

use std::path::Path;

use crate::diag::{Diagnostic, Place, Spot};

/// The largest file that is read, bytes. Real ones have some kilobytes.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// So many faults of form are told of a file: it may be no such file at all.
const FAULTS_MAX: usize = 20;

/// The section whose keys all others have, too.
const DEFAULT: &str = "DEFAULT";

/// All that stands in a file and in those that it includes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Conf {
    /// In the order in which they were first met.
    pub sections: Vec<Section>,
}

/// A section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// What stands between the brackets.
    pub name: String,
    /// Where it was first met.
    pub place: Place,
    /// Its keys; of one that is there twice, the last.
    pub keys: Vec<Key>,
}

/// A key with its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// In small letters.
    pub name: String,
    /// The lines of its value, joined.
    pub value: String,
    /// Where it stands.
    pub place: Place,
}

impl Section {
    /// The key of this name.
    pub fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Conf {
    /// The section of this name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Adds what stands in a file. `here` is its directory, which `%(here)s` means in it.
    pub fn read(&mut self, path: &Path, here: &str, text: &str, faults: &mut Vec<Diagnostic>) {
        let mut reader = Reader {
            conf: self,
            path,
            here,
            open: None,
            indent: 0,
        };
        let allowed = faults.len() + FAULTS_MAX;
        for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            if let Err(fault) = reader.line(at + 1, line) {
                faults.push(*fault);
            }
            if faults.len() >= allowed {
                return;
            }
        }
    }

    /// Gives every section what `[DEFAULT]` says and it does not. To be called when all is read.
    pub fn settle(&mut self) {
        let Some(at) = self.sections.iter().position(|s| s.name == DEFAULT) else {
            return;
        };
        let default = self.sections.remove(at);
        for section in &mut self.sections {
            for key in &default.keys {
                if section.key(&key.name).is_none() {
                    section.keys.push(key.clone());
                }
            }
        }
    }
}

struct Reader<'a> {
    conf: &'a mut Conf,
    path: &'a Path,
    here: &'a str,
    /// The section, and the key in it whose value may go on.
    open: Option<(usize, Option<usize>)>,
    /// How far the last line that was no continuation stands in.
    indent: usize,
}

impl Reader<'_> {
    fn line(&mut self, number: usize, line: &str) -> Result<(), Box<Diagnostic>> {
        let told = without_comment(line);
        let content = told.trim();
        if content.is_empty() {
            // A comment within a value is no part of it, an empty line is.
            if line.trim().is_empty() {
                self.go_on("");
            }
            return Ok(());
        }
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        if indent > self.indent && self.go_on(content) {
            return Ok(());
        }
        self.indent = indent;
        let spot = Spot {
            line: number,
            column: indent + 1,
            width: content.chars().count(),
            text: line.to_owned(),
        };
        if let Some(end) = content.rfind(']').filter(|_| content.starts_with('[')) {
            let name = content.get(1..end).unwrap_or_default();
            self.open = Some((self.section(name, spot), None));
            return Ok(());
        }
        let fault = |what: &str, hint: &str| {
            let fault = Diagnostic::error(what).hint(hint);
            Box::new(fault.at(self.path, spot.clone()))
        };
        let Some((section, _)) = self.open else {
            return Err(fault(
                "a key before the first section",
                "a supervisord.conf begins with `[supervisord]`",
            ));
        };
        let Some((name, value)) = content.split_once(['=', ':']) else {
            return Err(fault(
                "neither a section nor a key",
                "write `KEY=VALUE`, or indent a line that goes on with a value",
            ));
        };
        let name = name.trim().to_lowercase();
        if name.is_empty() {
            return Err(fault("a value without a key", "write `KEY=VALUE`"));
        }
        self.key(section, name, value.trim(), spot);
        Ok(())
    }

    /// Adds a line to the value that is open, if one is.
    fn go_on(&mut self, content: &str) -> bool {
        let content = content.replace("%(here)s", self.here);
        let Some((section, Some(key))) = self.open else {
            return false;
        };
        let section = self.conf.sections.get_mut(section);
        if let Some(key) = section.and_then(|section| section.keys.get_mut(key)) {
            key.value.push('\n');
            key.value.push_str(&content);
        }
        true
    }

    /// The section of this name: a new one, or that which is there.
    fn section(&mut self, name: &str, spot: Spot) -> usize {
        let sections = &mut self.conf.sections;
        if let Some(at) = sections.iter().position(|section| section.name == name) {
            return at;
        }
        sections.push(Section {
            name: name.to_owned(),
            place: Place {
                path: self.path.to_owned(),
                spot: Some(spot),
            },
            keys: Vec::new(),
        });
        sections.len() - 1
    }

    fn key(&mut self, at: usize, name: String, value: &str, spot: Spot) {
        let Some(section) = self.conf.sections.get_mut(at) else {
            return;
        };
        let key = Key {
            name,
            value: value.replace("%(here)s", self.here),
            place: Place {
                path: self.path.to_owned(),
                spot: Some(spot),
            },
        };
        // The last one counts, and stands where it stands.
        section.keys.retain(|old| old.name != key.name);
        section.keys.push(key);
        self.open = Some((at, Some(section.keys.len() - 1)));
    }
}

/// The line without what stands behind `;` or `#`, where one of these begins a word.
fn without_comment(line: &str) -> &str {
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        if matches!(c, ';' | '#') && before.is_whitespace() {
            return line.get(..at).unwrap_or_default();
        }
        before = c;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Conf, Vec<String>) {
        let (mut conf, mut faults) = (Conf::default(), Vec::new());
        conf.read(Path::new("s.conf"), "/etc", text, &mut faults);
        conf.settle();
        let told = |fault: &Diagnostic| {
            let spot = fault.place.as_ref().and_then(|place| place.spot.clone());
            format!("{}: {}", spot.map_or(0, |spot| spot.line), fault.message)
        };
        (conf, faults.iter().map(told).collect())
    }

    fn keys(text: &str) -> Vec<(String, String)> {
        let (conf, faults) = read(text);
        assert_eq!(faults, Vec::<String>::new());
        let keys = conf.sections.iter().flat_map(|section| {
            let name = |key: &Key| format!("{}.{}", section.name, key.name);
            section
                .keys
                .iter()
                .map(move |key| (name(key), key.value.clone()))
        });
        keys.collect()
    }

    /// What `configparser.RawConfigParser(inline_comment_prefixes=(';', '#'), strict=False)` of
    /// Python 3.11 made of these texts.
    #[test]
    fn it_reads_as_pythons_does() {
        for (text, told) in [
            (
                "[a]\nK = v ; c\nl: w#x\n",
                &[("a.k", "v"), ("a.l", "w#x")][..],
            ),
            ("[a] junk\nk=v;w\n", &[("a.k", "v;w")]),
            (
                "[a]\nk=1\n  2\n\n  3\nl=4\n",
                &[("a.k", "1\n2\n\n3"), ("a.l", "4")],
            ),
            ("[a]\nk=1\n; c\n  # d\n  2 ; e\n", &[("a.k", "1\n2")]),
            (
                "[a]\nk=1\nk=2\n[b]\nl=3\n[a]\nm=4\n",
                &[("a.k", "2"), ("a.m", "4"), ("b.l", "3")],
            ),
            ("[DEFAULT]\nk=1\n[a]\nl=2\n", &[("a.l", "2"), ("a.k", "1")]),
            ("[a]\nk=%(here)s/x\nl=\n", &[("a.k", "/etc/x"), ("a.l", "")]),
            ("[a]\r\nk=v\r\n", &[("a.k", "v")]),
            ("  [a]\n  k=v\n  l=w\n", &[("a.k", "v"), ("a.l", "w")]),
        ] {
            let told: Vec<_> = told
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect();
            let mut read = keys(text);
            for (_, value) in &mut read {
                *value = value.trim_end().to_owned();
            }
            assert_eq!(read, told, "{text:?}");
        }
    }

    #[test]
    fn every_fault_has_its_line_and_there_is_an_end_to_them() {
        let (_, faults) = read("k=v\n[a]\nnonsense\n=v\nk=v\n");
        assert_eq!(
            faults,
            [
                "1: a key before the first section",
                "3: neither a section nor a key",
                "4: a value without a key"
            ]
        );
        assert_eq!(read(&"x\n".repeat(1000)).1.len(), FAULTS_MAX);
    }
}
