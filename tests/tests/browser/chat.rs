//! Two real Chromium pages chat with each other, see each other come, type and go, and come back after the server
//! was restarted on its port, to all that was said.

use tidewire_tests::browser::people;
use tidewire_tests::{Directory, Launch};

#[test]
fn two_browsers_chat_and_come_back_after_a_restart() {
    let data = Directory::new();
    let launch = Launch::default().data(data.path());
    let mut server = launch.start();
    let port = server.address().port();
    let mut script = people("page/two_browsers.mjs", &server);
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
