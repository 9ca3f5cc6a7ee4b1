//! An echo server on tokio, a task a connection: `cargo run --example tokio_echo -- 127.0.0.1:9001`.

mod echo;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use echo::{Echo, Result};
use tidewire_protocol::Transport;
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout_at;

/// The wait of a connection that has no timer.
const LONG: Duration = Duration::from_secs(3600);

fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".into());
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build()?.block_on(listen(&address))
}

async fn listen(address: &str) -> Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async {
            if let Err(error) = serve(stream).await {
                eprintln!("{error}");
            }
        });
    }
}

async fn serve(mut stream: TcpStream) -> Result<()> {
    let (mut echo, mut buffer) = (Echo::new(Instant::now()), vec![0; 64 * 1024]);
    while echo.transport() != Transport::Drop {
        let due = echo.connection.poll_timeout();
        let due = due.unwrap_or_else(|| Instant::now() + LONG);
        let ready = timeout_at(due.into(), stream.ready(interest(&echo))).await;
        if let Ok(ready) = ready
            && ready?.is_readable()
        {
            match stream.try_read(&mut buffer) {
                Ok(0) => echo.connection.handle_eof(Instant::now()),
                Ok(read) => echo.handle_input(&mut buffer[..read], Instant::now())?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        // Also where there is always something to read: a timer that is due does not wait for silence.
        echo.handle_timeout(Instant::now())?;
        echo.flush(|slices| stream.try_write_vectored(slices))?;
        if echo.transport() == Transport::HalfClose {
            stream.shutdown().await?;
        }
    }
    Ok(())
}

/// What to wait for; who is not read has something unsent, so that this is never nothing.
fn interest(echo: &Echo) -> Interest {
    match (echo.wants_input(), echo.connection.unsent_bytes()) {
        (true, 0) => Interest::READABLE,
        (true, _) => Interest::READABLE | Interest::WRITABLE,
        (false, _) => Interest::WRITABLE,
    }
}
