//! The way through a file, and what each place is in.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{
    Block, Expr, ExprCall, ExprClosure, ExprMethodCall, ImplItemFn, Item, ItemFn, ItemImpl,
    ItemMacro, ItemMod, Local, Macro, Pat, PathArguments, TraitItemFn, Type,
};

use super::calls::{Call, Calls};
use super::{UnknownUse, infer, names};
use crate::workspace::rust_file;

/// Names that no other library is likely to use, so that a macro with one of them is worth a word.
const TELLING: [&str; 4] = [
    "on_named",
    "publish_and_start",
    "subscribe",
    "wait_for_event",
];

impl Calls<'_> {
    /// What a macro is given, if it can be read as expressions or statements.
    fn tokens(&mut self, tokens: &TokenStream) {
        if let Some(expressions) = infer::expressions(tokens) {
            for expr in &expressions {
                self.visit_expr(expr);
            }
        } else if let Ok(statements) =
            syn::parse::Parser::parse2(Block::parse_within, tokens.clone())
        {
            for statement in &statements {
                self.visit_stmt(statement);
            }
        } else {
            self.opaque(tokens.clone());
        }
    }

    /// A macro that cannot be read, but names what is looked for.
    fn opaque(&mut self, tokens: TokenStream) {
        let mut before_was_call = false;
        for tree in tokens {
            match tree {
                TokenTree::Group(group) => {
                    self.opaque(group.stream());
                    before_was_call = false;
                }
                TokenTree::Punct(punct) => before_was_call = matches!(punct.as_char(), '.' | ':'),
                TokenTree::Ident(ident) => {
                    let name = rust_file::plain(&ident);
                    if before_was_call && TELLING.contains(&name.as_str()) {
                        self.uses.unknown.push(UnknownUse {
                            place: self.place(ident.span()),
                            what: format!(".{name}(..)"),
                            why: "it stands in a macro".to_owned(),
                            candidates: Vec::new(),
                        });
                    }
                    before_was_call = false;
                }
                TokenTree::Literal(_) => before_was_call = false,
            }
        }
    }

    fn function(&mut self, signature: &syn::Signature, block: &Block) {
        self.scope.enter_generics(&signature.generics);
        self.scope.bind_inputs(&signature.inputs);
        self.visit_block(block);
        self.scope.leave();
    }
}

impl<'ast> Visit<'ast> for Calls<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !rust_file::is_test(rust_file::attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if let Some((_, items)) = &item.content {
            self.scope.enter_items(items);
            visit::visit_item_mod(self, item);
            self.scope.leave();
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let handles = names::implemented_trait(item).as_deref() == Some("JobHandler");
        self.scope.enter_impl(item);
        let own = match &*item.self_ty {
            Type::Path(it) if handles => {
                let handler = self.scope.last_name(&it.path);
                self.scope.job(&it.path).or(handler)
            }
            _ => None,
        };
        let outer = std::mem::replace(&mut self.job, own);
        visit::visit_item_impl(self, item);
        self.job = outer;
        self.scope.leave_impl();
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.function(&item.sig, &item.block);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !rust_file::is_test(&item.attrs) {
            self.function(&item.sig, &item.block);
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
    }

    fn visit_block(&mut self, block: &'ast Block) {
        self.scope.enter_block(&block.stmts);
        visit::visit_block(self, block);
        self.scope.leave();
    }

    fn visit_local(&mut self, local: &'ast Local) {
        let value = local.init.as_ref().map(|it| &*it.expr);
        let declared = match &local.pat {
            Pat::Type(it) => infer::of_type(&self.scope, &it.ty),
            _ => None,
        };
        let outer = std::mem::replace(&mut self.expected, declared);
        visit::visit_local(self, local);
        self.expected = outer;
        let named = value.and_then(|it| infer::of_expr(&self.scope, self.functions, it));
        self.scope.bind(&local.pat, named);
    }

    fn visit_expr_closure(&mut self, closure: &'ast ExprClosure) {
        self.scope.enter_block(&[]);
        for input in &closure.inputs {
            self.scope.bind(input, None);
        }
        visit::visit_expr_closure(self, closure);
        self.scope.leave();
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        self.call(&Call {
            name: rust_file::plain(&call.method),
            span: call.method.span(),
            types: call.turbofish.as_ref(),
            arguments: call.args.iter().collect(),
        });
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        // `WorkerBuilder::subscribe(worker, ..)`: the first argument is what the method is called on.
        if let Expr::Path(function) = &*call.func {
            self.raw_event(&function.path, call);
        }
        if let Expr::Path(function) = &*call.func
            && function.path.segments.len() > 1
            && let Some(last) = function.path.segments.last()
        {
            self.call(&Call {
                name: rust_file::plain(&last.ident),
                span: last.ident.span(),
                types: match &last.arguments {
                    PathArguments::AngleBracketed(it) => Some(it),
                    _ => None,
                },
                arguments: call.args.iter().skip(1).collect(),
            });
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_item_macro(&mut self, item: &'ast ItemMacro) {
        if item.mac.path.is_ident("macro_rules") {
            self.opaque(item.mac.tokens.clone());
        } else {
            self.tokens(&item.mac.tokens);
        }
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.tokens(&call.tokens);
    }
}
