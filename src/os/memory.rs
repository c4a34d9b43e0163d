//! Memory that a child does not inherit: large buffers live in mappings of their own, so that
//! `clone(2)` of PID 1 has few page tables to copy, however much PID 1 remembers.

use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Zeroed memory that takes no room until it is touched, and is absent in children
/// (`MADV_DONTFORK`, madvise(2)).
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone, as a `Box<[u8]>`'s memory does, and is not tied
// to a thread.
unsafe impl Send for Mapping {}

impl Mapping {
    /// A mapping of `len` bytes.
    ///
    /// # Errors
    /// As mmap(2): out of memory, or `len` is 0.
    pub fn new(len: usize) -> io::Result<Self> {
        // SAFETY: a new anonymous mapping touches no memory that exists.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Self { start, len };
        // SAFETY: the range is exactly our own mapping. A failure only makes forks dearer.
        unsafe { libc::madvise(mapping.start.as_ptr().cast(), len, libc::MADV_DONTFORK) };
        Ok(mapping)
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `start` is the first of `len` readable bytes (zeroed by the kernel, so
        // initialised) that live until `drop`, and nobody else has the address.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Mapping {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; the bytes are writable, and `&mut self` makes this the only view.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is exactly our own mapping, and no view of it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_zeroed_and_writable() {
        let mut mapping = Mapping::new(10_000).expect("there is memory");
        assert_eq!(mapping.len(), 10_000);
        assert!(mapping.iter().all(|byte| *byte == 0));
        mapping.fill(7);
        assert_eq!(mapping.last(), Some(&7));
    }

    #[test]
    fn no_memory_is_an_error() {
        assert!(Mapping::new(0).is_err());
        assert!(Mapping::new(usize::MAX / 2).is_err());
    }
}
