//! The same tables as `sea-orm-cli generate entity` describes them, in a workspace of one crate.

use std::process::Command;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use codegen_tests::tool;

/// Generates the crate from a database that has the tables; its dependency on SeaORM is that of `workspace`.
pub(crate) fn generate(
    sea_orm_cli: &Utf8Path,
    url: &str,
    workspace: &Utf8Path,
    dir: &Utf8Path,
) -> Result<Utf8PathBuf> {
    let peer = dir.join("peer");
    let source = peer.join("entity/src");
    fs_err::create_dir_all(&source)?;
    let manifest = fs_err::read_to_string(workspace.join("Cargo.toml"))?;
    let start = manifest.find("[workspace.package]").unwrap_or_default();
    let shared = &manifest[start..];
    // Paths of crates that are not here.
    let shared: Vec<&str> = shared
        .lines()
        .filter(|it| !it.contains("path = "))
        .collect();
    fs_err::write(
        peer.join("Cargo.toml"),
        format!(
            "[workspace]\nresolver = \"3\"\nmembers = [\"entity\"]\n\n{}\n",
            shared.join("\n")
        ),
    )?;
    let entity = fs_err::read_to_string(workspace.join("entity/Cargo.toml"))?;
    fs_err::write(peer.join("entity/Cargo.toml"), entity)?;
    fs_err::copy(workspace.join("Cargo.lock"), peer.join("Cargo.lock"))?;
    tool::run(
        Command::new(sea_orm_cli)
            .args(["generate", "entity", "--database-url", url])
            .args([
                "--entity-format",
                "compact",
                "--with-serde",
                "both",
                "--lib",
            ])
            .args(["--ignore-tables", "seaql_migrations"])
            .args(["--output-dir", source.as_str()]),
    )?;
    Ok(peer)
}
