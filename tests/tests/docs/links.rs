//! Links of a page to files and headings of the repository.

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use codegen_tests::tool;

use crate::page::Page;

/// Every link to this repository that leads nowhere.
pub(crate) fn broken(page: &Page) -> Vec<String> {
    let mut problems = Vec::new();
    for (target, anchor, line) in targets(page) {
        let place = format!("{}:{line}", page.path);
        let own = target == page.path;
        if !own && !tool::repository().join(&target).exists() {
            problems.push(format!(
                "{place}: there is no `{target}`; correct the link, or take it away"
            ));
            continue;
        }
        let Some(anchor) = anchor else { continue };
        let linked = if own {
            page.anchors()
        } else if target.ends_with(".md") {
            Page::read(&target).map_or_else(|_| Vec::new(), |it| it.anchors())
        } else {
            Vec::new()
        };
        if !linked.contains(&anchor) {
            problems.push(format!(
                "{place}: `{target}` has no heading `#{anchor}`; it has {}",
                linked.join(", ")
            ));
        }
    }
    problems
}

/// What a page links to in this repository: the path from its root, the heading, and the line of the link.
pub(crate) fn targets(page: &Page) -> Vec<(String, Option<String>, usize)> {
    let mut found = Vec::new();
    for (line, text) in page.prose() {
        for part in without_code(text).split("](").skip(1) {
            let link = part.split(')').next().unwrap_or_default();
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = match link.split_once('#') {
                Some((path, anchor)) => (path, Some(anchor.to_owned())),
                None => (link, None),
            };
            let target = match path {
                "" => page.path.clone(),
                path => normal(&page.directory().join(path)).into_string(),
            };
            found.push((target, anchor, line));
        }
    }
    found
}

/// A line without its code spans, in which brackets are no links; `` [`name`](path) `` keeps its path.
fn without_code(line: &str) -> String {
    let spans = line.split('`').enumerate();
    spans.filter(|it| it.0 % 2 == 0).map(|it| it.1).collect()
}

/// Without `..`, as far as the path has parents.
fn normal(path: &Utf8Path) -> Utf8PathBuf {
    let mut normal = Utf8PathBuf::new();
    for component in path.components() {
        match component {
            Utf8Component::ParentDir if normal.pop() => {}
            Utf8Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
fn page(text: &str) -> Page {
    Page {
        path: "docs/page.md".to_owned(),
        text: text.to_owned(),
    }
}

#[test]
fn links_that_lead_nowhere_are_named_with_their_line() {
    let text = "# Here it is\n[`a`](../README.md), [b](nowhere.md)\n[c](#here-it-is) and [d](#there)\n\
                [e](https://example.test/nowhere)\n[f](../README.md#the-tour), [g](../README.md#no)\n";
    let problems = broken(&page(text));
    let starts = [
        "docs/page.md:2: there is no `docs/nowhere.md`;",
        "docs/page.md:3: `docs/page.md` has no heading `#there`;",
        "docs/page.md:5: `README.md` has no heading `#no`;",
    ];
    assert_eq!(problems.len(), starts.len(), "{problems:?}");
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}");
    }
}

#[test]
fn what_is_code_is_no_link() {
    let found = targets(&page(
        "`run(&[a](b))`\n```rust\nlet a = b[0](c.md);\n```\n[x](y.md)\n",
    ));
    assert_eq!(found, [("docs/y.md".to_owned(), None, 5)]);
}
