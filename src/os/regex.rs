//! Extended regular expressions, by the C library's own engine: the one that s6's tools use.

use std::ffi::{CStr, CString};
use std::fmt;
use std::mem::MaybeUninit;

/// A compiled expression of regex(7), which can tell a match and nothing more.
pub struct Regex(Box<libc::regex_t>);

impl Regex {
    /// Compiles it; with `lines`, `.` and negated lists match no newline.
    ///
    /// # Errors
    /// What is wrong with it, in the C library's words.
    pub fn new(text: &[u8], lines: bool) -> Result<Self, String> {
        let text = CString::new(text).map_err(|_| String::from("a NUL byte inside"))?;
        let newline = if lines { libc::REG_NEWLINE } else { 0 };
        let flags = libc::REG_EXTENDED | libc::REG_NOSUB | newline;
        let mut made = Box::new(MaybeUninit::<libc::regex_t>::uninit());
        // SAFETY: room for one expression, and a string.
        let code = unsafe { libc::regcomp(made.as_mut_ptr(), text.as_ptr(), flags) };
        if code == 0 {
            // SAFETY: regcomp says that it has made it.
            return Ok(Self(unsafe { made.assume_init() }));
        }
        Err(reason(code))
    }

    /// Whether it matches somewhere in `text`, read to its first NUL byte.
    pub fn matches(&self, text: &[u8]) -> bool {
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        let Ok(text) = CString::new(text) else {
            return false;
        };
        // SAFETY: a compiled expression, a string, and no room for places, as none are asked for.
        let code = unsafe {
            libc::regexec(
                &raw const *self.0,
                text.as_ptr(),
                0,
                std::ptr::null_mut(),
                0,
            )
        };
        code == 0
    }
}

fn reason(code: i32) -> String {
    let mut text = [0_u8; 128];
    // SAFETY: room of the size that is told; no expression is needed to name an error.
    unsafe {
        libc::regerror(code, std::ptr::null(), text.as_mut_ptr().cast(), text.len());
    }
    CStr::from_bytes_until_nul(&text).map_or_else(
        |_| code.to_string(),
        |text| text.to_string_lossy().into_owned(),
    )
}

impl Drop for Regex {
    fn drop(&mut self) {
        // SAFETY: made by regcomp, freed once.
        unsafe { libc::regfree(&raw mut *self.0) };
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Regex")
    }
}
