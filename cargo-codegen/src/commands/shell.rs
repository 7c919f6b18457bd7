//! `cargo codegen schema` and `completions`: texts for editors and shells.

use clap::{CommandFactory as _, ValueEnum};
use clap_complete::Shell;

use super::Cli;
use crate::definition::{DefinitionFile, json_schema};
use crate::report::Outcome;
use crate::survey::View;

/// A kind of definition file.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum SchemaOf {
    /// entities/<name>.yaml
    Entity,
    /// events/<type>.yaml
    Event,
    /// patterns/<name>.yaml
    Pattern,
    /// codegen.yaml
    Config,
}

pub(super) fn schema(of: SchemaOf) -> Outcome {
    let schema = json_schema(match of {
        SchemaOf::Entity => DefinitionFile::Entity,
        SchemaOf::Event => DefinitionFile::Event,
        SchemaOf::Pattern => DefinitionFile::Pattern,
        SchemaOf::Config => DefinitionFile::Config,
    });
    Outcome {
        view: Some(View::Schema { schema }),
        ..Outcome::default()
    }
}

pub(super) fn completions(shell: Shell) -> Outcome {
    let mut script = Vec::new();
    // The binary's own name: shells complete a word of `cargo` by the function of its binary, or not at all.
    clap_complete::generate(shell, &mut Cli::command(), "cargo-codegen", &mut script);
    Outcome {
        view: Some(View::Completions {
            script: String::from_utf8_lossy(&script).into_owned(),
        }),
        ..Outcome::default()
    }
}
