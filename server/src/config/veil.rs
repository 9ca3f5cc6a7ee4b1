//! What stands before the `@` of a URL, out of sight: somebody writes the URL of a Redis where another word belongs, and the sentence
//! that says so quotes the word. No parser of URLs: a password may have anything in it.

/// Instead of a password.
pub(super) const HIDDEN: &str = "***";

/// A text without what its URLs say of users and their passwords; `None` if it says nothing of them. Behind `://` all up to the
/// line's last `@` may be a password.
#[must_use]
pub fn veiled_text(text: &str) -> Option<String> {
    let is_told = |line: &str| secret(line).is_some();
    let lines = text.split_inclusive('\n');
    text.lines().any(is_told).then(|| {
        let veiled = lines.map(|line| match secret(line) {
            Some((before, behind)) => format!("{before}{HIDDEN}{behind}"),
            None => line.to_owned(),
        });
        veiled.collect()
    })
}

/// What is before a secret, and what is behind it.
fn secret(line: &str) -> Option<(&str, &str)> {
    let begin = line.find("://")? + 3;
    let length = line[begin..].rfind('@')?;
    let is_there = length > 0 && line[begin..][..length] != *HIDDEN;
    is_there.then(|| (&line[..begin], &line[begin + length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_password_is_hidden_and_nothing_else_is() {
        for (text, veiled) in [
            ("a 'redis://u:secret@h/1' b", Some("a 'redis://***@h/1' b")),
            (
                "redis://u:se cr'et@x@h\n  http://a and b@c",
                Some("redis://***@h\n  http://***@c"),
            ),
            ("ws://localhost:8080 and @alice", Some("ws://***@alice")),
            ("redis://***@h", None),
            ("redis://@h", None),
            ("a line with bob@example.com", None),
            ("http://example.com\nbob@example.com", None),
            ("", None),
        ] {
            assert_eq!(veiled_text(text).as_deref(), veiled, "{text}");
        }
    }
}
