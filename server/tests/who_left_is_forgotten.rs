//! What the server holds of clients that came, talked and went, counted to the byte by the allocator of this process, in which the
//! whole server runs. The resident memory of a process cannot tell a table that never forgets from what the allocator keeps
//! for itself; this can: a few bytes for each client are seen after some thousand of them.
//!
//! What is kept on purpose has a bound, and is at it before the counting begins: sessions that ended (a few come back again and
//! again), messages of a log, messages of a ring. Ended connections are not recorded here: of those, the archive has tests.

#![allow(
    clippy::unwrap_used,
    unsafe_code,
    reason = "a panic is how a test fails; an allocator is an unsafe trait, and this one only counts and passes on"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tidewire::config::{Config, Observe, RecorderOptions, Switch};
use tidewire::log::{Keep, Retention, Rule, Rules, Slow};
use tidewire::net::Server;

/// Clients that must not add to what is held.
const CLIENTS: u32 = 2000;

/// ... and before them so many, and for so long: a round of the timer wheel is 51 s, after which each of its slots has its memory.
const WARM_UP: u32 = 1000;
const WARM_UP_TIME: Duration = Duration::from_secs(53);

/// By how much tables may differ that are swept now and then, as the one of keys is: 16 bytes a client would be more.
const LEFT_BYTES_MAX: isize = 16 * CLIENTS as isize;

/// Deadlines of connections that are gone stay in the timer wheel until they are over: here that is soon.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Home has what is one for all, and of the other it hears by mail.
const WORKERS: usize = 2;

struct Counting;

static HELD: AtomicIsize = AtomicIsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is passed on to `System` as it came; the counter is a number.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size() as isize, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let growth = size as isize - layout.size() as isize;
        HELD.fetch_add(growth, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[test]
fn of_clients_that_came_and_went_nothing_is_left() {
    let directory = std::env::temp_dir().join(format!("tidewire-left-{}", std::process::id()));
    let address = serve(&directory);
    let began = Instant::now();
    let mut number = 0;
    while number < WARM_UP || began.elapsed() < WARM_UP_TIME {
        come_and_go(address, number);
        number += 1;
    }
    let before = held_by_nobody(address);
    (number..number + CLIENTS).for_each(|number| come_and_go(address, number));
    let after = held_by_nobody(address);
    println!("{before} bytes after {number} clients, and {after} after {CLIENTS} more");
    assert!(
        after - before < LEFT_BYTES_MAX,
        "{before} bytes were held after {number} clients, and {after} after {CLIENTS} more"
    );
    std::fs::remove_dir_all(directory).unwrap();
}

/// A server that runs until this process ends.
fn serve(data: &Path) -> SocketAddr {
    std::fs::create_dir_all(data).unwrap();
    let retention = Retention {
        entries_max: 20,
        ..Retention::default()
    };
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        workers: WORKERS,
        data: Some(data.to_owned()),
        rules: Arc::new(Rules::new(Rule {
            keep: Keep::Durable,
            retention,
            slow: Slow::Resume,
        })),
        heartbeat: TIMEOUT,
        handshake_timeout: TIMEOUT,
        keep_alive: TIMEOUT,
        // A ring full of canaries takes minutes.
        observe: Observe {
            canary: Duration::from_secs(3600),
            ..Observe::default()
        },
        recorder: RecorderOptions {
            recorder: Switch::Off,
        },
        ..Config::default()
    };
    let server = Server::start(&config).unwrap();
    let address = server.local_address().unwrap();
    thread::spawn(move || server.run().unwrap());
    address
}

/// What is held once all connections are gone and nothing more is let go of.
fn held_by_nobody(address: SocketAddr) -> isize {
    let (mut least, mut since) = (isize::MAX, Instant::now());
    let deadline = since + Duration::from_secs(120);
    while since.elapsed() < 2 * TIMEOUT {
        let health = request(address, "GET", "/health", b"");
        assert!(Instant::now() < deadline, "{health}");
        thread::sleep(Duration::from_millis(100));
        let held = HELD.load(Ordering::Relaxed);
        // The one that asks is there.
        if held < least || !health.contains("\"connections\":1,") {
            since = Instant::now();
        }
        least = least.min(held);
    }
    least
}

// ---- clients ----

fn come_and_go(address: SocketAddr, number: u32) {
    match number % 10 {
        0 => listen(address, number),
        1 => poll(address, number),
        2 => echo(address),
        3 => relay(address, number),
        // Who comes back, and is remembered.
        4 => talk(address, &format!("often-{}", number % 50), false, number),
        _ => talk(address, &format!("once-{number}"), true, number),
    }
}

