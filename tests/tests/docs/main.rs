//! The pages of `docs/` say what is so: their Rust, YAML and TOML stands in code that is executed, and their links lead
//! somewhere.
//!
//! A block of a page names the file that it is an excerpt of, in an HTML comment before it, such as
//! `<!-- fixtures/crm/code/app/src/jobs/onboarding.rs -->`. Fixture workspaces are compiled, linted and tested on every
//! database by `cargo fixtures`, and `runtime-sea` by its own tests. What the excerpt leaves out is `..` or `...`, on a
//! line of its own or between brackets.

mod excerpt;
mod failures;
mod links;
mod page;
mod rust;
mod yaml;

use anyhow::{Context, Result, ensure};
use camino::Utf8Path;
use codegen_tests::tool;

use crate::page::{Block, Page};

/// Pages that show no code of the product's: maps, measurements, and the guarantees, which name a test each.
const WITHOUT_CODE: [&str; 4] = [
    "ARCHITECTURE.md",
    "benchmarks.md",
    "guarantees.md",
    "safety.md",
];

/// Languages whose blocks are held to code.
const HELD: [&str; 3] = ["rust", "toml", "yaml"];

/// Languages whose blocks are not: commands, requests and answers.
const FREE: [&str; 3] = ["", "json", "sh"];

/// Where code is that is executed.
const EXECUTED: [&str; 3] = ["fixtures", "runtime-sea", "tests"];

#[test]
fn what_pages_show_is_executed() -> Result<()> {
    let mut problems = Vec::new();
    for page in pages()? {
        for block in page.blocks() {
            if !FREE.contains(&block.language.as_str())
                && let Err(problem) = hold(&block)
            {
                problems.push(format!("{}:{}: {problem:#}", page.path, block.line));
            }
        }
    }
    ensure!(problems.is_empty(), "{}", problems.join("\n\n"));
    Ok(())
}

/// A small definition, what comes out of it, and how to extend it.
#[test]
fn every_page_of_a_block_shows_code_and_says_how_to_extend_it() -> Result<()> {
    let mut problems = Vec::new();
    for page in pages()? {
        if !page
            .blocks()
            .iter()
            .any(|it| HELD.contains(&it.language.as_str()))
        {
            problems.push(format!(
                "{}: shows no definition and no code; add a small one",
                page.path
            ));
        }
        if !page.anchors().iter().any(|it| it == "how-to-extend-it") {
            problems.push(format!(
                "{}: add the section `## How to extend it`",
                page.path
            ));
        }
    }
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

#[test]
fn links_lead_somewhere() -> Result<()> {
    let mut pages = Page::all("docs")?;
    pages.extend(Page::all("docs/decisions")?);
    pages.push(Page::read("README.md")?);
    pages.push(Page::read("CONTRIBUTING.md")?);
    let problems: Vec<String> = pages.iter().flat_map(links::broken).collect();
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

#[test]
fn the_readme_lists_every_page() -> Result<()> {
    let readme = Page::read("README.md")?;
    let targets: Vec<String> = links::targets(&readme).into_iter().map(|it| it.0).collect();
    for page in Page::all("docs")? {
        ensure!(
            targets.contains(&page.path),
            "README.md: `More` lists no {}",
            page.path
        );
    }
    Ok(())
}

fn pages() -> Result<Vec<Page>> {
    let mut pages = Page::all("docs")?;
    pages.retain(|it| !WITHOUT_CODE.iter().any(|name| it.path.ends_with(name)));
    ensure!(pages.len() > 5, "the pages are not found");
    Ok(pages)
}

/// Whether the block is what it says that it is.
fn hold(block: &Block) -> Result<()> {
    ensure!(
        HELD.contains(&block.language.as_str()),
        "`{}` is no language of the pages; they are {}, {}",
        block.language,
        HELD.join(", "),
        FREE[1..].join(", ")
    );
    let path = block.origin.as_ref().with_context(|| {
        format!(
            "no comment says where this {} is from; take it from a fixture and write `<!-- fixtures/.. -->` before it",
            block.language
        )
    })?;
    ensure!(
        EXECUTED
            .iter()
            .any(|it| Utf8Path::new(path).starts_with(it)),
        "nothing of `{path}` is executed; take the block from {}",
        EXECUTED.join(", ")
    );
    let file = tool::repository().join(path);
    ensure!(
        file.is_file(),
        "there is no file `{path}`; correct the comment, or take the block from another file"
    );
    let text = fs_err::read_to_string(file)?;
    excerpt::check(&block.language, &block.text, &text).map_err(|missing| {
        anyhow::anyhow!(
            "this is no excerpt of `{path}`: {missing}\nmake it the text of the file, with `...` for what is left out; \
             or change the file, by the command that makes it"
        )
    })
}
