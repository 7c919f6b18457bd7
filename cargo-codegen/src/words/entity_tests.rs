//! Field words, right and wrong.

use super::*;

fn words(line: &str) -> Result<Vec<EntityWord>, Wrong> {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    entity_words(&words)
}

fn first_problem(line: &str) -> (String, String, String) {
    let wrong = words(line).expect_err("the words are wrong");
    let problem = &wrong.problems[0];
    let span = &problem.labels[0].span;
    let text = &wrong.sources.get(span.source).text[span.range.clone()];
    (
        problem.message.clone(),
        text.to_owned(),
        problem.help.clone().unwrap_or_default(),
    )
}

#[test]
fn every_word_of_the_design_is_read() {
    let found = words(
        "email:string:unique name:string phone:string:optional status:enum:active,inactive account:belongs_to",
    )
    .expect("legal words");
    assert_eq!(found.len(), 5);
    let EntityWord::Field(status) = &found[3] else {
        panic!("a field")
    };
    assert_eq!(status.choices, ["active", "inactive"]);
    let EntityWord::Relation(account) = &found[4] else {
        panic!("a relation")
    };
    assert_eq!(
        (account.kind, account.target.as_str()),
        ("belongs_to", "account")
    );
}

#[test]
fn a_vector_takes_its_dimensions() {
    let found = words("embedding:vector:dimensions=384:optional:index").expect("legal words");
    let EntityWord::Field(embedding) = &found[0] else {
        panic!("a field")
    };
    assert_eq!(embedding.setting("dimensions"), Some("384"));
    assert!(embedding.optional && embedding.index);
}

#[test]
fn a_relation_may_name_its_target() {
    let found = words("owner:belongs_to:user:optional lines:has_many").expect("legal words");
    let EntityWord::Relation(owner) = &found[0] else {
        panic!("a relation")
    };
    assert_eq!((owner.target.as_str(), owner.optional), ("user", true));
    let EntityWord::Relation(lines) = &found[1] else {
        panic!("a relation")
    };
    assert_eq!(lines.target, "line");
}

#[test]
fn a_default_takes_the_rest_of_its_word() {
    let found = words("opens:time:index:default:09:30 max:integer:max:9:unique min:integer:max=9")
        .expect("legal words");
    let EntityWord::Field(max) = &found[1] else {
        panic!("a field")
    };
    assert_eq!((max.setting("max"), max.unique), (Some("9"), true));
    let EntityWord::Field(opens) = &found[0] else {
        panic!("a field")
    };
    assert_eq!(opens.setting("default"), Some("09:30"));
    assert!(opens.index);
}

#[test]
fn a_misspelt_type_is_underlined_and_the_nearest_is_named() {
    let (message, text, help) = first_problem("name:string email:strng:unique");
    assert_eq!(message, "there is no type `strng`");
    assert_eq!(text, "strng");
    assert!(help.starts_with("write `string`;"), "{help}");
    assert!(first_problem("count:int").2.starts_with("write `integer`"));
}

#[test]
fn a_misspelt_modifier_names_the_nearest() {
    let (message, text, help) = first_problem("email:string:uniqe");
    assert_eq!(message, "there is no modifier `uniqe`");
    assert_eq!(text, "uniqe");
    assert!(help.starts_with("write `unique`;"), "{help}");
    let (message, _, help) = first_problem("account:belongs_to:optionl");
    assert_eq!(message, "`belongs_to` has no modifier `optionl`");
    assert!(help.starts_with("write `optional`"), "{help}");
}

#[test]
fn every_wrong_word_is_reported_at_once() {
    let wrong = words("Email:string name status:enum n:integer:max name:string")
        .expect_err("the words are wrong");
    let messages: Vec<&str> = wrong
        .problems
        .iter()
        .map(|it| it.message.as_str())
        .collect();
    assert_eq!(
        messages,
        [
            "the name `Email` of a field is not snake_case",
            "`name` has no type",
            "the enum `status` has no choices",
            "`max` cannot be read",
            "`name` is given twice",
        ]
    );
}

#[test]
fn names_that_leave_the_alphabet_are_refused() {
    for (line, text, why) in [
        ("firstName:string", "firstName", "is not snake_case"),
        ("../x:string", "../x", "looks like a path"),
        ("2fa:string", "2fa", "begins with a digit"),
        (
            "caf\u{e9}:string",
            "caf\u{e9}",
            "has letters other than a to z",
        ),
        (":string", "", "is empty"),
    ] {
        let (message, underlined, _) = first_problem(line);
        assert_eq!(underlined, text);
        assert!(message.ends_with(why), "{message}");
    }
}
