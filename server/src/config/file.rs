//! The configuration file: TOML, with the names of the flags as keys, and the rules for rooms. It is read as a whole: whoever
//! mends it is told of everything that is wrong with it, each with its line.
//!
//! ```toml
//! listen = "0.0.0.0:8080"
//! heartbeat = "20s"
//!
//! [[room]]                  # the first that matches holds
//! match = "game-*"          # * stands for any text
//! keep = "memory"           # durable, memory or none
//! ```
//!
//! What a value means is the flag's business: it is handed to clap as if it stood on the command line.

use std::ffi::OsString;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use clap::{Arg, Command};
use serde::Deserialize as _;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, Value};

use super::rooms::{self, RoomRule};
use crate::log::{Rule, Rules};

/// A suggestion is at least this much like what was written (Jaro–Winkler).
const SIMILAR: f64 = 0.8;

/// What a file says.
#[derive(Debug, Default)]
pub(crate) struct ConfigFile {
    /// Settings: the names of flags, with what one would write behind them.
    pub(crate) flags: Vec<FileFlag>,
    rules: Vec<RoomRule>,
    /// The rooms as they were written.
    pub(crate) rooms: Vec<Value>,
}

/// A key and its value.
#[derive(Debug)]
pub(crate) struct FileFlag {
    pub(crate) key: String,
    pub(crate) words: Vec<String>,
    pub(crate) line: usize,
}

/// What is wrong with a file, or with a setting from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, if it is in the file: its line, from 1.
    pub line: Option<usize>,
    /// A sentence.
    pub told: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.told),
            None => f.write_str(&self.told),
        }
    }
}

impl ConfigFile {
    /// Reads a file; `command` has the flags that can be its keys.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of its lines.
    pub(crate) fn read(path: &Path, command: &Command) -> Result<Self, Vec<Problem>> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let (line, told) = (None, format!("the file cannot be read: {error}"));
            vec![Problem { line, told }]
        })?;
        Self::parse(&text, command)
    }

    pub(super) fn parse(text: &str, command: &Command) -> Result<Self, Vec<Problem>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut reader = Reader {
            text,
            command,
            file: Self::default(),
            problems: Vec::new(),
        };
        if errors.is_empty() {
            table
                .into_inner()
                .into_iter()
                .for_each(|(key, value)| reader.take(&key, value));
        }
        errors.iter().for_each(|error| reader.note_error("", error));
        let Reader { file, problems, .. } = reader;
        if problems.is_empty() {
            return Ok(file);
        }
        let mut problems = problems;
        problems.sort_by_key(|problem| problem.line);
        Err(problems)
    }

    /// The line of a setting, if the file has it.
    pub(crate) fn line_of(&self, key: &str) -> Option<usize> {
        let flag = self.flags.iter().find(|flag| flag.key == key)?;
        Some(flag.line)
    }

    /// The rules for rooms; `otherwise` is what holds for the others, and what a rule does not say.
    pub(crate) fn rules(&self, otherwise: Rule) -> Rules {
        rooms::rules(&self.rules, otherwise)
    }
}

/// A file while it is read.
struct Reader<'a> {
    text: &'a str,
    command: &'a Command,
    file: ConfigFile,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn line_at(&self, byte: usize) -> usize {
        let before = self.text.get(..byte).unwrap_or(self.text);
        1 + before.matches('\n').count()
    }

    fn note(&mut self, at: &Range<usize>, told: String) {
        let line = Some(self.line_at(at.start));
        self.problems.push(Problem { line, told });
    }

    fn note_error(&mut self, before: &str, error: &toml::de::Error) {
        let line = error.span().map(|span| self.line_at(span.start));
        let told = format!("{before}{}", error.message());
        self.problems.push(Problem { line, told });
    }

    fn take(&mut self, key: &Spanned<toml::de::DeString<'_>>, value: Spanned<DeValue<'_>>) {
        let (at, key) = (key.span(), key.get_ref());
        if key == "room" {
            return self.take_rooms(value);
        }
        let Some(arg) = flag(self.command, key) else {
            let known = self.command.get_arguments().filter_map(Arg::get_long);
            let known = known.filter(|known| *known != "config").chain(["room"]);
            return self.note(&at, unknown(key, "", known));
        };
        let words = match Value::deserialize(ValueDeserializer::from(value)) {
            Ok(value) => words(&value, key),
            Err(error) => Err(error.message().to_owned()),
        };
        let checked = words.and_then(|words| check(arg, key, &words).map(|()| words));
        match checked {
            Ok(words) => {
                let (key, line) = (key.to_string(), self.line_at(at.start));
                self.file.flags.push(FileFlag { key, words, line });
            }
            Err(told) => self.note(&at, told),
        }
    }

    fn take_rooms(&mut self, value: Spanned<DeValue<'_>>) {
        let at = value.span();
        let DeValue::Array(rooms) = value.into_inner() else {
            return self.note(&at, "a rule for rooms begins with [[room]]".to_owned());
        };
        for room in rooms {
            let before = self.problems.len();
            if let DeValue::Table(table) = room.get_ref() {
                for key in table.keys().filter(|key| !is_room_key(key.get_ref())) {
                    let told = unknown(key.get_ref(), " in [[room]]", rooms::KEYS.iter().copied());
                    self.note(&key.span(), told);
                }
            }
            if self.problems.len() > before {
                continue;
            }
            let rule = RoomRule::deserialize(ValueDeserializer::from(room.clone()));
            match (rule, Value::deserialize(ValueDeserializer::from(room))) {
                (Ok(rule), Ok(room)) => {
                    self.file.rules.push(rule);
                    self.file.rooms.push(room);
                }
                (Err(error), _) | (_, Err(error)) => self.note_error("in [[room]]: ", &error),
            }
        }
    }
}

