//! The stages wired together: from definitions and a workspace to a change set.

mod notes;
mod stages;

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use chrono::{DateTime, NaiveDateTime, Utc};

use crate::changeset::{self, Action, Change, ChangeSet, Formatter, Output, OutputKind, Rustfmt};
use crate::definition::{self, ConfigDefinition, Problem, Severity, Sources};
use crate::failure::{Failure, drifted};
use crate::model::{self, CONFIG_FILE, Model, Subsystem};
use crate::render::Changed;
use crate::request::{self, Addition, Consent};
use crate::schema;
use crate::workspace::{
    self, DiscoverError, Disk, Files, Overlay, Package, Workspace, consumers::EventUses,
    handlers::Handlers,
};

/// A directory that commands work in.
#[derive(Debug, Clone)]
pub struct Site {
    root: Utf8PathBuf,
    workspace: Option<Workspace>,
    notes: Vec<String>,
}

impl Site {
    /// The directory, whatever is in it.
    pub fn at(root: impl Into<Utf8PathBuf>) -> Self {
        Self {
            root: root.into(),
            workspace: None,
            notes: Vec::new(),
        }
    }

    /// The workspace of a manifest, or of the current directory.
    ///
    /// # Errors
    /// If cargo finds none.
    pub fn discover(manifest_path: Option<&Utf8Path>, offline: bool) -> Result<Self, Failure> {
        let mut notes = Vec::new();
        let mut found = workspace::discover(manifest_path, offline);
        if found.is_err() {
            // An interrupted run may have left a manifest whose members are still to come.
            let start = manifest_path.map_or(Utf8Path::new(""), |it| it.parent().unwrap_or(it));
            if let Some(recovery) = changeset::recover_around(start).map_err(Failure::other)? {
                notes.push(recovery.to_string());
                found = workspace::discover(manifest_path, offline);
            }
        }
        let found = found.map_err(|error| match error {
            DiscoverError::Cargo(message) if message.starts_with("could not find") => {
                Failure::workspace(message, "`cargo codegen new <dir>` makes a new workspace")
            }
            other => Failure::other(other),
        })?;
        Ok(Self {
            root: found.root.clone(),
            workspace: Some(found),
            notes,
        })
    }

    /// The workspace, which must have a `codegen.yaml`.
    ///
    /// # Errors
    /// If it has none.
    pub fn configured(self) -> Result<Self, Failure> {
        let config = self.files().read(Utf8Path::new(CONFIG_FILE));
        if config.map_err(Failure::other)?.is_some() {
            return Ok(self);
        }
        Err(Failure::workspace(
            format!("{} has no {CONFIG_FILE}", self.root),
            "`cargo codegen init` adopts this workspace, `cargo codegen new <dir>` makes a new one",
        ))
    }

    /// The workspace, with a run that was interrupted finished or undone; not for a dry run.
    ///
    /// # Errors
    /// If another run is under way, or a file cannot be written.
    pub fn recovered(mut self, dry_run: bool) -> Result<Self, Failure> {
        if dry_run || !self.root.is_dir() {
            return Ok(self);
        }
        let recovery = changeset::recover(&self.root).map_err(Failure::other)?;
        self.notes.extend(recovery.map(|it| it.to_string()));
        Ok(self)
    }

    /// What the user should know about its state.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Its absolute root.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// Its packages, as cargo sees them.
    pub fn packages(&self) -> &[Package] {
        self.workspace.as_ref().map_or(&[], |it| &it.packages)
    }

    /// rustfmt with the workspace's settings.
    pub fn formatter(&self) -> Rustfmt {
        match &self.workspace {
            Some(workspace) => Rustfmt::new(workspace),
            None => Rustfmt::in_dir(&self.root),
        }
    }

    /// Its files.
    pub fn files(&self) -> Disk {
        Disk::new(&self.root)
    }
}

/// The resolved definitions and what their reader had to note.
#[derive(Debug)]
pub struct Loaded {
    /// What the definitions say.
    pub model: Model,
    /// The files that were read.
    pub sources: Sources,
    /// Notes and warnings.
    pub problems: Vec<Problem>,
}

impl Loaded {
    /// The same, unless there are warnings.
    ///
    /// # Errors
    /// The warnings, as errors.
    pub fn strict(mut self) -> Result<Self, Failure> {
        let warned = self
            .problems
            .iter()
            .any(|it| it.severity == Severity::Warning);
        if !warned {
            return Ok(self);
        }
        for problem in &mut self.problems {
            if problem.severity == Severity::Warning {
                problem.severity = Severity::Error;
            }
        }
        Err(Failure::Definitions {
            sources: self.sources,
            problems: self.problems,
        })
    }
}

