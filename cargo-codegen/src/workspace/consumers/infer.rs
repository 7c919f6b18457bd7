//! Which event a type or an expression is about, as far as that can be told without a compiler.

use proc_macro2::TokenStream;
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{
    Expr, ExprCall, ExprClosure, ExprMethodCall, GenericArgument, Local, Pat, PathArguments, Stmt,
    Token, Type, TypeParamBound,
};

use super::functions::{Function, Functions};
use super::names::{self, Named};
use super::scope::Scope;
use crate::workspace::rust_file;

/// The runtime's type of a delivered event.
const ENVELOPE: &str = "EventEnvelope";

/// Methods that give what they are called on.
const TRANSPARENT: [&str; 9] = [
    "boxed",
    "clone",
    "cloned",
    "collect",
    "expect",
    "into_iter",
    "iter",
    "to_owned",
    "unwrap",
];

/// The name that a type alias stands for; for an envelope, that of its event.
pub(super) fn aliased(ty: &Type) -> Option<String> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    if last.ident == ENVELOPE
        && let Some(event) = type_arguments(&last.arguments).next()
    {
        return names::type_name(event);
    }
    Some(rust_file::plain(&last.ident))
}

/// The event that a type is, holds or takes as an argument; never [`Named::Other`].
pub(super) fn of_type(scope: &Scope<'_>, ty: &Type) -> Option<Named> {
    let of_bounds = |bounds: &Punctuated<TypeParamBound, Token![+]>| {
        bounds.iter().find_map(|it| match it {
            TypeParamBound::Trait(it) => of_last_arguments(scope, &it.path),
            _ => None,
        })
    };
    match ty {
        Type::Path(it) if it.qself.is_none() => match scope.named(&it.path) {
            Named::Other => of_last_arguments(scope, &it.path),
            named => Some(named),
        },
        Type::Reference(it) => of_type(scope, &it.elem),
        Type::Paren(it) => of_type(scope, &it.elem),
        Type::Group(it) => of_type(scope, &it.elem),
        Type::Array(it) => of_type(scope, &it.elem),
        Type::Slice(it) => of_type(scope, &it.elem),
        Type::Tuple(it) => it.elems.iter().find_map(|it| of_type(scope, it)),
        Type::FnPtr(it) => it.inputs.iter().find_map(|it| of_type(scope, &it.ty)),
        Type::ImplTrait(it) => of_bounds(&it.bounds),
        Type::TraitObject(it) => of_bounds(&it.bounds),
        _ => None,
    }
}

fn of_last_arguments(scope: &Scope<'_>, path: &syn::Path) -> Option<Named> {
    let last = path.segments.last()?;
    match &last.arguments {
        PathArguments::Parenthesized(it) => it.inputs.iter().find_map(|it| of_type(scope, &it.ty)),
        arguments => type_arguments(arguments).find_map(|it| of_type(scope, it)),
    }
}

