//! An error as a person says it: lower case, and without the number that only programmers read.

use std::io;

use nix::errno::Errno;

/// Why something failed.
pub fn reason(why: &io::Error) -> String {
    match (why.raw_os_error(), why.get_ref()) {
        (Some(code), _) => said(Errno::from_raw(code)),
        // Somebody's own words, which may name a file.
        (None, Some(own)) => own.to_string(),
        (None, None) => why.to_string().to_lowercase(),
    }
}

/// The same of the system's own number.
pub fn said(why: Errno) -> String {
    why.desc().to_lowercase()
}

/// The same in the C library's words, which scripts may know.
pub fn worded(why: Errno) -> String {
    let text = io::Error::from_raw_os_error(why as i32).to_string();
    text.split(" (os error").next().unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_becomes_words_and_words_stay() {
        let own = "cannot read /Etc/X";
        for (why, words) in [
            (Errno::EROFS.into(), "read-only file system"),
            (io::ErrorKind::TimedOut.into(), "timed out"),
            (io::Error::other(own), own),
        ] {
            assert_eq!(reason(&why), words);
        }
    }
}
