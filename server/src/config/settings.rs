//! The settings of a server with where each comes from: what `tidewire config` shows, and what a reload compares.
//!
//! One precedence holds for all of them: defaults, then the file, then the environment, then flags; the last that says
//! something holds.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::file::{self, ConfigFile};
use super::logs::veiled;
use super::veil::veiled_text;
use super::{Config, Problem};

/// What the names of our variables begin with.
const PREFIX: &str = "TIDEWIRE_";

/// The settings, in two forms.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the server runs with.
    pub config: Config,
    /// Every setting as it was written, in the order of `--help`.
    pub list: Vec<Setting>,
    /// The rules for rooms as the file has them.
    pub rooms: Vec<toml::Value>,
    /// The file, if there is one.
    pub file: Option<PathBuf>,
}

/// One setting.
#[derive(Clone, PartialEq, Eq)]
pub struct Setting {
    /// The flag without its dashes, which is the key in the file, too.
    pub key: String,
    /// What was written; nothing if nobody says anything and there is no default.
    pub words: Vec<String>,
    /// Whether it is a list.
    pub is_list: bool,
    /// It is not to be shown as it is: its flag has `hide_env_values`, and it is no URL without a password.
    pub is_secret: bool,
    /// Where it comes from.
    pub source: Source,
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody says anything.
    Default,
    /// This line of the file.
    File(usize),
    /// This variable.
    Environment(String),
    /// The command line.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(line) => write!(f, "file, line {line}"),
            Self::Environment(name) => write!(f, "environment, {name}"),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// Why there are no settings.
#[derive(Debug)]
pub enum Unusable {
    /// The command line or the environment makes no sense.
    Words(clap::Error),
    /// The file does not.
    File(PathBuf, Vec<Problem>),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(error) => {
                let told = error.to_string();
                f.write_str(told.trim_start_matches("error: ").trim_end())
            }
            Self::File(path, problems) => {
                let told: Vec<_> = problems
                    .iter()
                    .map(|problem| format!("{}: {problem}", path.display()))
                    .collect();
                let told = told.join("\n");
                f.write_str(veiled_text(&told).as_deref().unwrap_or(&told))
            }
        }
    }
}

impl std::error::Error for Unusable {}

impl From<clap::Error> for Unusable {
    fn from(error: clap::Error) -> Self {
        Self::Words(error)
    }
}

/// The settings that `matches` has of the flags of `command`.
pub(crate) fn list(command: &Command, matches: &ArgMatches, file: &ConfigFile) -> Vec<Setting> {
    let setting = |arg: &Arg| {
        let key = arg.get_long().filter(|key| *key != "config")?;
        let id = arg.get_id().as_str();
        let words = matches.try_get_raw(id).ok().flatten();
        let words = words.into_iter().flatten();
        let words: Vec<_> = words
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let is_open = |word: &String| word.contains("://") && veiled(word).is_none();
        Some(Setting {
            key: key.to_owned(),
            is_list: matches!(arg.get_action(), ArgAction::Append),
            is_secret: arg.is_hide_env_values_set() && !words.iter().all(is_open),
            words,
            source: source(arg, matches.value_source(id), file.line_of(key)),
        })
    };
    command.get_arguments().filter_map(setting).collect()
}

/// To clap, what the file says is a default.
fn source(arg: &Arg, source: Option<ValueSource>, line: Option<usize>) -> Source {
    match (source, line) {
        (Some(ValueSource::CommandLine), _) => Source::Flag,
        (Some(ValueSource::EnvVariable), _) => {
            let name = arg.get_env().unwrap_or_default();
            Source::Environment(name.to_string_lossy().into_owned())
        }
        (_, Some(line)) => Source::File(line),
        (_, None) => Source::Default,
    }
}

/// The command with what the file says for defaults.
pub(crate) fn with_defaults(command: Command, file: &ConfigFile) -> Command {
    file.flags.iter().fold(command, |command, flag| {
        match file::flag(&command, &flag.key).map(|arg| arg.get_id().clone()) {
            Some(id) => command.mut_arg(id, |arg| arg.default_values(flag.words.clone())),
            None => command,
        }
    })
}

/// The variable with the secret that `tidewire token` signs by. It is no flag's, since all may see the command line.
pub const TOKEN_SECRET_VARIABLE: &str = "TIDEWIRE_TOKEN_SECRET";

/// What is to be said of variables that begin like ours and mean nothing to any command: they are other programs', or mistakes.
pub fn unknown_variables(
    command: &Command,
    names: impl IntoIterator<Item = OsString>,
) -> Vec<String> {
    let mut known = vec![TOKEN_SECRET_VARIABLE.to_owned()];
    add_variables(command, &mut known);
    let mut names: Vec<_> = names
        .into_iter()
        .filter_map(|name| name.into_string().ok())
        .filter(|name| name.starts_with(PREFIX) && !known.contains(name))
        .collect();
    names.sort_unstable();
    // What all names begin with makes none of them alike.
    let ends = known.iter().filter_map(|name| name.strip_prefix(PREFIX));
    let told = |name: String| {
        let end = name.strip_prefix(PREFIX).unwrap_or_default();
        let meant = file::similar(end, ends.clone());
        let told = |meant| format!("; did you mean {PREFIX}{meant}?");
        let meant = meant.map_or_else(String::new, told);
        format!("the variable {name} means nothing{meant}")
    };
    names.into_iter().map(told).collect()
}

fn add_variables(command: &Command, known: &mut Vec<String>) {
    let names = command.get_arguments().filter_map(Arg::get_env);
    known.extend(names.map(|name| name.to_string_lossy().into_owned()));
    for command in command.get_subcommands() {
        add_variables(command, known);
    }
}

impl Setting {
    /// What is shown of it: one text a value.
    #[must_use]
    pub fn shown(&self) -> Vec<Cow<'_, str>> {
        self.words
            .iter()
            .map(|word| self.shown_word(word))
            .collect()
    }

    fn shown_word<'a>(&self, word: &'a str) -> Cow<'a, str> {
        match word {
            word if !self.is_secret => Cow::Borrowed(word),
            // Where it is, if not who may.
            url if url.contains("://") => veiled(url).unwrap_or_default().into(),
            _ => "(set)".into(),
        }
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {:?} ({})", self.key, self.shown(), self.source)
    }
}
