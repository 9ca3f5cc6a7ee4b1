//! Slow, broken and rude peers of a server that speaks TLS: each costs its own connection, as a plain one does, and no more.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use rustls::ClientConnection;
use tidewire_tests::http::{HttpConnection, get, send};
use tidewire_tests::wait::{PATIENCE, uninterrupted};
use tidewire_tests::websocket::handshake_request;
use tidewire_tests::wire::Wire;
use tidewire_tests::{Client, Identity, Launch, Server, wait_until};

fn start(arguments: &[&str]) -> Server {
    let identity = Identity::shared();
    Launch::default()
        .tls(&identity)
        .arguments(arguments)
        .start()
}

/// A socket on which nothing has been said.
#[track_caller]
fn connect(server: &Server) -> TcpStream {
    let socket = TcpStream::connect(server.address()).expect("the server accepts");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.set_nodelay(true).expect("TCP_NODELAY");
    socket
}

/// Everything until the server ends the connection, however it does.
#[track_caller]
fn read_to_end(socket: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match socket.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => {
            panic!("the server does not end the connection: {error}")
        }
        Ok(_) | Err(_) => bytes,
    }
}

/// Sends what TLS has to send a byte at a time, reads what comes, and returns what it means when there is something.
#[track_caller]
fn exchange_bytewise(tls: &mut ClientConnection, socket: &mut TcpStream) -> Vec<u8> {
    loop {
        let mut records = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut records).expect("a vector takes all");
        }
        for byte in records {
            socket.write_all(&[byte]).expect("the server takes it");
        }
        let mut heard = Vec::new();
        // It ends with WouldBlock.
        let _ = tls.reader().read_to_end(&mut heard);
        if !heard.is_empty() {
            return heard;
        }
        let read = uninterrupted(|| tls.read_tls(socket)).expect("an answer");
        assert!(read > 0, "no answer");
        tls.process_new_packets().expect("an answer that is TLS");
    }
}

#[test]
fn bytes_that_come_one_by_one_are_as_good_as_others() {
    let server = start(&[]);
    let (mut tls, mut socket) = (Identity::shared().connect(), connect(&server));
    let request = handshake_request("/echo", "");
    // Records of one byte, each in segments of one byte.
    for byte in request.as_bytes() {
        tls.writer().write_all(&[*byte]).expect("room for a byte");
    }
    let answer = exchange_bytewise(&mut tls, &mut socket);
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{answer:?}");
    // A text, masked with zeros.
    for byte in b"\x81\x85\0\0\0\0Hello" {
        tls.writer().write_all(&[*byte]).expect("room for a byte");
    }
    assert_eq!(exchange_bytewise(&mut tls, &mut socket), b"\x81\x05Hello");
}

#[test]
fn what_is_no_tls_ends_its_own_connection() {
    let server = start(&[]);
    let mut good = Client::open(server.address(), "/echo");
    let ones = [0xff; 5000];
    let zeros = [0; 5000];
    let huge = [&[22, 3, 1, 0xff, 0xff][..], &[1; 65_535]].concat();
    let endless = [
        &[22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff][..],
        &[22, 3, 1, 0, 1, 0],
    ]
    .concat();
    let garbage: [&[u8]; 6] = [
        &ones,
        &zeros,
        &huge,
        &endless,
        b"\x16\x03\x01\x00\x02\x01\x00\x17\x03\x03\x00\x01x",
        b"\x80\x2e\x01\x00\x02SSLv2 hello",
    ];
    for bytes in garbage {
        let mut socket = connect(&server);
        // It may be refused before all of it has arrived.
        let _ = socket.write_all(bytes);
        read_to_end(&mut socket);
        good.send_text("still here");
        assert_eq!(good.expect_text(), "still here");
    }
    let failures = garbage.len() as u64;
    server.wait_for_count("tls_failures", failures);
    assert_eq!(server.count("tls_failures"), failures);
    wait_until("none is left", || server.health().connections == 2);
}

#[test]
fn who_speaks_http_is_told_what_is_spoken_here() {
    let server = start(&[]);
    let mut socket = connect(&server);
    socket
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("the server takes it");
    let answer = String::from_utf8(read_to_end(&mut socket)).expect("text");
    assert!(
        answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
        "{answer}"
    );
    assert!(
        answer.ends_with("write https:// or wss:// instead.\n"),
        "{answer}"
    );
}

#[test]
fn a_peer_that_stalls_is_gone_by_the_deadline_wherever_it_is() {
    let server = start(&["--handshake-timeout", "4s"]);
    let before = server.usage();
    let mut stalled = Vec::new();
    for round in 0..40 {
        let (mut tls, mut socket) = (Identity::shared().connect(), connect(&server));
        let mut hello = Vec::new();
        tls.write_tls(&mut hello).expect("a vector takes all");
        match round % 4 {
            // Nothing at all.
            0 => {}
            // A part of the first message.
            1 => socket.write_all(&hello[..100]).expect("a part"),
            // All of it, and no answer to what comes.
            2 => socket.write_all(&hello).expect("a message"),
            // A handshake, and half a request.
            _ => {
                socket.write_all(&hello).expect("a message");
                let mut stream = rustls::Stream::new(&mut tls, &mut socket);
                stream.write_all(b"GET / HT").expect("half a request");
            }
        }
        stalled.push(socket);
    }
    for mut socket in stalled {
        read_to_end(&mut socket);
    }
    wait_until("nothing of them is left", || {
        server.usage().descriptors <= before.descriptors
    });
    assert_eq!(get(server.address(), "/").status, 200);
}

#[test]
fn readers_that_stop_reading_cost_a_bounded_part_of_memory() {
    const READERS: usize = 20;
    let server = start(&["--messages-per-second", "0"]);
    let bytes = vec![7; 8 << 20];
    let sent = send(server.address(), "POST", "/api/files", "", &bytes);
    let json = sent.json();
    let url = json["url"].as_str().expect("an address");
    assert_eq!(get(server.address(), url).body.len(), bytes.len());
    let before = server.usage().resident_bytes;
    let mut slow: Vec<_> = (0..READERS)
        .map(|_| {
            let wire = Wire::open_narrow(server.address());
            let mut connection = HttpConnection { wire };
            connection.request("GET", url, "");
            connection.wire.receive().expect("the first bytes");
            connection
        })
        .collect();
    // By the time that this one has all, a server that reads ahead would have read all for the others, too.
    assert_eq!(get(server.address(), url).body.len(), bytes.len());
    let grown = server.usage().resident_bytes.saturating_sub(before);
    let each = grown / READERS as u64;
    assert!(each < 256 << 10, "each costs {each} bytes of memory");
    let mut last = slow.pop().expect("one of them");
    assert!(last.response().body == bytes, "it goes on where it stopped");
}

#[test]
fn new_keys_again_and_again_end_the_connection_or_nothing() {
    let server = start(&[]);
    let (mut tls, mut socket) = (Identity::shared().connect(), connect(&server));
    tls.complete_io(&mut socket).expect("a handshake");
    let mut sent = 0;
    // Each is a record for the server to answer; rustls gives up on who only ever does that.
    for _ in 0..1000 {
        tls.refresh_traffic_keys().expect("after the handshake");
        if tls.write_tls(&mut socket).is_err() {
            break;
        }
        sent += 1;
    }
    read_to_end(&mut socket);
    assert!(sent > 0);
    server.wait_for_count("tls_failures", 1);
    assert_eq!(server.count("tls_failures"), 1);
}
