//! A command that stands still while it waits for an answer, as `Ctrl+Z` and `fg` let it, hears that all the same: its wait has a time,
//! and one of those is not taken up again by the system.

use std::thread::sleep;
use std::time::Duration;

use tidewire_tests::{Chatter, Running, Server};

#[test]
fn a_command_that_was_stopped_while_it_waited_hears_the_answer() {
    let server = Server::start();
    let _ada = Chatter::enter(&server, "ada", "lobby");
    let url = format!("http://{}", server.address());
    // The system takes its connection and its question, and nobody answers.
    server.hold_still();
    let mut command = Running::start(&["why", "--url", &url, "ada"]);
    for _ in 0..50 {
        for state in ["STOP", "CONT"] {
            command.signal(state);
            sleep(Duration::from_millis(5));
        }
    }
    server.signal("CONT");
    let status = command.wait();
    let (told, error) = (command.stdout(), command.stderr());
    assert!(status.success(), "{status}: {error}");
    assert!(told.contains("chat of ada from 127.0.0.1:"), "{told}");
}
