//! Dependencies in a `Cargo.toml`.

use std::collections::BTreeSet;

use cargo_metadata::semver::{Version, VersionReq};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

use super::{Edited, Refused, list};

const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// A dependency that must be there.
struct Wanted<'a> {
    key: &'a str,
    spec: Item,
    lines: String,
}

impl<'a> Wanted<'a> {
    fn parse(key: &'a str, spec: &str, table: &str) -> Result<Self, Refused> {
        let lines = format!("[{table}]\n{key} = {spec}");
        match format!("it = {spec}").parse::<DocumentMut>() {
            Ok(mut document) => match document.remove("it").map(Item::into_value) {
                Some(Ok(mut value)) => {
                    value.decor_mut().clear();
                    let spec = Item::Value(value);
                    Ok(Self { key, spec, lines })
                }
                _ => Err(Refused::new(format!("`{spec}` is no dependency"), lines)),
            },
            Err(error) => Err(Refused::new(
                format!("`{spec}` is not valid TOML: {}", error.message()),
                lines,
            )),
        }
    }

    fn refused(&self, why: impl Into<String>) -> Refused {
        Refused::new(why, self.lines.clone())
    }

    fn package(&self) -> &str {
        self.spec
            .get("package")
            .and_then(Item::as_str)
            .unwrap_or(self.key)
    }
}

/// Adds to `[dependencies]` or `[dev-dependencies]`, inherited where the workspace declares it.
pub(super) fn add(
    text: &str,
    key: &str,
    spec: &str,
    dev: bool,
    root_manifest: Option<&str>,
) -> Edited {
    let kind = if dev { KINDS[1] } else { KINDS[0] };
    let wanted = Wanted::parse(key, spec, kind)?;
    let mut document = parse(text, &wanted)?;
    let root = root_manifest.map(|it| parse(it, &wanted)).transpose()?;
    let inherited = root
        .as_ref()
        .and_then(|it| it.get("workspace")?.get(KINDS[0])?.get(key));

    let visible: &[&str] = if dev { &KINDS[..2] } else { &KINDS[..1] };
    for kind in visible {
        if let Some(found) = document.get(kind).and_then(|it| it.get(key)) {
            check(&wanted, found, inherited)?;
            let missing = missing_features(&wanted, &[Some(found), base_of(found, inherited)]);
            if missing.is_empty() {
                return Ok(None);
            }
            if *kind == KINDS[0] && dev {
                // What only the tests need must not reach the library.
                continue;
            }
            return add_features(text, &wanted, &[kind, key], &missing);
        }
    }
    if in_target_table(&document, key) {
        return Ok(None);
    }
    for kind in visible {
        if let Some(other) = renamed(document.get(kind), &wanted) {
            return Err(wanted.refused(format!(
                "`{}` is a dependency under the name `{other}`, but the generated code calls it `{key}`",
                wanted.package()
            )));
        }
    }

    let item = match inherited {
        Some(inherited) => {
            check(&wanted, inherited, None)?;
            inherit(&missing_features(&wanted, &[Some(inherited)]))
        }
        None => wanted.spec.clone(),
    };
    insert(document.as_item_mut(), &[kind], key, item).map_err(|why| wanted.refused(why))?;
    finish(&document, &wanted, &[kind])
}

/// Adds to `[workspace.dependencies]`.
pub(super) fn add_to_workspace(text: &str, key: &str, spec: &str) -> Edited {
    let wanted = Wanted::parse(key, spec, "workspace.dependencies")?;
    let mut document = parse(text, &wanted)?;
    let path = ["workspace", KINDS[0]];
    if let Some(found) = at(document.as_item(), &path).and_then(|it| it.get(key)) {
        check(&wanted, found, None)?;
        let missing = missing_features(&wanted, &[Some(found)]);
        if missing.is_empty() {
            return Ok(None);
        }
        return add_features(text, &wanted, &[path[0], path[1], key], &missing);
    }
    insert(document.as_item_mut(), &path, key, wanted.spec.clone())
        .map_err(|why| wanted.refused(why))?;
    finish(&document, &wanted, &path)
}

fn at<'a>(item: &'a Item, path: &[&str]) -> Option<&'a Item> {
    path.iter().try_fold(item, |item, key| item.get(key))
}

