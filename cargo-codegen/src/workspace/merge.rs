//! Files that a merge was left unresolved in.

/// Whether a merge was left unresolved in the text.
pub fn has_conflict_markers(text: &str) -> bool {
    let begins = |mark: &str| text.lines().any(|it| it.starts_with(mark));
    begins("<<<<<<< ") && begins("=======") && begins(">>>>>>> ")
}

/// A part of a conflict that a text is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Common,
    Ours,
    Base,
    Theirs,
}

/// What the text would be if each conflict were decided for the one side, and for the other. What the merge has put
/// together by itself is in both.
pub fn sides(text: &str) -> [String; 2] {
    [Part::Ours, Part::Theirs].map(|it| with(text, it))
}

/// The same for what both sides come from, where the merge was told to show it (`merge.conflictStyle = diff3` or
/// `zdiff3`).
pub fn base(text: &str) -> Option<String> {
    let shown = text.lines().any(|it| it.starts_with("||||||| "));
    shown.then(|| with(text, Part::Base))
}

fn with(text: &str, wanted: Part) -> String {
    let mut part = Part::Common;
    let mut kept = String::new();
    for line in text.split_inclusive('\n') {
        match line {
            _ if line.starts_with("<<<<<<< ") => part = Part::Ours,
            _ if line.starts_with("||||||| ") => part = Part::Base,
            _ if line.starts_with("=======") && part != Part::Common => part = Part::Theirs,
            _ if line.starts_with(">>>>>>> ") => part = Part::Common,
            _ if part == Part::Common || part == wanted => kept.push_str(line),
            _ => {}
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g25_the_sides_of_a_merge_are_told_apart_with_their_base_and_without() {
        let plain = "a\n<<<<<<< HEAD\nb\n=======\nc\n>>>>>>> other\nd\n";
        let with_base = "a\n<<<<<<< HEAD\nb\n||||||| 1234567\nx\n=======\nc\n>>>>>>> other\nd\n";
        for text in [plain, with_base] {
            assert!(has_conflict_markers(text));
            assert_eq!(sides(text), ["a\nb\nd\n", "a\nc\nd\n"]);
        }
        assert_eq!(base(plain), None);
        assert_eq!(base(with_base).as_deref(), Some("a\nx\nd\n"));
        assert!(!has_conflict_markers("a\n=======\nb\n"));
    }
}
