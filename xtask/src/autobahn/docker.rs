//! The testsuite by its docker image. The engine runs it with our user, so that the report belongs
//! to us. As a client it shares the host's network, so that the server stays on loopback; as a server, its port is published
//! on loopback.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::Side;
use crate::exec;

const IMAGE: &str = "crossbario/autobahn-testsuite:25.10.1";

/// Folders inside the container.
pub(super) const CONFIG: &str = "/config";
pub(super) const REPORTS: &str = "/reports";

/// The fuzzing server's port inside the container.
pub(super) const PORT: u16 = 9001;

/// Whether there is a docker engine to talk to; having the program alone says nothing.
pub(crate) fn answers() -> bool {
    exec::on_path("docker")
        && exec::succeeds(exec::command("docker").arg("info").arg("--format={{.ID}}"))
}

/// The command that starts the container `name`; wstest's words follow. `port` is that of the fuzzing server on the host.
pub(super) fn wstest(
    name: &str,
    side: Side,
    port: u16,
    config: &Path,
    reports: &Path,
) -> Result<Command> {
    let user = exec::output(exec::command("sh").args(["-c", "echo $(id -u):$(id -g)"]))?;
    let mut command = exec::command("docker");
    command.args(["run", "--rm", "--name", name]);
    match side {
        Side::Server => command.args(["--network", "host"]),
        Side::Client => command.arg(format!("--publish=127.0.0.1:{port}:{PORT}")),
    };
    command.args(["--env", "HOME=/tmp", "--env", "PYTHONUNBUFFERED=1"]);
    command.args(["--user", user.trim()]);
    command
        .arg("--volume")
        .arg(format!("{}:{CONFIG}:ro", config.display()));
    command
        .arg("--volume")
        .arg(format!("{}:{REPORTS}", reports.display()));
    command.args([IMAGE, "wstest"]);
    Ok(command)
}

/// Ends a container.
pub(super) fn kill(name: &str) {
    exec::succeeds(exec::command("docker").args(["kill", name]));
}
