//! A Rust file parsed with syn, and the byte ranges of its parts.

use std::ops::Range;

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, Item, Lit, Meta, Token};

/// A file that is no valid Rust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// 1-based line.
    pub(crate) line: usize,
    /// 1-based column, in characters.
    pub(crate) column: usize,
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
                column: error.span().start().column + 1,
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

/// Whether something is there for tests only: `#[cfg(test)]`, `#[cfg(all(test, ..))]` or `#[test]` of any harness.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|it| {
        if it.path().is_ident("cfg") {
            return it.parse_args::<Meta>().is_ok_and(|it| requires_test(&it));
        }
        it.path()
            .segments
            .last()
            .is_some_and(|it| it.ident == "test")
    })
}

fn requires_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|it| it.iter().any(requires_test)),
        _ => false,
    }
}

/// The file that `#[path = ".."]` names.
pub(crate) fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|it| match &it.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => string(&pair.value),
        _ => None,
    })
}

/// The value of a string literal.
pub(crate) fn string(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// The attributes of an item that can be for tests only.
pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
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
