//! `tidewire capture` and `serve --capture`: Wireshark reads what passed, `tidewire replay` says the same, and nobody who is not
//! asked for is in it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tidewire_tests::command::run;
use tidewire_tests::http::{assert_problem, exchange, get};
use tidewire_tests::server::signal;
use tidewire_tests::tshark::{assert_sound, rows, tshark};
use tidewire_tests::websocket::handshake_request;
use tidewire_tests::wire::Wire;
use tidewire_tests::{Chatter, Client, Directory, Identity, Launch, Running, Server, wait_until};

/// A capture that runs, and its file.
struct Capturing {
    command: Running,
    file: PathBuf,
}

impl Capturing {
    /// Starts one, and returns when all workers know of it.
    #[track_caller]
    fn start(server: &Server, directory: &Directory, arguments: &[&str]) -> Self {
        let file = directory.path().join("capture.pcapng");
        let url = format!("http://{}", server.address());
        let out = file.to_str().expect("a path in UTF-8");
        let words = ["capture", "--url", &url, "--out", out];
        let capturing = Self {
            command: Running::start(&[&words, arguments].concat()),
            file,
        };
        wait_until("the capture has begun", || !capturing.bytes().is_empty());
        capturing
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.file).unwrap_or_default()
    }

    fn has(&self, mark: &str) -> bool {
        has(&self.bytes(), mark)
    }

    /// Ends it as ^C does once this, which the server said, is in it; Wireshark finds no fault with the file.
    #[track_caller]
    fn finish(mut self, mark: &str) -> PathBuf {
        wait_until(&format!("{mark:?} is captured"), || self.has(mark));
        self.command.signal("INT");
        let status = self.command.wait();
        assert!(status.success(), "{status}: {}", self.command.stderr());
        self.command.expect_error("captured ");
        assert_sound(&self.file);
        self.file
    }
}

fn has(bytes: &[u8], mark: &str) -> bool {
    bytes
        .windows(mark.len())
        .any(|window| window == mark.as_bytes())
}

/// The texts of a file with their comments, in order.
#[track_caller]
fn texts(file: &Path, filter: &str) -> Vec<String> {
    rows(file, filter, &["frame.comment", "websocket.payload.text"])
}

/// What `tidewire replay --json` tells, and its exit code.
#[track_caller]
fn replay(file: &Path) -> (Option<i32>, Vec<Value>) {
    let path = file.to_str().expect("a path in UTF-8");
    let (code, stdout, _) = run(&["replay", "--json", path], b"");
    let lines = stdout.lines().map(serde_json::from_str);
    (code, lines.map(|line| line.expect("JSON")).collect())
}

/// The same of a file in which it finds nothing wrong.
#[track_caller]
fn replay_without_fault(file: &Path) -> Vec<Value> {
    let (code, told) = replay(file);
    assert_eq!(code, Some(0), "{told:#?}");
    told
}

/// The texts that a side said.
fn replayed_texts<'v>(told: &'v [Value], from: &str) -> Vec<&'v str> {
    let texts = told
        .iter()
        .filter(|told| told["event"] == "text" && told["from"] == from);
    texts.filter_map(|told| told["text"].as_str()).collect()
}

