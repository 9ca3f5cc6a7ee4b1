//! The protocol crate's examples do what they say: each echo server serves clients that are not ours, whichever loop is
//! around it, holds who does not read, and closes as the RFC asks for.

use tidewire_tests::http::HttpConnection;
use tidewire_tests::script::Script;
use tidewire_tests::websocket::{assert_agrees, handshake_request};
use tidewire_tests::wire::Wire;
use tidewire_tests::{Client, Example, Frame, example};

const ECHO_SERVERS: [&str; 3] = ["blocking_echo", "mio_echo", "tokio_echo"];

#[test]
fn echo_servers_serve_clients_beside_each_other() {
    for name in ECHO_SERVERS {
        let server = Example::start(name);
        let open = |_| Client::open(server.address(), "/");
        let mut clients: Vec<_> = (0..20).map(open).collect();
        for (index, client) in clients.iter_mut().enumerate() {
            client.send_text(&format!("from {index}"));
        }
        for (index, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.expect_text(), format!("from {index}"), "{name}");
        }
        for mut client in clients {
            client.expect_alive();
            client.close();
        }
    }
}

#[test]
fn echo_servers_take_a_handshake_that_comes_byte_by_byte() {
    for name in ECHO_SERVERS {
        let server = Example::start(name);
        let mut wire = Wire::open(server.address());
        for byte in handshake_request("/", "").into_bytes() {
            wire.send(&[byte]);
        }
        let mut http = HttpConnection { wire };
        assert_agrees(&http.response());
        let mut client = Client::upgraded(http.wire);
        client.send_text("Hello");
        assert_eq!(client.expect_text(), "Hello", "{name}");
        client.close();
    }
}

#[test]
fn echo_servers_tell_who_breaks_the_protocol_and_end_the_connection() {
    for name in ECHO_SERVERS {
        let server = Example::start(name);
        let mut client = Client::open(server.address(), "/");
        client.send_text("before");
        client.send(&Frame::text("not masked").unmasked());
        assert_eq!(client.expect_text(), "before", "{name}");
        client.expect_close(1002);
        client.expect_end();
    }
}

#[test]
fn echo_servers_do_not_read_from_who_does_not_read_and_lose_nothing() {
    /// Many times what the kernel's buffers and a patient server take.
    const ALL_BYTES: usize = 256 << 20;
    for name in ECHO_SERVERS {
        let server = Example::start(name);
        let mut client = Client::open_over(Wire::open_narrow(server.address()), "/");
        let frame = Frame::binary(vec![7; 32 << 10]).encode();
        let mut written = 0;
        loop {
            let taken = client.wire.send_until_it_stalls(&frame);
            written += taken;
            if taken < frame.len() {
                break;
            }
            assert!(written < ALL_BYTES, "{name} took {written} bytes");
        }
        for _ in 0..written / frame.len() {
            assert_eq!(client.expect_binary(), vec![7; 32 << 10], "{name}");
        }
        client.wire.send(&frame[written % frame.len()..]);
        assert_eq!(client.expect_binary(), vec![7; 32 << 10], "{name}");
        client.close();
    }
}

#[test]
fn python_websockets_gets_back_what_it_sent_from_every_example() {
    for name in ECHO_SERVERS {
        let server = Example::start(name);
        Script::python("echo_websockets.py", &[&server.websocket_url()]).finish();
    }
}

#[test]
fn node_ws_gets_back_what_it_sent_from_every_example() {
    for name in ECHO_SERVERS {
        let server = Example::start(name);
        Script::node("echo_ws.mjs", &[&server.websocket_url()]).finish();
    }
}

#[test]
fn the_client_prints_what_comes_back() {
    for name in ECHO_SERVERS {
        let server = Example::start(name);
        let address = server.address().to_string();
        // The second line is long enough to be compressed, which client and server agree on.
        let lines = format!("one\n{}\nthree\n", "two ".repeat(1000));
        assert_eq!(example::run("client", &[&address, "/"], &lines), lines);
    }
}

#[test]
fn the_pair_in_memory_tells_its_story_to_the_end() {
    let story = example::run("in_memory_pair", &[], "");
    let lines: Vec<_> = story.lines().collect();
    assert!(
        lines[0].starts_with("server: Message(Text(\"Hello\"))"),
        "{story}"
    );
    assert!(
        lines[1].starts_with("client: Message(Text(\"Hello\"))"),
        "{story}"
    );
    assert!(
        lines[2].contains("Ping") && lines[3].contains("Pong"),
        "{story}"
    );
    assert!(lines[4].contains("initiator: Peer"), "{story}");
    assert!(lines[5].contains("initiator: Local"), "{story}");
}
