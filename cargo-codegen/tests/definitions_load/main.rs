//! Definitions that load, and what the model says about them.

mod columns;
mod files;
mod reference;
mod support;
