//! The examples of the JavaScript client's guide do what it says: each runs as it stands in a page.

use tidewire_tests::Server;
use tidewire_tests::browser::chromium;
use tidewire_tests::script::Script;

#[test]
fn every_example_of_the_guide_runs() {
    let server = Server::start();
    let chromium = chromium();
    let url = format!("http://{}/", server.address());
    Script::node("client_guide.mjs", &[&chromium, &url]).finish();
}
