//! Node's `ws` gets back from `/echo` what it sent: all sizes and kinds, fragments, pings, close codes.

use tidewire_tests::Server;
use tidewire_tests::script::Script;

#[test]
fn node_ws_gets_back_what_it_sent() {
    // The test is about bytes, not about how many messages a second one may send.
    let server = Server::start_with(&["--messages-per-second", "0"]);
    Script::node("echo_ws.mjs", &[&server.websocket_url("/echo")]).finish();
}
