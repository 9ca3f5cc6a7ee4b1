//! Files and pictures in the page: chosen, dropped and pasted, with their progress; and contents that are no such thing.

use tidewire_tests::Launch;
use tidewire_tests::browser::people;

#[test]
fn files_go_with_messages_and_odd_contents_break_nothing() {
    let server = Launch::default()
        .arguments(&["--file-bytes-max", "1000000"])
        .start();
    people("page/files.mjs", &server).finish();
}
