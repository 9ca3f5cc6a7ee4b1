//! The configuration file: TOML, with the names of the flags as keys, and the rules for rooms.
//!
//! ```toml
//! listen = "0.0.0.0:8080"
//! heartbeat = "20s"
//!
//! [[room]]                  # the first that matches holds
//! match = "game-*"          # * stands for any text
//! keep = "memory"           # durable, memory or none
//! history-entries = 1000
//! slow = "latest"           # resume, latest or disconnect
//! ```

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::{Table, Value};

use super::values;
use crate::log::{Keep, Pattern, Retention, Rule, Rules, Slow};

/// What a file says.
#[derive(Debug, Default)]
pub(crate) struct ConfigFile {
    /// Names of flags and their values, as one would write them behind the flags.
    pub(crate) flags: Vec<(String, Vec<String>)>,
    rooms: Vec<RoomRule>,
}

/// Why a file cannot be used, in a sentence that names it.
#[derive(Debug)]
pub(crate) struct ConfigFileError {
    path: PathBuf,
    why: String,
}

impl fmt::Display for ConfigFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.why)
    }
}

/// One `[[room]]`; what it does not say is as for all rooms.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RoomRule {
    r#match: String,
    keep: Option<KeepWord>,
    #[serde(default, deserialize_with = "positive")]
    history_entries: Option<u64>,
    #[serde(default, deserialize_with = "age")]
    history_age: Option<Duration>,
    #[serde(default, deserialize_with = "size")]
    history_bytes: Option<u64>,
    slow: Option<SlowWord>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KeepWord {
    Durable,
    Memory,
    None,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SlowWord {
    Resume,
    Latest,
    Disconnect,
}

fn positive<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = u64::deserialize(deserializer)?;
    if number == 0 {
        return Err(serde::de::Error::custom("it is above zero"));
    }
    Ok(Some(number))
}

fn age<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    values::long_time(&text)
        .map(Some)
        .map_err(serde::de::Error::custom)
}

fn size<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    values::size(&text)
        .map(Some)
        .map_err(serde::de::Error::custom)
}

impl ConfigFile {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigFileError> {
        std::fs::read_to_string(path)
            .map_err(|error| error.to_string())
            .and_then(|text| Self::parse(&text))
            .map_err(|why| ConfigFileError {
                path: path.to_owned(),
                why,
            })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let told = |error: toml::de::Error| error.to_string().trim_end().to_owned();
        let mut table: Table = text.parse().map_err(told)?;
        let rooms = match table.remove("room") {
            None => Vec::new(),
            Some(rooms) => rooms
                .try_into()
                .map_err(|error| format!("in [[room]]: {}", told(error)))?,
        };
        let flags = table
            .into_iter()
            .map(|(key, value)| words(&value, &key).map(|words| (key, words)))
            .collect::<Result<_, _>>()?;
        Ok(Self { flags, rooms })
    }

    /// The rules for rooms; `otherwise` is what holds for the others, and what a rule does not say.
    pub(crate) fn rules(&self, otherwise: Rule) -> Rules {
        let mut rules = Rules::new(otherwise);
        for room in &self.rooms {
            rules.push(Pattern::new(room.r#match.clone()), room.rule(otherwise));
        }
        rules
    }
}

impl RoomRule {
    fn rule(&self, otherwise: Rule) -> Rule {
        let retention = otherwise.retention;
        Rule {
            keep: self.keep.map_or(otherwise.keep, |keep| match keep {
                KeepWord::Durable => Keep::Durable,
                KeepWord::Memory => Keep::Memory,
                KeepWord::None => Keep::Nothing,
            }),
            retention: Retention {
                entries_max: self.history_entries.unwrap_or(retention.entries_max),
                age_max: self.history_age.unwrap_or(retention.age_max),
                bytes_max: self.history_bytes.unwrap_or(retention.bytes_max),
            },
            slow: self.slow.map_or(otherwise.slow, |slow| match slow {
                SlowWord::Resume => Slow::Resume,
                SlowWord::Latest => Slow::Latest,
                SlowWord::Disconnect => Slow::Disconnect,
            }),
        }
    }
}

/// A value as the words of a command line; a list is a flag that is given several times.
fn words(value: &Value, key: &str) -> Result<Vec<String>, String> {
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Integer(number) => Ok(vec![number.to_string()]),
        Value::Float(number) => Ok(vec![number.to_string()]),
        Value::Boolean(yes) => Ok(vec![yes.to_string()]),
        Value::Array(values) => values
            .iter()
            .map(|value| words(value, key))
            .collect::<Result<Vec<_>, _>>()
            .map(|words| words.concat()),
        Value::Table(_) | Value::Datetime(_) => Err(format!(
            "{key} is a text, a number, true or false, or a list of these"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_flags_and_rooms_are_rules() {
        let file = ConfigFile::parse(
            r#"
            listen = "127.0.0.1:0"
            messages-per-second = 5
            cors-origin = ["https://a", "https://b"]

            [[room]]
            match = "game-*"
            keep = "memory"
            history-entries = 10
            history-age = "1h"
            history-bytes = "1KiB"
            slow = "latest"

            [[room]]
            match = "log"
            slow = "disconnect"
            "#,
        )
        .unwrap();
        let flags: Vec<_> = file
            .flags
            .iter()
            .map(|(key, words)| format!("{key} {}", words.join(" ")))
            .collect();
        assert_eq!(
            flags,
            [
                "cors-origin https://a https://b",
                "listen 127.0.0.1:0",
                "messages-per-second 5"
            ]
        );
        let rules = file.rules(Rule::default());
        let game = rules.of("game-7");
        assert_eq!((game.keep, game.slow), (Keep::Memory, Slow::Latest));
        let expected = Retention {
            entries_max: 10,
            age_max: Duration::from_secs(3600),
            bytes_max: 1024,
        };
        assert_eq!(game.retention, expected);
        let log = rules.of("log");
        assert_eq!((log.keep, log.slow), (Keep::Durable, Slow::Disconnect));
        assert_eq!(rules.of("else"), &Rule::default());
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_place() {
        for (text, told) in [
            ("listen", "line 1"),
            ("[server]\nlisten = \"x\"", "server is a text"),
            ("[[room]]\nkeep = \"memory\"", "match"),
            ("[[room]]\nmatch = \"a\"\nkeep = \"forever\"", "forever"),
            ("[[room]]\nmatch = \"a\"\nhistory-entries = 0", "above zero"),
            ("[[room]]\nmatch = \"a\"\ncolour = 1", "colour"),
        ] {
            let error = ConfigFile::parse(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
