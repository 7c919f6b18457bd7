//! Support for the end-to-end tests and the demo.

pub mod app;
pub mod fixture;
pub mod tool;
pub mod tree;
