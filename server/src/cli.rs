//! The command line: `tidewire serve`, which is also what `tidewire` alone does.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::config::values::{long_time, size, time};
use crate::config::{
    AuthOptions, CaptureOptions, Compression, Config, ConfigFile, Drain, LimitOptions, LogOptions,
    Observe, Origin, ProtocolOptions, RecorderOptions, Settings, TlsOptions, Unusable, list,
    veiled_text, with_defaults,
};
use crate::load;
use crate::log::{Retention, Rule};
use crate::tools::capture::Capture;
use crate::tools::chat::Chat;
use crate::tools::config::Configure;
use crate::tools::log::Log;
use crate::tools::pages::{Completions, Manual};
use crate::tools::replay::Replay;
use crate::tools::tail::Tail;
use crate::tools::token::Token;
use crate::tools::why::Why;
use crate::verify;

/// A chat and real-time messaging server that speaks WebSocket.
#[derive(Debug, Parser)]
#[command(
    name = "tidewire",
    version,
    about,
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    /// What to do; `serve` if nothing is said.
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(Serve),
    /// Look into a data directory
    Log(Log),
    /// Prove that a running server loses, doubles and reorders nothing
    Verify(verify::Options),
    Chat(Chat),
    Tail(Tail),
    Token(Token),
    #[command(subcommand)]
    Config(Configure),
    Why(Why),
    Capture(Capture),
    Replay(Replay),
    Completions(Completions),
    Man(Manual),
    /// Load a server and tell how long its answers took
    Bench(load::Options),
}