pub(super) fn parse_manifest(text: &str) -> Result<DocumentMut, String> {
    text.parse::<DocumentMut>()
        .map_err(|error| format!("the manifest is not valid TOML: {}", error.message()))
}

fn parse(text: &str, wanted: &Wanted<'_>) -> Result<DocumentMut, Refused> {
    parse_manifest(text).map_err(|why| wanted.refused(why))
}

fn finish(document: &DocumentMut, wanted: &Wanted<'_>, path: &[&str]) -> Edited {
    let edited = document.to_string();
    let reread = parse(&edited, wanted)?;
    match at(reread.as_item(), path).and_then(|it| it.get(wanted.key)) {
        Some(_) => Ok(Some(edited)),
        None => Err(wanted.refused("the place for it could not be found")),
    }
}

/// What an entry with `workspace = true` stands for.
fn base_of<'a>(found: &Item, inherited: Option<&'a Item>) -> Option<&'a Item> {
    inherited.filter(|_| found.get("workspace").and_then(Item::as_bool) == Some(true))
}

/// Whether an entry is the wanted package, in a version that the generated code can use.
fn check(wanted: &Wanted<'_>, found: &Item, inherited: Option<&Item>) -> Result<(), Refused> {
    let found = base_of(found, inherited).unwrap_or(found);
    let package = found
        .get("package")
        .and_then(Item::as_str)
        .unwrap_or(wanted.key);
    if package != wanted.package() {
        return Err(wanted.refused(format!(
            "`{}` is the name of another package there, `{package}`",
            wanted.key
        )));
    }
    let (Some(there), Some(needed)) = (
        found
            .as_str()
            .or_else(|| found.get("version").and_then(Item::as_str)),
        wanted
            .spec
            .as_str()
            .or_else(|| wanted.spec.get("version").and_then(Item::as_str)),
    ) else {
        return Ok(());
    };
    if compatible(there, needed) {
        return Ok(());
    }
    Err(wanted.refused(format!(
        "`{}` is there in version `{there}`, the generated code is written for `{needed}`",
        wanted.key
    )))
}

/// Whether some version may satisfy both; a requirement that cannot be read is the user's business.
fn compatible(there: &str, needed: &str) -> bool {
    let (Ok(there), Ok(needed)) = (VersionReq::parse(there), VersionReq::parse(needed)) else {
        return true;
    };
    let lowest = |it: &VersionReq| {
        it.comparators
            .first()
            .map(|it| Version::new(it.major, it.minor.unwrap_or(0), it.patch.unwrap_or(0)))
    };
    match (lowest(&there), lowest(&needed)) {
        (Some(lowest_there), Some(lowest_needed)) => {
            there.matches(&lowest_needed) || needed.matches(&lowest_there)
        }
        _ => true,
    }
}

fn missing_features(wanted: &Wanted<'_>, found: &[Option<&Item>]) -> Vec<String> {
    let there: BTreeSet<&str> = found
        .iter()
        .flatten()
        .filter_map(|it| it.get("features")?.as_array())
        .flat_map(|it| it.iter().filter_map(Value::as_str))
        .collect();
    let features = wanted.spec.get("features").and_then(Item::as_array);
    features
        .into_iter()
        .flat_map(|it| it.iter().filter_map(Value::as_str))
        .filter(|it| !there.contains(it))
        .map(str::to_owned)
        .collect()
}

/// Adds features to the dependency at `path`.
fn add_features(text: &str, wanted: &Wanted<'_>, path: &[&str], missing: &[String]) -> Edited {
    let mut document = parse(text, wanted)?;
    let Some(found) = item_mut(document.as_item_mut(), path) else {
        return Err(wanted.refused("the dependency could not be found again"));
    };
    if let Some(features) = found.get("features") {
        if !features.is_array() {
            return Err(wanted.refused("its `features` are no array"));
        }
        let mut edited = text.to_owned();
        for feature in missing {
            edited = list::add_string(&edited, &[path, &["features"]].concat(), feature)
                .map_err(|why| wanted.refused(why))?;
        }
        return Ok(Some(edited));
    }
    let features: Array = missing.iter().collect();
    if let Some(version) = found.as_str().map(str::to_owned) {
        let mut table = InlineTable::new();
        table.insert("version", version.into());
        table.insert("features", features.into());
        if let Some(decor) = found.as_value().map(Value::decor) {
            *table.decor_mut() = decor.clone();
        }
        *found = Item::Value(Value::InlineTable(table));
    } else {
        match found {
            Item::Value(Value::InlineTable(table)) => {
                insert_inline(table, "features", features.into());
            }
            Item::Table(table) => {
                table.insert("features", toml_edit::value(features));
            }
            _ => return Err(wanted.refused("the dependency is neither a version nor a table")),
        }
    }
    finish(&document, wanted, &path[..path.len() - 1])
}

