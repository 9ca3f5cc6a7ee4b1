//! An echo server on `std::net`, one thread per connection: `cargo run --example blocking_echo -- 127.0.0.1:9001`.

use std::error::Error;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tidewire_protocol::handshake::head::HeadReader;
use tidewire_protocol::handshake::server::{HeaderStorage, Request, Upgrade};
use tidewire_protocol::{Config, Connection, Event, Transport};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:9001"))?;
    println!("echoing on ws://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || match serve(stream) {
            Ok(()) => println!("connection over"),
            Err(error) => eprintln!("connection failed: {error}"),
        });
    }
    Ok(())
}

fn serve(mut stream: TcpStream) -> Result<()> {
    // Each read has this time. A server for many clients gives the whole handshake a deadline.
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    let mut buffer = vec![0; 64 * 1024];
    let mut unread = handshake(&mut stream, &mut buffer)?;
    let mut connection = Connection::server(Arc::new(Config::default()), Instant::now());
    loop {
        let mut input = &mut buffer[unread];
        while let Some(event) = connection.handle_input(&mut input, Instant::now()) {
            if let Event::Message(message) = event {
                // An error says that the closing handshake began: then there is nobody to echo to.
                let _ = connection.send(&message);
            }
        }
        write(&mut stream, &mut connection)?;
        match connection.transport() {
            Transport::Keep => {}
            // Twice does no harm. From here on only the end of the client's half is awaited.
            Transport::HalfClose => stream.shutdown(Shutdown::Write)?,
            Transport::Drop => return Ok(()),
        }
        unread = 0..read(&mut stream, &mut connection, &mut buffer)?;
    }
}

/// Reads once, no longer than the connection wants to wait.
fn read(stream: &mut TcpStream, connection: &mut Connection, buffer: &mut [u8]) -> Result<usize> {
    let due = connection.poll_timeout();
    // A timeout of zero would be none to the socket.
    let wait = due.map(|due| due.saturating_duration_since(Instant::now()));
    stream.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
    let read = match stream.read(buffer) {
        Ok(0) => {
            connection.handle_eof(Instant::now());
            0
        }
        Ok(read) => read,
        Err(error) if is_timeout(&error) => 0,
        Err(error) => return Err(error.into()),
    };
    connection.handle_timeout(Instant::now());
    Ok(read)
}

fn is_timeout(error: &io::Error) -> bool {
    use ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

fn write(stream: &mut TcpStream, connection: &mut Connection) -> Result<()> {
    while connection.unsent_bytes() > 0 {
        let mut slices = [IoSlice::new(&[]); 16];
        let filled = connection.poll_transmit(&mut slices);
        let written = stream.write_vectored(&slices[..filled])?;
        connection.transmitted(written);
    }
    Ok(())
}

/// Answers the request; says where in `buffer` bytes lie that came behind it.
fn handshake(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<Range<usize>> {
    let mut reader = HeadReader::default();
    loop {
        let read = stream.read(buffer)?;
        let mut input = &mut buffer[..read];
        let Some(head) = reader.handle_input(&mut input)? else {
            if read == 0 {
                return Err("the client left during the handshake".into());
            }
            continue;
        };
        match accept(&head) {
            Ok(answer) => stream.write_all(&answer)?,
            Err(error) => {
                let answer = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
                stream.write_all(format!("{answer}{error}\n").as_bytes())?;
                return Err(error);
            }
        }
        return Ok(read - input.len()..read);
    }
}

fn accept(head: &[u8]) -> Result<Vec<u8>> {
    let mut storage = HeaderStorage::default();
    let request = Request::parse(head, &mut storage)?;
    let mut answer = Vec::new();
    Upgrade::from_request(&request)?.accept(None, &mut answer);
    Ok(answer)
}
