//! The JavaScript client in Node, against a server that is killed and networks that cut, refuse and hold back: every message is
//! acknowledged, and heard by the others once and in order. (`client_in_browsers.rs` does the same in Chromium.)

use std::path::Path;

use tidewire_tests::script::Script;
use tidewire_tests::{Directory, Launch, Server};

#[test]
fn fifty_kills_of_the_server_lose_and_double_nothing_by_web_socket() {
    killed("websocket", 50);
}

#[test]
fn kills_of_the_server_lose_and_double_nothing_by_event_stream() {
    killed("sse", 15);
}

#[test]
fn kills_of_the_server_lose_and_double_nothing_by_long_poll() {
    killed("poll", 15);
}

#[test]
fn cuts_at_random_bytes_lose_and_double_nothing() {
    for (transport, times) in [("websocket", "60"), ("sse", "40"), ("poll", "40")] {
        let server = Launch::default()
            .arguments(&["--messages-per-second", "0"])
            .start();
        script("cut", transport, times, &server).finish();
    }
}

#[test]
fn where_web_socket_is_blocked_it_chats_by_event_stream_and_then_by_long_poll() {
    let server = Launch::default()
        .arguments(&["--messages-per-second", "0"])
        .start();
    script("block", "-", "-", &server).finish();
}

#[test]
fn an_ack_that_overtakes_what_others_said_leaves_no_hole() {
    let server = Launch::default().start();
    script("overtaken", "-", "-", &server).finish();
}

#[track_caller]
fn killed(transport: &str, times: u32) {
    let data = Directory::new();
    let launch = launch(data.path());
    let mut server = launch.start();
    let port = server.address().port();
    let mut script = script("kill", transport, &times.to_string(), &server);
    for _ in 0..times {
        script.expect_line("kill the server");
        server.kill();
        server = launch.clone().on_port(port).start();
        script.say("killed and started");
    }
    script.finish();
}

fn launch(data: &Path) -> Launch {
    Launch::default()
        .data(data)
        .arguments(&["--messages-per-second", "0"])
}

fn script(what: &str, transport: &str, times: &str, server: &Server) -> Script {
    let url = format!("http://{}", server.address());
    Script::node("client_in_node.mjs", &[what, transport, times, &url])
}
