//! What names mean at one place.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use syn::{FnArg, GenericParam, Generics, Item, ItemImpl, Pat, Path, Stmt};

use super::infer;
use super::names::{self, Named, Names};
use super::sources::Source;
use crate::workspace::rust_file;

/// What names mean at one place: those of the whole code, and those of the modules, functions and blocks around it.
pub(super) struct Scope<'a> {
    names: &'a Names,
    pub(super) file: &'a Utf8Path,
    layers: Vec<Layer>,
    self_types: Vec<Option<String>>,
}

#[derive(Default)]
struct Layer {
    imports: BTreeMap<String, String>,
    parameters: BTreeSet<String>,
    variables: BTreeMap<String, Option<Named>>,
}

impl<'a> Scope<'a> {
    /// The scope of a file's items.
    pub(super) fn new(source: &'a Source, names: &'a Names) -> Self {
        let mut scope = Self {
            names,
            file: &source.path,
            layers: Vec::new(),
            self_types: Vec::new(),
        };
        scope.enter_items(&source.file.ast.items);
        scope
    }

    /// Enters a module.
    pub(super) fn enter_items<'i>(&mut self, items: impl IntoIterator<Item = &'i Item>) {
        let uses = items.into_iter().filter_map(|it| match it {
            Item::Use(item) => Some(names::imports(&item.tree)),
            _ => None,
        });
        let layer = Layer {
            imports: uses.flatten().collect(),
            ..Layer::default()
        };
        self.layers.push(layer);
    }

    /// Enters a block, whose `use` items hold from its first statement on.
    pub(super) fn enter_block(&mut self, statements: &[Stmt]) {
        self.enter_items(statements.iter().filter_map(|it| match it {
            Stmt::Item(item) => Some(item),
            _ => None,
        }));
    }

    /// Enters an implementation, which has a `Self`.
    pub(super) fn enter_impl(&mut self, item: &ItemImpl) {
        self.self_types.push(names::type_name(&item.self_ty));
        self.enter_generics(&item.generics);
    }

    /// Leaves an implementation.
    pub(super) fn leave_impl(&mut self) {
        self.self_types.pop();
        self.leave();
    }

    /// Enters what has type parameters.
    pub(super) fn enter_generics(&mut self, generics: &Generics) {
        let parameters = generics.params.iter().filter_map(|it| match it {
            GenericParam::Type(it) => Some(rust_file::plain(&it.ident)),
            _ => None,
        });
        let layer = Layer {
            parameters: parameters.collect(),
            ..Layer::default()
        };
        self.layers.push(layer);
    }

    /// Binds a function's arguments.
    pub(super) fn bind_inputs<'i>(&mut self, inputs: impl IntoIterator<Item = &'i FnArg>) {
        for input in inputs {
            if let FnArg::Typed(it) = input {
                let named = infer::of_type(self, &it.ty);
                self.bind(&it.pat, named);
            }
        }
    }

    /// Leaves what was entered last.
    pub(super) fn leave(&mut self) {
        self.layers.pop();
    }

    /// Binds the variables of a pattern to the event that the value is, holds or takes.
    pub(super) fn bind(&mut self, pattern: &Pat, named: Option<Named>) {
        match pattern {
            Pat::Ident(it) => {
                if let Some(layer) = self.layers.last_mut() {
                    layer.variables.insert(rust_file::plain(&it.ident), named);
                }
            }
            Pat::Type(it) => {
                let named = infer::of_type(self, &it.ty).or(named);
                self.bind(&it.pat, named);
            }
            Pat::Struct(it) => {
                let payload = it.fields.iter().find(|field| match &field.member {
                    syn::Member::Named(name) => name == "payload",
                    syn::Member::Unnamed(_) => false,
                });
                if let Some(payload) = payload {
                    self.bind(&payload.pat, named);
                }
            }
            Pat::Reference(it) => self.bind(&it.pat, named),
            Pat::Paren(it) => self.bind(&it.pat, named),
            _ => {}
        }
    }

    /// The event of a variable.
    pub(super) fn variable(&self, name: &str) -> Option<Named> {
        let mut layers = self.layers.iter().rev();
        layers.find_map(|it| it.variables.get(name)).cloned()?
    }

    /// What the path of a type means.
    pub(super) fn named(&self, path: &Path) -> Named {
        let Some(last) = path.segments.last() else {
            return Named::Other;
        };
        let first = rust_file::plain(&path.segments[0].ident);
        let is_parameter = self.layers.iter().any(|it| it.parameters.contains(&first));
        let is_part_of_self = first == "Self" && path.segments.len() > 1;
        if is_parameter || is_part_of_self {
            let parts = path.segments.iter().map(|it| rust_file::plain(&it.ident));
            return Named::Parameter(parts.collect::<Vec<_>>().join("::"));
        }
        let last = rust_file::plain(&last.ident);
        if path.segments.len() == 1 {
            self.names.meaning(&self.original(&last))
        } else {
            self.names.meaning(&last)
        }
    }

    /// Last name of a path, as it is called where it comes from.
    pub(super) fn last_name(&self, path: &Path) -> Option<String> {
        let last = rust_file::plain(&path.segments.last()?.ident);
        if path.segments.len() == 1 {
            return Some(self.original(&last));
        }
        Some(last)
    }

    /// What a name is called where it comes from.
    pub(super) fn original(&self, name: &str) -> String {
        if name == "Self"
            && let Some(Some(own)) = self.self_types.last()
        {
            return own.clone();
        }
        let mut layers = self.layers.iter().rev();
        let import = layers.find_map(|it| it.imports.get(name));
        import.map_or_else(|| name.to_owned(), Clone::clone)
    }

    /// The job that a handler's name stands for.
    pub(super) fn job(&self, path: &Path) -> Option<String> {
        let name = self.last_name(path)?;
        self.names.job(&name).map(ToOwned::to_owned)
    }
}
