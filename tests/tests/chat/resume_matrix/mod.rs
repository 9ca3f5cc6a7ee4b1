//! Every way to lose a connection, with every number of messages missed meanwhile, over every transport: who comes back with
//! a position is shown exactly what is behind it, or a gap that names exactly what is gone, and then what comes.

mod cell;
mod chat_reader;
mod reader;

use std::net::TcpStream;
use std::time::Duration;

use cell::{Cell, WINDOW, each};
use reader::{Heard, Reader, Transport};
use socket2::SockRef;
use tidewire_tests::{Chatter, Directory, Launch, Server, wait_until};

// ---- the connection is lost ----

#[test]
fn after_a_clean_close() {
    each_cell(|cell| {
        // A poll that waits is given up. (Between two polls there is nothing to lose: that is what every poll does.)
        cell.reader().close();
        cell.says_missed();
        cell.resumes();
    });
}

#[test]
fn after_a_reset() {
    each_cell(|cell| {
        reset(cell.reader());
        cell.says_missed();
        cell.resumes();
    });
}

#[test]
fn after_a_half_open_connection() {
    let server = start(&[]);
    // They neither read nor close, and the server goes on writing to them.
    let abandoned = each(Cell::all(server.address()), |mut cell| {
        let reader = cell.reader();
        (cell, reader)
    });
    // Of two requests of a session the one that is read later is the newer, and a poll's last may be on its way still. One that was
    // read waits, or is answered with who has left.
    let polls = abandoned
        .iter()
        .filter(|(cell, _)| cell.transport.is_poll());
    let polls: Vec<_> = polls.map(|(_, reader)| reader.wire().stream()).collect();
    wait_until("all polls were read", || {
        let answered = polls.iter().filter(|stream| has_something(stream)).count();
        server.count("polls") + answered as u64 >= polls.len() as u64
    });
    each(abandoned, |(mut cell, abandoned)| {
        cell.says_missed();
        cell.resumes();
        drop(abandoned);
    });
}

#[test]
fn after_two_losses_in_a_row() {
    each_cell(|cell| {
        reset(cell.reader());
        let mut second = cell.comes_back();
        cell.hears_the_head(second.as_mut(), true);
        reset(second);
        cell.says_missed();
        cell.resumes();
    });
}

#[test]
fn after_a_loss_during_the_replay() {
    each_cell(|cell| {
        reset(cell.reader());
        // More than the server sends to a client that takes little: it is in the middle when it loses it.
        cell.filling = 16 << 10;
        cell.says_missed();
        let mut second = cell.comes_back_narrow();
        // A poll's replay comes in answers of many messages, each of which is a place to come back to as well.
        match second.hear() {
            Heard::Gap { to, .. } => cell.seen = to.offset,
            heard @ Heard::Entry { .. } => cell.sees_the_next(&heard),
            Heard::Head { .. } => assert_eq!(cell.missed, 0, "there was something to show"),
            lost @ Heard::Lost { .. } => panic!("{lost:?}"),
        }
        reset(second);
        cell.resumes();
    });
}

#[test]
fn after_a_loss_during_the_join() {
    each_cell(|cell| {
        reset(cell.reader());
        cell.says_missed();
        // It has asked, and goes before it hears anything of the room. For a poll, its answer is lost on the way.
        reset(cell.comes_back());
        cell.resumes();
    });
}

// ---- the server ends it ----

#[test]
fn after_being_replaced() {
    // Who only reads has no session; how those of the chat change transports is in `across_transports.rs`.
    let server = start(&[]);
    let mut cells = Cell::all(server.address());
    cells.retain(|cell| cell.transport == Transport::WebSocket);
    each(cells, |mut cell| {
        let identity = format!("userId=reader&session={}", cell.missed);
        let mut older = Chatter::connect(&server, &format!("{identity}&room={}", cell.room));
        cell.begins(&mut older);
        let _newer = Chatter::connect(&server, &identity);
        assert!(why_lost(&mut older).starts_with("4003 "));
        cell.says_missed();
        cell.resumes();
    });
}