/// A person with a WebSocket: joins, writes and reads, is told of mistakes, and goes by a close, an end or a reset.
fn talk(address: SocketAddr, user: &str, leaves: bool, number: u32) {
    let room = format!("room-{}", number % 7);
    let query = format!("/ws?userId={user}&session=of-{user}&room={room}&room=lobby");
    let mut line = Line::open(address, &query);
    line.say(&format!(
        r#"{{"type":"join_room","roomId":"only-{number}"}}"#
    ));
    line.say(&format!(
        r#"{{"type":"leave_room","roomId":"only-{number}"}}"#
    ));
    line.say(&format!(r#"{{"type":"typing","roomId":"{room}"}}"#));
    line.say(&format!(
        r#"{{"type":"history","roomId":"{room}","limit":5}}"#
    ));
    line.say(r#"{"type":"private_msg","toUser":"often-4","content":"x"}"#);
    line.say("no command");
    line.say(&format!(
        r#"{{"type":"room_msg","roomId":"{room}","content":"{number}","seq":{number}}}"#
    ));
    line.hear("\"ack\"");
    if leaves {
        for room in [room.as_str(), "lobby"] {
            line.say(&format!(r#"{{"type":"leave_room","roomId":"{room}"}}"#));
        }
    }
    line.say(r#"{"type":"heartbeat"}"#);
    line.hear("\"heartbeat\"");
    line.end(number);
}

fn echo(address: SocketAddr) {
    let mut line = Line::open(address, "/echo");
    line.say("again");
    line.hear("again");
    line.end(0);
}

fn relay(address: SocketAddr, number: u32) {
    let mut line = Line::open(address, &format!("/relay?room=r-{number}&self=1"));
    line.say("on");
    line.end(number);
}

fn listen(address: SocketAddr, number: u32) {
    let mut stream = TcpStream::connect(address).unwrap();
    let (user, room) = (format!("often-{}", number % 50), number % 7);
    let path = format!("/sse?userId={user}&session=of-{user}&room=room-{room}");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    read_until(&mut stream, "\"joined\"");
    publish(address, number);
    read_until(&mut stream, "\"room_msg\"");
}

fn poll(address: SocketAddr, number: u32) {
    let path = format!(
        "/poll?userId=often-1&session=of-often-1&room=room-{}",
        number % 7
    );
    request(address, "GET", &path, b"");
    publish(address, number);
    let file = request(address, "POST", "/api/files", &[7; 3000]);
    assert!(file.contains("\"url\""), "{file}");
}

/// Says something over HTTP.
fn publish(address: SocketAddr, number: u32) {
    let path = format!("/api/rooms/room-{}/messages", number % 7);
    let body = format!(r#"{{"content":"{number}"}}"#);
    let kept = request(address, "POST", &path, body.as_bytes());
    assert!(kept.contains("\"offset\""), "{kept}");
}

/// Asks for something, and returns the whole answer.
fn request(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    )
    .unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    answer
}

/// Reads until this has come, which is not cut by what is read.
fn read_until(stream: &mut TcpStream, text: &str) {
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
    while !heard
        .windows(text.len())
        .any(|window| window == text.as_bytes())
    {
        let count = match stream.read(&mut buffer) {
            // The machine has stood still.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            count => count.unwrap(),
        };
        let so_far = String::from_utf8_lossy(&heard);
        assert!(count > 0, "{text} did not come: {so_far}");
        heard.extend_from_slice(&buffer[..count]);
    }
}

/// A WebSocket whose messages are only looked through.
struct Line(TcpStream);

impl Line {
    fn open(address: SocketAddr, path: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        .unwrap();
        read_until(&mut stream, " 101 ");
        Self(stream)
    }

    fn say(&mut self, text: &str) {
        self.send(0x81, text.as_bytes());
    }

    /// Sends a frame, masked with zeros.
    fn send(&mut self, first: u8, payload: &[u8]) {
        let length = payload.len() as u16;
        let mut frame = vec![first];
        match length {
            0..126 => frame.push(0x80 | length as u8),
            _ => {
                frame.push(0xfe);
                frame.extend(length.to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend_from_slice(payload);
        self.0.write_all(&frame).unwrap();
    }

    fn hear(&mut self, text: &str) {
        read_until(&mut self.0, text);
    }

    /// Closes; ends without a word; or leaves unread what came, so that the kernel resets the connection.
    fn end(mut self, number: u32) {
        match number % 7 {
            0 => {}
            1 => self.say(r#"{"type":"heartbeat"}"#),
            _ => {
                self.send(0x88, &1000_u16.to_be_bytes());
                let mut rest = [0; 4096];
                loop {
                    match self.0.read(&mut rest) {
                        Ok(0) => break,
                        Ok(_) => {}
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }
    }
}
