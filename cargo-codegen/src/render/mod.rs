//! askama views: the model in, file texts out.

mod error;

pub use error::{RenderError, Result};
