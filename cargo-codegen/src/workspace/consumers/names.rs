//! What the names of the whole code mean, whatever module they stand in.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{File, ImplItem, Item, ItemImpl, ItemType, ItemUse, Type, UseTree};

use super::infer;
use crate::workspace::rust_file;

/// What a type's name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// The event of this type.
    Event(String),
    /// One of several events.
    OneOf(String, Vec<String>),
    /// A type parameter, or something that depends on one.
    Parameter(String),
    /// No event that is known.
    Other,
}

/// Events, jobs and other names of types.
#[derive(Default)]
pub(super) struct Names {
    /// Rust name to event types.
    events: BTreeMap<String, BTreeSet<String>>,
    implemented: BTreeSet<String>,
    /// Rust name to job type.
    jobs: BTreeMap<String, String>,
    /// Other names of types: `use .. as ..` and `type .. = ..`.
    renames: BTreeMap<String, BTreeSet<String>>,
}

impl Names {
    pub(super) fn new<'a>(events: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut names = Self::default();
        for (rust, event) in events {
            names.event(rust, event);
        }
        names
    }

    pub(super) fn add(&mut self, file: &File) {
        self.visit_file(file);
    }

    pub(super) fn implemented(&self) -> Vec<String> {
        self.implemented.iter().cloned().collect()
    }

    /// What the name of a type means.
    pub(super) fn meaning(&self, name: &str) -> Named {
        let mut name = name;
        // No chain of renames is longer; a ring of them ends here.
        for _ in 0..8 {
            if let Some(events) = self.events.get(name) {
                let mut types = events.iter();
                return match (types.next(), types.next()) {
                    (Some(only), None) => Named::Event(only.clone()),
                    _ => Named::OneOf(name.to_owned(), events.iter().cloned().collect()),
                };
            }
            match self.renames.get(name).map(|it| (it.len(), it.first())) {
                Some((1, Some(target))) => name = target,
                _ => break,
            }
        }
        Named::Other
    }

    /// The type of a handler's job.
    pub(super) fn job(&self, handler: &str) -> Option<&str> {
        self.jobs.get(handler).map(String::as_str)
    }

    fn event(&mut self, rust: &str, event: &str) {
        let types = self.events.entry(rust.to_owned()).or_default();
        types.insert(event.to_owned());
    }

    fn rename(&mut self, name: String, target: String) {
        if name != target {
            self.renames.entry(name).or_default().insert(target);
        }
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast Item) {
        if !rust_file::is_test(rust_file::attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for (name, target) in imports(&item.tree) {
            self.rename(name, target);
        }
    }

    fn visit_item_type(&mut self, item: &'ast ItemType) {
        if let Some(target) = infer::aliased(&item.ty) {
            self.rename(rust_file::plain(&item.ident), target);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if let (Some(implemented), Some(name)) = (implemented_trait(item), type_name(&item.self_ty))
            && let Some(text) = literal_type(item)
        {
            match implemented.as_str() {
                "Event" => {
                    self.event(&name, &text);
                    self.implemented.insert(text);
                }
                "JobHandler" => {
                    self.jobs.insert(name, text);
                }
                _ => {}
            }
        }
        visit::visit_item_impl(self, item);
    }
}

/// The names that a `use` brings, and what each is called where it comes from.
pub(super) fn imports(tree: &UseTree) -> Vec<(String, String)> {
    match tree {
        UseTree::Path(path) => imports(&path.tree),
        UseTree::Group(group) => group.items.iter().flat_map(imports).collect(),
        UseTree::Rename(it) => vec![(rust_file::plain(&it.rename), rust_file::plain(&it.ident))],
        UseTree::Name(it) => {
            let name = rust_file::plain(&it.ident);
            vec![(name.clone(), name)]
        }
        _ => Vec::new(),
    }
}

/// Last name of the trait of an implementation.
pub(super) fn implemented_trait(item: &ItemImpl) -> Option<String> {
    let (path, _) = item.trait_.as_ref()?;
    path.segments.last().map(|it| rust_file::plain(&it.ident))
}

/// Last name of a type.
pub(super) fn type_name(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .map(|it| rust_file::plain(&it.ident)),
        Type::Group(group) => type_name(&group.elem),
        _ => None,
    }
}

/// `TYPE` of an implementation, if it is a literal.
fn literal_type(item: &ItemImpl) -> Option<String> {
    item.items.iter().find_map(|it| match it {
        ImplItem::Const(constant) if constant.ident == "TYPE" => rust_file::string(&constant.expr),
        _ => None,
    })
}