/// Run the server
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// A TOML file with flags as keys, as `listen = "127.0.0.1:8080"`, and rules for rooms
    #[arg(
        help_heading = "Server",
        long,
        env = "TIDEWIRE_CONFIG",
        value_name = "FILE"
    )]
    config: Option<PathBuf>,
    /// Address and port to listen on; port 0 takes a free one
    #[arg(
        help_heading = "Server",
        long,
        env = "TIDEWIRE_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080",
        value_parser = listen_address
    )]
    listen: SocketAddr,
    /// Where messages and files are kept: a directory, or `memory`, which lasts as long as the process; with --log, only files are
    #[arg(
        help_heading = "Server",
        long,
        env = "TIDEWIRE_DATA",
        value_name = "DIR|memory",
        default_value = "./tidewire-data",
        value_parser = directory
    )]
    data: PathBuf,
    /// Worker threads, each with connections of its own: as many as processors that are to serve
    #[arg(help_heading = "Server", long, env = "TIDEWIRE_WORKERS", value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,
    /// Most connections at once [default: what the limit on open files allows]
    #[arg(
        help_heading = "Limits",
        long,
        env = "TIDEWIRE_CONNECTIONS_MAX",
        value_name = "N"
    )]
    connections_max: Option<usize>,
    /// Ping a client that was silent for this long
    #[arg(help_heading = "Times", long, env = "TIDEWIRE_HEARTBEAT", value_name = "TIME", default_value = "30s", value_parser = time)]
    heartbeat: Duration,
    /// Close a client that does not answer a ping for this long
    #[arg(help_heading = "Times", long, env = "TIDEWIRE_PONG_WAIT", value_name = "TIME", default_value = "10s", value_parser = time)]
    pong_wait: Duration,
    /// Time for a whole request head
    #[arg(help_heading = "Times", long, env = "TIDEWIRE_HANDSHAKE_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = time)]
    handshake_timeout: Duration,
    /// Time that an HTTP connection may be idle between requests
    #[arg(help_heading = "Times", long, env = "TIDEWIRE_KEEP_ALIVE", value_name = "TIME", default_value = "60s", value_parser = time)]
    keep_alive: Duration,
    /// Time for a client's part in closing
    #[arg(help_heading = "Times", long, env = "TIDEWIRE_CLOSE_TIMEOUT", value_name = "TIME", default_value = "5s", value_parser = time)]
    close_timeout: Duration,
    #[command(flatten)]
    drain: Drain,
    /// Messages a second that a chat client may send, twice as many at once; 0 means no limit
    #[arg(
        help_heading = "Limits",
        long,
        env = "TIDEWIRE_MESSAGES_PER_SECOND",
        value_name = "N",
        default_value_t = 100
    )]
    messages_per_second: u32,
    /// Messages that a room keeps
    #[arg(help_heading = "History", long, env = "TIDEWIRE_HISTORY_ENTRIES", value_name = "N", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    history_entries: u64,
    /// Time that a message is kept
    #[arg(help_heading = "History", long, env = "TIDEWIRE_HISTORY_AGE", value_name = "TIME", default_value = "7d", value_parser = long_time)]
    history_age: Duration,
    /// Bytes of messages that a room keeps: 64MiB, 500KiB, 1GiB
    #[arg(help_heading = "History", long, env = "TIDEWIRE_HISTORY_BYTES", value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    history_bytes: u64,
    /// Close a client that has been behind in a room for this long; it can resume
    #[arg(help_heading = "Limits", long, env = "TIDEWIRE_LAG_MAX", value_name = "TIME", default_value = "30s", value_parser = time)]
    lag_max: Duration,
    /// Largest file that may be uploaded, in bytes
    #[arg(
        help_heading = "Files",
        long,
        env = "TIDEWIRE_FILE_BYTES_MAX",
        value_name = "N",
        default_value_t = 16 << 20,
        value_parser = clap::value_parser!(u64).range(..=1 << 40)
    )]
    file_bytes_max: u64,
    /// What all uploaded files may have together, in bytes
    #[arg(
        help_heading = "Files",
        long,
        env = "TIDEWIRE_FILES_BYTES_MAX",
        value_name = "N",
        default_value_t = 1 << 30
    )]
    files_bytes_max: u64,
    /// Let pages of this origin chat and use the API: `https://chat.example`, or `*` for all; may be given several times
    #[arg(
        help_heading = "Web",
        long = "cors-origin",
        visible_alias = "allowed-origin",
        env = "TIDEWIRE_CORS_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    cors_origins: Vec<Origin>,
    /// Compress messages for clients that ask for it
    #[arg(
        help_heading = "Web",
        long,
        env = "TIDEWIRE_COMPRESSION",
        value_name = "HOW",
        default_value = "on"
    )]
    compression: Compression,
    #[command(flatten)]
    logs: LogOptions,
    #[command(flatten)]
    protocols: ProtocolOptions,
    #[command(flatten)]
    tls: TlsOptions,
    #[command(flatten)]
    auth: AuthOptions,
    #[command(flatten)]
    limits: LimitOptions,
    #[command(flatten)]
    observe: Observe,
    #[command(flatten)]
    recorder: RecorderOptions,
    #[command(flatten)]
    capture: CaptureOptions,
}

/// What to do.
#[derive(Debug)]
pub enum Task {
    /// Run a server with these settings, which the words gave.
    Serve(Box<Settings>, Words),
    /// Look into a data directory.
    Log(Log),
    /// Check a running server.
    Verify(verify::Options),
    /// Capture what a running server hears and says.
    Capture(Capture),
    /// Tell what a capture has.
    Replay(Replay),
    /// Talk in a room.
    Chat(Chat),
    /// Print what is said in rooms.
    Tail(Tail),
    /// Make a token.
    Token(Token),
    /// Look at a server's settings.
    Config(Box<Configure>, Words),
    /// Tell why a connection ended.
    Why(Why),
    /// Print a script for a shell.
    Completions(Completions),
    /// Print the manual.
    Man(Manual),
    /// Load a running server.
    Bench(load::Plan),
}

