//! Words and numbers: what was meant, and what may stand there.

/// A whole number in decimal, or what is wrong with it.
pub(crate) fn whole_number(text: &str) -> Result<i64, &'static str> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|it| it.is_ascii_digit()) {
        return Err("write it without the leading zero");
    }
    if digits.is_empty() || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return Err("write it with the digits 0 to 9 only");
    }
    text.parse().map_err(|_| "this number is too large")
}

/// The known word that the user probably meant.
pub(crate) fn nearest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    let word: String = word.chars().take(64).collect::<String>().to_lowercase();
    let plain = |it: &str| it.replace(['_', '-', ' '], "").to_lowercase();
    if let Some(same) = known.iter().find(|it| plain(it) == plain(&word)) {
        return Some(same);
    }
    known
        .iter()
        .map(|it| {
            (
                strsim::jaro_winkler(&word, it),
                strsim::damerau_levenshtein(&word, it),
                *it,
            )
        })
        .filter(|(likeness, distance, it)| *distance <= 1.max(it.len() / 3) || *likeness > 0.9)
        .max_by(|a, b| b.1.cmp(&a.1).then(a.0.total_cmp(&b.0)))
        .map(|it| it.2)
}

/// `one of ..` for a help line.
pub(crate) fn one_of(words: &[&str]) -> String {
    match words {
        [] => "nothing may stand here".to_owned(),
        [only] => format!("the only one is `{only}`"),
        [start @ .., last] => {
            let start: Vec<String> = start.iter().map(|it| format!("`{it}`")).collect();
            format!("one of {} or `{last}`", start.join(", "))
        }
    }
}
