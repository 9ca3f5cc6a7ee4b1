//! The thread with an engine that says lines and hears them again, and peers that behave or do not.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::spawn;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::version::TLS13;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use super::Remote;
use crate::client::Authorities;
use crate::clock::Now;
use crate::log::remote::{Action, Engine, Link, Target};
use crate::log::store_tests::draft;
use crate::log::{AppendError, Reply, Request, Traffic};

/// How long a test waits for what is to come; the slowest waits for three seconds to be over.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between the end of a link and the next.
const PAUSE: Duration = Duration::from_millis(20);

type Ends = Arc<Mutex<Vec<String>>>;

/// Says the number of each request in a line, with so much behind it, and answers when the number comes back; on a link that ends,
/// it says again on the next what has no answer.
struct Echo {
    target: Target,
    padding: usize,
    link: Link,
    is_open: bool,
    is_wanted: bool,
    next_at: Option<Instant>,
    unanswered: VecDeque<u32>,
    output: BytesMut,
    input: Vec<u8>,
    replies: Vec<Reply<u32>>,
    traffic: Traffic,
    ends: Ends,
}

impl Echo {
    fn new(host: &str, port: u16, ends: &Ends) -> Self {
        let host = host.to_owned();
        Self {
            target: Target { host, port },
            padding: 0,
            link: Link(0),
            is_open: false,
            is_wanted: true,
            next_at: None,
            unanswered: VecDeque::new(),
            output: BytesMut::new(),
            input: Vec::new(),
            replies: Vec::new(),
            traffic: Traffic::default(),
            ends: Arc::clone(ends),
        }
    }

    fn say(&mut self, number: u32) {
        let padding = self.padding;
        self.output
            .extend_from_slice(format!("{number} {:padding$}\n", "").as_bytes());
    }
}

impl Engine<u32> for Echo {
    fn request(&mut self, request: Request<u32>, _: Now) {
        let Request::Append(_, number) = request else {
            panic!("{request:?}");
        };
        self.traffic.commands += 1;
        self.unanswered.push_back(number);
        if self.is_open {
            self.say(number);
        }
    }

    fn opened(&mut self, link: Link, _: Now) {
        assert_eq!(link, self.link);
        self.is_open = true;
        for number in self.unanswered.clone() {
            self.say(number);
        }
    }

    fn received(&mut self, link: Link, bytes: &[u8], _: Now) {
        assert!(self.is_open && link == self.link);
        self.input.extend_from_slice(bytes);
        while let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            let line = String::from_utf8(line).unwrap();
            let number = line.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(self.unanswered.pop_front(), Some(number));
            self.replies
                .push(Reply::Appended(Err(AppendError::LogsFull), number));
        }
    }

    fn closed(&mut self, link: Link, why: &str, now: Now) {
        assert_eq!(link, self.link);
        self.ends.lock().unwrap().push(why.to_owned());
        self.is_open = false;
        self.output.clear();
        self.input.clear();
        self.next_at = Some(now.instant + PAUSE);
    }

    fn output(&mut self, _: Link) -> Option<&mut BytesMut> {
        self.is_open.then_some(&mut self.output)
    }

    fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    fn poll_action(&mut self) -> Option<Action> {
        std::mem::take(&mut self.is_wanted).then(|| {
            self.link.0 += 1;
            Action::Open(self.link, self.target.clone())
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.next_at
    }

    fn handle_timeout(&mut self, _: Now) {
        self.next_at = None;
        self.is_wanted = true;
    }

    fn take_replies(&mut self, replies: &mut Vec<Reply<u32>>) {
        replies.append(&mut self.replies);
    }

    fn leave(&mut self, _: Now) {}

    fn is_let_in(&self, link: Link) -> bool {
        link == self.link
    }

    fn is_idle(&self) -> bool {
        self.unanswered.is_empty()
    }
}

/// The thread, and what it answers.
struct Started {
    remote: Remote<u32>,
    answers: Receiver<u32>,
}

fn start(engine: Echo, tls: Option<Authorities>) -> Started {
    let (sender, answers) = channel();
    let outlet = move |replies: Vec<Reply<u32>>| {
        for reply in replies {
            let Reply::Appended(_, number) = reply else {
                panic!("{reply:?}");
            };
            // The test may have seen enough.
            let _ = Sender::send(&sender, number);
        }
    };
    let remote = Remote::start(move || engine, tls, outlet).unwrap();
    Started { remote, answers }
}

impl Started {
    fn ask(&self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            self.remote.send(Request::Append(draft("a", "1"), number));
        }
    }

    fn expect(&self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            assert_eq!(self.answers.recv_timeout(PATIENCE), Ok(number));
        }
    }
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Says each line again until nothing more comes.
fn echo(mut stream: impl Read + Write) {
    let mut buffer = [0; 4096];
    while let Ok(read) = stream.read(&mut buffer)
        && read > 0
        && stream.write_all(&buffer[..read]).is_ok()
    {}
}

