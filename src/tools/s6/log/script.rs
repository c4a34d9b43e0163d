//! s6-log's script: which lines go where. Pure, but for the C library's regular expressions.

use std::time::Duration;

use crate::os::regex::Regex;
use crate::tools::s6::call::{Bytes, Stop, USAGE, number, shown};

/// Folders are rotated at no less, and no more, bytes.
const SIZE_MIN: u64 = 4096;
const SIZE_MAX: u64 = 268_435_455;

/// How a line is selected.
#[derive(Debug)]
pub(super) enum Select {
    /// `f`: if nothing has happened to it yet.
    Rest,
    /// `+RE`: too.
    Add(Regex),
    /// `-RE`: not.
    Drop(Regex),
}

/// A selected line's way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// `1`: stdout.
    Out,
    /// `2`: stderr, no more than so many bytes of it.
    Alert(usize),
    /// `=FILE`: alone in a file of this size.
    File(Bytes, usize),
    /// A folder.
    Folder(Settings),
}

/// How a folder is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Settings {
    /// Where it is.
    pub(super) dir: Bytes,
    /// `nN`: how many old files stay.
    pub(super) files_max: usize,
    /// `sN`: at how many bytes it is rotated …
    pub(super) size: u64,
    /// `lN`: … or so many before that.
    pub(super) tolerance: u64,
    /// `SN`: how many bytes all old files may have; 0 is no limit.
    pub(super) total_max: u64,
    /// `rMS`: how long after a failure it is tried again.
    pub(super) retry: Duration,
    /// `!LINE`: what an old file goes through.
    pub(super) processor: Option<Bytes>,
}

/// One action, with the stamps before its lines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Action {
    pub(super) way: Way,
    /// `t`
    pub(super) tai: bool,
    /// `T`
    pub(super) local: bool,
}

/// Selections, and what happens to the selected.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) selects: Vec<Select>,
    pub(super) actions: Vec<Action>,
}

/// Reads the words of a script.
pub(super) fn read(words: &[Bytes]) -> Result<Vec<Step>, Stop> {
    let mut reader = Reader::default();
    for word in words {
        reader.word(word)?;
    }
    if !reader.step.actions.is_empty() {
        reader.steps.push(reader.step);
    }
    if reader.steps.is_empty() {
        return Err(Stop::fatal(USAGE, "no action directive specified"));
    }
    Ok(reader.steps)
}

struct Reader {
    steps: Vec<Step>,
    step: Step,
    settings: Settings,
    alert_max: usize,
    file_size: usize,
    tai: bool,
    local: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            step: Step::default(),
            settings: Settings {
                dir: Bytes::new(),
                files_max: 10,
                size: 99_999,
                tolerance: 2000,
                total_max: 0,
                retry: Duration::from_secs(2),
                processor: None,
            },
            alert_max: 200,
            file_size: 1001,
            tai: false,
            local: false,
        }
    }
}

impl Reader {
    fn word(&mut self, word: &[u8]) -> Result<(), Stop> {
        let bad = || Stop::fatal(USAGE, format!("unrecognized directive: {}", shown(word)));
        let syntax = || Stop::fatal(USAGE, format!("syntax error at directive: {}", shown(word)));
        let (first, rest) = word.split_first().ok_or_else(bad)?;
        let alone = || {
            if rest.is_empty() {
                Ok(())
            } else {
                Err(syntax())
            }
        };
        let regex = || Regex::new(rest, true).map_err(|_| bad());
        let settings = &mut self.settings;
        match first {
            b'f' => {
                alone()?;
                self.select(Select::Rest);
            }
            b'+' => self.select(Select::Add(regex()?)),
            b'-' => self.select(Select::Drop(regex()?)),
            b'n' => settings.files_max = number(rest).ok_or_else(bad)?,
            b's' => {
                settings.size = number::<u64>(rest)
                    .ok_or_else(bad)?
                    .clamp(SIZE_MIN, SIZE_MAX);
            }
            b'S' => settings.total_max = number(rest).ok_or_else(bad)?,
            b'l' => {
                settings.tolerance = number(rest).ok_or_else(bad)?;
                if settings.tolerance > settings.size / 2 {
                    return Err(conflict(word));
                }
            }
            b'r' => {
                let ms: u32 = number(rest).ok_or_else(bad)?;
                settings.retry = Duration::from_millis(ms.into());
            }
            b'!' => settings.processor = (!rest.is_empty()).then(|| rest.to_vec()),
            b'E' => self.alert_max = number(rest).ok_or_else(bad)?,
            b'^' => self.file_size = number(rest).ok_or_else(bad)?,
            b't' => {
                alone()?;
                self.tai = true;
            }
            b'T' => {
                alone()?;
                self.local = true;
            }
            b'1' => {
                alone()?;
                self.act(Way::Out);
            }
            b'2' => {
                alone()?;
                self.act(Way::Alert(self.alert_max));
            }
            b'=' if rest.is_empty() => return Err(syntax()),
            b'=' => self.act(Way::File(rest.to_vec(), self.file_size)),
            b'.' | b'/' => {
                let mut settings = settings.clone();
                settings.dir = word.to_vec();
                self.act(Way::Folder(settings));
            }
            _ => return Err(bad()),
        }
        Ok(())
    }

