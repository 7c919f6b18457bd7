//! Entry point of `cargo-codegen`.
fn main() {}
