//! What holds of everything that is told of a file.

use pidone::diag::Diagnostic;

/// So many bytes are shown of one fault at most, whatever the file: a few lines of a screen, and a
/// message that may name a key as long as a file may be.
const SHOWN_BYTES_MAX: usize = 4096;

/// Each fault is a screen of bounded size; where it has a place, that is one of `text`. `of` tells
/// which files are meant: others have texts of their own.
pub(super) fn stand(faults: &[Diagnostic], text: &str, of: &str) {
    for fault in faults {
        let shown = fault.to_string();
        let longest = SHOWN_BYTES_MAX + 4 * text.len();
        assert!(shown.len() <= longest, "{} bytes: {shown}", shown.len());
        let foreign = |c: char| c.is_control() && c != '\n';
        assert!(!shown.contains(foreign), "{shown:?}");
        let Some(place) = &fault.place else { continue };
        let Some(spot) = &place.spot else { continue };
        if !place.path.ends_with(of) {
            continue;
        }
        let line = text.split('\n').nth(spot.line - 1);
        let line = line.unwrap_or_else(|| panic!("no line {} of {text:?}", spot.line));
        let line = line.strip_suffix('\r').unwrap_or(line);
        assert_eq!(
            spot.text.trim_end_matches('\r'),
            line.trim_end_matches('\r')
        );
        let columns = line.chars().count();
        assert!(
            (1..=columns + 2).contains(&spot.column) && spot.width >= 1,
            "{fault:?}"
        );
        assert!(spot.width <= columns + 2, "{fault:?}");
    }
}
