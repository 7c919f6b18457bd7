//! What the application plugs in to look on: its tracing system, its recorder of metrics.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

static PANICS: AtomicU64 = AtomicU64::new(0);

/// What a hook says; none where it panics, for the work that it looks at has to go on.
pub(crate) fn guarded<T>(what: &str, call: impl FnOnce() -> T) -> Option<T> {
    let panic = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(said) => return Some(said),
        Err(panic) => panic,
    };
    // One line per doubling: it may be called for every event.
    let panics = PANICS.fetch_add(1, Ordering::Relaxed) + 1;
    if panics.is_power_of_two() {
        tracing::error!(
            panics,
            error = panic_text(&*panic),
            "{what} panicked; the work goes on without it"
        );
    }
    None
}

pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
