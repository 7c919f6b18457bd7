//! Every commit has a failpoint, or a reason why it has none.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use runtime_sea::failpoint::{COMMITS, RARE_COMMITS};

/// Where something is committed without a failpoint: how often at most, and why.
const WITHOUT: [(&str, usize, &str); 16] = [
    ("database/write.rs", 1, "its callers have theirs around it"),
    ("jobs/bulk.rs", 1, "`jobs.start` is around it"),
    ("jobs/replay.rs", 1, OPERATORS),
    ("jobs/scope.rs", 2, OPERATORS),
    ("jobs/release.rs", 1, MAINTENANCE),
    ("jobs/prune.rs", 1, MAINTENANCE),
    ("events/prune.rs", 1, MAINTENANCE),
    ("events/replay.rs", 2, OPERATORS),
    ("events/outbox.rs", 1, SAVEPOINT),
    ("bridge/direct.rs", 1, SAVEPOINT),
    ("events/drain/unreadable.rs", 1, "somebody has edited a row"),
    ("events/drain/retired.rs", 1, MAINTENANCE),
    ("schedule/manage.rs", 1, OPERATORS),
    (
        "schedule/register.rs",
        1,
        "a worker that dies here has done nothing yet",
    ),
    ("schedule/adopt.rs", 1, MAINTENANCE),
    ("idempotency.rs", 1, "the caller sends the request again"),
];
const OPERATORS: &str = "whoever has asked for it asks again";
const MAINTENANCE: &str = "the next look finds what is left, whoever makes it";
const SAVEPOINT: &str = "it only ends a savepoint of the caller's transaction";

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The code of every file but tests, without their comments.
fn files(folder: &Path, found: &mut Vec<(String, Vec<String>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(source()).unwrap().to_string_lossy();
        if path.is_dir() {
            if path.file_name().is_none_or(|it| it != "tests") {
                files(&path, found);
            }
        } else if name != "failpoint.rs" && name.ends_with(".rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let lines = code.lines().filter(|it| !it.trim().starts_with("//"));
            found.push((name.into_owned(), lines.map(str::to_owned).collect()));
        }
    }
}

#[test]
fn every_commit_has_a_failpoint_or_a_reason() {
    let mut found = Vec::new();
    files(&source(), &mut found);
    let mut without = Vec::new();
    for (file, lines) in found {
        let near = |at: usize, what: &str| {
            let lines = &lines[at.saturating_sub(2)..(at + 4).min(lines.len())];
            lines.iter().any(|it| it.contains(what))
        };
        let commits = (0..lines.len()).filter(|at| lines[*at].contains(".commit()"));
        let bare = commits
            .filter(|at| !(near(*at, "failpoint::before(") && near(*at, "failpoint::after(")));
        let bare = bare.count();
        let excepted = WITHOUT.iter().find(|it| it.0 == file).map_or(0, |it| it.1);
        if bare > excepted {
            without.push(format!(
                "{file}: {bare} commits without a failpoint, {excepted} are excepted"
            ));
        }
    }
    assert!(without.is_empty(), "{}", without.join("\n"));
}

#[test]
fn every_failpoint_is_somewhere() {
    let mut found = Vec::new();
    files(&source(), &mut found);
    let code: String = found.into_iter().flat_map(|(_, lines)| lines).collect();
    let all: BTreeSet<_> = COMMITS.into_iter().chain(RARE_COMMITS).collect();
    assert_eq!(all.len(), COMMITS.len() + RARE_COMMITS.len());
    for commit in all {
        assert!(code.contains(&format!("\"{commit}\"")), "{commit}");
    }
}