/// Reads and resolves all definitions.
///
/// # Errors
/// Everything that is wrong with them, at once.
pub fn load(files: &dyn Files) -> Result<Loaded, Failure> {
    let loaded = model::load(files);
    match loaded.result {
        Ok((model, problems)) => Ok(Loaded {
            model,
            sources: loaded.sources,
            problems,
        }),
        Err(problems) => Err(Failure::Definitions {
            sources: loaded.sources,
            problems,
        }),
    }
}

/// `codegen.yaml` as it is written, without what is left out.
///
/// # Errors
/// If it cannot be read.
pub fn written_config(files: &dyn Files) -> Result<ConfigDefinition, Failure> {
    let text = files
        .read(Utf8Path::new(CONFIG_FILE))
        .map_err(Failure::other)?;
    let text = text.unwrap_or_default();
    let mut sources = Sources::default();
    let id = sources.add(CONFIG_FILE, text.clone());
    Ok(definition::config(id, &text).0)
}

/// The job handlers in the app's code; none while jobs are not installed.
///
/// # Errors
/// If a file below `src/jobs` cannot be read.
pub fn handlers(files: &dyn Files, model: &Model) -> Result<Handlers, Failure> {
    if !model.config.has(Subsystem::Jobs) {
        return Ok(Handlers::default());
    }
    let dir = model.config.app_crate.file("src/jobs");
    workspace::handlers::scan(files, &dir).map_err(Failure::other)
}

/// Where the code of the app, and of every other package that uses the runtime, publishes and consumes events.
///
/// # Errors
/// If a file cannot be read.
pub fn event_uses(site: &Site, model: &Model) -> Result<EventUses, Failure> {
    let app = &model.config.app_crate;
    let packages = site.packages().iter();
    let users = packages.filter(|it| it.dir == app.dir || it.depends_on("runtime-sea"));
    let roots = users.flat_map(|it| it.lib.iter().chain(&it.bins));
    let dirs: BTreeSet<_> = roots.filter_map(|it| it.parent()).collect();
    let dirs: Vec<_> = dirs.into_iter().map(Utf8Path::to_owned).collect();
    let events = model.events.iter();
    let known = events.map(|it| (it.name.pascal.as_str(), it.name.snake.as_str()));
    workspace::consumers::scan(&site.files(), &dirs, known).map_err(Failure::other)
}

/// The date of new migrations: now, or the RFC 3339 time in `CARGO_CODEGEN_NOW`, which makes runs repeatable.
///
/// # Errors
/// If that variable holds no such time.
pub fn now() -> Result<NaiveDateTime, Failure> {
    let Ok(text) = std::env::var("CARGO_CODEGEN_NOW") else {
        return Ok(Utc::now().naive_utc());
    };
    let time = DateTime::parse_from_rfc3339(&text).map_err(|_| {
        Failure::usage(
            format!("CARGO_CODEGEN_NOW is `{text}`, which is no time"),
            "write it as 2026-11-23T10:15:00Z",
        )
    })?;
    Ok(time.naive_utc())
}

/// How to plan.
pub struct Input<'a> {
    /// The workspace as it is.
    pub files: &'a dyn Files,
    /// Formats Rust files.
    pub formatter: &'a dyn Formatter,
    /// What the command adds.
    pub addition: &'a Addition,
    /// The date of new migrations.
    pub now: NaiveDateTime,
    /// Discard edits made by hand in generated files.
    pub overwrite: bool,
    /// Told the name of each stage that takes its time.
    pub stage: &'a dyn Fn(&'static str),
}

/// A change set and what it was made from.
#[derive(Debug)]
pub struct Plan {
    /// The definitions, those that the plan adds included.
    pub loaded: Loaded,
    /// The job handlers, those that the plan adds included.
    pub handlers: Handlers,
    /// What to do.
    pub set: ChangeSet,
    /// What migrations have to do to the schema that the written ones make.
    pub pending: Vec<schema::Change>,
}

