//! An echo server on `std::net`, a thread a connection: `cargo run --example blocking_echo -- 127.0.0.1:9001`.

use std::error::Error;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, thread};

use tidewire_protocol::handshake::head::HeadReader;
use tidewire_protocol::handshake::server::{HeaderStorage, Request, Upgrade};
use tidewire_protocol::{Config, Connection, Event, Transport};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:9001".into());
    for stream in TcpListener::bind(address)?.incoming() {
        let stream = stream?;
        thread::spawn(|| serve(stream).unwrap_or_else(|error| eprintln!("{error}")));
    }
    Ok(())
}

fn serve(mut stream: TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let (mut buffer, mut reader) = (vec![0; 64 * 1024], HeadReader::default());
    let mut connection = Connection::server(Arc::new(Config::default()), Instant::now());
    // What is behind the request in the same packet are frames already.
    let mut unread = loop {
        let read = stream.read(&mut buffer)?;
        let mut input = &mut buffer[..read];
        match reader.handle_input(&mut input)? {
            Some(head) => connection.queue_handshake(&accept(&head)?),
            None if read == 0 => return Err("the client left during the handshake".into()),
            None => continue,
        }
        break read - input.len()..read;
    };
    while connection.transport() != Transport::Drop {
        let mut input = &mut buffer[unread];
        while let Some(event) = connection.handle_input(&mut input, Instant::now()) {
            if let Event::Message(message) = event {
                // Refused once the closing handshake has begun: then there is nobody to echo to.
                let _ = connection.send(&message);
            }
        }
        while connection.unsent_bytes() > 0 {
            let mut slices = [IoSlice::new(&[]); 16];
            let filled = connection.poll_transmit(&mut slices);
            let written = stream.write_vectored(&slices[..filled])?;
            connection.transmitted(written);
        }
        if connection.transport() == Transport::HalfClose {
            stream.shutdown(Shutdown::Write)?;
        }
        unread = 0..wait(&mut stream, &mut connection, &mut buffer)?;
    }
    Ok(())
}

/// Reads once, no longer than the connection wants to wait.
fn wait(stream: &mut TcpStream, connection: &mut Connection, buffer: &mut [u8]) -> Result<usize> {
    let due = connection.poll_timeout();
    let wait = due.map(|due| due.saturating_duration_since(Instant::now()));
    stream.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
    let read = match stream.read(buffer) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Some(0),
        read => Some(read?).filter(|&read| read > 0),
    };
    match read {
        None => connection.handle_eof(Instant::now()),
        Some(_) => connection.handle_timeout(Instant::now()),
    }
    Ok(read.unwrap_or(0))
}

fn accept(head: &[u8]) -> Result<Vec<u8>> {
    let (mut storage, mut answer) = (HeaderStorage::default(), Vec::new());
    let request = Request::parse(head, &mut storage)?;
    Upgrade::from_request(&request)?.accept(None, None, &mut answer);
    Ok(answer)
}
