//! The Autobahn testsuite without docker. It runs on Python 2.7 only, so it lives in an environment
//! of its own, `target/autobahn/venv`, made by the last virtualenv that knows Python 2.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{present, python, stamp};
use crate::autobahn::docker;
use crate::{exec, paths};

/// The suite's program; [`ensure_local`] puts it there.
pub(crate) fn wstest() -> PathBuf {
    folder().join("bin").join("wstest")
}

fn folder() -> PathBuf {
    paths::target().join("autobahn").join("venv")
}

/// Nothing to do where docker brings the suite; else installs it.
pub(super) fn ensure() -> Result<()> {
    if docker::answers() {
        present("docker, which brings the Autobahn testsuite");
        return Ok(());
    }
    ensure_local()
}

/// Installs the suite under Python 2.7 unless it is there.
pub(crate) fn ensure_local() -> Result<()> {
    let sources = paths::root().join("autobahn");
    let (maker, suite) = (
        sources.join("virtualenv.txt"),
        sources.join("requirements.txt"),
    );
    let lock = stamp::read(&maker)? + &stamp::read(&suite)?;
    if stamp::fresh(&folder(), &lock) && wstest().exists() {
        present(&paths::shown(&wstest()));
        return Ok(());
    }
    let python27 = find_python27().context(
        "the Autobahn testsuite needs a docker engine or Python 2.7: start docker, or run \
         `pyenv install 2.7.18`",
    )?;
    make_environment(&python27, &maker)?;
    let mut pip = exec::command(folder().join("bin/python"));
    // Warnings off: pip reminds at every turn that Python 2.7 is over.
    pip.args([
        "-W",
        "ignore",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--quiet",
        "--no-deps",
        "-r",
    ]);
    exec::run(pip.arg(&suite)).context(
        "the Autobahn testsuite could not be installed; two of its packages are compiled and need \
         a C compiler",
    )?;
    stamp::write(&folder(), &lock)
}

/// pyenv's newest 2.7, else `python2.7` on the PATH. It must answer: pyenv's shim for a version
/// that is installed but not selected is on the PATH too and only complains.
fn find_python27() -> Option<PathBuf> {
    let mut candidates = pyenv_versions().unwrap_or_default();
    candidates.push(PathBuf::from("python2.7"));
    candidates
        .into_iter()
        .find(|python| exec::succeeds(exec::command(python).arg("--version")))
}

fn pyenv_versions() -> Option<Vec<PathBuf>> {
    let pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let pyenv = pyenv.or_else(|| Some(std::env::home_dir()?.join(".pyenv")))?;
    let entries = std::fs::read_dir(pyenv.join("versions")).ok()?.flatten();
    let mut versions: Vec<_> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("2.7."))
        .map(|entry| entry.path().join("bin").join("python"))
        .collect();
    versions.sort();
    versions.reverse();
    Some(versions)
}

fn make_environment(python27: &Path, virtualenv: &Path) -> Result<()> {
    python::CLIENTS.ensure()?;
    let maker = paths::target().join("autobahn").join("virtualenv");
    let mut pip = exec::command(python::CLIENTS.interpreter());
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--upgrade",
        "--no-deps",
        "--target",
    ]);
    exec::run(pip.arg(&maker).arg("-r").arg(virtualenv))?;
    let mut make = exec::command(python::CLIENTS.interpreter());
    make.env("PYTHONPATH", &maker)
        .args(["-m", "virtualenv", "--quiet", "--clear", "--python"]);
    exec::run(make.arg(python27).arg(folder()))?;
    match wstest().with_file_name("python").exists() {
        true => Ok(()),
        false => bail!(
            "virtualenv made no environment in {}",
            paths::shown(&folder())
        ),
    }
}
