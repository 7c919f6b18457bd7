//! Excerpts of Rust, by its tokens.

use crate::excerpt::{self, Pieces, leaves_out};

/// Checks a block against a file.
///
/// # Errors
/// What was not found.
pub(crate) fn check(block: &str, file: &str) -> Result<(), String> {
    excerpt::find(&Tokens {
        pieces: pieces(block),
        file: without_trailing_commas(&tokens(file)),
    })
}

/// A token, and the line that it stands in.
#[derive(Debug, Clone)]
struct Token<'t> {
    text: &'t str,
    line: &'t str,
}

struct Tokens<'t> {
    pieces: Vec<Vec<Token<'t>>>,
    file: Vec<Token<'t>>,
}

impl Pieces for Tokens<'_> {
    fn count(&self) -> usize {
        self.pieces.len()
    }

    fn end(&self) -> usize {
        self.file.len()
    }

    fn matched(&self, piece: usize, place: usize) -> (usize, usize) {
        let piece = &self.pieces[piece];
        let pairs = piece.iter().zip(&self.file[place..]);
        let matched = pairs.take_while(|(a, b)| a.text == b.text).count();
        (matched, piece.len())
    }

    fn may_skip(&self, _piece: usize, from: usize, to: usize) -> Option<bool> {
        let mut depth = 0_usize;
        for token in &self.file[from..to] {
            match token.text {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.checked_sub(1)?,
                _ => {}
            }
        }
        Some(depth == 0)
    }

    fn shown(&self, piece: usize, part: usize) -> String {
        let token = &self.pieces[piece][part];
        format!("`{}` in `{}`", token.text, token.line.trim())
    }
}

/// The tokens between what leaves something out.
fn pieces(block: &str) -> Vec<Vec<Token<'_>>> {
    let mut pieces = vec![Vec::new()];
    let all = tokens(block);
    for (index, token) in all.iter().enumerate() {
        let before = index.checked_sub(1).map_or("{", |it| all[it].text);
        let after = all.get(index + 1).map_or("}", |it| it.text);
        let alone = matches!(before, "(" | "[" | "{") && matches!(after, ")" | "]" | "}");
        let out = match token.text {
            "..." => true,
            ".." => alone || leaves_out(token.line),
            _ => false,
        };
        match pieces.last_mut() {
            Some(piece) if !out => piece.push(token.clone()),
            _ => pieces.push(Vec::new()),
        }
    }
    let pieces = pieces.iter().map(|it| without_trailing_commas(it));
    pieces.filter(|it| !it.is_empty()).collect()
}

fn without_trailing_commas<'t>(tokens: &[Token<'t>]) -> Vec<Token<'t>> {
    let trailing = |index: usize| {
        let next = tokens.get(index + 1).map(|it| it.text);
        tokens[index].text == "," && matches!(next, Some(")" | "]" | "}"))
    };
    let kept = (0..tokens.len()).filter(|index| !trailing(*index));
    kept.map(|index| tokens[index].clone()).collect()
}

/// Words, literals and signs; no comments.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut from = 0;
    while let Some(first) = text[from..].chars().next() {
        let rest = &text[from..];
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |it| it + 2)
        } else {
            let length = length(rest);
            let start = text[..from].rfind('\n').map_or(0, |it| it + 1);
            let line = text[start..].lines().next().unwrap_or_default();
            tokens.push(Token {
                text: &rest[..length],
                line,
            });
            length
        };
        from += length;
    }
    tokens
}

/// How long the token is that a text starts with.
fn length(text: &str) -> usize {
    let word = |text: &str| {
        text.find(|it: char| !it.is_alphanumeric() && it != '_')
            .unwrap_or(text.len())
    };
    if let Some(quoted) = raw_string(text) {
        return quoted;
    }
    if let Some(inside) = text.strip_prefix('"').or_else(|| text.strip_prefix("b\"")) {
        return text.len() - inside.len() + until(inside, '"');
    }
    if let Some(inside) = text.strip_prefix('\'') {
        let second = inside.chars().nth(1);
        let lifetime = !inside.starts_with('\\') && second != Some('\'');
        return 1 + if lifetime {
            word(inside)
        } else {
            until(inside, '\'')
        };
    }
    for sign in ["...", "..=", ".."] {
        if text.starts_with(sign) {
            return sign.len();
        }
    }
    match word(text) {
        0 => text.chars().next().map_or(1, char::len_utf8),
        length => length,
    }
}

