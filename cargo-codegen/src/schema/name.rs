//! Names of indexes and constraints.

use sha2::{Digest, Sha256};

/// PostgreSQL cuts longer names off in silence.
const MAX_BYTES: usize = 63;

/// `<prefix>_<table>_<columns>`, with a hash instead of its end where that is too long.
pub(super) fn constraint(prefix: &str, table: &str, columns: &[&str]) -> String {
    let name = format!("{prefix}_{table}_{}", columns.join("_"));
    if name.len() <= MAX_BYTES {
        return name;
    }
    let hash: String = Sha256::digest(&name)
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut end = MAX_BYTES - hash.len() - 1;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{hash}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_say_everything() {
        assert_eq!(
            constraint("idx", "contacts", &["account_id", "status"]),
            "idx_contacts_account_id_status"
        );
    }

    #[test]
    fn g14_long_names_fit_postgres_and_stay_distinct() {
        let long = "a".repeat(40);
        let first = constraint("idx", &long, &[&format!("{long}_one")]);
        let second = constraint("idx", &long, &[&format!("{long}_two")]);
        assert_eq!(first.len(), MAX_BYTES);
        assert_ne!(first, second);
    }

    #[test]
    fn g14_names_are_cut_between_characters() {
        let name = constraint("idx", &"ü".repeat(40), &["x"]);
        assert!(name.len() <= MAX_BYTES);
    }
}
