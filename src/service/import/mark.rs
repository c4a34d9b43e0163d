//! The first line of a file that an import has written: by it a second import knows whether
//! somebody has edited the file since.

use std::fmt::Write as _;

const BEGINS: &str = "# Made by `pidone import` from ";
const MIDDLE: &str = " (mark ";
const ENDS: &str = "); once edited, it is not written over\n";

/// The text with its first line, which says what it was made from.
pub fn marked(from: &str, body: &str) -> String {
    let mut text = String::with_capacity(body.len() + 128);
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "{BEGINS}{from}{MIDDLE}{:016x}{ENDS}{body}",
        sum(from, body)
    );
    text
}

/// Whether it is as an import has written it.
pub fn is_untouched(text: &[u8]) -> bool {
    let parts = || {
        let rest = str::from_utf8(text).ok()?.strip_prefix(BEGINS)?;
        let (line, body) = rest.split_once(ENDS)?;
        let (from, mark) = line.rsplit_once(MIDDLE)?;
        Some(mark == format!("{:016x}", sum(from, body)))
    };
    parts().unwrap_or(false)
}

/// FNV-1a: nobody is to be kept from forging it, a slip of the pen is to be seen.
fn sum(from: &str, body: &str) -> u64 {
    let bytes = from.bytes().chain([0]).chain(body.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_shows() {
        let text = marked("supervisord.conf:3", "command = [\"x\"]\n");
        assert!(is_untouched(text.as_bytes()));
        assert!(!is_untouched(text.replace("\"x\"", "\"y\"").as_bytes()));
        assert!(!is_untouched(text.replace(":3", ":4").as_bytes()));
        assert!(!is_untouched(format!("{text}\n").as_bytes()));
        for other in ["", "command = \"x\"\n", BEGINS] {
            assert!(!is_untouched(other.as_bytes()));
        }
        assert!(!is_untouched(b"\xff"));
    }
}
