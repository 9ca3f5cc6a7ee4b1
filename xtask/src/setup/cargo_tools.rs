//! Cargo's companions, in exact versions under `target/tools`, so that nobody's own are touched.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::present;
use crate::{exec, paths};

const TOOLS: [(&str, &str); 2] = [("cargo-deny", "0.20.2"), ("cargo-fuzz", "0.13.2")];

/// What CI does not run, and is installed when it is asked for.
const MORE_TOOLS: [(&str, &str); 1] = [("cargo-mutants", "27.1.0")];

/// The program of a tool; [`ensure`] puts it there.
pub(crate) fn binary(name: &str) -> PathBuf {
    paths::tools().join("bin").join(name)
}

/// Installs the tools that are missing or of another version.
pub(crate) fn ensure() -> Result<()> {
    TOOLS
        .iter()
        .try_for_each(|(name, version)| install(name, version))
}

/// Installs one of the tools unless it is there.
pub(crate) fn ensure_one(wanted: &str) -> Result<()> {
    let tools = TOOLS.iter().chain(&MORE_TOOLS);
    let mut tools = tools.filter(|(name, _)| *name == wanted);
    tools.try_for_each(|(name, version)| install(name, version))
}

fn install(name: &str, version: &str) -> Result<()> {
    let crate_version = format!("{name}@{version}");
    if installed(name, version) {
        present(&crate_version);
        return Ok(());
    }
    println!("   building {crate_version} takes a minute or two");
    // Each runs for seconds: to optimize it would take longer than it ever saves.
    let mut cargo = exec::cargo("install --locked --quiet --debug --root");
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "false");
    exec::run(cargo.arg(paths::tools()).arg(&crate_version))
        .with_context(|| format!("{crate_version} could not be installed"))
}

fn installed(name: &str, version: &str) -> bool {
    // As cargo calls them, with the command's name in front: not all of them can do without.
    let word = name.strip_prefix("cargo-").unwrap_or(name);
    let said = exec::output(exec::command(binary(name)).args([word, "--version"]));
    said.is_ok_and(|said| said.split_whitespace().any(|word| word == version))
}
