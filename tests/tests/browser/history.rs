//! The page reads back: by scrolling up, steadily, to the beginning or to where the server lets go; and gives memory back.

use tidewire_tests::browser::people;
use tidewire_tests::{Directory, Launch};

#[test]
fn older_messages_come_by_scrolling_up_and_leave_again() {
    let directory = Directory::new();
    let config = directory.path().join("tidewire.toml");
    let rules = "[[room]]\nmatch = \"short\"\nkeep = \"memory\"\nhistory-entries = 40\n";
    std::fs::write(&config, rules).expect("a file in our own directory");
    let config = config.to_str().expect("a path in UTF-8");
    let launch = Launch::default()
        .data(&directory.path().join("data"))
        .arguments(&["--config", config, "--messages-per-second", "0"]);
    let server = launch.start();
    people("page/history.mjs", &server).finish();
}
