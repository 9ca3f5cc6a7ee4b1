//! An echo server on mio, one thread for all: `cargo run --example mio_echo -- 127.0.0.1:9001`.

mod echo;

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use echo::{Echo, Result};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use tidewire_protocol::Transport;

/// Then it is another client's turn.
const READS_PER_TURN_MAX: usize = 4;

type Clients = HashMap<Token, (TcpStream, Echo)>;

fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".into());
    let (mut poll, mut events, mut last) = (Poll::new()?, Events::with_capacity(1024), Token(0));
    let mut listener = TcpListener::bind(address.parse()?)?;
    poll.registry()
        .register(&mut listener, last, Interest::READABLE)?;
    println!("listening on ws://{}", listener.local_addr()?);
    // One buffer for all: what is in it is dealt with before another client is read.
    let (mut clients, mut buffer, mut ready) = (Clients::new(), vec![0; 64 * 1024], Vec::new());
    loop {
        match poll.poll(&mut events, wait(&clients, &ready)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        let now = Instant::now();
        ready.extend(events.iter().map(|event| event.token()));
        ready.extend(
            clients
                .iter()
                .filter(|(_, (_, echo))| is_due(echo, now))
                .map(|(token, _)| *token),
        );
        while let Ok((mut stream, _)) = listener.accept() {
            last.0 += 1;
            poll.registry()
                .register(&mut stream, last, Interest::READABLE | Interest::WRITABLE)?;
            clients.insert(last, (stream, Echo::new(now)));
        }
        for token in std::mem::take(&mut ready) {
            let Some((stream, echo)) = clients.get_mut(&token) else {
                continue;
            };
            match turn(stream, echo, &mut buffer, now) {
                Ok(true) => ready.push(token),
                Ok(false) if echo.transport() != Transport::Drop => {}
                Ok(false) | Err(_) => drop(clients.remove(&token)),
            }
        }
    }
}

/// How long nothing is due. All are asked here; with thousands of clients, a heap or a wheel knows.
fn wait(clients: &Clients, ready: &[Token]) -> Option<Duration> {
    if !ready.is_empty() {
        return Some(Duration::ZERO);
    }
    let dues = clients
        .values()
        .filter_map(|(_, echo)| echo.connection.poll_timeout());
    dues.min()
        .map(|due| due.saturating_duration_since(Instant::now()))
}

fn is_due(echo: &Echo, now: Instant) -> bool {
    echo.connection.poll_timeout().is_some_and(|due| due <= now)
}

/// Does what is due, and reads and writes; `true` if there is more to read, which mio does not say again.
fn turn(stream: &mut TcpStream, echo: &mut Echo, buffer: &mut [u8], now: Instant) -> Result<bool> {
    echo.handle_timeout(now)?;
    for _ in 0..READS_PER_TURN_MAX {
        echo.flush(|slices| stream.write_vectored(slices))?;
        if echo.transport() == Transport::HalfClose {
            stream.shutdown(Shutdown::Write)?;
        }
        if !echo.wants_input() {
            return Ok(false);
        }
        match stream.read(buffer) {
            Ok(0) => echo.connection.handle_eof(now),
            Ok(read) => echo.handle_input(&mut buffer[..read], now)?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}