fn item_mut<'a>(item: &'a mut Item, path: &[&str]) -> Option<&'a mut Item> {
    path.iter()
        .try_fold(item, |item, key| item.as_table_like_mut()?.get_mut(key))
}

/// Appends so that the space before the closing brace stays where it is.
fn insert_inline(table: &mut InlineTable, key: &str, value: Value) {
    let mut suffix = None;
    if let Some((_, last)) = table.iter_mut().last() {
        suffix = last.decor().suffix().cloned();
        last.decor_mut().set_suffix("");
    }
    table.insert(key, value);
    if let (Some(suffix), Some((_, last))) = (suffix, table.iter_mut().last()) {
        last.decor_mut().set_suffix(suffix);
    }
}

fn inherit(features: &[String]) -> Item {
    if features.is_empty() {
        let mut table = Table::new();
        table.set_dotted(true);
        table.insert("workspace", toml_edit::value(true));
        Item::Table(table)
    } else {
        let mut table = InlineTable::new();
        table.insert("workspace", true.into());
        table.insert("features", features.iter().collect::<Array>().into());
        Item::Value(Value::InlineTable(table))
    }
}

fn insert(root: &mut Item, path: &[&str], key: &str, item: Item) -> Result<(), String> {
    let behind = neighbour(root, path);
    let mut table = root.as_table_like_mut().ok_or("the manifest is no table")?;
    for (depth, step) in path.iter().enumerate() {
        let entry = table.entry(step).or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(depth + 1 < path.len());
            table.set_position(behind);
            Item::Table(table)
        });
        table = entry
            .as_table_like_mut()
            .ok_or_else(|| format!("`{}` is no table", path[..=depth].join(".")))?;
    }
    let sorted = table.len() > 1 && table.iter().map(|it| it.0).is_sorted();
    match item_mut(root, path) {
        Some(Item::Value(Value::InlineTable(table))) => {
            let value = item
                .into_value()
                .map_err(|_| "the dependency is no value".to_owned())?;
            insert_inline(table, key, value);
        }
        Some(Item::Table(table)) => {
            table.insert(key, item);
            if sorted {
                table.sort_values();
            }
        }
        _ => return Err(format!("`{}` is no table", path.join("."))),
    }
    Ok(())
}

/// Position of the table behind which a new one belongs; tables with one position keep the order of insertion.
fn neighbour(root: &Item, path: &[&str]) -> Option<isize> {
    let before: &[&str] = match path {
        ["dependencies"] => &["package", "lib", "bin"],
        ["dev-dependencies"] => &["package", "dependencies"],
        _ => &path[..1],
    };
    before
        .iter()
        .filter_map(|it| last_position(root.get(it)?))
        .max()
}

fn last_position(item: &Item) -> Option<isize> {
    match item {
        Item::Table(table) => table
            .iter()
            .filter_map(|(_, item)| last_position(item))
            .chain(table.position())
            .max(),
        Item::ArrayOfTables(tables) => tables.iter().filter_map(Table::position).max(),
        _ => None,
    }
}

/// The key under which a package is listed with another name.
fn renamed<'a>(table: Option<&'a Item>, wanted: &Wanted<'_>) -> Option<&'a str> {
    table?
        .as_table_like()?
        .iter()
        .filter(|(key, _)| *key != wanted.key)
        .find(|(_, item)| item.get("package").and_then(Item::as_str) == Some(wanted.package()))
        .map(|(key, _)| key)
}

fn in_target_table(document: &DocumentMut, key: &str) -> bool {
    let Some(targets) = document.get("target").and_then(Item::as_table_like) else {
        return false;
    };
    targets.iter().any(|(_, target)| {
        KINDS[..2]
            .iter()
            .any(|kind| target.get(kind).is_some_and(|it| it.get(key).is_some()))
    })
}