/// Everything that a run would do, without doing it: a pure function of the input.
///
/// # Errors
/// If the definitions are wrong, or a place for an entry in the user's files is not certain.
pub fn plan(input: &Input<'_>) -> Result<Plan, Failure> {
    (input.stage)("reading definitions");
    let overlay = overlay(input.files, input.addition)?;
    if input.addition.only_outputs {
        return Ok(Plan {
            loaded: load(input.files)?,
            handlers: Handlers::default(),
            set: only_outputs(input.addition),
            pending: Vec::new(),
        });
    }
    let loaded = load(&overlay)?;
    let handlers = handlers(&overlay, &loaded.model)?;
    (input.stage)("rendering");
    let addition = input.addition;
    let pending = stages::pending(&loaded.model, &overlay)?;
    let changed = match addition.migrate {
        Some(consent) => {
            request::permitted(&pending, consent)?;
            match consent {
                Consent::Safe | Consent::Destructive => Changed::Written,
                Consent::ByHand => Changed::ByHand,
            }
        }
        None => Changed::Told,
    };
    let found = &handlers.found;
    let rendered = stages::render(&loaded.model, found, &overlay, input.now, changed)?;
    let mut outputs = addition.outputs.clone();
    // A file that moves here begins with what it was.
    let moves = |it: &Output| addition.outputs.iter().any(|moved| moved.path == it.path);
    let rendered_outputs = rendered.outputs.into_iter();
    outputs.extend(rendered_outputs.filter(|it| it.kind != OutputKind::Owned || !moves(it)));
    let mut edits = addition.edits.clone();
    edits.extend(rendered.edits);
    let edits = workspace::edit::declared(edits, input.files).map_err(Failure::other)?;
    (input.stage)("formatting and comparing");
    let mut set = changeset::plan(changeset::Request {
        files: input.files,
        outputs,
        edits,
        overwrite: input.overwrite,
        removed: addition.removed.clone(),
        recreate: addition.outputs.iter().map(|it| it.path.clone()).collect(),
        formatter: input.formatter,
    })?;
    set.notes.extend(handlers.notes.iter().cloned());
    set.notes.extend(rendered.notes);
    let notes = notes::notes(&loaded.model, &overlay, &set)?;
    set.notes.extend(notes);
    Ok(Plan {
        loaded,
        handlers,
        set,
        pending,
    })
}

/// The workspace as it would be once the addition is written.
fn overlay<'a>(files: &'a dyn Files, addition: &Addition) -> Result<Overlay<'a>, Failure> {
    let mut overlay = Overlay::new(files);
    for output in &addition.outputs {
        if files.read(&output.path).map_err(Failure::other)?.is_none() {
            overlay.insert(output.path.clone(), output.content.clone());
        }
    }
    for path in &addition.removed {
        overlay.remove(path.clone());
    }
    for edit in &addition.edits {
        let path = edit.file();
        let text = overlay.read(path).map_err(Failure::other)?;
        let Some(text) = text else { continue };
        let edited = workspace::edit::apply(&text, edit, None).map_err(Failure::other)?;
        if let Some(edited) = edited {
            overlay.insert(path.to_owned(), edited);
        }
    }
    Ok(overlay)
}

fn only_outputs(addition: &Addition) -> ChangeSet {
    let changes = addition.outputs.iter().map(|it| Change {
        path: it.path.clone(),
        action: Action::Created,
        before: None,
        after: Some(it.content.clone()),
    });
    ChangeSet {
        changes: changes.collect(),
        ..ChangeSet::default()
    }
}

/// Refuses a plan that would discard edits made by hand.
///
/// # Errors
/// If it has conflicts.
pub fn unedited(set: &ChangeSet) -> Result<(), Failure> {
    if set.conflicts.is_empty() {
        return Ok(());
    }
    Err(Failure::Conflicts(Box::new(set.clone())))
}

/// Writes a plan.
///
/// # Errors
/// If generated files were edited by hand, or a file cannot be written; then none is.
pub fn carry_out(site: &Site, set: &ChangeSet) -> Result<(), Failure> {
    unedited(set)?;
    if set.is_noop() {
        return Ok(());
    }
    fs_err::create_dir_all(site.root()).map_err(Failure::other)?;
    changeset::apply(site.root(), set).map_err(Failure::other)
}

/// How many files there are, if none would change and no migration is missing.
///
/// # Errors
/// The changes, as drift.
pub fn clean(plan: &Plan) -> Result<usize, Failure> {
    if drifted(&plan.set) > 0 {
        return Err(Failure::Drift(Box::new(plan.set.clone())));
    }
    if !plan.pending.is_empty() {
        let words = schema::words(&plan.pending);
        return Err(Failure::Unmigrated(
            words.into_iter().map(|it| it.0).collect(),
        ));
    }
    Ok(plan.set.changes.len())
}
