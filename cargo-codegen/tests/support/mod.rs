//! Sessions with the tool in a directory of their own, written down as a reader would see them.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use camino::{Utf8Path, Utf8PathBuf};

pub(crate) struct Session {
    name: &'static str,
    _dir: tempfile::TempDir,
    root: Utf8PathBuf,
    current: Utf8PathBuf,
    transcript: String,
}

impl Session {
    pub(crate) fn new(name: &'static str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let root = Utf8Path::from_path(dir.path())
            .expect("a UTF-8 path")
            .canonicalize_utf8()
            .expect("a directory");
        Self {
            name,
            _dir: dir,
            current: root.clone(),
            root,
            transcript: String::new(),
        }
    }

    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-codegen"));
        command
            .arg("codegen")
            .args(words.split_whitespace())
            .current_dir(&self.current)
            .stdin(Stdio::null())
            .env("CARGO_CODEGEN_NOW", "2026-11-23T10:15:00Z")
            .env_remove("CARGO_TERM_COLOR")
            .env("NO_COLOR", "1");
        command
    }

    /// Runs the tool and writes down what it printed and how it ended.
    pub(crate) fn run(&mut self, words: &str) {
        let output = self.command(words).output().expect("the tool runs");
        let _ = writeln!(
            self.transcript,
            "{}",
            format!("$ cargo codegen {words}").trim_end()
        );
        let text = |bytes: &[u8]| {
            let text = std::str::from_utf8(bytes).expect("UTF-8");
            text.replace(self.root.as_str(), "[DIR]")
        };
        self.transcript += &text(&output.stdout);
        for line in text(&output.stderr).lines() {
            let _ = writeln!(self.transcript, "{}", format!("! {line}").trim_end());
        }
        match output.status.code() {
            Some(0) => {}
            code => {
                let _ = writeln!(self.transcript, "-> exit {}", code.unwrap_or(-1));
            }
        }
        self.transcript.push('\n');
    }

    /// Runs the tool, which must succeed, without a word in the transcript; gives its standard output.
    pub(crate) fn prepare(&self, words: &str) -> String {
        let output = self.command(words).output().expect("the tool runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Runs the tool with `--json` and reads its object.
    pub(crate) fn json(&self, words: &str) -> serde_json::Value {
        let output = self.command(words).output().expect("the tool runs");
        assert!(output.stderr.is_empty(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    }

    /// Runs git, without what the machine's user has configured.
    pub(crate) fn git(&self, words: &str) {
        let output = self.git_command(words).output().expect("git runs");
        assert!(output.status.success(), "git {words}: {output:?}");
    }

    pub(crate) fn git_fails(&self, words: &str) {
        let output = self.git_command(words).output().expect("git runs");
        assert!(!output.status.success(), "git {words}: {output:?}");
    }

    fn git_command(&self, words: &str) -> Command {
        let mut command = Command::new("git");
        command
            .args([
                "-c",
                "user.name=Somebody",
                "-c",
                "user.email=somebody@example.org",
            ])
            .args(words.split_whitespace())
            .current_dir(&self.current)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }

    pub(crate) fn say(&mut self, text: &str) {
        let _ = writeln!(self.transcript, "# {text}\n");
    }

    pub(crate) fn enter(&mut self, dir: &str) {
        self.current = self.current.join(dir);
    }

    pub(crate) fn leave(&mut self) {
        self.current = self.root.clone();
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.current.join(path);
        fs_err::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs_err::write(path, text).expect("written");
    }

    pub(crate) fn append(&self, path: &str, text: &str) {
        let before = fs_err::read_to_string(self.current.join(path)).expect("read");
        self.write(path, &(before + text));
    }

    pub(crate) fn remove(&self, path: &str) {
        fs_err::remove_file(self.current.join(path)).expect("removed");
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs_err::read_to_string(self.current.join(path)).expect("read")
    }

    /// Writes a file's content down.
    pub(crate) fn show(&mut self, path: &str) {
        let text = self.read(path);
        let _ = writeln!(self.transcript, "$ cat {path}\n{text}");
    }

    /// When each file was last written.
    pub(crate) fn times(&self) -> BTreeMap<Utf8PathBuf, SystemTime> {
        let mut found = BTreeMap::new();
        let mut pending = vec![self.current.clone()];
        while let Some(dir) = pending.pop() {
            for entry in dir.read_dir_utf8().expect("a directory") {
                let entry = entry.expect("an entry");
                let metadata = entry.metadata().expect("metadata");
                if metadata.is_dir() {
                    pending.push(entry.into_path());
                } else {
                    found.insert(entry.into_path(), metadata.modified().expect("a time"));
                }
            }
        }
        found
    }

    /// Compares the transcript with its golden file, or writes that.
    pub(crate) fn finish(self) {
        let path =
            Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cli/{}.txt", self.name));
        if std::env::var_os("UPDATE_GOLDENS").is_some() {
            fs_err::write(&path, &self.transcript).expect("written");
            return;
        }
        let expected = fs_err::read_to_string(&path).unwrap_or_default();
        let diff = similar::TextDiff::from_lines(&expected, &self.transcript)
            .unified_diff()
            .header(path.as_str(), "this run")
            .to_string();
        assert!(diff.is_empty(), "{diff}\nUPDATE_GOLDENS=1 accepts it");
    }
}
