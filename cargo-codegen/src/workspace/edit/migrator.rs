//! The list of migrations in an implementation of `MigratorTrait`.

use std::ops::Range;

use syn::punctuated::Punctuated;
use syn::{Block, Expr, ImplItem, Item, ItemImpl, Macro, MacroDelimiter, Stmt, Token};

use super::list::List;
use super::{Edited, Refused, lines, modules};
use crate::workspace::rust_file::{self, RustFile};

/// rustfmt lays a list of at most this many characters out in one line.
const ONE_LINE: usize = 60;

/// Adds `mod <ident>;` and `Box::new(<ident>::Migration)` at the end of the list.
pub(super) fn add(text: &str, ident: &str) -> Edited {
    let name = rust_file::plain_text(ident);
    let module = modules::declaration(ident, false);
    let item = format!("Box::new({ident}::Migration)");
    let refused = |why: String| Refused::new(why, format!("{module}\n{item},"));

    let file = RustFile::parse(text).map_err(|error| {
        refused(format!(
            "line {} is not valid Rust: {}",
            error.line, error.message
        ))
    })?;
    let list = find_list(text, &file).map_err(refused)?;
    let listed = list
        .items
        .iter()
        .any(|range| mentions(&text[range.clone()], name));
    let declared = modules::declares(&file, name);
    if listed && declared {
        return Ok(None);
    }

    // The list stands behind the declarations in most files, but nothing here depends on it.
    let with_item = if listed {
        text.to_owned()
    } else {
        insert(&list, &item)
    };
    let edited = if declared {
        with_item
    } else {
        modules::add(&with_item, ident, false)?.unwrap_or(with_item)
    };

    let verified = RustFile::parse(&edited).ok().is_some_and(|after| {
        modules::declares(&after, name)
            && find_list(&edited, &after).is_ok_and(|list| {
                list.items
                    .iter()
                    .any(|range| mentions(&edited[range.clone()], name))
            })
    });
    if verified {
        Ok(Some(edited))
    } else {
        Err(refused("the place for it could not be found".to_owned()))
    }
}

/// Whether a Rust file implements `MigratorTrait`.
pub(super) fn implements_migrator(file: &RustFile) -> bool {
    file.ast.items.iter().any(|it| migrator(it).is_some())
}

fn migrator(item: &Item) -> Option<&ItemImpl> {
    match item {
        Item::Impl(item)
            if item.trait_.as_ref().is_some_and(|(path, _)| {
                path.segments
                    .last()
                    .is_some_and(|it| it.ident == "MigratorTrait")
            }) =>
        {
            Some(item)
        }
        _ => None,
    }
}

fn find_list<'t>(text: &'t str, file: &RustFile) -> Result<List<'t>, String> {
    let migrators: Vec<&ItemImpl> = file.ast.items.iter().filter_map(migrator).collect();
    let found = match migrators.as_slice() {
        [found] => found,
        [] => return Err("the file does not implement `MigratorTrait`".to_owned()),
        _ => return Err("the file implements `MigratorTrait` more than once".to_owned()),
    };
    let body = found.items.iter().find_map(|it| match it {
        ImplItem::Fn(function) if function.sig.ident == "migrations" => Some(&function.block),
        _ => None,
    });
    let body = body.ok_or("`MigratorTrait` is implemented without `fn migrations`")?;
    let literal = vec_literal(body).ok_or_else(|| {
        format!(
            "`migrations()` on line {} is not a single `vec![..]` literal",
            file.line(found)
        )
    })?;
    let items = literal
        .parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated)
        .map_err(|error| format!("the `vec![..]` of `migrations()` is no plain list: {error}"))?;
    Ok(List {
        text,
        inner: inner(file, literal),
        items: items.iter().map(|it| file.range(it)).collect(),
        comment: "//",
    })
}

/// The `vec![..]` that the block evaluates to, if nothing but items stands before it.
fn vec_literal(block: &Block) -> Option<&Macro> {
    let (last, before) = block.stmts.split_last()?;
    if !before.iter().all(|it| matches!(it, Stmt::Item(_))) {
        return None;
    }
    let found = match last {
        Stmt::Expr(Expr::Macro(expr), None) => &expr.mac,
        Stmt::Macro(statement) if statement.semi_token.is_none() => &statement.mac,
        _ => return None,
    };
    found
        .path
        .segments
        .last()
        .is_some_and(|it| it.ident == "vec")
        .then_some(found)
}

fn inner(file: &RustFile, literal: &Macro) -> Range<usize> {
    let span = match &literal.delimiter {
        MacroDelimiter::Paren(it) => it.span,
        MacroDelimiter::Brace(it) => it.span,
        MacroDelimiter::Bracket(it) => it.span,
    };
    file.span_range(span.open()).end..file.span_range(span.close()).start
}

fn mentions(expression: &str, name: &str) -> bool {
    expression
        .parse()
        .is_ok_and(|tokens| rust_file::has_sequence(&tokens, &[name]))
}

fn insert(list: &List<'_>, item: &str) -> String {
    let inner = &list.text[list.inner.clone()];
    let too_long = inner.len() + item.len() + 2 > ONE_LINE;
    if inner.contains('\n') || inner.contains("/*") || !too_long {
        return list.insert(list.items.len(), item);
    }
    let indent = lines::indent(list.text, list.inner.start);
    let items = list.items.iter().map(|range| &list.text[range.clone()]);
    let laid_out: String = items
        .chain([item])
        .map(|item| format!("\n{indent}    {item},"))
        .collect();
    lines::splice(
        list.text,
        list.inner.clone(),
        &format!("{laid_out}\n{indent}"),
    )
}
