//! Every fixture comes out as its golden tree, and a second run of its commands touches nothing.

use anyhow::{Context, Result, ensure};
use camino::Utf8Path;
use codegen_tests::fixture::{self, Step};
use codegen_tests::{tool, tree};

fn golden(name: &str) -> Result<()> {
    let fixture = fixture::named(name)?;
    let dir = tempfile::tempdir()?;
    let dir = Utf8Path::from_path(dir.path()).context("the temporary directory is not UTF-8")?;
    let workspace = fixture.build(dir, |_, _| Ok(()))?;

    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        tree::replace(&fixture.expected(), &workspace)?;
    }
    let difference = tree::diff(&fixture.expected(), &workspace)?;
    ensure!(
        difference.is_empty(),
        "fixtures/{name}/expected is not what comes out (`cargo goldens` rewrites it):\n{difference}"
    );

    let before = tree::modified(&workspace)?;
    for step in fixture.steps()? {
        let Step::Codegen(words) = step else { continue };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let parent = if words[0] == "new" { dir } else { &workspace };
        tool::run(&mut tool::codegen(parent, &words)?)?;
        let after = tree::modified(&workspace)?;
        let touched: Vec<_> = after
            .iter()
            .filter(|(path, time)| before.get(*path) != Some(*time))
            .map(|(path, _)| path)
            .collect();
        ensure!(
            touched.is_empty() && after.len() == before.len(),
            "a second `cargo codegen {}` touched {touched:?}",
            words.join(" ")
        );
    }
    let check = tool::codegen(&workspace, &["check"])?.output()?;
    ensure!(check.status.success(), "`check` finds drift after a run");
    Ok(())
}

#[test]
fn golden_new_workspace() -> Result<()> {
    golden("new-workspace")
}

#[test]
fn golden_adopted_workspace() -> Result<()> {
    golden("adopted-workspace")
}

#[test]
fn golden_crm() -> Result<()> {
    golden("crm")
}

#[test]
fn golden_evolution() -> Result<()> {
    golden("evolution")
}

#[test]
fn golden_keywords() -> Result<()> {
    golden("keywords")
}

#[test]
fn golden_knowledge() -> Result<()> {
    golden("knowledge")
}

#[test]
fn golden_ledger() -> Result<()> {
    golden("ledger")
}

#[test]
fn golden_plain() -> Result<()> {
    golden("plain")
}

#[test]
fn golden_tenants() -> Result<()> {
    golden("tenants")
}

#[test]
fn every_fixture_has_a_golden_test() -> Result<()> {
    let names: Vec<String> = fixture::all()?.into_iter().map(|it| it.name).collect();
    assert_eq!(
        names,
        [
            "adopted-workspace",
            "crm",
            "evolution",
            "keywords",
            "knowledge",
            "ledger",
            "new-workspace",
            "plain",
            "tenants"
        ]
    );
    Ok(())
}
