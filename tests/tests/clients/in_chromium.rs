//! The JavaScript client in real Chromium: the server killed in mid conversation, the connection cut at random bytes, also where it
//! speaks Protobuf, WebSocket blocked and event streams, too, tabs that sleep, reload with unsent messages, and share one connection.

use tidewire_tests::browser::chromium;
use tidewire_tests::script::Script;
use tidewire_tests::{Directory, Launch};

#[test]
fn fifty_kills_of_the_server_lose_and_double_nothing() {
    disturbed("kill", &[]);
}

#[test]
fn cuts_at_random_bytes_lose_and_double_nothing() {
    disturbed("cut", &[]);
}

#[test]
fn a_page_in_protobuf_chats_with_one_in_json_and_loses_and_doubles_nothing_when_it_is_cut() {
    disturbed("protobuf", &[]);
}

#[test]
fn where_web_socket_is_blocked_it_chats_by_event_stream_and_then_by_long_poll() {
    disturbed("block", &[]);
}

#[test]
fn a_tab_that_slept_reads_on_where_it_was() {
    disturbed("sleep", &[]);
}

#[test]
fn a_silent_network_is_noticed_where_timers_are_throttled() {
    disturbed("throttle", &["--heartbeat", "1s"]);
}

#[test]
fn messages_that_were_not_acknowledged_outlive_a_reload_and_are_kept_once() {
    disturbed("reload", &[]);
}

#[test]
fn two_tabs_share_one_connection_and_hand_it_over_without_a_gap() {
    disturbed("tabs", &[]);
}

/// Runs a scenario; the script says when the server is to be killed and started again.
#[track_caller]
fn disturbed(scenario: &str, arguments: &[&str]) {
    let data = Directory::new();
    let launch = Launch::default()
        .data(data.path())
        .arguments(&[&["--messages-per-second", "0"], arguments].concat());
    let mut server = launch.start();
    let port = server.address().port();
    let url = format!("http://{}", server.address());
    let arguments = [scenario, &chromium(), &url];
    let mut script = Script::node("client_in_chromium.mjs", &arguments);
    while script.says_before_its_end("kill the server") {
        server.kill();
        server = launch.clone().on_port(port).start();
        script.say("killed and started");
    }
    script.finish();
}
