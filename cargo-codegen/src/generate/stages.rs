//! Every part of the output, in one place.

use crate::failure::Failure;
use crate::model::Model;
use crate::render::{self, Rendered};
use crate::workspace::handlers::FoundHandler;

/// Everything that the definitions and handlers ask for.
pub(super) fn render(model: &Model, handlers: &[FoundHandler]) -> Result<Rendered, Failure> {
    let mut all = render::entity_crate(model).map_err(Failure::other)?;
    for outputs in [
        render::app_shared(model),
        render::events(model),
        render::jobs(model, handlers),
        render::runtime(model),
    ] {
        all.outputs.extend(outputs.map_err(Failure::other)?);
    }
    Ok(all)
}
