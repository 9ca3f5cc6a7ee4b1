//! Sessions against rustls' client, over sockets that are vectors: any piece of the stream may come, or be taken, by itself.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;

use rustls::SupportedProtocolVersion;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};

use super::*;

/// A socket that gives and takes so much at once.
struct Socket {
    incoming: Vec<u8>,
    read_max: usize,
    outgoing: Vec<u8>,
    room: usize,
}

impl Socket {
    fn new(read_max: usize) -> Self {
        Self {
            incoming: Vec::new(),
            read_max,
            outgoing: Vec::new(),
            room: usize::MAX,
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.read_max).min(self.incoming.len());
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        buffer[..count].copy_from_slice(&self.incoming[..count]);
        self.incoming.drain(..count);
        Ok(count)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.room);
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.room -= count;
        self.outgoing.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Both ends, and what the server understood.
struct Pair {
    client: ClientConnection,
    session: Session,
    socket: Socket,
    heard: Vec<u8>,
    client_heard: Vec<u8>,
    has_ended: bool,
    news: Vec<News>,
}

impl Pair {
    fn new(version: &'static SupportedProtocolVersion, read_max: usize) -> Self {
        let names = vec!["localhost".to_owned()];
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(names).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS12, &TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        Self {
            client: ClientConnection::new(Arc::new(client), name).unwrap(),
            session: Session::new(Arc::new(server)).unwrap(),
            socket: Socket::new(read_max),
            heard: Vec::new(),
            client_heard: Vec::new(),
            has_ended: false,
            news: Vec::new(),
        }
    }

    fn shaken(version: &'static SupportedProtocolVersion) -> Self {
        let mut pair = Self::new(version, usize::MAX);
        pair.drive();
        assert_eq!(pair.news, [News::Shaken]);
        pair
    }

    /// Lets both say what they have to, until neither has anything.
    fn drive(&mut self) {
        loop {
            while self.client.wants_write() {
                self.client.write_tls(&mut self.socket.incoming).unwrap();
            }
            let is_quiet = self.socket.incoming.is_empty();
            self.read_all();
            self.session.flush(&mut self.socket).unwrap();
            let answer = std::mem::take(&mut self.socket.outgoing);
            if is_quiet && answer.is_empty() {
                return;
            }
            let mut answer = &answer[..];
            while !answer.is_empty() && self.client.read_tls(&mut answer).unwrap() > 0 {
                if self.client.process_new_packets().is_err() {
                    return;
                }
                // It takes no more than it has room for. This ends with WouldBlock.
                let _ = self.client.reader().read_to_end(&mut self.client_heard);
            }
        }
    }

    fn read_all(&mut self) {
        let mut buffer = vec![0; 512 << 10];
        loop {
            let received = self.session.read(&mut self.socket, &mut buffer, 16 << 10);
            self.news.extend(self.session.take_news());
            match received.unwrap() {
                Received::Bytes { count, .. } => self.heard.extend_from_slice(&buffer[..count]),
                Received::End => return self.has_ended = true,
                Received::Nothing => return,
            }
        }
    }

    fn client_says(&mut self, bytes: &[u8]) {
        self.client.set_buffer_limit(None);
        self.client.writer().write_all(bytes).unwrap();
    }

    /// What the client has understood.
    fn client_heard(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.client_heard)
    }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| ((n * 31) >> 3) as u8).collect()
}

#[test]
fn what_a_client_says_arrives_however_it_is_cut() {
    for version in [&TLS12, &TLS13] {
        for read_max in [1, 2, 7, 100, 16 << 10, usize::MAX] {
            let mut pair = Pair::new(version, read_max);
            let said = pattern(50_000);
            pair.client_says(&said);
            pair.drive();
            assert_eq!(pair.news, [News::Shaken]);
            assert!(pair.heard == said, "{version:?}, {read_max} bytes at once");
            assert_eq!(pair.session.partial.capacity(), 0, "it has a buffer");
            assert_eq!(pair.session.sealed.capacity(), 0, "it has a buffer");
        }
    }
}

#[test]
fn records_of_one_byte_are_as_good_as_others() {
    let mut pair = Pair::shaken(&TLS13);
    let said = pattern(3000);
    for byte in &said {
        pair.client.writer().write_all(&[*byte]).unwrap();
        pair.client.write_tls(&mut pair.socket.incoming).unwrap();
    }
    pair.drive();
    assert!(pair.heard == said);
}

