//! Several rooms in one page: joined, counted, side by side, and left.

use tidewire_tests::Server;
use tidewire_tests::browser::people;

#[test]
fn several_rooms_are_joined_counted_shown_side_by_side_and_left() {
    let server = Server::start();
    people("page/rooms.mjs", &server).finish();
}
