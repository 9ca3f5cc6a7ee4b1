//! The `tidewire` binary: reads the command line, does what it says, and tells in one sentence what went wrong.

use std::error::Error;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory as _;
use tidewire::cli::{Cli, Task, Words};
use tidewire::client::BadAddress;
use tidewire::clock::Now;
use tidewire::config::{Settings, unknown_variables, veiled_text};
use tidewire::load;
use tidewire::log::disk::{self, Recovery};
use tidewire::logging;
use tidewire::net::{Server, StartError};
use tidewire::tools::config::Configure;
use tidewire::tools::{Usage, told};
use tidewire::verify;

type Outcome = Result<bool, Box<dyn Error>>;

fn main() -> ExitCode {
    // clap answers --help and --version, and ends with exit code 2 on words that make no sense.
    let task = Cli::task_from(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let is_server = matches!(task, Task::Serve(..));
    let outcome = match task {
        Task::Serve(settings, words) => serve(*settings, words).map(|()| true),
        Task::Log(log) => print(|out| log.run(out, Now::read().unix_ms)),
        Task::Verify(options) => verify::run(&options).map_err(Into::into),
        Task::Capture(capture) => capture.run(),
        Task::Chat(chat) => chat.run(),
        Task::Tail(tail) => tail.run(),
        Task::Replay(replay) => print(|out| replay.run(out, Now::read().instant)),
        Task::Token(token) => token
            .make(Now::read().unix_ms)
            .and_then(|token| print(|out| Ok(writeln!(out, "{token}").map(|()| true)?))),
        Task::Config(configure, words) => configure_task(&configure, &words),
        Task::Why(why) => print(|out| why.run(out)),
        Task::Completions(shell) => {
            print(|out| Ok(shell.run(&mut Cli::command(), out).map(|()| true)?))
        }
        Task::Man(manual) => print(|out| Ok(manual.run(Cli::command(), out).map(|()| true)?)),
        Task::Bench(plan) => load::run(&plan).map(|()| true).map_err(Into::into),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        // What is wrong was shown already.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let told = told(&*error);
            // It quotes settings, one of which may be the URL of a Redis in a wrong place.
            let veiled = is_server.then(|| veiled_text(&told)).flatten();
            eprintln!("tidewire: {}", veiled.unwrap_or(told));
            if is_usage(&*error) {
                ExitCode::from(2)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// Whether the command line made no sense, by itself or in what it named.
fn is_usage(error: &(dyn Error + 'static)) -> bool {
    error.is::<Usage>()
        || error.is::<BadAddress>()
        || matches!(error.downcast_ref(), Some(StartError::Tls(error)) if error.is_usage())
        || error.source().is_some_and(is_usage)
}

/// Writes to standard output; whoever reads it may stop, as `head` does.
fn print(write: impl FnOnce(&mut dyn Write) -> Outcome) -> Outcome {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let outcome = write(&mut out).and_then(|is_well| Ok(out.flush().map(|()| is_well)?));
    match outcome {
        Err(error) if is_left(&*error) => Ok(true),
        outcome => outcome,
    }
}

fn is_left(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

fn serve(settings: Settings, words: Words) -> Result<(), Box<dyn Error>> {
    let observe = &settings.config.observe;
    let clock = || Now::read().unix_ms;
    let _logging = logging::start(observe.log_format, &observe.log_level, clock)?;
    let mut server = Server::start(&settings.config)?;
    // Behind what can go wrong: why a server does not start is one sentence, and no line of a log.
    tracing::info!(
        event = "start",
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        workers = settings.config.workers,
        logs = %settings.config.where_logs_are(),
        "tidewire begins"
    );
    let variables = std::env::vars_os().map(|(name, _)| name);
    // Other programs may have such variables; what is much like one of ours is a mistake.
    for warning in unknown_variables(&Cli::command(), variables) {
        if warning.contains("did you mean") {
            tracing::warn!(event = "settings", "{warning}");
        }
    }
    if let (Some(recovery), Some(data)) = (server.recovery(), &settings.config.data) {
        tell_recovery(recovery, data);
    }
    if let (Some(_), Some(data)) = (&settings.config.logs.log, &settings.config.data)
        && disk::has_logs(data)
    {
        tracing::warn!(event = "logs_unused", data = %data.display(), "there are logs on the disk, too, of which nobody sees anything while --log says where they are");
    }
    server.reload_by(
        settings,
        Box::new(move || words.settings().map_err(|unusable| unusable.to_string())),
    )?;
    tracing::info!(event = "listen", address = %server.local_address()?, "connections are accepted");
    // A script may have closed our standard output: that is no reason not to serve.
    let _ = writeln!(
        io::stdout(),
        "tidewire listening on {}://{}",
        server.scheme(),
        server.local_address()?
    );
    server.run()?;
    tracing::info!(event = "end", "the server ends");
    Ok(())
}

/// `tidewire config`: words that make no sense end as clap ends.
fn configure_task(configure: &Configure, words: &Words) -> Outcome {
    let variables = || std::env::vars_os().map(|(name, _)| name);
    let run = |out: &mut dyn Write| configure.run(words, variables(), out, &mut io::stderr());
    print(run).map_err(|error| match error.downcast::<clap::Error>() {
        Ok(error) => error.exit(),
        Err(error) => error,
    })
}

/// What was found where the logs are: a line, and one for each thing amiss.
fn tell_recovery(recovery: &Recovery, data: &Path) {
    let told = recovery.to_string();
    let mut sentences = told.lines();
    let first = sentences.next().unwrap_or_default();
    tracing::info!(event = "recovered", data = %data.display(), entries = recovery.entries, logs = recovery.logs, "opened {first}");
    for sentence in sentences {
        tracing::warn!(event = "recovered", data = %data.display(), "{sentence}");
    }
}