#[test]
fn a_chat_is_taken_apart_with_who_and_where_and_which_noted() {
    let (server, directory) = (Server::start(), Directory::new());
    let capturing = Capturing::start(&server, &directory, &[]);
    let mut alice = Chatter::enter(&server, "alice", "harbour");
    let mut others = ["bob", "carol", "dave"].map(|user| Chatter::enter(&server, user, "harbour"));
    alice.say_acked("harbour", "ahoy there", 1);
    for other in &mut others {
        assert_eq!(other.hear_of("room_msg")["content"], "ahoy there");
    }
    alice.send(&json!({"type": "private_msg", "toUser": "bob", "content": "psst", "seq": 2}));
    others[0].hear_of("private_msg");
    alice.client.close();
    for other in &mut others {
        other.hear_of("system");
    }
    alice = Chatter::enter(&server, "alice", "harbour");
    alice.say_acked("harbour", "finis", 3);
    let file = capturing.finish("\"finis\"");

    let handshakes = rows(&file, "http", &["http.request.uri", "http.response.code"]);
    let opened = |row: &&String| row.as_str() == "|101" || row.ends_with("|101");
    assert_eq!(
        handshakes.iter().filter(opened).count(),
        5,
        "{handshakes:?}"
    );
    assert!(
        handshakes.contains(&"/ws?userId=carol|".to_owned()),
        "{handshakes:?}"
    );
    let said = texts(
        &file,
        "websocket.mask == 1 && websocket.payload.text contains \"ahoy\"",
    );
    assert!(
        said.len() == 1 && said[0].starts_with("user alice|{"),
        "{said:?}"
    );
    let heard = texts(
        &file,
        "websocket.mask == 0 && websocket.payload.text contains \"ahoy\"",
    );
    let note = "user alice · room harbour · offset 1|{";
    assert_eq!(
        heard.iter().filter(|row| row.starts_with(note)).count(),
        3,
        "{heard:#?}"
    );
    let acks = texts(
        &file,
        "websocket.payload.text contains \"\\\"ack\\\"\" && frame.comment",
    );
    let note = "user alice · room harbour · offset 1 · acknowledged|";
    assert!(acks.iter().any(|row| row.starts_with(note)), "{acks:#?}");
    let private = texts(
        &file,
        "websocket.mask == 0 && websocket.payload.text contains \"psst\"",
    );
    assert!(!private.is_empty() && private[0].starts_with("user alice · to bob · offset 1|"));

    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/WIRESHARK.md");
    let guide = fs::read_to_string(guide).expect("docs/WIRESHARK.md");
    let command = guide
        .lines()
        .find(|line| line.starts_with("tshark -r harbour.pcapng"));
    let command = command.expect("the guide has a command for our captures");
    let command = command.replace("harbour.pcapng", file.to_str().expect("UTF-8"));
    let command = command.replacen("tshark", tshark().to_str().expect("UTF-8"), 1);
    let output = Command::new("sh").args(["-c", &command]).output();
    let shown = String::from_utf8(output.expect("a shell").stdout).expect("UTF-8");
    assert!(shown.contains("ahoy there"), "{command}: {shown}");

    let told = replay_without_fault(&file);
    let texts = replayed_texts(&told, "server");
    assert_eq!(
        texts
            .iter()
            .filter(|text| text.contains("ahoy there"))
            .count(),
        3
    );
    assert_eq!(
        replayed_texts(&told, "client")
            .iter()
            .filter(|text| text.contains("ahoy"))
            .count(),
        1
    );
    let verdicts: Vec<_> = told.iter().filter(|told| told["event"] == "end").collect();
    assert!(
        verdicts
            .iter()
            .any(|told| told["verdict"] == "closed in order with 1000"),
        "{verdicts:?}"
    );
}

#[test]
fn who_was_there_before_gets_a_handshake_that_is_made_up() {
    let (server, directory) = (Server::start(), Directory::new());
    let mut alice = Chatter::enter(&server, "alice", "harbour");
    // In the middle of a frame: what follows of it is not for the capture.
    let mut echo = Client::open(server.address(), "/echo");
    // What comes with it is answered: so the server has read it.
    let beginning = b"\x81\x81\0\0\0\0x\x82\x85\0\0\0\0ab";
    echo.wire.send(beginning);
    assert_eq!(echo.expect_text(), "x");
    let relay = Client::open(server.address(), "/relay?room=a%20b");
    let capturing = Capturing::start(&server, &directory, &[]);
    echo.wire.send(b"cde");
    assert_eq!(echo.expect_binary(), b"abcde");
    echo.send_binary(b"behind");
    assert_eq!(echo.expect_binary(), b"behind");
    alice.say_acked("harbour", "ahoy", 1);
    let mut other = Client::open(server.address(), "/relay?room=a%20b&self=true");
    other.send_text("finis");
    assert_eq!(other.expect_text(), "finis");
    let file = capturing.finish("finis");
    drop(relay);

    let made_up = rows(
        &file,
        "http.request && frame.comment",
        &["http.request.uri", "frame.comment"],
    );
    for path in ["/ws", "/echo", "/relay?room=a%20b"] {
        let row = format!("{path}|this handshake is made up");
        assert!(made_up.contains(&row), "{made_up:?}");
    }
    let why = rows(
        &file,
        "tcp.flags.syn == 1 && frame.comment",
        &["frame.comment"],
    );
    assert!(
        why.iter()
            .any(|row| row.contains("opened before the capture")),
        "{why:?}"
    );
    let sent = rows(
        &file,
        "websocket.opcode == 2 && websocket.mask == 1",
        &["data.data"],
    );
    assert_eq!(
        sent,
        ["626568696e64"],
        "only what began behind the beginning of the capture"
    );
    let told = replay_without_fault(&file);
    assert!(
        replayed_texts(&told, "client")
            .iter()
            .any(|text| text.contains("ahoy"))
    );
}

