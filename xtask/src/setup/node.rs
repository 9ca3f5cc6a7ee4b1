//! npm packages of `tests/`: the WebSocket client `ws` and the browser's driver.

use anyhow::{Context, Result, bail};

use super::{present, stamp};
use crate::{exec, paths};

/// Installs the packages unless they are there and up to date.
pub(crate) fn ensure() -> Result<()> {
    let tests = paths::root().join("tests");
    let modules = tests.join("node_modules");
    let lock = stamp::read(&tests.join("package-lock.json"))?;
    if stamp::fresh(&modules, &lock) {
        present("tests/node_modules");
        return Ok(());
    }
    if !exec::on_path("npm") {
        bail!("npm is not on the PATH: install Node.js 20 or newer");
    }
    exec::run(
        exec::command("npm")
            .args(["ci", "--no-audit", "--no-fund"])
            .current_dir(&tests),
    )
    .context("the npm packages of tests/ could not be installed")?;
    stamp::write(&modules, &lock)
}
