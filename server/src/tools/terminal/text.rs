//! What others wrote, made fit for a terminal. Nothing that a message holds moves the cursor, changes a colour or turns the
//! direction of writing: that would let one person write in the name of another.

use std::fmt::Write as _;

use serde::Deserialize;

use crate::client::Content;

/// What becomes of the line ends in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lines {
    /// It stays on one line: a line end is a visible sign.
    One,
    /// Further lines are indented by so much, so that none looks like somebody else's message.
    Indented(usize),
}

/// The text with every control character replaced by a visible sign.
pub(crate) fn visible(text: &str, lines: Lines) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, lines) {
            ('\t', _) => shown.push(c),
            // A line end of two characters is one.
            ('\r', Lines::Indented(_)) if chars.peek() == Some(&'\n') => {}
            ('\n', Lines::Indented(by)) => {
                shown.push('\n');
                shown.extend(std::iter::repeat_n(' ', by));
            }
            _ => shown.push(sign_for(c)),
        }
    }
    shown
}

/// The character itself, or what is shown for it.
fn sign_for(c: char) -> char {
    match c {
        // Unicode has pictures of the control characters, from U+2400 on.
        '\0'..='\x1f' => {
            char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        '\x7f' => '\u{2421}',
        c if is_hidden(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// Controls of eight bits, which terminals obey too; line ends that are no `\n`; and what turns the direction of writing
/// (UAX #9), so that a file's name seems to end otherwise than it does.
const fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{7f}'..='\u{9f}'
        | '\u{61c}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
    )
}

/// JSON on one line: without the space between its parts, and with nothing in its strings that a terminal obeys. A reader of JSON
/// gets the same value from it.
pub(crate) fn compact(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let (mut is_string, mut is_escaped) = (false, false);
    for c in json.chars() {
        if is_hidden(c) {
            // All of them have four digits at most. A String takes everything.
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else if is_string || !matches!(c, ' ' | '\t' | '\r' | '\n') {
            text.push(c);
        }
        match c {
            '"' if !is_escaped => is_string = !is_string,
            _ => {}
        }
        is_escaped = is_string && c == '\\' && !is_escaped;
    }
    text
}

/// What the chat page sends with files.
#[derive(Deserialize)]
struct WithFiles {
    #[serde(default)]
    text: String,
    #[serde(default)]
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    url: String,
    name: String,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    size: Option<u64>,
}

/// What a message says, in words: its text, its files with their addresses at `host`, or any other JSON as it is. It is to be made
/// [`visible`].
pub(crate) fn words(content: &Content, host: &str) -> String {
    let json = match content {
        Content::Text(text) => return text.clone(),
        Content::Json(json) => json,
    };
    let with_files = json
        .starts_with('{')
        .then(|| serde_json::from_str(json).ok());
    let Some(WithFiles { mut text, files }) = with_files.flatten() else {
        return compact(json);
    };
    if text.is_empty() && files.is_empty() {
        return compact(json);
    }
    for file in &files {
        if !text.is_empty() {
            text.push('\n');
        }
        text += &file.to_words(host);
    }
    text
}

impl File {
    fn to_words(&self, host: &str) -> String {
        let Self {
            url, name, r#type, ..
        } = self;
        let size = self.size.map(bytes);
        let about = [Some(r#type.clone()).filter(|kind| !kind.is_empty()), size];
        let about = about.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let about = if about.is_empty() {
            about
        } else {
            format!(" ({about})")
        };
        let base = if url.starts_with('/') {
            format!("http://{host}")
        } else {
            String::new()
        };
        format!("[file] {name}{about}: {base}{url}")
    }
}

/// A number of bytes: `512 B`, `1.4 MiB`.
fn bytes(count: u64) -> String {
    let mut size = count as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB"] {
        if size < 1024.0 {
            break;
        }
        (size, unit) = (size / 1024.0, larger);
    }
    if unit == "B" {
        format!("{count} B")
    } else {
        format!("{size:.1} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        words(&Content::Json(text.to_owned()), "h:1")
    }

    #[test]
    fn no_control_character_reaches_a_terminal() {
        let all = (0..=0x2100_u32)
            .filter_map(char::from_u32)
            .collect::<String>();
        for lines in [Lines::One, Lines::Indented(2)] {
            let shown = visible(&all, lines);
            let raw = shown
                .chars()
                .find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
            assert_eq!(raw, None);
            assert!(!shown.contains(['\u{202e}', '\u{2066}', '\u{2028}']));
        }
        assert!(!visible(&all, Lines::One).contains('\n'));
        assert_eq!(
            visible("\x1b[2J\x07\u{9b}31m", Lines::One),
            "␛[2J␇\u{fffd}31m"
        );
    }

    #[test]
    fn further_lines_are_indented() {
        assert_eq!(
            visible("a\r\nb\n\nc\r", Lines::Indented(1)),
            "a\n b\n \n c␍"
        );
        assert_eq!(visible("a\nb", Lines::One), "a␊b");
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in ["grüße, 世界 👩‍👩‍👧", "a\tb", "\u{2400}"] {
            assert_eq!(visible(text, Lines::One), text);
        }
    }

    #[test]
    fn compact_json_is_one_line_and_the_same_value() {
        let cases = [
            (
                "{ \"a b\" : [ 1 ,\n\t\"x \\\" { y\" ] }",
                r#"{"a b":[1,"x \" { y"]}"#,
            ),
            (r#""\\" "#, r#""\\""#),
            ("12345678901234567890.10", "12345678901234567890.10"),
            ("\"a\u{9b}\u{202e}b\"", r#""a\u009b\u202eb""#),
        ];
        for (given, expected) in cases {
            let text = compact(given);
            assert_eq!(text, expected);
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            assert_eq!(value(&text), value(given));
        }
    }

    #[test]
    fn files_are_named_with_their_addresses() {
        let text = r#"{"text":"look","files":[{"url":"/files/x","name":"a.png","type":"image/png","size":1536}]}"#;
        let expected = "look\n[file] a.png (image/png, 1.5 KiB): http://h:1/files/x";
        assert_eq!(json(text), expected);
        let text = r#"{"files":[{"url":"https://e/x","name":"b"}]}"#;
        assert_eq!(json(text), "[file] b: https://e/x");
    }

    #[test]
    fn other_json_is_shown_as_it_is() {
        for text in [
            "{}",
            "[1]",
            "null",
            r#"{"files":3}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"text":7}"#,
        ] {
            assert_eq!(json(text), text);
        }
    }
}
