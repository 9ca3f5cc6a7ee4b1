//! `peers LIBRARY echo|relay PORT`: a server on someone else's crate, on one thread, as the crate's own example has it.
//!
//! Echo answers every message with itself. Relay has one room: every message goes to every connection, the sender's too.
//! Where a crate lets its caller choose, the choice is the faster one: answers to what arrived together are fed one by one
//! and flushed once, a task is not made to yield, Nagle's algorithm is off, messages may have any size.

mod axum;
mod fastwebsockets;
mod room;
mod sockudo;
mod stream;
mod tokio_websockets;
mod tungstenite;

use std::future::Future;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Larger than anything that the load sends.
const MESSAGE_BYTES_MAX: usize = 128 << 20;

/// What to do with a message.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Echo,
    Relay,
}

const USAGE: &str =
    "usage: peers fastwebsockets|tungstenite|tokio-websockets|axum|sockudo-ws echo|relay PORT";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [library, mode, port] = &words[..] else {
        panic!("{USAGE}");
    };
    let mode = match mode.as_str() {
        "echo" => Mode::Echo,
        "relay" => Mode::Relay,
        _ => panic!("{USAGE}"),
    };
    let port = port.parse().expect(USAGE);
    match library.as_str() {
        "fastwebsockets" => run(fastwebsockets::serve(mode, port)),
        "tungstenite" => run(tungstenite::serve(mode, port)),
        "tokio-websockets" => run(tokio_websockets::serve(mode, port)),
        "axum" => run(axum::serve(mode, port)),
        "sockudo-ws" => run(sockudo::serve(mode, port)),
        _ => panic!("{USAGE}"),
    }
}

fn run(server: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of one thread")
        .block_on(server);
}

fn listen(port: u16) -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option of sockets");
    socket
        .bind(([127, 0, 0, 1], port).into())
        .expect("the port is free");
    socket.listen(4096).expect("a bound socket listens")
}

/// Runs `connection` in a task of its own for each who connects, for ever.
async fn accept<Task>(port: u16, connection: impl Fn(TcpStream) -> Task)
where
    Task: Future<Output = ()> + Send + 'static,
{
    let listener = listen(port);
    loop {
        // An error is that of one who came and went.
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        tokio::spawn(tokio::task::unconstrained(connection(stream)));
    }
}
