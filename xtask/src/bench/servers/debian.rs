//! Servers from Debian: the packages are unpacked into `target/debian`, so that nothing is installed, and no service starts.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::{exec, paths};

const PACKAGES: [&str; 3] = ["nginx", "libnginx-mod-nchan", "nats-server"];

fn folder() -> PathBuf {
    paths::target().join("debian")
}

/// nginx; [`unpack`] puts it there.
pub(super) fn nginx() -> PathBuf {
    folder().join("usr/sbin/nginx")
}

/// nginx's modules.
pub(super) fn modules() -> PathBuf {
    folder().join("usr/lib/nginx/modules")
}

/// nats-server.
pub(super) fn nats() -> PathBuf {
    folder().join("usr/sbin/nats-server")
}

/// Brings what is not there.
pub(super) fn unpack() -> Result<()> {
    let programs = [nginx(), modules().join("ngx_nchan_module.so"), nats()];
    if programs.iter().all(|program| program.exists()) {
        return Ok(());
    }
    let names = PACKAGES.join(", ");
    for needed in ["apt-get", "dpkg-deb"] {
        ensure!(
            exec::on_path(needed),
            "{names} come from Debian, and `{needed}` is not here; `--only` leaves them out"
        );
    }
    fs::create_dir_all(folder())?;
    let mut download = exec::command("apt-get");
    download
        .args(["download", "--quiet"])
        .args(PACKAGES)
        .current_dir(folder());
    exec::run(&mut download)
        .with_context(|| format!("{names} cannot be had; `--only` leaves them out"))?;
    for package in archives() {
        let mut unpack = exec::command("dpkg-deb");
        exec::run(unpack.arg("--extract").arg(package).arg(folder()))?;
    }
    Ok(())
}

fn archives() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| path.extension().is_some_and(|found| found == "deb"))
        .collect()
}

/// The name and version of a package that was unpacked: an archive is called `NAME_VERSION_ARCHITECTURE.deb`.
pub(super) fn version(package: &str) -> Option<String> {
    let archives = archives();
    let names = archives
        .iter()
        .filter_map(|path| path.file_stem()?.to_str());
    let mut parts = names.map(|name| name.split('_'));
    let version =
        parts.find_map(|mut parts| (parts.next()? == package).then(|| parts.next())?)?;
    // apt writes the colon of an epoch so.
    Some(format!("{package} {}", version.replace("%3a", ":")))
}
