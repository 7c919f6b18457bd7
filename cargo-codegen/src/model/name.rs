//! One name in every spelling that the output needs, and what a definition may be called.

use heck::{ToKebabCase, ToSnakeCase, ToUpperCamelCase};

use crate::definition::{Problem, Spanned, shorten};

/// A definition's name, spelled for each place where it appears.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// As the definition spells it, `snake_case`: column, table, YAML key, JSON key. Any text for an enum's choice.
    pub snake: String,
    /// `PascalCase`: Rust types and enum variants. Always legal: `self` becomes `Self_`, `2nd` becomes `Value2nd`.
    pub pascal: String,
    /// `kebab-case`: URL segments.
    pub kebab: String,
    /// Legal Rust identifier for a field, variable or module: `r#type`, and `self_` where no raw form exists.
    pub ident: String,
    /// In a sentence: `line item`.
    pub human: String,
}

impl Name {
    /// Spells a name. Definitions are checked before; any other text gives legal identifiers too, if it has a letter or digit at all.
    pub fn new(name: impl Into<String>) -> Self {
        let snake = name.into();
        Self {
            pascal: pascal(&snake),
            kebab: snake.to_kebab_case(),
            ident: ident(&snake),
            human: snake.replace('_', " "),
            snake,
        }
    }
}

/// Keywords of the 2024 edition, reserved ones included.
const KEYWORDS: [&str; 49] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield", "union",
];

/// Keywords that have no raw form.
const NEVER_RAW: [&str; 5] = ["self", "Self", "super", "crate", "_"];

/// A legal Rust identifier in `snake_case`.
fn ident(name: &str) -> String {
    let snake = if is_snake_case(name) {
        name.to_owned()
    } else {
        name.to_snake_case()
    };
    if snake.is_empty() {
        "__".to_owned()
    } else if NEVER_RAW.contains(&snake.as_str()) {
        format!("{snake}_")
    } else if snake != "union" && KEYWORDS.contains(&snake.as_str()) {
        format!("r#{snake}")
    } else if snake.starts_with(|it: char| it.is_ascii_digit()) {
        format!("_{snake}")
    } else {
        snake
    }
}

/// A legal Rust identifier in `PascalCase`.
fn pascal(name: &str) -> String {
    let pascal = name.to_upper_camel_case();
    if pascal == "Self" {
        "Self_".to_owned()
    } else if pascal.starts_with(|it: char| !unicode_ident::is_xid_start(it)) {
        format!("Value{pascal}")
    } else {
        pascal
    }
}

/// Longest name that PostgreSQL does not cut off, in bytes.
pub(crate) const MAX_BYTES: usize = 63;

/// Lower-case words of letters and digits, joined by single underscores.
pub(crate) fn is_snake_case(name: &str) -> bool {
    name.starts_with(|it: char| it.is_ascii_lowercase())
        && name.split('_').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit())
        })
}

/// Checks a name that becomes an identifier in Rust and in SQL; `what` as in "the field `x`".
///
/// # Errors
/// If it is not `snake_case` or too long.
pub(crate) fn check(name: &Spanned<String>, what: &str) -> Result<Name, Problem> {
    let text = &name.value;
    let error = |message: String| Problem::error("illegal-name", message, name.span.clone());
    if text.len() > MAX_BYTES {
        return Err(error(format!(
            "the name of {what} has {} bytes; databases cut off names after {MAX_BYTES}",
            text.len()
        ))
        .help("choose a shorter name"));
    }
    if is_snake_case(text) {
        return Ok(Name::new(text.clone()));
    }
    let shown = shorten(text);
    let why = if text.trim().is_empty() {
        "is empty"
    } else if text.contains(['/', '\\']) || text.contains("..") {
        "looks like a path"
    } else if text.starts_with(|it: char| it.is_ascii_digit()) {
        "begins with a digit"
    } else if !text.is_ascii() {
        "has letters other than a to z"
    } else {
        "is not snake_case"
    };
    let problem = error(format!("the name `{shown}` of {what} {why}"));
    let better = text.to_snake_case();
    Err(
        if is_snake_case(&better) && better != *text && !text.contains("..") {
            problem.label(format!("write `{better}`"))
        } else {
            problem.help("write lower-case words of the letters a to z and digits, joined by single underscores, beginning with a letter")
        },
    )
}

/// Checks the name of a column.
///
/// # Errors
/// As [`check`], and if the code that SeaORM derives would not compile with it.
pub(crate) fn check_column(name: &Spanned<String>) -> Result<Name, Problem> {
    let checked = check(name, "a field")?;
    // `Column::Err` would hide the associated type of its `FromStr`.
    if checked.pascal == "Err" {
        let message = format!("a field cannot be called `{}`", checked.snake);
        return Err(Problem::error("reserved-name", message, name.span.clone())
            .label("SeaORM needs this name itself")
            .help("choose another name, such as `error`"));
    }
    Ok(checked)
}

/// Checks a name that also becomes a file.
///
/// # Errors
/// As [`check`], and if some system or the generated workspace keeps the name for itself.
pub(crate) fn check_file(
    name: &Spanned<String>,
    what: &str,
    taken: &[&str],
) -> Result<Name, Problem> {
    let checked = check(name, what)?;
    let text = name.value.as_str();
    let device = matches!(text, "con" | "prn" | "aux" | "nul")
        || (text.len() == 4
            && (text.starts_with("com") || text.starts_with("lpt"))
            && text.ends_with(|it: char| it.is_ascii_digit()));
    let why = if device {
        "no file can have this name on Windows"
    } else if taken.contains(&text) {
        "the generated code needs this name itself"
    } else {
        return Ok(checked);
    };
    Err(Problem::error(
        "reserved-name",
        format!("{what} cannot be called `{text}`"),
        name.span.clone(),
    )
    .label(why)
    .help("choose another name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g14_rust_keywords_become_legal_identifiers() {
        for keyword in KEYWORDS
            .iter()
            .chain(&NEVER_RAW)
            .chain(&["std", "union", "2fa", "user_id"])
        {
            let name = Name::new(*keyword);
            assert!(
                syn::parse_str::<syn::Ident>(&name.ident).is_ok() || name.ident == "r#gen",
                "{keyword} -> {}",
                name.ident
            );
            assert_eq!(name.snake, *keyword);
        }
        assert_eq!(Name::new("gen").ident, "r#gen");
        assert_eq!(Name::new("self").ident, "self_");
        assert_eq!(Name::new("self").pascal, "Self_");
        assert_eq!(Name::new("union").ident, "union");
        assert_eq!(Name::new("type").pascal, "Type");
    }

    #[test]
    fn names_are_spelled_for_each_place() {
        let name = Name::new("line_item");
        assert_eq!(name.pascal, "LineItem");
        assert_eq!(name.kebab, "line-item");
        assert_eq!(name.ident, "line_item");
        assert_eq!(name.human, "line item");
        assert_eq!(Name::new("2nd try").pascal, "Value2ndTry");
        assert_eq!(Name::new("In-Progress").ident, "in_progress");
    }

    #[test]
    fn snake_case_is_strict() {
        for good in ["a", "user_id", "address_2", "sha256"] {
            assert!(is_snake_case(good), "{good}");
        }
        for bad in [
            "", "_", "a_", "_a", "a__b", "2a", "aB", "a-b", "é", "a b", "../a",
        ] {
            assert!(!is_snake_case(bad), "{bad}");
        }
    }
}