#[test]
fn what_is_written_arrives_whatever_the_socket_takes_at_once() {
    let said = pattern(100_000);
    for version in [&TLS12, &TLS13] {
        for room in [1000, 16 << 10, 40_000, usize::MAX] {
            let mut pair = Pair::shaken(version);
            let (mut sent, mut heard) = (0, Vec::new());
            while sent < said.len() {
                pair.socket.room = room;
                let rest = &said[sent..];
                let (one, two) = rest.split_at(rest.len().min(700));
                let slices = [IoSlice::new(one), IoSlice::new(&[]), IoSlice::new(two)];
                match pair.session.write(&mut pair.socket, &slices) {
                    Ok(taken) => sent += taken,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
                assert!(
                    pair.session.unsent_bytes() <= SEALED_BYTES_MAX + RECORD_OVERHEAD,
                    "it encrypts ahead of its socket"
                );
                pair.socket.room = usize::MAX;
                pair.drive();
                heard.extend(pair.client_heard());
            }
            assert!(heard == said, "{version:?}, {room} bytes at once");
        }
    }
}

#[test]
fn what_a_socket_does_not_take_is_a_record_and_no_more() {
    let mut pair = Pair::shaken(&TLS13);
    pair.socket.room = 0;
    let said = pattern(1 << 20);
    let taken = pair.session.write(&mut pair.socket, &[IoSlice::new(&said)]);
    assert_eq!(taken.unwrap(), SEALED_BYTES_MAX);
    let again = pair.session.write(&mut pair.socket, &[IoSlice::new(&said)]);
    assert_eq!(again.unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn an_end_is_told_behind_what_came_before_it() {
    let mut pair = Pair::shaken(&TLS13);
    pair.client_says(b"bye");
    pair.client.send_close_notify();
    pair.drive();
    assert_eq!((&pair.heard[..], pair.has_ended), (&b"bye"[..], true));
    assert_eq!(pair.session.failure(), None);
    // Our half goes on.
    pair.session
        .write(&mut pair.socket, &[IoSlice::new(b"and you")])
        .unwrap();
    pair.session.close(&mut pair.socket);
    pair.drive();
    assert_eq!(pair.client_heard(), b"and you");
    let end = pair.client.process_new_packets().unwrap();
    assert!(end.peer_has_closed(), "without close_notify");
    let late = pair.session.write(&mut pair.socket, &[IoSlice::new(b"x")]);
    assert_eq!(late.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn new_keys_are_taken_and_given() {
    let mut pair = Pair::shaken(&TLS13);
    for round in 0..4 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.client_says(&[round]);
        pair.drive();
        pair.session
            .write(&mut pair.socket, &[IoSlice::new(&[round])])
            .unwrap();
        pair.drive();
        assert_eq!(pair.client_heard(), [round]);
    }
    assert_eq!(pair.heard, [0, 1, 2, 3]);
}

#[test]
fn what_is_no_tls_is_refused_with_an_alert() {
    let mut pair = Pair::new(&TLS13, usize::MAX);
    // What an application says, before anything was agreed on.
    pair.socket.incoming = b"\x17\x03\x03\x00\x05hello and more that is nothing".to_vec();
    pair.read_all();
    assert!(pair.has_ended);
    assert_eq!(pair.news, [News::Failed]);
    assert!(pair.session.failure().is_some_and(|why| !why.is_empty()));
    assert!(pair.session.flush(&mut pair.socket).unwrap());
    // An alert (RFC 8446 §6) of the level "fatal".
    assert_eq!(pair.socket.outgoing[0], 21);
    assert_eq!(pair.socket.outgoing[5], 2);
    assert_eq!(pair.socket.outgoing.len(), 7, "it is said once");
}

#[test]
fn an_alert_of_the_peer_is_remembered() {
    let mut pair = Pair::new(&TLS13, usize::MAX);
    // It trusts nobody that we could be.
    let stranger = Pair::new(&TLS13, usize::MAX).client;
    pair.client = stranger;
    pair.drive();
    while pair.client.wants_write() {
        pair.client.write_tls(&mut pair.socket.incoming).unwrap();
    }
    pair.read_all();
    let why = pair.session.failure().unwrap();
    assert!(
        why.contains("UnknownCA") || why.contains("BadCertificate") || why.contains("DecryptError"),
        "{why}"
    );
}

#[test]
fn http_is_answered_in_its_own_words() {
    let mut pair = Pair::new(&TLS13, 3);
    pair.socket.incoming = b"GET / HTTP/1.1\r\n\r\n".to_vec();
    pair.read_all();
    assert!(pair.session.flush(&mut pair.socket).unwrap());
    let answer = String::from_utf8(pair.socket.outgoing).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
    assert_eq!(pair.news, [News::Failed]);
}

#[test]
fn what_came_in_part_or_waits_to_leave_is_counted_as_held() {
    for version in [&TLS12, &TLS13] {
        let mut pair = Pair::shaken(version);
        assert_eq!(pair.session.held_bytes(), 0);
        pair.client_says(&pattern(16 << 10));
        while pair.client.wants_write() {
            pair.client.write_tls(&mut pair.socket.incoming).unwrap();
        }
        // A record without its last byte.
        let last = pair.socket.incoming.pop().unwrap();
        pair.read_all();
        let held = pair.session.held_bytes();
        assert!(held >= 16 << 10, "{held}");
        pair.socket.incoming.push(last);
        pair.read_all();
        assert_eq!(pair.session.held_bytes(), 0);

        pair.socket.room = 100;
        let taken = pair
            .session
            .write(&mut pair.socket, &[IoSlice::new(&pattern(1000))]);
        assert_eq!(taken.unwrap(), 1000);
        let (held, unsent) = (pair.session.held_bytes(), pair.session.unsent_bytes());
        assert!(unsent > 0 && held >= unsent, "{held} {unsent}");
    }
}

#[test]
fn a_first_message_that_never_ends_is_not_waited_for() {
    let mut pair = Pair::new(&TLS13, usize::MAX);
    // A ClientHello of 16 MB, in records of one byte.
    let mut fragments = vec![1, 0xff, 0xff, 0xff];
    fragments.resize(RECORD_BYTES_MAX + 10, 0);
    for byte in fragments {
        pair.socket.incoming.extend([22, 3, 1, 0, 1, byte]);
    }
    pair.read_all();
    assert!(pair.has_ended);
    assert_eq!(pair.news, [News::Failed]);
    assert_eq!(pair.session.partial.capacity(), 0);
}
