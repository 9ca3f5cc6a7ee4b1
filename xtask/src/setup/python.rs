//! Virtual environments of Python 3 in `target/`, each with the packages of one list. Test clients and the tester of the
//! API have one of their own, so that neither has to agree with what the other needs.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{present, stamp};
use crate::{exec, paths};

/// A virtual environment.
pub(crate) struct Environment {
    /// Its name in `target/`.
    folder: &'static str,
    /// The list of its packages, with hashes, from the root of the workspace.
    requirements: &'static str,
}

/// What test clients in Python use.
pub(crate) const CLIENTS: Environment = Environment {
    folder: "venv",
    requirements: "tests/requirements.txt",
};

/// The tester of the API: see `cargo xtask schema`.
pub(crate) const SCHEMATHESIS: Environment = Environment {
    folder: "schemathesis",
    requirements: "tests/schemathesis-requirements.txt",
};

impl Environment {
    /// Where it is.
    pub(crate) fn folder(&self) -> PathBuf {
        paths::target().join(self.folder)
    }

    /// One of its programs; [`ensure`](Self::ensure) puts it there.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder().join("bin").join(name)
    }

    /// Its interpreter.
    pub(crate) fn interpreter(&self) -> PathBuf {
        self.program("python")
    }

    /// Makes it unless it is there and up to date.
    pub(crate) fn ensure(&self) -> Result<()> {
        let requirements = stamp::read(&paths::root().join(self.requirements))?;
        if stamp::fresh(&self.folder(), &requirements) && self.interpreter().exists() {
            present(&paths::shown(&self.folder()));
            return Ok(());
        }
        let mut make = exec::command("python3");
        make.args(["-m", "venv", "--clear"]).arg(self.folder());
        exec::run(&mut make)
            .context("Python 3 with its venv module is needed (Debian: python3-venv)")?;
        let mut pip = exec::command(self.interpreter());
        pip.args(["-m", "pip", "install", "--quiet"]);
        pip.args(["--disable-pip-version-check", "--require-hashes", "-r"]);
        exec::run(pip.arg(self.requirements)).with_context(|| {
            format!(
                "the packages of {} could not be installed",
                self.requirements
            )
        })?;
        stamp::write(&self.folder(), &requirements)
    }
}

/// Makes all of them.
pub(super) fn ensure() -> Result<()> {
    CLIENTS.ensure()?;
    SCHEMATHESIS.ensure()
}
