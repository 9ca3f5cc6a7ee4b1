//! The rules for rooms as the configuration file has them: a `[[room]]` each, with the words and checks of its keys.

use std::time::Duration;

use serde::Deserialize;

use super::values;
use crate::log::{Keep, Pattern, Retention, Rule, Rules, Slow};

/// What a `[[room]]` may say.
pub(super) const KEYS: &[&str] = &[
    "match",
    "keep",
    "history-entries",
    "history-age",
    "history-bytes",
    "slow",
];

/// An example, with every key.
pub(super) const EXAMPLE: &str = r#"[[room]]                  # the first that matches holds
match = "game-*"          # * stands for any text
keep = "memory"           # durable, memory or none
history-entries = 1000
history-age = "1h"
history-bytes = "1MiB"
slow = "latest"           # resume, latest or disconnect"#;

/// One `[[room]]`; what it does not say is as for all rooms.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RoomRule {
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

/// The rules for rooms; `otherwise` is what holds for the others, and what a rule does not say.
pub(super) fn rules(rooms: &[RoomRule], otherwise: Rule) -> Rules {
    let mut rules = Rules::new(otherwise);
    for room in rooms {
        rules.push(Pattern::new(room.r#match.clone()), room.rule(otherwise));
    }
    rules
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_says_all_that_can_be_said() {
        let table: toml::Table = EXAMPLE.parse().unwrap();
        let room = table["room"][0].as_table().unwrap();
        let mut keys: Vec<_> = room.keys().map(String::as_str).collect();
        let mut expected = KEYS.to_vec();
        keys.sort_unstable();
        expected.sort_unstable();
        assert_eq!(keys, expected);
        let room: RoomRule = table["room"][0].clone().try_into().unwrap();
        let rules = rules(&[room], Rule::default());
        assert_eq!(rules.of("game-7").keep, Keep::Memory);
        assert_eq!(rules.of("lobby"), &Rule::default());
    }
}
