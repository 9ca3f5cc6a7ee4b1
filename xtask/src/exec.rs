//! Running other programs: every command is shown before it runs, a failure is a sentence that
//! names the command, and what may hang runs under a deadline.

use std::io::ErrorKind;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::paths;

/// A command for `program` that starts at the root of the workspace.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(paths::root());
    command
}

/// `cargo` with these words.
pub(crate) fn cargo(args: &str) -> Command {
    let mut command = command("cargo");
    command.args(args.split_whitespace());
    command
}

/// Shows and runs `command` with its output on ours; fails unless it exits with 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("   $ {}", line(command));
    let status = command.status().with_context(|| not_started(command))?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

/// Runs `command` and returns what it printed; fails unless it exits with 0.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| not_started(command))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{}` failed ({}): {}",
            line(command),
            output.status,
            said.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether `command` starts, ends within ten seconds and exits with 0; what it prints is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    succeeds_within(Duration::from_secs(10), command)
}

/// The same with another limit.
pub(crate) fn succeeds_within(limit: Duration, command: &mut Command) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Ok(mut child) = quiet.spawn() else {
        return false;
    };
    matches!(wait(&mut child, limit, |_| ()), Ok(status) if status.success())
}

/// Whether a program of this name is on the PATH.
pub(crate) fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Waits for `child` at most `limit`, calling `tick` with the time waited about five times a
/// second. A child that is still running then is killed, and the wait is an error.
pub(crate) fn wait(
    child: &mut Child,
    limit: Duration,
    mut tick: impl FnMut(Duration),
) -> Result<ExitStatus> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if started.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!(
                "it was still running after {} s and was killed",
                limit.as_secs()
            );
        }
        tick(started.elapsed());
        std::thread::sleep(Duration::from_millis(200).min(limit));
    }
}

/// The command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| short(&word.to_string_lossy())).collect();
    words.join(" ")
}

/// A path of ours without the way to the workspace, to keep lines readable. One with a colon stays:
/// docker takes only absolute paths.
fn short(word: &str) -> String {
    match word.contains(':') {
        true => word.to_owned(),
        false => paths::shown(word.as_ref()),
    }
}

fn not_started(command: &Command) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    match on_path(&program) || program.contains('/') {
        true => format!("`{}` could not be started", line(command)),
        false => format!(
            "`{program}` is not installed or not on the PATH ({:?})",
            ErrorKind::NotFound
        ),
    }
}
