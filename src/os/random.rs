//! Chance that nobody can guess.

use std::io;

/// Fills `bytes` from the kernel's generator (getrandom(2)).
///
/// # Errors
/// An old kernel, or a filter, does not have it.
pub fn fill(bytes: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        // SAFETY: the pointer and the length are those of a live slice that is ours to write.
        let count = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match usize::try_from(count) {
            Ok(count) => done += count,
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_are_never_the_same() {
        let (mut one, mut two) = ([0; 16], [0; 16]);
        fill(&mut one).expect("the kernel has it");
        fill(&mut two).expect("the kernel has it");
        assert_ne!(one, two);
    }
}
