//! What the page says of its connection, and of messages that the server did not take.

use tidewire_tests::Launch;
use tidewire_tests::browser::people;

#[test]
fn the_connection_is_explained_and_refused_messages_are_marked() {
    let server = Launch::default()
        .arguments(&["--messages-per-second", "4"])
        .start();
    people("page/connection.mjs", &server).finish();
}
