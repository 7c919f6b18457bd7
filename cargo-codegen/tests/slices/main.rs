//! Entities, migrations, slices and their tests: valid Rust for any definition, and the same every time.

#![expect(clippy::unwrap_used, reason = "helpers of a test")]

mod changes;
mod code;
mod migrations;
mod support;
