//! One name in every spelling that the output needs.

/// A definition's name, spelled for each place where it appears.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// As the definition spells it, `snake_case`: column, table, YAML key, JSON key.
    pub snake: String,
    /// `PascalCase`: Rust types and enum variants.
    pub pascal: String,
    /// `kebab-case`: URL segments.
    pub kebab: String,
    /// Legal Rust identifier for a field, variable or module: `r#type`, and `self_` where no raw form exists.
    pub ident: String,
    /// In a sentence: `line item`.
    pub human: String,
}
