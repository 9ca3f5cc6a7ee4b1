//! Slowloris: crowds that hold connections open half-way, each in another way, for as long as they are let. All are gone when
//! their time is up, and meanwhile everybody else is served. `cargo xtask chaos slowloris` does it with 10,000 of each kind.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tidewire_tests::crowd::{self, connect};
use tidewire_tests::wait::{PATIENCE, number_from};
use tidewire_tests::websocket::handshake_request;
use tidewire_tests::{Chatter, Identity, Issuer, Launch, Server, wait_until};

/// How a connection is held open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It says nothing.
    Silent,
    /// A request head that comes byte by byte.
    Head,
    /// A body that does.
    Body,
    /// A PROXY protocol header that does.
    Preface,
    /// A WebSocket that says nothing, and answers no ping.
    Mute,
    /// The first message of TLS, byte by byte.
    Hello,
    /// A TLS connection on which nothing is said.
    Shaken,
    /// A WebSocket of the chat that shows no token, where one is asked for.
    Unproven,
}

impl Kind {
    fn beginning(self) -> Vec<u8> {
        let text = match self {
            Self::Hello => {
                let mut hello = Vec::new();
                let mut tls = Identity::shared().connect();
                tls.write_tls(&mut hello).expect("a vector takes all");
                hello.truncate(50);
                return hello;
            }
            Self::Silent | Self::Shaken => String::new(),
            Self::Head => "GET /ws HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".to_owned(),
            Self::Body => "POST /api/rooms/r/messages HTTP/1.1\r\nHost: localhost\r\n\
                           Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
                .to_owned(),
            Self::Preface => "PROXY UNKNOWN ".to_owned(),
            Self::Mute | Self::Unproven => handshake_request("/ws", ""),
        };
        text.into_bytes()
    }

    const fn is_dripping(self) -> bool {
        matches!(self, Self::Head | Self::Body | Self::Preface | Self::Hello)
    }

    const fn is_of_tls(self) -> bool {
        matches!(self, Self::Hello | Self::Shaken)
    }
}

/// One of the crowd.
struct Slow {
    stream: TcpStream,
    came_at: Instant,
    /// How long it was let.
    stayed: Option<Duration>,
}

impl Slow {
    fn come(number: usize, server: &Server, kind: Kind) -> Self {
        let mut stream = connect(number, server.address()).expect("a connection");
        let came_at = Instant::now();
        let begun = stream.write_all(&kind.beginning());
        begun.expect("what the kernel takes");
        if kind == Kind::Shaken {
            let shaken = Identity::shared().connect().complete_io(&mut stream);
            shaken.expect("a TLS connection");
        }
        stream.set_nonblocking(true).expect("a socket");
        Self {
            stream,
            came_at,
            stayed: None,
        }
    }

    fn look(&mut self, drips: bool) {
        let mut buffer = [0; 1024];
        if drips && self.stream.write_all(b"x").is_err() {
            return self.leave();
        }
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return self.leave(),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.leave(),
            }
        }
    }

    fn leave(&mut self) {
        self.stayed = Some(self.came_at.elapsed());
        // Its end, which the server waits for.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// Good clients that come, are answered and go, until they are told to end.
fn good_clients(
    (server, query): (&Server, &str),
    ends: &AtomicBool,
    served: &AtomicUsize,
    wanted: usize,
) {
    while !ends.load(Ordering::Relaxed) || served.load(Ordering::Relaxed) < wanted {
        let mut chatter = Chatter::connect(server, query);
        chatter.client.expect_alive();
        chatter.client.close();
        served.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(5));
    }
}

