//! An echo server on `std::net`, a thread a connection: `cargo run --example blocking_echo -- 127.0.0.1:9001`.

mod echo;

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use echo::{Echo, Result};
use tidewire_protocol::Transport;

/// How long a peer may leave its echoes lying: a thread that writes does not watch the other timers.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".into());
    let listener = TcpListener::bind(address)?;
    println!("listening on ws://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(|| serve(stream).unwrap_or_else(|error| eprintln!("{error}")));
    }
    Ok(())
}

fn serve(mut stream: TcpStream) -> Result<()> {
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let (mut echo, mut buffer) = (Echo::new(Instant::now()), vec![0; 64 * 1024]);
    while echo.transport() != Transport::Drop {
        match read(&mut stream, &mut buffer, echo.connection.poll_timeout()) {
            Ok(0) => echo.connection.handle_eof(Instant::now()),
            Ok(read) => echo.handle_input(&mut buffer[..read], Instant::now())?,
            // The time is up, or a signal or a pause of the process has ended the wait.
            Err(error) if is_pause(error.kind()) => {}
            Err(error) => return Err(error.into()),
        }
        echo.handle_timeout(Instant::now())?;
        echo.flush(|slices| stream.write_vectored(slices))?;
        if echo.connection.unsent_bytes() > 0 {
            return Err("the client does not read".into());
        }
        if echo.transport() == Transport::HalfClose {
            stream.shutdown(Shutdown::Write)?;
        }
    }
    Ok(())
}

fn is_pause(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Reads once, no longer than until something is due.
fn read(stream: &mut TcpStream, buffer: &mut [u8], due: Option<Instant>) -> io::Result<usize> {
    let wait = due.map(|due| due.saturating_duration_since(Instant::now()));
    // No time at all would mean for ever.
    stream.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
    stream.read(buffer)
}
