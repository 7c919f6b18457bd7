//! The end of an attempt.

/// The most that an error or a backtrace may take.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// A text as every database can store it: bounded, without NUL characters.
pub(crate) fn stored_text(text: &str) -> String {
    let mut text = text.replace('\0', "\\0");
    if text.len() > MAX_TEXT_BYTES {
        let mut end = MAX_TEXT_BYTES;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(" [cut]");
    }
    text
}
