//! Builds `cargo-codegen` from its packaged files, outside of this repository, and checks that it scaffolds
//! the same workspace as the checkout does. Run `cargo package -p cargo-codegen` first.

use anyhow::{Context, Result, ensure};
use camino::Utf8Path;
use codegen_tests::{tool, tree};

fn main() -> Result<()> {
    let crate_file = tool::target_dir().join(format!(
        "package/cargo-codegen-{}.crate",
        env!("CARGO_PKG_VERSION")
    ));
    ensure!(
        crate_file.exists(),
        "{crate_file} is missing: run `cargo package -p cargo-codegen` first"
    );
    let dir = tempfile::tempdir()?;
    let dir = Utf8Path::from_path(dir.path()).context("the temporary directory is not UTF-8")?;
    tool::run(std::process::Command::new("tar").args([
        "-xzf",
        crate_file.as_str(),
        "-C",
        dir.as_str(),
    ]))?;
    let source = dir.join(format!("cargo-codegen-{}", env!("CARGO_PKG_VERSION")));
    tool::run(
        tool::cargo()
            .current_dir(&source)
            .env("CARGO_TARGET_DIR", tool::target_dir().join("packaged"))
            .args(["build", "--quiet"]),
    )?;
    let packaged = tool::target_dir().join("packaged/debug/cargo-codegen");

    let mut trees = Vec::new();
    for (name, binary) in [
        ("checkout", tool::binary()?),
        ("packaged", packaged.as_path()),
    ] {
        let parent = dir.join(name);
        fs_err::create_dir(&parent)?;
        tool::run(
            std::process::Command::new(binary)
                .args(["codegen", "new", "shop"])
                .current_dir(&parent)
                .env("CARGO_CODEGEN_NOW", tool::GOLDEN_NOW),
        )?;
        trees.push(parent.join("shop"));
    }
    let difference = tree::diff(&trees[0], &trees[1])?;
    ensure!(
        difference.is_empty(),
        "the packaged tool scaffolds something else:\n{difference}"
    );
    let runtime = tree::diff(&trees[0].join("runtime-sea"), &trees[1].join("runtime-sea"))?;
    ensure!(
        runtime.is_empty(),
        "the packaged runtime is not the checkout's:\n{runtime}"
    );
    ensure!(
        trees[1].join("runtime-sea/src/lib.rs").exists(),
        "the packaged tool vendors no runtime"
    );
    #[expect(
        clippy::print_stdout,
        reason = "this binary reports to a person or to CI"
    )]
    {
        println!("packaged: the tool built from the package scaffolds the same workspace");
    }
    Ok(())
}
