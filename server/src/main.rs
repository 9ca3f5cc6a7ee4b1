//! The `tidewire` binary: reads the command line, does what it says, and tells in one sentence what went wrong.

use std::error::Error;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::CommandFactory as _;
use tidewire::cli::{Cli, Task};
use tidewire::client::BadAddress;
use tidewire::clock::Now;
use tidewire::config::Config;
use tidewire::load;
use tidewire::net::Server;
use tidewire::tools::{Usage, told};
use tidewire::verify;

type Outcome = Result<bool, Box<dyn Error>>;

fn main() -> ExitCode {
    // clap answers --help and --version, and ends with exit code 2 on words that make no sense.
    let task = Cli::task_from(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let outcome = match task {
        Task::Serve(config) => serve(&config).map(|()| true),
        Task::Log(log) => print(|out| log.run(out, Now::read().unix_ms)),
        Task::Verify(options) => verify::run(&options).map_err(Into::into),
        Task::Capture(capture) => capture.run(),
        Task::Chat(chat) => chat.run(),
        Task::Tail(tail) => tail.run(),
        Task::Replay(replay) => print(|out| replay.run(out, Now::read().instant)),
        Task::Token(token) => token
            .make(Now::read().unix_ms)
            .and_then(|token| print(|out| Ok(writeln!(out, "{token}").map(|()| true)?))),
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
            eprintln!("tidewire: {}", told(&*error));
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
    error.is::<Usage>() || error.is::<BadAddress>() || error.source().is_some_and(is_usage)
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

fn serve(config: &Config) -> Result<(), Box<dyn Error>> {
    let server = Server::start(config)?;
    if let (Some(recovery), Some(data)) = (server.recovery(), &config.data) {
        eprintln!("tidewire: opened {}: {recovery}", data.display());
    }
    // A script may have closed our standard output: that is no reason not to serve.
    let _ = writeln!(
        io::stdout(),
        "tidewire listening on http://{}",
        server.local_address()?
    );
    server.run()?;
    Ok(())
}