    /// A selection behind an action begins the next step.
    fn select(&mut self, select: Select) {
        if !self.step.actions.is_empty() {
            self.steps.push(std::mem::take(&mut self.step));
        }
        self.step.selects.push(select);
    }

    fn act(&mut self, way: Way) {
        self.step.actions.push(Action {
            way,
            tai: std::mem::take(&mut self.tai),
            local: std::mem::take(&mut self.local),
        });
    }
}

fn conflict(word: &[u8]) -> Stop {
    let text = format!(
        "directive {} conflicts with previous s directive",
        shown(word)
    );
    Stop::fatal(USAGE, text)
}

/// The numbers of the steps that a line goes through.
pub(super) fn taken(steps: &[Step], line: &[u8]) -> Vec<usize> {
    let mut selected = true;
    let mut taken = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        for select in &step.selects {
            match select {
                Select::Rest => selected = taken.is_empty(),
                Select::Add(regex) => selected = selected || regex.matches(line),
                Select::Drop(regex) => selected = selected && !regex.matches(line),
            }
        }
        if selected {
            taken.push(index);
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_line(script: &str) -> Result<Vec<Step>, Stop> {
        let words: Vec<Bytes> = script
            .split(' ')
            .map(|word| word.as_bytes().to_vec())
            .collect();
        read(&words)
    }

    #[test]
    fn settings_count_for_what_follows() {
        let steps = read_line("n5 s10000000 S30000000 T !gzip ./a n7 s1 t 1 +x -y /b f 2").unwrap();
        let folder = |step: usize, action: usize| match &steps[step].actions[action].way {
            Way::Folder(settings) => settings.clone(),
            other => panic!("{other:?}"),
        };
        let first = folder(0, 0);
        assert_eq!(
            (first.files_max, first.size, first.total_max),
            (5, 10_000_000, 30_000_000)
        );
        assert_eq!(first.processor, Some(b"gzip".to_vec()));
        let second = folder(1, 0);
        assert_eq!(
            (second.files_max, second.size, second.dir),
            (7, 4096, b"/b".to_vec())
        );
        assert!(steps[0].actions[0].local && !steps[0].actions[0].tai);
        assert!(steps[0].actions[1].tai && !steps[1].actions[0].tai);
        assert_eq!((steps.len(), steps[1].selects.len()), (3, 2));
    }

    #[test]
    fn bad_scripts_are_told() {
        for (script, told) in [
            ("", "unrecognized directive: "),
            ("n5", "no action directive specified"),
            ("nx 1", "unrecognized directive: nx"),
            ("+( 1", "unrecognized directive: +("),
            ("foo 1", "syntax error at directive: foo"),
            ("=", "syntax error at directive: ="),
            ("tt 1", "syntax error at directive: tt"),
            (
                "s4096 l3000 ./a",
                "directive l3000 conflicts with previous s directive",
            ),
        ] {
            assert_eq!(
                read_line(script).unwrap_err(),
                Stop::fatal(USAGE, told),
                "{script}"
            );
        }
    }

    #[test]
    fn lines_are_selected() {
        let steps = read_line("-.* +^a 1 -b 2 f =x").unwrap();
        assert_eq!(taken(&steps, b"apple"), [0, 1]);
        assert_eq!(taken(&steps, b"ab"), [0]);
        assert_eq!(taken(&steps, b"banana"), [2]);
        assert_eq!(taken(&steps, b"x\0a"), [2]);
    }
}
