//! `tidewire config`: what a server's settings are, whether a file can be used, and what there is to be set.

use std::error::Error;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory as _, Subcommand};

use crate::cli::{Cli, Serve, Words};
use crate::config::{Config, Unusable, default_file, unknown_variables};

/// Look at the settings of a server
#[derive(Debug, Subcommand)]
pub enum Configure {
    /// Tell whether a server could start with these settings, or all that is wrong with the file
    Check(Check),
    /// Print the settings that hold, each with where it comes from
    Show(Show),
    /// Print a file with every setting, what it is for, and its default
    Default,
}

/// What to check.
#[derive(Debug, Args)]
pub struct Check {
    /// The file [default: that of --config]
    file: Option<PathBuf>,
    #[command(flatten)]
    serve: Serve,
}

/// What to show.
#[derive(Debug, Args)]
pub struct Show {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    serve: Serve,
}

impl Configure {
    /// Writes what was asked for, and warnings and errors to `complaints`; whether all is well.
    ///
    /// # Errors
    /// The words make no sense, or nothing can be written.
    pub fn run(
        &self,
        words: &Words,
        variables: impl IntoIterator<Item = OsString>,
        out: &mut dyn Write,
        complaints: &mut dyn Write,
    ) -> Result<bool, Box<dyn Error>> {
        if let Self::Default = self {
            let flags = Serve::augment_args(Command::new("serve"));
            out.write_all(default_file(&flags).as_bytes())?;
            return Ok(true);
        }
        for warning in unknown_variables(&Cli::command(), variables) {
            writeln!(complaints, "tidewire: {warning}")?;
        }
        let settings = match words.settings() {
            Ok(settings) => settings,
            Err(Unusable::Words(error)) => return Err(error.into()),
            Err(file @ Unusable::File(..)) => {
                writeln!(complaints, "{file}")?;
                return Ok(false);
            }
        };
        match self {
            Self::Show(show) if show.json => out.write_all(settings.to_json().as_bytes())?,
            Self::Show(_) => out.write_all(settings.to_toml().as_bytes())?,
            Self::Check(_) | Self::Default => writeln!(out, "ok: {}", told(&settings.config))?,
        }
        Ok(true)
    }
}

