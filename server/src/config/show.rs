//! Settings as text: TOML that says where each comes from, the same as JSON, and the file of all defaults. It is made of the
//! flags that clap knows, so that it cannot tell of others.

use clap::builder::PossibleValue;
use clap::{Arg, ArgAction, Command};
use serde_json::{Value as Json, json};
use toml::Value;

use super::reload::is_live;
use super::rooms;
use super::settings::Settings;

/// Comments are no wider than this.
const WIDTH: usize = 100;

impl Settings {
    /// The settings as a file, each with where it comes from. Read by a server, it gives the same settings, but for secrets.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = match &self.file {
            Some(path) => format!("# The file is {}.\n", path.display()),
            None => "# There is no file.\n".to_owned(),
        };
        for setting in &self.list {
            let hidden = if setting.words.is_empty() || setting.is_secret {
                "# "
            } else {
                ""
            };
            let value = if setting.words.is_empty() {
                "(not set)".to_owned()
            } else {
                value(&setting.shown(), setting.is_list).to_string()
            };
            let (key, source) = (&setting.key, &setting.source);
            writeln(&mut text, &format!("{hidden}{key} = {value}  # {source}"));
        }
        for room in &self.rooms {
            writeln(&mut text, "\n[[room]]");
            for (key, value) in room.as_table().into_iter().flatten() {
                writeln(&mut text, &format!("{key} = {value}"));
            }
        }
        text
    }

    /// The same as a JSON object: `settings` by key, and `room`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let settings = self.list.iter().map(|setting| {
            let shown = setting.shown();
            let value = match shown.as_slice() {
                values if setting.is_list => json!(values),
                [] => Json::Null,
                [text] => scalar(text),
                values => json!(values),
            };
            let told = json!({ "value": value, "source": setting.source.to_string() });
            (setting.key.clone(), told)
        });
        let whole = json!({
            "file": self.file,
            "settings": settings.collect::<serde_json::Map<_, _>>(),
            "room": self.rooms,
        });
        format!("{whole:#}\n")
    }
}

/// Numbers, truth values and texts have no way to fail.
fn scalar(text: &str) -> Json {
    serde_json::to_value(plain(text)).unwrap_or_default()
}

/// A word as the file would have it: a number or a truth value where it is one.
fn plain(word: &str) -> Value {
    let number = word.parse().map(Value::Integer);
    number
        .or_else(|_| word.parse().map(Value::Boolean))
        .unwrap_or_else(|_| Value::String(word.to_owned()))
}

fn value(words: &[impl AsRef<str>], is_list: bool) -> Value {
    match words {
        [word] if !is_list => plain(word.as_ref()),
        words => Value::Array(words.iter().map(|word| plain(word.as_ref())).collect()),
    }
}

/// A file with every key, its help, and its default; what has none is commented out.
#[must_use]
pub fn default_file(command: &Command) -> String {
    let mut text = String::new();
    comment(
        &mut text,
        "All settings of a Tidewire server, with their defaults. A variable of the environment holds over what is said here, \
         and a flag over both. `tidewire config check FILE` tells what is wrong with a file, `tidewire config show` what holds. \
         SIGHUP makes a running server read it again.",
    );
    let is_setting = |arg: &&Arg| !matches!(arg.get_long(), None | Some("config" | "help"));
    let settings = || command.get_arguments().filter(is_setting);
    let mut headings = Vec::new();
    for heading in settings().map(Arg::get_help_heading) {
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    for heading in headings {
        let title = heading.unwrap_or("Options");
        writeln(&mut text, &format!("\n# ---- {title} ----"));
        settings()
            .filter(|arg| arg.get_help_heading() == heading)
            .for_each(|arg| describe(&mut text, arg));
    }
    writeln(&mut text, "\n# ---- Rooms ----\n");
    comment(
        &mut text,
        "What holds for rooms whose name matches; what a rule does not say is as for all rooms.",
    );
    for line in rooms::EXAMPLE.lines() {
        writeln(&mut text, &format!("# {line}"));
    }
    text
}

fn describe(text: &mut String, arg: &Arg) {
    let key = arg.get_long().unwrap_or_default();
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let possible = arg.get_possible_values();
    let names: Vec<_> = possible.iter().map(PossibleValue::get_name).collect();
    text.push('\n');
    comment(text, &help);
    if !names.is_empty() {
        comment(text, &format!("One of: {}.", names.join(", ")));
    }
    if let Some(name) = arg.get_env() {
        comment(text, &format!("${}", name.to_string_lossy()));
    }
    if is_live(key) {
        comment(text, "SIGHUP changes it.");
    }
    let words: Vec<_> = arg
        .get_default_values()
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        // A flag without a value has no other default.
        .chain(matches!(arg.get_action(), ArgAction::SetTrue).then(|| "false".to_owned()))
        .collect();
    let is_list = matches!(arg.get_action(), ArgAction::Append);
    if !words.is_empty() {
        return writeln(text, &format!("{key} = {}", value(&words, is_list)));
    }
    let names = arg.get_value_names().unwrap_or_default();
    let name = names.first().map_or("VALUE", |name| name.as_str());
    let example = if is_list {
        format!("[{name}, …]")
    } else {
        name.to_owned()
    };
    writeln(text, &format!("# {key} = {example}"));
}

fn comment(text: &mut String, told: &str) {
    let mut line = "#".to_owned();
    for word in told.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln(text, &std::mem::replace(&mut line, "#".to_owned()));
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln(text, &line);
}

fn writeln(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
