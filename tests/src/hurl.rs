//! Carries out the generated Hurl files, as far as they use the language.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use camino::Utf8Path;
use serde_json::Value;

use crate::app::{DEVELOPER, Server};

/// Sends the requests of a file, one after the other, and returns how many they were.
///
/// # Errors
/// If a line is none of Hurl's, or an answer is not the expected one.
pub fn run(server: &Server, file: &Utf8Path) -> Result<usize> {
    let text = fs_err::read_to_string(file)?;
    let mut variables = BTreeMap::from([("host".to_owned(), server.address.clone())]);
    let mut answer = Value::Null;
    let mut count = 0;
    let mut lines = text.lines().filter(|it| !it.starts_with('#'));
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line == "[Captures]" {
            continue;
        }
        if let Some((name, key)) = line.split_once(": jsonpath \"$.") {
            let value = &answer[key.trim_end_matches('"')];
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            variables.insert(name.to_owned(), value);
            continue;
        }
        let line = filled(line, &variables);
        let (method, url) = line.split_once(' ').context("no request")?;
        let path = url.strip_prefix(&server.address).context("another host")?;
        // The fixture `keywords` believes this header.
        let mut headers = vec![("x-user", DEVELOPER)];
        let mut body = String::new();
        let expected: u16 = loop {
            let line = lines.next().with_context(|| format!("{line}: no status"))?;
            match line.strip_prefix("HTTP ") {
                Some(status) => break status.parse()?,
                None => match line.split_once(": ").filter(|_| body.is_empty()) {
                    Some((name, value)) if is_header(name) => headers.push((name, value)),
                    _ => body += &filled(line, &variables),
                },
            }
        };
        let body = (!body.is_empty())
            .then(|| serde_json::from_str(&body))
            .transpose()
            .with_context(|| format!("{line}: its body is no JSON"))?;
        let (status, answered) = server.request_with(method, path, &headers, body.as_ref())?;
        ensure!(
            status == expected,
            "{file}: {line} was answered with {status} instead of {expected}: {answered}"
        );
        answer = answered;
        count += 1;
    }
    if count == 0 {
        bail!("{file} has no request");
    }
    Ok(count)
}

fn is_header(name: &str) -> bool {
    name.bytes()
        .all(|it| it.is_ascii_alphabetic() || it == b'-')
}

/// The line with the values of its variables.
fn filled(line: &str, variables: &BTreeMap<String, String>) -> String {
    variables
        .iter()
        .fold(line.to_owned(), |line, (name, value)| {
            line.replace(&format!("{{{{{name}}}}}"), value)
        })
}
