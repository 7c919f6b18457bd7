//! Keys as they stand in the tables: a key is its tenant's own.
//!
//! The tenant is part of the text, with its length in front, so that no two pairs of a tenant and a key are one text; a
//! key that belongs to no tenant stands there as it is. The unique indexes then know of tenants, without a column that
//! may be null in them.

use std::borrow::Cow;

/// What the text of a tenant's key begins with.
const MARK: char = '@';

/// The key as it is stored.
pub(super) fn stored<'a>(tenant: Option<&str>, key: &'a str) -> Cow<'a, str> {
    match tenant {
        Some(tenant) => format!("{MARK}{}:{tenant}:{key}", tenant.len()).into(),
        // It would pass for a tenant's.
        None if key.starts_with(MARK) => format!("{MARK}0::{key}").into(),
        None => key.into(),
    }
}

/// The key as it was given; a text that was edited by hand as it is.
pub(super) fn given(stored: &str) -> &str {
    let of_tenant = || {
        let (length, rest) = stored.strip_prefix(MARK)?.split_once(':')?;
        rest.get(length.parse().ok()?..)?.strip_prefix(':')
    };
    of_tenant().unwrap_or(stored)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use crate::storable::{MAX_KEY_LENGTH, MAX_NAME_LENGTH};

    use super::*;

    #[test]
    fn keys_of_different_tenants_are_different_texts() {
        let texts = ["", "a", "ä:", "1:a:", "a:b", "@", "@1:a:b", "@0::b", "b"];
        let tenants = texts.iter().skip(1).map(|it| Some(*it));
        let mut seen = HashMap::new();
        for tenant in tenants.chain([None]) {
            for key in texts {
                let stored = stored(tenant, key).into_owned();
                assert_eq!(given(&stored), key, "{tenant:?}");
                assert_eq!(seen.insert(stored, (tenant, key)), None);
            }
        }
        assert_eq!(stored(None, "order 1"), "order 1");
    }

    #[test]
    fn the_longest_key_of_the_longest_tenant_fits() {
        let longest = "ä".repeat(MAX_NAME_LENGTH as usize);
        let stored = stored(Some(&longest), &longest);
        assert!(stored.chars().count() <= MAX_KEY_LENGTH as usize);
    }

    #[test]
    fn what_was_edited_by_hand_is_as_it_is() {
        for text in ["@", "@1", "@1:", "@1:ä:", "@9:a:b", "@x:a:b"] {
            assert_eq!(given(text), text);
        }
    }
}
