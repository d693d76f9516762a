//! An allocator that counts, to know the peak of a render's heap.
//!
//! It sees what Rust allocates. What libwebp allocates for itself it does not see, just as libvips' own count does not see
//! libjpeg and libwebp: the resident memory tells of these.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Runs `work` and says by how many bytes the heap was at most larger than before. Counts all threads.
pub(crate) fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = work();
    (result, PEAK.load(Relaxed) - before)
}

/// The system's allocator, with a count. A buffer that is moved counts twice while it is moved, although the system
/// often need not copy it.
pub(crate) struct Counting;

fn grew(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(live, Relaxed);
}

fn shrank(bytes: usize) {
    LIVE.fetch_sub(bytes, Relaxed);
}

#[allow(
    unsafe_code,
    reason = "a global allocator is unsafe by its signature; this one hands every call on as it is"
)]
// SAFETY: each function calls the system's allocator with the caller's own arguments, for which the caller vouches.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grew(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grew(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grew(size);
        let moved = unsafe { System.realloc(memory, layout, size) };
        shrank(layout.size());
        moved
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        shrank(layout.size());
        unsafe { System.dealloc(memory, layout) };
    }
}