/// Lets them come and waits until all are gone; returns how long the last was let.
fn wait_for_all_to_be_gone(server: &Server, kind: Kind, count: usize, time: Duration) -> Duration {
    let mut slow: Vec<Slow> = (0..count)
        .map(|number| Slow::come(number, server, kind))
        .collect();
    let (drip_every, deadline) = (time / 5, Instant::now() + time + PATIENCE);
    let mut dripped_at = Instant::now();
    loop {
        let drips = kind.is_dripping() && dripped_at.elapsed() >= drip_every;
        if drips {
            dripped_at = Instant::now();
        }
        let open = slow.iter_mut().filter(|slow| slow.stayed.is_none());
        let mut left = 0;
        for slow in open {
            slow.look(drips);
            left += usize::from(slow.stayed.is_none());
        }
        if left == 0 {
            return slow
                .iter()
                .filter_map(|slow| slow.stayed)
                .max()
                .unwrap_or_default();
        }
        assert!(
            Instant::now() < deadline,
            "{left} of {count} are still there: {kind:?}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a crowd of a kind beside good clients.
fn hold_out(kind: Kind) {
    let (count, good) = (
        number_from("TIDEWIRE_SLOW", 500),
        number_from("TIDEWIRE_GOOD", 50),
    );
    let seconds = number_from("TIDEWIRE_SLOW_SECONDS", 6);
    rlimit::increase_nofile_limit(u64::MAX).expect("the limit of descriptors");
    let time = format!("{seconds}s");
    let mut arguments = vec!["--handshake-timeout", &time, "--close-timeout", "1s"];
    // Who is asked for a token is not to be gone for want of a pong.
    let heartbeat = if kind == Kind::Unproven { "1h" } else { &time };
    arguments.extend([
        "--heartbeat",
        heartbeat,
        "--pong-wait",
        "1s",
        "--keep-alive",
        &time,
    ]);
    if kind == Kind::Preface {
        arguments.extend(["--proxy-protocol", "--trusted-proxy"]);
        arguments.push(crowd::ADDRESSES);
    }
    let issuer = (kind == Kind::Unproven).then(Issuer::new);
    let server = match &issuer {
        Some(issuer) => issuer.server(&arguments),
        None if kind.is_of_tls() => {
            let launch = Launch::default().tls(&Identity::shared());
            launch.arguments(&arguments).start()
        }
        None => Server::start_with(&arguments),
    };
    let query = issuer.map_or_else(String::new, |issuer| {
        format!("token={}", issuer.token("good", &[]))
    });
    let before = server.usage().descriptors;
    let (ends, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let longest = thread::scope(|scope| {
        let serving = scope.spawn(|| good_clients((&server, &query), &ends, &served, good));
        let time = Duration::from_secs(seconds as u64);
        let longest = wait_for_all_to_be_gone(&server, kind, count, time);
        ends.store(true, Ordering::Relaxed);
        serving.join().expect("every good client is served");
        longest
    });
    wait_until("their descriptors are free", || {
        server.usage().descriptors <= before
    });
    let served = served.load(Ordering::Relaxed);
    println!(
        "{count} {kind:?}, who have {seconds} s: the last was gone after {:.2} s; {served} good clients, no error",
        longest.as_secs_f64()
    );
}

#[test]
fn who_connects_and_says_nothing_is_gone_in_time() {
    hold_out(Kind::Silent);
}

#[test]
fn who_sends_a_head_byte_by_byte_is_gone_in_time() {
    hold_out(Kind::Head);
}

#[test]
fn who_sends_a_body_byte_by_byte_is_gone_in_time() {
    hold_out(Kind::Body);
}

#[test]
fn who_sends_a_proxy_header_byte_by_byte_is_gone_in_time() {
    hold_out(Kind::Preface);
}

#[test]
fn who_opens_a_websocket_and_is_mute_is_gone_in_time() {
    hold_out(Kind::Mute);
}

#[test]
fn who_begins_tls_byte_by_byte_is_gone_in_time() {
    hold_out(Kind::Hello);
}

#[test]
fn who_says_nothing_over_tls_is_gone_in_time() {
    hold_out(Kind::Shaken);
}

#[test]
fn who_opens_a_websocket_and_shows_no_token_is_gone_in_time() {
    hold_out(Kind::Unproven);
}
