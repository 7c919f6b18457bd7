//! The `cargo codegen` subcommand.
