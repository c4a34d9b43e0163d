//! The heap: small values close together, large ones in mappings of their own.
//!
//! musl's heap spreads small values over many pages, leaves those that the boot has used half
//! empty, and asks the kernel for a page and gives it back at every start. dlmalloc does none of
//! this, but keeps the room of large values; so these do not come from it.
//!
//! While somebody holds a [`Wiping`], what is given back is written over: the secrets of a start
//! pass through many hands that know nothing of them, and PID 1 lives for long.

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::ptr::{self, NonNull, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use dlmalloc::GlobalDlmalloc;

/// From this size on a value has a mapping of its own, which goes back to the kernel with it:
/// tables that grow with the number of services, of which most are used by the boot only.
const LARGE_BYTES: usize = 16 << 10;

/// Every page is aligned to this at least.
const PAGE_BYTES_MIN: usize = 4096;

/// How many hold a [`Wiping`].
static WIPING: AtomicUsize = AtomicUsize::new(0);

/// While it is held, nothing that is given back to the heap keeps its bytes.
#[derive(Debug)]
pub struct Wiping(());

impl Wiping {
    /// From now on, until it is dropped.
    pub fn begin() -> Self {
        WIPING.fetch_add(1, Relaxed);
        Self(())
    }
}

impl Drop for Wiping {
    fn drop(&mut self) {
        WIPING.fetch_sub(1, Relaxed);
    }
}

fn is_wiping() -> bool {
    WIPING.load(Relaxed) > 0
}

/// The heap of the whole program.
pub struct Heap;

// SAFETY: what is asked for with one layout is given back with the same one (`GlobalAlloc`), so
// that `is_large` gives the same answer both times, and each half sees only what is its own.
// dlmalloc and mmap(2) give memory that nobody else has, of the size and alignment asked for.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_large(layout) {
            return map(layout.size());
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { GlobalDlmalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_large(layout) {
            // A new mapping is zeroed.
            return map(layout.size());
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { GlobalDlmalloc.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if is_large(layout) {
            // SAFETY: the range is a mapping of `map` or `remap` that nobody uses any more.
            unsafe { libc::munmap(at.cast(), layout.size()) };
            return;
        }
        if is_wiping() {
            // SAFETY: the caller promises that this range is its own, and done with.
            unsafe { ptr::write_bytes(at, 0, layout.size()) };
            // Written for somebody who reads what nobody owns: not to be left out.
            black_box(at);
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { GlobalDlmalloc.dealloc(at, layout) };
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size`, rounded up, does not overflow.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (is_large(layout), is_large(wanted)) {
            (true, true) => remap(at, layout.size(), size),
            // SAFETY: the caller's promises are passed on.
            (false, false) if !is_wiping() => unsafe { GlobalDlmalloc.realloc(at, layout, size) },
            // SAFETY: the new memory is another than the old, and both have the copied length; the
            // old one is given back only if there is a new one, as the caller expects.
            (true | false, false) | (false, true) => unsafe {
                let moved = self.alloc(wanted);
                if !moved.is_null() {
                    ptr::copy_nonoverlapping(at, moved, layout.size().min(size));
                    self.dealloc(at, layout);
                }
                moved
            },
        }
    }
}

fn is_large(layout: Layout) -> bool {
    layout.size() >= LARGE_BYTES && layout.align() <= PAGE_BYTES_MIN
}

fn map(size: usize) -> *mut u8 {
    let (access, kind) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    );
    // SAFETY: a new anonymous mapping touches no memory that exists.
    given(unsafe { libc::mmap(null_mut(), size, access, kind, -1, 0) })
}

fn remap(at: *mut u8, from: usize, to: usize) -> *mut u8 {
    // SAFETY: the range is a mapping that `map` or `remap` made, and its user expects it to move.
    given(unsafe { libc::mremap(at.cast(), from, to, libc::MREMAP_MAYMOVE) })
}

fn given(at: *mut libc::c_void) -> *mut u8 {
    let at = NonNull::new(at).filter(|at| at.as_ptr() != libc::MAP_FAILED);
    at.map_or(null_mut(), |at| at.as_ptr().cast())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_bytes_through_every_size() {
        let sizes = [
            1,
            100,
            LARGE_BYTES - 1,
            LARGE_BYTES,
            1 << 20,
            3 << 20,
            40_000,
            50,
        ];
        let layout = |size| Layout::from_size_align(size, 16).unwrap();
        // SAFETY: each layout is the one of the last call, and only bytes within it are touched.
        unsafe {
            let mut at = Heap.alloc_zeroed(layout(1));
            at.write(7);
            for pair in sizes.windows(2) {
                at = Heap.realloc(at, layout(pair[0]), pair[1]);
                assert!(!at.is_null() && at.addr() % 16 == 0);
                assert_eq!(at.read(), 7);
                at.add(pair[1] - 1).write(7);
            }
            Heap.dealloc(at, layout(50));
        }
    }

    /// What is freed is read here, which is why it is the heap's own test: dlmalloc writes two
    /// pointers at most into what it has got back, and it does not go back to the kernel.
    #[test]
    fn what_is_given_back_is_written_over_only_while_somebody_asks() {
        let layout = Layout::from_size_align(512, 16).unwrap();
        let larger = Layout::from_size_align(4096, 16).unwrap();
        // SAFETY: each layout is the one of the last call; what is read after that is still mapped,
        // since the block behind it is not given back.
        unsafe {
            let left = |at: *mut u8| (64..500).filter(|n| at.add(*n).read() == 0xa7).count();
            for moved in [false, true] {
                let wiping = Wiping::begin();
                let (at, behind) = (Heap.alloc(layout), Heap.alloc(layout));
                at.write_bytes(0xa7, layout.size());
                if moved {
                    let elsewhere = Heap.realloc(at, layout, larger.size());
                    assert!(elsewhere != at && elsewhere.read() == 0xa7);
                    Heap.dealloc(elsewhere, larger);
                } else {
                    Heap.dealloc(at, layout);
                }
                assert_eq!(left(at), 0);
                Heap.dealloc(behind, layout);
                drop(wiping);
            }
        }
    }

    #[test]
    fn large_values_are_zeroed_and_too_large_ones_refused() {
        let layout = Layout::from_size_align(1 << 20, 8).unwrap();
        let huge = Layout::from_size_align(isize::MAX as usize - 15, 16).unwrap();
        // SAFETY: only bytes within the layout are read, and it is given back with the same one.
        unsafe {
            let at = Heap.alloc_zeroed(layout);
            assert!((0..layout.size()).all(|n| at.add(n).read() == 0));
            Heap.dealloc(at, layout);
            assert!(Heap.alloc(huge).is_null());
        }
    }
}