#[test]
fn compressed_messages_are_read() {
    let (server, directory) = (Server::start(), Directory::new());
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let open = || {
        let mut wire = Wire::open(server.address());
        wire.send(handshake_request("/ws?room=harbour", offer).as_bytes());
        wire.receive().expect("an answer");
        wire
    };
    let early = open();
    let members = |count| {
        let members = get(server.address(), "/api/rooms/harbour/presence").json();
        members["members"].as_array().map(Vec::len) == Some(count)
    };
    wait_until("it has joined", || members(1));
    let capturing = Capturing::start(&server, &directory, &[]);
    let late = open();
    wait_until("it has joined", || members(2));
    let mut alice = Chatter::enter(&server, "alice", "harbour");
    alice.say_acked("harbour", &"ahoy ".repeat(100), 1);
    alice.say_acked("harbour", "finis", 2);
    // Their worker may be another than Alice's, and notes by itself.
    wait_until("what they heard is captured", || {
        let bytes = capturing.bytes();
        let captured = String::from_utf8_lossy(&bytes);
        let count = |note| captured.matches(note).count();
        count("harbour · offset 1") - count("harbour · offset 1 · ") == 2
    });
    let file = capturing.finish("\"ack\",\"seq\":2");
    drop((early, late));

    let filter = "websocket.mask == 0 && websocket.payload.text contains \"ahoy ahoy\"";
    let heard = rows(&file, filter, &["websocket.rsv", "frame.comment"]);
    assert_eq!(heard, ["0x04|user alice · room harbour · offset 1"; 2]);
    let told = replay_without_fault(&file);
    let long = replayed_texts(&told, "server");
    assert_eq!(
        long.iter()
            .filter(|text| text.contains("ahoy ahoy"))
            .count(),
        2
    );
}

#[test]
fn a_filter_leaves_everybody_else_out() {
    let (server, directory) = (Server::start(), Directory::new());
    let mut early = Chatter::enter(&server, "early", "harbour");
    let mut stranger = Chatter::enter(&server, "stranger", "elsewhere");
    let capturing = Capturing::start(&server, &directory, &["--room", "harbour"]);
    let mut alice = Chatter::connect(&server, "userId=alice&room=harbour");
    alice.hear_of("joined");
    let mut bob = Chatter::enter(&server, "bob", "elsewhere");
    alice.say_acked("harbour", "for the harbour", 1);
    early.hear_of("room_msg");
    stranger.say_acked("elsewhere", "a secret", 1);
    bob.say_acked("elsewhere", "another secret", 2);
    // Who leaves is left alone from then on, and who comes is not.
    early.send(&json!({"type": "leave_room", "roomId": "harbour", "seq": 9}));
    alice.hear_of("system");
    early.join("elsewhere");
    early.say_acked("elsewhere", "a secret of mine", 3);
    bob.join("harbour");
    alice.say_acked("harbour", "finis", 4);
    bob.hear_of("room_msg");
    let file = capturing.finish("\"finis\"");

    let bytes = fs::read(&file).expect("the capture");
    assert!(!has(&bytes, "stranger") && !has(&bytes, "secret"));
    let unmasked = rows(&file, "websocket.mask == 1", &["websocket.payload.text"]);
    assert!(
        !unmasked.iter().any(|text| text.contains("secret")),
        "{unmasked:?}"
    );
    let ends = rows(
        &file,
        "tcp.flags.fin == 1 && frame.comment",
        &["frame.comment"],
    );
    assert_eq!(ends, ["what follows does not belong to the capture"]);
    let handshakes = rows(&file, "http.request", &["http.request.uri"]);
    // Alice's is hers; early was there, bob came late.
    assert_eq!(handshakes.len(), 3, "{handshakes:?}");
    assert!(handshakes.contains(&"/ws?userId=alice&room=harbour".to_owned()));
}