impl Cli {
    /// Reads the command line; for a server also the environment and the file.
    ///
    /// # Errors
    /// What clap tells, also about the file: print it and end with exit code 2.
    pub fn task_from(
        words: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<Task, clap::Error> {
        let words = Words(words.into_iter().map(Into::into).collect());
        let cli =
            Self::try_parse_from(&words.0).map_err(|error| veiled(words.with_variable(error)))?;
        Ok(match cli.command {
            Some(Command::Log(log)) => Task::Log(log),
            Some(Command::Verify(options)) => Task::Verify(options),
            Some(Command::Chat(chat)) => Task::Chat(chat),
            Some(Command::Tail(tail)) => Task::Tail(tail),
            Some(Command::Token(token)) => Task::Token(token),
            Some(Command::Capture(capture)) => Task::Capture(capture),
            Some(Command::Replay(replay)) => Task::Replay(replay),
            Some(Command::Why(why)) => Task::Why(why),
            Some(Command::Config(configure)) => Task::Config(Box::new(configure), words),
            Some(Command::Completions(shell)) => Task::Completions(shell),
            Some(Command::Man(manual)) => Task::Man(manual),
            Some(Command::Bench(options)) => Task::Bench(load::Plan::new(options).map_err(veiled)?),
            Some(Command::Serve(_)) | None => {
                let settings = words.settings().map_err(|unusable| match unusable {
                    Unusable::Words(error) => error,
                    file @ Unusable::File(..) => {
                        clap::Error::raw(ErrorKind::ValueValidation, format!("{file}\n"))
                    }
                })?;
                Task::Serve(Box::new(settings), words)
            }
        })
    }
}

/// The words of a command line that is about a server's settings. They are kept, since the settings can be read again.
#[derive(Debug, Clone)]
pub struct Words(Vec<OsString>);

impl Words {
    /// What these words, the environment, the file that they name and the defaults say.
    ///
    /// # Errors
    /// One of them makes no sense.
    pub fn settings(&self) -> Result<Settings, Unusable> {
        self.read().map_err(|unusable| match unusable {
            Unusable::Words(error) => Unusable::Words(veiled(error)),
            file @ Unusable::File(..) => file,
        })
    }

    fn read(&self) -> Result<Settings, Unusable> {
        let matches = Cli::command().try_get_matches_from(&self.0)?;
        let path = file_named(serve_matches(&matches));
        let flags = Serve::augment_args(clap::Command::new("serve"));
        let Some(path) = path else {
            return settings(&flags, &matches, ConfigFile::default(), None);
        };
        let file = ConfigFile::read(&path, &flags)
            .map_err(|problems| Unusable::File(path.clone(), problems))?;
        let fill = |command| with_defaults(command, &file);
        let command = fill(Cli::command())
            .mut_subcommand("serve", fill)
            .mut_subcommand("config", |config| {
                config
                    .mut_subcommand("check", fill)
                    .mut_subcommand("show", fill)
            });
        let matches = command.try_get_matches_from(&self.0)?;
        settings(&flags, &matches, file, Some(path))
    }

    /// What clap says of a value, with the variable that it is from: clap names the flag, which nobody may have written.
    fn with_variable(&self, error: clap::Error) -> clap::Error {
        let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
            return error;
        };
        // `--heartbeat <TIME>`.
        let flag = shown.split_whitespace().next().unwrap_or_default();
        let is_written = self.0.iter().any(|word| {
            let rest = word.to_str().and_then(|word| word.strip_prefix(flag));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        });
        let serve = Serve::augment_args(clap::Command::new("serve"));
        let is_it = |arg: &&clap::Arg| arg.get_long() == flag.strip_prefix("--");
        let variable = serve
            .get_arguments()
            .find(is_it)
            .and_then(clap::Arg::get_env);
        let Some(variable) =
            variable.filter(|name| !is_written && std::env::var_os(name).is_some())
        else {
            return error;
        };
        let named = format!("'{shown}', which the variable {} gives", variable.display());
        let told = error.to_string().replacen(&format!("'{shown}'"), &named, 1);
        told_as(&error, &told)
    }
}

/// What clap says, which quotes the words, without a password that one of them may have.
fn veiled(error: clap::Error) -> clap::Error {
    if !error.use_stderr() {
        // It is help that was asked for.
        return error;
    }
    let told = error.to_string();
    match veiled_text(&told) {
        Some(told) => told_as(&error, &told),
        None => error,
    }
}

/// The same error, told in other words.
fn told_as(error: &clap::Error, told: &str) -> clap::Error {
    clap::Error::raw(error.kind(), told.trim_start_matches("error: "))
}

