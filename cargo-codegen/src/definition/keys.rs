//! The keys that a block of a definition may have.

/// How a key is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// It is read.
    Read,
    /// It belongs to another tool; accepted with one note per file.
    Foreign,
    /// It is understood, and nothing is generated from it yet: a warning.
    Later,
    /// Leaving it out in silence would make the output wrong: an error until it is generated.
    Refused(&'static str),
}

/// The keys of one kind of block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys {
    /// What the block is, as in "`nam` is no key of `entity`".
    pub(crate) of: &'static str,
    /// Keys that are read.
    pub(crate) read: &'static [&'static str],
    /// Every other known key.
    pub(crate) other: &'static [(&'static str, Use)],
}

impl Keys {
    /// How this key is treated, or `None` if it is unknown.
    pub(crate) fn find(&self, key: &str) -> Option<Use> {
        if self.read.contains(&key) {
            return Some(Use::Read);
        }
        if key.starts_with("ui_") {
            return Some(Use::Foreign);
        }
        self.other.iter().find(|it| it.0 == key).map(|it| it.1)
    }
}

use Use::{Foreign, Later, Refused};

pub(crate) const ENTITY_FILE: Keys = Keys {
    of: "an entity definition",
    read: &[
        "entity",
        "fields",
        "behaviors",
        "relationships",
        "queries",
        "generate",
        "emits",
        "events",
        "scopeable",
        "eav",
        "eav_value_table",
        "eav_definition_table",
    ],
    other: &[
        ("expose", Foreign),
        ("sync", Foreign),
        ("folder_structure", Foreign),
        ("file_grouping", Foreign),
        ("integration", Foreign),
        ("detection", Foreign),
        ("analytics", Foreign),
        ("surface", Foreign),
        ("context", Foreign),
        (
            "unique_indexes",
            Refused("write a query with `by: [..]` and `unique: true`; it makes the unique index"),
        ),
    ],
};

pub(crate) const ENTITY: Keys = Keys {
    of: "`entity`",
    read: &[
        "name",
        "plural",
        "table",
        "previously",
        "pattern",
        "patterns",
        "description",
        "scopeable",
    ],
    other: &[
        ("config", Later),
        ("family", Refused("write `pattern: Synced`")),
        ("folder_structure", Foreign),
        ("file_grouping", Foreign),
        ("behavior_strategy", Foreign),
        ("expose", Foreign),
        ("sync", Foreign),
        ("surface", Foreign),
        ("context", Foreign),
    ],
};

pub(crate) const PATTERN_FILE: Keys = Keys {
    of: "a pattern",
    read: &["pattern", "fields", "behaviors", "queries"],
    other: &[(
        "relationships",
        Refused("declare relationships in the entities: they differ in what they point to"),
    )],
};

pub(crate) const PATTERN: Keys = Keys {
    of: "`pattern`",
    read: &["name", "extends", "description"],
    other: &[],
};

pub(crate) const FIELD: Keys = Keys {
    of: "a field",
    read: &[
        "type",
        "required",
        "nullable",
        "default",
        "unique",
        "index",
        "max_length",
        "min_length",
        "min",
        "max",
        "pattern",
        "choices",
        "precision",
        "scale",
        "dimensions",
        "json",
        "foreign_key",
        "description",
        "previously",
        "backfill",
    ],
    other: &[
        ("measure", Foreign),
        ("analytics_aggregation", Foreign),
        ("agg_time_dimension", Foreign),
        ("non_additive_dimension", Foreign),
        ("dimension", Foreign),
        ("dimension_type", Foreign),
        ("time_granularity", Foreign),
        ("is_partition", Foreign),
        ("entity", Foreign),
        ("entity_type", Foreign),
        ("entity_role", Foreign),
        ("analytics_visibility", Foreign),
        ("semantic_expr", Foreign),
        ("semantic_label", Foreign),
        ("expose", Foreign),
        ("sync", Foreign),
        (
            "choices_from",
            Refused("list the values here: `choices: [first, second]`"),
        ),
        (
            "allowed_types",
            Refused("declare one `belongs_to` per entity that it may point to"),
        ),
    ],
};

pub(crate) const FIELD_JSON: Keys = Keys {
    of: "`json`",
    read: &["type"],
    other: &[],
};

