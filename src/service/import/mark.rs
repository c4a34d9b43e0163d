//! The first line of a file that an import has written: by it a second import knows whether
//! somebody has edited the file since.

use std::fmt::Write as _;

use crate::diag::printable;
use crate::service::import::Extra;

const BEGINS: &str = "# Made by `pidone import` from ";
const MIDDLE: &str = " (mark ";
const ENDS: &str = "); once edited, it is not written over\n";

/// The text with its first line, which says what it was made from. `beside` are the other files of
/// the directory, by name.
pub fn marked(from: &str, body: &str, beside: &[(&str, &[u8])]) -> String {
    let mut text = String::with_capacity(body.len() + 128);
    // A file may be called anything, and must not write a line of its own by that.
    let from = &*printable(from);
    let mark = sum(from, body, beside);
    // Writing to a string cannot fail.
    let _ = write!(text, "{BEGINS}{from}{MIDDLE}{mark:016x}{ENDS}{body}");
    text
}

/// Whether it, and what is beside it, are as an import has written them.
pub fn is_untouched(text: &[u8], beside: &[(&str, &[u8])]) -> bool {
    let parts = || {
        let rest = str::from_utf8(text).ok()?.strip_prefix(BEGINS)?;
        let (line, body) = rest.split_once(ENDS)?;
        let (from, mark) = line.rsplit_once(MIDDLE)?;
        Some(mark == format!("{:016x}", sum(from, body, beside)))
    };
    parts().unwrap_or(false)
}

/// The files beside a service.toml, by name.
pub(super) fn contents(extras: &[Extra]) -> Vec<(&str, &[u8])> {
    let content = extras.iter().map(|extra| (&*extra.path, &*extra.content));
    content.collect()
}

/// FNV-1a: nobody is to be kept from forging it, a slip of the pen is to be seen.
fn sum(from: &str, body: &str, beside: &[(&str, &[u8])]) -> u64 {
    let texts = [from.as_bytes(), body.as_bytes()].into_iter();
    let texts = texts.chain(
        beside
            .iter()
            .flat_map(|(name, text)| [name.as_bytes(), *text]),
    );
    texts.fold(0xcbf2_9ce4_8422_2325, |sum, text| {
        let bytes = text.iter().chain(&[0]);
        bytes.fold(sum, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by fuzzing: a script of `cont-init.d` with a line end in its name.
    #[test]
    fn a_files_name_stays_in_its_line() {
        let text = marked(
            "cont-init.d/a\nuser = \"root\" # \x1b",
            "umask = \"022\"\n",
            &[],
        );
        let table: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(table.keys().collect::<Vec<_>>(), ["umask"]);
        assert!(is_untouched(text.as_bytes(), &[]));
    }

    #[test]
    fn an_edit_shows() {
        let text = marked(
            "supervisord.conf:3",
            "command = [\"x\"]\n",
            &[("run", b"x")],
        );
        let is_untouched = |text: &[u8]| is_untouched(text, &[("run", b"x")]);
        assert!(is_untouched(text.as_bytes()));
        assert!(!is_untouched(text.replace("\"x\"", "\"y\"").as_bytes()));
        assert!(!is_untouched(text.replace(":3", ":4").as_bytes()));
        assert!(!is_untouched(format!("{text}\n").as_bytes()));
        for other in ["", "command = \"x\"\n", BEGINS] {
            assert!(!is_untouched(other.as_bytes()));
        }
        assert!(!is_untouched(b"\xff"));
        assert!(!super::is_untouched(text.as_bytes(), &[("run", b"y")]));
    }
}
