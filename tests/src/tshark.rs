//! Wireshark's command line, as a judge of capture files.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::script::tool;

/// What somebody who looks at a capture would see as wrong: what cannot be taken apart, a TCP that is out of step (but
/// ports may be used again), and warnings (whose severity is this number: the names are not for filters).
pub const WRONG: &str = "_ws.malformed || (tcp.analysis.flags && !tcp.analysis.reused_ports) || _ws.expert.severity >= 0x600000";

/// The program.
///
/// # Panics
///
/// When it is not installed.
#[must_use]
#[track_caller]
pub fn tshark() -> PathBuf {
    tool(
        "tshark",
        &["tshark"],
        "install Wireshark's command line (Debian: `apt-get install tshark`)",
    )
}

/// The packets of a file that match a display filter: one row each, its fields separated by bars.
///
/// # Panics
///
/// When `tshark` does not like the file or the filter.
#[must_use]
#[track_caller]
pub fn rows(file: &Path, filter: &str, fields: &[&str]) -> Vec<String> {
    let mut command = Command::new(tshark());
    command
        .arg("-r")
        .arg(file)
        .args(["-Y", filter, "-T", "fields"]);
    command.args(["-E", "separator=|", "-E", "aggregator=;"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().expect("tshark runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}");
    let rows = String::from_utf8(output.stdout).expect("tshark writes UTF-8");
    rows.lines().map(str::to_owned).collect()
}

/// Checks that there is nothing [`WRONG`] in a file.
///
/// # Panics
///
/// When there is.
#[track_caller]
pub fn assert_sound(file: &Path) {
    let wrong = rows(
        file,
        WRONG,
        &["frame.number", "_ws.col.Info", "_ws.expert.message"],
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}
