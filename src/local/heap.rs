//! Counts the bytes that each thread of the unit tests holds on the heap.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, which also counts. Memory that another thread frees still counts for this thread.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn add(bytes: isize) {
    let held = HELD.get() + bytes;
    HELD.set(held);
    MOST.set(MOST.get().max(held));
}

// SAFETY: all memory comes from the system's allocator, which gets each layout unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: the caller's layout is valid for the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        add(-(layout.size() as isize));
        // SAFETY: the system's allocator returned this memory for this layout.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size as isize - layout.size() as isize);
        // SAFETY: the system's allocator returned this memory for this layout, and the caller checked the size.
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// Calls `run`, and returns the most bytes that this thread held at a time beyond those that it held before.
pub(crate) fn most_held(run: impl FnOnce()) -> usize {
    let before = HELD.get();
    MOST.set(before);
    run();
    (MOST.get() - before).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_freed_again_counts_while_it_is_held() {
        let most = most_held(|| {
            drop(std::hint::black_box(vec![0u8; 5000]));
            drop(std::hint::black_box(vec![0u8; 3000]));
        });
        assert!((5000..8000).contains(&most), "{most} bytes");
    }
}
