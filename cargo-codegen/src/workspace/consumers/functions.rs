//! Which events the functions of the code take and give.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use syn::visit::{self, Visit};
use syn::{FnArg, ImplItemFn, ItemFn, ItemImpl, ItemMod, Path, ReturnType, Signature, TraitItemFn};

use super::infer;
use super::names::{self, Named, Names};
use super::scope::Scope;
use super::sources::Source;
use crate::workspace::rust_file;

/// The events of a function's signature.
#[derive(Debug)]
pub(super) struct Function {
    /// Type that it is a function of.
    owner: Option<String>,
    file: Utf8PathBuf,
    /// `self` aside.
    inputs: Vec<Option<Named>>,
    output: Option<Named>,
    takes_self: bool,
}

impl Function {
    /// The event of an argument, counted as the caller writes them.
    pub(super) fn input(&self, position: usize) -> Option<&Named> {
        self.inputs.get(position)?.as_ref()
    }

    /// The first event among the arguments.
    pub(super) fn taken(&self) -> Option<&Named> {
        self.inputs.iter().flatten().next()
    }

    pub(super) fn output(&self) -> Option<&Named> {
        self.output.as_ref()
    }
}

/// All functions by name.
#[derive(Debug, Default)]
pub(super) struct Functions {
    by_name: BTreeMap<String, Vec<Function>>,
}

impl Functions {
    pub(super) fn add(&mut self, source: &Source, names: &Names) {
        let mut collect = Collect {
            scope: Scope::new(source, names),
            owner: None,
            functions: self,
        };
        collect.visit_file(&source.file.ast);
    }

    /// What all functions that a path can mean say alike.
    pub(super) fn of_path<'f>(
        &'f self,
        path: &Path,
        scope: &Scope<'_>,
        pick: impl Fn(&'f Function) -> Option<&'f Named>,
    ) -> Option<Named> {
        let all = self.by_name.get(&scope.last_name(path)?)?;
        let qualifier = path.segments.iter().rev().nth(1);
        let candidates: Vec<&Function> = match qualifier {
            Some(qualifier) => {
                let qualifier = scope.original(&rust_file::plain(&qualifier.ident));
                let owned = || {
                    all.iter()
                        .filter(|it| it.owner.as_ref() == Some(&qualifier))
                };
                let free = all.iter().filter(|it| it.owner.is_none());
                if owned().next().is_some() {
                    owned().collect()
                } else {
                    preferred(free.collect(), |it| stands_in(it, &qualifier))
                }
            }
            None => {
                let free = all.iter().filter(|it| it.owner.is_none());
                preferred(free.collect(), |it| it.file == scope.file)
            }
        };
        agreed(candidates.into_iter().filter_map(pick))
    }

    /// What all methods of a name say alike.
    pub(super) fn of_method<'f>(
        &'f self,
        name: &str,
        pick: impl Fn(&'f Function) -> Option<&'f Named>,
    ) -> Option<Named> {
        let methods = self.by_name.get(name)?.iter().filter(|it| it.takes_self);
        agreed(methods.filter_map(pick))
    }
}

/// Those that are preferred, or all if none is.
fn preferred(all: Vec<&Function>, is: impl Fn(&Function) -> bool) -> Vec<&Function> {
    let some: Vec<_> = all.iter().copied().filter(|it| is(it)).collect();
    if some.is_empty() { all } else { some }
}

fn stands_in(function: &Function, module: &str) -> bool {
    let parent = function.file.parent().and_then(|it| it.file_name());
    function.file.file_stem() == Some(module) || parent == Some(module)
}

fn agreed<'f>(mut events: impl Iterator<Item = &'f Named>) -> Option<Named> {
    let first = events.next()?;
    events.all(|it| it == first).then(|| first.clone())
}

struct Collect<'a> {
    scope: Scope<'a>,
    owner: Option<String>,
    functions: &'a mut Functions,
}

impl Collect<'_> {
    fn function(&mut self, signature: &Signature) {
        self.scope.enter_generics(&signature.generics);
        let inputs = signature.inputs.iter().filter_map(|it| match it {
            FnArg::Typed(it) => Some(infer::of_type(&self.scope, &it.ty)),
            FnArg::Receiver(_) => None,
        });
        let function = Function {
            owner: self.owner.clone(),
            file: self.scope.file.to_owned(),
            inputs: inputs.collect(),
            output: match &signature.output {
                ReturnType::Type(_, ty) => infer::of_type(&self.scope, ty),
                ReturnType::Default => None,
            },
            takes_self: signature.receiver().is_some(),
        };
        self.scope.leave();
        let name = rust_file::plain(&signature.ident);
        let by_name = &mut self.functions.by_name;
        by_name.entry(name).or_default().push(function);
    }
}

impl<'ast> Visit<'ast> for Collect<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if let Some((_, items)) = &item.content
            && !rust_file::is_test(&item.attrs)
        {
            self.scope.enter_items(items);
            visit::visit_item_mod(self, item);
            self.scope.leave();
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let outer = std::mem::replace(&mut self.owner, names::type_name(&item.self_ty));
        self.scope.enter_impl(item);
        visit::visit_item_impl(self, item);
        self.scope.leave_impl();
        self.owner = outer;
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        let name = Some(rust_file::plain(&item.ident));
        let outer = std::mem::replace(&mut self.owner, name);
        visit::visit_item_trait(self, item);
        self.owner = outer;
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.function(&item.sig);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.function(&item.sig);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        self.function(&item.sig);
    }
}
