//! Job handlers in the user's code.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use syn::{GenericArgument, ImplItem, Item, ItemImpl, PathArguments, Type};

use super::rust_file::{self, RustFile};
use super::{FileError, Files};

/// An implementation of `JobHandler` that can be registered without the user's help.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundHandler {
    /// Its `TYPE`.
    pub job_type: String,
    /// Name of the implementing type.
    pub type_name: String,
    /// Module of the type as a path below the directory of jobs, such as `send_welcome_email`; empty for the
    /// directory's own `mod.rs`.
    pub module: String,
    /// The file, relative to the workspace root.
    pub file: Utf8PathBuf,
    /// 1-based line of the implementation.
    pub line: usize,
}

/// Every handler below a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handlers {
    /// To be registered, sorted by job type.
    pub found: Vec<FoundHandler>,
    /// Handlers that only the user can register, and why.
    pub notes: Vec<String>,
}

/// Handlers that cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is no valid Rust, so what it holds is unknown.
    #[error("{file}:{line}: not valid Rust: {message}")]
    Syntax {
        /// The file.
        file: Utf8PathBuf,
        /// 1-based line.
        line: usize,
        /// The parser's words.
        message: String,
    },
    /// A `TYPE` that is no string literal.
    #[error(
        "{file}:{line}: `TYPE` of `{type_name}` must be a string literal, so that it can be read without compiling"
    )]
    NoLiteral {
        /// The file.
        file: Utf8PathBuf,
        /// 1-based line.
        line: usize,
        /// The implementing type.
        type_name: String,
    },
    /// Two handlers of one job type.
    #[error("the job type `{job_type}` has two handlers: {first} and {second}")]
    Duplicate {
        /// The job type.
        job_type: String,
        /// `file:line` of one.
        first: String,
        /// `file:line` of the other.
        second: String,
    },
}

/// Finds every `impl JobHandler for X` below a directory of the workspace. The code need not compile, but parse.
///
/// A handler is registered through `From<&State>`; one without it, or with type parameters, is a note.
///
/// # Errors
/// If a file cannot be read or parsed, a `TYPE` is no literal, or two handlers share one.
pub fn scan(files: &dyn Files, jobs_dir: &Utf8Path) -> Result<Handlers, HandlerError> {
    let mut parsed = Vec::new();
    for path in files.list(jobs_dir)? {
        if path.extension() != Some("rs") {
            continue;
        }
        let Some(text) = files.read(&path)? else {
            continue;
        };
        let file = RustFile::parse(&text).map_err(|error| HandlerError::Syntax {
            file: path.clone(),
            line: error.line,
            message: error.message,
        })?;
        parsed.push((path, file));
    }
    let modules = module_paths(jobs_dir, &parsed);

    let mut search = Search::default();
    for (path, file) in &parsed {
        if let Some(module) = modules.get(path) {
            search.items(path, file, module, &file.ast.items)?;
        }
    }
    search.finish()
}

#[derive(Default)]
struct Search {
    handlers: Vec<(FoundHandler, bool)>,
    convertible: Vec<String>,
}

