//! A client and a server without a network: what one has to send is the other's input. This is how to test an application
//! that speaks WebSocket, on a clock that one sets: `cargo run --example in_memory_pair`.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewire_protocol::{CloseCode, Config, Connection, Event, Message};

fn main() {
    let start = Instant::now();
    let config = Arc::new(Config::default());
    let mut client = Connection::client(Arc::clone(&config), start);
    let mut server = Connection::server(config, start);

    client.send(&Message::text("Hello")).expect("it is open");
    for event in carry(&mut client, &mut server, start) {
        println!("server: {event:?}");
        if let Event::Message(message) = event {
            server.send(&message).expect("it is open");
        }
    }
    for event in carry(&mut server, &mut client, start) {
        println!("client: {event:?}");
    }

    // Half a minute of silence, in no time at all: the server asks whether the client is still there.
    let later = start + Duration::from_secs(30);
    server.handle_timeout(later);
    println!("client: {:?}", carry(&mut server, &mut client, later));
    println!("server: {:?}", carry(&mut client, &mut server, later));

    client
        .close(CloseCode::NORMAL, "bye", later)
        .expect("it is open");
    println!("server: {:?}", carry(&mut client, &mut server, later));
    println!("client: {:?}", carry(&mut server, &mut client, later));
}

/// Hands what `from` has to send to `to`, and returns what that makes of it.
fn carry(from: &mut Connection, to: &mut Connection, now: Instant) -> Vec<Event<'static>> {
    let mut bytes = Vec::new();
    while from.unsent_bytes() > 0 {
        let mut slices = [IoSlice::new(&[]); 8];
        let filled = from.poll_transmit(&mut slices);
        let before = bytes.len();
        for slice in &slices[..filled] {
            bytes.extend_from_slice(slice);
        }
        from.transmitted(bytes.len() - before);
    }
    let (mut input, mut events) = (&mut bytes[..], Vec::new());
    while let Some(event) = to.handle_input(&mut input, now) {
        events.push(event.into_owned());
    }
    events
}