/// The types among the arguments of a path's segment.
pub(super) fn type_arguments(arguments: &PathArguments) -> impl Iterator<Item = &Type> {
    let list = match arguments {
        PathArguments::AngleBracketed(list) => Some(&list.args),
        _ => None,
    };
    list.into_iter().flatten().filter_map(|it| match it {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// The event that an expression's value is, holds or takes as an argument; never [`Named::Other`].
pub(super) fn of_expr(scope: &Scope<'_>, functions: &Functions, expr: &Expr) -> Option<Named> {
    let inner = |expr: &Expr| of_expr(scope, functions, expr);
    match expr {
        Expr::Path(it) => {
            if let Some(variable) = it.path.get_ident()
                && let Some(named) = scope.variable(&rust_file::plain(variable))
            {
                return Some(named);
            }
            known(scope.named(&it.path))
                .or_else(|| of_last_arguments(scope, &it.path))
                .or_else(|| functions.of_path(&it.path, scope, Function::taken))
        }
        Expr::Struct(it) => known(scope.named(&it.path)),
        Expr::Call(it) => of_call(scope, functions, it),
        Expr::MethodCall(it) if TRANSPARENT.iter().any(|name| it.method == name) => {
            inner(&it.receiver)
        }
        Expr::MethodCall(it) if it.method == "map" => it.args.iter().find_map(|it| match it {
            Expr::Closure(closure) => inner(&closure.body),
            _ => None,
        }),
        Expr::MethodCall(it) => functions.of_method(&it.method.to_string(), Function::output),
        Expr::Closure(it) => of_closure(scope, functions, it),
        Expr::Field(it) => match &it.member {
            syn::Member::Named(name) if name == "payload" => inner(&it.base),
            _ => None,
        },
        Expr::Block(it) => of_block(scope, functions, &it.block),
        Expr::Async(it) => of_block(scope, functions, &it.block),
        Expr::Reference(it) => inner(&it.expr),
        Expr::Paren(it) => inner(&it.expr),
        Expr::Group(it) => inner(&it.expr),
        Expr::Try(it) => inner(&it.expr),
        Expr::Await(it) => inner(&it.base),
        Expr::Cast(it) => of_type(scope, &it.ty),
        Expr::Array(it) => it.elems.iter().find_map(inner),
        Expr::Tuple(it) => it.elems.iter().find_map(inner),
        Expr::Macro(it) if it.mac.path.is_ident("vec") => {
            expressions(&it.mac.tokens)?.iter().find_map(inner)
        }
        _ => None,
    }
}

fn of_block(scope: &Scope<'_>, functions: &Functions, block: &syn::Block) -> Option<Named> {
    match block.stmts.last() {
        Some(Stmt::Expr(tail, None)) => of_expr(scope, functions, tail),
        _ => None,
    }
}

/// `Event::from(..)`, a function that gives one, or one wrapped in something such as `Some(..)`.
fn of_call(scope: &Scope<'_>, functions: &Functions, call: &ExprCall) -> Option<Named> {
    if let Expr::Path(function) = &*call.func {
        let mut owner = function.path.clone();
        owner.segments.pop();
        // `pop` leaves the `::` behind, which no path may end with.
        owner.segments.pop_punct();
        if !owner.segments.is_empty()
            && let Some(named) = known(scope.named(&owner))
        {
            return Some(named);
        }
        let given = of_last_arguments(scope, &function.path)
            .or_else(|| functions.of_path(&function.path, scope, Function::output));
        if given.is_some() {
            return given;
        }
    }
    let mut arguments = call.args.iter();
    arguments.find_map(|it| match it {
        // A variable that is handed over says little of what comes back.
        Expr::Struct(_) | Expr::Call(_) | Expr::Closure(_) => of_expr(scope, functions, it),
        _ => None,
    })
}

/// The event that a closure takes: by the types of its arguments, or by what it hands them to.
fn of_closure(scope: &Scope<'_>, functions: &Functions, closure: &ExprClosure) -> Option<Named> {
    let typed = closure.inputs.iter().find_map(|it| match it {
        Pat::Type(it) => of_type(scope, &it.ty),
        _ => None,
    });
    typed.or_else(|| {
        closure.inputs.iter().find_map(|it| match it {
            Pat::Ident(it) => {
                let mut receivers = Receivers {
                    variable: rust_file::plain(&it.ident),
                    scope,
                    functions,
                    found: None,
                };
                receivers.visit_expr(&closure.body);
                receivers.found
            }
            _ => None,
        })
    })
}

/// Looks for a function that is given a variable, and so tells its type.
struct Receivers<'a, 'n> {
    variable: String,
    scope: &'a Scope<'n>,
    functions: &'a Functions,
    found: Option<Named>,
}

impl Receivers<'_, '_> {
    /// Whether an expression is the variable, or the payload that it holds.
    fn is(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Path(it) => it.path.is_ident(&self.variable),
            Expr::Reference(it) => self.is(&it.expr),
            Expr::Paren(it) => self.is(&it.expr),
            Expr::MethodCall(it) => it.method == "clone" && self.is(&it.receiver),
            Expr::Field(it) => {
                matches!(&it.member, syn::Member::Named(name) if name == "payload")
                    && self.is(&it.base)
            }
            _ => false,
        }
    }
}

impl<'ast> Visit<'ast> for Receivers<'_, '_> {
    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(function) = &*call.func
            && let Some(position) = call.args.iter().position(|it| self.is(it))
            && self.found.is_none()
        {
            self.found = self
                .functions
                .of_path(&function.path, self.scope, |it| it.input(position));
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if let Some(position) = call.args.iter().position(|it| self.is(it))
            && self.found.is_none()
        {
            self.found = self
                .functions
                .of_method(&call.method.to_string(), |it| it.input(position));
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_local(&mut self, local: &'ast Local) {
        if let (Pat::Type(pattern), Some(init)) = (&local.pat, &local.init)
            && self.is(&init.expr)
            && self.found.is_none()
        {
            self.found = of_type(self.scope, &pattern.ty);
        }
        visit::visit_local(self, local);
    }
}

/// The arguments of a macro that is called like a function.
pub(super) fn expressions(tokens: &TokenStream) -> Option<Punctuated<Expr, Token![,]>> {
    Punctuated::parse_terminated.parse2(tokens.clone()).ok()
}

fn known(named: Named) -> Option<Named> {
    (named != Named::Other).then_some(named)
}
