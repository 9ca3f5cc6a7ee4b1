//! The chat as Protobuf, by clients that are not ours: Google's library in Python; and by the JavaScript client.

use tidewire_tests::Server;
use tidewire_tests::script::Script;

#[test]
fn googles_library_chats_with_others_who_speak_it_and_who_speak_json() {
    let server = Server::start_with(&["--messages-per-second", "0"]);
    Script::python("protobuf_client.py", &[&server.websocket_url("/ws")]).finish();
}

#[test]
fn the_javascript_client_chats_in_it_with_who_speaks_json() {
    let server = Server::start();
    let url = format!("http://{}", server.address());
    Script::node("protobuf_client.mjs", &["protobuf", &url]).finish();
}

#[test]
fn where_it_is_off_the_javascript_client_chats_in_json() {
    let server = Server::start_with(&["--protocols", "json"]);
    let url = format!("http://{}", server.address());
    Script::node("protobuf_client.mjs", &["json", &url]).finish();
}
