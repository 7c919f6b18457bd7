//! The calls that publish or consume an event.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{
    AngleBracketedGenericArguments, Block, Expr, ExprCall, ExprClosure, ExprMethodCall,
    GenericArgument, ImplItemFn, Item, ItemFn, ItemImpl, ItemMacro, ItemMod, Local, Macro, Pat,
    PathArguments, TraitItemFn, Type,
};

use super::functions::Functions;
use super::names::{self, Named, Names};
use super::scope::Scope;
use super::sources::Source;
use super::{EventUse, EventUses, Place, UnknownUse, UseKind, infer};
use crate::workspace::rust_file::{self, RustFile};

/// Names that no other library is likely to use, so that a macro with one of them is worth a word.
const TELLING: [&str; 4] = [
    "on_named",
    "publish_and_start",
    "subscribe",
    "wait_for_event",
];

/// Walks a file.
pub(super) struct Calls<'a> {
    source: &'a Source,
    scope: Scope<'a>,
    functions: &'a Functions,
    uses: &'a mut EventUses,
    /// Type of the job whose handler is walked; its name where that is no literal.
    job: Option<String>,
    /// The event of the variable that is being bound.
    expected: Option<Named>,
}

/// One call, whether it is written as a method or as a path.
struct Call<'c> {
    name: String,
    span: Span,
    types: Option<&'c AngleBracketedGenericArguments>,
    arguments: Vec<&'c Expr>,
}

impl<'c> Call<'c> {
    fn types(&self) -> impl Iterator<Item = &'c Type> {
        let arguments = self.types.into_iter().flat_map(|it| &it.args);
        arguments.filter_map(|it| match it {
            GenericArgument::Type(ty) if !matches!(ty, Type::Infer(_)) => Some(ty),
            _ => None,
        })
    }
}

impl<'a> Calls<'a> {
    pub(super) fn new(
        source: &'a Source,
        names: &'a Names,
        functions: &'a Functions,
        uses: &'a mut EventUses,
    ) -> Self {
        Self {
            source,
            scope: Scope::new(source, names),
            functions,
            uses,
            job: None,
            expected: None,
        }
    }

    pub(super) fn file(&mut self) {
        let file: &'a RustFile = &self.source.file;
        for item in &file.ast.items {
            self.visit_item(item);
        }
    }

    fn call(&mut self, call: &Call<'_>) {
        let count = call.arguments.len();
        match call.name.as_str() {
            "subscribe" if count == 2 => {
                let named = self.typed(call).or_else(|| self.argument(call, 1));
                let name = self.text(call.arguments[0]);
                self.found(UseKind::Subscription, call, named, Some(name));
            }
            "subscribe_all" if count == 2 => self.uses.found.push(EventUse {
                kind: UseKind::Subscription,
                place: self.place(call.span),
                event: None,
                name: Some(self.text(call.arguments[0])),
            }),
            "on" if count == 1 => {
                let named = self.typed(call).or_else(|| self.argument(call, 0));
                // Many other things have a method `on`.
                if self.job.is_some() || matches!(named, Some(Named::Event(_))) {
                    self.trigger(call, named, None);
                }
            }
            "on_named" if count == 2 => {
                let named = self.typed(call).or_else(|| self.argument(call, 1));
                let name = self.text(call.arguments[0]);
                self.trigger(call, named, Some(name));
            }
            name if name.starts_with("publish_and_start") => {
                let named = self.event_among_types(call);
                let named = named.or_else(|| self.among_arguments(call));
                let job = self.started_job(call);
                self.found(UseKind::Start, call, named, job);
            }
            "wait_for_event" => {
                let named = self.typed(call).or_else(|| self.expected.clone());
                self.found(UseKind::Wait, call, named, self.job.clone());
            }
            name if name.starts_with("publish") => {
                let named = self.typed(call).or_else(|| self.among_arguments(call));
                // Other libraries publish too; what is counted here is how the runtime's methods are called.
                let likely = matches!(
                    (name, count),
                    ("publish" | "publish_detached_with", 3)
                        | ("publish_with", 4)
                        | ("publish_detached" | "publish_many", 2)
                );
                if likely || matches!(named, Some(Named::Event(_))) {
                    self.found(UseKind::Publish, call, named, None);
                }
            }
            _ => {}
        }
    }

