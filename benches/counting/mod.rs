//! An allocator that counts the bytes that are in use.
#![allow(unsafe_code, reason = "a global allocator is unsafe to write")]
#![allow(dead_code, reason = "each benchmark uses its part of it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Live bytes, and the most that were live. A reallocation counts as done in place: blocks that are large enough to
/// matter are moved by the kernel, page by page, and never exist twice (mremap(2), in glibc and musl).
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn count(more: usize, less: usize) {
    let live = LIVE.fetch_add(more.wrapping_sub(less), Relaxed).wrapping_add(more).wrapping_sub(less);
    PEAK.fetch_max(live, Relaxed);
}

// SAFETY: every call is handed to the system's allocator as it is, which keeps the contract; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller's promise is passed on; the block is the system allocator's, as all are.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes in use.
pub fn live() -> usize {
    LIVE.load(Relaxed)
}

/// The most bytes that were in use.
pub fn peak() -> usize {
    PEAK.load(Relaxed)
}

/// The most is counted anew.
pub fn forget_peak() {
    PEAK.store(live(), Relaxed);
}