#[test]
fn filters_of_users_and_addresses_hold_at_once() {
    let (server, directory) = (Server::start(), Directory::new());
    let only = ["--user", "alice", "--address", "127.0.0.0/8"];
    let capturing = Capturing::start(&server, &directory, &only);
    let mut alice = Chatter::enter(&server, "alice", "harbour");
    let mut bob = Chatter::enter(&server, "bob", "harbour");
    bob.say_acked("harbour", "from bob", 1);
    assert_eq!(get(server.address(), "/health").status, 200);
    alice.say_acked("harbour", "finis", 1);
    // Not the message, which alice does not get, but its ack.
    let file = capturing.finish("\"ack\",\"seq\":1");
    let streams = rows(&file, "http.request", &["http.request.uri"]);
    assert_eq!(streams, ["/ws?userId=alice"]);
    let heard = texts(&file, "websocket.payload.text contains \"from bob\"");
    assert_eq!(heard.len(), 1, "what alice heard is hers");

    let nowhere = Directory::new();
    let mut elsewhere = Capturing::start(
        &server,
        &nowhere,
        &["--address", "10.0.0.0/8", "--time", "1"],
    );
    alice.say_acked("harbour", "again", 2);
    assert!(elsewhere.command.wait().success());
    assert_eq!(
        rows(&elsewhere.file, "frame", &["frame.number"]),
        Vec::<String>::new()
    );
}

#[test]
fn its_size_and_its_time_end_it() {
    let (server, directory) = (Server::start(), Directory::new());
    let mut capturing =
        Capturing::start(&server, &directory, &["--bytes", "100KiB", "--time", "1h"]);
    let mut echo = Client::open(server.address(), "/echo");
    for _ in 0..20 {
        echo.send_binary(&[7; 10_000]);
        assert_eq!(echo.expect_binary().len(), 10_000);
    }
    assert!(capturing.command.wait().success());
    let size = capturing.bytes().len();
    assert!((50_000..=100 << 10).contains(&size), "{size}");
    assert_sound(&capturing.file);
    // And the server has forgotten it: another can begin, and ends by its time.
    let mut timed = Capturing::start(&server, &directory, &["--time", "1s"]);
    assert!(timed.command.wait().success());
    assert!(timed.has("the time of the capture is over"));
    echo.expect_alive();
}

#[test]
fn what_a_slow_reader_has_no_room_for_is_counted_and_what_follows_is_in_step() {
    let (server, directory) = (Server::start(), Directory::new());
    let mut slow = TcpStream::connect(server.address()).expect("a connection");
    let request = "GET /api/admin/capture?bytes=1GiB HTTP/1.1\r\nHost: localhost\r\n\r\n";
    slow.write_all(request.as_bytes()).expect("it is read");
    let mut buffer = vec![0; 64 << 10];
    let mut received = Vec::new();
    while received.is_empty() {
        let read = slow.read(&mut buffer).expect("the head");
        received.extend_from_slice(&buffer[..read]);
    }
    let mut echo = Client::open(server.address(), "/echo");
    // More than the queue, what is on the way and the sockets hold.
    let large = vec![7; 1 << 20];
    for _ in 0..40 {
        echo.send_binary(&large);
        assert_eq!(echo.expect_binary().len(), large.len());
    }
    // Now it reads; the capture goes on when there is room, which is some time after that.
    slow.set_nonblocking(true).expect("a socket");
    let mut count = 0;
    wait_until("the capture goes on", || {
        while let Ok(read @ 1..) = slow.read(&mut buffer) {
            received.extend_from_slice(&buffer[..read]);
        }
        count += 1;
        echo.send_text(&format!("behind {count}"));
        echo.expect_text();
        has(
            &received[received.len().saturating_sub(64 << 10)..],
            "behind ",
        )
    });
    let head = received.windows(4).position(|window| window == b"\r\n\r\n");
    let mut capture = received.split_off(head.expect("a head") + 4);
    // Statistics come now and then.
    wait_until("it says that some were lost", || {
        while let Ok(read @ 1..) = slow.read(&mut buffer) {
            capture.extend_from_slice(&buffer[..read]);
        }
        lost(&capture) > 0
    });
    drop(slow);
    capture.truncate(whole_blocks(&capture));
    let file = directory.path().join("slow.pcapng");
    fs::write(&file, &capture).expect("a file");

    assert_sound(&file);
    let why = rows(
        &file,
        "tcp.flags.syn == 1 && frame.comment",
        &["frame.comment"],
    );
    assert!(
        why.iter()
            .any(|row| row.contains("the capture could not keep up")),
        "{why:?}"
    );
    let behind = rows(
        &file,
        "websocket.mask == 0 && websocket.payload.text contains \"behind\"",
        &["frame.number"],
    );
    assert!(!behind.is_empty());
    // No stream has a hole.
    replay_without_fault(&file);
}

/// The bytes of all blocks that are whole.
fn whole_blocks(capture: &[u8]) -> usize {
    blocks(capture)
        .last()
        .map_or(0, |(start, block)| start + block.len())
}

