//! What we tell people about their files: a fault (or a warning), its place, and the next step.

use std::fmt;
use std::path::PathBuf;

/// Whether a diagnostic stops the boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// The definitions cannot be used.
    Error,
    /// They can, but somebody should look.
    Warning,
}

/// A stretch of one line of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The file, as the user would name it.
    pub path: PathBuf,
    /// Line and column, both from 1; the column counts characters. `None`: the file as a whole.
    pub spot: Option<Spot>,
}

/// Where in a file, with the line itself, so that it can be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spot {
    /// The line's number, from 1.
    pub line: usize,
    /// The first character's column, from 1.
    pub column: usize,
    /// How many characters are meant; at least 1.
    pub width: usize,
    /// The whole line, without its end.
    pub text: String,
}

impl Spot {
    /// The spot of the bytes `range` in `source`, cut at the end of its first line. Any range is
    /// fine: one outside the source, or inside a character, is moved to what is there.
    pub fn of(source: &str, range: std::ops::Range<usize>) -> Self {
        let floor = |mut at: usize| {
            at = at.min(source.len());
            while !source.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let (start, end) = (floor(range.start), floor(range.end.max(range.start)));
        let before = source.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let text = source
            .get(line_start..)
            .unwrap_or_default()
            .lines()
            .next()
            .unwrap_or_default();
        let inside = source
            .get(start..end)
            .unwrap_or_default()
            .lines()
            .next()
            .unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            width: inside.chars().count().max(1),
            text: text.to_owned(),
        }
    }

    /// What is shown of the line: what is meant, with what stands before and after it. A line may
    /// be as long as its file, and a terminal would show nothing else.
    fn shown(&self) -> (String, String, String) {
        let chars = || self.text.chars();
        let start = self.column.saturating_sub(1);
        let skipped = start.saturating_sub(BEFORE_MAX);
        let before: String = chars().skip(skipped).take(start - skipped).collect();
        let meant: String = chars().skip(start).take(self.width).collect();
        let after: String = chars().skip(start + self.width).collect();
        let cut = |text: &str, max: usize| {
            let mut shown: String = text.chars().take(max).collect();
            if shown.len() < text.len() {
                shown.push('…');
            }
            printable(&shown)
        };
        let lead = if skipped > 0 { "…" } else { "" };
        let meant = cut(&meant, MEANT_MAX);
        let after = if meant.ends_with('…') {
            String::new()
        } else {
            cut(&after, AFTER_MAX)
        };
        (format!("{lead}{}", printable(&before)), meant, after)
    }
}

/// So many characters of a line are shown before what is meant, of that, and behind it: lines that
/// people write are shown whole.
const BEFORE_MAX: usize = 120;
const MEANT_MAX: usize = 120;
const AFTER_MAX: usize = 120;

/// One finding about the user's files, printed as `pidone check` shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// Does it stop the boot?
    pub severity: Severity,
    /// Lower case, no full stop; names the thing.
    pub message: String,
    /// Where it is.
    pub place: Option<Place>,
    /// What to write behind the caret.
    pub label: Option<String>,
    /// The next step.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error without a place yet.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            place: None,
            label: None,
            hint: None,
        }
    }

    /// A warning without a place yet.
    pub fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message)
        }
    }

    /// The same, in this file as a whole.
    #[must_use]
    pub fn in_file(self, path: impl Into<PathBuf>) -> Self {
        Self {
            place: Some(Place {
                path: path.into(),
                spot: None,
            }),
            ..self
        }
    }

    /// The same, at this spot of this file.
    #[must_use]
    pub fn at(self, path: impl Into<PathBuf>, spot: Spot) -> Self {
        Self {
            place: Some(Place {
                path: path.into(),
                spot: Some(spot),
            }),
            ..self
        }
    }

    /// The same, with a word behind the caret.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        Self {
            label: Some(label.into()),
            ..self
        }
    }

    /// The same, with the next step.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// The same, asking whether the nearest of `candidates` was meant, if one is near.
    #[must_use]
    pub fn suggest<'a>(self, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(word, candidates) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

/// How many of these stop the boot.
pub fn errors(found: &[Diagnostic]) -> usize {
    let is_error = |one: &&Diagnostic| one.severity == Severity::Error;
    found.iter().filter(is_error).count()
}

/// How many columns a tab takes in what we print.
const TAB: &str = "    ";

