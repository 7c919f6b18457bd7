//! The `cargo codegen` subcommand: YAML definitions and Rust job handlers in, a SeaORM backend out.
//!
//! The stages, in the one direction in which they depend on each other:
//! [`definition`] reads YAML into typed definitions that remember where they stand,
//! [`model`] resolves them, [`schema`] and [`render`] derive tables and files from the model,
//! [`changeset`] compares those with the [`workspace`] and applies the difference.
//! [`generate`] wires the stages, [`commands`] offers them as subcommands, [`report`] prints.

pub mod changeset;
pub mod commands;
pub mod definition;
pub mod failure;
pub mod generate;
pub mod model;
pub mod render;
pub mod report;
pub mod request;
pub mod schema;
pub mod survey;
pub mod words;
pub mod workspace;