/// How many records the last statistics say were lost.
fn lost(capture: &[u8]) -> u64 {
    let statistics = blocks(capture).filter(|(_, block)| block[0] == 5);
    let last = statistics.last().expect("there are statistics").1;
    let mut options = &last[20..];
    while options[0] != 5 {
        let length = usize::from(u16::from_le_bytes([options[2], options[3]]));
        options = &options[4 + length.next_multiple_of(4)..];
    }
    u64::from_le_bytes(options[4..12].try_into().expect("eight bytes"))
}

fn blocks(capture: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let length = capture.get(start + 4..start + 8)?;
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let block = (start, capture.get(start..start + length)?);
        start += length;
        Some(block)
    })
}

#[test]
fn the_capture_itself_is_not_captured_and_only_four_run() {
    let (server, directory) = (Server::start(), Directory::new());
    let capturing = Capturing::start(&server, &directory, &[]);
    let others = [(); 3].map(|()| Directory::new());
    let others = others
        .each_ref()
        .map(|directory| Capturing::start(&server, directory, &[]));
    let refused = get(server.address(), "/api/admin/capture");
    assert_problem(&refused, 503, "too_many_captures");
    let mut alice = Chatter::enter(&server, "alice", "harbour");
    alice.say_acked("harbour", "finis", 1);
    for other in others {
        other.finish("\"ack\",\"seq\":1");
    }
    let file = capturing.finish("\"ack\",\"seq\":1");
    let captures = rows(&file, "http.response.code == 200", &["http.content_type"]);
    assert_eq!(captures, Vec::<String>::new());
}

#[test]
fn only_operators_get_one() {
    let server = Server::start();
    let ask = |headers: &str| {
        let request = format!("GET /api/admin/capture?seconds=1 HTTP/1.1\r\n{headers}\r\n");
        exchange(server.address(), request.as_bytes())
    };
    assert_problem(&ask("Host: evil.example\r\n"), 403, "not_an_operator");
    assert_problem(
        &ask("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n"),
        403,
        "not_an_operator",
    );
    let bad = get(server.address(), "/api/admin/capture?bytes=1");
    assert_problem(&bad, 400, "bad_field");
    let url = format!("http://{}", server.address());
    let (code, _, stderr) = run(
        &["capture", "--url", &url, "--out", "-", "--room", "@a"],
        b"",
    );
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("status 400") && stderr.contains("begins with @"),
        "{stderr}"
    );
    let (code, _, stderr) = run(
        &["capture", "--url", "http://127.0.0.1:1", "--out", "-"],
        b"",
    );
    assert_eq!(code, Some(1));
    assert!(stderr.contains("is a server running there?"), "{stderr}");
    for words in [
        &["capture"][..],
        &["capture", "--out", "-", "--time", "2h"],
        &["replay"],
    ] {
        assert_eq!(run(words, b"").0, Some(2), "{words:?}");
    }
}

#[test]
fn a_pipe_brings_packets_as_they_come() {
    let server = Server::start();
    let url = format!("http://{}", server.address());
    let command = Running::start(&["capture", "--url", &url, "--out", "-"]);
    command.expect("made up");
    let mut alice = Chatter::enter(&server, "alice", "harbour");
    alice.say_acked("harbour", "live", 1);
    command.expect("offset 1");
}

#[test]
fn what_is_captured_of_a_server_with_tls_can_be_read() {
    let (identity, directory) = (Identity::shared(), Directory::new());
    let server = Launch::default().tls(&identity).start();
    let ca = identity.certificate();
    let ca = ca.to_str().expect("a path in UTF-8");
    let file = directory.path().join("capture.pcapng");
    let out = file.to_str().expect("a path in UTF-8");
    let url = format!("https://{}", server.address());
    let words = ["capture", "--url", &url, "--ca", ca, "--out", out];
    let capturing = Capturing {
        command: Running::start(&words),
        file,
    };
    wait_until("the capture has begun", || !capturing.bytes().is_empty());
    let mut alice = Chatter::enter(&server, "alice", "harbour");
    let mut bob = Chatter::enter(&server, "bob", "harbour");
    alice.say_acked("harbour", "ahoy over TLS", 1);
    bob.hear_of("room_msg");
    let heard = "user alice · room harbour · offset 1";
    // Bob may be with another worker than Alice, who notes by itself.
    wait_until("what bob heard is captured", || capturing.has(heard));
    let file = capturing.finish("\"ack\",\"seq\":1");

    let said = texts(&file, "websocket.payload.text contains \"over TLS\"");
    let notes = said.iter().filter_map(|row| row.split_once('|'));
    let mut notes: Vec<_> = notes.map(|(note, _)| note).collect();
    // What two workers note comes in the order in which they tell it.
    notes.sort_unstable();
    assert_eq!(notes, ["user alice", heard], "{said:?}");
    assert_eq!(rows(&file, "tls", &["frame.number"]), Vec::<String>::new());
    let handshakes = rows(&file, "http.request", &["http.request.uri"]);
    assert!(
        handshakes.contains(&"/ws?userId=bob".to_owned()),
        "{handshakes:?}"
    );
}

