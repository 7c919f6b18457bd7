//! `doctor` on machines that have something, or lack it.
#![cfg(unix)]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use serde_json::Value;
use support::Session;

/// A workspace, and a directory for programs of the machine.
struct Machine {
    session: Session,
    bin: tempfile::TempDir,
}

impl Machine {
    fn new(name: &'static str) -> Self {
        let mut session = Session::new(name);
        session.prepare("new shop --runtime registry:0.1");
        session.enter("shop");
        let machine = Self {
            session,
            bin: tempfile::tempdir().expect("a directory"),
        };
        machine.install("rustfmt", "rustfmt 1.9.0-stable");
        machine
    }

    fn install(&self, program: &str, says: &str) {
        let path = self.bin.path().join(program);
        fs_err::write(&path, format!("#!/bin/sh\necho '{says}'\n")).expect("written");
        let executable = std::fs::Permissions::from_mode(0o755);
        fs_err::set_permissions(&path, executable).expect("set");
    }

    fn doctor(&self, database_url: Option<&str>) -> Output {
        let mut command = self.session.command("doctor --json");
        // cargo is found by its variable.
        command
            .env("PATH", self.bin.path())
            .env("CARGO", env!("CARGO"));
        match database_url {
            Some(url) => command.env("DATABASE_URL", url),
            None => command.env_remove("DATABASE_URL"),
        };
        command.output().expect("the tool runs")
    }

    /// What is not well, with its remedy.
    fn ills(&self, database_url: Option<&str>) -> Vec<(String, String)> {
        let output = self.doctor(database_url);
        let object: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
        let findings = object["health"]["findings"].as_array().expect("findings");
        let text = |it: &Value, key: &str| it[key].as_str().map(str::to_owned);
        let ills: Vec<_> = findings
            .iter()
            .filter_map(|it| Some((text(it, "what")?, text(it, "remedy")?)))
            .collect();
        assert_eq!(output.status.success(), ills.is_empty(), "{object:#}");
        ills
    }
}

const LOCKED: &str = "[[package]]\nname = \"sea-orm\"\nversion = \"2.0.4\"\n";
const FILE: Option<&str> = Some("sqlite://shop.db?mode=rwc");

#[test]
fn what_a_machine_lacks_is_named_with_the_command_that_installs_it() {
    let machine = Machine::new("doctor_machine");
    machine.session.write("Cargo.lock", LOCKED);
    let ills = machine.ills(None);
    let names: Vec<&str> = ills.iter().map(|it| it.0.as_str()).collect();
    assert_eq!(names, ["sea-orm-cli", "DATABASE_URL"]);
    let install = "cargo install sea-orm-cli --locked --version 2.0.4";
    assert!(ills[0].1.starts_with(install), "{}", ills[0].1);

    machine.install("sea-orm-cli", "sea-orm-cli 1.1.19");
    let ills = machine.ills(FILE);
    assert_eq!(ills, [("sea-orm-cli".to_owned(), install.to_owned())]);

    machine.install("sea-orm-cli", "sea-orm-cli 2.0.1");
    assert_eq!(machine.ills(FILE), []);
    assert_eq!(machine.ills(Some("mysql://root@localhost/x")).len(), 1);
    machine
        .session
        .write(".env", "DATABASE_URL=\"sqlite://of_env.db\"\n");
    assert_eq!(machine.ills(None), []);
}

#[test]
fn what_a_workspace_lacks_is_named_with_the_command_that_mends_it() {
    let machine = Machine::new("doctor_workspace");
    machine.install("sea-orm-cli", "sea-orm-cli 2.0.1");
    let session = &machine.session;
    let ill = || {
        let mut ills = machine.ills(FILE);
        assert_eq!(ills.len(), 1, "{ills:?}");
        ills.remove(0)
    };
    // The programs of the machine are needed to write, too.
    session.prepare("entity new product name:string");
    assert_eq!(machine.ills(FILE), []);

    session.append("app/src/products/generated/dto.rs", "// mine\n");
    assert_eq!(ill().0, "generated files");
    session.prepare("eject app/src/products/generated/dto.rs");
    assert_eq!(machine.ills(FILE), []);

    session.write(
        "entities/product.yaml",
        "entity: { name: product }\nfields:\n  name: { type: string, required: true }\n",
    );
    session.prepare("entity new --all");
    assert_eq!(
        ill(),
        ("migrations".to_owned(), "cargo codegen migrate".to_owned())
    );

    session.write("entities/product.yaml", "entity: { nam: product }\n");
    let (what, remedy) = ill();
    assert_eq!(what, "definitions");
    assert!(
        remedy.starts_with("cargo codegen entity validate"),
        "{remedy}"
    );
}
