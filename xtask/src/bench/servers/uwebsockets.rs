//! uWebSockets, compiled from the sources that a crate brings: `bench/peers/uwebsockets` pins it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::super::home;
use crate::{exec, paths};

const CRATE: &str = "libuwebsockets-sys";

/// As the makefiles of both have it, but for `-march=native`: all servers here are for any x86-64.
const OPTIONS: [&str; 3] = ["-O3", "-flto=auto", "-DLIBUS_NO_SSL"];

/// The server; [`build`] puts it there.
pub(super) fn program() -> PathBuf {
    folder().join("uwebsockets")
}

fn folder() -> PathBuf {
    paths::target().join("uwebsockets")
}

fn source() -> PathBuf {
    home().join("peers/uwebsockets")
}

/// Compiles it, unless it is newer than its source.
pub(super) fn build() -> Result<()> {
    let server = source().join("server.cpp");
    let modified = |path: &Path| fs::metadata(path).and_then(|about| about.modified()).ok();
    let inputs = [&server, &source().join("Cargo.lock")];
    if inputs
        .iter()
        .all(|input| modified(&program()) > modified(input))
    {
        return Ok(());
    }
    let about = package().context("uWebSockets cannot be had; `--only` leaves it out")?;
    let manifest = about["manifest_path"].as_str().context("a package")?;
    let sources = Path::new(manifest).with_file_name("uWebSockets");
    compile(&sources, &server)
        .context("uWebSockets needs gcc, g++ and zlib's headers; `--only` leaves it out")
}

fn compile(sources: &Path, server: &Path) -> Result<()> {
    let sockets = sources.join("uSockets/src");
    let include = |folder: &Path| format!("-I{}", folder.display());
    let objects = folder().join("objects");
    let _ = fs::remove_dir_all(&objects);
    fs::create_dir_all(&objects)?;
    let mut files = files(&sockets, "c")?;
    files.extend(self::files(&sockets.join("eventing"), "c")?);
    let mut gcc = exec::command("gcc");
    gcc.current_dir(&objects).args(OPTIONS).arg("-c");
    exec::run(gcc.arg(include(&sockets)).args(files))?;
    let mut link = exec::command("g++");
    link.arg("-std=c++20").args(OPTIONS);
    link.args([include(&sources.join("src")), include(&sockets)]);
    link.arg(server).args(self::files(&objects, "o")?);
    exec::run(link.args(["-lz", "-o"]).arg(program()))
}

/// What of a kind is in a folder.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect())
}

/// What Cargo knows of the crate, which it has fetched then.
fn package() -> Result<Value> {
    let manifest = source().join("Cargo.toml");
    let mut metadata = exec::cargo("metadata --quiet --locked --format-version 1 --manifest-path");
    let all: Value = serde_json::from_str(&exec::output(metadata.arg(manifest))?)?;
    let packages = all["packages"].as_array().context("packages")?;
    let found = packages.iter().find(|package| package["name"] == CRATE);
    Ok(found.context("the crate is not in the lock file")?.clone())
}

/// uWebSockets does not say its own.
pub(super) fn version() -> Result<String> {
    let about = package()?;
    let version = about["version"].as_str().context("a version")?;
    Ok(format!("uWebSockets as in {CRATE} {version}"))
}
