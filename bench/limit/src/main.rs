//! `limit echo level|edge PORT [BUFFER]` and `limit relay each|turn PORT`: epoll servers that make the system calls that
//! any WebSocket server has to make, and do as little as possible between them. What a server costs above this is its own.
//!
//! Neither is a WebSocket server: they know the load's handshake, and what it sends. Echo looks at the first header of a
//! connection, counts bytes from there on, and answers with as many frames of dots as requests of that length came. Relay
//! unmasks what one connection sends, and writes it to all: at once, or what a whole turn brought together.

mod connection;
mod echo;
mod frame;
mod relay;
mod server;

use echo::Echo;
use relay::Relay;

const USAGE: &str = "usage: limit echo level|edge PORT [BUFFER], limit relay each|turn PORT";

/// What one read takes at most: as much as the load does.
const BUFFER: usize = 512 << 10;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let number = |word: &str| -> usize { word.parse().expect(USAGE) };
    let (what, how, port, buffer) = match words[..] {
        [what, how, port] => (what, how, number(port), BUFFER),
        [what, how, port, buffer] => (what, how, number(port), number(buffer)),
        _ => panic!("{USAGE}"),
    };
    let port = u16::try_from(port).expect(USAGE);
    let result = match (what, how) {
        ("echo", "level") => server::run(port, false, buffer, Echo::default()),
        ("echo", "edge") => server::run(port, true, buffer, Echo::default()),
        ("relay", "each") => server::run(port, false, buffer, Relay::new(true)),
        ("relay", "turn") => server::run(port, false, buffer, Relay::new(false)),
        _ => panic!("{USAGE}"),
    };
    result.expect("epoll works");
}
