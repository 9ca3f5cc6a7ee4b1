//! Programs from the distribution. On Debian and its relatives apt-get installs what is missing;
//! elsewhere the message names the programs, and what is on the PATH already is taken as it is.

use anyhow::{Context, Result, bail};

use super::{present, unpacked};
use crate::exec;

/// A program the tests call, the Debian package that has it, and what for.
struct Program {
    command: &'static str,
    package: &'static str,
    reason: &'static str,
}

/// None of the packages starts a service; none that does belongs here without a way to stop it.
const PROGRAMS: [Program; 5] = [
    Program {
        command: "chromium",
        package: "chromium",
        reason: "two real pages chat with each other",
    },
    Program {
        command: "tshark",
        package: "tshark",
        reason: "another dissector reads our frames",
    },
    Program {
        command: "strace",
        package: "strace",
        reason: "tells what left before what was saved",
    },
    Program {
        command: "valgrind",
        package: "valgrind",
        reason: "counts instructions",
    },
    Program {
        command: "redis-cli",
        package: "redis-tools",
        reason: "brings the libraries that redis-server needs",
    },
];

pub(super) fn ensure() -> Result<()> {
    let mut packages = Vec::new();
    for program in &PROGRAMS {
        match exec::on_path(program.command) {
            true => present(program.command),
            false => {
                println!("   missing: {} ({})", program.command, program.reason);
                packages.push(program.package);
            }
        }
    }
    if !has_venv() {
        println!("   missing: Python's venv module (test clients in Python)");
        packages.extend(["python3", "python3-venv"]);
    }
    if !packages.is_empty() {
        install(&packages)?;
    }
    // Their packages would start them as services.
    unpacked::unpack(&[unpacked::NGINX])?;
    present("nginx, unpacked (the server is behind it)");
    unpacked::unpack(&unpacked::REDIS)?;
    present("redis-server, unpacked (several nodes share what it keeps)");
    unpacked::unpack(&[unpacked::NATS])?;
    present("nats-server, unpacked (it keeps that, too)");
    Ok(())
}

fn has_venv() -> bool {
    exec::succeeds(exec::command("python3").args(["-c", "import venv, ensurepip"]))
}

fn install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if !exec::on_path("apt-get") {
        bail!("apt-get is not here: install by your system's means what Debian calls: {list}");
    }
    if exec::output(exec::command("id").arg("-u"))?.trim() != "0" {
        bail!(
            "installing needs root: run `apt-get install --no-install-recommends {list}` as root"
        );
    }
    apt_get(&["update", "--quiet"])?;
    let words = ["install", "--yes", "--quiet", "--no-install-recommends"];
    apt_get(&[&words, packages].concat())
}

fn apt_get(args: &[&str]) -> Result<()> {
    // tshark's package would ask whether everyone may capture.
    let mut command = exec::command("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(args);
    exec::run(&mut command).context("apt-get could not install what is missing")
}
