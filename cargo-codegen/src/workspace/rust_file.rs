//! A Rust file parsed with syn, and the byte ranges of its parts.

use std::ops::Range;

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::spanned::Spanned;

/// A file that is no valid Rust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// 1-based line.
    pub(crate) line: usize,
    /// The parser's words.
    pub(crate) message: String,
}

/// A parsed file.
pub(crate) struct RustFile {
    pub(crate) ast: syn::File,
    /// Length of what syn cuts off before it counts positions: a byte order mark and a `#!` line without its end.
    offset: usize,
}

impl RustFile {
    pub(crate) fn parse(text: &str) -> Result<Self, SyntaxError> {
        match syn::parse_file(text) {
            Ok(ast) => {
                let mark = if text.starts_with('\u{feff}') { 3 } else { 0 };
                let offset = mark + ast.shebang.as_ref().map_or(0, String::len);
                Ok(Self { ast, offset })
            }
            Err(error) => Err(SyntaxError {
                line: error.span().start().line,
                message: error.to_string(),
            }),
        }
    }

    /// Byte range of a part, its attributes and doc comments included.
    pub(crate) fn range(&self, part: &impl Spanned) -> Range<usize> {
        self.span_range(part.span())
    }

    /// Byte range of a span of this file.
    pub(crate) fn span_range(&self, span: proc_macro2::Span) -> Range<usize> {
        let range = span.byte_range();
        range.start + self.offset..range.end + self.offset
    }

    /// 1-based line on which a part begins.
    pub(crate) fn line(&self, part: &impl Spanned) -> usize {
        part.span().start().line
    }
}

/// The name of an identifier without `r#`.
pub(crate) fn plain(ident: &syn::Ident) -> String {
    ident.unraw().to_string()
}

/// The name that a text means as an identifier, without `r#`.
pub(crate) fn plain_text(ident: &str) -> &str {
    ident.strip_prefix("r#").unwrap_or(ident)
}

/// Whether these identifiers stand one after the other anywhere in the tokens, groups included.
pub(crate) fn has_sequence(tokens: &TokenStream, wanted: &[&str]) -> bool {
    let mut matched = 0;
    for tree in tokens.clone() {
        if let TokenTree::Ident(ident) = &tree
            && matched < wanted.len()
            && plain(ident) == wanted[matched]
        {
            matched += 1;
            if matched == wanted.len() {
                return true;
            }
            continue;
        }
        matched = 0;
        match &tree {
            TokenTree::Group(group) if has_sequence(&group.stream(), wanted) => return true,
            TokenTree::Ident(ident) if plain(ident) == wanted[0] => matched = 1,
            _ => {}
        }
        if matched == wanted.len() {
            return true;
        }
    }
    false
}