/// What a server would do, in one line.
fn told(config: &Config) -> String {
    let workers = match config.workers {
        1 => "one worker".to_owned(),
        workers => format!("{workers} workers"),
    };
    let (listen, logs) = (config.listen, config.where_logs_are());
    let node = match &config.logs.node {
        Some(node) => format!(", and is the node {}", node.as_str()),
        None => String::new(),
    };
    format!("listens on http://{listen} with {workers}, keeps messages in {logs}{node}")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cli::Task;

    /// Runs `tidewire config …`: whether all is well, and what it said.
    fn run(words: &[&str], variables: &[&str]) -> (bool, String, String) {
        let words = ["tidewire", "config"].iter().chain(words);
        let Task::Config(configure, words) = Cli::task_from(words).unwrap() else {
            panic!("it is no question about settings");
        };
        let (mut out, mut complaints) = (Vec::new(), Vec::new());
        let variables = variables.iter().map(OsString::from);
        let is_well = configure.run(&words, variables, &mut out, &mut complaints);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (is_well.unwrap(), text(out), text(complaints))
    }

    /// A file that goes when the test ends well.
    struct File(PathBuf);

    impl File {
        fn new(name: &str, text: &str) -> Self {
            let name = format!("tidewire-{name}-{}.toml", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::write(&path, text).unwrap();
            Self(path)
        }

        fn path(&self) -> &str {
            self.0.to_str().unwrap()
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn settings(words: &[&str]) -> crate::config::Settings {
        let words = ["tidewire", "config"].iter().chain(words);
        let Task::Config(_, words) = Cli::task_from(words).unwrap() else {
            panic!("it is no question about settings");
        };
        words.settings().unwrap()
    }

    #[test]
    fn the_file_of_defaults_gives_the_defaults_and_names_every_flag() {
        let (is_well, text, complaints) = run(&["default"], &[]);
        assert!(is_well && complaints.is_empty(), "{complaints}");
        let file = File::new("default", &text);
        let read = settings(&["show", "--config", file.path()]);
        let expected = settings(&["show"]);
        let debug = |settings: &crate::config::Settings| format!("{:?}", settings.config);
        assert_eq!(debug(&read), debug(&expected));
        for (one, other) in read.list.iter().zip(&expected.list) {
            assert_eq!((&one.key, &one.words), (&other.key, &other.words));
            let is_there = |begin: &str| text.contains(&format!("\n{begin}{} = ", one.key));
            assert!(
                is_there("") || one.words.is_empty() && is_there("# "),
                "{}",
                one.key
            );
        }
    }

    #[test]
    fn what_is_shown_gives_the_same_settings_and_says_where_they_come_from() {
        let text = "heartbeat = \"7s\"\npong-wait = \"3s\"\ncors-origin = [\"https://a\"]\n\
                    [[room]]\nmatch = \"a\\\"b\"\nkeep = \"none\"\n";
        let file = File::new("show", text);
        let words = ["show", "--config", file.path(), "--pong-wait", "4s"];
        let (_, shown, _) = run(&words, &[]);
        for line in [
            "heartbeat = \"7s\"  # file, line 1",
            "pong-wait = \"4s\"  # flag",
            "cors-origin = [\"https://a\"]  # file, line 3",
            "workers = 1  # default",
            "# connections-max = (not set)  # default",
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
        }
        let again = File::new("shown", &shown);
        let debug = |path| format!("{:?}", settings(&["show", "--config", path]).config);
        let expected = format!("{:?}", settings(&words).config);
        assert_eq!(debug(again.path()), expected);

        let (_, json, _) = run(&[&words[..], &["--json"]].concat(), &[]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let heartbeat = &json["settings"]["heartbeat"];
        assert_eq!(
            (&heartbeat["value"], &heartbeat["source"]),
            (&"7s".into(), &"file, line 1".into())
        );
        assert_eq!(json["settings"]["workers"]["value"], 1);
        assert_eq!(json["settings"]["cors-origin"]["value"][0], "https://a");
        assert_eq!(json["room"][0]["match"], "a\"b");
    }

    #[test]
    fn the_password_of_redis_is_shown_nowhere() {
        let file = File::new("redis", "log = \"rediss://u:secret@a/1\"\nnode = \"n1\"\n");
        let shown = run(&["show", "--config", file.path()], &[]).1;
        let line = "# log = \"rediss://u:***@a/1\"  # file, line 1";
        assert!(shown.lines().any(|shown| shown == line), "{shown}");
        let json = run(&["show", "--json", "--config", file.path()], &[]).1;
        let told = run(&["check", file.path()], &[]).1;
        let expected = "keeps messages in rediss://u:***@a/1, and is the node n1\n";
        assert!(told.ends_with(expected), "{told}");
        let debug = format!("{:?}", settings(&["show", "--config", file.path()]));
        for text in [&shown, &json, &told, &debug] {
            assert!(!text.contains("secret"), "{text}");
        }
        let open = ["show", "--log", "redis://a"];
        let line = "log = \"redis://a\"  # flag";
        let shown = run(&open, &[]).1;
        assert!(shown.lines().any(|shown| shown == line), "{shown}");

        let bad = Cli::task_from(["tidewire", "--log", "redis://u:secret@a:b"]).unwrap_err();
        let told = bad.to_string();
        assert!(
            told.contains("is no port") && !told.contains("secret"),
            "{told}"
        );
    }

    #[test]
    fn a_file_is_checked_as_a_whole() {
        let good = File::new(
            "good",
            "listen = \"127.0.0.1:1\"\ndata = \"memory\"\nworkers = 2",
        );
        let (is_well, told, _) = run(&["check", good.path()], &[]);
        let expected =
            "ok: listens on http://127.0.0.1:1 with 2 workers, keeps messages in memory\n";
        assert_eq!((is_well, told.as_str()), (true, expected));

        let bad = File::new("bad", "heartbeet = 1\nworkers = 0\n");
        let (is_well, told, complaints) = run(&["check", bad.path()], &[]);
        let expected = format!(
            "{0}: line 1: there is no setting \"heartbeet\"; did you mean \"heartbeat\"?\n\
             {0}: line 2: workers = \"0\": 0 is not in 1..=64\n",
            bad.path()
        );
        assert_eq!(
            (is_well, told, complaints),
            (false, String::new(), expected)
        );
    }

    #[test]
    fn variables_that_mean_nothing_are_told() {
        let variables = [
            "TIDEWIRE_HEARTBEET",
            "TIDEWIRE_LISTEN",
            "PATH",
            "TIDEWIRE_QQQ",
        ];
        let (is_well, _, complaints) = run(&["check"], &variables);
        assert!(is_well);
        assert_eq!(
            complaints,
            "tidewire: the variable TIDEWIRE_HEARTBEET means nothing; did you mean TIDEWIRE_HEARTBEAT?\n\
             tidewire: the variable TIDEWIRE_QQQ means nothing\n"
        );
    }
}