    /// A trigger's id is made of the job and of its own name, which is the event's type unless it has one.
    fn trigger(&mut self, call: &Call<'_>, named: Option<Named>, name: Option<String>) {
        let name = name.or_else(|| match &named {
            Some(Named::Event(event)) => Some(event.clone()),
            _ => None,
        });
        let id = match (&self.job, name) {
            (Some(job), Some(name)) => Some(format!("{job}/{name}")),
            _ => None,
        };
        self.found(UseKind::Trigger, call, named, id);
    }

    fn found(
        &mut self,
        kind: UseKind,
        call: &Call<'_>,
        named: Option<Named>,
        name: Option<String>,
    ) {
        let place = self.place(call.span);
        let (why, candidates) = match named {
            Some(Named::Event(event)) => {
                self.uses.found.push(EventUse {
                    kind,
                    place,
                    event: Some(event),
                    name,
                });
                return;
            }
            Some(Named::Other) => return,
            Some(Named::OneOf(rust, events)) => (
                format!(
                    "`{rust}` is the name of several events: {}",
                    events.join(", ")
                ),
                events,
            ),
            Some(Named::Parameter(parameter)) => (
                format!("its event is the type parameter `{parameter}`"),
                Vec::new(),
            ),
            None => ("its event is not written there".to_owned(), Vec::new()),
        };
        let what = match name {
            Some(name) if kind == UseKind::Subscription => {
                format!(".{}(\"{name}\", ..)", call.name)
            }
            _ => format!(".{}(..)", call.name),
        };
        self.uses.unknown.push(UnknownUse {
            place,
            what,
            why,
            candidates,
        });
    }

    /// The event by the first type that the call is given.
    fn typed(&self, call: &Call<'_>) -> Option<Named> {
        let given = call.types?.args.first()?;
        match given {
            GenericArgument::Type(Type::Infer(_)) => None,
            GenericArgument::Type(ty) => {
                Some(infer::of_type(&self.scope, ty).unwrap_or(Named::Other))
            }
            _ => None,
        }
    }

    fn event_among_types(&self, call: &Call<'_>) -> Option<Named> {
        call.types().find_map(|it| infer::of_type(&self.scope, it))
    }

    fn argument(&self, call: &Call<'_>, position: usize) -> Option<Named> {
        infer::of_expr(&self.scope, self.functions, call.arguments[position])
    }

    fn among_arguments(&self, call: &Call<'_>) -> Option<Named> {
        let mut arguments = call.arguments.iter();
        arguments.find_map(|it| infer::of_expr(&self.scope, self.functions, it))
    }

    /// The job that a call names: the one whose handler is found, or else the last type that is no event.
    fn started_job(&self, call: &Call<'_>) -> Option<String> {
        let paths = call.types().filter_map(|it| match it {
            Type::Path(it) => Some(&it.path),
            _ => None,
        });
        let paths: Vec<_> = paths
            .filter(|it| self.scope.named(it) == Named::Other)
            .collect();
        let known = paths.iter().find_map(|it| self.scope.job(it));
        known.or_else(|| paths.last().and_then(|it| self.scope.last_name(it)))
    }

    /// The value of a literal, or else its source text.
    fn text(&self, expr: &Expr) -> String {
        rust_file::string(expr).unwrap_or_else(|| {
            let range = self.source.file.range(expr);
            let text = self.source.text.get(range).unwrap_or_default();
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        })
    }

    fn place(&self, span: Span) -> Place {
        let start = span.start();
        Place {
            file: self.source.path.clone(),
            line: start.line,
            column: start.column + 1,
        }
    }

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