#[test]
fn after_a_kick_for_slowness() {
    // A close frame must wait until the reader reads again, so the wait for it is long here.
    let server = start(&["--lag-max", "200ms", "--close-timeout", "60s"]);
    let readers = each(Cell::all(server.address()), |mut cell| {
        let reader = cell.narrow_reader();
        // A megabyte, of which the kernel and the server's queue take half.
        cell.filling = 32 << 10;
        cell.says(32);
        (cell, reader)
    });
    let slow = readers
        .iter()
        .filter(|(cell, _)| cell.transport.can_be_slow())
        .count();
    wait_until("all that do not read are closed as slow", || {
        server.health().slow == slow as u64
    });
    each(readers, |(mut cell, reader)| {
        // A poll is not slow, however long it takes: it goes without its answer.
        if cell.transport.can_be_slow() {
            reads_to_the_kick(&mut cell, reader);
        }
        // As many as are to be missed, if that is not so already.
        cell.says_missed();
        cell.resumes();
    });
}

/// Reads what has come until it is kicked: without a hole, and told where to come back.
fn reads_to_the_kick(cell: &mut Cell, mut reader: Box<dyn Reader>) {
    // A tiny window would make it read for seconds what is still to come.
    SockRef::from(reader.wire().stream())
        .set_recv_buffer_size(1 << 20)
        .expect("a buffer as usual");
    let why = loop {
        match reader.hear() {
            Heard::Lost { why } => break why,
            heard @ (Heard::Entry { .. } | Heard::Gap { .. } | Heard::Head { .. }) => {
                cell.sees_the_next(&heard);
            }
        }
    };
    assert!(cell.seen < cell.head, "nothing made it slow");
    let at = cell.at(cell.seen);
    let hint = if cell.transport.is_told_why() {
        format!("4008 reads too slowly: go on with since={at}")
    } else {
        // An `EventSource` whose stream ends comes back by itself, behind the last event.
        String::new()
    };
    assert_eq!(why, hint);
}

// ---- the server ends ----

#[test]
fn after_the_server_was_killed() {
    after_a_restart(|server, readers| {
        server.kill();
        each(readers, |(_, mut reader)| {
            assert_eq!(why_lost(reader.as_mut()), "");
        });
    });
}

#[test]
fn after_the_server_was_drained() {
    after_a_restart(|server, readers| {
        server.signal("TERM");
        each(readers, |(transport, mut reader)| {
            let why = why_lost(reader.as_mut());
            assert_eq!(why.starts_with("1012 "), transport.is_told_why(), "{why}");
        });
        let status = server.wait_for_exit();
        assert_eq!(status.code(), Some(0), "{status}");
    });
}

/// All cells lose one server, and come back to another that has its data.
fn after_a_restart(end: impl FnOnce(&mut Server, Vec<(Transport, Box<dyn Reader>)>)) {
    let data = Directory::new();
    let launch = launch(&[]).data(data.path());
    let mut server = launch.start();
    let address = server.address();
    let sent = each(Cell::all(address), |mut cell| {
        let reader = (cell.transport, cell.reader());
        // Half of what is missed is sent to it, but it has not looked at that yet.
        cell.says(cell.missed / 2);
        (cell, reader)
    });
    let (cells, readers): (Vec<Cell>, _) = sent.into_iter().unzip();
    end(&mut server, readers);
    let _again = launch.on_port(address.port()).start();
    each(cells, |mut cell| {
        cell.says_missed();
        cell.resumes();
    });
}

// ---- helpers ----

/// Runs a test for every cell, on one server.
fn each_cell(test: impl Fn(&mut Cell) + Sync) {
    let server = start(&[]);
    each(Cell::all(server.address()), |mut cell| test(&mut cell));
}

fn start(arguments: &[&str]) -> Server {
    launch(arguments).start()
}

fn launch(arguments: &[&str]) -> Launch {
    let window = WINDOW.to_string();
    Launch::default()
        .arguments(&["--history-entries", &window, "--messages-per-second", "0"])
        .arguments(arguments)
}

/// Ends a connection with a reset, which destroys what is on its way.
fn reset(reader: Box<dyn Reader>) {
    SockRef::from(reader.wire().stream())
        .set_linger(Some(Duration::ZERO))
        .expect("an end by reset");
    drop(reader);
}

/// Whether something has come that was not read yet.
fn has_something(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket");
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).expect("a socket");
    peeked.is_ok_and(|bytes| bytes > 0)
}

/// Waits for the end of a connection, and does not look at what comes before it.
fn why_lost(reader: &mut dyn Reader) -> String {
    loop {
        if let Heard::Lost { why } = reader.hear() {
            return why;
        }
    }
}
