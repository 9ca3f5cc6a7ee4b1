//! The operator's page in a browser. Makes a picture of the docs:
//! `TIDEWIRE_SCREENSHOT_DIR=$PWD/docs/images cargo test -p tidewire-tests --test browser admin`.

use tidewire_tests::Server;
use tidewire_tests::browser::people;

#[test]
fn an_operator_sees_what_is_and_does_what_is_meant() {
    let mut server = Server::start();
    people("page/admin.mjs", &server).finish();
    assert!(server.wait_for_exit().success(), "the page stopped it");
}
