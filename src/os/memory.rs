//! Memory that a child does not inherit: large buffers live in mappings of their own, so that
//! `clone(2)` of PID 1 has few page tables to copy, however much PID 1 remembers.

use std::cell::Cell;
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

thread_local! {
    /// Whether `give_back` is to come when this thread has nothing left to do.
    static IDLE: Cell<bool> = const { Cell::new(false) };
}

/// Gives back, once this thread is about to sleep, what it does not need while it sleeps: then
/// nothing runs between this and the sleep that would need the pages again.
pub fn give_back_when_idle() {
    IDLE.set(true);
}

/// This thread is about to sleep.
pub fn on_idle() {
    if IDLE.replace(false) {
        give_back();
    }
}

/// Gives back what only the boot needed of the program and of the stack. The program's pages are
/// read again from the file (in most cases: found in its cache) when they are needed again; the
/// loop needs few of them. Does nothing but on the main thread.
fn give_back() {
    if nix::unistd::gettid() != nix::unistd::getpid() {
        return;
    }
    // SAFETY: `give_back_program` is such a function as dl_iterate_phdr(3) calls; it needs no data.
    unsafe { libc::dl_iterate_phdr(Some(give_back_program), std::ptr::null_mut()) };
    give_back_stack();
}

/// Called for each loaded object, of which the first is the program; ends the list with that.
unsafe extern "C" fn give_back_program(
    object: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    _data: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: dl_iterate_phdr(3) gives a live object, and its headers are an array of that length.
    let (base, segments) = unsafe {
        let headers = (*object).dlpi_phdr;
        let count = usize::from((*object).dlpi_phnum);
        (
            (*object).dlpi_addr,
            std::slice::from_raw_parts(headers, count),
        )
    };
    for segment in segments {
        let is_constant = segment.p_type == libc::PT_LOAD && segment.p_flags & libc::PF_W == 0;
        let start = base.wrapping_add(segment.p_vaddr);
        let end = base
            .wrapping_add(segment.p_vaddr)
            .wrapping_add(segment.p_memsz);
        if let (true, Ok(start), Ok(end)) = (is_constant, start.try_into(), end.try_into()) {
            forget(start, end);
        }
    }
    1
}

/// The boot's deepest calls reach this far below the loop.
const STACK_BYTES: usize = 96 << 10;

/// Room for the calls between the look at the stack pointer and the kernel, which have no frames to
/// speak of, and for the 128 bytes below it that a function may use.
const STACK_KEPT_BYTES: usize = 4 << 10;

/// Below this, and not below the address of any variable, lies what is nobody's: a function's
/// variables may stand anywhere in a frame of many pages.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the pointer of the caller is asked for"
)]
fn stack_pointer() -> usize {
    let here: usize;
    // SAFETY: reads a register and touches nothing else.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::asm!("mov {}, rsp", out(reg) here, options(nomem, nostack, preserves_flags));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!("mov {}, sp", out(reg) here, options(nomem, nostack, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        // Elsewhere nothing is given back.
        here = 0;
    }
    here
}

#[inline(never)]
fn give_back_stack() {
    let here = stack_pointer();
    forget(
        here.saturating_sub(STACK_BYTES),
        here.saturating_sub(STACK_KEPT_BYTES),
    );
}

/// Drops the pages from the one with `start` to the one before `end`, as far as there are any.
#[inline(never)]
fn forget(start: usize, end: usize) {
    // SAFETY: asks for a number, of which every kernel has one.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let Some(mask) = usize::try_from(page)
        .ok()
        .and_then(|page| page.checked_sub(1))
    else {
        return;
    };
    let (start, end) = (start & !mask, end & !mask);
    // SAFETY: only `give_back` comes here, with two kinds of ranges. A segment of the program that
    // cannot be written holds what is in the file, which cannot change while it is executed
    // (ETXTBSY), so that a page that is read again is as it was. What lies below the main thread's
    // frames is nobody's: its stack grows there, and the kernel maps nothing else within 128 MiB
    // (mmap_base); what is not mapped yet is left alone, with an error that does not matter.
    unsafe {
        libc::madvise(
            std::ptr::with_exposed_provenance_mut(start),
            end.saturating_sub(start),
            libc::MADV_DONTNEED,
        )
    };
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
