//! Node's packages, in `bench/peers/node`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use super::super::home;
use crate::exec;

/// Where they are.
pub(super) fn folder() -> PathBuf {
    home().join("peers/node")
}

/// Installs what the lock file names, unless it is there.
pub(in crate::bench) fn install() -> Result<()> {
    // The last one that came into the list: an older installation has not got it.
    if folder().join("node_modules/socket.io").exists() {
        return Ok(());
    }
    let mut install = exec::command("npm");
    install
        .args(["ci", "--no-audit", "--no-fund"])
        .current_dir(folder());
    exec::run(&mut install)
        .context("Node's `ws` and socket.io cannot be had; `--only` leaves them out")
}

/// A package as it is locked, and the Node that runs it.
pub(super) fn version(package: &str) -> Result<String> {
    let lock = std::fs::read_to_string(folder().join("package-lock.json"))?;
    let lock: Value = serde_json::from_str(&lock)?;
    let version = &lock["packages"][format!("node_modules/{package}")]["version"];
    let version = version.as_str().context("a package that is not locked")?;
    let node = exec::output(exec::command("node").arg("--version"))?;
    Ok(format!("{package} {version} on Node {}", node.trim()))
}
