//! The `use` lines of a rendered Rust file.

use std::collections::{BTreeMap, BTreeSet};

/// Collects what a file uses; every path is imported once, unless its name is taken.
#[derive(Debug, Clone, Default)]
pub(super) struct Imports {
    taken: Vec<String>,
    paths: BTreeMap<String, BTreeSet<String>>,
}

impl Imports {
    /// Imports of a file that itself defines items of these names.
    pub(super) fn beside(taken: impl IntoIterator<Item = String>) -> Self {
        Self {
            taken: taken.into_iter().collect(),
            paths: BTreeMap::new(),
        }
    }

    /// How the file spells `path`, such as `uuid::Uuid`: `Uuid`, or the whole path if it has another `Uuid`.
    pub(super) fn name(&mut self, path: &str) -> String {
        match path.rsplit_once("::") {
            Some((module, name)) if !self.has_another(module, name) => {
                let names = self.paths.entry(module.to_owned()).or_default();
                names.insert(name.to_owned());
                name.to_owned()
            }
            _ => path.to_owned(),
        }
    }

    fn has_another(&self, module: &str, name: &str) -> bool {
        let is_imported =
            |(other, names): (&String, &BTreeSet<String>)| other != module && names.contains(name);
        self.taken.iter().any(|it| it == name) || self.paths.iter().any(is_imported)
    }

    /// The `use` lines: the standard library, then other crates, then this one.
    pub(super) fn lines(&self) -> String {
        let mut blocks = [String::new(), String::new(), String::new()];
        for (module, names) in self.with_modules_merged() {
            let block = match module.split("::").next() {
                Some("std") => &mut blocks[0],
                Some("crate" | "super") => &mut blocks[2],
                _ => &mut blocks[1],
            };
            block.push_str(&line(&module, &names));
        }
        let blocks: Vec<&str> = blocks
            .iter()
            .map(String::as_str)
            .filter(|it| !it.is_empty())
            .collect();
        blocks.join("\n")
    }

    /// A module that is used itself and for its items too is imported in one line: `entity::contact::{self, Column}`.
    fn with_modules_merged(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut merged = self.paths.clone();
        for module in self.paths.keys() {
            let Some((parent, name)) = module.rsplit_once("::") else {
                continue;
            };
            let Some(names) = merged.get_mut(parent) else {
                continue;
            };
            if !names.remove(name) {
                continue;
            }
            if names.is_empty() {
                merged.remove(parent);
            }
            if let Some(items) = merged.get_mut(module) {
                items.insert("self".to_owned());
            }
        }
        merged
    }
}

fn line(module: &str, names: &BTreeSet<String>) -> String {
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.sort_by_key(|it| *it != "self");
    match names.as_slice() {
        [name] => format!("use {module}::{name};\n"),
        names => format!("use {module}::{{{}}};\n", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_and_its_items_share_a_line_and_std_comes_first() {
        let mut imports = Imports::default();
        for path in [
            "entity::contact",
            "entity::contact::Column",
            "chrono::Utc",
            "std::fmt",
        ] {
            imports.name(path);
        }
        assert_eq!(
            imports.lines(),
            "use std::fmt;\n\nuse chrono::Utc;\nuse entity::contact::{self, Column};\n"
        );
    }

    #[test]
    fn each_path_is_imported_once_and_a_taken_name_never() {
        let mut imports = Imports::beside(["Event".to_owned()]);
        assert_eq!(imports.name("uuid::Uuid"), "Uuid");
        assert_eq!(imports.name("uuid::Uuid"), "Uuid");
        assert_eq!(imports.name("runtime_sea::Event"), "runtime_sea::Event");
        assert_eq!(imports.name("chrono::Utc"), "Utc");
        assert_eq!(imports.name("chrono::DateTime"), "DateTime");
        assert_eq!(imports.name("crate::state::AppState"), "AppState");
        assert_eq!(imports.name("entity::Utc"), "entity::Utc");
        assert_eq!(
            imports.lines(),
            "use chrono::{DateTime, Utc};\nuse uuid::Uuid;\n\nuse crate::state::AppState;\n"
        );
    }
}