fn wait_for_end(ends: &Ends, word: &str) {
    let begun = Instant::now();
    loop {
        if let Some(end) = ends.lock().unwrap().first() {
            assert!(end.contains(word), "{end}");
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "no end with {word:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_is_asked_is_answered_in_order() {
    let (listener, address) = listen();
    spawn(move || echo(listener.accept().unwrap().0));
    let ends = Ends::default();
    let started = start(Echo::new("127.0.0.1", address.port(), &ends), None);
    started.ask(0..1000);
    started.expect(0..1000);
    started.ask(1000..1001);
    started.expect(1000..1001);
    drop(started);
    assert_eq!(ends.lock().unwrap().len(), 0);
}

#[test]
fn a_name_stands_for_addresses_which_are_tried_one_after_the_other() {
    // `localhost` may be ::1 first, where nobody listens.
    let (listener, address) = listen();
    spawn(move || echo(listener.accept().unwrap().0));
    let started = start(
        Echo::new("localhost", address.port(), &Ends::default()),
        None,
    );
    started.ask(0..1);
    started.expect(0..1);
}

#[test]
fn a_peer_that_ends_the_connection_is_told_of_and_may_come_back() {
    let (listener, address) = listen();
    let ends = Ends::default();
    let started = start(Echo::new("127.0.0.1", address.port(), &ends), None);
    started.ask(0..10);
    // The first goes in the middle of a line.
    let (mut first, _) = listener.accept().unwrap();
    first.write_all(b"0 ").unwrap();
    drop(first);
    spawn(move || echo(listener.accept().unwrap().0));
    started.expect(0..10);
    let ends = ends.lock().unwrap();
    assert_eq!(ends.len(), 1);
    let (is_end, is_reset) = (ends[0].contains("ended"), ends[0].contains("broke"));
    assert!(is_end || is_reset, "{ends:?}");
}

#[test]
fn nobody_who_listens_is_told_of() {
    let (listener, address) = listen();
    drop(listener);
    let ends = Ends::default();
    let _started = start(Echo::new("127.0.0.1", address.port(), &ends), None);
    wait_for_end(&ends, "cannot connect to 127.0.0.1:");
}

#[test]
fn a_peer_that_does_not_answer_is_given_up() {
    // What is beyond its backlog gets no answer at all.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let soon = Duration::from_millis(200);
    let mut taken = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, soon) {
        taken.push(stream);
        assert!(taken.len() < 100, "the backlog is never full");
    }
    let ends = Ends::default();
    let _started = start(Echo::new("127.0.0.1", address.port(), &ends), None);
    wait_for_end(&ends, "did not answer for 3 s");
}

#[test]
fn who_does_not_read_holds_nobody_up_and_loses_nothing() {
    let (listener, address) = listen();
    let ends = Ends::default();
    let mut engine = Echo::new("127.0.0.1", address.port(), &ends);
    // More than sockets hold.
    engine.padding = 16 << 10;
    let started = start(engine, None);
    started.ask(0..2000);
    let (mut stream, _) = listener.accept().unwrap();
    // It is heard although it does not read.
    stream.write_all(b"0 \n1 \n").unwrap();
    started.expect(0..2);
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    for number in 0..2000 {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let (first, padding) = line.split_once(' ').unwrap();
        assert_eq!(
            (first, padding.len()),
            (&*number.to_string(), (16 << 10) + 1)
        );
        if number >= 2 {
            writeln!(stream, "{number} ").unwrap();
        }
    }
    started.expect(2..2000);
    assert_eq!(ends.lock().unwrap().len(), 0);
}

#[test]
fn a_server_that_stops_waits_for_answers() {
    let (listener, address) = listen();
    let started = start(
        Echo::new("127.0.0.1", address.port(), &Ends::default()),
        None,
    );
    started.ask(0..3);
    let Started { remote, answers } = started;
    let stopping = spawn(move || drop(remote));
    echo_in_pieces(listener.accept().unwrap().0);
    stopping.join().unwrap();
    assert_eq!(answers.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

/// The same, byte by byte.
fn echo_in_pieces(mut stream: TcpStream) {
    let mut byte = [0];
    while let Ok(1) = stream.read(&mut byte)
        && stream.write_all(&byte).is_ok()
    {}
}

#[test]
fn a_server_that_stops_does_not_wait_for_ever() {
    let (_listener, address) = listen();
    let started = start(
        Echo::new("127.0.0.1", address.port(), &Ends::default()),
        None,
    );
    started.ask(0..3);
    // It ends, which is all that there is to see.
    drop(started.remote);
    assert_eq!(started.answers.try_iter().count(), 0);
}

// ---- TLS ----

/// A certificate for a name, in a file that goes when the test ends well, and who shows it.
struct Identity {
    file: PathBuf,
    config: Arc<ServerConfig>,
}

impl Identity {
    fn new(test: &str) -> Self {
        let names = vec!["localhost".to_owned()];
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(names).unwrap();
        let name = format!("tidewire-logs-{test}-{}.pem", std::process::id());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        Self { file, config }
    }

    fn trusted(&self) -> Authorities {
        Authorities::new(Some(&self.file), "--log-ca", None).unwrap()
    }

    fn accept(&self, listener: &TcpListener) -> StreamOwned<ServerConnection, TcpStream> {
        let session = ServerConnection::new(Arc::clone(&self.config)).unwrap();
        StreamOwned::new(session, listener.accept().unwrap().0)
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

#[test]
fn tls_carries_the_same() {
    let identity = Identity::new("same");
    let trusted = identity.trusted();
    let (listener, address) = listen();
    let ends = Ends::default();
    let mut engine = Echo::new("localhost", address.port(), &ends);
    engine.padding = 10_000;
    let started = start(engine, Some(trusted));
    started.ask(0..500);
    spawn(move || echo(identity.accept(&listener)));
    started.expect(0..500);
    assert_eq!(ends.lock().unwrap().len(), 0);
}

#[test]
fn who_nobody_vouches_for_is_not_spoken_to() {
    let (identity, other) = (Identity::new("one"), Identity::new("other"));
    let trusted = other.trusted();
    let (listener, address) = listen();
    let ends = Ends::default();
    let _started = start(Echo::new("localhost", address.port(), &ends), Some(trusted));
    spawn(move || echo(identity.accept(&listener)));
    wait_for_end(&ends, "--log-ca FILE");
}

#[test]
fn a_peer_that_does_not_agree_on_tls_is_given_up() {
    for (word, is_silent) in [("did not answer for 3 s", true), ("TLS", false)] {
        let identity = Identity::new(if is_silent { "silent" } else { "deaf" });
        let (listener, address) = listen();
        let ends = Ends::default();
        let _started = start(
            Echo::new("localhost", address.port(), &ends),
            Some(identity.trusted()),
        );
        let (mut stream, _) = listener.accept().unwrap();
        if !is_silent {
            stream.write_all(b"-ERR unknown command\r\n").unwrap();
        }
        wait_for_end(&ends, word);
    }
}
