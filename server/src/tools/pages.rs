//! `tidewire completions` and `tidewire man`: what a shell and `man` can know of the command line, made from the same structs
//! as `--help`, so that they cannot disagree.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

/// Print what a shell needs to complete the words of `tidewire`
///
/// For bash: `tidewire completions bash > ~/.local/share/bash-completion/completions/tidewire`.
#[derive(Debug, Clone, Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

/// Print the manual page
///
/// `tidewire man | man -l -` shows it.
#[derive(Debug, Clone, Args)]
pub struct Manual {
    /// Write a page for each command into this directory instead
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Completions {
    /// Writes the script for `command` to `out`.
    ///
    /// # Errors
    /// It cannot be written to.
    pub fn run(&self, command: &mut Command, out: &mut dyn Write) -> io::Result<()> {
        // The generator takes a failure to write for a bug, and a reader that leaves is none.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, "tidewire", &mut script);
        out.write_all(&script)
    }
}

impl Manual {
    /// Writes the page for `command` to `out`, or the pages of all commands into the directory.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn run(&self, command: Command, out: &mut dyn Write) -> io::Result<()> {
        match &self.dir {
            None => page(command).render(out),
            Some(dir) => write_pages(command, dir).map_err(|error| {
                let why = format!("cannot write pages into {}: {error}", dir.display());
                io::Error::new(error.kind(), why)
            }),
        }
    }
}

fn write_pages(command: Command, dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut command = command.disable_help_subcommand(true);
    // From here on each command knows its whole name, as `tidewire-log-ls`.
    command.build();
    let mut open = vec![command];
    while let Some(command) = open.pop() {
        open.extend(command.get_subcommands().cloned());
        page(command).generate_to(dir)?;
    }
    Ok(())
}

/// A page that says of which program and version it is, also where it is that of a command of it.
fn page(command: Command) -> Man {
    Man::new(command).source(concat!("tidewire ", env!("CARGO_PKG_VERSION")))
}
