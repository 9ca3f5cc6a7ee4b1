//! The project's own commands. What CI runs is what you run: `cargo xtask test`.
//!
//! This file is the command line; each command is a module. To add a command, add a variant to
//! [`Command`] and an arm to `run`.

mod arch;
mod attacks;
mod autobahn;
mod bench;
mod callgrind;
mod chaos;
mod conformance;
mod differential;
#[cfg(test)]
mod docs;
mod exec;
mod fuzz;
mod linear;
mod mutants;
mod paths;
mod protobuf;
mod rfc;
mod schema;
mod server;
mod setup;
mod source;
mod steps;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Everything `cargo xtask` understands.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Tidewire's own commands",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what the tests need beyond Rust; quick when all is there
    Setup,
    /// Run every check: format, lints, architecture, RFC rules, licenses, tests, Autobahn, a short fuzz run
    Test(test::Args),
    /// Run the Autobahn testsuite against the server's /echo and for our client
    Autobahn(autobahn::Args),
    /// Run the official suites of Engine.IO and Socket.IO against the server
    Conformance(conformance::Args),
    /// Kill the server under load, flood it with bad input, soak it, or join busy rooms, many times
    Chaos(chaos::Args),
    /// Test the HTTP API against its own description, with schemathesis
    Schema(schema::Args),
    /// Count what twice the size costs: heads, lists, segments, fragments
    Linear,
    /// Measure Tidewire beside its peers
    Bench(bench::Args),
    /// Compare the protocol crate with two other implementations on random sequences of frames
    Differential(differential::Args),
    /// Fuzz the protocol crate, and what reads Redis, with cargo-fuzz
    Fuzz(fuzz::Args),
    /// Check that every attack of the catalogue has a test or a reason, and write docs/ATTACKS.md
    Attacks(attacks::Args),
    /// Make the Rust code of docs/tidewire.v1.proto
    Protobuf(protobuf::Args),
    /// Check that every rule of the RFCs has code and a test, and write docs/rfc-coverage.md
    Rfc(rfc::Args),
    /// Change the protocol crate in one place after another, and see whether its tests notice
    Mutants(mutants::Args),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<steps::StepsFailed>() => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Setup => setup::run(),
        Command::Test(args) => test::run(&args),
        Command::Autobahn(args) => autobahn::run(&args),
        Command::Conformance(args) => conformance::run(&args),
        Command::Chaos(args) => chaos::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Linear => linear::run(),
        Command::Bench(args) => bench::run(&args),
        Command::Differential(args) => differential::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Attacks(args) => attacks::run(&args),
        Command::Protobuf(args) => protobuf::run(&args),
        Command::Rfc(args) => rfc::run(&args),
        Command::Mutants(args) => mutants::run(&args),
    }
}
