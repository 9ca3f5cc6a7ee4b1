//! The `tidewire` binary: reads the command line, starts the server, and says in one sentence what went wrong.

use std::io::Write as _;
use std::process::ExitCode;

use tidewire::cli::{Cli, Task};
use tidewire::clock::Now;
use tidewire::config::Config;
use tidewire::load;
use tidewire::net::Server;
use tidewire::tools::log::Log;
use tidewire::verify;

fn main() -> ExitCode {
    // clap answers --help and --version, and ends with exit code 2 on words that make no sense.
    let task = Cli::task_from(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let outcome = match task {
        Task::Serve(config) => serve(&config).map(|()| true),
        Task::Log(log) => look(&log),
        Task::Verify(options) => verify::run(&options).map_err(Into::into),
        Task::Bench(plan) => load::run(&plan).map(|()| true).map_err(Into::into),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        // What is wrong was shown already.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tidewire: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard output; whoever reads it may stop, as `head` does.
fn look(log: &Log) -> Result<bool, Box<dyn std::error::Error>> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let is_well = log.run(&mut out, Now::read().unix_ms)?;
    out.flush()?;
    Ok(is_well)
}

fn serve(config: &Config) -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start(config)?;
    if let (Some(recovery), Some(data)) = (server.recovery(), &config.data) {
        eprintln!("tidewire: opened {}: {recovery}", data.display());
    }
    // A script may have closed our standard output: that is no reason not to serve.
    let _ = writeln!(
        std::io::stdout(),
        "tidewire listening on http://{}",
        server.local_address()?
    );
    server.run()?;
    Ok(())
}
