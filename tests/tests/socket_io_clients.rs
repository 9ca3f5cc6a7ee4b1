//! socket.io-client from npm, as people use it, in rooms with clients of the chat's own JSON: over each of its transports.

use std::net::SocketAddr;

use tidewire_tests::script::Script;
use tidewire_tests::{Launch, Server, TcpProxy};

const TRANSPORTS: [&str; 3] = ["polling", "websocket", "upgrade"];

fn run(task: &str, options: &[&str]) {
    for transport in TRANSPORTS {
        let server = Launch::default().plain().arguments(options).start();
        let url = format!("http://{}", server.address());
        Script::node("socket_io_client.mjs", &[task, transport, &url]).finish();
    }
}

#[test]
fn it_chats_with_who_speaks_json() {
    run("chat", &[]);
}

#[test]
fn it_chats_where_connections_are_not_recovered_and_events_are_the_same_for_all() {
    run("chat", &["--socketio-recovery", "false"]);
}

#[test]
fn it_chats_with_a_server_of_several_workers() {
    run("chat", &["--workers", "3"]);
}

#[test]
fn bytes_are_attachments_for_it_and_a_marker_for_others() {
    run("binary", &[]);
}

#[test]
fn what_is_refused_is_told_in_its_own_way() {
    run("refusals", &[]);
}

#[test]
fn a_message_with_a_key_is_kept_once_over_reconnects() {
    run("keys", &[]);
}

#[test]
fn events_are_called_as_the_configuration_says() {
    run(
        "names",
        &["--socketio-event", "msg=chat message,join=enter"],
    );
}
