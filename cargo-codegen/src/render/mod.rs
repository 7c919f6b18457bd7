//! askama views: the model in, file texts out.

mod app;
mod embedded;
mod emission;
mod entity;
mod error;
mod events;
mod field;
mod fill;
mod imports;
mod job_stub;
mod jobs;
mod payload;
mod relation;
mod rendered;
mod runtime;
pub mod scaffold;
mod text;

pub use app::app_shared;
pub use entity::entity_crate;
pub use error::{RenderError, Result};
pub use events::events;
pub use job_stub::{JobStubError, JobWords, job_stub};
pub use jobs::jobs;
pub use rendered::Rendered;
pub use runtime::runtime;