/// The text as it may reach a terminal: a character that would move the cursor or colour the
/// screen is shown as `�`.
pub fn printable(text: &str) -> String {
    let plain = |c: char| {
        if c.is_control() && c != '\t' {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars()
        .map(plain)
        .collect::<String>()
        .replace('\t', TAB)
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{word}: {}", printable(&self.message))?;
        if let Some(place) = &self.place {
            write!(f, " --> {}", printable(&place.path.to_string_lossy()))?;
            match &place.spot {
                None => writeln!(f)?,
                Some(spot) => {
                    writeln!(f, ":{}:{}", spot.line, spot.column)?;
                    let gutter = " ".repeat(spot.line.to_string().len());
                    let (before, meant, after) = spot.shown();
                    let lead = " ".repeat(before.chars().count());
                    let caret = "^".repeat(meant.trim_end_matches('…').chars().count().max(1));
                    writeln!(f, "{gutter} |")?;
                    writeln!(f, "{} | {before}{meant}{after}", spot.line)?;
                    let label = self
                        .label
                        .as_ref()
                        .map_or(String::new(), |l| format!(" {l}"));
                    writeln!(f, "{gutter} | {lead}{caret}{}", printable(&label))?;
                }
            }
        }
        match &self.hint {
            Some(hint) => writeln!(f, "hint: {}", printable(hint)),
            None => Ok(()),
        }
    }
}

/// The candidate that `word` is most likely a slip of: at most a third of its letters differ, where
/// two neighbours changing places count once (Damerau–Levenshtein, restricted).
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Of a word of two letters too little would be left.
    let allowed = word.chars().count() / 3;
    candidates
        .into_iter()
        .map(|candidate| {
            (
                distance(&word.to_lowercase(), &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be added, dropped, changed or swapped with a neighbour.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
    let mut two_back: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let swapped = i > 0 && j > 0 && from.get(i - 1) == Some(b) && to.get(j - 1) == Some(a);
            let swap = if swapped {
                cell(&two_back, j - 1) + 1
            } else {
                usize::MAX
            };
            let change = cell(&last, j) + usize::from(a != b);
            let best = change
                .min(cell(&last, j + 1) + 1)
                .min(cell(&row, j) + 1)
                .min(swap);
            row.push(best);
        }
        two_back = std::mem::replace(&mut last, row);
    }
    cell(&last, to.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_reads_as_the_screen_says() {
        let source = "a = 1\n\tsignal = \"SIGQUITT\"\n";
        let start = source.find("\"SIG").expect("it is there");
        let fault = Diagnostic::error("unknown signal `SIGQUITT`")
            .at("web/service.toml", Spot::of(source, start..start + 10))
            .label("here")
            .suggest("SIGQUITT", ["SIGINT", "SIGQUIT"]);
        assert_eq!(
            fault.to_string(),
            "error: unknown signal `SIGQUITT`\n --> web/service.toml:2:11\n  |\n2 |     \
             signal = \"SIGQUITT\"\n  |              ^^^^^^^^^^ here\n\
             hint: did you mean `SIGQUIT`?\n"
        );
    }

    #[test]
    fn of_a_long_line_only_what_is_near_is_shown() {
        let line = format!("{}bad{}", "a".repeat(1000), "z".repeat(1000));
        let told = Diagnostic::error("x").at("f", Spot::of(&line, 1000..1003));
        let (a, z) = ("a".repeat(BEFORE_MAX), "z".repeat(AFTER_MAX));
        let lead = " ".repeat(BEFORE_MAX + 1);
        assert_eq!(
            told.to_string(),
            format!("error: x\n --> f:1:1001\n  |\n1 | …{a}bad{z}…\n  | {lead}^^^\n")
        );
        let told = Diagnostic::error("x").at("f", Spot::of(&line, 0..1500));
        let (a, carets) = ("a".repeat(MEANT_MAX), "^".repeat(MEANT_MAX));
        assert_eq!(
            told.to_string(),
            format!("error: x\n --> f:1:1\n  |\n1 | {a}…\n  | {carets}\n")
        );
    }

    #[test]
    fn any_range_is_a_spot() {
        for source in ["", "é", "a\nb", "\n\n"] {
            for start in 0..5 {
                for end in 0..5 {
                    let spot = Spot::of(source, start..end);
                    assert!(spot.line >= 1 && spot.column >= 1 && spot.width >= 1);
                    let _ = Diagnostic::error("x").at("f", spot).to_string();
                }
            }
        }
    }

    #[test]
    fn nearest_finds_slips_and_nothing_else() {
        let words = ["command", "needs", "after", "ready", "restart"];
        assert_eq!(nearest("comand", words), Some("command"));
        assert_eq!(nearest("raedy", words), Some("ready"));
        assert_eq!(nearest("Needs", words), Some("needs"));
        assert_eq!(nearest("volume", words), None);
        assert_eq!(nearest("sh", ["s6", "h"]), None);
        assert_eq!(nearest("dbb", ["db"]), Some("db"));
    }
}