impl Search {
    fn items(
        &mut self,
        path: &Utf8Path,
        file: &RustFile,
        module: &str,
        items: &[Item],
    ) -> Result<(), HandlerError> {
        for item in items {
            match item {
                Item::Impl(item) if !rust_file::is_test(&item.attrs) => {
                    self.implementation(path, file, module, item)?;
                }
                Item::Mod(inner) if !rust_file::is_test(&inner.attrs) => {
                    if let Some((_, items)) = &inner.content {
                        self.items(path, file, &join(module, &inner.ident), items)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn implementation(
        &mut self,
        path: &Utf8Path,
        file: &RustFile,
        module: &str,
        item: &ItemImpl,
    ) -> Result<(), HandlerError> {
        let (Some((implemented, _)), Some(type_name)) = (&item.trait_, type_name(&item.self_ty))
        else {
            return Ok(());
        };
        let Some(last) = implemented.segments.last() else {
            return Ok(());
        };
        if last.ident == "From" && takes_reference(&last.arguments) {
            self.convertible.push(type_name);
        } else if last.ident == "JobHandler" {
            let line = file.line(&item.impl_token);
            let job_type = literal_type(item).ok_or_else(|| HandlerError::NoLiteral {
                file: path.to_owned(),
                line,
                type_name: type_name.clone(),
            })?;
            let generic = !item.generics.params.is_empty();
            let handler = FoundHandler {
                job_type,
                type_name,
                module: spelled(module),
                file: path.to_owned(),
                line,
            };
            self.handlers.push((handler, generic));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Handlers, HandlerError> {
        self.handlers.sort();
        if let Some(pair) = self
            .handlers
            .windows(2)
            .find(|it| it[0].0.job_type == it[1].0.job_type)
        {
            let place = |it: &FoundHandler| format!("{}:{}", it.file, it.line);
            return Err(HandlerError::Duplicate {
                job_type: pair[0].0.job_type.clone(),
                first: place(&pair[0].0),
                second: place(&pair[1].0),
            });
        }
        let mut handlers = Handlers::default();
        for (handler, generic) in self.handlers {
            let reason = if generic {
                "it has type parameters"
            } else if !self.convertible.contains(&handler.type_name) {
                "it has no `impl From<&AppState>`"
            } else {
                handlers.found.push(handler);
                continue;
            };
            handlers.notes.push(format!(
                "{}:{}: the handler `{}` is not registered by itself, because {reason}; register it in `subscriptions`",
                handler.file, handler.line, handler.type_name
            ));
        }
        Ok(handlers)
    }
}

/// The module of every file that is not only for tests, below the directory of jobs.
fn module_paths(
    jobs_dir: &Utf8Path,
    parsed: &[(Utf8PathBuf, RustFile)],
) -> BTreeMap<Utf8PathBuf, String> {
    let mut modules: BTreeMap<Utf8PathBuf, String> = parsed
        .iter()
        .map(|(path, _)| (path.clone(), conventional_module(jobs_dir, path)))
        .collect();
    for (path, file) in parsed {
        let parent = conventional_module(jobs_dir, path);
        for item in &file.ast.items {
            let Item::Mod(declared) = item else { continue };
            if declared.content.is_some() {
                continue;
            }
            let explicit = rust_file::path_attribute(&declared.attrs)
                .and_then(|it| path.parent().map(|dir| dir.join(it)));
            let module = join(&parent, &declared.ident);
            if rust_file::is_test(&declared.attrs) {
                modules.retain(|file, found| Some(file) != explicit.as_ref() && *found != module);
            } else if let Some(target) = explicit
                && let Some(found) = modules.get_mut(&target)
            {
                *found = module;
            }
        }
    }
    modules
}

fn conventional_module(jobs_dir: &Utf8Path, path: &Utf8Path) -> String {
    let below = path
        .strip_prefix(jobs_dir)
        .unwrap_or(path)
        .with_extension("");
    let mut parts: Vec<&str> = below.components().map(|it| it.as_str()).collect();
    if parts.last() == Some(&"mod") {
        parts.pop();
    }
    parts.join("::")
}

fn join(module: &str, ident: &syn::Ident) -> String {
    let ident = rust_file::plain(ident);
    if module.is_empty() {
        ident
    } else {
        format!("{module}::{ident}")
    }
}

/// The path as it is written in Rust, with `r#` where it is needed.
fn spelled(module: &str) -> String {
    let spell = |part: &str| match syn::parse_str::<syn::Ident>(part) {
        Ok(_) if part != "gen" => part.to_owned(),
        _ => format!("r#{part}"),
    };
    if module.is_empty() {
        return String::new();
    }
    module.split("::").map(spell).collect::<Vec<_>>().join("::")
}

fn type_name(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|it| it.ident.to_string()),
        _ => None,
    }
}

fn takes_reference(arguments: &PathArguments) -> bool {
    match arguments {
        PathArguments::AngleBracketed(list) => {
            matches!(
                list.args.first(),
                Some(GenericArgument::Type(Type::Reference(_)))
            )
        }
        _ => false,
    }
}

fn literal_type(item: &ItemImpl) -> Option<String> {
    item.items.iter().find_map(|it| match it {
        ImplItem::Const(constant) if constant.ident == "TYPE" => rust_file::string(&constant.expr),
        _ => None,
    })
}
