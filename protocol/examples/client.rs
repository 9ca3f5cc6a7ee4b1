//! A client on `std::net`: says each line of its standard input and prints what comes back until as many messages have
//! come: `printf 'one\ntwo\n' | cargo run --example client -- 127.0.0.1:9001 /`.

use std::error::Error;
use std::io::{self, BufRead as _, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewire_protocol::handshake::client::{Handshake, Target, random_nonce};
use tidewire_protocol::{CloseCode, Config, Connection, DeflateConfig, Event, Message, Transport};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let host = words.next().unwrap_or("127.0.0.1:9001".into());
    let path = words.next().unwrap_or("/".into());
    let mut stream = TcpStream::connect(&host)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut buffer = vec![0; 64 * 1024];
    let (mut connection, mut unread) = open(&mut stream, &host, &path, &mut buffer)?;
    let lines = io::stdin().lock().lines().collect::<io::Result<Vec<_>>>()?;
    for line in &lines {
        connection.send(&Message::text(line))?;
    }
    let mut awaited = lines.len();
    while connection.transport() != Transport::Drop {
        let mut input = &mut buffer[unread];
        while let Some(event) = connection.handle_input(&mut input, Instant::now()) {
            match event {
                Event::Message(Message::Text(text)) => println!("{text}"),
                Event::Message(Message::Binary(bytes)) => println!("{} bytes", bytes.len()),
                Event::Closed(closed) => eprintln!("closed with {}", closed.code()),
                Event::Piece(_) | Event::Ping(_) | Event::Pong(_) => continue,
            }
            awaited = awaited.saturating_sub(1);
        }
        if awaited == 0 && connection.is_open() {
            connection.close(CloseCode::NORMAL, "", Instant::now())?;
        }
        write(&mut stream, &mut connection)?;
        let read = read(&mut stream, &mut buffer)?;
        if read == 0 {
            connection.handle_eof(Instant::now());
        }
        unread = 0..read;
    }
    Ok(())
}

/// The handshake; returns where in `buffer` bytes lie that came behind it.
fn open(
    stream: &mut TcpStream,
    host: &str,
    path: &str,
    buffer: &mut [u8],
) -> Result<(Connection, std::ops::Range<usize>)> {
    let deflate = DeflateConfig::default();
    let target = Target {
        host,
        path,
        deflate: Some(&deflate),
        ..Target::default()
    };
    let mut request = Vec::new();
    let mut handshake = Handshake::start(&target, random_nonce(), &mut request)?;
    stream.write_all(&request)?;
    loop {
        let read = read(stream, buffer)?;
        if read == 0 {
            return Err("the server left during the handshake".into());
        }
        let mut input = &mut buffer[..read];
        if let Some(response) = handshake.handle_input(&mut input)? {
            let behind = read - input.len()..read;
            let mut connection = Connection::client(Arc::new(Config::default()), Instant::now());
            if let Some(agreement) = response.deflate {
                connection.enable_deflate(&deflate, agreement);
            }
            return Ok((connection, behind));
        }
    }
}

/// Reads once. A wait with a timeout is not taken up again by the system behind a signal or a pause of the process.
fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
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
