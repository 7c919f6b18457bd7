//! Definitions of a page that the generator takes as they stand.

use anyhow::{Context, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use codegen_tests::tool;
use tempfile::TempDir;

use crate::page::{Origin, Page};

/// The workspace that a page's definitions make.
pub(crate) struct Executed {
    pub(crate) workspace: Utf8PathBuf,
    /// It goes with this.
    _directory: TempDir,
}

impl Executed {
    /// Writes every executed block of the page into a new workspace and generates it; `None` if there are none.
    pub(crate) fn of(page: &Page) -> Result<Option<Self>> {
        let mut files = Vec::new();
        for block in page.blocks() {
            if block.origin == Some(Origin::Executed) {
                let path = path(&block.text).with_context(|| {
                    format!(
                        "the block of line {} is executed, so it starts with its path, as `# entities/product.yaml`",
                        block.line
                    )
                })?;
                files.push((path.to_owned(), block.text));
            }
        }
        if files.is_empty() {
            return Ok(None);
        }
        let directory = tempfile::tempdir()?;
        let parent = Utf8Path::from_path(directory.path())
            .context("the temporary directory is not UTF-8")?;
        let workspace = parent.join("page");
        run(parent, &["new", "page", "--database", "sqlite"])?;
        run(&workspace, &["subsystem", "install", "events"])?;
        for (path, text) in files {
            let file = workspace.join(path);
            fs_err::create_dir_all(file.parent().unwrap_or(&workspace))?;
            fs_err::write(file, text)?;
        }
        run(&workspace, &["entity", "new", "--all"])?;
        Ok(Some(Self {
            workspace,
            _directory: directory,
        }))
    }
}

/// What the comment in the first line says.
fn path(text: &str) -> Option<&str> {
    let path = text.lines().next()?.strip_prefix("# ")?;
    let path = path.split(':').next()?.trim();
    path.ends_with(".yaml").then_some(path)
}

/// The tool must succeed without a warning.
fn run(dir: &Utf8Path, words: &[&str]) -> Result<()> {
    let mut command = tool::codegen(dir, words)?;
    let output = command.output()?;
    ensure!(
        output.status.success(),
        "{}",
        tool::failure(&command, &output)
    );
    let shown = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    if shown
        .iter()
        .any(|it| it.to_lowercase().contains("warning") || it.contains('⚠'))
    {
        bail!("it warns: {}", tool::failure(&command, &output));
    }
    Ok(())
}

#[cfg(test)]
fn page(text: &str) -> Page {
    Page {
        path: "docs/page.md".to_owned(),
        text: text.to_owned(),
    }
}

#[test]
fn definitions_of_a_page_are_generated_together() -> Result<()> {
    let text = "<!-- executed -->\n```yaml\n# entities/product.yaml: what is sold\nentity: { name: product }\nfields:\n  \
                sku: { type: string, required: true }\nrelationships:\n  shop: { type: belongs_to, target: shop }\n```\n\
                <!-- executed -->\n```yaml\n# entities/shop.yaml\nentity: { name: shop }\nfields:\n  \
                name: { type: string, required: true }\n```\n";
    let executed = Executed::of(&page(text))?.context("two blocks are executed")?;
    let service = executed
        .workspace
        .join("app/src/products/generated/service.rs");
    assert!(service.exists());
    Ok(())
}

#[test]
fn a_definition_with_a_mistake_or_a_warning_fails() {
    for field in [
        "{ type: strin, required: true }",
        "{ type: string, required: true, previously: code }",
    ] {
        let text = format!(
            "<!-- executed -->\n```yaml\n# entities/product.yaml\nentity: {{ name: product }}\nfields:\n  sku: {field}\n```\n"
        );
        assert!(Executed::of(&page(&text)).is_err(), "{field}");
    }
}

#[test]
fn a_definition_without_its_path_is_refused() {
    let text = "<!-- executed -->\n```yaml\nentity: { name: product }\n```\n";
    assert!(Executed::of(&page(text)).is_err());
}
