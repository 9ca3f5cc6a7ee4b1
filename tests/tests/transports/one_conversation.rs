//! One room, every client: JSON, Protobuf, an event stream, long-poll, `socket.io-client`, MQTT.js, `paho-mqtt` and the page. Each speaks, all
//! hear all at the same offsets and in the same order; each is cut off and comes back to what it missed, once and in order, at whatever node.

use tidewire_tests::browser::chromium;
use tidewire_tests::script::{Script, python};
use tidewire_tests::{Directory, Launch, LogServer, Server};

#[test]
fn everybody_hears_everybody_and_what_they_missed_with_one_worker() {
    talk("1");
}

#[test]
fn everybody_hears_everybody_and_what_they_missed_with_two_workers() {
    talk("2");
}

#[test]
fn everybody_comes_back_to_the_other_of_two_nodes() {
    let log = LogServer::start();
    let nodes = log.nodes(2, &["--messages-per-second", "0"]);
    hold(nodes.all());
}

/// With the log on the disk.
#[track_caller]
fn talk(workers: &str) {
    let data = Directory::new();
    let server = Launch::default()
        .data(data.path())
        .arguments(&["--messages-per-second", "0", "--workers", workers])
        .start();
    hold([&server]);
}

/// The conversation, at these servers.
#[track_caller]
fn hold<'s>(servers: impl IntoIterator<Item = &'s Server>) {
    let mut arguments = vec![chromium(), python()];
    let urls = servers.into_iter();
    arguments.extend(urls.map(|server| format!("http://{}", server.address())));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Script::node("one_conversation.mjs", &arguments).finish();
}
