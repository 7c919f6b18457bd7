//! The calls that publish or consume an event.

use proc_macro2::Span;
use syn::visit::Visit;
use syn::{AngleBracketedGenericArguments, Expr, ExprCall, GenericArgument, Type};

use super::functions::Functions;
use super::names::{Named, Names};
use super::scope::Scope;
use super::sources::Source;
use super::{EventUse, EventUses, Place, UnknownUse, UseKind, infer};
use crate::workspace::rust_file::{self, RustFile};

/// Walks a file.
pub(super) struct Calls<'a> {
    source: &'a Source,
    pub(super) scope: Scope<'a>,
    pub(super) functions: &'a Functions,
    pub(super) uses: &'a mut EventUses,
    /// Type of the job whose handler is walked; its name where that is no literal.
    pub(super) job: Option<String>,
    /// The event of the variable that is being bound.
    pub(super) expected: Option<Named>,
}

/// One call, whether it is written as a method or as a path.
pub(super) struct Call<'c> {
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) types: Option<&'c AngleBracketedGenericArguments>,
    pub(super) arguments: Vec<&'c Expr>,
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

    pub(super) fn call(&mut self, call: &Call<'_>) {
        let count = call.arguments.len();
        match call.name.as_str() {
            "subscribe" if count == 2 => {
                let named = self.typed(call).or_else(|| self.argument(call, 1));
                let name = self.text(call.arguments[0]);
                self.found(UseKind::Subscription, call, named, Some(name));
            }
            "subscribe_all" | "subscribe_all_with" if count >= 2 => {
                let every = EventUse {
                    kind: UseKind::Subscription,
                    place: self.place(call.span),
                    event: None,
                    name: Some(self.text(call.arguments[0])),
                };
                self.uses.found.push(every);
            }
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

    /// `RawEvent::new("its_type", ..)` is made to be published.
    pub(super) fn raw_event(&mut self, path: &syn::Path, call: &ExprCall) {
        let mut names = path
            .segments
            .iter()
            .rev()
            .map(|it| rust_file::plain(&it.ident));
        let is_new = names.next().is_some_and(|it| it == "new");
        let is_raw = names
            .next()
            .is_some_and(|it| self.scope.original(&it) == "RawEvent");
        let Some(event_type) = call.args.first().filter(|_| is_new && is_raw) else {
            return;
        };
        let place = self.place(path.segments[path.segments.len() - 1].ident.span());
        match rust_file::string(event_type) {
            Some(event) => self.uses.found.push(EventUse {
                kind: UseKind::Publish,
                place,
                event: Some(event),
                name: None,
            }),
            None => self.uses.unknown.push(UnknownUse {
                place,
                what: "RawEvent::new(..)".to_owned(),
                why: format!("its type is `{}`", self.text(event_type)),
                candidates: Vec::new(),
            }),
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

    pub(super) fn place(&self, span: Span) -> Place {
        let start = span.start();
        Place {
            file: self.source.path.clone(),
            line: start.line,
            column: start.column + 1,
        }
    }
}