/// Where to listen: an address, since a name may have several.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let parsed = text.parse();
    parsed.map_err(|_| {
        "where to listen is an address and a port, as 127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080 for all addresses"
            .to_owned()
    })
}

/// A directory, and not where a log is: that would be made one of that name.
fn directory(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("a directory has a name".to_owned());
    }
    if text.contains("://") {
        return Err("is no directory: what is at a URL is named by --log".to_owned());
    }
    Ok(PathBuf::from(text))
}

/// What was said of a server: the last command's words, or those without one.
fn serve_matches(matches: &ArgMatches) -> &ArgMatches {
    match matches.subcommand() {
        Some((_, inner)) => serve_matches(inner),
        None => matches,
    }
}

/// The file that `config check FILE` or `--config` names.
fn file_named(matches: &ArgMatches) -> Option<PathBuf> {
    let named = |id| matches.try_get_one::<PathBuf>(id).ok().flatten();
    named("file").or_else(|| named("config")).cloned()
}

fn settings(
    flags: &clap::Command,
    matches: &ArgMatches,
    file: ConfigFile,
    path: Option<PathBuf>,
) -> Result<Settings, Unusable> {
    let matches = serve_matches(matches);
    Ok(Settings {
        config: checked(Serve::from_arg_matches(matches)?.into_config(&file))?,
        list: list(flags, matches, &file),
        rooms: file.rooms,
        file: path,
    })
}

/// Settings that make sense together.
fn checked(config: Config) -> Result<Config, clap::Error> {
    let told = config
        .auth
        .check()
        .and_then(|()| config.auth.check_listening(config.listen))
        .and_then(|()| config.limits.check().map_err(str::to_owned))
        .and_then(|()| config.logs.check());
    match told {
        Ok(()) => Ok(config),
        Err(why) => Err(clap::Error::raw(
            ErrorKind::ValueValidation,
            format!("{why}\n"),
        )),
    }
}

