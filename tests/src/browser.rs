//! Chromium in front of the chat page: scripts of `tests/scripts/` that drive it through `person.mjs`.

use std::path::PathBuf;

use crate::launch::target_directory;
use crate::script::{Script, tool};
use crate::server::Server;

/// Where Chromium is.
///
/// # Panics
///
/// When it is nowhere, or its path is not UTF-8.
#[must_use]
#[track_caller]
pub fn chromium() -> String {
    let path = tool(
        "chromium",
        &["chromium", "chromium-browser", "google-chrome"],
        "install Chromium (Debian: `apt-get install chromium`)",
    );
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// Starts a script with Chromium and the page of this server.
#[must_use]
#[track_caller]
pub fn people(script: &str, server: &Server) -> Script {
    people_at(script, &format!("http://{}/", server.address()))
}

/// The same with the address of the page.
#[must_use]
#[track_caller]
pub fn people_at(script: &str, page: &str) -> Script {
    let chromium = chromium();
    let directories: Vec<String> = screenshot_directories()
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let mut arguments = vec![chromium.as_str(), page];
    arguments.extend(directories.iter().map(String::as_str));
    Script::node(script, &arguments)
}

/// All go below the target directory, and those of the docs also where `TIDEWIRE_SCREENSHOT_DIR` says.
fn screenshot_directories() -> Vec<PathBuf> {
    let asked_for = std::env::var_os("TIDEWIRE_SCREENSHOT_DIR").map(PathBuf::from);
    [target_directory().join("screenshots")]
        .into_iter()
        .chain(asked_for)
        .collect()
}