fn is_room_key(key: &str) -> bool {
    rooms::KEYS.contains(&key)
}

/// The flag of a key: any but the one that names the file.
pub(super) fn flag<'a>(command: &'a Command, key: &str) -> Option<&'a Arg> {
    let is_it = |arg: &&Arg| arg.get_long() == Some(key) && key != "config" && key != "help";
    command.get_arguments().find(is_it)
}

/// Whether clap takes the words for this flag: the reason why not, without what belongs to a command line.
fn check(arg: &Arg, key: &str, words: &[String]) -> Result<(), String> {
    let words = words.iter().map(OsString::from).collect::<Vec<_>>();
    let alone = arg.clone().env(None::<&str>).default_values(words.clone());
    let command = Command::new("check")
        .no_binary_name(true)
        .disable_help_flag(true);
    let Err(error) = command.arg(alone).try_get_matches_from([""; 0]) else {
        return Ok(());
    };
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let why = std::error::Error::source(&error).map_or_else(
        || {
            let possible: Vec<_> = arg.get_possible_values();
            let names: Vec<_> = possible.iter().map(|value| value.get_name()).collect();
            if names.is_empty() {
                let told = error.to_string();
                let first = told.lines().next().unwrap_or_default();
                first.trim_start_matches("error: ").to_owned()
            } else {
                format!("it is one of {}", names.join(", "))
            }
        },
        ToString::to_string,
    );
    // A secret is not for eyes, even where it is wrong.
    if arg.is_hide_env_values_set() {
        return Err(format!("{key}: {why}"));
    }
    Err(format!("{key} = {:?}: {why}", words.join(", ")))
}

/// That there is no such setting, and which may be meant.
pub(super) fn unknown<'a>(
    key: &str,
    place: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    let told = format!("there is no setting {key:?}{place}");
    match similar(key, known) {
        Some(known) => format!("{told}; did you mean {known:?}?"),
        None => format!("{told}: `tidewire config default` lists them"),
    }
}

/// Which of these is most like a word, if one is like it at all.
pub(super) fn similar<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(word, known), known))
        .filter(|(likeness, _)| *likeness >= SIMILAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
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
    use std::time::Duration;

    use clap::Args as _;

    use super::*;
    use crate::cli::Serve;
    use crate::log::{Keep, Retention, Slow};

    fn parse(text: &str) -> Result<ConfigFile, Vec<Problem>> {
        ConfigFile::parse(text, &Serve::augment_args(Command::new("serve")))
    }

    #[test]
    fn keys_are_flags_and_rooms_are_rules() {
        let file = parse(
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
            .map(|flag| format!("{} {} {}", flag.line, flag.key, flag.words.join(" ")))
            .collect();
        assert_eq!(
            flags,
            [
                "4 cors-origin https://a https://b",
                "2 listen 127.0.0.1:0",
                "3 messages-per-second 5"
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
    fn what_makes_no_sense_is_refused_with_its_line() {
        for (text, told) in [
            ("listen", "line 1: "),
            (
                "[server]\nlisten = \"x\"",
                "line 1: there is no setting \"server\"",
            ),
            ("[listen]\na = 1", "line 1: listen is a text"),
            (
                "\nlisten = \"x\"",
                "line 2: listen = \"x\": where to listen is an address and a port",
            ),
            ("compression = \"no\"", "it is one of off, on, context"),
            ("config = \"x\"", "there is no setting \"config\""),
            ("room = 1", "line 1: a rule for rooms begins with [[room]]"),
            ("room = [1]", "line 1: in [[room]]: "),
            (
                "\n[[room]]\nkeep = \"memory\"",
                "line 2: in [[room]]: missing field `match`",
            ),
            (
                "[[room]]\nmatch = \"a\"\nkeep = \"forever\"",
                "line 3: in [[room]]: ",
            ),
            ("[[room]]\nmatch = \"a\"\nhistory-entries = 0", "above zero"),
            (
                "[[room]]\nmatch = \"a\"\nhistory-entrys = 1",
                "line 3: there is no setting \"history-entrys\" in [[room]]; did you mean \"history-entries\"?",
            ),
        ] {
            let problems = parse(text).unwrap_err();
            let shown = problems[0].to_string();
            assert!(shown.contains(told), "{text}: {shown}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let problems = parse(
            "heartbeet = \"1s\"\nlisten = \"::1:8080\"\npong-wait = \"0s\"\n[[room]]\nmatsch = \"a\"",
        );
        let shown: Vec<_> = problems
            .unwrap_err()
            .iter()
            .map(Problem::to_string)
            .collect();
        assert_eq!(
            shown,
            [
                "line 1: there is no setting \"heartbeet\"; did you mean \"heartbeat\"?",
                "line 2: listen = \"::1:8080\": where to listen is an address and a port, as 127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080 for all addresses",
                "line 3: pong-wait = \"0s\": a time is above zero and at most a day",
                "line 5: there is no setting \"matsch\" in [[room]]; did you mean \"match\"?",
            ]
        );
    }
}
