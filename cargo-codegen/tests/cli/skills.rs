//! Guides for coding assistants.

use crate::NEW;
use crate::support::Session;

#[test]
fn skills_are_installed_once_and_never_overwritten() {
    const EXTEND: &str = ".claude/skills/codegen-extend/SKILL.md";
    let mut session = Session::new("skills");
    session.prepare(NEW);
    session.enter("shop");
    session.run("skills list");
    session.run("skills install codegen-extent");
    session.run("skills install codegen-repair --dir ../elsewhere");
    session.run("skills install codegen-extend");
    session.append(EXTEND, "mine\n");
    let mine = session.read(EXTEND);
    session.run("skills install");
    assert_eq!(session.read(EXTEND), mine);
    session.run("check");
    session.finish();
}

/// What a guide tells an assistant to run is understood: the words, if not what they would do here.
#[test]
fn every_command_of_a_skill_exists() {
    let session = Session::new("skill_commands");
    let skills = session.json("--json skills list");
    let skills = skills["data"]["skills"].as_array().expect("skills");
    let mut commands = Vec::new();
    for skill in skills {
        let name = skill["name"].as_str().expect("a name");
        let path = format!(
            "{}/../scaffolds/skills/{name}/SKILL.md",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = fs_err::read_to_string(path).expect("read");
        let blocks = text.split("```sh\n").skip(1);
        let lines = blocks.flat_map(|it| it.split("```").next().unwrap_or_default().lines());
        let own = lines.filter_map(|it| it.strip_prefix("cargo codegen "));
        commands.extend(own.map(|it| it.split(" #").next().unwrap_or(it).trim().to_owned()));
        let inline = text.split("`cargo codegen ").skip(1);
        let inline = inline.filter_map(|it| it.split('`').next());
        commands.extend(inline.map(str::to_owned));
    }
    assert!(commands.len() > 15, "{commands:?}");
    for command in commands {
        // There is no workspace: what is understood fails for that, what is not is wrong usage.
        let output = session.command(&command).output().expect("the tool runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_ne!(output.status.code(), Some(2), "{command}: {error}");
    }
}