/// Up to the quotation mark that is not escaped, and with it.
fn until(inside: &str, mark: char) -> usize {
    let mut escaped = false;
    for (index, it) in inside.char_indices() {
        if it == mark && !escaped {
            return index + it.len_utf8();
        }
        escaped = it == '\\' && !escaped;
    }
    inside.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let start = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let inside = start.trim_start_matches('#');
    let marks = start.len() - inside.len();
    let inside = inside.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(marks));
    let length = inside.find(&end)? + end.len();
    Some(text.len() - inside.len() + length)
}

#[cfg(test)]
const FILE: &str = r##"
//! A file.

/// Wins it.
pub async fn win(state: &AppState, id: Uuid) -> Result<Model, Error> {
    let tx = begin(&state.db).await?; // A transaction.
    let row = Repository
        .find_for_update(&tx, id)
        .await?
        .ok_or_else(|| Error::not_found("row", id))?;
    if row.stage == Stage::Won {
        return Ok(row);
    }
    let row = Model {
        stage: Stage::Won,
        ..row
    };
    let url = "https://example.test"; let mark = '"'; let raw = r#"a "quoted" // word"#;
    tx.commit().await?;
    Ok(row)
}

fn other() {
    let found = call(
        1,
        2,
    );
}
"##;

#[test]
fn an_excerpt_is_found_however_it_is_set() {
    for block in [
        "let tx = begin(&state.db).await?;",
        "// Begins.\nlet tx = begin( &state.db )\n    .await?;\n\nlet row = Repository.find_for_update(&tx, id)",
        "let found = call(1, 2);",
        "pub async fn win(...) -> Result<Model, Error> {\n    ..\n    tx.commit().await?;\n    Ok(row)\n}",
        "fn other() { .. }",
        "...\nif row.stage == Stage::Won {\n    ...\n}\n...",
        "let row = Model { stage: Stage::Won, ..row };",
        "let url = \"https://example.test\";\nlet mark = '\"';\nlet raw = r#\"a \"quoted\" // word\"#;",
        "async fn win(state: &AppState, ...) ...",
    ] {
        assert_eq!(check(block, FILE), Ok(()), "{block}");
    }
}

#[test]
fn a_block_that_differs_in_a_word_fails_and_names_it() {
    for (block, shown) in [
        (
            "let tx = begin(&state.database).await?;",
            "`database` in `let tx = begin(&state.database).await?;`",
        ),
        (
            "let tx = begin(&state.db).await?;\ntx.commit().await?;",
            "`tx` in `tx.commit().await?;`",
        ),
        (
            "let url = \"https://example.com\";",
            "`\"https://example.com\"`",
        ),
        ("let found = call(1, 2, 3);", "`,` in"),
        // A struct that is filled from another one is not an omission.
        ("let row = Model { ..row };", "`..` in"),
        // In the other order.
        (
            "tx.commit().await?;\n...\nlet tx = begin(&state.db).await?;",
            "`let` in",
        ),
        // Of another function.
        (
            "let tx = begin(&state.db).await?;\n...\nlet found = call(1, 2);",
            "in `let found = call(1, 2);`",
        ),
        // Of another block.
        (
            "if row.stage == Stage::Won {\n    ...\n    tx.commit().await?;\n}",
            "in `tx.commit().await?;`",
        ),
        ("// A comment.", "it shows nothing"),
        ("...", "it shows nothing"),
    ] {
        let error = check(block, FILE).unwrap_err();
        assert!(error.contains(shown), "{block}: {error}");
    }
}
