//! Those who say numbers by POST: each in a room of its own, one number after another, each as often as it takes until a node
//! has acknowledged it. They tell when something works again.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Shared, lock};

/// Between an ack and the next number.
const PAUSE: Duration = Duration::from_millis(100);

/// What became of a number.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// The number.
    pub number: u64,
    /// When it was tried first.
    pub began: Instant,
    /// How long it took to its ack.
    pub took: Duration,
    /// How many nodes it needed.
    pub tries: u32,
}

/// A poster in a thread of its own.
#[derive(Debug)]
pub(super) struct Poster {
    said: Arc<Mutex<Vec<Said>>>,
    thread: Option<JoinHandle<()>>,
}

impl Poster {
    /// Starts one that posts to the node of its room's number, and to the next ones where that does not answer.
    pub(super) fn start(shared: &Arc<Shared>, room: usize) -> Self {
        let said = Arc::new(Mutex::new(Vec::new()));
        let (shared, kept) = (Arc::clone(shared), Arc::clone(&said));
        let thread = thread::spawn(move || {
            let mut node = room;
            for number in 1.. {
                let (began, mut tries) = (Instant::now(), 1);
                shared.begins(room, began);
                // What was tried is said to the end, so that it is known whether it has to be there.
                while !is_acked(shared.nodes[node % shared.nodes.len()], room, number) {
                    if shared.is_over() {
                        return;
                    }
                    (tries, node) = (tries + 1, node + 1);
                    thread::sleep(PAUSE);
                }
                let took = began.elapsed();
                lock(&kept).push(Said {
                    number,
                    began,
                    took,
                    tries,
                });
                if shared.is_quiet.load(Ordering::Relaxed) {
                    return;
                }
                thread::sleep(PAUSE);
            }
        });
        let thread = Some(thread);
        Self { said, thread }
    }

    /// The first number that was tried after a moment, if it was acknowledged.
    pub(super) fn first_since(&self, moment: Instant) -> Option<Said> {
        let said = lock(&self.said);
        let from = said.partition_point(|said| said.began < moment);
        said.get(from).copied()
    }

    /// All that was acknowledged.
    pub(super) fn said(&self) -> Vec<Said> {
        lock(&self.said).clone()
    }

    /// Whether it has said its last.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for its end.
    #[track_caller]
    pub(super) fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a poster does not panic");
        }
    }
}

fn is_acked(node: SocketAddr, room: usize, number: u64) -> bool {
    post(node, room, number).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
}

fn post(node: SocketAddr, room: usize, number: u64) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&node, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(8)))?;
    let body =
        format!(r#"{{"content":{number},"from":"pulse","session":"pulse-{room}","seq":{number}}}"#);
    let request = format!(
        "POST /api/rooms/pulse-{room}/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
