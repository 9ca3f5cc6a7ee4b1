//! How a server is started that is measured: a command line with gaps, which are filled when a port and a directory are there.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use super::super::arena::{Arena, Running};
use super::super::home;
use super::super::stage::Data;
use crate::setup::unpacked;

/// A command line: `PORT`, `DATA` and `CONFIG` stand for what is not known yet.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::bench) struct Start {
    pub(in crate::bench) program: PathBuf,
    pub(in crate::bench) words: String,
    /// Further options of the load.
    pub(in crate::bench) load: Vec<&'static str>,
    /// A file in `bench/peers/conf`, with such words, too; and `NCHAN`.
    pub(in crate::bench) config: Option<&'static str>,
    pub(in crate::bench) environment: Vec<(&'static str, OsString)>,
}

impl Start {
    pub(in crate::bench) fn new(
        program: impl Into<PathBuf>,
        words: impl Into<String>,
        load: Vec<&'static str>,
    ) -> Self {
        Self {
            program: program.into(),
            words: words.into(),
            load,
            config: None,
            environment: Vec::new(),
        }
    }

    /// Starts it; what it says is in a file of the target directory that has its name.
    pub(in crate::bench) fn run(
        &self,
        arena: &Arena,
        name: &str,
        port: u16,
        data: &Data,
    ) -> Result<Running> {
        let filled = |text: &str| {
            text.replace("PORT", &port.to_string())
                .replace("DATA", &data.path().to_string_lossy())
                .replace("CONFIG", &data.path().join("conf").to_string_lossy())
                .replace("NCHAN", &unpacked::file(unpacked::NCHAN).to_string_lossy())
        };
        if let Some(config) = self.config {
            let template = fs::read_to_string(home().join("peers/conf").join(config))?;
            fs::write(data.path().join("conf"), filled(&template))?;
        }
        let mut command = arena.server(&self.program);
        command.args(filled(&self.words).split_whitespace());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Running::start_logged(command, &self.program, name)
    }
}
