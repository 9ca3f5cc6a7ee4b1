//! Two real Chromium pages chat with each other, see each other come, type and go, and come back after the server
//! was restarted on its port, to all that was said.

use std::path::PathBuf;

use tidewire_tests::script::{Script, tool};
use tidewire_tests::server::target_directory;
use tidewire_tests::{Directory, Launch};

#[test]
fn two_browsers_chat_and_come_back_after_a_restart() {
    let chromium = tool(
        "chromium",
        &["chromium", "chromium-browser", "google-chrome"],
        "install Chromium (Debian: `apt-get install chromium`)",
    );
    let data = Directory::new();
    let launch = Launch::default().data(data.path());
    let mut server = launch.start();
    let port = server.address().port();
    let directories: Vec<String> = screenshot_directories()
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let page = format!("http://{}/", server.address());
    let mut arguments = vec![chromium.to_str().expect("a path in UTF-8"), page.as_str()];
    arguments.extend(directories.iter().map(String::as_str));

    let mut script = Script::node("two_browsers.mjs", &arguments);
    script.expect_line("stop the server");
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
    script.say("stopped");
    script.expect_line("start the server");
    let restarted = launch.on_port(port).start();
    script.say("started");
    script.finish();
    drop(restarted);
}

/// Always below the target directory, and where `TIDEWIRE_SCREENSHOT_DIR` says.
fn screenshot_directories() -> Vec<PathBuf> {
    let asked_for = std::env::var_os("TIDEWIRE_SCREENSHOT_DIR").map(PathBuf::from);
    [target_directory().join("screenshots")]
        .into_iter()
        .chain(asked_for)
        .collect()
}
