//! `json: { type: .. }`: the Rust type of a field's JSON.

use super::JsonType;
use crate::definition::{Problem, Spanned, shorten};

/// Checks the path of a type; what is wrong is reported.
pub(crate) fn json_type(path: &Spanned<String>, problems: &mut Vec<Problem>) -> Option<JsonType> {
    let wrong = |why: &str| {
        let message = format!("`{}` is no path of a type", shorten(&path.value));
        Problem::error("wrong-value", message, path.span.clone())
            .label(why)
            .help("write the path as the entity crate sees it: `crate::values::Address`, or `shared::Address` for a type of another crate")
    };
    let parsed = syn::parse_str::<syn::Path>(&path.value);
    let why = match &parsed {
        Err(_) => Some("this is no Rust path"),
        Ok(it) if it.segments.iter().any(|it| !it.arguments.is_none()) => {
            Some("a type without arguments is wanted")
        }
        Ok(it) if it.leading_colon.is_some() || it.segments.len() < 2 => {
            Some("it must begin with `crate`, or with the name of a crate")
        }
        Ok(it) if it.segments[0].ident == "self" || it.segments[0].ident == "super" => {
            Some("it must begin with `crate`, or with the name of a crate")
        }
        Ok(_) => None,
    };
    if let Some(why) = why {
        problems.push(wrong(why));
        return None;
    }
    Some(JsonType {
        path: path.value.split_whitespace().collect(),
    })
}

impl JsonType {
    /// The path in the entity crate.
    pub fn in_entity_crate(&self, entity_crate: &str) -> String {
        match self.path.split_once("::") {
            Some((first, rest)) if first == entity_crate => format!("crate::{rest}"),
            _ => self.path.clone(),
        }
    }

    /// The path in the app crate.
    pub fn in_app_crate(&self, entity_crate: &str) -> String {
        match self.path.split_once("::") {
            Some(("crate", rest)) => format!("{entity_crate}::{rest}"),
            _ => self.path.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_spelled_as_each_crate_sees_it() {
        for path in ["crate::values::Address", "model::values::Address"] {
            let ty = JsonType {
                path: path.to_owned(),
            };
            assert_eq!(ty.in_entity_crate("model"), "crate::values::Address");
            assert_eq!(ty.in_app_crate("model"), "model::values::Address");
        }
        let foreign = JsonType {
            path: "shared::Address".to_owned(),
        };
        assert_eq!(foreign.in_entity_crate("model"), "shared::Address");
        assert_eq!(foreign.in_app_crate("model"), "shared::Address");
    }
}
