//! Echoes messages of 125 bytes in memory, with a recorder or without, for whoever counts the instructions of that:
//!
//! ```text
//! cargo build --release --package tidewire-protocol --example recorder_cost
//! valgrind --tool=callgrind target/release/examples/recorder_cost 20000 on      # and off
//! ```

use std::env;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

use tidewire_protocol::{Config, Connection, Event, Message, RecorderClock};

fn main() {
    let mut words = env::args().skip(1);
    let messages: u64 = words.next().and_then(|word| word.parse().ok()).unwrap_or(1);
    let is_on = words.next().is_some_and(|word| word == "on");
    let (config, now) = (Arc::new(Config::default()), Instant::now());
    let mut server = Connection::server(Arc::clone(&config), now);
    if is_on {
        server.record(&RecorderClock::default());
    }
    let mut client = Connection::client(config, now);
    let text = "x".repeat(125);
    // A client that is open takes a message.
    let _ = client.send(&Message::text(&text));
    let frame = sent(&mut client);
    let mut bytes = 0;
    for _ in 0..messages {
        let mut input = frame.clone();
        let mut input = &mut input[..];
        while let Some(event) = server.handle_input(&mut input, now) {
            if let Event::Message(message) = event {
                let _ = server.send(&message);
            }
        }
        bytes += sent(&mut server).len();
    }
    println!("{messages} messages, {bytes} bytes");
}

fn sent(connection: &mut Connection) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[]); 4];
    let count = connection.poll_transmit(&mut slices);
    let bytes: Vec<u8> = slices[..count]
        .iter()
        .flat_map(|slice| slice.to_vec())
        .collect();
    connection.transmitted(bytes.len());
    bytes
}
