//! `codegen.yaml`.

use serde_json::{Value, json};

use super::{block, boolean, entries, list, number, text, words};
use crate::definition::config::DATABASES;
use crate::definition::keys::{
    CONFIG, CONFIG_APP, CONFIG_BRIDGE, CONFIG_CRATES, CONFIG_ENTITY, CONFIG_EVENTS, CONFIG_JOBS,
    CONFIG_PATHS, CONFIG_RUNTIME, CONFIG_RUNTIME_SOURCE,
};

pub(super) fn config() -> Value {
    let mut databases = list(&words(&DATABASES));
    databases["minItems"] = json!(1);
    let paths = block(
        &CONFIG_PATHS,
        &[],
        vec![
            ("entities", "Directory of the entities.", text()),
            ("events", "Directory of the events.", text()),
            ("patterns", "Directory of your own patterns.", text()),
        ],
    );
    let crates = block(
        &CONFIG_CRATES,
        &[],
        vec![
            (
                "entity",
                "Directory of the package with the SeaORM entities.",
                text(),
            ),
            (
                "migration",
                "Directory of the package with the migrations.",
                text(),
            ),
            (
                "app",
                "Directory of the package with everything else.",
                text(),
            ),
        ],
    );
    let app = block(
        &CONFIG_APP,
        &[],
        vec![(
            "state",
            "Path of the type that handlers share: `crate::state::AppState`.",
            text(),
        )],
    );
    let source = block(
        &CONFIG_RUNTIME_SOURCE,
        &[],
        vec![
            ("path", "Directory of its package.", text()),
            ("git", "URL of its repository.", text()),
            ("rev", "Commit or tag of the repository.", text()),
            ("registry", "Its version on crates.io.", text()),
        ],
    );
    let source = json!({ "anyOf": [{ "const": "vendored" }, source] });
    let runtime = block(
        &CONFIG_RUNTIME,
        &[],
        vec![(
            "source",
            "Where runtime-sea comes from: `vendored` for a copy in the workspace.",
            source,
        )],
    );
    let events = block(
        &CONFIG_EVENTS,
        &[],
        vec![(
            "multi_tenant",
            "Every event and run belongs to a tenant.",
            boolean(),
        )],
    );
    let pools = entries(&number(1, 10_000));
    let jobs = block(
        &CONFIG_JOBS,
        &[],
        vec![(
            "pools",
            "How many runs of a pool may go on at once, in each worker.",
            pools,
        )],
    );
    let entity = block(
        &CONFIG_ENTITY,
        &[],
        vec![(
            "format",
            "Of SeaORM's entities.",
            json!({ "const": "compact" }),
        )],
    );
    let bridge = block(&CONFIG_BRIDGE, &[], Vec::new());
    block(
        &CONFIG,
        &[],
        vec![
            (
                "databases",
                "The databases that the app supports.",
                databases,
            ),
            ("paths", "Where the definitions are.", paths),
            ("crates", "The packages that the code goes to.", crates),
            ("app", "What the app has.", app),
            ("runtime", "The runtime.", runtime),
            ("events", "Events are installed.", events),
            ("jobs", "Jobs are installed.", jobs),
            (
                "bridge",
                "The bridge from events to jobs is installed.",
                bridge,
            ),
            ("entity", "How entities are written.", entity),
        ],
    )
}
