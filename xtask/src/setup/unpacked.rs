//! Servers from Debian: the packages are unpacked into `target/debian`, so that nothing is installed, and no service starts.
//! What is installed already is not looked at: versions are those of the distribution either way.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::{exec, paths};

/// A package, and a file of it whose presence says that it is there.
type Package = (&'static str, &'static str);

/// nginx.
pub(crate) const NGINX: Package = ("nginx", "usr/sbin/nginx");

/// The module of nginx that has rooms.
pub(crate) const NCHAN: Package = (
    "libnginx-mod-nchan",
    "usr/lib/nginx/modules/ngx_nchan_module.so",
);

/// Redis: the package of the server has only another name of a program of the tools'.
pub(crate) const REDIS: [Package; 2] = [
    ("redis-tools", "usr/bin/redis-check-rdb"),
    ("redis-server", "usr/bin/redis-server"),
];

/// The NATS server.
pub(crate) const NATS: Package = ("nats-server", "usr/sbin/nats-server");

/// The MQTT broker Mosquitto, and the libraries of its that a machine may not have: [`libraries`] says where they are.
pub(crate) const MOSQUITTO: [Package; 3] = [
    ("mosquitto", "usr/sbin/mosquitto"),
    ("libdlt2", "usr/share/doc/libdlt2/copyright"),
    ("libwrap0", "usr/share/doc/libwrap0/copyright"),
];

fn folder() -> PathBuf {
    paths::target().join("debian")
}

/// Where libraries are, for the loader.
pub(crate) fn libraries() -> PathBuf {
    folder().join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH))
}

/// The file that a package was unpacked for; [`unpack`] puts it there.
pub(crate) fn file((_, file): Package) -> PathBuf {
    folder().join(file)
}

/// Brings what is not there; progress is apt's own.
pub(crate) fn unpack(packages: &[Package]) -> Result<()> {
    let missing = packages.iter().filter(|package| !file(**package).exists());
    let missing: Vec<&str> = missing.map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(", ");
    for needed in ["apt-get", "dpkg-deb"] {
        ensure!(
            exec::on_path(needed),
            "{names}: they come from Debian, and `{needed}` is not here"
        );
    }
    fs::create_dir_all(folder())?;
    let download = || {
        let mut download = exec::command("apt-get");
        download.args(["download", "--quiet"]).args(&missing);
        exec::run(download.current_dir(folder()))
    };
    // A fresh machine has no lists of packages yet, and old lists name archives that are gone; renewing them needs root.
    download()
        .or_else(|_| {
            exec::run(exec::command("apt-get").args(["update", "--quiet"]))?;
            download()
        })
        .with_context(|| format!("{names} cannot be had from Debian"))?;
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
pub(crate) fn version((package, _): Package) -> Option<String> {
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
