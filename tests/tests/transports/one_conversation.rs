//! One room, every client: JSON, Protobuf, an event stream, long-poll, `socket.io-client`, MQTT.js, `paho-mqtt` and the page. Each speaks, all
//! hear all at the same offsets and in the same order; each is cut off and comes back to what it missed, once and in order.

use tidewire_tests::browser::chromium;
use tidewire_tests::script::{Script, python};
use tidewire_tests::{Directory, Launch};

#[test]
fn everybody_hears_everybody_and_what_they_missed_with_one_worker() {
    talk("1");
}

#[test]
fn everybody_hears_everybody_and_what_they_missed_with_two_workers() {
    talk("2");
}

/// With the log on the disk.
#[track_caller]
fn talk(workers: &str) {
    let data = Directory::new();
    let server = Launch::default()
        .data(data.path())
        .arguments(&["--messages-per-second", "0", "--workers", workers])
        .start();
    let url = format!("http://{}", server.address());
    Script::node("one_conversation.mjs", &[&chromium(), &python(), &url]).finish();
}