pub(crate) const RELATION: Keys = Keys {
    of: "a relationship",
    read: &[
        "type",
        "target",
        "foreign_key",
        "on_delete",
        "required",
        "nullable",
        "index",
        "unique",
        "description",
        "through",
    ],
    other: &[("inverse", Foreign)],
};

/// Keys of queries that clients ask.
pub(crate) const NAMED_QUERY: [&str; 5] = ["filters", "search", "sort", "paginate", "total"];

/// Keys of queries by columns.
pub(crate) const COLUMN_QUERY: [&str; 4] = ["by", "unique", "via", "select"];

pub(crate) const QUERY: Keys = Keys {
    of: "a query",
    read: &[
        "by", "unique", "order", "name", "filters", "search", "sort", "paginate", "total", "via",
        "select", "limit",
    ],
    other: &[],
};

pub(crate) const LIMIT: Keys = Keys {
    of: "`limit`",
    read: &["default", "max"],
    other: &[],
};

pub(crate) const GENERATE: Keys = Keys {
    of: "`generate`",
    read: &["writes", "rest", "openapi", "upsert"],
    other: &[],
};

const EVENT_OTHER: &[(&str, Use)] = &[("trigger", Foreign)];

pub(crate) const EVENT_FILE: Keys = Keys {
    of: "an event definition",
    read: &[
        "type",
        "direction",
        "tier",
        "aggregate",
        "source",
        "destination",
        "version",
        "description",
        "payload",
        "pool",
        "retry",
        "ordering",
        "schedule",
    ],
    other: EVENT_OTHER,
};

pub(crate) const INLINE_EVENT: Keys = Keys {
    of: "an event of an entity",
    read: &[
        "type",
        "name",
        "direction",
        "tier",
        "aggregate",
        "source",
        "destination",
        "version",
        "description",
        "payload",
        "body",
        "pool",
        "retry",
        "ordering",
        "schedule",
    ],
    other: &[
        ("trigger", Foreign),
        ("queue", Foreign),
        ("generate_handler", Foreign),
    ],
};

pub(crate) const PAYLOAD_FIELD: Keys = Keys {
    of: "a payload field",
    read: &["type", "items", "nullable", "description"],
    other: &[],
};

pub(crate) const RETRY: Keys = Keys {
    of: "`retry`",
    read: &["attempts", "backoff"],
    other: &[],
};

pub(crate) const SCHEDULE: Keys = Keys {
    of: "`schedule`",
    read: &["cron", "timezone", "misfire"],
    other: &[],
};

pub(crate) const CONFIG: Keys = Keys {
    of: "`codegen.yaml`",
    read: &[
        "databases",
        "paths",
        "crates",
        "app",
        "runtime",
        "events",
        "jobs",
        "bridge",
        "entity",
    ],
    other: &[("naming", Later)],
};

pub(crate) const CONFIG_PATHS: Keys = Keys {
    of: "`paths`",
    read: &["entities", "events", "patterns"],
    other: &[],
};

pub(crate) const CONFIG_CRATES: Keys = Keys {
    of: "`crates`",
    read: &["entity", "migration", "app"],
    other: &[],
};

pub(crate) const CONFIG_APP: Keys = Keys {
    of: "`app`",
    read: &["state"],
    other: &[],
};

pub(crate) const CONFIG_ENTITY: Keys = Keys {
    of: "`entity`",
    read: &["format"],
    other: &[],
};

pub(crate) const CONFIG_RUNTIME: Keys = Keys {
    of: "`runtime`",
    read: &["source"],
    other: &[],
};

pub(crate) const CONFIG_RUNTIME_SOURCE: Keys = Keys {
    of: "`runtime.source`",
    read: &["path", "git", "rev", "registry"],
    other: &[],
};

const OF_EVENTS: Use = Refused("write it in `events`: it holds for jobs and the bridge too");

pub(crate) const CONFIG_EVENTS: Keys = Keys {
    of: "`events`",
    read: &["multi_tenant"],
    other: &[],
};

pub(crate) const CONFIG_JOBS: Keys = Keys {
    of: "`jobs`",
    read: &["pools"],
    other: &[("multi_tenant", OF_EVENTS)],
};

pub(crate) const CONFIG_BRIDGE: Keys = Keys {
    of: "`bridge`",
    read: &[],
    other: &[("multi_tenant", OF_EVENTS)],
};