impl Serve {
    fn into_config(self, file: &ConfigFile) -> Config {
        Config {
            listen: self.listen,
            workers: self.workers as usize,
            connections_max: self.connections_max,
            heartbeat: self.heartbeat,
            pong_wait: self.pong_wait,
            handshake_timeout: self.handshake_timeout,
            keep_alive: self.keep_alive,
            close_timeout: self.close_timeout,
            drain: self.drain,
            messages_per_second: self.messages_per_second,
            rules: Arc::new(file.rules(Rule {
                retention: Retention {
                    entries_max: self.history_entries,
                    age_max: self.history_age,
                    bytes_max: self.history_bytes,
                },
                ..Rule::default()
            })),
            lag_max: self.lag_max,
            data: (self.data.as_os_str() != "memory").then_some(self.data),
            logs: self.logs.with_name(),
            file_bytes_max: self.file_bytes_max,
            files_bytes_max: self.files_bytes_max,
            cors_origins: self.cors_origins,
            compression: self.compression,
            protocols: self.protocols,
            tls: self.tls,
            auth: self.auth,
            limits: self.limits,
            observe: self.observe,
            recorder: self.recorder,
            capture: self.capture,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(words: &[&str]) -> Result<Config, ErrorKind> {
        match Cli::task_from([&["tidewire"], words].concat()) {
            Ok(Task::Serve(settings, _)) => Ok(settings.config),
            Ok(task) => panic!("{task:?}"),
            Err(error) => Err(error.kind()),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn nothing_is_serve_with_defaults() {
        let expected = format!("{:?}", Config::default());
        assert_eq!(format!("{:?}", config(&[]).unwrap()), expected);
        assert_eq!(format!("{:?}", config(&["serve"]).unwrap()), expected);
    }

    #[test]
    fn no_option_that_is_given_a_url_by_mistake_shows_its_password() {
        let flags = Serve::augment_args(clap::Command::new("serve"));
        let flags = flags.get_arguments().filter_map(|flag| flag.get_long());
        let file = std::env::temp_dir().join(format!("tidewire-veil-{}.toml", std::process::id()));
        let mut refused = 0;
        for flag in flags.chain(["no-such-flag"]) {
            for url in ["redis://u:secret@a/0", "redis://u:it's secret@a?x"] {
                let word = format!("--{flag}={url}");
                std::fs::write(&file, format!("{flag} = {url:?}\n")).unwrap();
                let in_file = format!("--config={}", file.display());
                for words in [["tidewire", &word], ["tidewire", &in_file]] {
                    let Err(error) = Cli::task_from(words) else {
                        continue;
                    };
                    let told = error.to_string();
                    assert!(!told.contains("secret"), "{words:?}: {told}");
                    refused += 1;
                }
            }
        }
        let _ = std::fs::remove_file(&file);
        assert!(refused > 100, "{refused}");
        for words in [
            &["redis://u:secret@a"][..],
            &["config", "check", "redis://u:secret@a"],
            &["bench", "a", "--rate", "redis://u:secret@a"],
        ] {
            let told = match Cli::task_from([&["tidewire"], words].concat()) {
                Err(error) => error.to_string(),
                Ok(Task::Config(_, words)) => words.settings().unwrap_err().to_string(),
                Ok(task) => panic!("{task:?}"),
            };
            assert!(told.contains("***@a") && !told.contains("secret"), "{told}");
        }
    }

    #[test]
    fn flags_work_with_and_without_serve() {
        for words in [
            &["serve", "--listen", "127.0.0.1:0"][..],
            &["--listen", "127.0.0.1:0"],
        ] {
            assert_eq!(config(words).unwrap().listen.port(), 0);
        }
        let all = [
            "--data",
            "memory",
            "--workers",
            "2",
            "--messages-per-second",
            "0",
            "--heartbeat",
            "500ms",
        ];
        let config = config(&all).unwrap();
        assert_eq!(
            (config.messages_per_second, config.heartbeat),
            (0, Duration::from_millis(500))
        );
    }

    #[test]
    fn a_file_says_who_is_trusted() {
        let path = std::env::temp_dir().join(format!("tidewire-proxy-{}.toml", std::process::id()));
        let text = "proxy-protocol = true\ntrusted-proxy = [\"10.0.0.0/8\", \"::1\"]\nmemory-max = \"0\"\n";
        std::fs::write(&path, text).unwrap();
        let limits = config(&["--config", path.to_str().unwrap()])
            .unwrap()
            .limits;
        assert!(limits.proxy_protocol);
        assert_eq!(
            (limits.trusted_proxies.len(), limits.memory_max),
            (2, Some(0))
        );
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_file_says_what_the_command_line_does_not() {
        let path = std::env::temp_dir().join(format!("tidewire-cli-{}.toml", std::process::id()));
        let file = path.to_str().unwrap();
        std::fs::write(&path, "heartbeat = \"7s\"\nmessages-per-second = 3\n").unwrap();
        for serve in [&["serve"][..], &[]] {
            let given =
                config(&[serve, &["--config", file, "--heartbeat", "9s"]].concat()).unwrap();
            assert_eq!(
                (given.heartbeat.as_secs(), given.messages_per_second),
                (9, 3)
            );
        }
        for text in ["heartbeet = 1", "config = \"x\"", "heartbeat = \"0s\"", "="] {
            std::fs::write(&path, text).unwrap();
            assert!(config(&["--config", file]).is_err(), "{text}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(config(&["--config", file]).is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for words in [
            &["--heartbeat", "0s"][..],
            &["--workers", "0"],
            &["--workers", "65"],
            &["--data", ""],
            &["--listen", "x"],
            &["--history-bytes", "1MB"],
            &["--history-bytes", "0"],
            &["--history-bytes", "99999999999GiB"],
            &["--history-entries", "0"],
            &["--history-age", "0s"],
            &["--memory-max", "much"],
            &["--trusted-proxy", "proxy.example"],
            &["--proxy-protocol"],
            &["--user-connections", "-1"],
        ] {
            assert!(config(words).is_err(), "{words:?}");
        }
    }
}
