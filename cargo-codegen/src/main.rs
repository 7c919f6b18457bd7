//! Entry point of `cargo-codegen`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cargo_codegen::commands::main(std::env::args_os())
}
