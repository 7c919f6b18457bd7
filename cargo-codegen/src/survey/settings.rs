//! `project config`: what holds in a workspace, and whether `codegen.yaml` says so.

use serde::Serialize;

use crate::definition::ConfigDefinition;
use crate::model::{Config, CrateLocation, RuntimeSource, Subsystem};

/// One setting of `codegen.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its keys, with dots between them.
    pub key: &'static str,
    /// What holds, as YAML.
    pub value: String,
    /// The file does not say it.
    pub default: bool,
}

/// Every setting, in the order of the file.
pub fn settings(config: &Config, written: &ConfigDefinition) -> Vec<Setting> {
    let setting = |key, value: String, written: bool| Setting {
        key,
        value,
        default: !written,
    };
    let databases: Vec<&str> = config.databases.iter().map(|it| it.name()).collect();
    let pools = config.job_pools.iter();
    let pools: Vec<String> = pools
        .map(|(name, size)| format!("{name}: {size}"))
        .collect();
    let installed = |subsystem| match config.has(subsystem) {
        true => "installed".to_owned(),
        false => "not installed".to_owned(),
    };
    vec![
        setting(
            "databases",
            format!("[{}]", databases.join(", ")),
            !written.databases.is_empty(),
        ),
        setting(
            "paths.entities",
            config.entities_dir.to_string(),
            written.entities_dir.is_some(),
        ),
        setting(
            "paths.events",
            config.events_dir.to_string(),
            written.events_dir.is_some(),
        ),
        setting(
            "paths.patterns",
            config.patterns_dir.to_string(),
            written.patterns_dir.is_some(),
        ),
        setting(
            "crates.entity",
            location(&config.entity_crate),
            written.entity_crate.is_some(),
        ),
        setting(
            "crates.migration",
            location(&config.migration_crate),
            written.migration_crate.is_some(),
        ),
        setting(
            "crates.app",
            location(&config.app_crate),
            written.app_crate.is_some(),
        ),
        setting(
            "app.state",
            config.app_state.clone(),
            written.app_state.is_some(),
        ),
        setting(
            "runtime.source",
            runtime(&config.runtime),
            written.runtime.is_some(),
        ),
        setting(
            "events",
            installed(Subsystem::Events),
            written.events.is_some(),
        ),
        setting(
            "events.multi_tenant",
            config.multi_tenant.to_string(),
            written.multi_tenant,
        ),
        setting("jobs", installed(Subsystem::Jobs), written.jobs.is_some()),
        setting(
            "jobs.pools",
            match pools.is_empty() {
                true => "{}".to_owned(),
                false => format!("{{ {} }}", pools.join(", ")),
            },
            !written.pools.is_empty(),
        ),
        setting(
            "bridge",
            installed(Subsystem::Bridge),
            written.bridge.is_some(),
        ),
    ]
}

/// The directory, and the package's name where it is another.
fn location(location: &CrateLocation) -> String {
    let dir = match location.dir.as_str() {
        "" => ".",
        dir => dir,
    };
    if location.dir.file_name() == Some(&location.package) {
        dir.to_owned()
    } else {
        format!("{dir}  # the package {}", location.package)
    }
}

fn runtime(source: &RuntimeSource) -> String {
    match source {
        RuntimeSource::Vendored(dir) => format!("vendored  # in {dir}"),
        RuntimeSource::Path(path) => format!("{{ path: {path} }}"),
        RuntimeSource::Git { url, rev: None } => format!("{{ git: {url} }}"),
        RuntimeSource::Git {
            url,
            rev: Some(rev),
        } => format!("{{ git: {url}, rev: {rev} }}"),
        RuntimeSource::Registry(version) => format!("{{ registry: \"{version}\" }}"),
    }
}
