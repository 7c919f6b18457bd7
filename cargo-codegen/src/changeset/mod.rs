//! What one command would do to the workspace, computed before anything is written.
//!
//! [`plan()`] is pure: it compares what the model asks for with the files and with `codegen.lock`, and gives a
//! [`ChangeSet`]. [`apply()`] is the only thing in this crate that writes into a workspace.

mod apply;
mod diff;
mod eject;
mod format;
mod journal;
mod lock;
mod orphan;
mod output;
mod plan;
mod request;
mod run_lock;

pub use apply::{ApplyError, apply};
pub use diff::{diff, diff_conflict};
pub use eject::{EjectError, eject};
pub use format::{FormatError, Formatter, Rustfmt, Unformatted};
pub use journal::{Recovery, is_interrupted, recover, recover_around};
pub use lock::{LOCK_FILE, LockError, same_text};
pub use output::{Action, Change, ChangeSet, Conflict, ConflictReason, Edit, Output, OutputKind};
pub use plan::plan;
pub use request::{PlanError, RefusedEdit, Remedy, Request};
pub use run_lock::{RunLock, RunLockError, STATE_DIR};
