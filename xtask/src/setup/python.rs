//! A virtual environment of Python 3 in `target/venv` with the packages of `tests/requirements.txt`.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{present, stamp};
use crate::{exec, paths};

/// The environment's interpreter.
pub(crate) fn interpreter() -> PathBuf {
    folder().join("bin").join("python")
}

fn folder() -> PathBuf {
    paths::target().join("venv")
}

/// Makes the environment unless it is there and up to date.
pub(crate) fn ensure() -> Result<()> {
    let requirements = stamp::read(&paths::root().join("tests/requirements.txt"))?;
    if stamp::fresh(&folder(), &requirements) && interpreter().exists() {
        present(&paths::shown(&folder()));
        return Ok(());
    }
    exec::run(
        exec::command("python3")
            .args(["-m", "venv", "--clear"])
            .arg(folder()),
    )
    .context("Python 3 with its venv module is needed (Debian: python3-venv)")?;
    let mut pip = exec::command(interpreter());
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    exec::run(pip.args(["--require-hashes", "-r", "tests/requirements.txt"]))
        .context("the Python packages of tests/ could not be installed")?;
    stamp::write(&folder(), &requirements)
}
