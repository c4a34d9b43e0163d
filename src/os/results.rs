//! The number that a container made for s6-overlay ends with: a file that services may write.

use std::fs;
use std::path::Path;

use crate::os::content;

/// A number and a line's end.
const BYTES_MAX: u64 = 64;

/// The number in the file; `None` if there is no such file, or no such number in it.
pub fn read(path: &Path) -> Option<u8> {
    let bytes = content::bounded(path, BYTES_MAX).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let number: i64 = text.trim().parse().ok()?;
    // As exit(3) takes it.
    u8::try_from(number & 0xff).ok()
}

/// Puts a number there for scripts that look at it; where that cannot be, they find the old one.
pub fn write(path: &Path, code: u8) {
    let _ = fs::write(path, code.to_string());
}
