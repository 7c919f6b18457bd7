//! Files that a merge was left unresolved in.

/// Whether a merge was left unresolved in the text.
pub fn has_conflict_markers(text: &str) -> bool {
    let begins = |mark: &str| text.lines().any(|it| it.starts_with(mark));
    begins("<<<<<<< ") && begins("=======") && begins(">>>>>>> ")
}

/// What the text would be if each conflict were decided for the one side, and for the other. What the merge has put
/// together by itself is in both.
pub fn sides(text: &str) -> [String; 2] {
    [true, false].map(|ours| side(text, ours))
}

fn side(text: &str, ours: bool) -> String {
    #[derive(PartialEq)]
    enum Part {
        Common,
        Ours,
        Base,
        Theirs,
    }
    let mut part = Part::Common;
    let mut kept = String::new();
    for line in text.split_inclusive('\n') {
        match line {
            _ if line.starts_with("<<<<<<< ") => part = Part::Ours,
            _ if line.starts_with("||||||| ") => part = Part::Base,
            _ if line.starts_with("=======") && part != Part::Common => part = Part::Theirs,
            _ if line.starts_with(">>>>>>> ") => part = Part::Common,
            _ if part == Part::Common
                || (part == Part::Ours && ours)
                || (part == Part::Theirs && !ours) =>
            {
                kept.push_str(line);
            }
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
        assert!(!has_conflict_markers("a\n=======\nb\n"));
    }
}
