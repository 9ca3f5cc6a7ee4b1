//! Counts instructions with valgrind: the same number on a quiet and on a busy machine.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::exec;

/// Fails with what to do where valgrind is missing.
pub(crate) fn ensure() -> Result<()> {
    if !exec::on_path("valgrind") {
        bail!("valgrind counts the instructions and is not here: run `cargo xtask setup`");
    }
    Ok(())
}

/// The instructions that one unit of work takes: those of a run of `more` units less those of a run of `less`, so that
/// what starting and ending cost falls out. `command` makes the command for a number of units.
pub(crate) fn per_unit(less: u64, more: u64, command: impl Fn(u64) -> Command) -> Result<f64> {
    let difference = instructions(&command(more))? as f64 - instructions(&command(less))? as f64;
    Ok(difference / (more - less) as f64)
}

/// The instructions that a whole run of `command` takes.
pub(crate) fn instructions(command: &Command) -> Result<u64> {
    let mut valgrind = counting(command);
    let output = valgrind.output().context("valgrind could not be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("`{}` failed: {}", exec::line(&valgrind), said.trim());
    }
    total(&said)
}

/// `command` under valgrind, which ends what it says on stderr with what [`total`] finds.
pub(crate) fn counting(command: &Command) -> Command {
    counting_into(command, Path::new("/dev/null"))
}

/// The same, which writes down in a file where the instructions are.
pub(crate) fn counting_into(command: &Command, file: &Path) -> Command {
    let mut valgrind = exec::command("valgrind");
    // Valgrind counts each byte of a `rep movsb` as an instruction: copies are to be made with vectors.
    valgrind.env(
        "GLIBC_TUNABLES",
        "glibc.cpu.x86_rep_movsb_threshold=1073741824:glibc.cpu.x86_rep_stosb_threshold=1073741824",
    );
    valgrind.arg("--tool=callgrind");
    valgrind.arg(format!("--callgrind-out-file={}", file.display()));
    valgrind.arg(command.get_program()).args(command.get_args());
    valgrind
}

/// The instructions, from what valgrind said.
pub(crate) fn total(said: &str) -> Result<u64> {
    collected(said).with_context(|| format!("valgrind named no number: {}", said.trim()))
}

/// The number behind `Collected :` in what callgrind says at the end.
fn collected(said: &str) -> Option<u64> {
    let (_, behind) = said.split_once("Collected :")?;
    behind.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::collected;

    #[test]
    fn the_number_is_found_in_what_callgrind_says() {
        let said = "==7== Events    : Ir\n==7== Collected : 1234567\n==7==\n==7== I   refs:      1,234,567\n";
        assert_eq!(collected(said), Some(1_234_567));
        assert_eq!(collected("==7== no such file"), None);
    }
}
