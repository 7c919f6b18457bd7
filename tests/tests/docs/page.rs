//! A page of Markdown: its blocks of code and its headings.

use anyhow::Result;
use camino::Utf8Path;
use codegen_tests::tool;

/// A file of the repository.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// As seen from the repository's root.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
}

/// A fenced block.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) language: String,
    /// Of its fence, from 1.
    pub(crate) line: usize,
    pub(crate) text: String,
    /// The file that it is an excerpt of, by the comment before it.
    pub(crate) origin: Option<String>,
}

impl Page {
    /// Every page of a directory, sorted by name.
    pub(crate) fn all(directory: &str) -> Result<Vec<Self>> {
        let mut pages = Vec::new();
        for entry in tool::repository().join(directory).read_dir_utf8()? {
            let name = entry?.file_name().to_owned();
            if name.ends_with(".md") {
                pages.push(Self::read(&format!("{directory}/{name}"))?);
            }
        }
        pages.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(pages)
    }

    /// The page of this path.
    pub(crate) fn read(path: &str) -> Result<Self> {
        Ok(Self {
            text: fs_err::read_to_string(tool::repository().join(path))?,
            path: path.to_owned(),
        })
    }

    /// The directory that its links start from.
    pub(crate) fn directory(&self) -> &Utf8Path {
        Utf8Path::new(&self.path)
            .parent()
            .unwrap_or_else(|| Utf8Path::new(""))
    }

    /// Every fenced block.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut lines = self.text.lines().enumerate();
        let mut before = "";
        while let Some((number, line)) = lines.next() {
            let Some(language) = line.trim_start().strip_prefix("```") else {
                if !line.trim().is_empty() {
                    before = line.trim();
                }
                continue;
            };
            let text: Vec<&str> = lines
                .by_ref()
                .map(|it| it.1)
                .take_while(|it| it.trim() != "```")
                .collect();
            blocks.push(Block {
                language: language.to_owned(),
                line: number + 1,
                text: text.join("\n"),
                origin: origin(before),
            });
            before = "";
        }
        blocks
    }

    /// Its lines and their numbers, without what is in blocks.
    pub(crate) fn prose(&self) -> Vec<(usize, &str)> {
        let mut inside = false;
        let mut prose = Vec::new();
        for (number, line) in self.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                inside = !inside;
            } else if !inside {
                prose.push((number + 1, line));
            }
        }
        prose
    }

    /// What its headings are linked by.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let mut anchors: Vec<String> = Vec::new();
        for (_, line) in self.prose() {
            let heading = line.trim_start_matches('#');
            if heading.len() == line.len() || !heading.starts_with(' ') {
                continue;
            }
            let anchor = anchor(heading.trim());
            let again = anchors.iter().filter(|it| **it == anchor).count();
            anchors.push(match again {
                0 => anchor,
                again => format!("{anchor}-{again}"),
            });
        }
        anchors
    }
}

fn origin(line: &str) -> Option<String> {
    let path = line.strip_prefix("<!--")?.strip_suffix("-->")?;
    Some(path.trim().to_owned())
}

/// As GitHub makes it of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|it| match it {
        ' ' => Some('-'),
        '-' | '_' => Some(it),
        it => it.is_alphanumeric().then_some(it),
    });
    kept.flat_map(char::to_lowercase).collect()
}

#[test]
fn blocks_are_found_with_what_is_said_of_them() {
    let page = Page {
        path: "docs/page.md".to_owned(),
        text:
            "# Page\n\n<!-- fixtures/a.rs -->\n```rust\nlet a = 1;\n```\n\n```yaml\na: 1\n```\n\n\
               <!-- fixtures/b.yaml -->\n\n```yaml\nb: 1\n```\n"
                .to_owned(),
    };
    let found: Vec<_> = page
        .blocks()
        .into_iter()
        .map(|it| (it.language, it.line, it.text, it.origin))
        .collect();
    let block = |language: &str, line, text: &str, origin| {
        (language.to_owned(), line, text.to_owned(), origin)
    };
    let of = |path: &str| Some(path.to_owned());
    assert_eq!(
        found,
        [
            block("rust", 4, "let a = 1;", of("fixtures/a.rs")),
            block("yaml", 8, "a: 1", None),
            block("yaml", 14, "b: 1", of("fixtures/b.yaml")),
        ]
    );
}

#[test]
fn headings_are_linked_as_github_does() {
    let page = Page {
        path: "docs/page.md".to_owned(),
        text:
            "# Large numbers: `bigint`\n## To try it\n```sh\n# no heading\n```\n## To try it\n#no\n"
                .to_owned(),
    };
    assert_eq!(
        page.anchors(),
        ["large-numbers-bigint", "to-try-it", "to-try-it-1"]
    );
}
