//! askama views: the model in, file texts out.

mod app;
mod constraint;
mod embedded;
mod emission;
mod entity;
mod error;
mod events;
mod field;
mod fill;
mod http;
mod imports;
mod job_stub;
mod jobs;
mod migration;
mod payload;
mod relation;
mod rendered;
mod runtime;
mod sample;
pub mod scaffold;
mod slice;
mod slice_test;
mod text;

pub use app::app_shared;
pub use entity::entity_crate;
pub use error::{RenderError, Result};
pub use events::events;
pub use http::{dependencies, http_support};
pub use job_stub::{JobStubError, JobWords, job_stub};
pub use jobs::jobs;
pub use migration::{MigrationError, migration_time, migrations, snapshot_path};
pub use rendered::Rendered;
pub use runtime::runtime;
pub use slice::slice;
pub use slice_test::slice_tests;
