//! An event as a line: for people, or as JSON. Nothing in a field can end the line, or reach a terminal as a command.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// Bytes of a text that are logged; names have 128 at most, and what is longer came from somebody who hopes for that.
const TEXT_BYTES_MAX: usize = 1024;

/// An event's parts.
pub(super) struct Line {
    time: String,
    level: Level,
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Line {
    /// Reads an event, which happened at this time in milliseconds since 1970.
    pub(super) fn of(event: &Event<'_>, unix_ms: u64) -> Self {
        let time = i64::try_from(unix_ms).ok();
        let time = time.and_then(|time| Timestamp::from_millisecond(time).ok());
        let mut line = Self {
            time: time.map_or_else(|| unix_ms.to_string(), |time| format!("{time:.3}")),
            level: *event.metadata().level(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut line);
        line
    }

    /// `2026-11-21T21:13:51.123Z  WARN a sentence event=slow peer=127.0.0.1:4711`.
    pub(super) fn to_text(&self) -> String {
        let mut text = format!("{} {:>5} ", self.time, self.level.as_str());
        push_escaped(&mut text, &self.message);
        for (name, value) in &self.fields {
            text.push(' ');
            text.push_str(name);
            text.push('=');
            if let Value::String(value) = value {
                push_value(&mut text, value);
            } else {
                text.push_str(&value.to_string());
            }
        }
        text.push('\n');
        text
    }

    /// An object: `time`, `level`, `message`, and the fields.
    pub(super) fn to_json(&self) -> String {
        let mut text = String::from("{");
        let head = [
            ("time", Value::from(self.time.as_str())),
            ("level", Value::from(self.level.as_str())),
            ("message", Value::from(self.message.as_str())),
        ];
        for (name, value) in head.iter().chain(&self.fields) {
            if text.len() > 1 {
                text.push(',');
            }
            push_json(&mut text, &Value::from(*name));
            text.push(':');
            push_json(&mut text, value);
        }
        text.push_str("}\n");
        text
    }

    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(message)) => self.message = message,
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, cut(format!("{value:?}")).into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, cut(value.to_owned()).into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        let boundary = (0..=TEXT_BYTES_MAX).rfind(|&at| text.is_char_boundary(at));
        text.truncate(boundary.unwrap_or(0));
        text.push('…');
    }
    text
}

/// Whether a character ends a line somewhere, is a command to a terminal, or changes how what is around it reads.
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{feff}'
        )
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        if is_unsafe(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
}

/// A value that is not one plain word is quoted.
fn push_value(out: &mut String, value: &str) {
    let is_plain = |c: char| !is_unsafe(c) && !c.is_whitespace() && !matches!(c, '"' | '\\' | '=');
    if !value.is_empty() && value.chars().all(is_plain) {
        return out.push_str(value);
    }
    out.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        if is_unsafe(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out.push('"');
}

/// JSON allows some characters as they are that readers of lines, or terminals, do not take for text.
fn push_json(out: &mut String, value: &Value) {
    for c in value.to_string().chars() {
        if is_unsafe(c) {
            // All of them are in the basic plane. Writing to a string cannot fail.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
}
