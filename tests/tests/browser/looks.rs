//! The page without a mouse and without sight: axe finds no fault, and the keyboard gets everywhere. Makes the pictures of
//! the docs: `TIDEWIRE_SCREENSHOT_DIR=$PWD/docs/images cargo test -p tidewire-tests --test browser looks`.

use tidewire_tests::Server;
use tidewire_tests::browser::people;

#[test]
fn axe_finds_no_fault_and_the_keyboard_gets_everywhere() {
    let server = Server::start();
    people("page/looks.mjs", &server).finish();
}