#[test]
fn a_server_captures_from_the_start_if_it_is_told_to() {
    let directory = Directory::new();
    let file = directory.path().join("all.pcapng");
    let path = file.to_str().expect("a path in UTF-8");
    let mut server = Launch::default().arguments(&["--capture", path]).start();
    let mut alice = Chatter::enter(&server, "alice", "harbour");
    alice.say_acked("harbour", "ahoy", 1);
    server.signal("TERM");
    assert!(server.wait_for_exit().success());
    assert_sound(&file);
    assert_eq!(
        texts(&file, "websocket.mask == 1").len(),
        2,
        "join and ahoy"
    );
    let told = replay_without_fault(&file);
    let closed = told
        .iter()
        .find(|told| told["event"] == "close" && told["from"] == "server");
    assert_eq!(closed.map(|told| &told["code"]), Some(&json!(1012)));
    let mode = fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "what is in it is for nobody else");
}

#[test]
fn replay_reads_what_others_captured_and_finds_what_is_broken() {
    let (server, directory) = (Server::start(), Directory::new());
    let file = directory.path().join("others.pcapng");
    let sniffer = Sniffer::start(&server, &file);
    let mut client = Client::open(server.address(), "/echo");
    client.send_text("over the wire");
    assert_eq!(client.expect_text(), "over the wire");
    client.close();
    let mut rude = Client::open(server.address(), "/echo");
    rude.wire.send(b"\x81\x01x");
    rude.expect_close(1002);
    sniffer.finish(&server, &file);

    let (code, told) = replay(&file);
    assert_eq!(code, Some(1));
    for side in ["client", "server"] {
        assert_eq!(replayed_texts(&told, side), ["over the wire"]);
    }
    let broken: Vec<_> = told
        .iter()
        .filter(|told| told["event"] == "error")
        .collect();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!(
        (&broken[0]["section"], &broken[0]["close_code"]),
        (&json!("RFC 6455 §5.1"), &json!(1002))
    );
    assert_eq!(broken[0]["from"], "client");

    let text = directory.path().join("text");
    fs::write(&text, "no capture").expect("a file");
    let (code, _, stderr) = run(&["replay", text.to_str().expect("UTF-8")], b"");
    assert!(
        code == Some(1) && stderr.contains("it is no capture"),
        "{stderr}"
    );
    let bytes = fs::read(&file).expect("the capture");
    let (code, stdout, _) = run(&["replay", "-"], &bytes);
    assert!(
        code == Some(1) && stdout.contains("\"over the wire\""),
        "{stdout}"
    );
}

/// A `tshark` that captures our port as anybody would.
struct Sniffer(Child);

impl Sniffer {
    #[track_caller]
    fn start(server: &Server, file: &Path) -> Self {
        let mut command = Command::new(tshark());
        let filter = format!("tcp port {}", server.address().port());
        command
            .args(["-q", "-i", "lo", "-f", &filter, "-w"])
            .arg(file);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let sniffer = Self(command.spawn().expect("tshark starts"));
        sniffer.wait_for(server, file, "begin");
        sniffer
    }

    #[track_caller]
    fn wait_for(&self, server: &Server, file: &Path, mark: &str) {
        wait_until("tshark captures (run the test as root)", || {
            assert_eq!(
                get(server.address(), &format!("/health?{mark}")).status,
                200
            );
            has(&fs::read(file).unwrap_or_default(), mark)
        });
    }

    #[track_caller]
    fn finish(self, server: &Server, file: &Path) {
        self.wait_for(server, file, "finis");
    }
}

impl Drop for Sniffer {
    fn drop(&mut self) {
        // By SIGINT it ends its capturing child, too.
        signal(self.0.id(), "INT");
        // It can only fail when it was waited for.
        let _ = self.0.wait();
    }
}
