//! The testsuite by its docker image. The engine runs it with our user, so that the report belongs
//! to us, and in the host's network, so that the server stays on loopback.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::exec;

const IMAGE: &str = "crossbario/autobahn-testsuite:25.10.1";
const NAME: &str = "tidewire-autobahn";

/// Folders inside the container.
pub(super) const CONFIG: &str = "/config";
pub(super) const REPORTS: &str = "/reports";

/// Whether there is a docker engine to talk to; having the program alone says nothing.
pub(crate) fn answers() -> bool {
    exec::on_path("docker")
        && exec::succeeds(exec::command("docker").arg("info").arg("--format={{.ID}}"))
}

/// The command that starts the container; wstest's words follow.
pub(super) fn wstest(config: &Path, reports: &Path) -> Result<Command> {
    let user = exec::output(exec::command("sh").args(["-c", "echo $(id -u):$(id -g)"]))?;
    let mut command = exec::command("docker");
    command.args([
        "run",
        "--rm",
        "--name",
        NAME,
        "--network",
        "host",
        "--env",
        "HOME=/tmp",
    ]);
    command.args(["--env", "PYTHONUNBUFFERED=1", "--user", user.trim()]);
    command
        .arg("--volume")
        .arg(format!("{}:{CONFIG}:ro", config.display()));
    command
        .arg("--volume")
        .arg(format!("{}:{REPORTS}", reports.display()));
    command.args([IMAGE, "wstest"]);
    Ok(command)
}

/// Ends the container: it goes on when only the docker command was killed.
pub(super) fn kill() {
    exec::succeeds(exec::command("docker").args(["kill", NAME]));
}
